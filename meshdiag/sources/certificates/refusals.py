"""Why a server showed no certificate, one sentence each: what it did, and what to try where that is known."""

from __future__ import annotations

import errno
import socket
import ssl

from meshdiag.sources.http.trouble import RESET, UNREACHABLE, excerpt

_TLS_RECORDS = (0x14, 0x15, 0x16)
"""Change cipher spec, alert, handshake."""

_GREETINGS = (
    (b"HTTP/", "it speaks plain HTTP on this port, not TLS"),
    (b"SSH-", "an SSH server listens on this port"),
    (b"220", "it greets in plain text as SMTP and FTP servers do; for SMTP ask with STARTTLS (smtp)"),
    (b"* OK", "it greets in plain text as an IMAP server does; ask with STARTTLS (imap)"),
    (b"+OK", "it greets in plain text as a POP3 server does; ask with STARTTLS (pop3)"),
)

_REASONS = (
    ("UNRECOGNIZED_NAME", "the server has no certificate for the name it was asked for (SNI)"),
    ("NO_APPLICATION_PROTOCOL", "the server speaks none of the protocols offered (ALPN)"),
    ("EXCESSIVE_MESSAGE_SIZE", "the server sends more than 100 kB of certificates, more than a client takes"),
    ("UNSUPPORTED_PROTOCOL", "the server speaks only SSL 3 or older, which this OpenSSL no longer does"),
    ("PROTOCOL_VERSION", "the server and this OpenSSL have no TLS version in common"),
    ("NO_SHARED_CIPHER", "the server and this OpenSSL have no cipher in common"),
    ("HANDSHAKE_FAILURE", "the server refuses the handshake: it may have no cipher in common, or want another name"),
)

_OF_CLIENT = ("ALERT", "CERTIFICATE_REQUIRED", "UNKNOWN_CA", "BAD_CERTIFICATE", "EOF")
"""In OpenSSL's reasons: the server is not content with our certificate, or with our having none."""


def of_socket(error: Exception, timeout_s: float) -> str:
    """Why there is no connection."""
    if isinstance(error, socket.gaierror | ValueError):
        return "the host name is unknown"
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, TimeoutError) or number == errno.ETIMEDOUT:
        return f"no connection within {timeout_s:g} s; a firewall may drop the packets"
    if number == errno.ECONNREFUSED:
        return "connection refused: nothing listens there"
    if number in UNREACHABLE:
        return "the network does not reach it"
    if number in RESET:
        return "it resets the connection instead of shaking hands; does it speak TLS?"
    return f"no connection: {error}"


def stalled(timeout_s: float, received: int, starttls: str) -> str:
    """What a server was doing when the time was over, the connection being there."""
    if not received:
        return f"it accepts the connection and says nothing within {timeout_s:g} s"
    before = f", TLS asked for by STARTTLS ({starttls})" if starttls else ""
    return f"it stalls in the middle of the handshake: {received} bytes within {timeout_s:g} s{before}"


def closed(received: int, head: bytes) -> str:
    """The server hung up within the handshake."""
    if head and head[0] not in _TLS_RECORDS:
        return not_tls(head)
    if not received:
        return "it hangs up on the handshake without a word; does it speak TLS?"
    return f"it hangs up in the middle of the handshake, after {received} bytes"


def of_handshake(error: ssl.SSLError, head: bytes) -> str:
    """Why a handshake failed before any certificate."""
    if head and head[0] not in _TLS_RECORDS:
        return not_tls(head)
    said = (error.reason or str(error)).upper()
    for word, sentence in _REASONS:
        if word in said:
            return sentence
    if isinstance(error, ssl.SSLEOFError):
        return "the connection ended in the middle of the handshake"
    return f"the handshake fails ({_words(error)})"


def after_chain(error: Exception) -> str:
    """What a failure means after the server has shown its certificates: nothing where it wanted ours."""
    if not isinstance(error, ssl.SSLError):
        return ""
    said = (error.reason or str(error)).upper()
    if any(word in said for word in _OF_CLIENT):
        return ""
    return f"after its certificate the handshake fails ({_words(error)})"


def not_tls(head: bytes) -> str:
    """What answered in the place of TLS, by its first bytes."""
    for beginning, sentence in _GREETINGS:
        if head.startswith(beginning):
            return sentence
    return f"it does not speak TLS on this port (it says {excerpt(head[:24])!r})"


def _words(error: ssl.SSLError) -> str:
    return (error.reason or "no reason given").lower().replace("_", " ")
