"""A row of numbers as a sparkline."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Span = tuple[float, float]


def span_of(series: Iterable[Iterable[float]]) -> Span:
    """The smallest and the largest finite number of several series, so that they can share a scale."""
    finite = [value for values in series for value in values if math.isfinite(value)]
    return (min(finite), max(finite)) if finite else (0.0, 0.0)


def sparkline(values: Sequence[float], bars: str, width: int | None = None, span: Span | None = None) -> str:
    """One bar a value, on the scale ``span`` (their own by default); NaN is a gap.

    With more values than ``width``, each bar stands for several and shows the highest: peaks must not vanish.
    """
    squeezed = _squeeze(values, width) if width is not None and len(values) > width else values
    low, high = span if span is not None else span_of([squeezed])
    return "".join(_bar(value, bars, low, high) for value in squeezed)


def _bar(value: float, bars: str, low: float, high: float) -> str:
    if math.isnan(value):
        return " "
    if high <= low and math.isfinite(value):
        return bars[0]
    if high <= low:
        share = float(value > 0)
    elif math.isinf(high - low):  # the largest numbers lie further apart than a number can say
        return _bar(value / 2, bars, low / 2, high / 2)
    else:
        share = (min(max(value, low), high) - low) / (high - low)
    return bars[min(int(share * len(bars)), len(bars) - 1)]


def _squeeze(values: Sequence[float], width: int) -> list[float]:
    edges = [len(values) * place // width for place in range(width + 1)]
    return [
        max((value for value in values[start:end] if not math.isnan(value)), default=math.nan)
        for start, end in itertools.pairwise(edges)
    ]
