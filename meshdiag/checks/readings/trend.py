"""Where a filling thing is heading: whether it grows steadily, and when it will be full.

Robust on purpose: the median of slopes instead of a fit that one spike bends, growth that has to go on in both
halves of the window, and nothing from before a restart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag.checks.readings.middle import median

if TYPE_CHECKING:
    from collections.abc import Sequence

FEWEST = 8
"""Points below which nothing is said."""
DROP = 0.2
"""A fall by this share of the value between two points is a restart (or a release of memory): begin anew."""
LEAST_RISE = 0.02
"""Growth over the whole span below this share of the total is not worth a prediction."""
NOISE_FACTOR = 4.0
"""How many times the scatter around the line the rise must be."""
KEPT_UP = 0.4
"""How much of the overall pace each half must keep."""


@dataclass(frozen=True, slots=True)
class Trend:
    """What the points say. ``slope`` is per second, ``full_in`` seconds from the last point until ``total``
    (infinite when not growing steadily), ``enough`` whether there were points enough to tell."""

    slope: float = 0.0
    full_in: float = math.inf
    enough: bool = True


def predict(times: Sequence[float], values: Sequence[float], total: float) -> Trend:
    """When a value reaches ``total`` at the pace of the points (seconds since the epoch, rising)."""
    times, values = since_last_drop(times, values)
    if len(times) < FEWEST:
        return Trend(enough=False)
    third = len(values) // 3
    if median(values[-third:]) - median(values[:third]) < LEAST_RISE * total / 2:
        return Trend()  # the common case, told without the work below
    slope = slope_of(times, values)
    if not is_steady(times, values, slope, total):
        return Trend(slope)
    level = median(value - slope * (time - times[-1]) for time, value in zip(times, values, strict=True))
    return Trend(slope, max(0.0, total - level) / slope)


def since_last_drop(times: Sequence[float], values: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    """The points after the last sharp fall, without those that are no number."""
    pairs = [(time, value) for time, value in zip(times, values, strict=True) if math.isfinite(value)]
    begin = 0
    for place in range(1, len(pairs)):
        before, after = pairs[place - 1][1], pairs[place][1]
        # A fall that the next point takes back is a hole in the measurement, not a restart.
        lasting = place + 1 == len(pairs) or pairs[place + 1][1] < before * (1 - DROP / 2)
        if after < before * (1 - DROP) and lasting:
            begin = place
    return [time for time, _ in pairs[begin:]], [value for _, value in pairs[begin:]]


def slope_of(times: Sequence[float], values: Sequence[float]) -> float:
    """The median of the slopes between all pairs of points (Theil and Sen's estimator), per second."""
    slopes = [
        (values[b] - values[a]) / (times[b] - times[a])
        for a in range(len(times))
        for b in range(a + 1, len(times))
        if times[b] > times[a]
    ]
    return median(slopes) if slopes else 0.0


def is_steady(times: Sequence[float], values: Sequence[float], slope: float, total: float) -> bool:
    """Whether the growth stands out of the scatter and goes on in both halves."""
    rise = slope * (times[-1] - times[0])
    if rise < LEAST_RISE * total:
        return False
    level = median(value - slope * time for time, value in zip(times, values, strict=True))
    scatter = median(abs(value - slope * time - level) for time, value in zip(times, values, strict=True))
    if rise < NOISE_FACTOR * scatter:
        return False
    half = len(times) // 2
    halves = (slope_of(times[:half], values[:half]), slope_of(times[half:], values[half:]))
    return min(halves) > KEPT_UP * slope
