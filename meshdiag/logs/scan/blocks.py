"""A log cut into blocks of whole records, in one buffer that is filled again and again.

A fresh ``bytes`` for each block costs more than the search in it, and a mapped file dies with the process when the
file is truncated under it. So one buffer is filled, cut before its last record (whose continuation lines may
still come), and what is left moves to the front. A record that is longer than there is room for makes it larger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshdiag.logs.formats import Format
    from meshdiag.logs.formats.changing import Watch
    from meshdiag.logs.tally import Tally

BLOCK_BYTES = 1024 * 1024
"""How much is read at once: small enough to stay in a processor's cache while it is searched."""

RECORD_BYTES = 2 * 1024 * 1024
"""Of a longer record, so much of its beginning is kept; the tally counts it as cut."""

NEWLINE = 10
MANY_SLICES = 1000
SLACK_BYTES = 256
"""So much of what lies behind a block is copied with it."""

HELD_BYTES = 256 * 1024
"""Of a record that goes on in the next block, so much has room in a buffer from the beginning."""

HEADER_BYTES = 4096
"""The part of an endless line that must be there to judge whether it begins a record."""


class Sizes(NamedTuple):
    """How much is read at once, and how much of a record is kept (bytes)."""

    block: int = BLOCK_BYTES
    record: int = RECORD_BYTES

    def buffer(self, size: int | None = None) -> bytearray:
        """A buffer for the blocks of so much (of any size when None), with room for usual records that go on behind
        what is read at once. Memory that was never used is dear: a small log gets a small one."""
        usual = self.block + min(self.record, HELD_BYTES)
        return bytearray(min(usual, self.most if size is None else size + HEADER_BYTES) + SLACK_BYTES)

    @property
    def most(self) -> int:
        """As much as is ever held: of a record that goes on, and what is read behind it."""
        return self.block + self.record


@dataclass(slots=True, eq=False, repr=False)
class Block:
    """Whole records: ``buffer[:end]``, each line ended by a newline. Valid until the next block is asked for.

    ``offset`` is where it begins in what is read, ``last`` whether nothing follows. ``form`` is the format of its
    lines, as far as it is known by now; None where nobody looks.
    """

    buffer: bytearray
    view: memoryview
    end: int
    offset: int
    last: bool = False
    form: Format | None = None
    _copy: bytes = b""

    def text(self, slices: int) -> bytes | bytearray:
        """The block for taking so many slices of it: they are cheapest of bytes, but a copy has its price."""
        if slices < MANY_SLICES:
            return self.buffer
        if not self._copy:
            self._copy = bytes(self.view[: self.end + SLACK_BYTES])
        return self._copy


class Blocks:
    """The blocks of one reading.

    ``read`` fills a view and says how many bytes (0 at the end); ``starts`` says whether a line (without its newline)
    begins a record. ``buffer``, made by ``Sizes.buffer``, may serve several readings one after another. A ``watch``
    notices other formats, and says then what begins a record.
    """

    def __init__(
        self,
        read: Callable[[memoryview], int],
        starts: Callable[[bytes], bool],
        tally: Tally,
        sizes: Sizes | None = None,
        offset: int = 0,
        buffer: bytearray | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._watch = watch
        self._read = read
        self._starts = starts
        self._tally = tally
        self._sizes = sizes or Sizes()
        self._header = min(HEADER_BYTES, self._sizes.block // 2)
        self._buffer = self._sizes.buffer() if buffer is None else buffer
        self._view = memoryview(self._buffer)
        self._held = 0
        self._seen = 0
        self._offset = offset

    def __iter__(self) -> Iterator[Block]:
        while self._held > self._sizes.record or self._fill():
            cut = self._cut(self._looked())
            if cut == 0 and self._held > self._sizes.record:
                cut = self._cut_unfinished()
            if cut:
                yield self._block(cut)
                self._drop(cut)
            elif self._held > self._sizes.record:
                yield self._overlong()
        if self._held:
            yield self._rest()

    def _fill(self) -> int:
        """Read more behind what is held; how much came."""
        room = min(self._held + self._sizes.block, len(self._buffer) - SLACK_BYTES)
        if room - self._held < min(HEADER_BYTES, self._sizes.block) and len(self._buffer) < self._sizes.most:
            room = self._grow()
        count = self._read(self._view[self._held : room]) if room > self._held else 0
        self._held += count
        self._tally.bytes_read += count
        return count

    def _grow(self) -> int:
        """Take the largest buffer; where what is read next may end in it."""
        larger = bytearray(self._sizes.most + SLACK_BYTES)
        larger[: self._held] = self._view[: self._held]
        self._buffer, self._view = larger, memoryview(larger)
        return min(self._held + self._sizes.block, self._sizes.most)

    def _looked(self) -> int:
        """Let the watch look at what was read; where the last lines begin that are better read with what follows."""
        watch = self._watch
        if watch is None or self._seen >= self._held:
            return self._held
        begin = self._buffer.find(b"\n", self._seen - 1) + 1 if self._seen else 0
        self._seen = self._held
        rest = watch.look(self._buffer, begin, self._held)
        self._starts = watch.form.starts
        return rest

    def _cut(self, below: int | None = None) -> int:
        """Where the last record that may still go on begins, at ``below`` at the latest; 0 when that is the first."""
        buffer = self._buffer
        end = buffer.rfind(b"\n", 0, self._held)
        if below is not None and below < end:
            end = buffer.find(b"\n", below, self._held)
        while end > 0:
            begin = buffer.rfind(b"\n", 0, end) + 1
            if begin == 0 or self._starts(bytes(self._view[begin:end])):
                return begin
            end = begin - 1
        return 0

    def _cut_unfinished(self) -> int:
        """Where the line that has no end yet begins, if it begins a record."""
        begin = self._buffer.rfind(b"\n", 0, self._held) + 1
        while self._held - begin < self._header and self._fill():
            if (cut := self._cut()) > 0:
                return cut
            begin = self._buffer.rfind(b"\n", 0, self._held) + 1
        header = bytes(self._view[begin : min(begin + self._header, self._held)])
        return begin if header and self._starts(header) else 0

    def _block(self, end: int, last: bool = False) -> Block:
        return Block(self._buffer, self._view, end, self._offset, last, self._form)

    @property
    def _form(self) -> Format | None:
        return None if self._watch is None else self._watch.form

    def _drop(self, count: int) -> None:
        """Forget the first bytes; what follows moves to the front."""
        self._view[: self._held - count] = self._view[count : self._held]
        self._held -= count
        self._seen = max(self._seen - count, 0)
        self._offset += count

    def _rest(self) -> Block:
        """What is left at the end, its last line ended where it was torn."""
        if self._buffer[self._held - 1] != NEWLINE:
            self._tally.torn += 1
            self._buffer[self._held] = NEWLINE
            self._held += 1
        return self._block(self._held, last=True)

    def _overlong(self) -> Block:
        """The beginning of a record that is too long, read past to where the next one begins."""
        kept = bytearray(self._view[: self._sizes.record])
        kept.append(NEWLINE)
        offset = self._offset
        self._tally.cut += 1
        self._skip()
        return Block(kept, memoryview(kept), len(kept), offset, not self._held, self._form)

    def _skip(self) -> None:
        """Drop the rest of the first record, none of whose whole lines begins another."""
        begin = self._buffer.rfind(b"\n", 0, self._held) + 1
        inside = begin == 0 or self._held - begin >= self._header
        self._drop(self._held if inside else begin)
        while self._fill():
            if inside:
                end = self._buffer.find(b"\n", 0, self._held)
                self._drop(end + 1 if end >= 0 else self._held)
                inside = end < 0
            if not inside:
                if self._reach_start():
                    return
                inside = self._held >= self._header
                self._drop(self._held if inside else 0)
        if inside or not self._starts(bytes(self._view[: self._held])):
            self._drop(self._held)

    def _reach_start(self) -> bool:
        """Drop lines up to one that begins a record; whether there is one."""
        begin = 0
        while (end := self._buffer.find(b"\n", begin, self._held)) >= 0:
            if self._starts(bytes(self._view[begin:end])):
                break
            begin = end + 1
        self._drop(begin)
        unfinished = end < 0 and self._held >= self._header
        return end >= 0 or (unfinished and self._starts(bytes(self._view[: self._header])))
