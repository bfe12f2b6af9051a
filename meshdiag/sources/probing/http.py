"""One HTTP request, timed to the first byte of the answer. What the answer says does not matter here."""

from __future__ import annotations

import contextlib
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from meshdiag import __version__
from meshdiag.sources.probing.answers import ProbeTrouble
from meshdiag.sources.probing.troubles import ProbeFailed, of_error
from meshdiag.sources.probing.waiting import answered, writable
from meshdiag.sources.resolving import join_address

if TYPE_CHECKING:
    import socket

PORTS = {"http": 80, "https": 443}
_SAFE = "/?&=+%:@!$'()*,;~-._"
"""Signs of a path that need no percent sign; all else is written with one, so that no URL can break the request."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Where a URL leads: its host and port, whether TLS is spoken there, and the request in bytes."""

    host: str
    port: int
    secure: bool
    request: bytes

    @property
    def address(self) -> str:
        """``host:port``."""
        return join_address(self.host, self.port)


def read_url(url: str) -> Asked:
    """What to ask for a URL; a user name in it is left out. Raises ``ValueError`` with one sentence."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise ValueError(f"{url!r} is no http:// or https:// URL") from None
    if not host or not host.isprintable() or " " in host:
        raise ValueError(f"{url!r} names no host")
    path = quote(parts.path or "/", _SAFE) + (f"?{quote(parts.query, _SAFE)}" if parts.query else "")
    named = join_address(host, 0 if port == PORTS[parts.scheme] else port)
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: [{host}]" if named == host and ":" in host else f"Host: {named}",
        f"User-Agent: meshdiag/{__version__}",
        "Accept: */*",
        "Connection: close",
    )
    request = "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii", "ignore")
    return Asked(host, port, parts.scheme == "https", request)


async def first_byte(plain: socket.socket, request: bytes, until: float) -> float:
    """Send a request on a connected socket; the seconds to the first byte of the answer. Raises ``ProbeFailed``."""
    began = time.perf_counter()
    took, answer = 0.0, b""
    try:
        await writable(plain, until)
        with contextlib.suppress(ConnectionError, ssl.SSLEOFError):  # hung up, it may be; what it said before is read
            plain.send(request)  # a request is far smaller than any socket's buffer
        while len(answer) < 5:
            piece = await _receive(plain, until)
            took = time.perf_counter() - began if not answer else took
            if not piece:
                raise ProbeFailed(ProbeTrouble.NO_HTTP if answer else ProbeTrouble.CLOSED)
            answer += piece
    except TimeoutError:
        raise ProbeFailed(ProbeTrouble.STALLED) from None
    except ssl.SSLError as error:
        wanted = "CERTIFICATE" in (error.reason or "")
        raise ProbeFailed(ProbeTrouble.CERTIFICATE_WANTED if wanted else ProbeTrouble.CLOSED) from error
    except OSError as error:
        raise ProbeFailed(of_error(error)) from error
    if not answer.startswith(b"HTTP/"):
        raise ProbeFailed(ProbeTrouble.NO_HTTP)
    return took


async def _receive(plain: socket.socket, until: float) -> bytes:
    while True:
        try:
            return plain.recv(4096)
        except (BlockingIOError, ssl.SSLWantReadError):
            await answered(plain, until)
