"""How memory grows: a leak, a cache that fills, a saw-tooth of garbage collection, or not at all.

The slope is Theil and Sen's (the median of the slopes between all pairs of points), its bounds are those of Sen's
confidence interval by Kendall's score (Sen 1968, "Estimates of the regression coefficient based on Kendall's tau").
Points of memory are not independent of each other, so the interval is somewhat too narrow: it tells growth from noise,
not one leak from another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

from meshdiag.checks.readings.middle import median
from meshdiag.checks.readings.trend import FEWEST, LEAST_RISE, since_last_drop

if TYPE_CHECKING:
    from collections.abc import Sequence

Z95 = 1.96
"""How many standard deviations a 95 % interval reaches to each side."""
TOOTH = 0.25
"""A fall by this share of all that the values range over is a tooth, not noise."""
FEWEST_TEETH = 2
LEAST_TEETH = 0.05
"""Ups and downs within this share of the total are nothing to speak of."""
SMOOTHED = 5
"""Points of which the median is taken before teeth are looked for: one point is noise, not a tooth."""
SLOWING = 0.35
"""Growth whose last third is slower than this share of its first third levels off."""
MOST_POINTS = 240
"""Points of which all pairs are looked at; of more, as many evenly spread."""


class Shape(StrEnum):
    """What the course of the values looks like."""

    UNSURE = "unsure"
    FLAT = "flat"
    STEADY = "steady"
    LEVELLING = "levelling"
    SAWTOOTH = "saw-tooth"


@dataclass(frozen=True, slots=True)
class Growth:
    """What the points say. ``slope`` and its 95 % bounds ``low`` and ``high`` are per second; for a saw-tooth they are
    those of its valleys. ``full_in``: seconds from the last point until ``total`` at that pace, infinite when it
    does not grow. ``points``: how many it rests on, after the last restart. ``last``: the last value."""

    shape: Shape
    slope: float = 0.0
    low: float = 0.0
    high: float = 0.0
    full_in: float = math.inf
    points: int = 0
    last: float = math.nan

    @property
    def leaks(self) -> bool:
        """Whether it grows as a leak does."""
        return self.shape is Shape.STEADY


def growth_of(times: Sequence[float], values: Sequence[float], total: float) -> Growth:
    """The growth of a value (seconds since the epoch, rising) that has room up to ``total``."""
    points = _thinned([(time, value) for time, value in zip(times, values, strict=True) if math.isfinite(value)])
    return replace(_growth(points, total), last=points[-1][1] if points else math.nan)


def _growth(points: list[tuple[float, float]], total: float) -> Growth:
    if len(points) < FEWEST:
        return Growth(Shape.UNSURE, points=len(points))
    smoothed = _smoothed(points)
    valleys = _valleys(smoothed)
    span = max(value for _, value in smoothed) - min(value for _, value in smoothed)
    if len(valleys) > FEWEST_TEETH and span >= LEAST_TEETH * total:
        return _sawtooth(valleys, span, len(points), total)
    times, values = since_last_drop(*zip(*points, strict=True))
    if len(times) < FEWEST:
        return Growth(Shape.UNSURE, points=len(times))
    return _course(times, values, total)


def _course(times: Sequence[float], values: Sequence[float], total: float) -> Growth:
    """The growth of points without teeth."""
    slope, low, high = slope_within(times, values)
    rise = slope * (times[-1] - times[0])
    if low <= 0 or rise < LEAST_RISE * total:
        return Growth(Shape.FLAT, slope, low, high, points=len(times))
    third = len(times) // 3
    first, last = (slope_within(times[part], values[part])[0] for part in (slice(third + 1), slice(-third - 1, None)))
    if last < SLOWING * first:
        return Growth(Shape.LEVELLING, slope, low, high, points=len(times))
    return Growth(Shape.STEADY, slope, low, high, max(0.0, total - values[-1]) / slope, len(times))


def _sawtooth(valleys: Sequence[tuple[float, float]], span: float, points: int, total: float) -> Growth:
    """Teeth whose valleys rise too are a leak behind a collector: what is never given back."""
    times, values = zip(*valleys, strict=True)
    slope, low, high = slope_within(times, values)
    rise = slope * (times[-1] - times[0])
    if low > 0 and rise >= max(LEAST_RISE * total, TOOTH * span):
        return Growth(Shape.STEADY, slope, low, high, max(0.0, total - values[-1]) / slope, points)
    return Growth(Shape.SAWTOOTH, slope, low, high, points=points)


def _valleys(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The lowest point after each fall that is a tooth, and the first one."""
    values = [value for _, value in points]
    deep = TOOTH * (max(values) - min(values))
    found, peak, valley, falling = [points[0]], points[0], points[0], False
    for before, now in pairwise(points):
        if falling:
            if now[1] < valley[1]:
                valley = now
            elif now[1] - valley[1] > deep / 2 or now is points[-1]:
                found.append(valley)
                peak, falling = now, False
        elif now[1] >= before[1]:
            peak = max(peak, now, key=lambda point: point[1])
        elif peak[1] - now[1] > deep > 0:
            valley, falling = now, True
    return found


def _smoothed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Each point with the median of its neighbourhood."""
    half, values = SMOOTHED // 2, [value for _, value in points]
    return [(time, median(values[max(place - half, 0) : place + half + 1])) for place, (time, _) in enumerate(points)]


def slope_within(times: Sequence[float], values: Sequence[float]) -> tuple[float, float, float]:
    """The median slope per second and its 95 % bounds; of too few points, bounds that say nothing."""
    count = len(times)
    slopes = sorted(
        (values[b] - values[a]) / (times[b] - times[a])
        for a in range(count)
        for b in range(a + 1, count)
        if times[b] > times[a]
    )
    if not slopes:
        return 0.0, -math.inf, math.inf
    spread = Z95 * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low, high = (len(slopes) - spread) / 2, (len(slopes) + spread) / 2
    least = slopes[math.floor(low)] if low >= 0 else -math.inf
    most = slopes[math.ceil(high)] if math.ceil(high) < len(slopes) else math.inf
    return median(slopes), least, most


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(points) <= MOST_POINTS:
        return points
    return [points[place * (len(points) - 1) // (MOST_POINTS - 1)] for place in range(MOST_POINTS)]
