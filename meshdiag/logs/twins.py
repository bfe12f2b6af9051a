"""Records that stand in several files at once: the mesh writes its log as JSON and as text, and the consensus' part of
it once more. Of twins one is enough, the one that says most.

Twins bear the same time, so in a stream that is merged by time they stand side by side. Two records are twins when
they come from different files, at the same nanosecond, with the same level, and one holds the other's message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshdiag.logs.record import Record
    from meshdiag.logs.tally import Tally

MOMENTS = 4_096
"""Of so many moments the records are remembered where they come one by one."""
MOST = 1_000
"""Records of one moment that are compared; where there are more, the clock is too coarse to tell twins by."""


def once(records: Iterable[Record], tally: Tally) -> Iterator[Record]:
    """Records merged by time, without the twins of others; how many were left out stands in ``tally.notes``."""
    left_out = 0
    try:
        for group in _moments(records):
            kept = _without_twins(group)
            left_out += len(group) - len(kept)
            yield from kept
    finally:
        if left_out:
            tally.matched -= left_out
            tally.notes.append(_note(left_out))


class Known:
    """Tells twins among records that come one by one, in whichever file they come first: each record given out is the
    twin of at most one of each other file. Of the last ``MOMENTS`` moments."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._moments: dict[int, list[tuple[Record, set[str]]]] = {}
        self._left_out = 0

    def new(self, record: Record) -> bool:
        """Whether no other file's record said it before; counted in ``tally.notes`` where one did."""
        if record.time_ns is None:
            return True
        here = self._moments.setdefault(record.time_ns, [])
        for other, files in here:
            if record.file not in files and (_twins(record, other) or _twins(other, record)):
                files.add(record.file)
                self._count()
                return False
        if len(here) < MOST:
            here.append((record, {record.file}))
        if len(self._moments) > MOMENTS:
            del self._moments[next(iter(self._moments))]
        return True

    def _count(self) -> None:
        if self._left_out:
            self._tally.notes.remove(_note(self._left_out))
        self._left_out += 1
        self._tally.notes.append(_note(self._left_out))


def _note(left_out: int) -> str:
    what, are = ("record", "is") if left_out == 1 else ("records", "are")
    return f"{left_out:,} {what} that another of the files holds as well {are} left out"


def _moments(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Records of one time together, in their order."""
    group: list[Record] = []
    for record in records:
        if group and (record.time_ns is None or record.time_ns != group[-1].time_ns or len(group) == MOST):
            yield group
            group = []
        group.append(record)
    if group:
        yield group


def _without_twins(group: list[Record]) -> list[Record]:
    if len(group) == 1 or group[0].time_ns is None:
        return group
    kept: list[Record] = []
    for record in sorted(group, key=lambda one: -len(one.fields)):
        if not any(_twins(record, other) for other in kept):
            kept.append(record)
    places = {id(record): place for place, record in enumerate(group)}
    return sorted(kept, key=lambda one: places[id(one)])


def _twins(one: Record, other: Record) -> bool:
    """Whether ``other``, which says more, says what ``one`` says."""
    return (
        one.file != other.file
        and one.level == other.level
        and (not one.node or not other.node or one.node == other.node)
        and _within(one.message, other.message)
    )


def _within(text: str, part: str) -> bool:
    """Whether a text holds a part as whole words: ``block 10`` does not hold ``block 1``."""
    at = text.find(part) if part else -1
    while at >= 0:
        around = text[at - 1 : at] + part[0], part[-1] + text[at + len(part) : at + len(part) + 1]
        if not any(len(pair) == 2 and pair.isalnum() for pair in around):
            return True
        at = text.find(part, at + 1)
    return False
