"""Finding a time window in a log by looking at few places of it.

Bisection finds where the window begins in a log that runs forward. Logs run backwards for a while where writers are
merged, lines are written late or a clock is set back; then a line of the window may stand before lines of earlier
times. What keeps it from being lost:

- ``margin`` bytes before and after the window found are read as well, so lines that stand less than that from
  their place are there, whatever their times;
- the log is looked at in places that lie closer and closer together towards the window's edge (``density`` to each
  doubling of the distance, as far as the log goes). A clock that was set back by J seconds puts lines of the window
  at most J of log time before the edge; seen from there the break is wider than the gaps between the places, so
  that two neighbours show it. Where any two places, or lines within one, run backwards by S seconds, the window is
  looked for again, 2 S + 60 s wider: wherever a line has a time that much before the window, all lines
  before it are before the window too, unless the log runs backwards by more.

Where the edge does not settle, the log is read from its beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from meshdiag.logs.record import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshdiag.logs.formats import Format

ROUNDS = 6


class Reach(NamedTuple):
    """How the places that are looked at lie: bytes of each, bytes read around the window, places to each
    doubling of the distance from its edge."""

    probe: int = 4096
    margin: int = 256 * 1024
    density: int = 8
    lines: int = 6


class _Place(NamedTuple):
    """What one place of a log tells: where its first record with a time begins, that time, the latest of the few
    looked at, and by how much they run backwards (ns)."""

    offset: int
    first: int
    latest: int
    backwards: int


class Seeker:
    """Looks for windows in one log. ``read`` gives bytes at a place; the log lies from ``begin`` to ``end``."""

    def __init__(
        self, read: Callable[[int, int], bytes], form: Format, begin: int, end: int, reach: Reach | None = None
    ) -> None:
        self._read = read
        self._format = form
        self._begin = begin
        self._end = end
        self._reach = reach or Reach()
        self._places: dict[int, _Place | None] = {}

    def window(self, since_ns: int | None, until_ns: int | None) -> tuple[int, int]:
        """The bytes, from the start of a record to the start of another or the end, that hold every record of a
        time window and little else. Nothing is lost that the module's first lines promise."""
        if not self._format.timed or self._end - self._begin <= 4 * self._reach.margin:
            return self._begin, self._end
        begin = self._begin if since_ns is None else self._edge(since_ns, forward=False)
        end = self._end if until_ns is None else self._edge(until_ns, forward=True)
        return begin, max(begin, end)

    def start_after(self, offset: int) -> int:
        """Where the first record (with a time, where the format has times) begins at or behind an offset; the end where
        there is none for a long stretch."""
        place = self._look(offset)
        return self._end if place is None else place.offset

    def _edge(self, time_ns: int, *, forward: bool) -> int:
        """Where the window begins, or where it ends when ``forward``."""
        slack = 0
        for _ in range(ROUNDS):
            edge = self._bisect(time_ns + slack if forward else time_ns - slack, forward=forward)
            edge = min(edge + self._reach.margin, self._end) if forward else max(edge - self._reach.margin, self._begin)
            backwards = self._backwards(edge, forward=forward)
            if not backwards or 2 * backwards + 60 * NS <= slack:
                return edge if edge in (self._begin, self._end) else self.start_after(edge)
            slack = 2 * backwards + 60 * NS
        return self._end if forward else self._begin

    def _bisect(self, time_ns: int, *, forward: bool) -> int:
        """A place before which every record of an orderly log is earlier than a time; from which on, when
        ``forward``, none is."""
        low, high = self._begin, self._end
        while high - low > self._reach.probe:
            middle = (low + high) // 2
            place = self._look(middle)
            # A stretch without times is counted to the window: it is read rather than passed over.
            early = forward if place is None else (place.latest if not forward else place.first) < time_ns
            if early:
                low = middle
            else:
                high = middle
        return high if forward else low

    def _backwards(self, edge: int, *, forward: bool) -> int:
        """By how much the log is seen to run backwards, in places ever farther from an edge (ns)."""
        worst = 0
        bound: int | None = None  # the earliest time nearer to the edge; the latest, when forward
        for offset in self._spread(edge, forward=forward):
            place = self._look(offset)
            if place is None:
                continue
            worst = max(worst, place.backwards)
            if bound is not None:
                worst = max(worst, bound - place.first if forward else place.latest - bound)
            nearest = place.latest if forward else place.first
            bound = nearest if bound is None else max(bound, nearest) if forward else min(bound, nearest)
        return worst

    def _spread(self, edge: int, *, forward: bool) -> Iterator[int]:
        """The offsets of places around an edge: from a margin within the window to the end that lies outside it."""
        step = max(self._reach.margin // self._reach.density, self._reach.probe)
        distance = -self._reach.margin
        while True:
            offset = edge + distance if forward else edge - distance
            if distance > 0 and not self._begin <= offset < self._end:
                return
            if self._begin <= offset < self._end:
                yield offset
            distance += max(step, abs(distance) // self._reach.density)

    def _look(self, offset: int) -> _Place | None:
        """What the records at or behind an offset tell; None where there are no times for a long stretch."""
        if offset not in self._places:
            self._places[offset] = self._looked(offset)
        return self._places[offset]

    def _looked(self, offset: int) -> _Place | None:
        size = self._reach.probe
        while True:
            data = self._read(offset, min(size, self._end - offset))
            whole = offset + len(data) >= self._end
            place = self._told(data, offset, whole)
            if place is not None or whole or size >= 256 * self._reach.probe:
                return place
            size *= 8

    def _told(self, data: bytes, offset: int, whole: bool) -> _Place | None:
        """Read the first few records with a time in the bytes at an offset, which may lie within a line."""
        begin = 0 if offset == self._begin else data.find(b"\n") + 1
        if begin == 0 and offset != self._begin:
            return None
        found: list[tuple[int, int]] = []
        for start, end in self._records(data, begin, whole):
            time_ns = self._format.time_ns(data[start:end]) if self._format.timed else 0
            if time_ns is not None:
                found.append((offset + start, time_ns))
            if len(found) == self._reach.lines:
                break
        if not found:
            return None
        times = [time_ns for _, time_ns in found]
        backwards, latest = 0, times[0]
        for time_ns in times:
            backwards = max(backwards, latest - time_ns)
            latest = max(latest, time_ns)
        return _Place(found[0][0], times[0], latest, backwards)

    def _records(self, data: bytes, begin: int, whole: bool) -> Iterator[tuple[int, int]]:
        """The records in some bytes of which a line begins at ``begin``: those that begin in them, and end if not
        ``whole``."""
        start = -1
        while begin < len(data):
            end = data.find(b"\n", begin)
            if end < 0 and not whole:
                return
            end = end if end >= 0 else len(data)
            if self._format.starts(data[begin:end]):
                if start >= 0:
                    yield start, begin - 1
                start = begin
            begin = end + 1
        if whole and start >= 0:
            yield start, len(data)
