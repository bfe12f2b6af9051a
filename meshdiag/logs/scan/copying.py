"""Copies wanted records to a file descriptor as they stand, two parts of a large file at once."""

from __future__ import annotations

import gc
import os
import select
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

from meshdiag.logs.scan.seeking import Reach, Seeker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from meshdiag.logs.opening.files import LogFile
    from meshdiag.logs.opening.reading import OpenLog
    from meshdiag.logs.scan.blocks import Blocks
    from meshdiag.logs.scan.finding import Search
    from meshdiag.logs.scan.helping import Helper
    from meshdiag.logs.scan.scanning import Scanner

PARALLEL_BYTES = 64 * 1024 * 1024
"""From this much to read on, a second process helps."""
PART_BYTES = 8 * 1024 * 1024
LARGEST_PART = 16 * 1024 * 1024
"""Parts of a file that the two processes share out: this bounds what one is ahead of the other."""
MOST_HELD = 2
"""So many parts are held in memory that were found before their turn."""
MOST_PARTS = 256
HELD_BYTES = 96 * 1024
"""What is found is gathered up to this before it is written."""
PIPE_BYTES = 1024 * 1024

_COUNTS = ("bytes_read", "records", "matched", "unparsed", "cut", "torn")


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write bytes to a descriptor, all of them, though it may not block."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            select.select([], [descriptor], [])


class Copier:
    """Copies what a search finds in files, one after another, to a descriptor; to none, it only counts."""

    def __init__(self, job: Search, out_fd: int | None) -> None:
        self._job = job
        self._out = out_fd
        self._buffer = bytearray()
        self._held: list[bytes] = []
        self._size = 0
        self._aside: list[bytes] | None = None
        if out_fd is not None:
            widen(out_fd)

    def copy(self, file: LogFile) -> None:
        """Copy what is found in a file. Raises ``BrokenPipeError``."""
        log = self._job.open(file)
        if log is None:
            return
        with log, _without_collector():
            if not log.seekable:
                self._through(log.blocks(), self._job.scanner(log, log.size), prompt=True)
                return
            begin, end = self._job.window(log)
            scanner = self._job.scanner(log, end - begin)
            self._buffer = self._job.sizes.buffer(end - begin)
            if end - begin < PARALLEL_BYTES or not _two():
                self._through(log.blocks(begin, end, self._buffer), scanner)
            else:
                self._side_by_side(log, scanner, begin, end)

    def flush(self) -> None:
        """Write what is held."""
        if self._held and self._aside is not None:
            self._aside.append(b"".join(self._held))
        elif self._held:
            self._write([b"".join(self._held)])
        self._held.clear()
        self._size = 0

    def _write(self, found: Sequence[bytes]) -> None:
        if self._out is not None:
            for data in found:
                write_all(self._out, data)

    def _through(self, blocks: Blocks, scanner: Scanner, *, prompt: bool = False) -> None:
        """Copy what is found in some blocks; at once after each, when ``prompt``."""
        for block in blocks:
            view = block.view
            if self._out is not None and scanner.takes_all and not scanner.cuts(block):
                self._job.tally.matched += block.buffer.count(b"\n", 0, block.end)
                self._hold(bytes(view[: block.end]))
                continue
            spans = scanner.spans(block)
            if self._out is None or not spans:
                continue
            if scanner.whole:
                self._hold(bytes(view[: block.end]))
            elif scanner.cuts(block):
                self._hold(b"".join([part for span in spans for part in (scanner.raw(block, span), b"\n")]))
            else:
                text = block.text(len(spans))
                self._hold(b"".join([text[begin:end] for begin, end in spans]))
            if prompt:
                self.flush()

    def _hold(self, data: bytes) -> None:
        if self._out is None:
            return
        self._held.append(data)
        self._size += len(data)
        if self._size >= HELD_BYTES:
            self.flush()

    def _side_by_side(self, log: OpenLog, scanner: Scanner, begin: int, end: int) -> None:
        """Copy a large part of a file in pieces, some found here and some by a second process: each takes the next
        piece when it is done with one, and what comes too early is held."""
        from meshdiag.logs.scan import helping

        parts = _parts(log, begin, end)
        self.flush()
        helper = helping.Helper(self._work(log, scanner, parts), len(_COUNTS))
        held: dict[int, list[bytes]] = {}
        taken = 0
        try:
            for number, part in enumerate(parts):
                mine = number == taken  # nobody has it yet
                taken += mine
                while True:
                    while taken < len(parts) and helper.willing:
                        helper.give(taken)
                        taken += 1
                    if mine or number in held or helper.ready or taken == len(parts) or len(held) == MOST_HELD:
                        break
                    held[taken] = self._kept(log, scanner, parts[taken])
                    taken += 1
                if number in held:
                    self._write(held.pop(number))
                elif mine or not self._fetched(helper):
                    self._part(log, scanner, part)
        finally:
            helper.stop()

    def _part(self, log: OpenLog, scanner: Scanner, part: tuple[int, int]) -> None:
        """Copy what is found in a part of a file."""
        self._through(log.blocks(*part, self._buffer), scanner)
        self.flush()

    def _kept(self, log: OpenLog, scanner: Scanner, part: tuple[int, int]) -> list[bytes]:
        """What is found in a part of a file, to be written later."""
        aside: list[bytes] = []
        self._aside = aside
        try:
            self._part(log, scanner, part)
        finally:
            self._aside = None
        return aside

    def _fetched(self, helper: Helper) -> bool:
        """Write what the second process found in its first part; False when it is gone and the part is left to do."""
        numbers = helper.next()
        if numbers is not None:
            tally = self._job.tally
            for name, number in zip(_COUNTS, numbers, strict=True):
                setattr(tally, name, getattr(tally, name) + number)
        helper.send(self._out)
        return numbers is not None

    def _work(
        self, log: OpenLog, scanner: Scanner, parts: Sequence[tuple[int, int]]
    ) -> Callable[[int, int], Sequence[int]]:
        """What the second process does with a part: write what it finds to a store, and count."""

        def work(number: int, store: int) -> list[int]:
            tally = self._job.tally
            before = [getattr(tally, name) for name in _COUNTS]
            if self._out is not None:
                self._out = store
            self._part(log, scanner, parts[number])
            return [getattr(tally, name) - count for name, count in zip(_COUNTS, before, strict=True)]

        return work


def _two() -> bool:
    """Whether a second process can be had."""
    from meshdiag.logs.scan import helping

    return helping.possible()


def _parts(log: OpenLog, begin: int, end: int) -> list[tuple[int, int]]:
    """A large part of a file cut into smaller ones, each from one record's start to another's."""
    size = min(max(PART_BYTES, (end - begin) // MOST_PARTS), LARGEST_PART)
    places = Seeker(log.read_at, log.format, log.begin, end, Reach(lines=1))
    cuts = sorted({begin, *(places.start_after(place) for place in range(begin + size, end, size)), end})
    return list(pairwise(cuts))


@contextmanager
def _without_collector() -> Iterator[None]:
    """Millions of short-lived tuples and no cycle among them: looking for cycles costs a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def widen(descriptor: int) -> None:
    """Let a pipe hold more, so that its two ends wait for each other less often."""
    try:
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except (ImportError, AttributeError, OSError):
        return  # no pipe, or not this system
