"""Goes through log files for one selection: which are opened, which part of each is read, what is found there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag.logs.matching import Matcher
from meshdiag.logs.opening.compressed import BrokenArchiveError
from meshdiag.logs.opening.reading import OpenLog
from meshdiag.logs.record import NS
from meshdiag.logs.scan.blocks import Sizes
from meshdiag.logs.scan.scanning import Scanner
from meshdiag.logs.scan.seeking import Seeker
from meshdiag.logs.scan.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from meshdiag.logs.formats import Format
    from meshdiag.logs.opening.files import LogFile
    from meshdiag.logs.record import Record
    from meshdiag.logs.scan.blocks import Blocks
    from meshdiag.logs.scan.surroundings import Piece
    from meshdiag.logs.selection import Selection
    from meshdiag.logs.tally import Tally

TAIL_BYTES = 1024 * 1024
"""The first step backwards when the last records are wanted; each next is four times as large."""
TAIL_STEP = 64 * 1024 * 1024

CLOCK_SLACK_S = 2.0
"""A file's last write may be told a little earlier than the time of its last line."""


@dataclass(slots=True, eq=False, repr=False)
class Found:
    """A record that was found: its bytes, and what it takes to parse it. ``key`` orders it among other logs' (the time
    of the record before it where it has none)."""

    raw: bytes
    key: int
    form: Format
    path: str
    line: int | None
    context: bool
    gap: bool = False

    def record(self) -> Record:
        """The record, parsed."""
        record = self.form.parse(self.raw)
        record.file, record.line, record.context = self.path, self.line, self.context
        record.gap = self.gap
        return record


class Search:
    """One selection, run over files. Raises ``UsageError`` for a pattern that is no regular expression."""

    def __init__(
        self,
        selection: Selection,
        tally: Tally,
        *,
        formats: Sequence[Format] = (),
        zone: tzinfo | None = None,
        sizes: Sizes | None = None,
    ) -> None:
        self.selection = selection
        self.tally = tally
        self.matcher = Matcher(selection)
        self.sizes = sizes or Sizes()
        self._formats = formats
        self._zone = zone

    @property
    def counted_out(self) -> bool:
        """Whether only the first or last records are wanted, or their neighbours too."""
        one = self.selection
        return one.head is not None or one.tail is not None or bool(one.before or one.after)

    def open(self, file: LogFile) -> OpenLog | None:
        """Open a file that may hold wanted records; None, with a word in the tally, for one that cannot be."""
        since_ns = self.selection.since_ns
        if since_ns is not None and file.written is not None and (file.written + CLOCK_SLACK_S) * NS < since_ns:
            if file.path == file.live:  # what rotation left is passed over in silence: nobody named it
                self.tally.notes.append(f"{file.path} was not opened: last written before the window")
            return None
        try:
            log = OpenLog(file, self.tally, formats=self._formats, zone=self._zone, sizes=self.sizes)
        except BrokenArchiveError as error:
            self.tally.skipped.append(f"{file.path} {error}")
            return None
        except OSError as error:
            self.tally.skipped.append(f"{file.path}: {(error.strerror or str(error)).lower()}")
            return None
        self.tally.files.append(file.path)
        return log

    def window(self, log: OpenLog) -> tuple[int, int]:
        """The bytes of a seekable log that the selection's time leaves, from one record's start to another's."""
        return seeker(log).window(self.selection.since_ns, self.selection.until_ns)

    def scanner(self, log: OpenLog, size: int) -> Scanner:
        """What finds the wanted records in ``size`` bytes of a log."""
        return Scanner(
            log.format, self.matcher, self.tally, sample=log.sample, size=size, record_bytes=self.sizes.record
        )

    def all(self, files: Sequence[LogFile]) -> Iterator[Found]:
        """What is found in files that hold one log, one after another."""
        key = -1
        for file in files:
            log = self.open(file)
            if log is None:
                continue
            with log:
                for found in self._in(log):
                    key = found.key = key if found.key < 0 else found.key
                    yield found

    def last(self, files: Sequence[LogFile], wanted: int) -> Iterator[Found]:
        """At least the last ``wanted`` records that are found in files that hold one log, read from their end where
        that can be done, and few others."""
        parts: list[list[Found]] = []
        missing = wanted
        for file in reversed(files):
            log = None if missing <= 0 else self.open(file)
            if log is None:
                continue
            with log:
                for part in self._backwards(log):
                    parts.append(part)
                    missing -= sum(not found.context for found in part)
                    if missing <= 0:
                        break
        for part in reversed(parts):
            yield from part

    def _in(self, log: OpenLog) -> Iterator[Found]:
        """What is found in one log."""
        if not log.seekable:
            yield from self._through(log, log.blocks(), self.scanner(log, log.size), line=1)
            return
        begin, end = self.window(log)
        yield from self._through(
            log, log.blocks(begin, end), self.scanner(log, end - begin), line=1 if begin == log.begin else None
        )

    def _backwards(self, log: OpenLog) -> Iterator[list[Found]]:
        """What is found in one log in parts, the last part first."""
        if not log.seekable or self.selection.before or self.selection.after:
            yield list(self._in(log))
            return
        begin, end = self.window(log)
        places, size = seeker(log), TAIL_BYTES
        while end > begin:
            start = places.start_after(max(begin, end - size)) if end - size > begin else begin
            if start < end:
                scanner = self.scanner(log, end - start)
                line = 1 if start == log.begin else None
                yield list(self._through(log, log.blocks(start, end), scanner, line=line))
                end = start
            size = min(size * 4, TAIL_STEP) if size < TAIL_STEP else size * 4 if start >= end else size

    def _through(self, log: OpenLog, blocks: Blocks, scanner: Scanner, *, line: int | None) -> Iterator[Found]:
        """What is found in some blocks. ``line``: the number of their first line, where that is known."""
        selection = self.selection
        around = (
            Surroundings(scanner, selection.before, selection.after) if selection.before or selection.after else None
        )
        pieces: Iterator[Piece] | list[Piece]
        key = behind = -1
        for block in blocks:
            spans = scanner.spans(block)
            if around is not None:
                pieces = around.pieces(block, spans)
            else:
                pieces = ((block.offset + span[0], scanner.raw(block, span), False) for span in spans)
            counted = 0
            for offset, raw, context in pieces:
                place = offset - block.offset
                if line is not None and place >= counted:
                    line += block.buffer.count(b"\n", counted, place)
                    counted = place
                time_ns = log.format.time_ns(raw) if log.format.timed else None
                key = key if time_ns is None else time_ns
                gap = around is not None and offset != behind >= 0
                behind = offset + len(raw) + 1
                yield Found(raw, key, log.format, log.file.path, line if place >= 0 else None, context, gap)
            if line is not None:
                line += block.buffer.count(b"\n", counted, block.end)


def groups(files: Sequence[LogFile]) -> list[list[LogFile]]:
    """The files of each log, oldest first, as they were found."""
    together: dict[str, list[LogFile]] = {}
    for file in files:
        together.setdefault(file.live, []).append(file)
    return list(together.values())


def seeker(log: OpenLog) -> Seeker:
    """What finds places in a seekable log."""
    return Seeker(log.read_at, log.format, log.begin, log.size)
