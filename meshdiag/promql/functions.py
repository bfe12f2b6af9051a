"""Functions of PromQL by name. A new one is an entry here, or in the table of ``over_time.py``.

Each takes the evaluation and the call, evaluates its arguments and returns a value. What is not in the tables
(native histogram and experimental functions) is refused by name.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meshdiag.errors import QueryError
from meshdiag.promql import aggregations, numbers, rates
from meshdiag.promql import expressions as ast
from meshdiag.promql.calendar import CALENDAR
from meshdiag.promql.histograms import bucket_fraction, bucket_quantile, grouped
from meshdiag.promql.labels import LABEL_FUNCTIONS
from meshdiag.promql.over_time import KEEP_NAME, RANGE_FUNCTIONS
from meshdiag.promql.refusals import refused_function
from meshdiag.promql.values import distinct, mapped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshdiag.promql.evaluator import Evaluation
    from meshdiag.promql.values import Elements, Value, Windows

NAN = math.nan


def call(evaluation: Evaluation, node: ast.Call) -> Value:
    """The value of a function call at ``evaluation.now``."""
    name = node.function
    if name in RANGE_FUNCTIONS:
        return over_windows(evaluation, evaluation.windows(node.args[0]), RANGE_FUNCTIONS[name], name in KEEP_NAME)
    if name in MATH:
        function = MATH[name]
        elements = evaluation.elements(node.args[0])
        return mapped(elements, [function(value) for _, value in elements])
    if name in OTHERS:
        return OTHERS[name](evaluation, node)
    raise refused_function(name)


def over_windows(
    evaluation: Evaluation,
    windows: Windows,
    function: Callable[[Sequence[int], Sequence[float], rates.Span], float | None],
    keep_name: bool = False,
) -> Elements:
    """A function of each series of a range vector; those without an answer drop out."""
    span = rates.Span(windows.start, windows.end, evaluation.now, evaluation.options)
    result: Elements = []
    for window in windows.windows:
        value = function(window.times, window.values, span)
        if value is not None:
            result.append((window.labels if keep_name else window.bare, value))
    return result if windows.one_name or keep_name else distinct(result)


def _guarded(function: Callable[[float], float], otherwise: float = NAN) -> Callable[[float], float]:
    """A function of ``math`` that answers ``otherwise`` where Python raises."""

    def guarded(value: float) -> float:
        try:
            return function(value)
        except OverflowError:
            return math.inf
        except ValueError:
            return otherwise

    return guarded


def _log(function: Callable[[float], float]) -> Callable[[float], float]:
    return lambda value: -math.inf if value == 0 else (function(value) if value > 0 else NAN)


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: math.copysign(float(function(value)), value) if math.isfinite(value) else value


def _sign(value: float) -> float:
    return value if value != value or value == 0 else math.copysign(1.0, value)


def _odd_overflow(function: Callable[[float], float]) -> Callable[[float], float]:
    def guarded(value: float) -> float:
        try:
            return function(value)
        except OverflowError:
            return math.copysign(math.inf, value)

    return guarded


def _atanh(value: float) -> float:
    if abs(value) == 1:
        return math.copysign(math.inf, value)
    return _guarded(math.atanh)(value)


MATH: dict[str, Callable[[float], float]] = {
    "abs": abs,
    "ceil": _whole(math.ceil),
    "floor": _whole(math.floor),
    "exp": _guarded(math.exp),
    "ln": _log(math.log),
    "log2": _log(math.log2),
    "log10": _log(math.log10),
    "sqrt": _guarded(math.sqrt),
    "sgn": _sign,
    "sin": _guarded(math.sin),
    "cos": _guarded(math.cos),
    "tan": _guarded(math.tan),
    "asin": _guarded(math.asin),
    "acos": _guarded(math.acos),
    "atan": math.atan,
    "sinh": _odd_overflow(math.sinh),
    "cosh": _guarded(math.cosh),
    "tanh": math.tanh,
    "asinh": math.asinh,
    "acosh": _guarded(math.acosh),
    "atanh": _atanh,
    "deg": math.degrees,
    "rad": math.radians,
}
"""Functions of each element's value alone."""


def _clamp(evaluation: Evaluation, node: ast.Call) -> Elements:
    elements = evaluation.elements(node.args[0])
    low, high = -math.inf, math.inf
    match node.function:
        case "clamp":
            low, high = evaluation.scalar(node.args[1]), evaluation.scalar(node.args[2])
            if high < low:
                return []
        case "clamp_min":
            low = evaluation.scalar(node.args[1])
        case _:
            high = evaluation.scalar(node.args[1])
    return mapped(elements, [numbers.higher(low, numbers.lower(high, value)) for _, value in elements])


def _round(evaluation: Evaluation, node: ast.Call) -> Elements:
    elements = evaluation.elements(node.args[0])
    nearest = evaluation.scalar(node.args[1]) if len(node.args) > 1 else 1.0
    inverse = numbers.divide(1.0, nearest)

    def rounded(value: float) -> float:
        scaled = value * inverse + 0.5
        return numbers.divide(math.floor(scaled) if math.isfinite(scaled) else scaled, inverse)

    return mapped(elements, [rounded(value) for _, value in elements])


def _timestamp(evaluation: Evaluation, node: ast.Call) -> Elements:
    """The time of each sample: of the scrape for a plain selector, else of the evaluation."""
    argument = node.args[0]
    if isinstance(argument, ast.Selector):
        latest = evaluation.latest(argument)
        return mapped([(labels, 0.0) for labels, _, _ in latest], [time / 1000 for _, time, _ in latest])
    elements = evaluation.elements(argument)
    return mapped(elements, [evaluation.now / 1000] * len(elements))


def _scalar(evaluation: Evaluation, node: ast.Call) -> float:
    elements = evaluation.elements(node.args[0])
    return elements[0][1] if len(elements) == 1 else NAN


def _sorted(evaluation: Evaluation, node: ast.Call) -> Elements:
    down = node.function == "sort_desc"
    elements = evaluation.elements(node.args[0])
    return sorted(elements, key=lambda e: (e[1] != e[1], 0.0 if e[1] != e[1] else -e[1] if down else e[1]))


def _absent(evaluation: Evaluation, node: ast.Call) -> Elements:
    return [] if evaluation.elements(node.args[0]) else [(_absent_labels(node.args[0]), 1.0)]


def _absent_over_time(evaluation: Evaluation, node: ast.Call) -> Elements:
    argument = node.args[0]
    if evaluation.windows(argument).windows:
        return []
    return [(_absent_labels(argument.selector if isinstance(argument, ast.RangeSelector) else argument), 1.0)]


def _absent_labels(argument: ast.Expression) -> dict[str, str]:
    """The labels that the missing series would have had: those matched for equality, once each."""
    if not isinstance(argument, ast.Selector):
        return {}
    labels: dict[str, str] = {}
    spoiled: set[str] = set()
    for matcher in argument.matchers:
        if matcher.kind is ast.MatchKind.EQUAL and matcher.name not in labels and matcher.name != "__name__":
            labels[matcher.name] = matcher.value
        else:
            spoiled.add(matcher.name)
    return {name: value for name, value in labels.items() if name not in spoiled and value}


def _histogram_quantile(evaluation: Evaluation, node: ast.Call) -> Elements:
    q = evaluation.scalar(node.args[0])
    if not 0 <= q <= 1:
        evaluation.warn(f"quantile value should be between 0 and 1, got {q:g}")
    histograms = grouped(evaluation, evaluation.elements(node.args[1]))
    return [(labels, bucket_quantile(q, buckets)) for labels, buckets in histograms]


def _histogram_fraction(evaluation: Evaluation, node: ast.Call) -> Elements:
    low, high = evaluation.scalar(node.args[0]), evaluation.scalar(node.args[1])
    histograms = grouped(evaluation, evaluation.elements(node.args[2]))
    return [(labels, bucket_fraction(low, high, buckets)) for labels, buckets in histograms]


def _quantile_over_time(evaluation: Evaluation, node: ast.Call) -> Elements:
    q = evaluation.scalar(node.args[0])
    if not 0 <= q <= 1:
        evaluation.warn(f"quantile value should be between 0 and 1, got {q:g}")
    windows = evaluation.windows(node.args[1])
    return over_windows(evaluation, windows, lambda _times, values, _span: numbers.quantile(q, values))


def _predict_linear(evaluation: Evaluation, node: ast.Call) -> Elements:
    ahead = evaluation.scalar(node.args[1])

    def predict(times: Sequence[int], values: Sequence[float], span: rates.Span) -> float | None:
        if len(times) < 2:
            return None
        slope, intercept = rates.regression(times, values, span.now)
        return slope * ahead + intercept

    return over_windows(evaluation, evaluation.windows(node.args[0]), predict)


def _double_exponential(evaluation: Evaluation, node: ast.Call) -> Elements:
    smoothing, trend = evaluation.scalar(node.args[1]), evaluation.scalar(node.args[2])
    if not 0 < smoothing < 1:
        raise QueryError(f"invalid smoothing factor. Expected: 0 < sf < 1, got: {smoothing:g}")
    if not 0 < trend < 1:
        raise QueryError(f"invalid trend factor. Expected: 0 < tf < 1, got: {trend:g}")

    def smooth(_times: Sequence[int], values: Sequence[float], _span: rates.Span) -> float | None:
        if len(values) < 2:
            return None
        level, slope, previous = values[0], values[1] - values[0], 0.0
        for index, value in enumerate(values[1:]):
            if index:
                slope = trend * (level - previous) + (1 - trend) * slope
            previous, level = level, smoothing * value + (1 - smoothing) * (level + slope)
        return level

    return over_windows(evaluation, evaluation.windows(node.args[0]), smooth)


def _step_of(evaluation: Evaluation, _node: ast.Call) -> float:
    return evaluation.step / 1000


OTHERS: dict[str, Callable[[Evaluation, ast.Call], Value]] = {
    **CALENDAR,
    **LABEL_FUNCTIONS,
    "clamp": _clamp,
    "clamp_min": _clamp,
    "clamp_max": _clamp,
    "round": _round,
    "time": lambda evaluation, _node: evaluation.now / 1000,
    "pi": lambda _evaluation, _node: math.pi,
    "timestamp": _timestamp,
    "vector": lambda evaluation, node: [({}, evaluation.scalar(node.args[0]))],
    "scalar": _scalar,
    "sort": _sorted,
    "sort_desc": _sorted,
    "absent": _absent,
    "absent_over_time": _absent_over_time,
    "histogram_quantile": _histogram_quantile,
    "histogram_fraction": _histogram_fraction,
    "quantile_over_time": _quantile_over_time,
    "predict_linear": _predict_linear,
    "double_exponential_smoothing": _double_exponential,
    "holt_winters": _double_exponential,
    "start": lambda evaluation, _node: evaluation.start / 1000,
    "end": lambda evaluation, _node: evaluation.end / 1000,
    "range": lambda evaluation, _node: (evaluation.end - evaluation.start) / 1000,
    "step": _step_of,
    "min_of": lambda evaluation, node: _least(evaluation, node, numbers.smallest),
    "max_of": lambda evaluation, node: _least(evaluation, node, numbers.biggest),
}
"""Functions with arguments of their own kind."""


def _least(evaluation: Evaluation, node: ast.Call, pick: Callable[[Sequence[float]], float]) -> float:
    values = [evaluation.scalar(argument) for argument in node.args]
    return NAN if any(value != value for value in values) else pick(values)


def known_names() -> list[str]:
    """The names of all functions and aggregations that are evaluated here."""
    return [*RANGE_FUNCTIONS, *MATH, *OTHERS, *aggregations.NAMES]
