"""What a query needs of a store: metric names, matchers, whether it looks back.

The scraper reads only the families named here; checks use it to find rules over metrics that nobody exposes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag.promql.expressions import RangeSelector, Selector, Subquery, walk
from meshdiag.promql.parsing import parse

if TYPE_CHECKING:
    from meshdiag.promql.expressions import Matcher


@dataclass(frozen=True, slots=True)
class Needs:
    """What a query asks of its store. ``names``: the metric names, complete unless ``any_name`` (a selector
    without a fixed name). ``window``: whether it needs more than one sample a series. ``past``: the first part
    of it that asks about another moment (``offset 1h``), in words, or None. ``reach_ms``: how far back from the
    moment asked about such parts look; infinite where they name a moment of their own (``@``)."""

    names: frozenset[str]
    any_name: bool
    window: bool
    past: str | None
    reach_ms: float = 0.0


def selectors(query: str) -> tuple[Selector, ...]:
    """Every selector of a query, left to right: ``name`` (None where a matcher picks names) and ``matchers``.
    Raises ``QueryError`` when the query does not parse."""
    return tuple(part for part in walk(parse(query)) if isinstance(part, Selector))


def metric_names(query: str) -> set[str]:
    """The metric names that a query reads, as written: a histogram's parts stand as ``x_bucket``, ``x_sum``,
    ``x_count``. Selectors that pick names by a regular expression add none. Raises ``QueryError`` when the
    query does not parse."""
    return {selector.name for selector in selectors(query) if selector.name is not None}


def name_matchers(selector: Selector) -> tuple[Matcher, ...]:
    """The matchers of a selector that look at the metric's name."""
    return tuple(matcher for matcher in selector.matchers if matcher.name == "__name__")


def needs(query: str) -> Needs:
    """What a store must hold for a query to be answered. Raises ``QueryError`` when it does not parse."""
    parts = tuple(walk(parse(query)))
    found = [part for part in parts if isinstance(part, Selector)]
    return Needs(
        names=frozenset(selector.name for selector in found if selector.name is not None),
        any_name=any(selector.name is None for selector in found),
        window=any(isinstance(part, RangeSelector) for part in parts),
        past=next(filter(None, (_past(part) for part in parts)), None),
        reach_ms=max((_reach(part) for part in parts), default=0.0),
    )


def _reach(part: object) -> float:
    if not isinstance(part, (Selector, Subquery)):
        return 0.0
    if isinstance(part.at, int):
        return math.inf
    return abs(part.offset_ms) + (part.range_ms if isinstance(part, Subquery) else 0)


def _past(part: object) -> str | None:
    if isinstance(part, (Selector, Subquery)):
        if part.offset_ms:
            return f"offset {_duration(part.offset_ms)}"
        if isinstance(part.at, int):
            return f"@ {part.at / 1000:.3f}"
    if isinstance(part, Subquery):
        return f"a subquery over {_duration(part.range_ms)}"
    return None


def _duration(milliseconds: int) -> str:
    """A duration as PromQL writes it, in the largest unit that divides it: ``1h``, ``90s``, ``-5m``."""
    count, unit = next((milliseconds // size, name) for name, size in _UNITS.items() if milliseconds % size == 0)
    return f"{count}{unit}"


_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
