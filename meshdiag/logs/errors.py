"""What logs say of a window in time: how many records went wrong, on which node, and what else is asked of them.

Several files may say the same (the mesh writes text and JSON): files that repeat one another are not added up, and
where JSON is there it stands for the text, which says less. All text is as it stood in the log: hostile.
"""

from __future__ import annotations

import glob
import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from meshdiag.errors import SourceError
from meshdiag.logs.opening.files import find
from meshdiag.logs.record import NS, Level, moment_of
from meshdiag.logs.selection import Pattern, Selection
from meshdiag.logs.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, tzinfo

    from meshdiag.logs.formats import Format
    from meshdiag.logs.opening.files import LogFile
    from meshdiag.logs.patterns.recurring import Recurring
    from meshdiag.logs.record import Record

TEXT_LENGTH = 300
EXAMPLES = 5
SUBJECTS = 5000
"""Distinct nodes that are told apart; a file that names more is made up."""
MOST = 200_000
"""Records of interest that are looked at in one file; where there are more, the window ends at the last of them."""

COUNTED_TO = 200
"""Records of a window that are counted, whatever their level: how many more there are changes no verdict. By them it
is told how many cannot be read."""

COUNTED = frozenset({Level.WARN, Level.ERROR, Level.FATAL})
GRAVE = frozenset({Level.ERROR, Level.FATAL})


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when (nanoseconds since the epoch). ``until_ns`` None: up to now, and what lies ahead counts, for
    the clock of the machine that wrote it may be ahead; ``now_ns`` is then its end for rates."""

    since_ns: int
    until_ns: int | None
    now_ns: int

    @property
    def end_ns(self) -> int:
        """The end, for reckoning how long it is."""
        return self.now_ns if self.until_ns is None else self.until_ns

    def selection(self, **more: Any) -> Selection:
        """What lies in the window, and more conditions."""
        return Selection(since_ns=self.since_ns, until_ns=self.until_ns, **more)

    def before(self, seconds: float) -> Window:
        """So many seconds just before it."""
        return Window(self.since_ns - int(seconds * NS), self.since_ns, self.since_ns)


@dataclass(frozen=True, slots=True)
class Reach:
    """What an answer rests on. ``files`` were read; ``problem`` says in one sentence why there is no answer, None
    where there is one; ``absent`` tells that no file is here at all. ``covered_s``: how many seconds of the
    window the files tell of. ``broken``: records that could not be read. ``refused``: a sentence for each file that
    is here and could not be read, also where another one answered."""

    files: tuple[str, ...] = ()
    problem: str | None = None
    absent: bool = False
    covered_s: float = 0.0
    broken: int = 0
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """A record worth showing. The message is as it stood, cut short: hostile text."""

    time: datetime
    node: str
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class ErrorLog(Reach):
    """Records of level WARN, ERROR and FATAL in a window. ``counts`` by (node, level), node empty where the record
    names none; ``total`` records of any level, as far as they are counted (``COUNTED_TO`` a file); ``first`` and
    ``last`` ERROR or FATAL; ``examples`` the latest of them, newest first; ``grave`` all of them, as far as they were
    looked at; ``levelled``: some line states a level, or there is none."""

    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    total: int = 0
    first: datetime | None = None
    last: datetime | None = None
    examples: tuple[Example, ...] = ()
    grave: tuple[Record, ...] = ()
    levelled: bool = True

    @property
    def errors(self) -> int:
        """How many are ERROR or FATAL."""
        return sum(count for (_, level), count in self.counts.items() if level != Level.WARN.name)


@dataclass(slots=True)
class Told:
    """What one file (with what rotation left of it) tells of a window: the records of interest, how many records
    there are at all, how many could not be read, the time of its first. ``stopped_ns``: the time of the record at which
    reading stopped, None where all of the window was read. ``levelled``: some of the records states a level."""

    path: str
    records: list[Record] = field(default_factory=list)
    total: int = 0
    broken: int = 0
    json: bool = False
    oldest_ns: int | None = None
    stopped_ns: int | None = None
    levelled: bool = True


@dataclass(frozen=True, slots=True)
class Opened:
    """The files of some paths. ``refused`` are here and cannot be read, ``missing`` are not here."""

    logs: tuple[tuple[str, list[LogFile]], ...]
    refused: tuple[str, ...]
    missing: tuple[str, ...]

    def reach(self, told: Iterable[Told], window: Window) -> Reach:
        """What an answer from these files rests on."""
        if not self.logs:
            nothing = f"no log file here: {', '.join(self.missing) or 'none is configured'}"
            return Reach((), "; ".join(self.refused) or nothing, not self.refused, refused=self.refused)
        told = list(told)
        began = min((one.oldest_ns for one in told if one.oldest_ns is not None), default=None)
        ended = max((one.stopped_ns or window.end_ns for one in told), default=window.end_ns)
        covered = 0 if began is None else max(0, min(ended, window.end_ns) - max(began, window.since_ns))
        broken = sum(one.broken for one in told)
        return Reach(tuple(path for path, _ in self.logs), None, False, covered / NS, broken, self.refused)


def open_logs(paths: Sequence[str]) -> Opened:
    """The log files of some paths, with what rotation left of them. Never raises: what cannot be read is told."""
    logs: list[tuple[str, list[LogFile]]] = []
    refused: list[str] = []
    missing: list[str] = []
    for path in paths:
        try:
            if is_pattern(path):
                logs += by_log(find([path], Tally()))
                continue
            _look_at(path)
            logs.append((path, find([path], Tally())))
        except (FileNotFoundError, SourceError):
            missing.append(path)
        except (OSError, ValueError) as error:
            refused.append(f"{path} cannot be read: {_reason(error)}")
    return Opened(tuple(logs), tuple(refused), tuple(missing))


def by_log(files: Sequence[LogFile]) -> list[tuple[str, list[LogFile]]]:
    """Files by the log that they are part of: its name, and what rotation left of it."""
    logs: dict[str, list[LogFile]] = {}
    for file in files:
        logs.setdefault(file.live, []).append(file)
    return list(logs.items())


def searched(
    files: Sequence[LogFile], selection: Selection, formats: Sequence[Format], zone: tzinfo | None
) -> Iterator[Record]:
    """The wanted records. The engine is imported here: every ``health`` comes by, and most have no log to read."""
    from meshdiag.logs.search import search

    return search(files, selection, Tally(), formats=formats, zone=zone)


def is_pattern(path: str) -> bool:
    """Whether a path is a glob, and no file that happens to be called so."""
    return glob.has_magic(path) and not os.path.lexists(path)


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a log begins: whether in JSON, and when its first record was written, None where it does not say."""

    json: bool
    time_ns: int | None


def beginning(files: list[LogFile], formats: Sequence[Format] = (), zone: tzinfo | None = None) -> Beginning | None:
    """How a log begins; None for an empty one."""
    first = next(searched(files, Selection(head=1), formats, zone), None)
    return None if first is None else Beginning(first.raw.lstrip()[:1] == b"{", first.time_ns)


def tell(
    path: str,
    files: list[LogFile],
    selection: Selection,
    formats: Sequence[Format] = (),
    zone: tzinfo | None = None,
    *,
    begins: Beginning | None = None,
) -> Told:
    """What a log tells: the records of a selection, and what stands around them. ``zone`` is that of times that name
    none, this machine's when None; ``begins`` is for who knows already how it begins."""
    told = Told(path)
    begins = begins or beginning(files, formats, zone)
    if begins is None:
        return told
    told.json, told.oldest_ns = begins.json, begins.time_ns
    told.records = list(islice(searched(files, selection, formats, zone), MOST))
    if len(told.records) == MOST:
        told.stopped_ns = told.records[-1].time_ns
    window = Selection(since_ns=selection.since_ns, until_ns=selection.until_ns)
    sample = list(islice(searched(files, window, formats, zone), COUNTED_TO))
    if not sample and begins.time_ns is None:
        told.broken = _timeless(files, formats, zone)
        return told
    told.broken = sum(record.time_ns is None for record in sample)
    told.total = len(sample) - told.broken
    told.levelled = bool(told.records) or any(record.level is not None for record in sample)
    return told


def _timeless(files: list[LogFile], formats: Sequence[Format], zone: tzinfo | None) -> int:
    """How many records a log holds in which no time can be found; none where there is a time in one of them."""
    sample = list(islice(searched(files, Selection(), formats, zone), COUNTED_TO))
    return 0 if any(record.time_ns is not None for record in sample) else len(sample)


def summed_up(told: Sequence[Told], reach: Reach, *, alike: bool = True) -> ErrorLog:
    """The error log of what some files tell, each told with the selection of ``COUNTED`` levels. ``alike``: they are
    the mesh's own, which repeat one another; else each is a log of its own, and they are added up."""
    chosen = ([one for one in told if one.json and one.total] if alike else []) or list(told)
    counters = [Counter(_subjects(one.records)) for one in chosen]
    counts = largest(counters) if alike else dict(sum(counters, Counter()))
    grave = [record for one in chosen for record in one.records if record.level in GRAVE]
    times = [moment(record) for record in grave]
    return ErrorLog(
        reach.files,
        reach.problem,
        reach.absent,
        reach.covered_s,
        reach.broken,
        reach.refused,
        counts=counts,
        total=sum(one.total for one in chosen),
        first=min(times, default=None),
        last=max(times, default=None),
        examples=examples(grave),
        grave=tuple(grave),
        levelled=any(one.levelled for one in chosen if one.total) or not any(one.total for one in chosen),
    )


def new_kinds(grave: Sequence[Record], before: Sequence[Record]) -> list[Recurring]:
    """The kinds of errors that the time before had not, the most frequent first: records that differ in numbers,
    names and addresses alone are of one kind."""
    from meshdiag.logs.patterns.recurring import Patterns

    patterns = Patterns(compare=True)
    for records, now in ((before, 0), (grave, 1)):
        for record in records:
            patterns.add(record, now)
            if patterns.full:
                patterns.thin()
    return [one for one in patterns.found().patterns if not one.before]


def moment(record: Record) -> datetime:
    """The time of a record; the epoch where it has none."""
    return moment_of(record.time_ns or 0)


def largest(counters: Iterable[Counter[Any]]) -> dict[Any, int]:
    """The largest count of each key: files that hold the same records are not added up."""
    merged: Counter[Any] = Counter()
    for counter in counters:
        merged |= counter
    return dict(merged)


def examples(records: Iterable[Record]) -> tuple[Example, ...]:
    """The latest distinct records, newest first."""
    seen: dict[tuple[str, str], Example] = {}
    for record in sorted(records, key=lambda record: record.time_ns or 0, reverse=True):
        if len(seen) == EXAMPLES:
            break
        message = record.message[:TEXT_LENGTH]
        level = record.level.name if record.level is not None else ""
        seen.setdefault((record.node, message), Example(moment(record), record.node, level, message))
    return tuple(seen.values())


def mentions_pattern(word: str) -> Pattern:
    """A word in any case."""
    return Pattern(word, fixed=True, ignore_case=True)


def _subjects(records: Iterable[Record]) -> Iterator[tuple[str, str]]:
    """Node and level of each record; from some number of nodes on, the others together."""
    nodes: set[str] = set()
    for record in records:
        node = record.node
        if node not in nodes and len(nodes) >= SUBJECTS:
            node = "(others)"
        nodes.add(node)
        yield node, record.level.name if record.level is not None else ""


def _look_at(path: str) -> None:
    """Raise what is wrong with a path: a pipe in the place of a log would hold us up, a folder is none."""
    # Without O_NONBLOCK a pipe would be waited for when it is opened.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(number).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(21, "Is a directory")
        if not stat.S_ISREG(mode):
            raise ValueError("it is not a regular file")
    finally:
        os.close(number)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)
