"""Puts records together from lines that arrive one by one, each with the time at which somebody took it in.

That is how logs come out of container engines and the journal: they cut at every newline and stamp each line, so
that a stack trace arrives as forty lines of forty times. Lines of several channels (stdout and stderr, the streams
of services) may come interleaved; a line continues the record of its own channel.

Two times meet here: the one a record states and the one at which its first line was taken. The stated one counts
where it is believable (at most ``BEHIND_NS`` before, for output that waits in a buffer, and ``AHEAD_NS`` after, for
rounding); further away it is a clock, a zone or a replay of its own, and the time of taking counts. So whoever asks
for a window may narrow it by the time of taking, wider by these two, and lose nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from meshdiag.logs.formats import Hints
from meshdiag.logs.record import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import tzinfo

    from meshdiag.logs.formats import Format
    from meshdiag.logs.record import Level, Record
    from meshdiag.logs.tally import Tally

BEHIND_NS = 15 * 60 * NS
"""How long before the time of taking a record may say it was written."""
AHEAD_NS = 2 * NS
"""How long after the time of taking it may say so."""
TOGETHER_NS = NS
"""Lines of one record are taken within this time, or another channel's records need not wait for it."""
LONGEST = 1 << 20
"""Bytes of one record, beyond which it is cut."""
SAMPLE = 64
"""Lines that a format is told from."""
LOOK_AGAIN = (1, 8, 32)
"""After how many lines of a channel its format is told anew, when nothing was learned before."""
MOST_CHANNELS = 4096

PEEK = 4096
"""Bytes of a line that are kept to tell a format from."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a line comes from, and what a record takes from there when it does not say it itself. ``firm``: the level
    given here counts, whatever the record states."""

    file: str
    node: str = ""
    component: str = ""
    level: Level | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    firm: bool = False


@dataclass(frozen=True, slots=True)
class Sieve:
    """What can be said against a record before it is read: that ``holds`` does, for its bytes, or that its level is
    none of ``levels`` (None: any)."""

    holds: Callable[[bytes], bool]
    levels: frozenset[Level] | None


@dataclass(slots=True)
class _Draft:
    """A record that may grow."""

    channel: _Channel
    origin: Origin
    parts: list[bytes]
    size: int
    taken_ns: int | None
    last_ns: int | None
    format: Format
    done: bool = False


@dataclass(slots=True)
class _Channel:
    """What is known of one channel. ``misses`` are lines in a row that its format made nothing of."""

    format: Format | None = None
    learned: bool = False
    draft: _Draft | None = None
    lines: int = 0
    misses: int = 0
    patience: int = SAMPLE
    recent: deque[bytes] = field(default_factory=lambda: deque(maxlen=SAMPLE))


class Assembler:
    """Lines in, records out, in the order in which their first lines came. ``formats`` are the user's own, ``zone``
    is for times without one. Counts ``cut`` and ``unparsed`` in the tally.

    With a ``sieve``, records that it refuses by their bytes and level are left out unread, and counted as looked at.
    """

    def __init__(
        self, tally: Tally, *, formats: Sequence[Format] = (), zone: tzinfo = UTC, sieve: Sieve | None = None
    ) -> None:
        self.tally = tally
        self._sieve = sieve
        self._formats = tuple(formats)
        self._zone = zone
        self._channels: dict[str, _Channel] = {}
        self._drafts: deque[_Draft] = deque()
        self._before_ns: int | None = None

    @property
    def waiting(self) -> bool:
        """Whether there is a record that may still grow."""
        return bool(self._drafts)

    def learn(self, lines: Sequence[bytes], taken_ns: int | None, channel: str = "") -> None:
        """Tell a channel's format from lines of it, before they are fed or without ever feeding them."""
        if lines:
            known = self._channel(channel)
            known.format = self._detect([line[:PEEK] for line in lines[:SAMPLE]], taken_ns)
            known.learned = True

    def feed(
        self, line: bytes, taken_ns: int | None, origin: Origin, channel: str = "", *, whole: bool = False
    ) -> list[Record]:
        """Take the next line (without its newline) and give the records that are complete now. A ``whole`` one is
        a record, which neither continues one nor is continued."""
        known = self._channel(channel)
        known.recent.append(line[:PEEK])
        known.lines += 1
        format_ = self._format(known, taken_ns)
        draft = known.draft
        if draft is None or whole or format_.starts(line):
            self._close(known)
            known.draft = _Draft(known, origin, [line[:LONGEST]], len(line), taken_ns, taken_ns, format_, whole)
            self.tally.cut += len(line) > LONGEST
            self._drafts.append(known.draft)
        else:
            known.misses += 1
            draft.last_ns = taken_ns
            self._grow(draft, line)
        if len(self._drafts) > 1:
            self._release(taken_ns)
        return self._ready()

    def settle(self) -> list[Record]:
        """Give what is left: no line comes any more, or none has come for a while."""
        for channel in self._channels.values():
            self._close(channel)
        return self._ready()

    def _channel(self, name: str) -> _Channel:
        known = self._channels.get(name)
        if known is None:
            if len(self._channels) >= MOST_CHANNELS:
                oldest = next(iter(self._channels))
                self._close(self._channels.pop(oldest))
            known = self._channels[name] = _Channel()
        return known

    def _format(self, known: _Channel, taken_ns: int | None) -> Format:
        """The channel's format, told again while it is young and when its lines no longer fit."""
        lost = known.misses >= known.patience
        if known.format is None or lost or (not known.learned and known.lines in LOOK_AGAIN):
            found = self._detect(tuple(known.recent), taken_ns)
            if lost:
                known.misses = 0
                known.patience *= 4
                if found.name != getattr(known.format, "name", ""):
                    self._close(known)
            known.format = found
        return known.format

    def _detect(self, lines: Sequence[bytes], taken_ns: int | None) -> Format:
        from meshdiag.logs.formats.detecting import detect

        return detect(lines, self._hints(taken_ns), self._formats)

    def _hints(self, taken_ns: int | None) -> Hints:
        newest = datetime.now(UTC) if taken_ns is None else datetime.fromtimestamp(taken_ns / NS, UTC)
        return Hints(newest, self._zone)

    def _grow(self, draft: _Draft, line: bytes) -> None:
        room = LONGEST - draft.size - 1  # the newline between them
        if room > 0:
            draft.parts.append(line[:room])
        if draft.size <= LONGEST and room < len(line):
            self.tally.cut += 1
        draft.size += len(line) + 1

    def _close(self, known: _Channel) -> None:
        if known.draft is not None:
            known.draft.done = True
            known.draft = None

    def _release(self, taken_ns: int | None) -> None:
        """Other channels' records that had no line for a while hold up nobody."""
        first = self._drafts[0]
        if not first.done and taken_ns is not None and (first.last_ns or taken_ns) < taken_ns - TOGETHER_NS:
            first.done = True

    def _ready(self) -> list[Record]:
        ready: list[Record] = []
        while self._drafts and self._drafts[0].done:
            draft = self._drafts.popleft()
            raw = draft.parts[0] if len(draft.parts) == 1 else b"\n".join(draft.parts)
            if self._sieve is not None and self._refused(self._sieve, draft, raw):
                self.tally.records += 1
            else:
                ready.append(self._record(draft, raw))
        return ready

    def _refused(self, sieve: Sieve, draft: _Draft, raw: bytes) -> bool:
        """Whether a record need not be read. It counts all the same for what its channel's format is worth."""
        if draft.taken_ns is None or len(draft.parts) > 1:
            return False  # it may give its time to the next one; its level may stand in a later line
        level = draft.format.level(raw)
        counts = draft.origin.level if draft.origin.firm or level is None else level
        if sieve.holds(raw) and (sieve.levels is None or counts in sieve.levels):
            return False
        self._weigh(draft, understood=level is not None or draft.format.time_ns(raw) is not None)
        self._before_ns = draft.taken_ns
        return True

    def _record(self, draft: _Draft, raw: bytes) -> Record:
        origin = draft.origin
        record = draft.format.parse(raw)
        self._weigh(draft, understood=record.time_ns is not None or record.level is not None)
        record.time_ns = self._time(record.time_ns, draft.taken_ns)
        record.level = origin.level if origin.firm or record.level is None else record.level
        record.node = record.node or origin.node
        record.component = record.component or origin.component
        record.file = origin.file
        record.line = None
        if origin.fields:
            record.fields = {**origin.fields, **record.fields}
        return record

    def _weigh(self, draft: _Draft, *, understood: bool) -> None:
        """Note whether the format made something of the record."""
        if understood:
            draft.channel.misses = 0
            return
        draft.channel.misses += 1
        self.tally.unparsed += draft.format.timed

    def _time(self, stated_ns: int | None, taken_ns: int | None) -> int | None:
        if taken_ns is None:
            time_ns = self._before_ns if stated_ns is None else stated_ns
        elif stated_ns is None or not taken_ns - BEHIND_NS <= stated_ns <= taken_ns + AHEAD_NS:
            time_ns = taken_ns
        else:
            time_ns = stated_ns
        self._before_ns = time_ns
        return time_ns
