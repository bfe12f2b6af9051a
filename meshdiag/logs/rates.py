"""How many records a time has, by level, component or node: the course of a log as numbers.

In a log that runs forward few times need be read: where two lines fall into one bucket, so do those between them. A
line that runs backwards between these is counted with its neighbours; how many there are of each kind is always right.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from meshdiag.logs.record import NS, Level, moment_of
from meshdiag.logs.scan.finding import Search

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from meshdiag.logs.formats import Format
    from meshdiag.logs.opening.files import LogFile
    from meshdiag.logs.opening.reading import OpenLog
    from meshdiag.logs.record import Record
    from meshdiag.logs.selection import Selection
    from meshdiag.logs.tally import Tally

By = Literal["level", "component", "node"]

WIDTHS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 7 * 86400)
"""Widths of a bucket that people can think in."""
COARSER_S = (5, 10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200, 86400)
"""Widths to count in while reading, when a log is long; each is a multiple of the one before."""
BUCKETS = 60
MOST_CELLS = 50_000
"""Counts in memory, beyond which buckets become wider."""
MOST_NAMES = 200
"""Different names, beyond which the rarer come together as ``OTHERS``."""
MOST_SHAPES = 100_000
UNNAMED, OTHERS = "-", "others"

MASK = bytes.maketrans(b"123456789", b"000000000")
WIDEST = 96
"""Bytes of a line's beginning that may tell its name."""
SAMPLE_LINES = 200


@dataclass(frozen=True, slots=True)
class Rates:
    """Counts over time. The first bucket begins at ``begin_ns`` (ns since the epoch), each is ``width_ns`` wide.
    ``counts`` by name (a level's word, a component, a node; ``-`` where the record states none): levels by gravity,
    the worst first, others by how often they came. ``untimed`` records have no time; they are in no bucket."""

    by: By
    begin_ns: int
    width_ns: int
    counts: Mapping[str, tuple[int, ...]]
    untimed: int = 0

    @property
    def total(self) -> tuple[int, ...]:
        """All records of each bucket."""
        return tuple(map(sum, zip(*self.counts.values(), strict=True)))

    def rows(self) -> list[tuple[int, dict[str, int]]]:
        """When each bucket begins (ns), and its counts by name."""
        lines = zip(*self.counts.values(), strict=True)
        return [
            (self.begin_ns + place * self.width_ns, dict(zip(self.counts, line, strict=True)))
            for place, line in enumerate(lines)
        ]


class Course:
    """Counts records by time and name while they are read."""

    def __init__(self, by: By, *, width_ns: int = NS) -> None:
        self.by: By = by
        self.untimed = 0
        self._width = width_ns
        self._cells: Counter[tuple[int, str]] = Counter()

    def add(self, record: Record, time_ns: int | None = None) -> None:
        """Count a record; ``time_ns`` is that of the record before it, for one without a time."""
        own = record.time_ns if record.time_ns is not None else time_ns
        self.count(own, name_of(record, self.by), 1)

    def bucket(self, time_ns: int) -> int:
        """The number of the bucket that a time falls into, as long as the width stays what it is."""
        return time_ns // self._width

    def count(self, time_ns: int | None, name: str, number: int) -> None:
        """Count several records of about the same time."""
        if time_ns is None:
            self.untimed += number
            return
        self._cells[time_ns // self._width, name] += number
        if len(self._cells) > MOST_CELLS:
            self._coarser()

    def _coarser(self) -> None:
        width = next((one * NS for one in COARSER_S if one * NS > self._width), self._width * 4)
        cells: Counter[tuple[int, str]] = Counter()
        for (bucket, name), number in self._cells.items():
            cells[bucket * self._width // width, name] += number
        self._width, self._cells = width, cells
        if len(cells) > MOST_CELLS // 2:
            self._fewer_names()

    def _fewer_names(self) -> None:
        totals: Counter[str] = Counter()
        for (_, name), number in self._cells.items():
            totals[name] += number
        common = {name for name, _ in totals.most_common(MOST_NAMES)}
        cells: Counter[tuple[int, str]] = Counter()
        for (bucket, name), number in self._cells.items():
            cells[bucket, name if name in common else OTHERS] += number
        self._cells = cells

    def rates(
        self,
        *,
        since_ns: int | None = None,
        until_ns: int | None = None,
        buckets: int = BUCKETS,
        width_ns: int | None = None,
        zone: tzinfo | None = None,
    ) -> Rates:
        """The counts, in at most so many buckets of a width that people think in (or of ``width_ns``), each beginning
        at a full one of these in ``zone`` (UTC when None): hours at the hour, days at midnight.

        The window is that of the records unless ``since_ns`` and ``until_ns`` say another; it may begin and end within
        a bucket.
        """
        if not self._cells:
            return Rates(self.by, since_ns or 0, width_ns or NS, {}, self.untimed)
        seen = [bucket for bucket, _ in self._cells]
        first = since_ns if since_ns is not None else min(seen) * self._width
        last = until_ns - 1 if until_ns is not None else (max(seen) + 1) * self._width - 1
        first, last = min(first, min(seen) * self._width), max(last, max(seen) * self._width)
        shift = _offset_ns(first, zone)
        width = width_ns or _width(first + shift, last + shift, buckets, self._width)
        width = -(-width // self._width) * self._width
        begin = (first + shift) // width
        size = (last + shift) // width - begin + 1
        counts: dict[str, list[int]] = {}
        for (bucket, name), number in self._cells.items():
            place = (bucket * self._width + shift) // width - begin
            counts.setdefault(name, [0] * size)[max(place, 0)] += number
        return Rates(
            self.by,
            begin * width - shift,
            width,
            {name: tuple(counts[name]) for name in _ordered(counts, self.by)},
            self.untimed,
        )


def rates(
    files: Sequence[LogFile],
    selection: Selection,
    tally: Tally,
    *,
    by: By = "level",
    buckets: int = BUCKETS,
    width_ns: int | None = None,
    formats: Sequence[Format] = (),
    zone: tzinfo | None = None,
    shown_in: tzinfo | None = None,
) -> Rates:
    """How many wanted records each part of the time has. ``zone`` is that of times that name none, ``shown_in`` the one
    by whose clock buckets begin.

    Raises ``UsageError`` for a pattern that is no regular expression.
    """
    course = Course(by)
    job = Search(selection, tally, formats=formats, zone=zone)
    for file in files:
        log = job.open(file)
        if log is not None:
            with log:
                _read(log, job, course)
    return course.rates(
        since_ns=selection.since_ns, until_ns=selection.until_ns, buckets=buckets, width_ns=width_ns, zone=shown_in
    )


def name_of(record: Record, by: By) -> str:
    """What a record is counted under."""
    if by == "level":
        return UNNAMED if record.level is None else record.level.word
    return (record.component if by == "component" else record.node) or UNNAMED


def _read(log: OpenLog, job: Search, course: Course) -> None:
    begin, end = job.window(log) if log.seekable else (None, None)
    scanner = job.scanner(log, log.size if begin is None or end is None else end - begin)
    reader = _Reader(log.format, course)
    for block in log.blocks(begin, end):
        reader.read_as(log.format)
        if scanner.takes_all and not scanner.cuts(block):
            lines = bytes(block.view[: block.end]).split(b"\n")
            lines.pop()
        else:
            lines = [scanner.raw(block, span) for span in scanner.spans(block)]
        reader.count(lines)


class _Reader:
    """Counts the lines of one log."""

    def __init__(self, form: Format, course: Course) -> None:
        self._format = form
        self._course = course
        self._time_ns: int | None = None
        self._known: dict[bytes, str | None] = {}
        self._width = -1

    def read_as(self, form: Format) -> None:
        """Read the lines that follow by a format."""
        if form is not self._format:
            self._format = form
            self._known.clear()
            self._width = -1

    def count(self, lines: Sequence[bytes]) -> None:
        """Count records, or lines, in order; lines that continue a record count for nothing."""
        if self._width < 0:
            self._width = self._deciding(lines[:SAMPLE_LINES])
        if len(self._known) > MOST_SHAPES:
            self._known.clear()
        pending = [(0, len(lines))] if lines else []
        while pending:
            begin, end = pending.pop()
            first, last = self._time(lines, begin, begin), self._time(lines, end - 1, begin)
            if end - begin > 1 and not self._together(first, last):
                middle = (begin + end) // 2
                pending += ((middle, end), (begin, middle))
                continue
            for name, number in Counter(map(self._name, lines[begin:end])).items():
                if name is not None:
                    self._course.count(last, name, number)
            self._time_ns = last

    def _together(self, first: int | None, last: int | None) -> bool:
        if first is None or last is None:
            return first is last
        return self._course.bucket(first) == self._course.bucket(last)

    def _time(self, lines: Sequence[bytes], place: int, floor: int) -> int | None:
        """The time of a line, or of the nearest before it that has one."""
        while place >= floor:
            time_ns = self._format.time_ns(lines[place])
            if time_ns is not None:
                return time_ns
            place -= 1
        return self._time_ns

    def _deciding(self, sample: Sequence[bytes]) -> int:
        """How much of a line decides its name, digits being alike; 0 where that cannot be said."""
        if self._course.by == "level":
            widths = [self._format.level_width(line) or 0 for line in sample]
            return max((width for width in widths if width <= WIDEST), default=0)
        return WIDEST if self._course.by == "component" else 0

    def _name(self, line: bytes) -> str | None:
        """Under which name a line counts; None for one that continues a record."""
        shape = line[: self._width].translate(MASK)
        if shape in self._known:
            return self._known[shape]
        name, decided = self._learned(line)
        if decided:
            self._known[shape] = name
        return name

    def _learned(self, line: bytes) -> tuple[str | None, bool]:
        """A line's name, and whether all lines of its shape have it."""
        if self._course.by == "level":
            width = self._format.level_width(line)
            decided = width is not None and 0 < width <= self._width
            if not self._format.starts(line):
                return None, decided
            level = self._format.level(line)
            return (UNNAMED if level is None else level.word), decided
        if not self._format.starts(line):
            return None, False
        name = name_of(self._format.parse(line), self._course.by)
        end = line.find(name.encode("utf-8", "surrogateescape")) + len(name)
        return name, len(name) < end < self._width and not any(map(str.isdigit, name))


def _width(first: int, last: int, buckets: int, base: int) -> int:
    """The smallest width that people can think in with at most so many buckets from a time to another."""
    for width in (one * NS for one in WIDTHS_S):
        if width % base == 0 and last // width - first // width < buckets:
            return width
    return -(-((last - first) // max(buckets - 1, 1)) // base) * base


def _offset_ns(time_ns: int, zone: tzinfo | None) -> int:
    """How far a zone's clock is ahead of UTC at a time."""
    if zone is None:
        return 0
    offset = moment_of(time_ns).astimezone(zone).utcoffset()
    return int(offset.total_seconds()) * NS if offset is not None else 0


def _ordered(counts: Mapping[str, Sequence[int]], by: By) -> list[str]:
    if by == "level":
        words = [level.word for level in reversed(Level)]
        return [word for word in (*words, UNNAMED) if word in counts]
    return sorted(counts, key=lambda name: (name == OTHERS, -sum(counts[name]), name))
