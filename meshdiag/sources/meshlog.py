"""The mesh's log files on this machine: the end of each that a time window needs, read once and summed up.

A log line is a JSON object (``ts``, ``level``, ``node``, ``message``, ``consensus``; bunyan's ``time``, ``msg``
and numeric levels too) or text that begins with a time and a level. Text is the fallback: where the mesh writes
both, the JSON says the same with more. Files are hostile input: reads are bounded, what does not parse is
counted, nothing that stands in them is trusted to be of a type.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import stat
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

TAIL_BYTES = 16 * 1024 * 1024
"""How much of a file's end is read at most."""

CHUNK_BYTES = 1024 * 1024
LINE_BYTES = 256 * 1024
"""A longer line counts as broken."""

TEXT_LENGTH = 300
EXAMPLES = 5
SUBJECTS = 5000
"""Distinct nodes that are told apart; a file that names more is made up."""

LEVELS = ("WARN", "ERROR", "FATAL")
"""The levels that are counted, mildest first."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What an answer rests on. ``files`` were read; ``problem`` says in one sentence why there is no answer, None
    where there is one; ``absent`` tells that no file is here at all. ``covered_s``: how many seconds of the
    window the files tell of. ``broken``: lines that could not be read. ``refused``: a sentence for each file that
    is here and could not be read, also where another one answered."""

    files: tuple[str, ...] = ()
    problem: str | None = None
    absent: bool = False
    covered_s: float = 0.0
    broken: int = 0
    refused: tuple[str, ...] = ()


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
class Example:
    """A log line worth showing. The message is as it stood, cut short: hostile text."""

    time: datetime
    node: str
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class ErrorLog(Reach):
    """Lines of level WARN, ERROR and FATAL in a window. ``counts`` by (node, level), node empty where the line
    names none; ``total`` lines of any level; ``first`` and ``last`` ERROR or FATAL; ``examples`` the latest of
    them, newest first."""

    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    total: int = 0
    first: datetime | None = None
    last: datetime | None = None
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Mentions(Reach):
    """Lines whose message holds a word (any case) in a window: ``counts`` by node, when first and last, and
    the latest of them, newest first. Files that repeat one another are not added up."""

    counts: Mapping[str, int] = field(default_factory=dict)
    first: datetime | None = None
    last: datetime | None = None
    examples: tuple[Example, ...] = ()

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.counts.values())


_ReachFields = tuple[tuple[str, ...], str | None, bool, float, int, tuple[str, ...]]
"""The fields of ``Reach``, in their order."""


class MeshLog:
    """The log files of ``paths`` that are on this machine. ``now`` may be replaced in tests."""

    name = "log files"

    def __init__(
        self,
        paths: Sequence[str],
        *,
        tail_bytes: int = TAIL_BYTES,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.paths = tuple(paths)
        self._tail_bytes = tail_bytes
        self._now = now

    async def rounds(self, since: datetime, until: datetime | None = None) -> RoundLog:
        """The consensus rounds logged from ``since`` to ``until`` (UTC; now when None)."""
        tails, reach = await self._tails(since, until)
        found: dict[tuple[Any, ...], Round] = {}
        for line in (line for tail in tails for line in tail.lines if line.consensus is not None):
            one = _round(line)
            if one is None:
                continue
            key = (one.node, one.leader, one.time if one.number is None else one.number)
            if key not in found or one.duration_s > found[key].duration_s:
                found[key] = one
        return RoundLog(*reach, rounds=tuple(sorted(found.values(), key=lambda one: one.time)))

    async def errors(self, since: datetime, until: datetime | None = None) -> ErrorLog:
        """What went wrong by the log in a window, per node and level."""
        tails, reach = await self._tails(since, until)
        chosen = [tail for tail in tails if tail.is_json and tail.total] or tails
        grave = [line for tail in chosen for line in tail.lines if line.level in LEVELS[1:]]
        counts = _largest(Counter((line.node, line.level) for line in tail.lines if line.level) for tail in chosen)
        times = [line.time for line in grave]
        return ErrorLog(
            *reach,
            counts=counts,
            total=sum(tail.total for tail in chosen),
            first=_moment(min(times)) if times else None,
            last=_moment(max(times)) if times else None,
            examples=_examples(grave),
        )

    async def mentions(self, word: str, since: datetime, until: datetime | None = None) -> Mentions:
        """The lines that hold ``word`` in their message, whatever their level."""
        tails, reach = await self._tails(since, until, word)
        found = [[line for line in tail.lines if line.mentions] for tail in tails]
        counts = _largest(Counter(line.node for line in lines) for lines in found)
        if len(counts) > 1:
            counts.pop("", None)  # text lines that do not say who repeat those that do
        lines = [line for some in found for line in some]
        return Mentions(
            *reach,
            counts=counts,
            first=_moment(min(line.time for line in lines)) if lines else None,
            last=_moment(max(line.time for line in lines)) if lines else None,
            examples=_examples(lines),
        )

    async def _tails(self, since: datetime, until: datetime | None, word: str = "") -> tuple[list[_Tail], _ReachFields]:
        """The end of each file that can be read, and the fields of ``Reach``."""
        window = _Window(since.timestamp(), (until or self._now()).timestamp(), until is not None)
        return await asyncio.to_thread(self._read_all, window, word.casefold())

    def _read_all(self, window: _Window, word: str) -> tuple[list[_Tail], _ReachFields]:
        tails: list[_Tail] = []
        missing: list[str] = []
        problems: list[str] = []
        for path in self.paths:
            try:
                tails.append(_read_tail(Path(path), window, self._tail_bytes, word))
            except FileNotFoundError:
                missing.append(path)
            except (OSError, ValueError) as error:
                problems.append(f"{path} cannot be read: {_reason(error)}")
        if not tails:
            problem = "; ".join(problems) or f"no log file here: {', '.join(missing) or 'none is configured'}"
            return [], ((), problem, not problems, 0.0, 0, tuple(problems))
        began = min((tail.oldest for tail in tails), default=math.inf)
        covered = max(0.0, window.until - max(began, window.since)) if math.isfinite(began) else 0.0
        files = tuple(tail.path for tail in tails)
        return tails, (files, None, False, covered, sum(tail.broken for tail in tails), tuple(problems))


@dataclass(frozen=True, slots=True)
class _Window:
    """From when to when (epoch). ``closed``: lines after the end do not count; where the end is now they do, for
    the clock of the machine that wrote them may be ahead."""

    since: float
    until: float
    closed: bool

    def holds(self, time: float) -> bool:
        return self.since <= time and not (self.closed and time > self.until)


@dataclass(slots=True)
class _Line:
    """A line that counts: of a level that is counted, about a round, or with the word asked for."""

    time: float
    level: str
    node: str
    message: str
    consensus: Mapping[str, Any] | None = None
    mentions: bool = False


@dataclass(slots=True)
class _Tail:
    """What the end of one file holds. ``oldest``: the earliest time that was read (epoch), inf for none."""

    path: str
    lines: list[_Line] = field(default_factory=list)
    total: int = 0
    broken: int = 0
    json_lines: int = 0
    oldest: float = math.inf

    @property
    def is_json(self) -> bool:
        return self.json_lines * 2 > self.total


def _read_tail(path: Path, window: _Window, limit: int, word: str) -> _Tail:
    """Read the lines of a file that lie in a window. Raises ``OSError``, ``ValueError`` for an odd path."""
    tail = _Tail(str(path))
    nodes: set[str] = set()
    for raw in _lines_since(path, window.since, limit):
        if not raw.strip() or (raw[:1] in b" \t" and raw.lstrip()[:1] != b"{"):
            continue  # empty, or the continuation of a text line: a traceback, say
        parsed = _parse(raw) if len(raw) <= LINE_BYTES else None
        if parsed is None:
            tail.broken += 1
            continue
        tail.oldest = min(tail.oldest, parsed.time)
        if not window.holds(parsed.time):
            continue
        tail.total += 1
        tail.json_lines += raw.lstrip()[:1] == b"{"
        parsed.mentions = bool(word) and word in parsed.message.casefold()
        if not (parsed.level or parsed.mentions or parsed.consensus is not None):
            continue
        if parsed.node not in nodes and len(nodes) >= SUBJECTS:
            parsed.node = "(others)"
        nodes.add(parsed.node)
        parsed.message = parsed.message[:TEXT_LENGTH]
        tail.lines.append(parsed)
    return tail


def _lines_since(path: Path, since: float, limit: int) -> Iterator[bytes]:
    """The complete lines of a file's end, from the chunk that reaches back to ``since`` on."""
    # Without O_NONBLOCK a pipe that somebody put in the place of the log would hold us up for ever.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(number, "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a regular file")
        data, whole = _read_back(file.fileno(), status.st_size, since, limit)
    lines = data.split(b"\n")
    if lines[-1] and _parse(lines[-1]) is None:
        lines.pop()  # a line that is still being written
    return iter(lines if whole else lines[1:])


def _read_back(number: int, size: int, since: float, limit: int) -> tuple[bytes, bool]:
    """Read chunks backwards until one begins before ``since``; also whether the start of the file was reached."""
    chunks: list[bytes] = []
    start = size
    while start > 0 and size - start < limit:
        length = min(CHUNK_BYTES, start, limit - (size - start))
        start -= length
        chunk = os.pread(number, length, start)
        chunks.append(chunk)
        first = next(filter(None, map(_parse, chunk.split(b"\n", 20)[1:20])), None)
        if first is not None and first.time < since:
            break
    return b"".join(reversed(chunks)), start == 0


def _parse(raw: bytes) -> _Line | None:
    """Read one line, None when it is broken: no object, no time that can be understood."""
    if len(raw) > LINE_BYTES:
        return None
    if raw.lstrip()[:1] == b"{":
        try:
            record = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return None
        return _from_json(record)
    return _from_text(raw.decode("utf-8", "replace").rstrip("\r"))


def _from_json(record: Mapping[str, Any]) -> _Line | None:
    time = next(filter(None, (_epoch(record.get(key)) for key in ("ts", "time", "timestamp"))), None)
    if time is None:
        return None
    consensus = record.get("consensus")
    return _Line(
        time,
        _level(record.get("level", record.get("severity"))),
        _text(record.get("node", record.get("hostname"))),
        _text(record.get("message", record.get("msg")), LINE_BYTES),
        consensus if isinstance(consensus, dict) else None,
    )


_TEXT_LINE = re.compile(
    r"\[?(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)\]?"
    r"\s{1,8}\[?(?P<level>[A-Za-z]{1,12})\]?:?\s(?P<rest>.*)",
    re.DOTALL,
)
_NODE = re.compile(r"\bnode[=:] ?\"?([A-Za-z0-9_.:-]{1,100})")


def _from_text(text: str) -> _Line | None:
    match = _TEXT_LINE.match(text)
    time = _epoch(match["time"].replace(",", ".")) if match else None
    if match is None or time is None:
        return None
    node = _NODE.search(match["rest"])
    return _Line(time, _level(match["level"]), node[1] if node else "", match["rest"])


def _round(line: _Line) -> Round | None:
    consensus = line.consensus or {}
    seconds = _number(consensus.get("duration_s"))
    if seconds is None:
        millis = _number(consensus.get("duration_ms"))
        seconds = None if millis is None else millis / 1000
    if seconds is None or seconds < 0:
        return None
    number = _number(consensus.get("round"))
    return Round(
        _moment(line.time),
        None if number is None else int(number),
        _text(consensus.get("leader")),
        seconds,
        _text(consensus.get("outcome")),
        line.node,
    )


_WORDS = {
    "WARN": "WARN", "WARNING": "WARN", "W": "WARN",
    "ERROR": "ERROR", "ERR": "ERROR", "E": "ERROR",
    "FATAL": "FATAL", "CRITICAL": "FATAL", "CRIT": "FATAL", "PANIC": "FATAL", "EMERG": "FATAL", "F": "FATAL",
}  # fmt: skip


def _level(value: object) -> str:
    """The level as one of ``LEVELS``, empty for any other. Numbers are bunyan's (40 WARN, 50 ERROR, 60 FATAL)."""
    if isinstance(value, str) and not value.isdecimal():
        return _WORDS.get(value.strip().upper(), "")
    number = _number(value)
    if number is None or number < 40:
        return ""
    return LEVELS[min(int(number) // 10 - 4, 2)]


def _epoch(value: object) -> float | None:
    """Seconds since the epoch from RFC 3339 (no zone means UTC) or a number of seconds, ms, µs or ns."""
    number = _number(value) if not isinstance(value, str) else None
    if number is not None:
        while number > 1e11:
            number /= 1000
        return number if number > 0 else None
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        moment = datetime.fromisoformat(value)
        epoch = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return epoch if epoch > 0 else None


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str) and len(value) <= 32:
        try:
            number = float(value)
        except ValueError:
            return None
        return number if math.isfinite(number) else None
    return None


def _text(value: object, length: int = TEXT_LENGTH) -> str:
    return value[:length] if isinstance(value, str) else ""


def _moment(epoch: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=epoch)


def _largest(counters: Iterable[Counter[Any]]) -> dict[Any, int]:
    """The largest count of each key: files that hold the same lines are not added up."""
    merged: Counter[Any] = Counter()
    for counter in counters:
        merged |= counter
    return dict(merged)


def _examples(lines: list[_Line]) -> tuple[Example, ...]:
    """The latest distinct lines, newest first."""
    seen: dict[tuple[str, str], Example] = {}
    for line in sorted(lines, key=lambda line: line.time, reverse=True):
        if len(seen) == EXAMPLES:
            break
        key = (line.node, line.message)
        seen.setdefault(key, Example(_moment(line.time), line.node, line.level, line.message))
    return tuple(seen.values())


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)
