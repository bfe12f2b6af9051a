"""Work side by side: bounded, and not held up by whoever is slow."""

from __future__ import annotations

import asyncio

import pytest

from meshdiag.sources.scrape.crew import Crew


async def test_never_more_than_the_places_are_at_work() -> None:
    """Everything is done, and at no moment by more than there are places."""
    now = most = 0
    done: list[int] = []

    async def work(item: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        done.append(item)

    await Crew(work, places=5, most=100).run(range(50))
    assert sorted(done) == list(range(50))
    assert most == 5


async def test_a_slow_one_gives_its_place_to_the_others() -> None:
    """Two that never end before all others are done hold up nobody, though there are only two places."""
    others = set(range(2, 20))
    all_done = asyncio.Event()

    async def work(item: int) -> None:
        if item in (0, 1):
            await all_done.wait()
            return
        others.discard(item)
        if not others:
            all_done.set()

    async with asyncio.timeout(10):
        await Crew(work, places=2, most=10).run(range(20))


async def test_there_is_a_bound_to_slow_ones_too() -> None:
    """With no more than so many in all, the rest waits."""
    begun = 0
    go_on = asyncio.Event()

    async def work(_item: int) -> None:
        nonlocal begun
        begun += 1
        await go_on.wait()

    running = asyncio.create_task(Crew(work, places=2, most=4).run(range(10)))
    await asyncio.sleep(1.5)
    assert begun == 4
    go_on.set()
    async with asyncio.timeout(10):
        await running
    assert begun == 10


async def test_what_goes_wrong_ends_it_and_nothing_goes_on_behind() -> None:
    """An error comes out as it is, and the others are stopped."""
    stopped = asyncio.Event()

    async def work(item: int) -> None:
        if item:
            raise ValueError("broken")
        try:
            await asyncio.sleep(30)
        finally:
            stopped.set()

    with pytest.raises(ValueError, match="broken"):
        await Crew(work, places=2, most=10).run(range(2))
    assert stopped.is_set()
