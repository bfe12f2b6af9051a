"""The mesh's log files on this machine, as a source that checks may ask: the log engine in a thread of its own.

Only the window that is asked about is read, found by its time. Files are hostile input: what does not parse is
counted, nothing that stands in them is trusted to be of a type.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from meshdiag.errors import ConfigError, SourceError, Trouble
from meshdiag.logs.errors import (
    COUNTED,
    TEXT_LENGTH,
    ErrorLog,
    Example,
    Reach,
    Window,
    beginning,
    examples,
    largest,
    mentions_pattern,
    moment,
    open_logs,
    summed_up,
    tell,
)
from meshdiag.logs.record import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshdiag.logs.errors import Beginning, Told
    from meshdiag.logs.formats import Format
    from meshdiag.logs.opening.files import LogFile
    from meshdiag.logs.record import Record
    from meshdiag.logs.selection import Selection

__all__ = ["ErrorLog", "Example", "Mentions", "MeshLog", "Reach", "Round", "RoundLog"]


@dataclass(frozen=True, slots=True)
class Round:
    """One consensus round as one node logged it. ``number`` and ``duration_s`` (seconds) are its own account."""

    time: datetime
    number: int | None
    leader: str
    duration_s: float
    outcome: str
    node: str


@dataclass(frozen=True, slots=True)
class RoundLog(Reach):
    """The rounds logged in a window, oldest first. Where a node logs a round more than once (a line a phase), the
    longest duration stands for it."""

    rounds: tuple[Round, ...] = ()


@dataclass(frozen=True, slots=True)
class Mentions(Reach):
    """Records whose message holds a word (any case) in a window: ``counts`` by node, when first and last, and
    the latest of them, newest first. Files that repeat one another are not added up: ``records`` are those of the
    file that says most. ``total`` records of any kind are in the window."""

    counts: Mapping[str, int] = field(default_factory=dict)
    first: datetime | None = None
    last: datetime | None = None
    examples: tuple[Example, ...] = ()
    records: tuple[Record, ...] = ()
    total: int = 0

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.counts.values())


class MeshLog:
    """The log files of ``paths`` that are on this machine, with what rotation left of them. ``formats`` are the
    user's own, a regular expression by name. ``now`` may be replaced in tests."""

    name = "log files"

    def __init__(
        self,
        paths: Sequence[str],
        formats: Mapping[str, str] | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.paths = tuple(paths)
        self._regexes = formats or {}
        self._now = now
        self._beginnings: dict[str, Beginning | None] = {}

    async def rounds(self, since: datetime, until: datetime | None = None) -> RoundLog:
        """The consensus rounds logged from ``since`` to ``until`` (UTC; now when None)."""
        window = self._window(since, until)
        told, reach = await asyncio.to_thread(self._tell, window, window.selection(field="consensus"))
        found: dict[tuple[Any, ...], Round] = {}
        for record in (record for one in told for record in one.records):
            one = _round(record)
            if one is None:
                continue
            key = (one.node, one.leader, one.time if one.number is None else one.number)
            if key not in found or one.duration_s > found[key].duration_s:
                found[key] = one
        return RoundLog(**_fields(reach), rounds=tuple(sorted(found.values(), key=lambda one: one.time)))

    async def errors(self, since: datetime, until: datetime | None = None) -> ErrorLog:
        """What went wrong by the log in a window, per node and level."""
        window = self._window(since, until)
        return summed_up(*await asyncio.to_thread(self._tell, window, window.selection(levels=COUNTED), alike=True))

    async def mentions(self, word: str, since: datetime, until: datetime | None = None) -> Mentions:
        """The records that hold ``word`` in their message, whatever their level."""
        window = self._window(since, until)
        asked = window.selection(patterns=(mentions_pattern(word),))
        told, reach = await asyncio.to_thread(self._tell, window, asked)
        folded = word.casefold()
        found = [[one for one in log.records if folded in one.message.casefold()] for log in told]
        counts = largest(Counter(record.node for record in records) for records in found)
        if len(counts) > 1:
            counts.pop("", None)  # text lines that do not say who repeat those that do
        records = [record for some in found for record in some]
        times = [moment(record) for record in records]
        return Mentions(
            **_fields(reach),
            counts=counts,
            first=min(times, default=None),
            last=max(times, default=None),
            examples=examples(records),
            records=tuple(_telling(found)),
            total=sum(one.total for one in told),
        )

    def _window(self, since: datetime, until: datetime | None) -> Window:
        return Window(nanoseconds(since), None if until is None else nanoseconds(until), nanoseconds(self._now()))

    def _tell(self, window: Window, selection: Selection, *, alike: bool = False) -> tuple[list[Told], Reach]:
        """What each log tells of a selection; with ``alike`` the text logs only where no JSON log tells anything, for
        they say the same with less. Raises ``SourceError`` for a format of the user's that is none."""
        opened = open_logs(self.paths)
        formats = self._formats()
        told: dict[str, Told] = {}
        for path, files in sorted(opened.logs, key=lambda one: not self._in_json(*one)) if alike else opened.logs:
            if alike and not self._in_json(path, files) and any(one.total for one in told.values()):
                break
            told[path] = tell(path, files, selection, formats, begins=self._begins(path, files))
        return list(told.values()), opened.reach(told.values(), window)

    def _in_json(self, path: str, files: list[LogFile]) -> bool:
        begins = self._begins(path, files)
        return begins is not None and begins.json

    def _begins(self, path: str, files: list[LogFile]) -> Beginning | None:
        """How a log begins, looked at once a run: several questions want to know."""
        if path not in self._beginnings:
            self._beginnings[path] = beginning(files, self._formats())
        return self._beginnings[path]

    def _formats(self) -> tuple[Format, ...]:
        if not self._regexes:
            return ()
        from meshdiag.logs.formats.custom import custom

        try:
            return tuple(custom(name, regex) for name, regex in self._regexes.items())
        except ConfigError as error:
            raise SourceError(error.message, trouble=Trouble.NOT_CONFIGURED, source=self.name) from error


def _telling(found: list[list[Record]]) -> list[Record]:
    """The records of the file that says most: one that names nodes before one that does not."""
    return max(found, key=lambda some: (any(one.node for one in some), len(some)), default=[])


def _fields(reach: Reach) -> dict[str, Any]:
    return {one.name: getattr(reach, one.name) for one in fields(reach)}


def _round(record: Record) -> Round | None:
    consensus = record.fields.get("consensus")
    if not isinstance(consensus, dict):
        return None
    seconds = _number(consensus.get("duration_s"))
    if seconds is None:
        millis = _number(consensus.get("duration_ms"))
        seconds = None if millis is None else millis / 1000
    if seconds is None or seconds < 0:
        return None
    number = _number(consensus.get("round"))
    return Round(
        moment(record),
        None if number is None else int(number),
        _text(consensus.get("leader")),
        seconds,
        _text(consensus.get("outcome")),
        record.node[:TEXT_LENGTH],
    )


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) and abs(value) < 1e300 else None
    if isinstance(value, str) and len(value) <= 32:
        try:
            number = float(value)
        except ValueError:
            return None
        return number if math.isfinite(number) else None
    return None


def _text(value: object) -> str:
    return value[:TEXT_LENGTH] if isinstance(value, str) else ""
