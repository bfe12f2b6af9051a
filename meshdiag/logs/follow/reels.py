"""Files held open while they grow: their whole lines as they come, and the proof that nothing was taken away before.

A *reel* is one file, wherever its name has gone. Each read asks for the last bytes of the read before it as well:
where these are no longer what they were, the file was cut and grew again between two looks, even where its size
says nothing. They are asked for once more after it, for a file may be cut and grow again during a read as well.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshdiag.logs.follow.watching import Watch
    from meshdiag.logs.tally import Tally

HEAD = 1024
"""Bytes of a file's start by which it is known again: under another name, in a copy, compressed."""
TRAIL = 256
"""Bytes before the place of reading that must still be there at the next read."""
BLOCK = 1024 * 1024
LINE = 1024 * 1024
"""Of a longer line, this much is kept."""

Identity = tuple[int, int]
"""Device and inode."""


class CutError(Exception):
    """What was read of a file is no longer in it: it was truncated, and may have grown again."""


@dataclass(slots=True)
class Known:
    """What was read of a file. ``pending`` is the start of a line whose end was not there; ``whole``: nothing of the
    file is left to read."""

    head: bytes
    position: int
    trail: bytes
    pending: bytes
    whole: bool


@dataclass(slots=True)
class Shared:
    """What all followed names use. ``held``: the files that some name reads now, so that none reads another's."""

    watch: Watch
    tally: Tally
    held: set[Identity] = field(default_factory=set)
    buffer: bytearray = field(default_factory=lambda: bytearray(TRAIL + BLOCK))


class Lines:
    """Cuts what arrives into whole lines. ``pending`` is the start of a line whose end is still to come."""

    def __init__(self, tally: Tally, pending: bytes = b"") -> None:
        self._tally = tally
        self._overlong = False
        self.pending = bytearray(pending)

    def of(self, arrived: bytearray | bytes, start: int, end: int) -> bytes:
        """The whole lines up to the last newline of this part, with what was pending before; may be none."""
        last = arrived.rfind(b"\n", start, end) + 1
        view = memoryview(arrived)
        if not last:
            self._keep(view[start:end])
            return b""
        if self._overlong:
            start = arrived.find(b"\n", start, end)
        lines = b"".join((self.pending, view[start:last]))
        self._overlong = False
        self.pending = bytearray(view[last:end])
        return lines

    def _keep(self, part: memoryview) -> None:
        room = LINE - len(self.pending)
        if len(part) > room and not self._overlong:
            self._overlong = True
            self._tally.cut += 1
        self.pending += part[: max(room, 0)]

    def last(self) -> bytes:
        """The line without an end, given one; empty where there is none."""
        torn, self.pending = bytes(self.pending), bytearray()
        if not torn:
            return b""
        self._tally.torn += 1
        return torn + b"\n"


class Reel:
    """An open file and how far it was read."""

    def __init__(self, shared: Shared, descriptor: int) -> None:
        self._shared = shared
        self.descriptor = descriptor
        self.identity = identity_of(os.fstat(descriptor))
        self.number = shared.watch.file(descriptor)
        self.lines = Lines(shared.tally)
        self.start_at(0)
        shared.held.add(self.identity)

    def start_at(self, position: int) -> None:
        """Read on from there, which is the start of a line."""
        self.position = position
        self.head = os.pread(self.descriptor, min(HEAD, position), 0)
        self.trail = os.pread(self.descriptor, min(TRAIL, position), max(position - TRAIL, 0))
        self._after_hole = False
        self.read_at = time.monotonic()

    def rewind(self) -> None:
        """Read from the start again: the file was cut. A writer that does not append leaves a hole there."""
        try:
            begin = os.lseek(self.descriptor, 0, os.SEEK_DATA)
        except (OSError, AttributeError):
            begin = 0
        self.lines = Lines(self._shared.tally)
        self.start_at(begin)
        self._after_hole = True

    def read(self) -> bytes | None:
        """The next whole lines, at most a block of them; empty while a long line goes on; None at the end.

        Raises ``CutError`` where the bytes before it are not those that were read.
        """
        buffer, back = self._shared.buffer, len(self.trail)
        end = os.preadv(self.descriptor, [buffer], self.position - back)
        if end < back or not buffer.startswith(self.trail):
            raise CutError
        if end == back:
            return None
        if self._mixed(self.position - back, end):
            raise CutError
        self._shared.tally.bytes_read += end - back
        self.position += end - back
        if len(self.head) < HEAD:
            self.head += bytes(buffer[back : min(end, back + HEAD - len(self.head))])
        self.trail = bytes(buffer[max(end - TRAIL, 0) : end])
        self.read_at = time.monotonic()
        if self._after_hole:
            back = self._behind_hole(back, end)
        return self.lines.of(buffer, back, end)

    def _mixed(self, begin: int, end: int) -> bool:
        """Whether the file was cut and has grown past here while it was read, page by page: then the first pages may
        be what it held before and the last ones what it holds now. What is read beyond the end that it has now is of
        before, and so is all that was read until then."""
        first = min(end, TRAIL)
        again = os.pread(self.descriptor, first, begin)
        return again != self._shared.buffer[:first] and os.fstat(self.descriptor).st_size >= begin + end

    def _behind_hole(self, start: int, end: int) -> int:
        buffer = self._shared.buffer
        while start < end and buffer[start] == 0:
            start += 1
        self._after_hole = start == end
        return start

    def intact(self) -> bool:
        """Whether the file still holds what was read of it, and is empty still if it was."""
        if not self.position:
            return os.fstat(self.descriptor).st_size == 0
        return os.pread(self.descriptor, len(self.trail), self.position - len(self.trail)) == self.trail

    def known(self, *, whole: bool) -> Known:
        """What is to be remembered of it."""
        return Known(self.head, self.position, self.trail, bytes(self.lines.pending), whole)

    def close(self) -> None:
        """Let go of the file."""
        self._shared.held.discard(self.identity)
        self._shared.watch.forget(self.number)
        os.close(self.descriptor)


def identity_of(status: os.stat_result) -> Identity:
    """What a file is, whatever it is called."""
    return status.st_dev, status.st_ino


def after_last_line(descriptor: int) -> int:
    """Where a last line without an end begins, else the end: what is written next goes on from there."""
    size = at = os.fstat(descriptor).st_size
    while at > max(size - LINE, 0):
        begin = max(at - 64 * 1024, 0)
        newline = os.pread(descriptor, at - begin, begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        at = begin
    return 0 if at == 0 else size
