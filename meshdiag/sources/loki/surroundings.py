"""``-A``, ``-B``, ``-C``: the lines around a wanted one, in its own stream."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

from meshdiag.logs.matching import Matcher
from meshdiag.sources.streams.picking import Around

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from meshdiag.logs.record import Record
    from meshdiag.logs.selection import Selection
    from meshdiag.logs.tally import Tally

MOST_STREAMS: Final = 1000
"""Streams whose last lines are kept."""


async def with_context(
    records: AsyncIterator[Record], selection: Selection, tally: Tally
) -> AsyncGenerator[Record, None]:
    """The wanted records with those around them, ``head`` or ``tail`` wanted ones in all. Lines before a wanted one are
    given out right before it."""
    groups = _groups(records, selection, tally)
    if selection.tail is not None:
        last: deque[list[Record]] = deque(maxlen=selection.tail)
        async for group in groups:
            last.append(group)
        for group in last:
            for record in group:
                yield record
        return
    count = 0
    async for group in groups:
        count += 1
        if selection.head is not None and count > selection.head:
            return
        for record in group:
            yield record


async def _groups(
    records: AsyncIterator[Record], selection: Selection, tally: Tally
) -> AsyncGenerator[list[Record], None]:
    """A wanted record with its surroundings, one after the other."""
    matcher = Matcher(selection)
    streams: OrderedDict[str, Around] = OrderedDict()
    group: list[Record] = []
    async for record in records:
        around = streams.setdefault(record.file, Around(selection.before, selection.after))
        streams.move_to_end(record.file)
        if len(streams) > MOST_STREAMS:
            streams.popitem(last=False)
        wanted = matcher.wants(record)
        if wanted:
            tally.matched += 1
            if group:
                yield group
            group = []
        group += around.take(record, wanted=wanted)
    if group:
        yield group
