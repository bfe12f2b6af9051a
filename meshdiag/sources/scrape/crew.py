"""Work on many things side by side, a bounded number at a time, in which a slow one holds up nobody.

Whoever takes long gives its place to another and is waited for on the side.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

SLOW_S = 0.5
"""What takes longer no longer counts against the places."""
GLANCE_S = 0.1
"""How often somebody looks who is slow."""

T = TypeVar("T")


class Crew(Generic[T]):
    """Does ``work`` on every item: ``places`` at a time, slow ones aside, never more than ``most``."""

    def __init__(self, work: Callable[[T], Awaitable[None]], *, places: int, most: int) -> None:
        self._work = work
        self._places = places
        self._most = most

    async def run(self, items: Iterable[T]) -> None:
        """Come back when everything is done; what ``work`` raises ends it."""
        waiting = iter(items)
        busy: dict[asyncio.Task[None], _Turn] = {}
        self._begin(busy, waiting, min(self._places, self._most))
        try:
            while busy:
                done, _ = await asyncio.wait(busy, timeout=GLANCE_S)
                for worker in done:
                    del busy[worker]
                    worker.result()
                self._begin(busy, waiting, self._give_back(list(busy.values())))
        finally:
            for worker in busy:
                worker.cancel()
            await asyncio.gather(*busy, return_exceptions=True)

    def _begin(self, busy: dict[asyncio.Task[None], _Turn], waiting: Iterator[T], places: int) -> None:
        """Let somebody begin in each of these places."""
        for _ in range(places):
            turn = _Turn()
            busy[asyncio.create_task(self._take_turns(turn, waiting))] = turn

    def _give_back(self, turns: Sequence[_Turn]) -> int:
        """Take the places of slow ones away, as long as there may be more; how many."""
        slow = [turn for turn in turns if turn.slow][: self._most - len(turns)]
        for turn in slow:
            turn.given_back = True
        return len(slow)

    async def _take_turns(self, turn: _Turn, waiting: Iterator[T]) -> None:
        for item in waiting:
            turn.began = turn.now()
            await self._work(item)
            if turn.given_back:
                return


class _Turn:
    """A place at work: when its present item was begun, and whether another has the place now."""

    def __init__(self) -> None:
        self.now = asyncio.get_running_loop().time
        self.began = self.now()
        self.given_back = False

    @property
    def slow(self) -> bool:
        """Whether it has a place and holds it up."""
        return not self.given_back and self.now() - self.began > SLOW_S
