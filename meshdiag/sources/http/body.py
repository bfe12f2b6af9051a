"""A body as it comes in: decompressed on the way and bounded in size, so that a small answer cannot unfold
into one that fills the memory."""

from __future__ import annotations

import zlib

COMPRESSED = ("gzip", "x-gzip", "deflate")
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class BodyTooLarge(Exception):
    """The body is over its limit. ``Body.content`` holds what fits."""


class BodyBroken(Exception):
    """Compression that is broken, or that nobody asked for. The text continues "its answer "."""


class Body:
    """Collects chunks up to ``limit`` bytes after decompression. Raises ``BodyBroken``."""

    def __init__(self, limit: int, encoding: str = "") -> None:
        encoding = encoding.strip().lower()
        if encoding not in ("", "identity", *COMPRESSED):
            raise BodyBroken(f"is compressed as {encoding[:20]!r}, which was not asked for")
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._inflate = zlib.decompressobj(GZIP_OR_ZLIB) if encoding in COMPRESSED else None
        self._fed = False

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk. Raises ``BodyTooLarge``, ``BodyBroken``."""
        if self._inflate is None:
            self._keep(chunk)
            return
        while chunk:
            self._fed = True
            try:
                self._keep(self._inflate.decompress(chunk, self._limit - self._size + 1))
            except zlib.error as error:
                raise BodyBroken("does not decompress") from error
            chunk = self._inflate.unconsumed_tail
            if self._inflate.eof and self._inflate.unused_data:
                chunk = self._inflate.unused_data
                self._inflate = zlib.decompressobj(GZIP_OR_ZLIB)

    def _keep(self, part: bytes) -> None:
        room = self._limit - self._size
        self._parts.append(part[:room])
        self._size += len(part)
        if self._size > self._limit:
            raise BodyTooLarge

    @property
    def whole(self) -> bool:
        """Whether compressed data came to its end."""
        return self._inflate is None or self._inflate.eof or not self._fed

    @property
    def content(self) -> bytes:
        """What came so far."""
        return b"".join(self._parts)
