"""A ``promql`` step as a check: the values of its expression held against the range that is fine, now or for a time."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from meshdiag.checks import Check, Outcome
from meshdiag.durations import format_duration
from meshdiag.model import Finding, Threshold, Verdict
from meshdiag.views.query import judge, sum_up

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshdiag.checks.inputs import Inputs
    from meshdiag.metrics import Series
    from meshdiag.runbook.steps import Step

POINTS = 60
"""Looks at a time that something has to have lasted."""


def check_of(step: Step, id_: str) -> Check:
    """The step as a check, so that it runs like any other: gate, fallback, deadline."""
    return Check(
        id_,
        f"{' '.join(step.expression.split())} within {step.expect}",
        partial(_judge, step),
        ("metrics",),
        "",
        "",
        Threshold(fail=step.expect),
        history=step.lasting is not None,
    )


async def _judge(step: Step, inputs: Inputs) -> Outcome:
    """Raises ``SourceError``. An empty answer fits no range: it is UNKNOWN, with the reason."""
    evidence = (inputs.metrics.evidence(step.expression, inputs.at),)
    findings = await (_now(step, inputs) if step.lasting is None else _lasting(step, step.lasting, inputs))
    if findings is None:
        absence = await inputs.metrics.why_empty(step.expression, inputs.at)
        return Outcome(verdict=Verdict.UNKNOWN, summary=absence.message, evidence=evidence, absent=absence.kind)
    return Outcome(findings, f"{sum_up(findings)}; expected {step.expect}", evidence)


async def _now(step: Step, inputs: Inputs) -> tuple[Finding, ...] | None:
    answer = await inputs.metrics.instant(step.expression, inputs.at)
    values: list[tuple[Mapping[str, str], float]] = [(one.labels, one.value) for one in answer.samples]
    return judge(values, Threshold(fail=step.expect)) or None


async def _lasting(step: Step, lasting: timedelta, inputs: Inputs) -> tuple[Finding, ...] | None:
    every = max(timedelta(seconds=1), lasting / POINTS)
    answer = await inputs.metrics.range(step.expression, inputs.moment - lasting, inputs.moment, every)
    wanted = int(lasting / every)
    found = [one for one in answer.series if len(one.values)]
    threshold = Threshold(fail=step.expect)
    judged = judge([(one.labels, _worst(one, threshold)) for one in found], threshold)
    return (
        tuple(_long_enough(one, len(series.values), wanted, lasting) for one, series in zip(judged, found, strict=True))
        or None
    )


def _worst(series: Series, threshold: Threshold) -> float:
    """The last value that is not fine; the last of all where each is."""
    bad = [value for value in series.values if threshold.judge(value) is not Verdict.PASS]
    return float((bad or list(series.values))[-1])


def _long_enough(finding: Finding, seen: int, wanted: int, lasting: timedelta) -> Finding:
    """A series that has not been there all the time is fine only as far as it was seen."""
    if finding.verdict is not Verdict.PASS or seen >= wanted:
        return finding
    span = format_duration(lasting.total_seconds())
    message = f"within its limits, but seen at {seen} of {wanted + 1} moments of {span}"
    return Finding(
        finding.subject, Verdict.UNKNOWN, message, finding.value, threshold=finding.threshold, labels=finding.labels
    )
