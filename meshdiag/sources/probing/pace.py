"""The pace of probing: never more than a stated number of packets in any second."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PER_SECOND = 5000
"""Echo requests and connects begun in any second, at most, however many targets there are."""

BURST_S = 0.01
"""So much of a second's share may go out together: a loop that sleeps wakes up a millisecond late."""


class Pace:
    """Grants turns, at most ``per_second`` in any second (the generic cell rate algorithm, as ATM polices cells)."""

    def __init__(
        self,
        per_second: float = PER_SECOND,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        burst = max(1.0, per_second * BURST_S)
        # A window of one second holds a burst and what the rate adds to it: together no more than was stated.
        self._gap = 1.0 / max(per_second - burst, per_second / 2)
        self._tolerance = (burst - 1) * self._gap
        self._clock, self._sleep = clock, sleep
        self._due = clock()
        self._queue = asyncio.Lock()

    async def turn(self) -> None:
        """Wait for a turn, first come, first served."""
        if not self._queue.locked() and not self._wait():
            return
        async with self._queue:
            while wait := self._wait():
                await self._sleep(wait)

    def _wait(self) -> float:
        """Take a turn if there is one now (0), else the seconds until there may be one. Turns are counted when they
        are taken, not when they were due, so that a loop that was held up does not make up for it."""
        now = self._clock()
        ahead = self._due - self._tolerance - now
        if ahead > 0:
            return ahead
        self._due = max(now, self._due) + self._gap
        return 0.0
