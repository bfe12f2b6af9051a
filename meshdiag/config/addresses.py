"""Addresses in configuration: what a URL may look like, and which server it names."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from meshdiag.context import NodeAddress
from meshdiag.urls import DEFAULT_PORTS, usual_url

if TYPE_CHECKING:
    from urllib.parse import SplitResult

_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*)|[0-9a-fA-F:.]+(?:%[A-Za-z0-9._-]+)?")
_PLAIN = re.compile(r"""[!#-;=?-\[\]_a-z~]*""")
"""Printable ASCII, without blanks and the signs that no URL may hold as they are."""
_PORT = re.compile(r":(\d{1,5})")

Origin = tuple[str, str, int]
"""Scheme, host in lower case, port: what must be equal for two URLs to name the same server."""


def clean_url(text: str) -> str:
    """A server's URL, without a slash at its end.

    Raises ``ValueError`` with the rest of a sentence that begins with the key: never a part of a password. URLs
    that two parsers may read differently (backslashes, control characters) are refused: who is asked must be plain.
    """
    if "@" in text:
        raise ValueError(
            "must not hold a user name or password; give username and password_file, password_env or password_command"
        )
    if not _PLAIN.fullmatch(text):
        raise ValueError(
            "must be a plain http:// or https:// URL (other signs percent-encoded, names in their xn-- form)"
        )
    if usual_url(text):
        return text.rstrip("/")
    parts = _split(text)
    if parts.scheme not in DEFAULT_PORTS:
        raise ValueError(f"must begin with http:// or https://, got {_short(text)}")
    if not parts.hostname or not _HOST.fullmatch(parts.hostname) or parts.port == 0:
        raise ValueError(f"names no host, got {_short(text)}")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError("must be the server's address alone, without '?' or '#'")
    return text.rstrip("/")


def origin_of(url: str) -> Origin:
    """The server that a clean URL names."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").rstrip("."), parts.port or DEFAULT_PORTS[parts.scheme]


def node_address(
    text: str,
    *,
    name: str = "",
    role: str = "",
    instance: str = "",
    peer: str = "",
    scheme: str = "http",
    page: str = "",
) -> NodeAddress:
    """A node by ``host:port`` or by the URL of its page (``/metrics`` where the URL has no path).

    ``instance`` is host:port by default. Raises ``ValueError`` as ``clean_url`` does.
    """
    if "://" not in text and "@" not in text:
        if not re.fullmatch(r"(?:\[[0-9A-Fa-f:.%]+\]|[^:/\s]+):\d{1,5}", text):
            raise ValueError(f"must be host:port or a URL, got {_short(text)}")
        text = f"{scheme}://{text}{page}"
    url = clean_url(text)
    authority, path = _authority(url)
    if not path:
        url += "/metrics"
    return NodeAddress(url, instance or authority, name=name, role=role, peer=peer)


def _authority(url: str) -> tuple[str, str]:
    """Host and port of a clean URL, as they are written, the port in any case; and its path."""
    if usual := usual_url(url):
        scheme, host, port, path = usual
        return f"{host}:{port or DEFAULT_PORTS[scheme]}", path
    parts = urlsplit(url)
    netloc = parts.netloc
    return (netloc if parts.port else f"{netloc.rstrip(':')}:{DEFAULT_PORTS[parts.scheme]}"), parts.path


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError(f"is not a URL: {_short(text)}") from None
    # urlsplit takes a port with a sign or blanks in it; the HTTP client may read that differently.
    rest = parts.netloc.rpartition("]")[2] if "]" in parts.netloc else parts.netloc
    if ":" in rest and not _PORT.fullmatch(":" + rest.rpartition(":")[2]):
        raise ValueError(f"has no proper port: {_short(text)}")
    return parts


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:80] + "…")


def is_local(url: str) -> bool:
    """Whether a URL names this machine: localhost or a loopback address."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
