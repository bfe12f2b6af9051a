"""What can go wrong over HTTP, translated once: each failure becomes a ``SourceError`` with advice.

Messages name the source and the address (without credentials) and say what is so; the hint says what to try.
"""

from __future__ import annotations

import errno
import socket
import ssl
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag.errors import SourceError, Trouble
from meshdiag.sources.http import failures

if TYPE_CHECKING:
    from collections.abc import Iterator

UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL})
RESET = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})

CERT_EXPIRED = (9, 10)
"""OpenSSL's verify codes: not yet valid, has expired (x509_vfy.h)."""
CERT_WRONG_NAME = (62, 63, 64)
"""OpenSSL's verify codes for a mismatch of host name, e-mail and IP address."""


@dataclass(frozen=True, slots=True)
class Where:
    """Who was asked: the source's name and the address as it may be shown."""

    source: str
    url: str

    def error(self, trouble: Trouble, what: str, hint: str = "") -> SourceError:
        """The error for this address: ``what`` continues "Prometheus at http://…: "."""
        return SourceError(
            f"{self.source} at {self.url}: {what}", trouble=trouble, source=self.source, where=self.url, hint=hint
        )


def excerpt(text: str | bytes, limit: int = 160) -> str:
    """The beginning of hostile text on one line: control characters made visible, blanks collapsed."""
    if isinstance(text, bytes):
        text = text[: limit * 8].decode("utf-8", "replace")
    words = " ".join(text[: limit * 8].split())
    line = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in words)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _kinds(*names: str) -> tuple[type[Exception], ...]:
    """The exceptions of these names: ours, and httpx's where it is imported, for else it has raised none."""
    homes = (failures, sys.modules.get("httpx"))
    return tuple(getattr(home, name) for home in homes for name in names if hasattr(home, name))


def from_exception(error: BaseException, where: Where, timeout_s: float) -> SourceError:
    """The ``SourceError`` for whatever httpx, the socket or TLS raised."""
    causes = list(_chain(error))
    return (
        _tls(causes, where)
        or _timeout(causes, where, timeout_s)
        or _socket(causes, where)
        or _protocol(error, where)
    )  # fmt: skip


def is_reset(error: BaseException) -> bool:
    """Whether the connection broke before an answer began, so that asking again may help."""
    if isinstance(error, _kinds("RemoteProtocolError")):
        return "disconnected" in str(error)
    if isinstance(error, _kinds("ReadError", "WriteError")):
        return not any(isinstance(cause, ssl.SSLError) for cause in _chain(error))
    return False


def from_status(status: int, body: bytes, where: Where, retry_after: str | None = None) -> SourceError:
    """The ``SourceError`` for a status that is not a success. ``body`` may be cut."""
    said = excerpt(body)
    quoted = f": {said}" if said else ""
    if status == 400 and b"HTTP request to an HTTPS server" in body:
        return where.error(Trouble.TLS, "the server speaks HTTPS on this port", "write https:// instead of http://")
    trouble, what, hint = _STATUS.get(status, _by_class(status))
    if status in (429, 503) and retry_after:
        hint = f"it asks to wait {excerpt(retry_after, 40)}{' s' if retry_after.isdigit() else ''}"
    if status == 429 and not hint:
        hint = "ask less often, or raise the limit"
    return where.error(trouble, f"{what} (HTTP {status}){'' if status in (401, 403) else quoted}", hint)


_STATUS = {
    401: (
        Trouble.UNAUTHORIZED,
        "it asks for credentials, or refuses the ones given",
        "set this source's credentials in the configuration (file, environment variable or command)",
    ),
    403: (
        Trouble.FORBIDDEN,
        "the credentials are known but not allowed to ask this",
        "use an account that may read, or check the tenant header",
    ),
    404: (
        Trouble.NOT_FOUND,
        "there is no such path",
        "check the base path of the URL (…/prometheus, say) and the port",
    ),
    407: (Trouble.UNAUTHORIZED, "a proxy on the way asks for credentials", "check HTTP_PROXY and NO_PROXY"),
    429: (Trouble.RATE_LIMITED, "too many requests", ""),
    502: (Trouble.SERVER_ERROR, "the proxy in front of it cannot reach it", "check the server behind the proxy"),
    503: (Trouble.SERVER_ERROR, "unavailable", "it may be starting or overloaded; look at its log"),
    504: (Trouble.TIMEOUT, "the proxy in front of it waited too long", "check the server behind the proxy"),
}


def _by_class(status: int) -> tuple[Trouble, str, str]:
    if status >= 500:
        return Trouble.SERVER_ERROR, "the server failed", "look at its log"
    if 300 <= status < 400:
        return Trouble.REDIRECT, "it redirects without saying where", "check the URL"
    if status < 400:
        return Trouble.MALFORMED, "an unexpected status", "check that the URL points to the right server"
    return Trouble.REJECTED, "it refuses the request", "check that the URL points to the right server"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that caused it, exception groups opened."""
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        one = queue.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BaseExceptionGroup):
            queue.extend(one.exceptions)
        queue.extend((one.__cause__, one.__context__))


def _tls(causes: list[BaseException], where: Where) -> SourceError | None:
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _certificate(cause, where)
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            reason = (cause.reason or str(cause)).upper()
            if "WRONG_VERSION_NUMBER" in reason or "HTTP_REQUEST" in reason or "RECORD_LAYER" in reason:
                return where.error(
                    Trouble.TLS, "the server does not speak TLS on this port", "write http://, or check the port"
                )
            if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason or "BAD_CERTIFICATE" in reason:
                return where.error(
                    Trouble.TLS,
                    "the server refuses the TLS handshake; it may ask for a client certificate",
                    "set cert_file and key_file",
                )
            if isinstance(cause, ssl.SSLEOFError) or "EOF" in reason:
                return where.error(
                    Trouble.TLS, "the connection ended within the TLS handshake", "check the port; does it speak TLS?"
                )
            return where.error(
                Trouble.TLS, f"TLS failed ({excerpt(reason, 80)})", "check the port and the certificates"
            )
    return None


def _certificate(error: ssl.SSLCertVerificationError, where: Where) -> SourceError:
    said = excerpt(error.verify_message or "not verified", 120)
    if error.verify_code in CERT_EXPIRED:
        return where.error(
            Trouble.TLS, f"its certificate is outside its period of validity ({said})", "renew it; check both clocks"
        )
    if error.verify_code in CERT_WRONG_NAME:
        return where.error(
            Trouble.TLS, f"its certificate is for another host name ({said})", "use a name that the certificate holds"
        )
    return where.error(
        Trouble.TLS, f"its certificate is not trusted ({said})", "set ca_file to the CA that signed it"
    )  # fmt: skip


def _timeout(causes: list[BaseException], where: Where, timeout_s: float) -> SourceError | None:
    unconnected = _kinds("ConnectTimeout")
    if any(isinstance(cause, unconnected) or getattr(cause, "errno", None) == errno.ETIMEDOUT for cause in causes):
        return where.error(
            Trouble.TIMEOUT,
            f"no connection within {timeout_s:g} s",
            "check the host and port; a firewall may drop the packets",
        )
    if any(isinstance(cause, (TimeoutError, *_kinds("TimeoutException"))) for cause in causes):
        return where.error(
            Trouble.TIMEOUT,
            f"no answer within {timeout_s:g} s",
            "the server hangs or is overloaded; raise this source's timeout if it is known to be slow",
        )
    return None


def _socket(causes: list[BaseException], where: Where) -> SourceError | None:
    numbers = {cause.errno for cause in causes if isinstance(cause, OSError)}
    if any(isinstance(cause, (socket.gaierror, UnicodeError)) for cause in causes):
        return where.error(Trouble.UNKNOWN_HOST, "the host name is unknown", "check the spelling, DNS and VPN")
    if errno.ECONNREFUSED in numbers:
        return where.error(
            Trouble.REFUSED, "connection refused", "nothing listens there: is it running, is the port right?"
        )
    if numbers & UNREACHABLE:
        return where.error(Trouble.UNREACHABLE, "the network does not reach it", "check routes, VPN and firewalls")
    if numbers & RESET or any(isinstance(cause, _kinds("ReadError", "WriteError")) for cause in causes):
        return where.error(
            Trouble.TRUNCATED,
            "the connection was cut before the answer was complete",
            "look at the server's log; a proxy in between may have a limit",
        )
    return None


def _protocol(error: BaseException, where: Where) -> SourceError:
    said = excerpt(str(error) or type(error).__name__, 120)
    said = said.replace("bytearray(b", "").replace("')", "'")  # h11 prints its own types
    if isinstance(error, _kinds("RemoteProtocolError")):
        if "disconnected" in said or "incomplete" in said or "closed" in said:
            return where.error(
                Trouble.TRUNCATED,
                f"the connection ended before the answer was complete ({said})",
                "look at the server's log; a proxy in between may have a limit",
            )
        return where.error(Trouble.MALFORMED, f"its answer is not HTTP ({said})", "check the port; does it speak TLS?")
    if isinstance(error, _kinds("ProxyError")):
        return where.error(Trouble.UNREACHABLE, f"the proxy refuses ({said})", "check HTTP_PROXY and NO_PROXY")
    if isinstance(error, (ValueError, *_kinds("LocalProtocolError", "InvalidURL", "UnsupportedProtocol"))):
        return where.error(Trouble.NOT_CONFIGURED, f"the request cannot be sent ({said})", "check its URL and headers")
    return where.error(Trouble.OTHER, f"the request failed ({said})", "try the same with curl")
