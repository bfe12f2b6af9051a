"""Follows logs: the wanted records as they are written, a line at once, whatever becomes of the files.

A line goes out when it is there: nobody knows whether more of its record will come. A line that continues a record
(a stack trace) shares the fate of that record; where it is what makes the record wanted (a pattern is found in it),
the record goes out as far as it is there. What arrives in several files at the same moment goes out by its time.
"""

from __future__ import annotations

import heapq
import os
from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from meshdiag.logs.follow.arriving import Arrivals
from meshdiag.logs.follow.history import history
from meshdiag.logs.formats import Hints
from meshdiag.logs.formats.changing import Watch
from meshdiag.logs.matching import Matcher
from meshdiag.logs.opening.reading import in_utf16, local_zone
from meshdiag.logs.scan.blocks import Block
from meshdiag.logs.scan.copying import widen, write_all
from meshdiag.logs.scan.linewise import Linewise
from meshdiag.logs.scan.scanning import Scanner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import tzinfo

    from meshdiag.logs.follow.watching import Stop
    from meshdiag.logs.formats import Format
    from meshdiag.logs.record import Record
    from meshdiag.logs.selection import Selection
    from meshdiag.logs.tally import Tally

MEMORY = 64 * 1024
"""Bytes of a record that are remembered while lines may still continue it."""
SAMPLE = 64 * 1024
ENDLESS = 1 << 40
LARGE = 32 * 1024
OFTEN_BYTES = 2000
"""One wanted in so many bytes is often: then the lines of a large piece are looked at one by one."""
FEW = 3
"""So many lines that the format makes nothing of tell another one: whoever follows cannot wait for more."""
FOREIGN_LINES = 50
"""After so many lines in a row that begin no record, the format is looked for anew."""


def follow(
    paths: Sequence[str],
    selection: Selection,
    tally: Tally,
    stop: Stop,
    *,
    formats: Sequence[Format] = (),
    zone: tzinfo | None = None,
    polling: bool = False,
    reader: int | None = None,
    repeats: int = 1,
    missing: Callable[[str], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Iterator[Record]:
    """Wanted records of files, globs, folders and ``-``: those there already that ``since_ns`` and ``tail`` ask for
    (none without either), then each as it is written, until the stop is set or ``head`` is reached.

    A record whose lines come one after another comes as several: the later ones hold only the lines that continue it,
    with its time, level, component and node. ``zone`` is that of times that name none (this machine's when None);
    ``polling`` looks at intervals instead of waiting for events. ``reader`` is the descriptor the records will be
    written to: when it is a pipe that nobody reads any more, ``BrokenPipeError`` is raised, though nothing is to be
    written. ``repeats``: in how many files a record may stand; then it is given out once.
    ``missing`` is told the names that lead nowhere yet, when waiting for them has begun; ``warn`` a sentence for each
    file that is left out, when it is. Raises ``UsageError`` for a
    pattern that is none.
    """
    matcher = Matcher(selection)
    with Arrivals(paths, tally, stop, polling=polling, reader=reader) as arrivals:
        if missing is not None:
            for path in arrivals.missing():
                missing(path)
        job = _Job(arrivals, matcher, tally, formats, zone, warn)
        yield from islice(job.records() if repeats == 1 else job.once(repeats), selection.head)


def follow_raw(
    paths: Sequence[str],
    selection: Selection,
    out: int,
    tally: Tally,
    stop: Stop,
    *,
    formats: Sequence[Format] = (),
    zone: tzinfo | None = None,
    polling: bool = False,
    missing: Callable[[str], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> None:
    """Write the same records to a descriptor as they stand, each line at once: a burst costs a search of it, not a
    reading. Raises ``BrokenPipeError`` as soon as nobody reads any more."""
    if selection.head is not None:
        some = follow(
            paths,
            selection,
            tally,
            stop,
            formats=formats,
            zone=zone,
            polling=polling,
            reader=out,
            missing=missing,
            warn=warn,
        )
        for record in some:
            write_all(out, record.raw + b"\n")
        return
    matcher = Matcher(selection)
    with Arrivals(paths, tally, stop, polling=polling, reader=out) as arrivals:
        if missing is not None:
            for path in arrivals.missing():
                missing(path)
        job = _Job(arrivals, matcher, tally, formats, zone, warn)
        widen(out)
        for record in job.history():
            write_all(out, record.raw + b"\n")
        for batches in job.batches():
            if len(batches) == 1:
                write_all(out, b"\n".join(batches[0].parts) + b"\n")
            else:
                write_all(out, b"".join(part + b"\n" for part, _ in _by_time(batches)))


@dataclass(frozen=True, slots=True)
class _Job:
    """What is followed, and what is wanted of it."""

    arrivals: Arrivals
    matcher: Matcher
    tally: Tally
    formats: Sequence[Format]
    zone: tzinfo | None
    warn: Callable[[str], None] | None = None

    def history(self) -> Iterator[Record]:
        """Wanted records that were there before."""
        return history(self.arrivals.opened(), self.matcher.selection, self.tally, self.formats, self.zone)

    def records(self) -> Iterator[Record]:
        """These, and then all that come."""
        yield from self.history()
        for batches in self.batches():
            for part, batch in _by_time(batches):
                yield batch.record(part)

    def once(self, repeats: int) -> Iterator[Record]:
        """The same, each once though several of the files hold it."""
        from meshdiag.logs.twins import Known

        asked = self.matcher.selection
        tail = None if asked.tail is None else asked.tail * repeats
        known = Known(self.tally)
        former = history(self.arrivals.opened(), asked._replace(tail=tail), self.tally, self.formats, self.zone)
        yield from deque(filter(known.new, former), asked.tail) if asked.tail is not None else filter(known.new, former)
        for batches in self.batches():
            yield from filter(known.new, (batch.record(part) for part, batch in _by_time(batches)))

    def batches(self) -> Iterator[list[_Batch]]:
        """The wanted lines of each round, a batch for each file that has some."""
        sources: dict[str, _Source] = {}
        for one in self.arrivals.opened():
            if self.arrivals.head(one.file):
                source = sources[one.file] = self._source(one.file, b"")
                source.remember(os.pread(one.descriptor, MEMORY, max(one.position - MEMORY, 0))[: one.position])
        for pieces in self.arrivals.rounds():
            batches = []
            for piece in pieces:
                if piece.file not in sources:
                    sources[piece.file] = self._source(piece.file, piece.lines)
                batch = sources[piece.file].chosen(piece.lines)
                if batch.parts:
                    batches.append(batch)
            if batches:
                yield batches

    def _source(self, file: str, lines: bytes) -> _Source:
        source = _Source(file, self.matcher, self.tally, self.formats, self.zone)
        sample = self.arrivals.head(file) or lines[:SAMPLE]
        source.readable = not in_utf16(sample)
        if not source.readable and self.warn is not None:
            self.warn(f"{file} is written in UTF-16, which is not followed here: iconv -f UTF-16 | meshdiag logs -")
        source.learn(sample)
        return source


def _by_time(batches: list[_Batch]) -> Iterator[tuple[bytes, _Batch]]:
    """What arrived in several files at once, by time; each file's own order is kept."""
    if len(batches) == 1:
        return ((part, batches[0]) for part in batches[0].parts)
    merged = heapq.merge(*[batch.timed() for batch in batches], key=lambda one: one[0])
    return ((part, batch) for _, part, batch in merged)


@dataclass(slots=True)
class _Batch:
    """Wanted parts of what arrived, without their last newlines: records, the first of which may be lines that
    continue ``former``."""

    source: _Source
    parts: list[bytes]
    former: bytes = b""

    def timed(self) -> Iterator[tuple[int, bytes, _Batch]]:
        """The parts with their times, never running backwards."""
        time_ns = self.source.time_ns
        for part in self.parts:
            time_ns = max(self.source.format.time_ns(part) or 0, time_ns)
            self.source.time_ns = time_ns
            yield time_ns, part, self

    def record(self, part: bytes) -> Record:
        """A part as a record."""
        read = self.source.format.parse
        if self.former:  # the first part
            former, self.former = read(self.former), b""
            text = part.decode("utf-8", "replace")
            return replace(former, raw=part, message=text, fields={}, file=self.source.file)
        record = read(part)
        record.file = self.source.file
        return record


class _Source:
    """Chooses among the lines of one followed name."""

    format: Format
    _watch: Watch
    _scanner: Scanner
    _linewise: Linewise | None

    def __init__(
        self, file: str, matcher: Matcher, tally: Tally, formats: Sequence[Format], zone: tzinfo | None
    ) -> None:
        self.file = file
        self.readable = True
        self.time_ns = 0
        self._matcher = matcher
        self._tally = tally
        self._formats = formats
        self._zone = zone
        self._last = b""  # the record that may be continued
        self._wanted = False
        self._often = False
        self._doubtful = b""  # the last lines, of which the format made nothing, and which were not wanted

    def learn(self, sample: bytes) -> None:
        """Find the format by a file's first lines."""
        from meshdiag.logs.formats.detecting import detect

        lines = sample.split(b"\n")
        hints = Hints(datetime.now(UTC), self._zone or local_zone())
        self._watch = Watch(detect(lines[:-1] or lines, hints, self._formats), hints, sample, enough=FEW)
        self._read_as(self._watch.form, sample)

    def _read_as(self, form: Format, sample: bytes) -> None:
        """Get ready for lines of a format, of which some are in a sample."""
        self.format = form
        self._scanner = Scanner(
            self.format, self._matcher, self._tally, sample=sample, size=ENDLESS, record_bytes=ENDLESS
        )
        self._linewise = Linewise.of(self._matcher, self.format, sample)

    def remember(self, before: bytes) -> None:
        """Look at what the file held before: the last record there may go on."""
        self._watch.look(before, 0, len(before))
        if self._watch.form is not self.format:
            self._read_as(self._watch.form, before)
        last = self._last_record(before)
        if last and self.format.starts(last[: last.find(b"\n")]):
            self._records(last)

    def chosen(self, lines: bytes) -> _Batch:
        """The wanted ones among lines that arrived."""
        if not self.readable:
            return _Batch(self, [])
        rest = self._watch.look(lines, 0, len(lines))
        if self._watch.form is not self.format:
            lines, rest = self._doubtful + lines, len(self._doubtful + lines)
            self._read_as(self._watch.form, lines)
        batch = self._chosen(lines)
        doubtful = self._doubtful + lines if rest == 0 else lines[rest:]
        self._doubtful = b"" if batch.parts else doubtful[-MEMORY:]
        return batch

    def _chosen(self, lines: bytes) -> _Batch:
        begin = self._first_record(lines) if self._last else 0
        if not begin:
            return _Batch(self, self._records(lines))
        former, late = self._last, lines[:begin]
        if self._wanted or not self._matcher.selection.patterns:
            wanted, self._last = self._wanted, (former + late)[:MEMORY]
            records = self._records(lines[begin:])
            return _Batch(self, [late[:-1], *records], former) if wanted else _Batch(self, records)
        # Perhaps it is what continues the record that makes it wanted: then all of it goes out.
        return _Batch(self, self._records(former + lines))

    def _first_record(self, lines: bytes) -> int:
        """Where the first line that begins a record is; the end where none does."""
        begin = 0
        for _ in range(FOREIGN_LINES):
            end = lines.find(b"\n", begin)
            if end < 0 or self.format.starts(lines[begin:end]):
                return begin
            begin = end + 1
        self.learn(lines[:SAMPLE])
        return 0

    def _records(self, lines: bytes) -> list[bytes]:
        """The wanted ones of records, the first of which begins with the first line."""
        if not lines:
            return []
        if self._often and self._linewise is not None and len(lines) > LARGE:
            parts = self._linewise.chosen(lines)
            if parts is not None:
                self._last = lines[lines.rfind(b"\n", 0, -1) + 1 :][:MEMORY]
                self._wanted = bool(parts) and self._last == parts[-1] + b"\n"
                self._often = len(parts) * OFTEN_BYTES > len(lines)
                return parts
        buffer = bytearray(lines)
        spans = self._scanner.spans(Block(buffer, memoryview(buffer), len(buffer), 0))
        self._wanted = bool(spans) and spans[-1][1] == len(buffer)
        self._last = self._last_record(lines)
        self._often = len(lines) > LARGE and len(spans) * OFTEN_BYTES > len(lines)
        return [lines[begin : end - 1] for begin, end in spans]

    def _last_record(self, lines: bytes) -> bytes:
        begin = len(lines)
        while begin and len(lines) - begin < MEMORY:
            begin = lines.rfind(b"\n", 0, begin - 1) + 1
            if self.format.starts(lines[begin : lines.find(b"\n", begin)]):
                break
        return lines[begin : begin + MEMORY]
