"""A TLS handshake for looking: over bytes, so that what a server has sent counts even where the handshake fails.

Looking takes what it gets: every protocol version and cipher that OpenSSL can still be brought to speak (security level
0), any certificate. Nothing is ever sent through such a connection but the end of it.

The chain is OpenSSL's own record of what the server sent, in that order. Python's ``ssl`` hands it out since 3.13
(``SSLObject.get_unverified_chain``); from 3.10 on the same C function is there one level below, on ``_sslobj``. So the
connection whose certificate is looked at is one that OpenSSL itself made: a reader of TLS records of our own would see
no certificate in TLS 1.3, which encrypts it, and pyOpenSSL would be a second binding to OpenSSL for this one call.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

CIPHERS = "ALL:COMPLEMENTOFALL:!aNULL:!PSK:!SRP:@SECLEVEL=0"
"""Everything that comes with a certificate."""
_LEGACY_SERVER_CONNECT = 0x4
"""``SSL_OP_LEGACY_SERVER_CONNECT``: servers older than RFC 5746 as well (Python 3.12 gives it a name)."""
_DER = 2
_RECORD_ALERT, _RECORD_HANDSHAKE, _SERVER_HELLO = 0x15, 0x16, 0x02
_VERSIONS = {b"\x03\x00": "SSLv3", b"\x03\x01": "TLSv1", b"\x03\x02": "TLSv1.1", b"\x03\x03": "TLSv1.2"}
_SAYS_1_3 = b"\x00\x2b\x00\x02\x03\x04"
"""The extension ``supported_versions`` of a server that chose TLS 1.3 (RFC 8446, 4.2.1)."""


def looking_context(
    alpn: Sequence[str] = (), client_cert: tuple[str, str] | None = None, *, older: bool = False
) -> ssl.SSLContext:
    """A client's context that trusts anybody and offers everything; ``older``: all but TLS 1.3. Never to be used for
    sending.

    ``client_cert``: the files of a certificate and its key. Raises ``ssl.SSLError`` or ``OSError`` of these files.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(CIPHERS)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    if older:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.options |= _LEGACY_SERVER_CONNECT
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if client_cert is not None:
        context.load_cert_chain(*client_cert, password=lambda: "")  # else OpenSSL asks on the terminal and waits
    return context


class Handshake:
    """One handshake. ``step`` takes what came and gives what to send, until ``over``."""

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        """``server_name`` is told to the server (SNI), unless it is empty or an IP address. Raises ``ValueError`` for
        a name that cannot be one."""
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=server_name or None)
        self._done = False
        self.failed: ssl.SSLError | None = None
        self.head = b""
        """The first bytes that the server sent."""

    def step(self, received: bytes | None = b"") -> bytes:
        """Feed what was received (None: the server has hung up), and get what is to be sent."""
        if received is None:
            self._in.write_eof()
        else:
            self.head += received[: 512 - len(self.head)]
            self._in.write(received)
        try:
            self._tls.do_handshake()
            self._done = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.failed = error
        return self._out.read()

    @property
    def over(self) -> bool:
        """Whether there is nothing more to do: all is agreed, or it has failed."""
        return self._done or self.failed is not None

    @property
    def complete(self) -> bool:
        """Whether both sides have agreed."""
        return self._done

    @property
    def refused(self) -> bool:
        """Whether the server has answered with an alert and nothing else."""
        return self.failed is not None and self.head[:1] == bytes((_RECORD_ALERT,))

    def goodbye(self) -> bytes:
        """What tells the server that this was all, so that it need not log a broken connection."""
        if not self._done:
            return b""
        with contextlib.suppress(ssl.SSLError):  # it would wait for the server's goodbye
            self._tls.unwrap()
        return self._out.read()

    def chain(self) -> tuple[bytes, ...]:
        """The certificates that the server has sent so far (DER), in the order of sending."""
        public = getattr(self._tls, "get_unverified_chain", None)
        if public is not None:
            return tuple(public() or ())
        inner = cast("Any", self._tls)._sslobj
        return tuple(bytes(one.public_bytes(_DER)) for one in inner.get_unverified_chain() or ())

    @property
    def version(self) -> str:
        """The TLS version agreed on (``TLSv1.3``); empty before the server has chosen one."""
        return self._tls.version() or _chosen(self.head)

    @property
    def cipher(self) -> str:
        """The cipher suite agreed on, as OpenSSL calls it."""
        cipher = self._tls.cipher()
        return cipher[0] if cipher else ""

    @property
    def alpn(self) -> str:
        """The application protocol agreed on; empty where none was."""
        return self._tls.selected_alpn_protocol() or ""


def _chosen(head: bytes) -> str:
    """The version that a ``ServerHello`` at the beginning names: OpenSSL tells it only of a whole handshake."""
    if len(head) < 11 or head[0] != _RECORD_HANDSHAKE or head[5] != _SERVER_HELLO:
        return ""
    return "TLSv1.3" if _SAYS_1_3 in head[:256] else _VERSIONS.get(head[9:11], "")
