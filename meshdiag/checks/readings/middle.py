"""The median, without the import of ``statistics``, which brings random numbers and fractions: 5 ms at every start."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def median(values: Iterable[float]) -> float:
    """The middle value, or the mean of the two in the middle. Raises ``ValueError`` for no values."""
    ordered = sorted(values)
    half = len(ordered) // 2
    if not ordered:
        raise ValueError("no median of nothing")
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def median_high(values: Iterable[float]) -> float:
    """The middle value, or the higher of the two in the middle. Raises ``ValueError`` for no values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no median of nothing")
    return ordered[len(ordered) // 2]
