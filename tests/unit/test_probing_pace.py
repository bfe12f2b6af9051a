"""The pace of probing: never more than was stated in any second, counted on a clock that stands still."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshdiag.sources.probing.pace import PER_SECOND, Pace


class Clock:
    """A clock that passes only while somebody sleeps, and late by ``late_s`` each time."""

    def __init__(self, late_s: float = 0.0) -> None:
        self.now, self.late_s = 100.0, late_s
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = count()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has passed on."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds + self.late_s, next(self._number), waiting))
        await waiting

    def tick(self) -> bool:
        """Go on to the next who sleeps; False where nobody does."""
        if not self._sleepers:
            return False
        moment, _number, waiting = heapq.heappop(self._sleepers)
        self.now = max(self.now, moment)
        waiting.set_result(None)
        return True


async def turns(pace: Pace, clock: Clock, wanted: int, askers: int, pause_s: float) -> list[float]:
    """When the turns were given that ``askers`` take side by side, each pausing in between."""
    given_at: list[float] = []

    async def ask() -> None:
        while len(given_at) < wanted:
            await pace.turn()
            given_at.append(clock.now)
            if pause_s:
                await clock.sleep(pause_s)

    tasks = [asyncio.ensure_future(ask()) for _ in range(askers)]
    while not all(task.done() for task in tasks):
        for _ in range(20):
            await asyncio.sleep(0)
        if not clock.tick():
            await asyncio.sleep(0)
    return given_at


def most_in_a_second(moments: list[float]) -> int:
    """The fullest second that there is."""
    most, first = 0, 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


@settings(max_examples=25, deadline=None)
@given(
    per_second=st.sampled_from([1, 3, 50, 400]),
    askers=st.integers(1, 12),
    late_s=st.sampled_from([0.0, 0.001, 0.03, 0.7]),
    pause_s=st.sampled_from([0.0, 0.002, 0.2]),
)
def test_no_second_holds_more_than_was_stated(per_second, askers, late_s, pause_s):
    """Whoever asks, however late the loop wakes up, no window of a second is ever fuller than the bound."""
    clock = Clock(late_s)
    pace = Pace(per_second, clock=clock, sleep=clock.sleep)
    moments = asyncio.run(turns(pace, clock, per_second * 2 + 5, askers, pause_s))
    assert most_in_a_second(moments) <= per_second


async def test_the_share_is_used():
    """The bound is no brake beside itself: who asks without a pause gets nearly all of it."""
    clock = Clock(late_s=0.001)
    pace = Pace(1000, clock=clock, sleep=clock.sleep)
    moments = await turns(pace, clock, 3000, 1, 0.0)
    assert most_in_a_second(moments) >= 950


async def test_a_loop_that_was_held_up_does_not_make_up_for_it():
    """After a pause of a minute nobody has a minute's packets to his credit."""
    clock = Clock()
    pace = Pace(100, clock=clock, sleep=clock.sleep)
    await turns(pace, clock, 10, 1, 0.0)
    clock.now += 60
    assert most_in_a_second(await turns(pace, clock, 300, 5, 0.0)) <= 100


def test_the_help_states_the_bound():
    """What --help promises is what the program keeps."""
    from click.testing import CliRunner

    from meshdiag.cli import root

    shown = " ".join(CliRunner().invoke(root, ["peers", "--help"]).output.split())
    assert f"Never more than {PER_SECOND:,} probes" in shown


@pytest.mark.parametrize("per_second", [1, 2, PER_SECOND])
async def test_the_first_turn_is_free(per_second):
    """One packet never waits."""
    clock = Clock()
    pace = Pace(per_second, clock=clock, sleep=clock.sleep)
    await asyncio.wait_for(pace.turn(), 5)
