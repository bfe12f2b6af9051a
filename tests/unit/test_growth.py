"""How memory grows: a leak, a cache that fills, a saw-tooth and noise are told apart, whatever the noise."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.checks.readings.growth import Growth, Shape, growth_of, slope_within

GIB = 2.0**30
HOURS = 6
STEP = 90.0
TIMES = [STEP * number for number in range(int(HOURS * 3600 / STEP))]
TOTAL = 16 * GIB

seeds = st.integers(0, 10_000)


def course(seed: int, noise: float, shape: object) -> Growth:
    """The growth of a course with noise (in GiB)."""
    random = Random(seed)
    values = [(shape(time / 3600) + random.gauss(0, noise)) * GIB for time in TIMES]  # type: ignore[operator]
    return growth_of(TIMES, values, TOTAL)


@given(seeds, st.floats(0.15, 1.0), st.floats(0, 0.1))
def test_a_leak_is_steady_and_its_pace_is_within_the_bounds(seed: int, pace: float, noise: float) -> None:
    """A straight climb, and when it will be full."""
    growth = course(seed, noise, lambda hour: 4 + pace * hour)
    assert growth.shape is Shape.STEADY
    assert growth.low <= growth.slope <= growth.high
    assert growth.slope * 3600 / GIB == pytest.approx(pace, rel=0.1)
    left = (16 - 4 - pace * HOURS) / pace
    assert growth.full_in / 3600 == pytest.approx(left, rel=0.2)


@given(seeds, st.floats(0, 0.3))
def test_noise_is_flat(seed: int, noise: float) -> None:
    """Memory that goes nowhere does not leak."""
    growth = course(seed, noise, lambda _hour: 8.0)
    assert not growth.leaks and growth.full_in == math.inf


@given(seeds, st.floats(0.05, 0.5), st.floats(0, 0.05))
def test_a_cache_that_fills_levels_off(seed: int, half_life: float, noise: float) -> None:
    """Growth that slows down towards a bound is no leak."""
    growth = course(seed, noise, lambda hour: 4 + 4 * (1 - math.exp(-hour / half_life / 2)))
    assert not growth.leaks


@given(seeds, st.floats(0.2, 1.0), st.floats(0, 0.05))
def test_garbage_collection_is_a_saw_tooth(seed: int, period_h: float, noise: float) -> None:
    """Climbs that are given back, however often."""
    growth = course(seed, noise, lambda hour: 4 + 3 * (hour % period_h) / period_h)
    assert growth.shape is Shape.SAWTOOTH


@given(seeds, st.floats(0, 0.03))
def test_valleys_that_rise_are_a_leak_behind_the_collector(seed: int, noise: float) -> None:
    """What is never given back shows in the valleys alone."""
    growth = course(seed, noise, lambda hour: 3 + 0.6 * hour + 2 * (hour % 0.5) / 0.5)
    assert growth.leaks and growth.slope * 3600 / GIB == pytest.approx(0.6, rel=0.25)


def test_what_was_before_a_restart_does_not_count() -> None:
    """A climb, a restart, and the same climb again: the second is looked at."""
    growth = course(1, 0.01, lambda hour: 4 + hour if hour < 3 else 1 + (hour - 3))
    assert growth.leaks and growth.points < len(TIMES) * 0.6


def test_too_few_points_say_nothing() -> None:
    """Not flat: unsure. Values that are no number are no points."""
    assert growth_of([0, 1, 2], [1.0, 2.0, 3.0], 10).shape is Shape.UNSURE
    assert growth_of(list(range(20)), [math.nan] * 15 + [1.0] * 5, 10).shape is Shape.UNSURE


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e9, 1e9)), min_size=2, max_size=40, unique_by=lambda p: p[0]))
def test_the_slope_lies_within_its_bounds(points: list[tuple[float, float]]) -> None:
    """Whatever the points are."""
    times, values = zip(*sorted(points), strict=True)
    slope, low, high = slope_within(times, values)
    assert low <= slope <= high
