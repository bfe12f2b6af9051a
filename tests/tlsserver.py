"""TLS servers on real sockets, right and wrong in every way that a handshake can be.

with tls_server(chain=[leaf, intermediate], key=leaf) as address:
    ...
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.minting import Minted

LONGEST_S = 20.0


@contextlib.contextmanager
def listening(handle: Callable[[socket.socket], None], family: socket.AddressFamily = socket.AF_INET) -> Iterator[str]:
    """A port of which each connection is given to ``handle``, in a thread of its own; its address."""
    host = "127.0.0.1" if family is socket.AF_INET else "::1"
    threads: list[threading.Thread] = []
    with socket.create_server((host, 0), family=family, backlog=256) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.settimeout(LONGEST_S)
                thread = threading.Thread(target=one, args=(connection,), daemon=True)
                threads.append(thread)
                thread.start()

        def one(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                handle(connection)

        accepting = threading.Thread(target=serve, daemon=True)
        accepting.start()
        port = listener.getsockname()[1]
        try:
            yield f"{host}:{port}" if family is socket.AF_INET else f"[{host}]:{port}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join(LONGEST_S)
            for thread in threads:
                thread.join(LONGEST_S)


def server_context(chain: Sequence[Minted], *, weak: bool = False) -> ssl.SSLContext:
    """A server's context that sends these certificates; the first one's key is its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chain.pem"
        path.write_bytes(chain[0].key_pem + b"".join(one.pem for one in chain))
        return context_of_files(path, None, weak=weak)


def context_of_files(certificates: Path, key: Path | None, *, weak: bool = False) -> ssl.SSLContext:
    """The same of files. ``weak``: with everything that OpenSSL can still be brought to do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if weak:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.load_cert_chain(certificates, key)
    return context


@contextlib.contextmanager
def tls_server(
    context: ssl.SSLContext,
    *,
    before: Callable[[socket.socket], None] | None = None,
    family: socket.AddressFamily = socket.AF_INET,
) -> Iterator[str]:
    """A server that shakes hands and then waits for the end; ``before`` talks in plain text first."""

    def handle(connection: socket.socket) -> None:
        if before is not None:
            before(connection)
        with context.wrap_socket(connection, server_side=True) as wrapped:
            wrapped.recv(1)

    with listening(handle, family) as address:
        yield address


def talk(*lines: tuple[bytes, bytes]):
    """A dialogue in plain text: what is said first, then for each line received an answer."""

    def before(connection: socket.socket) -> None:
        for expected, said in lines:
            if expected:
                heard = connection.recv(4096)
                assert expected in heard, heard
            connection.sendall(said)

    return before


DIALOGUES = {
    "smtp": talk(
        (b"", b"220-mail\r\n220 ESMTP\r\n"),
        (b"EHLO", b"250-mail\r\n250-STARTTLS\r\n250 SIZE\r\n"),
        (b"STARTTLS", b"220 go\r\n"),
    ),
    "imap": talk((b"", b"* OK IMAP4rev1\r\n"), (b"a1 STARTTLS", b"* note\r\na1 OK begin\r\n")),
    "pop3": talk((b"", b"+OK POP3\r\n"), (b"STLS", b"+OK begin\r\n")),
    "ldap": talk((b"1.3.6.1.4.1.1466.20037", bytes.fromhex("300c02010178070a010004000400"))),
    "postgres": talk((bytes.fromhex("04d2162f"), b"S")),
}
"""By protocol: what a server says and hears before TLS begins."""
