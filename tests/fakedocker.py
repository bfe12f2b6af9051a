"""A Docker engine of our own making, for what a real one seldom does: it answers as one, down to the bytes, and its
logs and events are whatever a test wants, faults included."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from tests.serving import Asked, send

STAMP = "2026-11-22T11:00:{:02d}.000000000Z"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n\r\n"


def frame(content: bytes, stream: int = 1) -> bytes:
    """A frame of the multiplexed stream."""
    return bytes([stream, 0, 0, 0]) + len(content).to_bytes(4, "big") + content


def line(second: int, text: str, stream: int = 1) -> bytes:
    """A frame that holds one stamped line."""
    return frame(f"{STAMP.format(second)} {text}\n".encode(), stream)


Log = Callable[[Asked], AsyncIterator[bytes]]


def saying(*pieces: bytes) -> Log:
    """A log that is sent in these pieces, then ends."""

    async def log(_: Asked) -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece
            await asyncio.sleep(0)

    return log


@dataclass
class FakeContainer:
    """A container: what is told of it, and what its log is (a function of the request)."""

    name: str
    log: Log
    tty: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    running: bool = True
    started: str = "2026-11-22T10:00:00Z"
    driver: str = "json-file"

    @property
    def id(self) -> str:
        """An id made of the name."""
        return self.name.encode().hex().ljust(64, "0")[:64]


@dataclass
class FakeEngine:
    """The engine's handler for ``tests.serving.Server``. ``overrides`` answer a path's end instead of it; ``changed``
    lets an event out."""

    containers: list[FakeContainer]
    version: tuple[str, str] = ("1.41", "1.12")
    overrides: dict[str, Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]] = field(default_factory=dict)
    events: int = 0

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        for end, override in self.overrides.items():
            if asked.path.endswith(end):
                await override(asked, writer)
                return
        path = asked.path.split("/")
        if path[-1] == "version":
            await _json(writer, {"ApiVersion": self.version[0], "MinAPIVersion": self.version[1]})
        elif path[-1] == "events":
            await self._tell(writer)
        elif path[-2:] == ["containers", "json"]:
            await _json(writer, [self._listed(one) for one in self.containers])
        else:
            await self._about(path[-2], path[-1], asked, writer)

    async def _about(self, identity: str, what: str, asked: Asked, writer: asyncio.StreamWriter) -> None:
        one = next((one for one in self.containers if one.id == identity), None)
        if one is None:
            await _json(writer, {"message": f"No such container: {identity}"}, 404)
        elif what == "json":
            state = {"Running": one.running, "StartedAt": one.started}
            config = {"LogConfig": {"Type": one.driver}}
            await _json(writer, {"Config": {"Tty": one.tty}, "HostConfig": config, "State": state})
        else:
            writer.write(HEAD)
            async for piece in one.log(asked):
                writer.write(piece)
                await writer.drain()
            writer.close()

    async def _tell(self, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        told = self.events
        while True:
            await writer.drain()
            if told != self.events:
                told = self.events
                writer.write(b'{"Type":"container","Action":"start"}\n')
            await asyncio.sleep(0.02)

    @staticmethod
    def _listed(one: FakeContainer) -> dict[str, object]:
        state = "running" if one.running else "exited"
        return {"Id": one.id, "Names": [f"/{one.name}"], "State": state, "Labels": one.labels}


async def _json(writer: asyncio.StreamWriter, body: object, status: int = 200) -> None:
    await send(writer, status, json.dumps(body).encode())
