"""What was given out lately, so that a line that comes twice (by the tail, and by the query that mends a break) is
given out once, and two equal lines of one nanosecond twice.

Lines are counted by time and bytes. A query tells how many of a kind there are, a connection how many of them it
delivered; as many are given out as the larger of the two.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from meshdiag.logs.record import Record

MOST: Final = 200_000
"""Kinds of lines that are remembered. Beyond it the oldest half is forgotten, and ``floor_ns`` rises."""

Key = tuple[int, int]


class Seen:
    """Counts records by key: their time and the hash of their bytes."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._given: Counter[Key] = Counter()
        self._delivered: Counter[Key] = Counter()
        self.floor_ns = 0
        """What is older is not remembered, and must not be asked for again."""

    def look(self) -> Look:
        """A query whose records are to be compared with what was given out."""
        return Look(self)

    def new_connection(self) -> None:
        """Deliveries are counted anew: a new connection may deliver what an earlier one did."""
        self._delivered.clear()

    def delivered(self, record: Record) -> bool:
        """Whether a record that the tail delivers is to be given out; it then counts as given out."""
        key = _key(record)
        self._delivered[key] += 1
        return self.raise_to(key, self._delivered[key])

    def raise_to(self, key: Key, count: int) -> bool:
        """Whether fewer than ``count`` of a kind were given out; they count as given out from now on."""
        if count <= self._given[key]:
            return False
        self._given[key] = count
        self._forget()
        return True

    def _forget(self) -> None:
        if len(self._given) <= self._most:
            return
        kept = sorted(self._given)[self._most // 2 :]
        self.floor_ns = kept[0][0]
        self._given = Counter({key: self._given[key] for key in kept})
        self._delivered = Counter({key: count for key, count in self._delivered.items() if key in self._given})


class Look:
    """One query, counted as it is read."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._found: Counter[Key] = Counter()

    def fresh(self, record: Record) -> bool:
        """Whether a record was not given out yet; it then counts as given out."""
        key = _key(record)
        self._found[key] += 1
        return self._seen.raise_to(key, self._found[key])


def _key(record: Record) -> Key:
    return record.time_ns or 0, hash(record.raw)
