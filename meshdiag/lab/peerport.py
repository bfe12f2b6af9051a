"""A peer port: TLS with the node's own certificate, a line of greeting, then silence until the other side goes.

The certificate is minted at the first handshake: a lab of two thousand nodes starts as fast as before, and a
port that is only connected to costs nothing.
"""

from __future__ import annotations

import asyncio
import ssl
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, cast

from meshdiag.lab.certificates import leaf_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.lab.certificates import Authority
    from meshdiag.lab.simulation import Node

READ_AT_ONCE = 65_536


class Connections(Protocol):
    """Knows which connections are open, so that they end with the lab."""

    def opened(self, transport: asyncio.Transport) -> None:
        """Remember a connection."""

    def closed(self, transport: asyncio.Transport | None) -> None:
        """Forget a connection."""


class PeerPort:
    """What all connections to one node's peer port share. ``addresses`` are those the node is reached under; whatever
    it says comes ``late_s`` seconds later than it could."""

    def __init__(
        self, node: Node, addresses: Sequence[str], authority: Authority, origin: float, late_s: float = 0.0
    ) -> None:
        self.node, self.late_s = node, late_s
        self._addresses, self._authority, self._origin = addresses, authority, origin

    @cached_property
    def context(self) -> ssl.SSLContext:
        """What the node serves TLS with."""
        return self._authority.context(leaf_of(self.node, self._addresses, self._origin), self.node.name)


class PeerConnection(asyncio.Protocol):
    """One connection to a peer port. A client that speaks no TLS is told so by a TLS alert, and left."""

    def __init__(self, connections: Connections, port: PeerPort) -> None:
        self.connections, self.port = connections, port
        self.transport: asyncio.Transport | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._greeted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.connections.opened(self.transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.connections.closed(self.transport)

    def data_received(self, data: bytes) -> None:
        if self._tls is None:
            self._tls = self.port.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._incoming.write(data)
        over = self._go_on(self._tls)
        if self.port.late_s:
            asyncio.get_running_loop().call_later(self.port.late_s, self._send, self._outgoing.read(), over)
        else:
            self._send(self._outgoing.read(), over)

    def _go_on(self, tls: ssl.SSLObject) -> bool:
        """Shake hands and greet, or read on; whether the conversation is over."""
        try:
            if not self._greeted:
                tls.do_handshake()
                self._greeted = True
                tls.write(f"agent-mesh/1 {self.port.node.name}\n".encode())
            while tls.read(READ_AT_ONCE):
                pass
            tls.unwrap()  # the other side has said that it goes
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:
            return True
        return True

    def _send(self, data: bytes, over: bool) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        self.transport.write(data)
        if over:
            self.transport.close()
