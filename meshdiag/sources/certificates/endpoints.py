"""Asks servers for their certificates: connects, says what the protocol wants said first, shakes hands, and hangs up.

Many are asked at once, a bounded number at a time, each within its own limit of time; whatever goes wrong with one is
one sentence in its ``Found``. What a server has sent before the handshake failed is still shown: a server that demands
a client certificate has shown its own by then.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshdiag.sources.certificates.certificate import Found
from meshdiag.sources.certificates.decoding import read_certificates
from meshdiag.sources.certificates.handshake import Handshake, looking_context
from meshdiag.sources.certificates.refusals import after_chain, closed, of_handshake, of_socket, stalled
from meshdiag.sources.certificates.starttls import DIALOGUES, Declined
from meshdiag.sources.resolving import Resolver, split_address

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshdiag.sources.certificates.certificate import Certificate, Malformed

AT_ONCE = 100
"""Handshakes under way at the same time."""
CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """A server to ask. ``address`` is ``host:port``. ``server_name`` is told to it (SNI) and is what its certificate
    must be valid for; empty: the host of the address. ``starttls``: one of ``DIALOGUES``. ``client_cert``: the files
    of a certificate and its key, shown to a server that asks for one."""

    address: str
    server_name: str = ""
    starttls: str = ""
    alpn: tuple[str, ...] = ()
    client_cert: tuple[str, str] | None = None


async def fetch(
    endpoints: Sequence[Wanted],
    *,
    timeout_s: float = 5.0,
    at_once: int = AT_ONCE,
    on_answer: Callable[[Found], None] | None = None,
) -> tuple[Found, ...]:
    """The certificates of these servers, in the order asked, each within ``timeout_s`` seconds of its turn.

    Never raises for a server: see ``Found.trouble``. ``on_answer`` is told of each as it is done.
    """
    look = _Look(timeout_s, asyncio.Semaphore(at_once))

    async def one(wanted: Wanted) -> Found:
        found = await look.at(wanted)
        if on_answer is not None:
            on_answer(found)
        return found

    return tuple(await asyncio.gather(*map(one, endpoints)))


@dataclass(slots=True)
class _Look:
    """One call of ``fetch``: its bounds, the names it has looked up, the contexts it has made."""

    timeout_s: float
    slots: asyncio.Semaphore
    resolver: Resolver = field(default_factory=Resolver)
    contexts: dict[tuple[object, ...], ssl.SSLContext] = field(default_factory=dict)
    read: dict[bytes, Certificate | Malformed] = field(default_factory=dict)

    async def at(self, wanted: Wanted) -> Found:
        kind = "starttls" if wanted.starttls else "tls"
        host = wanted.server_name
        try:
            place = split_address(wanted.address)
            host = host or place[0]
            if wanted.starttls and wanted.starttls not in DIALOGUES:
                raise Declined(f"STARTTLS is not known here for {wanted.starttls!r}, only for {', '.join(DIALOGUES)}")
            self.context(wanted)
        except (ValueError, Declined, OSError) as error:  # ssl.SSLError is an OSError
            return Found(wanted.address, kind, host=host, trouble=_of_preparing(error, wanted))
        async with self.slots:
            return await _Visit(self, wanted, place, host, Line(self.timeout_s)).found()

    def context(self, wanted: Wanted, *, older: bool = False) -> ssl.SSLContext:
        """The context for one server; ``older``: without TLS 1.3."""
        key = (wanted.alpn, wanted.client_cert, older)
        if key not in self.contexts:
            self.contexts[key] = looking_context(wanted.alpn, wanted.client_cert, older=older)
        return self.contexts[key]

    def certificates(self, ders: Sequence[bytes]) -> tuple[Certificate | Malformed, ...]:
        """Each read once: servers of one mesh send the same intermediates."""
        new = [der for der in ders if der not in self.read]
        self.read.update(zip(new, read_certificates(new), strict=True))
        return tuple(self.read[der] for der in ders)


@dataclass(slots=True)
class _Visit:
    """One server being asked."""

    look: _Look
    wanted: Wanted
    place: tuple[str, int]
    host: str
    line: Line
    shake: Handshake | None = None

    async def found(self) -> Found:
        trouble = ""
        try:
            async with asyncio.timeout(self.look.timeout_s):
                trouble = await self._shake()
                if self.shake is not None and self.shake.refused and not self.shake.chain():
                    # Such as a key that is too short for a signature of TLS 1.3 shows itself in an older one.
                    trouble = await self._shake(older=True)
        except TimeoutError as error:
            late = stalled(self.look.timeout_s, self.line.received, self.wanted.starttls)
            trouble = late if self.line.connected else of_socket(error, self.look.timeout_s)
        except (OSError, ValueError) as error:
            shown = self.shake is not None and self.shake.chain()
            trouble = after_chain(error) if shown else of_socket(error, self.look.timeout_s)
        except Declined as error:
            trouble = str(error)
        finally:
            self.line.close()
        return self._found(trouble)

    async def _shake(self, *, older: bool = False) -> str:
        """Connect, ask for TLS, shake hands. What went wrong is returned, if anything of weight did."""
        await self.line.connect(self.look.resolver, *self.place)
        if self.wanted.starttls:
            await DIALOGUES[self.wanted.starttls](self.line)
        context = self.look.context(self.wanted, older=older)
        try:
            self.shake = Handshake(context, _server_name(self.host))
        except ValueError:
            raise Declined(f"{self.host!r} cannot be the name of a server") from None
        return await _shake(self.shake, self.line)

    def _found(self, trouble: str) -> Found:
        kind = "starttls" if self.wanted.starttls else "tls"
        if self.shake is None:
            return Found(self.wanted.address, kind, host=self.host, trouble=trouble)
        return Found(
            self.wanted.address,
            kind,
            chain=self.look.certificates(self.shake.chain()),
            host=self.host,
            tls_version=self.shake.version,
            trouble=trouble,
            cipher=self.shake.cipher,
            alpn=self.shake.alpn,
        )


async def _shake(shake: Handshake, line: Line) -> str:
    """Shake hands to the end, and say goodbye. What went wrong is returned, if anything of weight did."""
    await line.send(shake.step())
    while not shake.over:
        received = await line.receive()
        if not received and shake.chain():
            return ""  # it shows its own certificate, and hangs up on one that shows none
        if not received:
            return closed(line.received, shake.head)
        answer = shake.step(received)
        if shake.over and shake.complete:
            answer += shake.goodbye()
        await line.send(answer)
    if shake.failed is None:
        return ""
    return after_chain(shake.failed) if shake.chain() else of_handshake(shake.failed, shake.head)


def _server_name(host: str) -> str:
    """The name for SNI, which has no place for IP addresses (RFC 6066, 3)."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.rstrip(".")
    return ""


def _of_preparing(error: Exception, wanted: Wanted) -> str:
    if isinstance(error, (ssl.SSLError, OSError)) and wanted.client_cert is not None:
        said = getattr(error, "reason", None) or error.strerror or "not a pair"
        return f"the client certificate {wanted.client_cert[0]} and its key cannot be used ({said})"
    return str(error)


class Line:
    """A TCP connection that counts what comes."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._loop = asyncio.get_running_loop()
        self.connected = False
        self.received = 0

    async def connect(self, resolver: Resolver, host: str, port: int) -> None:
        """Connect to the first place of the host that answers. Raises ``OSError`` (of the first) or ``ValueError``."""
        self.close()
        self.connected, self.received = False, 0
        places = await resolver.resolve(host, port, self._timeout_s)
        first: OSError | None = None
        for place in places:
            self._socket = socket.socket(place[0], socket.SOCK_STREAM)
            self._socket.setblocking(False)
            try:
                async with asyncio.timeout(self._timeout_s / len(places)):
                    await self._loop.sock_connect(self._socket, place[1])
            except OSError as error:
                first = first or error
                self.close()
                continue
            self.connected = True
            return
        raise first or OSError("the name stands for no address")

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        if data and self._socket is not None:
            await self._loop.sock_sendall(self._socket, data)

    async def receive(self) -> bytes:
        """What has come; nothing when the server has hung up."""
        if self._socket is None:
            return b""
        data = await self._loop.sock_recv(self._socket, CHUNK)
        self.received += len(data)
        return data

    def close(self) -> None:
        """Hang up, if connected."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
