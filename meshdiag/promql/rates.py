"""rate, increase, delta, irate, idelta and deriv: change over time, extrapolated as Prometheus does it.

With ``observed_rates`` (two looks at a node a few seconds apart instead of a stored history) the per-second rate
is computed over the span really observed. What a counter grew over a longer window cannot be known then:
``increase`` and ``delta`` say what the window would hold at the observed pace, rate times window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import le
from typing import TYPE_CHECKING

from meshdiag.promql.numbers import Compensated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.promql.values import Options


@dataclass(frozen=True, slots=True)
class Span:
    """What a range function knows besides the samples: the window (milliseconds) and how to read it."""

    start: int
    end: int
    now: int
    options: Options

    @property
    def seconds(self) -> float:
        """The length of the window."""
        return (self.end - self.start) / 1000


def growth(values: Sequence[float]) -> float:
    """How much a counter grew, resets made good."""
    result = values[-1] - values[0]
    if all(map(le, values, values[1:])):  # no reset, as nearly always
        return result
    previous = values[0]
    for value in values:
        if value < previous:
            result += previous
        previous = value
    return result


def rate(times: Sequence[int], values: Sequence[float], span: Span) -> float | None:
    """Per-second growth of a counter."""
    return _extrapolated(times, values, span, counter=True, per_second=True)


def increase(times: Sequence[int], values: Sequence[float], span: Span) -> float | None:
    """Growth of a counter over the window."""
    return _extrapolated(times, values, span, counter=True, per_second=False)


def delta(times: Sequence[int], values: Sequence[float], span: Span) -> float | None:
    """Difference of a gauge over the window."""
    return _extrapolated(times, values, span, counter=False, per_second=False)


def _extrapolated(
    times: Sequence[int], values: Sequence[float], span: Span, *, counter: bool, per_second: bool
) -> float | None:
    count = len(times)
    if count < 2:
        return None
    sampled = (times[-1] - times[0]) / 1000
    change = growth(values) if counter else values[-1] - values[0]
    if span.options.observed_rates:
        pace = change / sampled
        return pace if per_second else pace * span.seconds
    before, after = (times[0] - span.start) / 1000, (span.end - times[-1]) / 1000
    mean = sampled / (count - 1)
    threshold = mean * 1.1
    to_zero = sampled * (values[0] / change) if counter and change > 0 and values[0] >= 0 else before
    if span.options.prometheus2:
        before = min(before, to_zero)
        before = before if before < threshold else mean / 2
    else:
        before = before if before < threshold else mean / 2
        if counter and change > 0 and values[0] >= 0:
            before = min(before, to_zero)
    after = after if after < threshold else mean / 2
    factor = (sampled + before + after) / sampled
    return change * (factor / span.seconds if per_second else factor)


def irate(times: Sequence[int], values: Sequence[float], _span: Span) -> float | None:
    """Per-second growth between the last two samples of a counter."""
    if len(times) < 2 or times[-1] == times[-2]:
        return None
    change = values[-1] if values[-1] < values[-2] else values[-1] - values[-2]
    return change / ((times[-1] - times[-2]) / 1000)


def idelta(times: Sequence[int], values: Sequence[float], _span: Span) -> float | None:
    """Difference between the last two samples of a gauge."""
    if len(times) < 2 or times[-1] == times[-2]:
        return None
    return values[-1] - values[-2]


def regression(times: Sequence[int], values: Sequence[float], origin: int) -> tuple[float, float]:
    """Slope (per second) and the value at ``origin`` (milliseconds), by least squares."""
    count = len(times)
    if all(value == values[0] for value in values):
        return (0.0, values[0]) if math.isfinite(values[0]) else (math.nan, math.nan)
    sums = [Compensated() for _ in range(4)]
    for time, value in zip(times, values, strict=True):
        x = (time - origin) / 1000
        for one, term in zip(sums, (x, value, x * value, x * x), strict=True):
            one.add(term)
    sum_x, sum_y, sum_xy, sum_xx = (one.total for one in sums)
    cov = sum_xy - sum_x * sum_y / count
    var = sum_xx - sum_x * sum_x / count
    slope = cov / var
    return slope, sum_y / count - slope * sum_x / count


def deriv(times: Sequence[int], values: Sequence[float], _span: Span) -> float | None:
    """Per-second slope of a gauge by least squares; centred on the first sample, which keeps the precision."""
    if len(times) < 2:
        return None
    return regression(times, values, times[0])[0]
