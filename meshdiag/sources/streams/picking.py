"""Which records of a stream come out, and how several streams become one."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING

from meshdiag.logs.assembling import Sieve
from meshdiag.logs.matching import Matcher

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from meshdiag.logs.record import Record
    from meshdiag.logs.selection import Selection
    from meshdiag.logs.tally import Tally


class Picker:
    """The exact test on one log's records in their order, with the records before and after a match where the
    selection asks for them."""

    def __init__(self, selection: Selection, tally: Tally) -> None:
        self._matcher = Matcher(selection)
        self.tally = tally
        self._selection = selection
        self._around = Around(selection.before, selection.after)

    @property
    def sieve(self) -> Sieve | None:
        """What can be left out unread; nothing where records beside a match are wanted too."""
        selection = self._selection
        if selection.before or selection.after or not (selection.patterns or selection.levels is not None):
            return None
        return Sieve(self._matcher.holds, selection.levels)

    def take(self, records: Iterable[Record]) -> list[Record]:
        """Those of the records that come out, in order."""
        out: list[Record] = []
        for record in records:
            self.tally.records += 1
            wanted = self._matcher.wants(record)
            self.tally.matched += wanted
            out += self._around.take(record, wanted=wanted)
        return out


class Around:
    """The records of one log, each with those ``before`` and ``after`` it in that log where it is wanted. Sets
    ``context`` and ``gap`` of those given out."""

    def __init__(self, before: int, after: int) -> None:
        self._before: deque[Record] = deque(maxlen=before)
        self._after = after
        self._due = 0
        self._left_out = 0
        self._given = False

    def take(self, record: Record, *, wanted: bool) -> list[Record]:
        """Take the next record; what is to be given out now, in order."""
        if wanted:
            found = [*map(_beside, self._before), record]
            self._before.clear()
            self._due = self._after
        elif self._due:
            self._due -= 1
            found = [_beside(record)]
        else:
            self._left_out += len(self._before) == (self._before.maxlen or 0)
            self._before.append(record)
            return []
        found[0].gap = self._given and self._left_out > 0 and self._asked
        self._left_out, self._given = 0, True
        return found

    @property
    def _asked(self) -> bool:
        """Whether records beside the wanted ones are asked for at all."""
        return bool(self._after or self._before.maxlen)


def _beside(record: Record) -> Record:
    record.context = True
    return record


async def first_of(records: AsyncGenerator[Record, None], count: int, after: int) -> AsyncGenerator[Record, None]:
    """The first so many wanted records, with those beside the last."""
    left, due = count, after
    async with aclosing(records):
        while left > 0 or due > 0:
            record = await anext(records, None)
            if record is None or (left <= 0 and not record.context):
                return
            if left <= 0:
                due -= 1
            left -= not record.context
            yield record


class Tail:
    """Keeps the last so many wanted records, with those beside them."""

    def __init__(self, count: int) -> None:
        self.kept: deque[Record] = deque()
        self._left = count

    def put(self, record: Record) -> None:
        """Take the next record; older ones go."""
        self.kept.append(record)
        self._left -= not record.context
        while self._left < 0:
            self._left += not self.kept.popleft().context


async def merged(streams: Sequence[AsyncGenerator[Record, None]]) -> AsyncGenerator[Record, None]:
    """Records of several streams, the earliest of the next ones first; each stream keeps its order. A record without
    a time goes with the one before it. The streams are closed at the end."""
    async with AsyncExitStack() as stack:
        for stream in streams:
            await stack.enter_async_context(aclosing(stream))
        if len(streams) == 1:
            async for record in streams[0]:
                yield record
            return
        first = await asyncio.gather(*(anext(stream, None) for stream in streams))
        heap = [(record.time_ns or 0, place, record) for place, record in enumerate(first) if record is not None]
        heapq.heapify(heap)
        while heap:
            time_ns, place, record = heap[0]
            yield record
            following = await anext(streams[place], None)
            if following is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (max(time_ns, following.time_ns or 0), place, following))
