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
            tally.notes.append(f"{left_out:,} records that another of the files holds as well are left out")


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
        and bool(other.message)
        and other.message in one.message
    )
