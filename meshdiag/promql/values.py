"""The values that expressions have while they are evaluated, and what several operators do with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import Struct

from meshdiag.errors import QueryError
from meshdiag.metrics import NAME_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshdiag.promql.store import StoredSeries

Labels = dict[str, str]
"""The labels of one element. Shared between elements and with the store: never changed in place."""
Element = tuple[Labels, float]
"""One element of an instant vector."""
Elements = list[Element]
"""An instant vector."""


class Window(Struct):
    """One series of a range vector. Times in milliseconds. ``stored`` is the series of the store that it is a part of,
    if any."""

    labels: Labels
    times: Sequence[int]
    values: Sequence[float]
    stored: StoredSeries | None = None

    @property
    def bare(self) -> Labels:
        """The labels without the name."""
        return without_name(self.labels) if self.stored is None else self.stored.bare


@dataclass(slots=True)
class Windows:
    """A range vector over ``start``..``end`` (milliseconds). ``one_name`` promises that the series differ in
    more than their names, so that taking the names off makes no duplicates."""

    windows: list[Window]
    start: int
    end: int
    one_name: bool = False

    @property
    def seconds(self) -> float:
        """The length of the range."""
        return (self.end - self.start) / 1000


Value = float | str | Elements | Windows


@dataclass(frozen=True, slots=True)
class Options:
    """How to evaluate.

    lookback_ms: how old a sample an instant selector still takes. observed_rates: range selectors take at least the
    last two samples, however short the range, and ``rate`` and its kin are computed over the observed span alone (see
    ``rates.py``). prometheus2: ranges hold their left end, as before Prometheus 3. step_ms: of subqueries that
    name none.
    """

    lookback_ms: int = 300_000
    observed_rates: bool = False
    prometheus2: bool = False
    step_ms: int = 60_000


METADATA = frozenset({NAME_LABEL, "__type__", "__unit__"})
"""The labels that describe the metric: operators that make a new metric take them off."""


def identity(labels: Labels) -> frozenset[tuple[str, str]]:
    """What makes a series: its labels, in no order."""
    return frozenset(labels.items())


def without_name(labels: Labels) -> Labels:
    """The labels without the metric's name, and without its type and unit, which go with the name."""
    if METADATA.isdisjoint(labels):
        return labels
    return {name: value for name, value in labels.items() if name not in METADATA}


def mapped(elements: Elements, values: Iterable[float]) -> Elements:
    """The elements with new values and without their names. Raises ``QueryError`` when two become one."""
    result = [(without_name(labels), value) for (labels, _), value in zip(elements, values, strict=True)]
    return result if same_name(elements) else distinct(result)


def same_name(elements: Elements) -> bool:
    """Whether all elements have the same metric name (or all have none)."""
    return len({labels.get(NAME_LABEL) for labels, _ in elements}) <= 1


def distinct(elements: Elements) -> Elements:
    """The same elements. Raises ``QueryError`` when two of them have the same labels."""
    if len({identity(labels) for labels, _ in elements}) != len(elements):
        raise QueryError("vector cannot contain metrics with the same labelset")
    return elements


def show(labels: Labels) -> str:
    """Labels as Prometheus writes them in its errors: ``{a="1", b="2"}``, the name first and bare."""
    inner = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()) if name != NAME_LABEL)
    return f"{labels.get(NAME_LABEL, '')}{{{inner}}}"


def format_float(value: float) -> str:
    """A number as Prometheus writes it: the shortest digits that read back, without an exponent."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if "e" in text:
        from decimal import Decimal

        text = format(Decimal(text), "f")
    return text.removesuffix(".0")
