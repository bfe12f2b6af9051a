"""A small HTTP server on a real socket in a thread of its own, for tests that talk to it from async code, from
sync code or from another process. What it answers is a function of the request, down to the bytes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    import ssl

MAX_HEAD = 1 << 20


@dataclass(frozen=True)
class Asked:
    """A request as it came in. ``params`` holds the query's and a form's parameters, in their order."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The path without the query."""
        return urlsplit(self.target).path

    @property
    def params(self) -> list[tuple[str, str]]:
        """The parameters of the query and of a form."""
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True) + parse_qsl(
            self.body.decode("latin-1"), keep_blank_values=True
        )

    def param(self, name: str) -> str | None:
        """The first parameter of that name."""
        return dict(reversed(self.params)).get(name)


Handler = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


async def send(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes = b"",
    content_type: str | None = "application/json",
    headers: Mapping[str, str] | None = None,
) -> None:
    """Write a whole answer; Content-Length is computed."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
    await writer.drain()


async def _turns() -> None:
    """Let the loop turn a few times."""
    for _ in range(5):
        await asyncio.sleep(0)


@dataclass
class Server:
    """Serves ``handler`` on 127.0.0.1 while the ``with`` block runs. ``asked`` are the requests so far. With ``raw``
    it answers with these bytes whatever comes first, be it a request or not; with ``socket`` it listens on that Unix
    socket instead."""

    handler: Handler
    tls: ssl.SSLContext | None = None
    raw: bytes | None = None
    asked: list[Asked] = field(default_factory=list)
    port: int = 0
    socket: str | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10), "the test server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive(), "the test server did not stop"

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(lambda _loop, _context: None)  # a TLS handshake that the client refuses
        self._open: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        if self.socket is not None:
            server = await asyncio.start_unix_server(self._accept, self.socket, limit=MAX_HEAD)
        else:
            server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.tls, limit=MAX_HEAD)
            self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        for listening in server.sockets:
            self._loop.remove_reader(listening.fileno())
        # A connection that was accepted just now begins to be served, so that it can be ended: were the server closed
        # at once, asyncio would drop it half made.
        await _turns()
        server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()  # closing waits for a client to read what is left; none does any more
        await _turns()  # what was closed is closed only at the loop's next turn

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self._writers.append(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while await self._exchange(reader, writer):
                    pass
        except asyncio.CancelledError:
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if self.raw is not None:
            await reader.read(65536)
            writer.write(self.raw)
            return False
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = first.split(" ", 2)
        asked = Asked(method, target, headers, body)
        self.asked.append(asked)
        await self.handler(asked, writer)
        return not writer.is_closing()
