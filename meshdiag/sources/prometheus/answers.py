"""JSON to vectors and matrices, fast: a thousand nodes and thirty questions are thirty thousand samples.

Values are strings on the wire (``"NaN"``, ``"+Inf"``), and ``float`` reads them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from meshdiag.metrics import Matrix, Sample, Series, Vector
from meshdiag.sources.http import collector_paused

if TYPE_CHECKING:
    from meshdiag.sources.prometheus.api import Answer

Item = TypeVar("Item", Sample, Series)
_BETWEEN = "\0"
"""Between the values of labels."""


def evaluated(answer: Answer) -> Vector | Matrix:
    """The result of a query of any type. Raises ``SourceError`` (malformed) for another shape."""
    try:
        with collector_paused():
            return _read(answer, answer.data["resultType"], answer.data["result"])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise answer.reply.misshapen(f"a result that cannot be read: {type(error).__name__} {error}") from error


def _read(answer: Answer, kind: str, result: Any) -> Vector | Matrix:
    if kind == "vector":
        samples, notes = read_samples(result)
        return Vector(samples, (*answer.warnings, *notes))
    if kind == "matrix":
        series, notes = read_series(result)
        return Matrix(series, (*answer.warnings, *notes))
    if kind == "scalar":
        return Vector((Sample({}, float(result[1]), float(result[0])),), answer.warnings, scalar=True)
    if kind == "string":
        return Vector((), answer.warnings, text=str(result[1]))
    raise answer.reply.misshapen(f"result type {kind!r}")


def read_samples(result: list[dict[str, Any]]) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """The samples of a vector, and what is to be said about them."""
    samples: list[Sample] = []
    seen: set[str] = set()
    histograms = 0
    for one in result:
        labels = one["metric"]
        values = _BETWEEN.join(labels.values())  # raises for labels that are not text
        point = one.get("value")
        if point is None:
            histograms += _is_histogram(one)
            continue
        seen.add(values)
        samples.append(Sample(labels, float(point[1]), float(point[0])))
    return _once(samples, seen, _notes(histograms))


def read_series(result: list[dict[str, Any]]) -> tuple[tuple[Series, ...], tuple[str, ...]]:
    """The series of a matrix, and what is to be said about them."""
    series: list[Series] = []
    seen: set[str] = set()
    histograms = 0
    for one in result:
        labels = one["metric"]
        values = _BETWEEN.join(labels.values())
        points = one.get("values")
        if points is None:
            histograms += _is_histogram(one)
            continue
        seen.add(values)
        series.append(Series(labels, [float(point[0]) for point in points], [float(point[1]) for point in points]))
    return _once(series, seen, _notes(histograms))


def _is_histogram(one: dict[str, Any]) -> bool:
    """Whether an element without a value is a native histogram; anything else is another shape."""
    if "histogram" in one or "histograms" in one:
        return True
    raise KeyError("value")


def _notes(histograms: int) -> tuple[str, ...]:
    if not histograms:
        return ()
    return (f"{histograms} native histograms are left out: ask for histogram_quantile(…) of them",)


def _once(items: list[Item], values: set[str], notes: tuple[str, ...]) -> tuple[tuple[Item, ...], tuple[str, ...]]:
    """Each label set once: the first stays, and a note says how many came again. ``values`` are the different values
    of all labels: where there are as many as items, nothing came twice."""
    if len(values) >= len(items):
        return tuple(items), notes
    seen = {tuple(item.labels.items()): item for item in reversed(items)}
    if len(seen) == len(items):
        return tuple(items), notes
    again = len(items) - len(seen)
    return tuple(reversed(seen.values())), (*notes, f"{again} series came more than once; the first of each is taken")
