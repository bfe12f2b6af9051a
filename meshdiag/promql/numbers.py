"""Arithmetic as Prometheus does it: Go's rules for division, modulo and power, sums that do not drift, NaN."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NAN = math.nan
INF = math.inf


CANCELLED = 1e-15
"""Where a sum is so small beside its parts, Prometheus's compensated sum and the exact one may differ."""


def total(values: Sequence[float]) -> float:
    """The sum, without the rounding that adds up over long columns."""
    if len(values) == 1:
        return values[0]
    try:
        exact = math.fsum(values)
    except (OverflowError, ValueError):  # beyond the largest number on the way, or Inf and -Inf together
        return sum(values)
    return _compensated(values, exact).total


def average(values: Sequence[float]) -> float:
    """The arithmetic mean; a sum that would overflow is avoided."""
    count = len(values)
    try:
        exact = math.fsum(values)
    except (OverflowError, ValueError):
        if any(math.isinf(value) for value in values):
            return sum(values) / count
        return math.fsum(value / count for value in values)
    parts = _compensated(values, exact)
    return parts.sum / count + parts.error / count


def _compensated(values: Sequence[float], exact: float) -> Compensated:
    """The sum in Prometheus's two parts. They are the exact sum and nothing, unless nearly all cancels out: then it
    is done the long way, to come to the same as there."""
    parts = Compensated()
    parts.sum = exact
    if abs(exact) < CANCELLED * len(values) * max(-min(values), max(values)):
        parts.sum = values[0]
        for value in values[1:]:
            parts.add(value)
    return parts


def smallest(values: Sequence[float]) -> float:
    """The minimum of what is a number; NaN where nothing is."""
    return min((value for value in values if value == value), default=NAN)


def biggest(values: Sequence[float]) -> float:
    """The maximum of what is a number; NaN where nothing is."""
    if len(values) == 1:
        return values[0]
    return max((value for value in values if value == value), default=NAN)


def variance(values: Sequence[float]) -> float:
    """The population variance, by Welford's method."""
    mean = squares = 0.0
    for count, value in enumerate(values, 1):
        delta = value - mean
        mean += delta / count
        squares += delta * (value - mean)
    return NAN if any(math.isinf(value) for value in values) else squares / len(values)


class Compensated:
    """A running sum with the rounding error kept beside it (Kahan's method as Neumaier improved it)."""

    __slots__ = ("error", "sum")

    def __init__(self) -> None:
        self.sum = self.error = 0.0

    def add(self, value: float) -> None:
        """Add a value."""
        new = self.sum + value
        if math.isinf(new):
            self.error = 0.0
        elif abs(self.sum) >= abs(value):
            self.error += (self.sum - new) + value
        else:
            self.error += (value - new) + self.sum
        self.sum = new

    @property
    def total(self) -> float:
        """The sum so far."""
        return self.sum + self.error


def variance_compensated(values: Sequence[float]) -> float:
    """The population variance with compensated sums, as over a range."""
    mean, squares = Compensated(), Compensated()
    for count, value in enumerate(values, 1):
        delta = value - mean.total
        mean.add(delta / count)
        squares.add(delta * (value - mean.total))
    return squares.total / len(values)


def quantile(q: float, values: Sequence[float]) -> float:
    """The quantile, interpolated between neighbours; NaN counts as smallest."""
    if not values or math.isnan(q):
        return NAN
    if q < 0:
        return -INF
    if q > 1:
        return INF
    ordered = sorted(values, key=lambda value: (value == value, 0.0 if value != value else value))
    rank = q * (len(ordered) - 1)
    lower = int(max(0.0, math.floor(rank)))
    upper = min(len(ordered) - 1, lower + 1)
    weight = rank - math.floor(rank)
    return ordered[lower] * (1 - weight) + ordered[upper] * weight


def higher(a: float, b: float) -> float:
    """The higher of two as Go has it: plus infinity before NaN, NaN before any number."""
    if INF in (a, b):
        return INF
    return NAN if a != a or b != b else max(a, b)


def lower(a: float, b: float) -> float:
    """The lower of two as Go has it: minus infinity before NaN, NaN before any number."""
    return -higher(-a, -b)


def divide(a: float, b: float) -> float:
    """Division; by zero it is infinite, or NaN for 0/0."""
    if b:
        return a / b
    if a != a or b != b or a == 0:
        return NAN
    return math.copysign(INF, a) * math.copysign(1.0, b)


def modulo(a: float, b: float) -> float:
    """The remainder with the sign of the dividend."""
    if b == 0 or math.isinf(a):
        return NAN
    return math.fmod(a, b)


def power(a: float, b: float) -> float:
    """a to the power of b, infinite or NaN where Python raises."""
    try:
        return math.pow(a, b)
    except OverflowError:
        odd = b == int(b) and int(b) % 2 == 1
        return -INF if a < 0 and odd else INF
    except ValueError:
        if a == 0:  # zero to a negative power
            return math.copysign(INF, a) if b == int(b) and int(b) % 2 == 1 else INF
        return NAN
