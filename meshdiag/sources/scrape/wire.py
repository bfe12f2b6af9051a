"""HTTP/1.1 responses, read from bytes as they arrive: no sockets here.

Only what a scrape needs: one response a connection; content-length, chunked and close-delimited bodies; bounded
header and body.
Source: RFC 9112 (HTTP/1.1), sections 2 to 8.
"""

from __future__ import annotations

from msgspec import Struct

from meshdiag.sources.http.failures import RemoteProtocolError

MAX_HEADER = 65_536
"""Longest status line and header together, in bytes."""
MAX_CHUNK_LINE = 4096


class TooLarge(RemoteProtocolError):
    """The body is longer than it may be."""


class Answer(Struct, frozen=True):
    """A whole response. ``headers`` have lower-case names; of a name that stands twice the values are joined."""

    status: int
    headers: dict[str, str]
    body: bytes


class ResponseReader:
    """Takes the bytes of one response. ``limit`` bounds the body in bytes."""

    __slots__ = ("_body", "_buffer", "_chunked", "_end", "_head", "_left", "_limit", "_size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._head: tuple[int, dict[str, str]] | None = None
        self._chunked = False
        self._end: int | None = None
        self._body: list[bytes] = []
        self._left = -1
        """Bytes still missing of the present chunk; -1 when the next thing is a chunk's size."""
        self._size = 0

    def feed(self, data: bytes) -> bool:
        """Take bytes; whether the response is complete. Raises ``RemoteProtocolError``."""
        buffer = self._buffer
        buffer += data
        while self._head is None:
            cut = buffer.find(b"\r\n\r\n")
            if cut < 0:
                if len(buffer) > MAX_HEADER:
                    raise RemoteProtocolError(f"header longer than {MAX_HEADER} bytes")
                if len(buffer) >= 5 and not buffer.startswith(b"HTTP/"):
                    raise RemoteProtocolError("illegal status line")
                return False
            self._take_head(bytes(buffer[:cut]))
            del buffer[: cut + 4]
        if self._chunked:
            return self._take_chunks()
        if len(buffer) > self._limit:
            raise TooLarge(f"body longer than {self._limit} bytes")
        return self._end is not None and len(buffer) >= self._end

    def finish(self) -> None:
        """The server has closed the connection. Raises ``RemoteProtocolError`` when something is missing."""
        if self._head is None:
            raise RemoteProtocolError("Server disconnected without sending a response.")
        if self._chunked and self._left != -2:
            raise RemoteProtocolError("peer closed connection without sending complete message body (chunked)")
        if not self._chunked and self._end is not None and len(self._buffer) < self._end:
            raise RemoteProtocolError(
                f"peer closed connection without sending complete message body "
                f"(received {len(self._buffer)} bytes, expected {self._end})"
            )

    @property
    def answer(self) -> Answer:
        """The response, once it is complete."""
        assert self._head is not None
        status, headers = self._head
        body = b"".join(self._body) if self._chunked else bytes(self._buffer[: self._end])
        return Answer(status, headers, body)

    def _take_head(self, head: bytes) -> None:
        parts = head.partition(b"\r\n")[0].split(b" ", 2)
        if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not (parts[1].isdigit() and len(parts[1]) == 3):
            raise RemoteProtocolError("illegal status line")
        status = int(parts[1])
        if 100 <= status < 200:  # informational: the real one follows
            return
        headers: dict[str, str] = {}
        for line in head.decode("latin-1").split("\r\n")[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or name[0] in " \t":
                raise RemoteProtocolError("illegal header line")
            name, value = name.lower(), value.strip(" \t")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        self._head = (status, headers)
        self._chunked = headers.get("transfer-encoding", "").lower().endswith("chunked")
        if status in (204, 304):
            self._chunked, self._end = False, 0
        elif not self._chunked and "content-length" in headers:
            self._end = self._length(headers["content-length"])

    def _length(self, text: str) -> int:
        sizes = {one.strip() for one in text.split(",")}
        size = sizes.pop()
        if sizes or not (size.isascii() and size.isdigit()):
            raise RemoteProtocolError("bad Content-Length")
        if len(size) > 18 or int(size) > self._limit:
            raise TooLarge(f"body longer than {self._limit} bytes")
        return int(size)

    def _take_chunks(self) -> bool:
        buffer = self._buffer
        while self._left != -2:
            if self._left < 0:
                cut = buffer.find(b"\r\n")
                if cut < 0:
                    if len(buffer) > MAX_CHUNK_LINE:
                        raise RemoteProtocolError("illegal chunk header")
                    return False
                self._left = self._chunk_size(bytes(buffer[:cut]))
                del buffer[: cut + 2]
                if self._left == 0:
                    self._left = -2
                continue
            if len(buffer) < self._left + 2:
                return False
            self._body.append(bytes(buffer[: self._left]))
            del buffer[: self._left + 2]
            self._left = -1
        return True

    def _chunk_size(self, line: bytes) -> int:
        text = line.partition(b";")[0].strip()
        try:
            if not text or len(text) > 16 or text[:1] in b"+-" or b"_" in text:
                raise ValueError
            size = int(text, 16)
        except ValueError:
            raise RemoteProtocolError("illegal chunk header") from None
        self._size += size
        if self._size > self._limit:
            raise TooLarge(f"body longer than {self._limit} bytes")
        return size
