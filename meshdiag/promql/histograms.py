"""Classic histograms: quantiles and fractions of ``_bucket`` series, interpolated as Prometheus does it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meshdiag.metrics import NAME_LABEL
from meshdiag.promql.numbers import INF, NAN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshdiag.promql.evaluator import Evaluation
    from meshdiag.promql.values import Elements, Labels

SMALL = 1e-12
"""Relative difference between cumulative counts that is taken for rounding."""

Buckets = list[tuple[float, float]]
"""Upper bound and cumulative count, by rising bound."""


def bound(text: str) -> float | None:
    """The number of an ``le`` label, None for what is none."""
    try:
        return float(text) if text == text.strip() else None
    except ValueError:
        return None


def grouped(evaluation: Evaluation, elements: Elements) -> Iterator[tuple[Labels, Buckets]]:
    """The histograms in a vector of buckets: their labels without ``le`` and name, and their buckets."""
    groups: dict[frozenset[tuple[str, str]], tuple[Labels, Buckets]] = {}
    for labels, count in elements:
        upper = bound(labels.get("le", ""))
        if upper is None:
            evaluation.warn(f'bucket label "le" is missing or has a malformed value of "{labels.get("le", "")}"')
            continue
        key = frozenset([pair for pair in labels.items() if pair[0] not in _OWN])
        group = groups.get(key)
        if group is None:
            group = groups[key] = (dict(key), [])
        group[1].append((upper, count))
    yield from groups.values()


_OWN = frozenset({"le", NAME_LABEL})


def tidy(buckets: Buckets) -> Buckets:
    """Sorted by bound, equal bounds added up, counts made to rise (rounding and broken scrapes aside)."""
    merged: Buckets = []
    for upper, count in sorted(buckets, key=lambda bucket: bucket[0]):
        if merged and merged[-1][0] == upper:
            merged[-1] = (upper, merged[-1][1] + count)
        else:
            merged.append((upper, count))
    previous = merged[0][1] if merged else 0.0
    for index, (upper, count) in enumerate(merged):
        if count == previous:
            continue
        if count < previous or _almost(previous, count):
            merged[index] = (upper, previous)
        else:
            previous = count
    return merged


def _almost(a: float, b: float) -> bool:
    return abs(a - b) / (abs(a) + abs(b)) < SMALL if a or b else True


def bucket_quantile(q: float, buckets: Buckets) -> float:
    """The value below which the share ``q`` of the observations lies."""
    if math.isnan(q):
        return NAN
    if q < 0:
        return -INF
    if q > 1:
        return INF
    buckets = tidy(buckets)
    if len(buckets) < 2 or buckets[-1][0] != INF:
        return NAN
    observations = buckets[-1][1]
    if observations == 0:
        return NAN
    rank = q * observations
    place = _search(buckets, rank)
    if place == len(buckets) - 1:
        return buckets[-2][0]
    upper, count = buckets[place]
    if place == 0:
        if upper <= 0:
            return upper
        lower = 0.0
    else:
        lower, below = buckets[place - 1]
        count -= below
        rank -= below
    return lower + (upper - lower) * (rank / count) if count else NAN


def _search(buckets: Buckets, rank: float) -> int:
    """The first bucket but the last that holds the rank, by halving: NaN counts come out as in Prometheus."""
    low, high = 0, len(buckets) - 1
    while low < high:
        middle = (low + high) // 2
        if buckets[middle][1] >= rank:
            high = middle
        else:
            low = middle + 1
    return low


def bucket_fraction(low: float, high: float, buckets: Buckets) -> float:
    """The share of the observations between two values."""
    buckets = tidy(buckets)
    if len(buckets) < 2 or buckets[-1][0] != INF or math.isnan(low) or math.isnan(high):
        return NAN
    observations = buckets[-1][1]
    if observations == 0 or observations != observations:
        return NAN
    if low >= high:
        return 0.0
    return (_rank(high, buckets) - _rank(low, buckets)) / observations


def _rank(value: float, buckets: Buckets) -> float:
    """How many observations lie below a value, interpolated inside its bucket."""
    lower = -INF if buckets[0][0] <= 0 else 0.0
    below = 0.0
    for upper, count in buckets:
        if value <= lower:
            return below
        if value < upper:
            if upper == INF or lower == -INF:
                return below if upper == INF else count
            return below + (count - below) * (value - lower) / (upper - lower)
        lower, below = upper, count
    return below
