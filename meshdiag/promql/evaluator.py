"""Evaluates expressions over a store, at one moment or at every step of a range.

A range query is the same expression evaluated at each step, as Prometheus defines it. Semantics are
Prometheus's own: 5-minute look-back, staleness markers, left-open ranges (closed before Prometheus 3).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from meshdiag.errors import QueryError
from meshdiag.metrics import Matrix, Sample, Series, Vector
from meshdiag.promql import aggregations, binary, functions
from meshdiag.promql import expressions as ast
from meshdiag.promql.parsing import parse
from meshdiag.promql.store import is_stale
from meshdiag.promql.values import Options, Window, Windows, identity, mapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.promql.store import Store, StoredSeries
    from meshdiag.promql.values import Elements, Labels, Value

MAX_STEPS = 11_000
"""Most steps of a range query, as in Prometheus."""
MAX_SUBQUERY_STEPS = 50_000
"""Most steps of one subquery."""


def instant(store: Store, query: str, at_ms: int, options: Options | None = None) -> Vector | Matrix:
    """Evaluate a query at one moment (milliseconds since the epoch): a matrix for a range selector, else a
    vector. Raises ``QueryError``."""
    expression = parse(query)
    evaluation = Evaluation(store, at_ms, at_ms, options or Options())
    value = evaluation.value(expression)
    seconds = at_ms / 1000
    warnings = tuple(evaluation.warnings)
    if isinstance(value, str):
        return Vector((), warnings, text=value)
    if isinstance(value, float):
        return Vector((Sample({}, value, seconds),), warnings, scalar=True)
    if isinstance(value, Windows):
        return Matrix(
            tuple(Series(one.labels, [t / 1000 for t in one.times], list(one.values)) for one in value.windows),
            warnings,
        )
    return Vector(tuple([Sample(labels, number, seconds) for labels, number in value]), warnings)


def over_range(
    store: Store, query: str, start_ms: int, end_ms: int, step_ms: int, options: Options | None = None
) -> Matrix:
    """Evaluate a query at every step from start to end, both included (milliseconds). Raises ``QueryError``."""
    expression = parse(query)
    if step_ms <= 0:
        raise QueryError("zero or negative query resolution step widths are not accepted", hint="try a positive step")
    if (end_ms - start_ms) // step_ms > MAX_STEPS:
        raise QueryError(
            f"exceeded maximum resolution of {MAX_STEPS} points", hint="use a longer step or a shorter range"
        )
    if isinstance(expression, (ast.RangeSelector, ast.Subquery, ast.Text)):
        raise QueryError("a range query needs an expression that gives one value a series, such as rate(x[5m])")
    evaluation = Evaluation(store, start_ms, end_ms, options or Options(), step_ms)
    gathered = evaluation.steps(expression, start_ms, end_ms, step_ms)
    series = sorted(gathered, key=lambda one: sorted(one.labels.items()))
    return Matrix(
        tuple(Series(one.labels, [t / 1000 for t in one.times], one.values) for one in series),
        tuple(evaluation.warnings),
    )


class Evaluation:
    """One query over one store. ``now`` is the moment of the step that is being evaluated."""

    def __init__(self, store: Store, start: int, end: int, options: Options, step: int = 0) -> None:
        self.store = store
        self.start: int = start
        self.end: int = end
        self.step: int = step
        self.now: int = start
        self.options = options
        self.warnings: dict[str, None] = {}
        self._selected: dict[int, list[StoredSeries]] = {}

    def value(self, expression: ast.Expression) -> Value:
        """What an expression is at ``now``."""
        match expression:
            case ast.Selector():
                return self.vector(expression)
            case ast.Call():
                return functions.call(self, expression)
            case ast.Aggregate():
                return aggregations.aggregate(self, expression)
            case ast.Binary():
                return binary.operate(self, expression)
            case ast.Number(value=value) | ast.Text(value=value):
                return value
            case ast.RangeSelector() | ast.Subquery():
                return self.windows(expression)
            case ast.Negate():
                return self._negated(expression)

    def elements(self, expression: ast.Expression) -> Elements:
        """The value of an expression that the parser knows to be an instant vector."""
        value = self.value(expression)
        if not isinstance(value, list):
            raise QueryError("expected an instant vector here")
        return value

    def scalar(self, expression: ast.Expression) -> float:
        """The value of an expression that the parser knows to be a scalar."""
        value = self.value(expression)
        if not isinstance(value, float):
            raise QueryError("expected a scalar here")
        return value

    def text(self, expression: ast.Expression) -> str:
        """The value of an expression that the parser knows to be a string."""
        value = self.value(expression)
        if not isinstance(value, str):
            raise QueryError("expected a string here")
        return value

    def windows(self, expression: ast.Expression) -> Windows:
        """The range vector of a range selector or subquery."""
        if isinstance(expression, ast.RangeSelector):
            return self._range(expression)
        if isinstance(expression, ast.Subquery):
            return self._subquery(expression)
        raise QueryError("expected a range selector here, such as x[5m]")

    def warn(self, message: str) -> None:
        """Note a warning once, in Prometheus's words."""
        self.warnings[f"PromQL warning: {message}"] = None

    def moment(self, part: ast.Selector | ast.Subquery) -> int:
        """The moment a selector or subquery looks at: ``now``, or its ``@``, less its offset."""
        match part.at:
            case None:
                base = self.now
            case ast.Edge.START:
                base = self.start
            case ast.Edge.END:
                base = self.end
            case _:
                base = part.at
        return base - part.offset_ms

    def selected(self, selector: ast.Selector) -> list[StoredSeries]:
        """The series of a selector, looked up once a query."""
        found = self._selected.get(id(selector))
        if found is None:
            found = self._selected[id(selector)] = [one for one in self.store.select(selector) if one.times]
        return found

    def _lookback(self, selector: ast.Selector) -> tuple[int, int]:
        """The oldest and the newest time that an instant selector takes."""
        moment = self.moment(selector)
        return moment - self.options.lookback_ms + (0 if self.options.prometheus2 else 1), moment

    def latest(self, selector: ast.Selector) -> list[tuple[Labels, int, float]]:
        """Labels, time and value of the newest sample of each series, within the look-back and not stale."""
        oldest, moment = self._lookback(selector)
        result = []
        for series in self.selected(selector):
            times = series.times
            place = len(times) - 1 if times[-1] <= moment else bisect_right(times, moment) - 1
            if place < 0 or times[place] < oldest:
                continue
            value = series.values[place]
            if value != value and is_stale(value):
                continue
            result.append((series.labels, times[place], value))
        return result

    def vector(self, selector: ast.Selector) -> Elements:
        """The instant vector of a selector."""
        oldest, moment = self._lookback(selector)
        series = self.selected(selector)
        if series and series[0].times[-1] <= moment:  # now, as nearly always: each has its last sample in there
            found = [
                (one.labels, value)
                for one in series
                if oldest <= one.times[-1] <= moment and (value := one.values[-1]) == value
            ]
            if len(found) == len(series):
                return found
        return [(labels, value) for labels, _, value in self.latest(selector)]

    def _range(self, expression: ast.RangeSelector) -> Windows:
        selector = expression.selector
        end = self.moment(selector)
        start = end - expression.range_ms
        oldest = start if self.options.prometheus2 else start + 1
        observed = self.options.observed_rates
        windows = []
        for series in self.selected(selector):
            times: Sequence[int] = series.times
            values: Sequence[float] = series.values
            first = 0 if times[0] >= oldest else bisect_left(times, oldest)
            last = len(times) if times[-1] <= end else bisect_right(times, end)
            if observed:
                first = min(first, max(0, last - 2))
            if first >= last:
                continue
            if first or last < len(times):
                times, values = times[first:last], values[first:last]
            total = sum(values)
            if total != total:  # a NaN among them, perhaps a staleness marker; or Inf and -Inf
                kept = _without_stale(times, values)
                if not kept[0]:
                    continue
                times, values = kept
            windows.append(Window(series.labels, times, values, series))
        return Windows(windows, start, end, selector.name is not None)

    def _subquery(self, expression: ast.Subquery) -> Windows:
        end = self.moment(expression)
        start = end - expression.range_ms
        step = expression.step_ms or self.options.step_ms
        if expression.range_ms // step > MAX_SUBQUERY_STEPS:
            raise QueryError(f"a subquery of more than {MAX_SUBQUERY_STEPS} steps", hint="use a longer step")
        first = step * (start // step)
        if first < start or (first == start and not self.options.prometheus2):
            first += step
        inner = Evaluation(self.store, self.start, self.end, self.options, self.step)
        inner._selected = self._selected
        inner.warnings = self.warnings
        gathered = inner.steps(expression.expr, first, end, step)
        return Windows(gathered, start, end)

    def steps(self, expression: ast.Expression, first: int, last: int, step: int) -> list[Window]:
        """The series that an expression makes when it is evaluated at every step."""
        gathered: dict[frozenset[tuple[str, str]], tuple[Labels, list[int], list[float]]] = {}
        for now in range(first, last + 1, step):
            self.now = now
            value = self.value(expression)
            elements: Elements = [({}, value)] if isinstance(value, float) else value  # type: ignore[assignment]
            for labels, number in elements:
                key = identity(labels)
                column = gathered.get(key)
                if column is None:
                    column = gathered[key] = (labels, [], [])
                column[1].append(now)
                column[2].append(number)
        return [Window(labels, times, values) for labels, times, values in gathered.values()]

    def _negated(self, expression: ast.Negate) -> Value:
        value = self.value(expression.expr)
        if isinstance(value, float):
            return -value
        if isinstance(value, list):
            return mapped(value, (-number for _, number in value))
        raise QueryError("unary minus is for scalars and instant vectors")


def _without_stale(times: Sequence[int], values: Sequence[float]) -> tuple[list[int], list[float]]:
    kept = [(time, value) for time, value in zip(times, values, strict=True) if not is_stale(value)]
    return [time for time, _ in kept], [value for _, value in kept]
