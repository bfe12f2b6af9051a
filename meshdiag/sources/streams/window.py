"""A part of many logs, oldest first: what lies in a time window, or the last so many records.

Who keeps the logs (``Keeper``) can narrow lines by the time they were taken and by their number. Records are what
is asked for, and a record may be many lines, of which any number may be unwanted: so the last N records are looked
for in a growing number of last lines, and the window is asked for wider than it is by what the time a record states
may differ from the time of taking (``meshdiag.logs.assembling``).
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from meshdiag.errors import SourceError
from meshdiag.logs.assembling import AHEAD_NS, BEHIND_NS, Assembler
from meshdiag.logs.tally import Tally
from meshdiag.sources.streams.picking import Picker, Tail, first_of, merged
from meshdiag.sources.streams.resuming import Resume

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence
    from datetime import tzinfo

    from meshdiag.logs.assembling import Origin
    from meshdiag.logs.formats import Format
    from meshdiag.logs.record import Record
    from meshdiag.logs.selection import Selection
    from meshdiag.sources.streams.lines import Line

FEWEST = 256
"""Last lines that are asked for at first, at least."""
LINES_A_RECORD = 4
GROWTH = 8
MOST = 10_000_000
"""Last lines that are asked for at most, before all are."""
AT_ONCE = 8
"""Logs whose ends are read side by side."""


@dataclass(frozen=True, slots=True)
class Log:
    """One of the logs that are kept. ``key`` names it for good, ``life`` changes whenever its writer starts anew,
    ``running`` says whether it may still grow."""

    key: str
    origin: Origin
    life: str = ""
    running: bool = True


@dataclass(frozen=True, slots=True)
class Ask:
    """Which lines are asked for, by the time they were taken (ns; None for open) and from the end. With ``follow`` the
    lines go on coming until the writer ends."""

    since_ns: int | None = None
    until_ns: int | None = None
    tail: int | None = None
    follow: bool = False


class Keeper(Protocol):
    """Who keeps logs. All of it raises ``SourceError``. ``repeats``: stamps tell lines apart, and a line may come
    twice while a log is followed."""

    repeats: bool

    async def logs(self, tally: Tally) -> list[Log]:
        """The logs that are meant, at least one."""

    def lines(self, log: Log, ask: Ask, tally: Tally) -> AsyncGenerator[list[Line], None]:
        """Lines of a log, in order, as they come. They may be more than was asked for in time."""

    def changes(self) -> AsyncGenerator[list[Log], None]:
        """The logs that are meant now, and again whenever that changes, until the caller stops."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who keeps the logs, and how they are read: the user's own ``formats``, the ``zone`` of times without one, and
    whether reading is taken up again later (``resumes``), for which lines are remembered."""

    keeper: Keeper
    formats: Sequence[Format]
    zone: tzinfo
    resumes: bool = False

    def open(self, log: Log, selection: Selection, tally: Tally) -> Reading:
        """Begin to read a log."""
        if log.origin.file not in tally.files:
            tally.files.append(log.origin.file)
        picker = Picker(selection, tally)
        assembler = Assembler(tally, formats=self.formats, zone=self.zone, sieve=picker.sieve)
        resume = Resume(repeats=self.keeper.repeats) if self.resumes else None
        return Reading(log, assembler, picker, tally, resume)


class Reading:
    """One log being read: lines in, the wanted records out."""

    def __init__(
        self, log: Log, assembler: Assembler, picker: Picker, tally: Tally, resume: Resume | None = None
    ) -> None:
        self.log = log
        self.resume = resume or Resume()
        self._resumes = resume is not None
        self.lines = 0
        self._assembler = assembler
        self._picker = picker
        self._tally = tally

    @property
    def waiting(self) -> bool:
        """Whether the last record may still grow."""
        return self._assembler.waiting

    def count_in(self, tally: Tally) -> None:
        """Add what was counted so far to another tally, and count there from now on."""
        for name in ("bytes_read", "records", "matched", "unparsed", "cut", "torn"):
            setattr(tally, name, getattr(tally, name) + getattr(self._tally, name))
        self._tally = self._assembler.tally = self._picker.tally = tally

    def learn(self, batch: Sequence[Line]) -> None:
        """Tell the formats from these lines."""
        by_channel: dict[str, list[bytes]] = {}
        for line in batch:
            by_channel.setdefault(line.channel, []).append(line.raw)
        for channel, lines in by_channel.items():
            self._assembler.learn(lines, batch[-1].taken_ns, channel)

    def skip(self, batch: Iterable[Line]) -> None:
        """Take note of lines that were there before, and of no interest."""
        for line in batch:
            self.resume.is_new(line)

    def feed(self, batch: Sequence[Line]) -> list[Record]:
        """Take the next lines, those that came before left out."""
        if not self.lines and len(batch) > 1:
            self.learn(batch)
        self.lines += len(batch)
        records: list[Record] = []
        fresh = filter(self.resume.is_new, batch) if self._resumes else batch
        for line in fresh:
            self._tally.bytes_read += len(line.raw) + 1
            origin = line.origin or self.log.origin
            records += self._assembler.feed(line.raw, line.taken_ns, origin, line.channel, whole=line.whole)
        return self._picker.take(records)

    def settle(self) -> list[Record]:
        """The wanted among the records that were still open."""
        return self._picker.take(self._assembler.settle())


async def window(reader: Reader, selection: Selection, tally: Tally) -> AsyncGenerator[Record, None]:
    """The wanted records of all logs, merged by time, ``head`` and ``tail`` kept. A log that cannot be read is told in
    the tally; raises ``SourceError`` when none can."""
    logs = await reader.keeper.logs(tally)
    failures = Failures(len(logs), tally)
    if selection.tail is not None:
        records = _ends(reader, logs, selection, tally, failures)
    else:
        records = merged([failures.told(_whole(reader, log, selection, tally)) for log in logs])
    if selection.head is not None:
        records = first_of(records, selection.head, selection.after)
    async with aclosing(records):
        async for record in records:
            yield record
    failures.judge()


class Failures:
    """Of several logs, some may fail: that is told. When all do, the first failure is raised."""

    def __init__(self, logs: int, tally: Tally) -> None:
        self._logs = logs
        self._tally = tally
        self._errors: list[SourceError] = []

    async def told(self, records: AsyncGenerator[Record, None]) -> AsyncGenerator[Record, None]:
        """The records of one log, up to where it fails."""
        try:
            async with aclosing(records):
                async for record in records:
                    yield record
        except SourceError as error:
            self.note(error)

    def note(self, error: SourceError) -> None:
        """One log failed."""
        self._errors.append(error)
        if self._logs > 1:
            self._tally.skipped.append(str(error))

    def judge(self) -> None:
        """Raise when no log could be read."""
        if self._errors and len(self._errors) == self._logs:
            raise self._errors[0]


async def history(
    reader: Reader, reading: Reading, selection: Selection, tally: Tally, tail: int | None = None
) -> AsyncGenerator[Record, None]:
    """The wanted records of one log that are there now, or of its last ``tail`` lines. Raises ``SourceError`` after
    those that came before it."""
    since, until = selection.since_ns, selection.until_ns
    ask = Ask(
        since_ns=None if since is None else since - AHEAD_NS,
        until_ns=None if until is None else until + BEHIND_NS,
        tail=tail,
    )
    failure: SourceError | None = None
    try:
        async with aclosing(reader.keeper.lines(reading.log, ask, tally)) as lines:
            async for batch in lines:
                for record in reading.feed(batch):
                    yield record
    except SourceError as error:
        failure = error
    for record in reading.settle():
        yield record
    if failure is not None:
        raise failure


async def _whole(reader: Reader, log: Log, selection: Selection, tally: Tally) -> AsyncGenerator[Record, None]:
    async with aclosing(history(reader, reader.open(log, selection, tally), selection, tally)) as records:
        async for record in records:
            yield record


async def _ends(
    reader: Reader, logs: Sequence[Log], selection: Selection, tally: Tally, failures: Failures
) -> AsyncGenerator[Record, None]:
    """The last records of all logs together."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(log: Log) -> list[Record]:
        async with slots:
            try:
                return (await last(reader, log, selection, tally))[0]
            except SourceError as error:
                failures.note(error)
                return []

    found = await asyncio.gather(*(one(log) for log in logs))
    kept = Tail(selection.tail or 0)
    async for record in merged([_each(records) for records in found]):
        kept.put(record)
    for record in kept.kept:
        yield record


async def last(reader: Reader, log: Log, selection: Selection, tally: Tally) -> tuple[list[Record], Reading]:
    """The last wanted records of a log (``selection.tail`` of them), and the reading that found them."""
    wanted = selection.tail or 0
    lines = max(wanted * LINES_A_RECORD, FEWEST)
    seen = -1
    while True:
        scratch = Tally()
        reading = reader.open(log, selection, scratch)
        kept = Tail(wanted)
        tail = None if selection.until_ns is not None or lines > MOST else lines
        async with aclosing(history(reader, reading, selection, scratch, tail)) as records:
            async for record in records:
                kept.put(record)
        tally.skipped += (told for told in scratch.skipped if told not in tally.skipped)
        tally.notes += (told for told in scratch.notes if told not in tally.notes)
        # The first record of a part may lack its beginning: it must not be among those given.
        enough = scratch.matched > wanted + selection.before
        if tail is None or enough or reading.lines in (0, seen):
            reading.count_in(tally)
            tally.files += (name for name in scratch.files if name not in tally.files)
            return list(kept.kept), reading
        seen = reading.lines
        lines *= GROWTH


async def _each(records: Iterable[Record]) -> AsyncGenerator[Record, None]:
    for record in records:
        yield record
