"""Small HTTP servers over real sockets that answer as nodes do, or as broken nodes do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshdiag.context import NodeAddress

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@dataclass
class FakeNode:
    """A node whose answer is made by ``answer(number_of_the_request)``: bytes as they go over the wire."""

    answer: Callable[[int], bytes]
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    open_now: int = 0
    open_most: int = 0
    delay_s: float = 0.0

    def address(self, name: str = "", role: str = "") -> NodeAddress:
        """The node as the configuration would list it."""
        return NodeAddress(f"http://127.0.0.1:{self.port}/metrics", f"127.0.0.1:{self.port}", name=name, role=role)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        self.open_now += 1
        self.open_most = max(self.open_most, self.open_now)
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(request)
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            writer.write(self.answer(len(self.requests)))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_now -= 1
            writer.close()


def page(
    body: str | bytes, *, status: str = "200 OK", kind: str = "text/plain; version=0.0.4", extra: str = ""
) -> bytes:
    """A whole HTTP response."""
    raw = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(raw)}\r\n{extra}\r\n"
    return head.encode() + raw


@asynccontextmanager
async def served(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on a free port of the loopback address; gives the port."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def running(*nodes: FakeNode) -> AsyncIterator[tuple[FakeNode, ...]]:
    """Several fake nodes, each on a port of its own."""
    if not nodes:
        yield ()
        return
    first, *others = nodes
    async with served(first.serve) as port:
        first.port = port
        async with running(*others) as rest:
            yield (first, *rest)
