"""A GET over a Unix socket whose body goes on and on, in pieces as they come.

The engine sends every line of a log as a chunk of its own, which costs a general HTTP library more than all the rest
of reading it: here all chunks of a read come out as one piece. For anything but a log over a local socket (TLS,
proxies, redirects) there is ``sources/http``.
Source: RFC 9112 (HTTP/1.1), sections 2 to 8.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from meshdiag import __version__
from meshdiag.errors import Trouble
from meshdiag.sources.http.trouble import from_exception, from_status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from meshdiag.errors import SourceError
    from meshdiag.sources.http.trouble import Where

READ = 1 << 18
MAX_HEADER = 64 * 1024
ERROR_BODY = 64 * 1024
MAX_CHUNK_LINE = 4096


@contextlib.asynccontextmanager
async def get(
    socket: Path, target: str, where: Where, *, timeout_s: float, silence_s: float | None
) -> AsyncIterator[AsyncIterator[bytes]]:
    """The pieces of the body. ``timeout_s`` bounds the wait for the header, ``silence_s`` that for each piece (None:
    for ever). Raises ``SourceError``, also for a status that is no success."""
    writer: asyncio.StreamWriter | None = None
    try:
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_unix_connection(str(socket), limit=MAX_HEADER)
                writer.write(_request(target))
                status, body = await _head(reader)
                if not 200 <= status < 300:
                    raise from_status(status, await _error_body(reader, body), where)
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError) as error:
            raise _translated(error, where, timeout_s) from error
        yield _pieces(reader, body, where, silence_s)
    finally:
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _request(target: str) -> bytes:
    lines = (f"GET {target} HTTP/1.1", "Host: docker", f"User-Agent: meshdiag/{__version__}", "Connection: close")
    return "\r\n".join((*lines, "", "")).encode("ascii")


async def _head(reader: asyncio.StreamReader) -> tuple[int, Body]:
    """The status, and what reads the body. Raises ``ValueError`` for what is no HTTP."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdecimal():
        raise ValueError(f"illegal status line {first[:40]!r}")
    headers = {
        name.strip().lower(): value.strip().lower() for name, _, value in (line.partition(":") for line in lines)
    }
    length = headers.get("content-length", "")
    return int(rest[:3]), Body("chunked" in headers.get("transfer-encoding", ""), int(length) if length else None)


async def _error_body(reader: asyncio.StreamReader, body: Body) -> bytes:
    said = b""
    while not body.whole and len(said) < ERROR_BODY and (data := await reader.read(READ)):
        said += body.feed(data)
    return said[:ERROR_BODY]


async def _pieces(
    reader: asyncio.StreamReader, body: Body, where: Where, silence_s: float | None
) -> AsyncIterator[bytes]:
    while not body.whole:
        try:
            async with asyncio.timeout(silence_s):
                data = await reader.read(READ)
            piece = body.feed(data)
        except (OSError, ValueError) as error:
            raise _translated(error, where, silence_s or 0.0) from error
        if piece:
            yield piece
        if not data:
            if body.cut:
                raise _cut(where)
            return


def _translated(error: Exception, where: Where, timeout_s: float) -> SourceError:
    if isinstance(error, asyncio.LimitOverrunError | ValueError):
        said = str(error) if isinstance(error, ValueError) else "its header has no end"
        return where.error(Trouble.MALFORMED, f"its answer is not HTTP ({said})", "is this the socket of an engine?")
    return _cut(where) if isinstance(error, EOFError) else from_exception(error, where, timeout_s)


def _cut(where: Where) -> SourceError:
    return where.error(
        Trouble.TRUNCATED, "the connection ended before the answer was complete", "look at the daemon's log"
    )


class Body:
    """Takes a body as it comes off the wire: in chunks, of a known length, or up to the end of the connection."""

    def __init__(self, chunked: bool, length: int | None) -> None:
        self.whole = not chunked and length == 0
        self._chunked = chunked
        self._left = length if not chunked else 0
        self._rest = b""

    @property
    def cut(self) -> bool:
        """Whether the connection may not end here."""
        return not self.whole and (self._chunked or self._left is not None)

    def feed(self, data: bytes) -> bytes:
        """The content in these bytes. Raises ``ValueError`` for chunks that are none."""
        if self._chunked:
            return b"".join(self._chunks(data))
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
            self.whole = self._left == 0
        return data

    def _chunks(self, data: bytes) -> list[bytes]:
        """``_left`` counts what is missing of the present chunk, with the line end behind it."""
        data = self._rest + data
        self._rest = b""
        found: list[bytes] = []
        place = 0
        while place < len(data) and not self.whole:
            if self._left:
                part = data[place : place + self._left]
                place += len(part)
                # The last two bytes of what is left are the line end.
                found.append(part[: max(0, self._left - 2)])
                self._left -= len(part)
                continue
            end = data.find(b"\r\n", place)
            if end < 0:
                if len(data) - place > MAX_CHUNK_LINE:
                    raise ValueError("a chunk without its size")
                self._rest = data[place:]
                break
            size = int(data[place:end].partition(b";")[0], 16)
            if size < 0:
                raise ValueError("a chunk of a negative size")
            place = end + 2
            self.whole = size == 0
            self._left = size + 2
        return found
