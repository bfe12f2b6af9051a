"""Addresses: the parts of an endpoint's URL, and how much of it may be shown.

Credentials in a URL (``user:password@``) and its query are never shown: both may hold secrets.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct

from meshdiag.urls import DEFAULT_PORTS, usual_url

_BLANK = re.compile(r"[\x00-\x20\x7f]")


class Address(Struct, frozen=True):
    """An endpoint's URL taken apart. ``base`` ends without a slash and has neither credentials nor query;
    ``query`` are the parameters that belong to every request, ``userinfo`` is (user, password) or None."""

    base: str
    scheme: str
    host: str
    port: int
    query: tuple[tuple[str, str], ...] = ()
    userinfo: tuple[str, str] | None = None

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: the border that credentials do not cross."""
        return (self.scheme, self.host, self.port)

    @property
    def loopback(self) -> bool:
        """Whether it is this machine, which no proxy can reach for us."""
        if self.host == "127.0.0.1":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")


@lru_cache(maxsize=4096)
def parse_address(url: str) -> Address:
    """Take a URL apart. Raises ``ValueError`` with the part of a sentence that follows the address."""
    if usual := usual_url(url):
        scheme, host, number, _ = usual
        return Address(url.rstrip("/"), scheme, host.lower(), number or DEFAULT_PORTS[scheme])
    if _BLANK.search(url.strip()):
        raise ValueError("holds blanks or control characters")
    parts = urlsplit(url.strip())
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS or not parts.netloc:
        raise ValueError("is not an http:// or https:// address")
    host = (parts.hostname or "").lower()
    try:
        port = parts.port or DEFAULT_PORTS[scheme]
    except ValueError:
        raise ValueError("has a port that is not a number from 1 to 65535") from None
    if not host:
        raise ValueError("names no host")
    netloc = parts.netloc.rpartition("@")[2]
    userinfo = None
    if parts.username is not None:
        userinfo = (unquote(parts.username), unquote(parts.password or ""))
    return Address(
        base=f"{scheme}://{netloc}{parts.path.rstrip('/')}",
        scheme=scheme,
        host=host,
        port=port,
        query=tuple(parse_qsl(parts.query, keep_blank_values=True)) if parts.query else (),
        userinfo=userinfo,
    )


def shown(url: str) -> str:
    """The URL as it may be printed: without credentials, query and fragment."""
    try:
        return parse_address(url).base
    except ValueError:
        tail = url.split("?", 1)[0].split("#", 1)[0]
        scheme, slashes, rest = tail.rpartition("//")
        return "".join(char if char.isprintable() else "?" for char in scheme + slashes + rest.rpartition("@")[2])
