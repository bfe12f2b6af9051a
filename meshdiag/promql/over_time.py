"""Functions of a range vector that look at the values alone: changes, resets and the ``_over_time`` family."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from meshdiag.promql import numbers, rates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshdiag.promql.rates import Span


def changes(_times: Sequence[int], values: Sequence[float], _span: Span) -> float:
    """How often the value changed; NaN after NaN is no change."""
    pairs = itertools.pairwise(values)
    return float(sum(1 for a, b in pairs if a != b and not (a != a and b != b)))


def resets(_times: Sequence[int], values: Sequence[float], _span: Span) -> float:
    """How often a counter fell."""
    return float(sum(1 for a, b in itertools.pairwise(values) if b < a))


def _plain(reduce: Callable[[Sequence[float]], float]) -> Callable[[Sequence[int], Sequence[float], Span], float]:
    return lambda _times, values, _span: reduce(values)


def _mad(values: Sequence[float]) -> float:
    """Median absolute deviation; NaN when a value is NaN."""
    if any(value != value for value in values):
        return math.nan
    median = numbers.quantile(0.5, values)
    return numbers.quantile(0.5, [abs(value - median) for value in values])


def _time_of(pick: Callable[[Sequence[float]], int]) -> Callable[[Sequence[int], Sequence[float], Span], float]:
    return lambda times, values, _span: times[pick(values)] / 1000


def _last_place(better: Callable[[float, float], bool]) -> Callable[[Sequence[float]], int]:
    """The place of the last extreme value; NaN only when nothing else is there."""

    def pick(values: Sequence[float]) -> int:
        place = 0
        for index, value in enumerate(values):
            if better(value, values[place]) or math.isnan(values[place]):
                place = index
        return place

    return pick


RANGE_FUNCTIONS: dict[str, Callable[[Sequence[int], Sequence[float], Span], float | None]] = {
    "rate": rates.rate,
    "increase": rates.increase,
    "delta": rates.delta,
    "irate": rates.irate,
    "idelta": rates.idelta,
    "deriv": rates.deriv,
    "changes": changes,
    "resets": resets,
    "sum_over_time": _plain(numbers.total),
    "avg_over_time": _plain(numbers.average),
    "min_over_time": _plain(numbers.smallest),
    "max_over_time": _plain(numbers.biggest),
    "count_over_time": _plain(lambda values: float(len(values))),
    "present_over_time": _plain(lambda _values: 1.0),
    "stddev_over_time": _plain(lambda values: math.sqrt(numbers.variance_compensated(values))),
    "stdvar_over_time": _plain(numbers.variance_compensated),
    "last_over_time": _plain(lambda values: values[-1]),
    "first_over_time": _plain(lambda values: values[0]),
    "mad_over_time": _plain(_mad),
    "ts_of_first_over_time": lambda times, _values, _span: times[0] / 1000,
    "ts_of_last_over_time": lambda times, _values, _span: times[-1] / 1000,
    "ts_of_min_over_time": _time_of(_last_place(lambda value, best: value <= best)),
    "ts_of_max_over_time": _time_of(_last_place(lambda value, best: value >= best)),
}
"""Functions of one range vector and nothing else, by name."""

KEEP_NAME = frozenset({"last_over_time", "first_over_time"})
"""Those whose result is a sample of the series itself, so that it keeps its name."""
