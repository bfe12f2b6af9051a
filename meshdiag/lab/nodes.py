"""Serves the simulated nodes: for each a metrics page over HTTP and a peer port that speaks TLS, on loopback or on a
machine of its own.

All of them live in one event loop. A node that is down keeps its ports reserved and closed: connections are
refused, and nobody else can take the port.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import resource
import socket
import time
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, cast

from meshdiag.lab.network.namespaces import HOST
from meshdiag.lab.pages import page
from meshdiag.lab.peerport import PeerConnection, PeerPort

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshdiag.lab.certificates import Authority
    from meshdiag.lab.network.namespaces import Place
    from meshdiag.lab.pages import Page
    from meshdiag.lab.simulation import Mesh, Node

LOOPBACK = "127.0.0.1"
LARGEST_HEAD = 16_384
BACKLOG = 256
IPV6_FREEBIND = 78
"""Linux: bind to an address that is not there yet."""


@dataclass(frozen=True, slots=True)
class ServedNode:
    """Where a node can be found. ``instance`` is its Prometheus label (``host:port``), ``peer`` its
    peer-to-peer address, ``blackbox`` the URL of the exporter that probes from where it is, if there is one."""

    name: str
    role: str
    instance: str
    url: str
    peer: str
    up: bool = True
    blackbox: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a node listens: its addresses there, the one it is known by first, and its ports, 0 for any."""

    addresses: tuple[str, ...] = (LOOPBACK,)
    metrics_port: int = 0
    peer_port: int = 0
    place: Place = HOST


class NodeServers:
    """The listeners of a mesh. ``site`` says where a node listens, ``clock`` answers the present moment (seconds since
    the epoch)."""

    def __init__(
        self,
        mesh: Mesh,
        authority: Authority,
        site: Callable[[Node], Site] = lambda _node: Site(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.mesh = mesh
        self.authority = authority
        self.site = site
        self.clock = clock
        self.nodes: tuple[ServedNode, ...] = ()
        self._servers: list[asyncio.Server] = []
        self._reserved: list[socket.socket] = []
        self._connections: set[asyncio.Transport] = set()

    async def start(self) -> None:
        """Open every listener."""
        raise_file_limit()
        self.nodes = tuple([await self._serve(node) for node in self.mesh.nodes])

    async def close(self) -> None:
        """Close every listener and connection."""
        for server in self._servers:
            server.close()
        for transport in list(self._connections):
            transport.abort()
        for held in self._reserved:
            held.close()
        await asyncio.sleep(0)  # the loop closes the aborted sockets on its next turn

    async def _serve(self, node: Node) -> ServedNode:
        site, pages = self.site(node), _Pages(node, self.mesh.origin)
        late_s = node.answers_late_s if site.place is HOST else 0.0
        port = PeerPort(node, site.addresses, self.authority, self.mesh.origin, late_s)
        instance = await self._listen(node, site, site.metrics_port, lambda: _HttpConnection(self, pages))
        peer = await self._listen(node, site, site.peer_port, lambda: PeerConnection(self, port))
        return ServedNode(node.name, node.role.value, instance, f"http://{instance}/metrics", peer, not node.is_down)

    async def _listen(self, node: Node, site: Site, port: int, factory: Callable[[], asyncio.Protocol]) -> str:
        """Listen at a site's addresses and return the first of them with its port; a dead node's are bound but
        refuse."""
        for address in site.addresses:
            bound = bound_socket(site.place, address, port)
            port = int(bound.getsockname()[1])
            if node.is_down:
                self._reserved.append(bound)
            else:
                loop = asyncio.get_running_loop()
                self._servers.append(await loop.create_server(factory, sock=bound, backlog=BACKLOG))
        return f"{site.addresses[0]}:{port}"

    def opened(self, transport: asyncio.Transport) -> None:
        """Remember a connection, so that it can be ended with the lab."""
        self._connections.add(transport)

    def closed(self, transport: asyncio.Transport | None) -> None:
        """Forget a connection."""
        if transport is not None:
            self._connections.discard(transport)


def bound_socket(place: Place, address: str, port: int) -> socket.socket:
    """A socket that has an address of a place, and that stays there."""
    with place.entered():
        bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    if place is not HOST and ":" in address:
        # A new IPv6 address is the machine's own only a moment after it was given.
        bound.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    bound.bind((address, port))
    bound.setblocking(False)
    return bound


def raise_file_limit() -> None:
    """Let this process hold as many sockets as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _Pages:
    """A node's pages in both formats, made when first asked for."""

    def __init__(self, node: Node, origin: float) -> None:
        self.node, self.origin = node, origin
        self._made: dict[bool, Page] = {}

    def get(self, openmetrics: bool) -> Page:
        made = self._made.get(openmetrics)
        if made is None:
            made = self._made[openmetrics] = page(self.node, self.origin, openmetrics)
        return made


class _HttpConnection(asyncio.Protocol):
    """One HTTP/1.1 connection to a node: GET and HEAD of ``/metrics``, kept alive, gzip where asked for."""

    def __init__(self, servers: NodeServers, pages: _Pages) -> None:
        self.servers, self.pages = servers, pages
        self.transport: asyncio.Transport | None = None
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.servers.opened(self.transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.servers.closed(self.transport)

    def data_received(self, data: bytes) -> None:
        self.received += data
        while self.transport is not None and not self.transport.is_closing():
            head, end, rest = self.received.partition(b"\r\n\r\n")
            if not end:
                if len(self.received) > LARGEST_HEAD:
                    self._send("431 Request Header Fields Too Large", b"", closing=True)
                return
            self.received = rest
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        line, *fields = head.decode("latin-1").split("\r\n")
        method, _, target = line.partition(" ")
        target, _, version = target.partition(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in fields)}
        closing = headers.get("connection", "").lower() == "close" or version != "HTTP/1.1"
        body_only = method == "GET"
        if method not in ("GET", "HEAD"):
            self._send("405 Method Not Allowed", b"Method not allowed\n", closing=True)
        elif target.partition("?")[0] != "/metrics":
            self._send(
                "404 Not Found", b"Not found; the metrics are at /metrics\n", closing=closing, body_sent=body_only
            )
        else:
            self._send_page(headers, closing, body_only)

    def _send_page(self, headers: dict[str, str], closing: bool, body_sent: bool) -> None:
        page_ = self.pages.get("application/openmetrics-text" in headers.get("accept", ""))
        body = page_.render(self.servers.clock())
        more = "Vary: Accept, Accept-Encoding\r\n"
        if "gzip" in headers.get("accept-encoding", ""):
            body = gzip.compress(body, compresslevel=1, mtime=0)
            more += "Content-Encoding: gzip\r\n"
        self._send("200 OK", body, page_.content_type, closing=closing, body_sent=body_sent, more=more)

    def _send(
        self,
        status: str,
        body: bytes,
        content_type: str = "text/plain; charset=utf-8",
        *,
        closing: bool = False,
        body_sent: bool = True,
        more: str = "",
    ) -> None:
        assert self.transport is not None
        date = formatdate(self.servers.clock() + self.pages.node.clock_ahead_s, usegmt=True)
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nDate: {date}\r\n"
            f"{more}{'Connection: close' if closing else 'Connection: keep-alive'}\r\n\r\n"
        )
        self.transport.write(head.encode("latin-1") + (body if body_sent else b""))
        if closing:
            self.transport.close()
