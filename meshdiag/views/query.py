"""One PromQL expression: its answer as a table, and as a verdict where thresholds are given."""

from __future__ import annotations

import asyncio
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from meshdiag.checks import Check, Outcome
from meshdiag.errors import QueryError, SourceError
from meshdiag.metrics import NAME_LABEL, AbsenceKind, Matrix, Vector
from meshdiag.model import Column, Finding, Table, Threshold, Verdict
from meshdiag.units import human

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.metrics import Series
    from meshdiag.model import Evidence, Range

POINTS = 120
"""Points of a range query when no step is asked for."""
FIRST_LABELS = (NAME_LABEL, "node", "instance")
"""The labels that people know a series by, where it has them."""

Value = tuple[Mapping[str, str], float]


@dataclass(frozen=True, slots=True)
class Ask:
    """What ``meshdiag query`` was asked. ``span``: evaluate over it, every ``step``; without, at one moment.
    ``ahead``: the span lies ahead, and the nodes' pages are read at every step of it."""

    promql: str
    span: timedelta | None = None
    step: timedelta | None = None
    warn: Range | None = None
    crit: Range | None = None
    ahead: bool = False

    @property
    def threshold(self) -> Threshold:
        """What ``--warn`` and ``--crit`` say."""
        return Threshold(self.warn, self.crit)

    @property
    def every(self) -> timedelta:
        """The step over the span."""
        return self.step or max(timedelta(seconds=2 if self.ahead else 1), (self.span or timedelta()) / POINTS)


class Query:
    """One expression, fetched once, judged and shown. ``refused`` holds the error when the expression was.
    ``on_look`` is told of each look at the nodes' pages: how many so far, and of how many."""

    def __init__(self, ask: Ask, on_look: Callable[[int, int], None] = lambda _done, _total: None) -> None:
        self.ask = ask
        self.refused: QueryError | None = None
        self.answer: Vector | Matrix | None = None
        self._on_look = on_look
        self._cut = False

    @property
    def check(self) -> Check:
        """The expression as a check, so that it runs like any other: gate, fallback, deadline."""
        return Check("query", "the query answers within its limits", self._judge, ("metrics",), "", "")

    async def table(self, inputs: Inputs) -> Table:
        """The answer's rows. Raises ``SourceError``."""
        answer = await self._fetch(inputs)
        return range_table(answer) if isinstance(answer, Matrix) else instant_table(answer)

    async def _fetch(self, inputs: Inputs) -> Vector | Matrix:
        try:
            self.answer = await inputs.memo.once("query", lambda: self._ask(inputs))
        except asyncio.CancelledError:
            if not self._cut_short(inputs):
                raise
        assert self.answer is not None
        return self.answer

    def _cut_short(self, inputs: Inputs) -> bool:
        """Whether something can be said of what has been seen when a watch is stopped: that is the answer then."""
        if not self.ask.ahead:
            return False
        self._cut = True
        try:
            self.answer = inputs.scrape.seen(self.ask.promql, self.ask.every)
        except SourceError:
            return False
        return True

    async def _ask(self, inputs: Inputs) -> Vector | Matrix:
        ask = self.ask
        try:
            if ask.span is None:
                return await inputs.metrics.evaluate(ask.promql, inputs.at)
            if ask.ahead:
                return await inputs.scrape.watch(ask.promql, ask.span, ask.every, self._on_look)
            return await inputs.metrics.range(ask.promql, inputs.moment - ask.span, inputs.moment, ask.every)
        except QueryError as error:
            self.refused = _explained(error, ask.promql)
            raise

    def _evidence(self, inputs: Inputs) -> Evidence:
        """The command that asks the same again: over the span where there is one."""
        ask, prometheus = self.ask, inputs.sources.prometheus
        if ask.span is None or prometheus is None or inputs.metrics is not prometheus:
            return inputs.metrics.evidence(ask.promql, inputs.at)
        return prometheus.range_evidence(ask.promql, inputs.moment - ask.span, inputs.moment, ask.every)

    @property
    def names(self) -> list[str]:
        """What tells each series of the answer from the others."""
        values = _last_values(self.answer) if self.answer else []
        return [labels.get("node") or name for name, labels, _value in _subjects(values)]

    async def _judge(self, inputs: Inputs) -> Outcome:
        answer = await self._fetch(inputs)
        evidence = (self._evidence(inputs),)
        if isinstance(answer, Vector) and answer.text is not None:
            return Outcome(verdict=Verdict.PASS, summary=f"a string: {answer.text}", evidence=evidence)
        values = _last_values(answer)
        cut = "cut short: " if self._cut else ""
        if not values and cut:
            return Outcome(verdict=Verdict.UNKNOWN, summary=f"{cut}nothing was seen until then", evidence=evidence)
        if not values:
            absence = await inputs.metrics.why_empty(self.ask.promql, inputs.at)
            verdict = Verdict.PASS if absence.kind is AbsenceKind.FILTERED else Verdict.UNKNOWN
            unsure = "" if absence.kind in _SURE else _not_seen(inputs)
            return Outcome(verdict=verdict, summary=absence.message + unsure, evidence=evidence, absent=absence.kind)
        if self.ask.warn is None and self.ask.crit is None:
            summary = f"{cut}{len(values)} series{_not_seen(inputs)}"
            return Outcome(verdict=Verdict.PASS, summary=summary, evidence=evidence)
        findings = judge(values, self.ask.threshold)
        return Outcome(findings, f"{cut}{sum_up(findings)}{_not_seen(inputs)}", evidence)


_SURE = frozenset({AbsenceKind.TARGET_DOWN, AbsenceKind.UNREACHABLE})
"""What says itself that nodes were not seen."""


def _not_seen(inputs: Inputs) -> str:
    """What of the mesh is not in an answer from the nodes' pages; Prometheus knows of all of it."""
    gaps = inputs.scrape.gaps if inputs.metrics is inputs.sources.scrape else ""
    return f" ({gaps})" if gaps else ""


def _explained(refusal: QueryError, promql: str) -> QueryError:
    """A server's refusal with the place in the query and what was expected there, where our parser agrees."""
    from meshdiag.promql.parsing import parse
    from meshdiag.promql.refusals import NotEvaluated

    try:
        parse(promql)
    except NotEvaluated:
        return refusal
    except QueryError as error:
        said = "" if error.message == refusal.message else refusal.message
        return QueryError(error.message, hint=error.hint or said)
    return refusal


def judge(values: Sequence[Value], threshold: Threshold) -> tuple[Finding, ...]:
    """A finding per series: its value held against the thresholds."""
    return tuple(
        Finding(subject, verdict, _MESSAGES[verdict], value, threshold=threshold, labels=labels)
        for subject, labels, value in _subjects(values)
        for verdict in [threshold.judge(value)]
    )


def sum_up(findings: Sequence[Finding]) -> str:
    """One line: how many series are beyond which limit, and one of them; nothing where all are within."""
    worst = max(findings, key=lambda one: one.verdict.severity)
    alike = [one for one in findings if one.verdict is worst.verdict]
    if worst.verdict is Verdict.PASS:
        return f"{len(findings)} series, all within the limits"
    name = worst.labels.get("node") or worst.subject
    if len(findings) == 1:
        return f"{name}: {worst.message} ({human(worst.value or 0.0, None)})" if worst.labels else worst.message
    return f"{len(alike)} of {len(findings)} series {worst.message}: {name}{' and others' if len(alike) > 1 else ''}"


def _subjects(values: Sequence[Value]) -> list[tuple[str, Mapping[str, str], float]]:
    """Each series by the shortest name that tells it from the others: its instance, or the labels that differ."""
    instances = {labels.get("instance") for labels, _value in values}
    if None not in instances and len(instances) == len(values):
        return [(labels["instance"], labels, value) for labels, value in values]
    shared = _shared_labels([labels for labels, _value in values])
    return [
        (series_name({key: text for key, text in labels.items() if key not in shared}), labels, value)
        for labels, value in values
    ]


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
    """A row per series: its varying labels, then the value; what all share stands in the title. A string is a row
    of its own."""
    if answer.text is not None:
        return Table((Column("value", "value"),), ({"series": "", "labels": {}, "value": answer.text},))
    return _table(
        [(sample.labels, {"value": sample.value, "time": _moment(sample.time)}) for sample in answer.samples],
        (Column("value", "value", "number"),),
    )


def range_table(answer: Matrix) -> Table:
    """A row per series: last, least, mean and greatest value and the course of it; all points in the row. The
    courses share a scale where they show the same thing, as series of one name (or of none, such as rates) do."""
    numbers = tuple(Column(key, key, "number") for key in ("min", "mean", "max"))
    alike = len({series.labels.get(NAME_LABEL, "") for series in answer.series}) == 1
    scale = "" if alike else None  # PromQL tells no unit, and it is the same for all of them
    columns = (Column("last", "last", "number"), Column("trend", "trend", "trend", scale), *numbers)
    return _table([(series.labels, _course(series)) for series in answer.series], columns)


def _table(rows: Sequence[tuple[Mapping[str, str], dict[str, Any]]], columns: tuple[Column, ...]) -> Table:
    """The labels that tell the series apart, the values, then the labels that only add to them."""
    all_labels = [labels for labels, _values in rows]
    shared = _shared_labels(all_labels)
    telling = _telling_labels(all_labels, [key for key in _ordered(all_labels) if key not in shared])
    adding = [key for key in _ordered(all_labels) if key not in shared and key not in telling]
    return Table(
        columns=(
            *(Column(f"label_{key}", _title(key)) for key in telling),
            *columns,
            *(Column(f"label_{key}", _title(key)) for key in adding),
        ),
        rows=tuple(
            {"series": series_name(labels), "labels": dict(labels)}
            | {f"label_{key}": labels.get(key, "") for key in (*telling, *adding)}
            | values
            for labels, values in rows
        ),
        title=series_name(shared) if shared else "",
    )


def _title(label: str) -> str:
    return "metric" if label == NAME_LABEL else label


def _ordered(all_labels: Sequence[Mapping[str, str]]) -> list[str]:
    """Every label, those first that people know a series by."""
    known = {key for labels in all_labels for key in labels}
    return [*(key for key in FIRST_LABELS if key in known), *sorted(known.difference(FIRST_LABELS))]


def _telling_labels(all_labels: Sequence[Mapping[str, str]], varying: Sequence[str]) -> list[str]:
    """The first of the varying labels that together name each series once."""
    telling: list[str] = []
    seen = 0
    for key in varying:
        tried = len({tuple(labels.get(one) for one in (*telling, key)) for labels in all_labels})
        if tried > seen:
            telling.append(key)
            seen = tried
        if seen == len(all_labels):
            break
    return telling


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


def _last_values(answer: Vector | Matrix) -> list[Value]:
    if isinstance(answer, Matrix):
        return [(series.labels, series.values[-1]) for series in answer.series if series.values]
    return [(sample.labels, sample.value) for sample in answer.samples]


def _moment(time: float) -> datetime:
    return datetime.fromtimestamp(time, UTC)
