"""One PromQL expression: its answer as a table, and as a verdict where thresholds are given."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from meshdiag.checks import Check, Outcome
from meshdiag.errors import QueryError
from meshdiag.metrics import NAME_LABEL, AbsenceKind, Matrix, Vector
from meshdiag.model import Column, Finding, Table, Threshold, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.metrics import Series
    from meshdiag.model import Range

POINTS = 120
"""Points of a range query when no step is asked for."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What ``meshdiag query`` was asked. ``span``: evaluate over it, every ``step``; without, at one moment."""

    promql: str
    span: timedelta | None = None
    step: timedelta | None = None
    warn: Range | None = None
    crit: Range | None = None

    @property
    def threshold(self) -> Threshold:
        """What ``--warn`` and ``--crit`` say."""
        return Threshold(self.warn, self.crit)


class Query:
    """One expression, fetched once, judged and shown. ``refused`` holds the error when the expression was."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.refused: QueryError | None = None
        self.answer: Vector | Matrix | None = None

    @property
    def check(self) -> Check:
        """The expression as a check, so that it runs like any other: gate, fallback, deadline."""
        return Check("query", "The query answers within its limits", self._judge, ("metrics",), "", "")

    async def table(self, inputs: Inputs) -> Table:
        """The answer's rows. Raises ``SourceError``."""
        answer = await self._fetch(inputs)
        return range_table(answer) if isinstance(answer, Matrix) else instant_table(answer)

    async def _fetch(self, inputs: Inputs) -> Vector | Matrix:
        self.answer = await inputs.memo.once("query", lambda: self._ask(inputs))
        return self.answer

    async def _ask(self, inputs: Inputs) -> Vector | Matrix:
        ask = self.ask
        try:
            if ask.span is None:
                return await inputs.metrics.evaluate(ask.promql, inputs.at)
            step = ask.step or max(timedelta(seconds=1), ask.span / POINTS)
            return await inputs.metrics.range(ask.promql, inputs.moment - ask.span, inputs.moment, step)
        except QueryError as error:
            self.refused = error
            raise

    async def _judge(self, inputs: Inputs) -> Outcome:
        answer = await self._fetch(inputs)
        evidence = (inputs.metrics.evidence(self.ask.promql, inputs.at),)
        if isinstance(answer, Vector) and answer.text is not None:
            return Outcome(verdict=Verdict.PASS, summary=f"a string: {answer.text}", evidence=evidence)
        values = _last_values(answer)
        if not values:
            absence = await inputs.metrics.why_empty(self.ask.promql, inputs.at)
            verdict = Verdict.PASS if absence.kind is AbsenceKind.FILTERED else Verdict.UNKNOWN
            return Outcome(verdict=verdict, summary=absence.message, evidence=evidence)
        if self.ask.warn is None and self.ask.crit is None:
            return Outcome(verdict=Verdict.PASS, summary=f"{len(values)} series", evidence=evidence)
        return Outcome(findings=judge(values, self.ask.threshold), evidence=evidence)


def judge(values: Sequence[tuple[Mapping[str, str], float]], threshold: Threshold) -> tuple[Finding, ...]:
    """A finding per series: its value held against the thresholds."""
    return tuple(
        Finding(series_name(labels), verdict, _MESSAGES[verdict], value, threshold=threshold)
        for labels, value in values
        for verdict in [threshold.judge(value)]
    )


_MESSAGES = {
    Verdict.PASS: "within its limits",
    Verdict.WARN: "beyond the warning limit",
    Verdict.FAIL: "beyond the critical limit",
    Verdict.UNKNOWN: "not a number",
}


def series_name(labels: Mapping[str, str]) -> str:
    """A series as PromQL writes it: ``up{instance="a",job="b"}``, labels in order."""
    name = labels.get(NAME_LABEL, "")
    inner = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()) if key != NAME_LABEL)
    return f"{name}{{{inner}}}" if inner or not name else name


def instant_table(answer: Vector) -> Table:
    """A row per series: its varying labels, then the value; what all share stands in the title."""
    return _table(
        [(sample.labels, {"value": sample.value, "time": _moment(sample.time)}) for sample in answer.samples],
        (Column("value", "value", "number"),),
    )


def range_table(answer: Matrix) -> Table:
    """A row per series: last, least, mean and greatest value and the course of it; all points in the row."""
    numbers = tuple(Column(key, key, "number") for key in ("last", "min", "mean", "max"))
    return _table(
        [(series.labels, _course(series)) for series in answer.series], (*numbers, Column("trend", "trend", "trend"))
    )


def _table(rows: Sequence[tuple[Mapping[str, str], dict[str, Any]]], columns: tuple[Column, ...]) -> Table:
    shared = _shared_labels([labels for labels, _values in rows])
    varying = sorted({key for labels, _values in rows for key in labels if key not in shared})
    return Table(
        columns=(*(Column(f"label_{key}", key) for key in varying), *columns),
        rows=tuple(
            {"series": series_name(labels), "labels": dict(labels)}
            | {f"label_{key}": labels.get(key, "") for key in varying}
            | values
            for labels, values in rows
        ),
        title=series_name(shared) if shared else "",
    )


def _shared_labels(all_labels: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The labels that every series has with the same value."""
    if len(all_labels) < 2:
        return {}
    first, *others = all_labels
    return {key: value for key, value in first.items() if all(labels.get(key) == value for labels in others)}


def _course(series: Series) -> dict[str, Any]:
    numbers = [value for value in series.values if math.isfinite(value)]
    return {
        "last": series.values[-1] if series.values else None,
        "min": min(numbers, default=None),
        "mean": statistics.fmean(numbers) if numbers else None,
        "max": max(numbers, default=None),
        "trend": tuple(series.values),
        "times": tuple(series.times),
    }


def _last_values(answer: Vector | Matrix) -> list[tuple[Mapping[str, str], float]]:
    if isinstance(answer, Matrix):
        return [(series.labels, series.values[-1]) for series in answer.series if series.values]
    return [(sample.labels, sample.value) for sample in answer.samples]


def _moment(time: float) -> datetime:
    return datetime.fromtimestamp(time, UTC)
