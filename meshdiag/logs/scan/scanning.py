"""Finds the wanted records of a block: candidates by the prefilter, then the exact test of each.

Most of the time goes into single records, so what a line's beginning decides (whether it begins a record, its level)
is asked of the format once and remembered by that beginning with its digits masked.
"""

from __future__ import annotations

from itertools import accumulate, count
from operator import add, itemgetter
from typing import TYPE_CHECKING

from meshdiag.logs.formats import Clocked, Fielded
from meshdiag.logs.record import NS, Record
from meshdiag.logs.scan.prefilter import choose, needles

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from meshdiag.logs.formats import Format
    from meshdiag.logs.matching import Matcher
    from meshdiag.logs.scan.blocks import Block
    from meshdiag.logs.scan.prefilter import Finder
    from meshdiag.logs.tally import Tally

Span = tuple[int, int]
"""Where a record begins in a block, and where it ends behind its last newline."""

MASK = bytes.maketrans(b"123456789", b"000000000")
WIDEST = 64
MOST_KNOWN = 4096
MANY = 64
"""From so many records in a block on, what they have in common is looked for."""
LARGE_BYTES = 32 * 1024 * 1024
"""From this much to read on, the fastest test wins back what it takes to make it."""
SAMPLE_BYTES = 64 * 1024
SAMPLE_LINES = 300
FRESH_BYTES = 16 * 1024
"""So much of a block joins the sample where lines of another format come up."""

_INSIDE, _REFUSED, _WANTED, _UNSURE = range(4)
"""What a line's beginning says: it continues a record, or it begins one that is not wanted, that may be wanted as far
as the level goes, or whose level must be read."""


class Scanner:
    """Finds wanted records in the blocks of one log, which must come in their order.

    ``sample`` are bytes of the log as it begins, ``size`` how many there are to read, ``record_bytes`` how much of a
    record is kept.
    """

    def __init__(
        self, form: Format, matcher: Matcher, tally: Tally, *, sample: bytes, size: int, record_bytes: int
    ) -> None:
        self._matcher = matcher
        self._tally = tally
        self._limit = record_bytes
        self._size = size
        self._sample = sample
        self._levels = matcher.selection.levels
        self.whole = False
        """Whether all records of the last block were wanted, none of them cut."""
        self._carried: int | None = None
        self._read_as(form, sample)

    def _read_as(self, form: Format, sample: bytes) -> None:
        """Get ready for records of a format, of which some are in a sample."""
        self._format = form
        matcher, selection = self._matcher, self._matcher.selection
        chosen = choose(needles(selection, form), sample, self._size)
        self._finder = chosen[1] if chosen else None
        self._column = 0
        self._patterns_met = not selection.patterns or (chosen and selection.patterns == (chosen[0].proves,))
        self._start_width = _widest(map(form.start_width, _sampled(sample)))
        level_width = _widest(map(form.level_width, _sampled(sample))) if self._levels is not None else 0
        self._width = max(level_width, self._start_width)
        self._fits = _fields_test(form, matcher, self._size)
        self._known: dict[bytes, int] = {}
        self._starts: set[bytes] = set()

    @property
    def takes_all(self) -> bool:
        """Whether every record is wanted, so that none needs to be looked at."""
        matcher = self._matcher
        return not (matcher.windowed or matcher.reads_fields or matcher.selection.patterns) and self._levels is None

    def spans(self, block: Block) -> list[Span]:
        """The wanted records of a block, in order."""
        if block.form is not None and block.form is not self._format:
            begin = block.buffer.find(b"\n", max(0, block.end - FRESH_BYTES), block.end) + 1
            self._read_as(block.form, bytes(block.view[begin : block.end]) + self._sample)
        found = self._every(block) if self._finder is None else self._around(block, self._finder)
        long = self.cuts(block)
        if long:
            found = self._shortened(found)
        self._tally.records += len(found)
        spans = self._tested(block, found, met=bool(self._patterns_met) and not long)
        if self._matcher.windowed:
            self._carried = self._time_before(block, block.end, 0, self._carried)
        self._tally.matched += len(spans)
        self.whole = self._finder is None and self._levels is None and len(spans) == len(found) and not long
        return spans

    def cuts(self, block: Block) -> bool:
        """Whether records of a block may be cut, so that spans may end where no newline is."""
        return block.end > self._limit

    def records(self, block: Block, begin: int, end: int) -> list[Span]:
        """All records in a part of a block that begins and ends where records do."""
        lengths = map(len, bytes(block.view[begin : max(begin, end - 1)]).split(b"\n"))
        ends = list(map(add, accumulate(lengths), count(begin + 1)))
        begins = [begin, *ends[:-1]]
        verdicts = self._verdicts(block, begins)
        if _INSIDE in verdicts:
            begins = [begin, *(one for one, verdict in zip(begins, verdicts, strict=True) if verdict and one > begin)]
            ends = [*begins[1:], end]
        return list(zip(begins, ends, strict=True))

    def before(self, block: Block, end: int) -> int:
        """Where the record begins that ends at a place of a block."""
        begin = end
        while begin:
            begin = block.buffer.rfind(b"\n", 0, begin - 1) + 1
            if self._verdict(block, begin) != _INSIDE:
                break
        return begin

    def _every(self, block: Block) -> list[Span]:
        """All records that may be wanted by their level."""
        spans = self.records(block, 0, block.end)
        return spans if self._levels is None else [span for span in spans if self._level_fits(block, span)]

    def _around(self, block: Block, finder: Finder) -> list[Span]:
        """The records around candidate lines that may be wanted by their level."""
        places = finder.places(block)
        if not places:
            return []
        find, rfind, last = block.buffer.find, block.buffer.rfind, block.end
        if finder.at_ends:
            begins, ends = [rfind(b"\n", 0, place - 1) + 1 for place in places], places
            verdicts = self._verdicts(block, begins)
        else:
            begins, verdicts = self._by_column(block, places) if places[0] > self._column > 0 else ([], [])
            if not begins:
                begins = _distinct([rfind(b"\n", 0, place) + 1 for place in places])
                verdicts = self._verdicts(block, begins)
                self._learn_column(places, begins, verdicts)
            ends = [find(b"\n", begin, last) + 1 for begin in begins]
        if _INSIDE in verdicts or _UNSURE in verdicts:
            return self._around_slowly(block, list(zip(begins, ends, strict=True)))
        if _REFUSED in verdicts:
            begins = [begin for begin, verdict in zip(begins, verdicts, strict=True) if verdict == _WANTED]
            ends = [end for end, verdict in zip(ends, verdicts, strict=True) if verdict == _WANTED]
        return self._extended(block, begins, ends)

    def _learn_column(self, places: list[int], begins: list[int], verdicts: Collection[int]) -> None:
        """Note how far into their lines the needle stands, when it stands in the part that decides."""
        if len(places) == len(begins) == len(verdicts) and self._levels is not None:
            columns = {place - begin for place, begin in zip(places, begins, strict=True)}
            self._column = columns.pop() if len(columns) == 1 and max(columns, default=0) < self._width else 0

    def _by_column(self, block: Block, places: list[int]) -> tuple[list[int], list[int]]:
        """Where the lines begin that have the needle in its usual column, and what they are. Empty where a place
        turns out not to be in such a line."""
        column, width = self._column, self._width
        if places[-1] + width > len(block.buffer):
            return [], []
        buffer, get = block.buffer, self._known.get
        heads = b"".join([buffer[place - column - 1 : place - column + width] for place in places]).translate(MASK)
        stride = width + 1
        verdicts = [get(heads[at : at + width], -1) for at in range(1, len(heads), stride)]
        if -1 in verdicts or heads[::stride] != b"\n" * len(places):
            return [], []
        return [place - column for place in places], verdicts

    def _around_slowly(self, block: Block, lines: list[Span]) -> list[Span]:
        """The same where lines continue records, or their level must be read."""
        spans: list[Span] = []
        done = 0
        for begin, end in lines:
            verdict = self._verdict(block, begin) if begin >= done else _REFUSED
            if verdict == _REFUSED:
                continue
            start = self.before(block, end) if verdict == _INSIDE else begin
            done = self.end_of(block, begin)
            if verdict == _WANTED or self._level_fits(block, (start, done)):
                spans.append((start, done))
        return spans

    def _verdicts(self, block: Block, begins: list[int]) -> Collection[int]:
        """What the lines that begin at some places are: one for each, or one for all when none is refused."""
        width, get = self._width, self._known.get
        if not width:
            return [self._verdict(block, begin) for begin in begins]
        heads = _heads(block, begins, width)
        if heads == heads[:width] * len(begins):
            alike = self._verdict(block, begins[0]) if begins else _WANTED
            if alike == _WANTED and heads[:width] in self._known:
                return (alike,)
        verdicts = [get(heads[place : place + width], -1) for place in range(0, len(heads), width)]
        if -1 in verdicts:  # each unknown beginning is asked for once
            places = range(0, len(heads), width)
            distinct = {heads[place : place + width]: one for place, one in zip(places, begins, strict=True)}
            for begin in distinct.values():
                self._verdict(block, begin)
            verdicts = [get(heads[place : place + width], -1) for place in places]
        if -1 not in verdicts:
            return verdicts
        pairs = zip(begins, verdicts, strict=True)
        return [self._verdict(block, begin) if verdict < 0 else verdict for begin, verdict in pairs]

    def _extended(self, block: Block, begins: list[int], ends: list[int]) -> list[Span]:
        """Lines that begin records, each with the lines that continue it."""
        last, width = block.end, self._start_width
        inner = ends[:-1] if ends and ends[-1] == last else ends
        heads = _heads(block, inner, width)
        first = heads[:width]
        if not inner or (first in self._starts and heads == first * len(inner)):
            return list(zip(begins, ends, strict=True))
        return [
            (begin, end if end == last or self._verdict(block, end) != _INSIDE else self.end_of(block, end))
            for begin, end in zip(begins, ends, strict=True)
        ]

    def _verdict(self, block: Block, begin: int) -> int:
        """What the line that begins here is."""
        verdict = self._known.get(bytes(block.view[begin : begin + self._width]).translate(MASK))
        return self._learned(block, begin) if verdict is None else verdict

    def _learned(self, block: Block, begin: int) -> int:
        """What the line that begins here is, remembered where its beginning decides."""
        line = bytes(block.view[begin : block.buffer.find(b"\n", begin, block.end)])
        verdict, width = self._asked(line)
        if width is not None and width <= self._width and len(self._known) < MOST_KNOWN:
            self._known[_heads(block, [begin], self._width)] = verdict
            if verdict != _INSIDE and (self._format.start_width(line) or WIDEST) <= self._start_width:
                self._starts.add(_heads(block, [begin], self._start_width))
        return verdict

    def _asked(self, line: bytes) -> tuple[int, int | None]:
        """What the format says of a line, and how many of its bytes decide that."""
        form = self._format
        if not form.starts(line):
            return _INSIDE, form.start_width(line)
        if self._levels is None:
            return _WANTED, form.start_width(line)
        width = form.level_width(line)
        if width is None:
            return _UNSURE, form.start_width(line)
        return (_WANTED if form.level(line) in self._levels else _REFUSED), width

    def end_of(self, block: Block, begin: int) -> int:
        """Where the record ends that holds the line that begins here."""
        find, last = block.buffer.find, block.end
        end = find(b"\n", begin, last) + 1
        while end < last and self._verdict(block, end) == _INSIDE:
            end = find(b"\n", end, last) + 1
        return end

    def _level_fits(self, block: Block, span: Span) -> bool:
        """Whether the level of a record is wanted, by the whole record."""
        return self._levels is None or self._format.level(self.raw(block, span)) in self._levels

    def raw(self, block: Block, span: Span) -> bytes:
        """A record's bytes without its last newline."""
        return bytes(block.view[span[0] : min(span[1] - 1, span[0] + self._limit)])

    def _tested(self, block: Block, spans: list[Span], *, met: bool) -> list[Span]:
        """Those of the records that meet everything but the level; ``met``: the patterns are known to be."""
        if not met:
            spans = self._holding(block, spans, self._matcher.holds)
        if self._matcher.windowed:
            spans = self._in_window(block, spans)
        return self._holding(block, spans, self._fits) if self._matcher.reads_fields else spans

    def _holding(self, block: Block, spans: list[Span], test: Callable[[bytes], bool]) -> list[Span]:
        """Those of the records whose bytes pass a test."""
        if self.cuts(block):
            return [span for span in spans if test(self.raw(block, span))]
        text = block.text(len(spans))
        if isinstance(text, bytes):
            return [(begin, end) for begin, end in spans if test(text[begin : end - 1])]
        return [(begin, end) for begin, end in spans if test(bytes(text[begin : end - 1]))]

    def _in_window(self, block: Block, spans: list[Span]) -> list[Span]:
        """Those of the records whose time, or that of the record before where they have none, is in the window."""
        seconds = self._by_second(block, spans) if len(spans) >= MANY else None
        if seconds is None:
            return self._in_window_slowly(block, spans)
        within = {
            second: self._second_within(block, begin)
            for second, (begin, _) in dict(zip(seconds, spans, strict=True)).items()
        }
        if None in within.values():
            unsure = [span for span, second in zip(spans, seconds, strict=True) if within[second] is None]
            kept = set(self._in_window_slowly(block, unsure))
            return [span for span, second in zip(spans, seconds, strict=True) if within[second] or span in kept]
        return [span for span, second in zip(spans, seconds, strict=True) if within[second]]

    def _by_second(self, block: Block, spans: list[Span]) -> list[bytes] | None:
        """For each record the bytes that tell its second; None where that cannot be said of all."""
        begins = [begin for begin, _ in spans]
        heads, width = _heads(block, begins, self._start_width), self._start_width
        if not (isinstance(self._format, Clocked) and heads == heads[:width] * len(begins)):
            return None
        line = self.raw(block, spans[0])
        second = self._format.second_width(line)
        if second is None or (self._format.start_width(line) or WIDEST) > width:
            return None
        text = block.text(len(begins))
        return [bytes(text[begin : begin + second]) for begin in begins]

    def _second_within(self, block: Block, begin: int) -> bool | None:
        """Whether a record's second is within the window: all of it, nothing of it, or, None, part of it."""
        time_ns = self._format.time_ns(bytes(block.view[begin : block.buffer.find(b"\n", begin, block.end)]))
        if time_ns is None:
            return None
        first = time_ns - time_ns % NS
        inside = [self._matcher.in_window(first), self._matcher.in_window(first + NS - 1)]
        if all(inside):
            return True
        since_ns, until_ns = self._matcher.selection.since_ns, self._matcher.selection.until_ns
        out = (since_ns is not None and first + NS <= since_ns) or (until_ns is not None and first >= until_ns)
        return False if out else None

    def _in_window_slowly(self, block: Block, spans: list[Span]) -> list[Span]:
        """The same, each record by itself."""
        kept: list[Span] = []
        looked, earlier = 0, self._carried
        for span in spans:
            own = self._format.time_ns(self.raw(block, span))
            earlier = self._time_before(block, span[0], looked, earlier) if own is None else own
            looked = span[1]
            if self._matcher.in_window(earlier):
                kept.append(span)
        return kept

    def _time_before(self, block: Block, end: int, floor: int, otherwise: int | None) -> int | None:
        """The time of the last record with one that ends at ``end`` at the latest; what it was at ``floor`` when
        none in between has one."""
        if not self._format.timed:
            return None
        while end > floor:
            begin = self.before(block, end)
            time_ns = self._format.time_ns(self.raw(block, (begin, end)))
            if time_ns is not None:
                return time_ns
            end = begin
        return otherwise

    def _shortened(self, spans: list[Span]) -> list[Span]:
        """The records with those that are too long cut: their last byte stands for the newline."""
        cut: list[Span] = []
        for begin, end in spans:
            long = end - begin - 1 > self._limit
            self._tally.cut += long
            cut.append((begin, begin + self._limit + 1 if long else end))
        return cut


def _fields_test(form: Format, matcher: Matcher, size: int) -> Callable[[bytes], bool]:
    """The test of what a record's fields say, parsed no further than it takes; ``size``: bytes to read."""
    name = matcher.selection.field
    if not (matcher.asks_field_alone and isinstance(form, Fielded) and name is not None):
        return lambda raw: matcher.fits(form.parse(raw))
    fields = form.fields
    if "." in name:
        return lambda raw: matcher.fits(Record(raw, fields=fields(raw)))

    def exact(raw: bytes) -> bool:
        return fields(raw).get(name) is not None

    return form.field_test(name, exact) if size >= LARGE_BYTES and name.isascii() else exact


def _heads(block: Block, begins: list[int], width: int) -> bytes:
    """The beginnings of lines, one after another, their digits masked."""
    if width == 1 and len(begins) > 1:
        return bytes(itemgetter(*begins)(block.buffer)).translate(MASK)
    if begins and begins[-1] + width > len(block.buffer):
        return b"".join([bytes(block.view[begin : begin + width]).ljust(width) for begin in begins]).translate(MASK)
    text = block.text(len(begins))
    return b"".join([text[begin : begin + width] for begin in begins]).translate(MASK)


def _distinct(begins: list[int]) -> list[int]:
    """Ascending numbers, each once."""
    return list(dict.fromkeys(begins))


def _sampled(sample: bytes) -> list[bytes]:
    return sample[:SAMPLE_BYTES].split(b"\n")[:SAMPLE_LINES]


def _widest(widths: Iterable[int | None]) -> int:
    """The largest of some widths that is worth remembering lines by."""
    return max((width for width in widths if width is not None and width <= WIDEST), default=0)
