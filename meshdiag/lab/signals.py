"""Signals: values that move with time, as pure functions of it.

A signal is called with a moment (seconds since the epoch) and answers a value. Counters are closed-form
integrals of their rates, so any moment of the past can be computed on its own, and a page served now
continues the history that was generated for an hour ago without a jump.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from math import cos, sin

Signal = Callable[[float], float]

_MASK = (1 << 64) - 1


def mix(*parts: int) -> int:
    """64 well-mixed bits from some integers (splitmix64), the same in every process."""
    state = 0x9E3779B97F4A7C15
    for part in parts:
        state = (state + (part & _MASK) * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state


def unit_noise(*parts: int) -> float:
    """A number from 0 up to 1 that is settled by some integers."""
    return mix(*parts) / 2**64


def ramp(moment: float, onset: float, length_s: float) -> float:
    """0 before ``onset``, 1 from ``length_s`` after it, smooth between."""
    share = (moment - onset) / length_s
    if share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    return share * share * (3 - 2 * share)


@dataclass(frozen=True, slots=True)
class Steady:
    """Always the same."""

    value: float

    def __call__(self, moment: float) -> float:
        return self.value


@dataclass(slots=True)
class Wave:
    """A level that swings around itself: ``swing`` is the largest relative deviation (below 1)."""

    level: float
    swing: float
    seed: int
    periods: tuple[float, float] = (97.0, 1013.0)
    _fast: tuple[float, float] = field(init=False, repr=False)
    _slow: tuple[float, float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Thousands of waves are read for every page: what does not move is reckoned once.
        fast, slow = self.periods
        self._fast = (math.tau / fast, float(self.seed % 997))
        self._slow = (math.tau / slow, float(self.seed % 991))

    def __call__(self, moment: float) -> float:
        (fast, early), (slow, late) = self._fast, self._slow
        return self.level * (1 + self.swing * (0.4 * sin(moment * fast + early) + 0.6 * sin(moment * slow + late)))

    def area(self, moment: float) -> float:
        """The integral from some fixed moment, up to a constant."""
        (fast, early), (slow, late) = self._fast, self._slow
        swung = 0.4 / fast * cos(moment * fast + early) + 0.6 / slow * cos(moment * slow + late)
        return self.level * (moment - self.swing * swung)


@dataclass(slots=True)
class Count:
    """A counter that grows at the rate that ``rate`` tells (per second), from 0 at ``start``."""

    rate: Wave
    start: float
    _begun: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._begun = self.rate.area(self.start)

    def __call__(self, moment: float) -> float:
        return self.rate.area(max(moment, self.start)) - self._begun


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line through ``value`` at ``at``, kept within ``low`` and ``high``."""

    value: float
    at: float
    per_second: float
    low: float = -math.inf
    high: float = math.inf

    def __call__(self, moment: float) -> float:
        return min(self.high, max(self.low, self.value + (moment - self.at) * self.per_second))


@dataclass(frozen=True, slots=True)
class Toward:
    """What was healthy until ``onset`` and moves to another signal within ``length_s`` seconds."""

    healthy: Signal
    target: Signal
    onset: float
    length_s: float = 30.0

    def __call__(self, moment: float) -> float:
        share = ramp(moment, self.onset, self.length_s)
        if share == 0:
            return self.healthy(moment)
        if share == 1:
            return self.target(moment)
        return self.healthy(moment) * (1 - share) + self.target(moment) * share


@dataclass(frozen=True, slots=True)
class Faster:
    """A counter that also grows by ``extra`` a second from ``onset`` on."""

    healthy: Signal
    extra: float
    onset: float

    def __call__(self, moment: float) -> float:
        return self.healthy(moment) + self.extra * max(0.0, moment - self.onset)


@dataclass(frozen=True, slots=True)
class Stopped:
    """A counter that stands still from ``onset`` on."""

    healthy: Signal
    onset: float

    def __call__(self, moment: float) -> float:
        return self.healthy(min(moment, self.onset))


@dataclass(frozen=True, slots=True)
class GrownSince:
    """How much a counter has grown since ``onset``; the rest of what ``Stopped`` leaves of it."""

    total: Signal
    onset: float

    def __call__(self, moment: float) -> float:
        return self.total(max(moment, self.onset)) - self.total(self.onset)


@dataclass(frozen=True, slots=True)
class Both:
    """Two signals together."""

    one: Signal
    other: Signal

    def __call__(self, moment: float) -> float:
        return self.one(moment) + self.other(moment)


@dataclass(frozen=True, slots=True)
class Flapping:
    """The age of a connection that is made anew every ``period`` seconds from ``onset`` on."""

    healthy: Signal
    onset: float
    period: float

    def __call__(self, moment: float) -> float:
        if moment < self.onset:
            return self.healthy(moment)
        return (moment - self.onset) % self.period


@dataclass(frozen=True, slots=True)
class Share:
    """A whole share of a counter, for the buckets of a histogram: rounded down, so buckets never cross."""

    total: Signal
    share: float

    def __call__(self, moment: float) -> float:
        return math.floor(self.total(moment)) if self.share >= 1 else math.floor(self.total(moment) * self.share)
