"""Fills a store from answers of a Prometheus: as vectors and matrices, or as the JSON in which they were recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshdiag.errors import SourceError, Trouble
from meshdiag.metrics import Vector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshdiag.metrics import Matrix
    from meshdiag.promql.store import Store


def add_answer(store: Store, answer: Vector | Matrix) -> int:
    """Add every sample of an answer; returns how many. Of two samples of one series and moment the later added
    stays."""
    if isinstance(answer, Vector):
        return sum(_add(store, one.labels, ((one.time, one.value),)) for one in answer.samples)
    return sum(_add(store, one.labels, zip(one.times, one.values, strict=True)) for one in answer.series)


def add_json(store: Store, document: Mapping[str, Any]) -> int:
    """Add every sample of an answer of the HTTP API, whole or its ``data`` alone: a vector or a matrix. Returns how
    many; native histograms are left out. Raises ``SourceError`` (malformed) for anything else."""
    data = document.get("data", document) if isinstance(document, dict) else None
    kind = data.get("resultType") if isinstance(data, dict) else None
    if not isinstance(data, dict) or kind not in ("vector", "matrix"):
        raise _misshapen(f"a vector or a matrix was expected, not {kind or type(data).__name__}")
    try:
        return sum(_add(store, one["metric"], _points(one)) for one in data["result"])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _misshapen(f"{type(error).__name__}: {error}") from error


def _points(one: Mapping[str, Any]) -> Iterable[tuple[float, float]]:
    if "histogram" in one or "histograms" in one:
        return ()
    points: Sequence[Any] = one["values"] if "values" in one else (one["value"],)
    return ((float(time), float(value)) for time, value in points)


def _add(store: Store, labels: Mapping[str, str], points: Iterable[tuple[float, float]]) -> int:
    """Add points (seconds, value) to one series; returns how many there were."""
    "".join(labels.values())  # raises for labels that are not text
    series = None
    count = 0
    for time, value in points:
        series = series or store.series(labels)
        series.append(round(time * 1000), value)
        count += 1
    return count


def _misshapen(what: str) -> SourceError:
    return SourceError(
        f"this is no answer of Prometheus's query API: {what}",
        trouble=Trouble.MALFORMED,
        hint="save what /api/v1/query or /api/v1/query_range answers, as it is",
    )
