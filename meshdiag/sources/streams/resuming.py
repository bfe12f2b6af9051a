"""Where the reading of a log stopped, so that it can be taken up again: nothing lost, nothing doubled.

Stamps within one log go back by a little now and then (two streams, one clock), and what is asked from a moment on
comes with that moment's lines again. So reading is taken up a little earlier, and lines that came before are
known again by stamp and content. Docker's engine gives lines twice even within one reading, when its log file is
turned over while it is followed.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from meshdiag.logs.record import NS

if TYPE_CHECKING:
    from meshdiag.sources.streams.lines import Line

BACK_NS = NS
"""How far back reading is taken up."""
FEWEST = 4096
"""Lines that are known again however old they are."""
MOST = 100_000
"""Lines that are known again, at most; in a flood, reading is taken up less far back."""

Key = tuple[int, int]


class Resume:
    """The end of what was read of one log. ``repeats``: no two lines bear the same stamp and content, so that one
    that comes again, within the same reading too, is the same."""

    def __init__(self, *, repeats: bool = False) -> None:
        self._repeats = repeats
        self._seen: set[Key] = set()
        self.last_ns: int | None = None
        self._floor_ns: int | None = None
        self._from_ns: int | None = None
        self._recent: deque[Key] = deque()
        self._known: Counter[Key] = Counter()

    @property
    def since_ns(self) -> int | None:
        """From where to ask again; None for the beginning."""
        if self.last_ns is None:
            return None
        return max(self.last_ns - BACK_NS, self._floor_ns or 0)

    def again(self) -> None:
        """Reading begins anew, at ``since_ns`` or before."""
        self._from_ns = self.since_ns
        self._known = Counter(() if self._repeats else self._recent)

    def is_new(self, line: Line) -> bool:
        """Whether a line was not read before; then it is noted. One without a stamp is always new."""
        taken_ns = line.taken_ns
        if taken_ns is None:
            return True
        if self._from_ns is not None and taken_ns < self._from_ns:
            return False
        key = _key(line, taken_ns)
        if self._repeats:
            if key in self._seen:
                return False
            self._seen.add(key)
        elif self._known.get(key, 0) > 0:
            self._known[key] -= 1
            return False
        self._note(key, taken_ns)
        return True

    def _note(self, key: Key, taken_ns: int) -> None:
        self.last_ns = taken_ns if self.last_ns is None else max(self.last_ns, taken_ns)
        self._recent.append(key)
        oldest_ns = self.last_ns - BACK_NS
        while len(self._recent) > (FEWEST if self._recent[0][0] < oldest_ns else MOST):
            dropped = self._recent.popleft()
            self._seen.discard(dropped)
            if dropped[0] >= oldest_ns:
                self._floor_ns = dropped[0] + 1


def _key(line: Line, taken_ns: int) -> Key:
    return taken_ns, hash((line.raw, line.channel))
