"""Recurring messages: how often each came, from when to when, and which were not there before.

A million lines a second are counted by what is left of a line without its digits and the letters a to f; of each of
the few thousand such remains one line is read, and its message masked (``masks``); at the end, messages that differ in
names are put together (``merging``). Lines that continue a record are not counted.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from meshdiag.logs.patterns.masks import masked, words
from meshdiag.logs.patterns.merging import MERGED, merged, shape
from meshdiag.logs.patterns.skeletons import Skeletons
from meshdiag.logs.record import NS
from meshdiag.logs.scan.finding import Search

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import tzinfo

    from meshdiag.logs.formats import Format
    from meshdiag.logs.opening.files import LogFile
    from meshdiag.logs.opening.reading import OpenLog
    from meshdiag.logs.record import Level, Record
    from meshdiag.logs.scan.blocks import Block
    from meshdiag.logs.scan.scanning import Scanner
    from meshdiag.logs.selection import Selection
    from meshdiag.logs.tally import Tally

BASELINE_NS = 24 * 3600 * NS
"""How far back a pattern must have been missing to be new."""

NARROW = b"0123456789abcdef"
WIDE = NARROW + b"ABCDEF"
"""What is deleted from a line to count it: lower-case hexadecimal digits; upper-case too where that helps much."""
REMAINS_BYTES = 24 * 1024 * 1024
"""Of the remains that are known, so much is kept in memory; then they are learned anew."""
MOST_MESSAGES = 4_000
"""Different masked messages, beyond which those that differ in names are put together early."""
MOST_PATTERNS = 3_000
"""Beyond these the rarest are only counted."""
CAUSES = ("error", "err", "exception", "reason", "cause")
"""Fields that say what a message is about, where the message itself does not hold them."""

_NAMED = re.compile(
    r"\b((?:node|peer|host|hostname|user|username|agent|client|server|addr|address|leader|member|instance|pod|"
    r"container|service|session|replica|worker|shard|tenant)(?:[_-]?(?:id|name))?)"
    r"(?:(=)(?!<\w+>)(?:\"[^\"]*\"|[^\s,;\"]+)"
    r"|(\s)(?!(?:is|was|has|not|lost|down|up|in|on|at|for|to|of)\b|\w+(?:ed|ing)\b)[\w.@-]+(?=\s))",
    re.IGNORECASE,
)
"""A word for something that has a name, and the name: what is compared with the time before must not hang on names."""


@dataclass(frozen=True, slots=True)
class Recurring:
    """A pattern. ``text`` is the message with placeholders, ``level`` that of its records (None where they state none);
    ``before`` of the ``count`` were in the window before (0 where none is looked at). Times are in ns since the
    epoch, None where the records have none. ``example`` is the first record, raw: hostile, as ``text`` is.
    ``components``: the commonest first, with counts."""

    text: str
    level: Level | None
    count: int
    before: int
    first_ns: int | None
    last_ns: int | None
    example: bytes
    components: tuple[tuple[str, int], ...] = ()
    file: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Patterns, and how many records they were told from. ``rest``: records of patterns too rare and too many to be
    kept. ``baseline``: records in the window before."""

    patterns: tuple[Recurring, ...]
    records: int
    rest: int = 0
    baseline: int = 0


@dataclass(slots=True)
class Message:
    """Records with one masked message and level. ``counts``: those of the window before, and those of now;
    ``open``: it was put together of messages that differ in names, and takes any other name."""

    level: Level | None
    text: str
    example: bytes
    file: str
    counts: list[int] = field(default_factory=lambda: [0, 0])
    first_ns: int | None = None
    last_ns: int | None = None
    components: Counter[str] = field(default_factory=Counter)
    open: bool = False

    def saw(self, time_ns: int | None) -> None:
        """It was there at a time."""
        if time_ns is not None:
            self.first_ns = time_ns if self.first_ns is None else min(self.first_ns, time_ns)
            self.last_ns = time_ns if self.last_ns is None else max(self.last_ns, time_ns)

    def absorb(self, other: Message) -> None:
        """Count another one's records as well."""
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.components += other.components
        for time_ns in (other.first_ns, other.last_ns):
            self.saw(time_ns)


class Patterns:
    """Counts messages: of records one by one, or of the blocks of logs. ``now`` of a record is 1, or 0 for those of the
    window before, which others are compared with."""

    def __init__(self, *, compare: bool = False) -> None:
        self._compare = compare
        self._messages: dict[tuple[Level | None, str], Message] = {}
        self._templates: dict[tuple[Level | None, tuple[str, ...]], list[tuple[Message, list[tuple[int, str]]]]] = {}
        self._rest = 0
        self.records = [0, 0]

    def add(self, record: Record, now: int = 1) -> None:
        """Count a record."""
        message = self.message(record)
        message.saw(record.time_ns)
        self.count(message, record.component, 1, now)

    def count(self, message: Message, component: str, number: int, now: int) -> None:
        """Count several records of a message."""
        message.counts[now] += number
        message.components[component] += number
        self.records[now] += number

    def message(self, record: Record) -> Message:
        """The message under which a record is counted; until the next ``thin``."""
        text = masked(_said(record))
        key = record.level, text
        found = self._messages.get(key)
        if found is None and self._templates:
            found = self._template(record.level, words(self._text(text)))
        if found is None:
            found = self._messages[key] = Message(record.level, text, record.raw, record.file)
        return found

    def _template(self, level: Level | None, said: tuple[str, ...]) -> Message | None:
        """The pattern, put together before, that a message is of."""
        for message, fixed in self._templates.get((level, shape(said)), ()):
            if all(said[place] == word for place, word in fixed):
                return message
        return None

    @property
    def full(self) -> bool:
        """Whether there are so many messages that it is time to ``thin`` them."""
        return len(self._messages) > MOST_MESSAGES

    def thin(self) -> None:
        """Put messages together that differ in names; beyond what is bearable only count the rarest."""
        kept = sorted(self._merged(), key=lambda one: -sum(one.counts))
        self._rest += sum(sum(one.counts) for one in kept[MOST_PATTERNS:])
        self._messages = {(one.level, one.text): one for one in kept[:MOST_PATTERNS]}
        self._templates.clear()
        for one in self._messages.values():
            said = words(one.text)
            one.open = not MERGED.isdisjoint(said)
            if one.open:
                fixed = [(place, word) for place, word in enumerate(said) if word not in MERGED]
                self._templates.setdefault((one.level, shape(said)), []).append((one, fixed))

    def _merged(self) -> list[Message]:
        found = []
        ordered = sorted(self._messages.values(), key=lambda one: -sum(one.counts))
        texts = [(one.level, words(self._text(one.text)), one) for one in ordered]
        before = (lambda one: one.counts[0] > 0) if self._compare else None
        for _, text, members in merged(texts, before=before):
            first = min(members, key=lambda one: one.first_ns or 0)
            whole = Message(first.level, "".join(text), first.example, first.file)
            for one in members:
                whole.absorb(one)
            found.append(whole)
        return found

    def _text(self, text: str) -> str:
        return _NAMED.sub(r"\1\2\3<*>", text) if self._compare else text

    def found(self) -> Found:
        """All patterns, the commonest first."""
        patterns = [
            Recurring(
                one.text,
                one.level,
                sum(one.counts),
                one.counts[0],
                one.first_ns,
                one.last_ns,
                one.example,
                tuple((name, count) for name, count in one.components.most_common(3) if name),
                one.file,
            )
            for one in self._merged()
        ]
        patterns.sort(key=lambda one: (-one.count, one.text))
        return Found(tuple(patterns), sum(self.records), self._rest, self.records[0])


def top(
    files: Sequence[LogFile],
    selection: Selection,
    tally: Tally,
    *,
    formats: Sequence[Format] = (),
    zone: tzinfo | None = None,
) -> Found:
    """The recurring messages among the wanted records, the commonest first (``head`` and ``tail`` are not looked at).

    Raises ``UsageError`` for a pattern that is no regular expression.
    """
    found = Patterns()
    job = Search(selection, tally, formats=formats, zone=zone)
    for log in _logs(job, files):
        begin, end = job.window(log) if log.seekable else (None, None)
        _count(log, job, found, begin, end, now=1)
    return found.found()


def new_since(
    files: Sequence[LogFile],
    selection: Selection,
    since_ns: int,
    tally: Tally,
    *,
    baseline_ns: int = BASELINE_NS,
    formats: Sequence[Format] = (),
    zone: tzinfo | None = None,
) -> Found:
    """The messages since a moment that the time before it did not have, the first seen first. ``selection.since_ns`` is
    where that time begins, else ``baseline_ns`` before the moment.

    ``Found.baseline`` of 0 says that nothing was there to compare with: then everything is new, and nothing is told.
    """
    begin_ns = selection.since_ns if selection.since_ns is not None else since_ns - baseline_ns
    found = Patterns(compare=True)
    both = Search(selection._replace(since_ns=begin_ns), tally, formats=formats, zone=zone)
    recent = Search(selection._replace(since_ns=since_ns), tally, formats=formats, zone=zone)
    former = Search(selection._replace(since_ns=begin_ns, until_ns=since_ns), tally, formats=formats, zone=zone)
    always = Search(selection._replace(since_ns=None, until_ns=None), tally, formats=formats, zone=zone)
    for log in _logs(both, files):
        if not log.seekable:
            _divide(log, both, found, since_ns)
            continue
        (begin, end), (edge, _) = both.window(log), recent.window(log)
        edge = min(max(edge, begin), end)
        # Before the edge nothing is of the moment or later, so no time needs to be read there.
        _count(log, always, found, begin, edge, now=0)
        _count(log, former, found, edge, end, now=0)
        _count(log, recent, found, edge, end, now=1)
    whole = found.found()
    fresh = [one for one in whole.patterns if not one.before]
    fresh.sort(key=lambda one: (one.first_ns or 0, -one.count))
    return replace(whole, patterns=tuple(fresh))


def _logs(job: Search, files: Sequence[LogFile]) -> Iterator[OpenLog]:
    for file in files:
        log = job.open(file)
        if log is not None:
            with log:
                yield log


def _divide(log: OpenLog, job: Search, found: Patterns, since_ns: int) -> None:
    """Count a stream, each record by its time: it cannot be read twice."""
    scanner = job.scanner(log, log.size)
    now = 0
    for block in log.blocks():
        for span in scanner.spans(block):
            record = log.format.parse(scanner.raw(block, span))
            record.file = log.file.path
            now = now if record.time_ns is None else int(record.time_ns >= since_ns)
            found.add(record, now)
        if found.full:
            found.thin()


def _count(log: OpenLog, job: Search, found: Patterns, begin: int | None, end: int | None, *, now: int) -> None:
    """Count the wanted records of a part of a log."""
    if begin is not None and begin == end:
        return
    scanner = job.scanner(log, log.size if begin is None or end is None else end - begin)
    counter = _Remains(log.format, log.file.path, found, now)
    for block in log.blocks(begin, end):
        counter.read_as(log.format)
        lines = _wanted(scanner, block)
        if lines:
            counter.count(lines)
    counter.close()


def _wanted(scanner: Scanner, block: Block) -> bytes:
    """The lines of a block's wanted records."""
    if scanner.takes_all and not scanner.cuts(block):
        return bytes(block.view[: block.end])
    spans = scanner.spans(block)
    if scanner.cuts(block):
        return b"".join([part for span in spans for part in (scanner.raw(block, span), b"\n")])
    return b"".join([block.view[begin:end] for begin, end in spans])


class _Remains:
    """Counts the lines of one log by what remains of them without what varies most."""

    def __init__(self, form: Format, file: str, found: Patterns, now: int) -> None:
        self._format = form
        self._file = file
        self._found = found
        self._now = now
        self._delete = b""
        self._size = 0
        self._known: dict[bytes, tuple[Message, str] | None] = {}
        self._last: dict[bytes, bytes] = {}
        self._skeletons: Skeletons[tuple[Message, str]] = Skeletons()

    def read_as(self, form: Format) -> None:
        """Read the lines that follow by a format."""
        if form is not self._format:
            self.close()
            self._format = form
            self._skeletons = Skeletons()

    def count(self, block: bytes) -> None:
        """Count whole lines, each with its newline."""
        if not self._delete:
            self._delete = _what_to_delete(block)
        remains = block.translate(None, self._delete).split(b"\n")
        lines = block.split(b"\n")
        remains.pop()
        lines.pop()
        numbers = Counter(remains)
        last = dict(zip(remains, lines, strict=True))
        unknown = [one for one in numbers if one not in self._known]
        if unknown:
            first = dict(zip(reversed(remains), reversed(lines), strict=True))
            for one in self._not_told(unknown, numbers, last):
                self._learn(one, first[one])
        for one, number in numbers.items():
            known = self._known.get(one)
            if known is not None:
                self._found.count(*known, number, self._now)
                self._last[one] = last[one]
        if self._size > REMAINS_BYTES:
            self.close()
        if self._found.full:
            self.close()
            self._found.thin()
            self._skeletons = Skeletons()

    def _not_told(
        self, unknown: list[bytes], numbers: Mapping[bytes, int], lines: Mapping[bytes, bytes]
    ) -> list[bytes]:
        """Count those that are told by their skeletons; the others."""
        left = []
        ends: dict[int, tuple[Message, bytes, bytes]] = {}
        for one in unknown:
            told = self._skeletons.find(one)
            if told is None:
                left.append(one)
                continue
            message, component = told
            self._found.count(message, component, numbers[one], self._now)
            line = lines[one]
            ends[id(message)] = (message, ends[id(message)][1] if id(message) in ends else line, line)
        for message, first, last in ends.values():
            message.saw(self._format.time_ns(first))
            message.saw(self._format.time_ns(last))
        return left

    def _learn(self, remains: bytes, line: bytes) -> None:
        self._size += len(remains) + min(len(line), 1024) + 200
        if not line or not self._format.starts(line):
            self._known[remains] = None  # it continues a record
            return
        record = self._format.parse(line)
        record.file = self._file
        message = self._found.message(record)
        message.saw(record.time_ns)
        self._known[remains] = message, record.component
        if message.open:
            self._skeletons.learn(remains, (id(message), record.component), (message, record.component))

    def close(self) -> None:
        """Note when each was seen last, and forget."""
        for remains, line in self._last.items():
            known = self._known.get(remains)
            if known is not None:
                known[0].saw(self._format.time_ns(line))
        self._last.clear()
        self._known.clear()
        self._size = 0


def _what_to_delete(block: bytes) -> bytes:
    """What is best deleted from lines like these to find the few kinds they are of."""
    narrow, wide = (len(set(block.translate(None, one).split(b"\n"))) for one in (NARROW, WIDE))
    return WIDE if wide * 2 < narrow else NARROW


def _said(record: Record) -> str:
    """What a record says: its message, and what caused it where that stands in a field of its own."""
    text = record.message or record.raw.decode("utf-8", "replace")
    text = text.partition("\n")[0]
    for name in CAUSES:
        value = record.fields.get(name)
        if isinstance(value, str) and value and value[:40] not in text:
            return f"{text} {name}={value}"
    return text
