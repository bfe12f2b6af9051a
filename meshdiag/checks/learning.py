"""Federated learning: do rounds finish, is the model good everywhere, how long does the privacy budget last."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from math import inf, isnan
from typing import TYPE_CHECKING

from meshdiag.catalog import ACCURACY, AGGREGATION_TIME, PRIVACY_BUDGET, TRAINING_ROUNDS, Unit
from meshdiag.checks import check
from meshdiag.checks.readings.middle import median_high
from meshdiag.checks.readings.per_node import judge_readings, judged_outcome, read_nodes, to_outcome
from meshdiag.durations import format_duration
from meshdiag.model import Finding, Threshold, Verdict, at_least, at_most

if TYPE_CHECKING:
    from collections.abc import Awaitable, Container, Iterable, Mapping

    from meshdiag.checks import Outcome
    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.per_node import Readings
    from meshdiag.checks.readings.roster import Roster

DAY_S = 86_400
FEWEST_ROUNDS = 3
"""A pace is judged over a span in which the fleet would finish at least so many rounds."""
FEWEST_LEARNERS = 3
"""With fewer there is no telling who of them is the odd one out."""
RECENT_SHARE = 6
"""The recent part of the window, in which a stall shows: a sixth of it, and no less than ``LEAST_RECENT_S``."""
LEAST_RECENT_S = 300.0
LEAST_PACE_S = 3600.0
"""The pace at which the privacy budget is spent is taken over at least so long."""


def lowest(inputs: Inputs) -> str:
    """The accuracy of an instance's worst model, as the mesh's alert rule sees it."""
    return f"min by (instance) ({ACCURACY.selector(inputs.context.job)})"


@check(
    "learning.training-progress",
    title="every learner finishes training rounds at the fleet's pace",
    needs=("metrics",),
    runbook="training-stalled",
    hint="look at the learner's log for a round that never ends: meshdiag health --only 'logs.*' -v on its machine",
    threshold=Threshold(warn=at_least(0.5), fail=at_least(0.1)),
    unit=Unit.RATIO,
    history=True,
)
async def training_progress(inputs: Inputs) -> Outcome:
    """Rounds finished lately, as a share of what the fleet's median pace would have given."""
    job = inputs.context.job
    window_s = inputs.window.total_seconds()
    recent_s = min(window_s, max(window_s / RECENT_SHARE, LEAST_RECENT_S))
    window, recent = span(window_s), span(recent_s)
    selector = TRAINING_ROUNDS.selector(job)
    readings, *answers = await together(
        inputs,
        read_nodes(inputs, TRAINING_ROUNDS, TRAINING_ROUNDS.increase(job, window)),
        TRAINING_ROUNDS.increase(job, recent),
        f"sum by (instance) (increase({selector}[{window}] offset {window}))",
        f"sum by (instance) ({selector} offset {recent})",
    )
    lately, before, known = answers
    shares = pace_shares(readings, lately, before, known, recent_s / window_s)
    findings = judge_readings(
        replace(readings, values=shares),
        inputs.threshold,
        Unit.RATIO,
        good="finishes training rounds at the fleet's pace",
        bad="behind the fleet's pace",
    )
    rare = without(readings, shares, "too few training rounds in the window to tell a stall from a pause")
    findings = (*map(name_stalled, findings), *rare)
    outcome = to_outcome(readings, findings)
    stalled = [finding for finding in findings if finding.value == 0]
    if len(stalled) > 1 and len(stalled) == len(readings.values):
        return replace(outcome, summary=f"no learner has finished a training round in the last {recent}")
    return outcome


async def together(
    inputs: Inputs, reading: Awaitable[Readings], *queries: str
) -> tuple[Readings, *tuple[dict[str, float], ...]]:
    """The readings, and the values by instance of further queries, asked side by side."""
    answers = asyncio.gather(*(inputs.metrics.instant(query, inputs.at) for query in queries))
    readings, vectors = await asyncio.gather(reading, answers)
    return (readings, *(vector.by("instance") for vector in vectors))


def pace_shares(
    readings: Readings,
    lately: Mapping[str, float],
    before: Mapping[str, float],
    known: Container[str],
    part: float,
) -> dict[str, float]:
    """Each learner's rounds as a share of its role's median pace; those of whom nothing can be said are left out.

    ``lately`` are the rounds in the recent ``part`` of the window, ``before`` those of the window before this
    one: a fleet that came to a stop is held against its own past. ``known`` are the learners that were there
    when the recent part began: only of them it can be said that they have been standing still.
    """
    paces = {
        role: max(middle(readings.values, group), middle(before, group))
        for role, group in by_role(readings.roster, readings.values).items()
    }
    shares = {}
    for instance, whole in readings.values.items():
        node = readings.roster.nodes.get(instance)
        pace = paces[node.role if node else ""]
        if isnan(whole):
            continue
        if pace * part >= FEWEST_ROUNDS and instance in lately:
            shares[instance] = max(0.0, lately[instance]) / (pace * part)
        elif pace >= FEWEST_ROUNDS:
            shares[instance] = max(0.0, whole) / pace
        elif whole > 0:
            shares[instance] = 1.0
        elif pace == 0 and instance in known:
            shares[instance] = 0.0
    return shares


def name_stalled(finding: Finding) -> Finding:
    """Standing still is more than being behind."""
    if finding.value == 0 and finding.verdict is not Verdict.PASS:
        return replace(finding, message="no training round finished lately")
    return finding


@check(
    "learning.accuracy",
    title="the model is accurate enough on every learner",
    needs=("metrics",),
    runbook="model-accuracy-drop",
    hint="compare the learners: meshdiag health --only 'learning.*' -vv; one far below the others is the suspect",
    threshold=ACCURACY.threshold,
    unit=Unit.RATIO,
)
async def accuracy(inputs: Inputs) -> Outcome:
    """Model accuracy by learner, held against the threshold of the rule ModelAccuracyDrop."""
    return await judged_outcome(
        inputs, ACCURACY, query=lowest(inputs), good="the model is accurate", bad="the model is not accurate enough"
    )


@check(
    "learning.accuracy-drop",
    title="the model has not become worse over the window",
    needs=("metrics",),
    runbook="model-accuracy-drop",
    hint="plot it to see when it fell: meshdiag query fl_model_accuracy --range 6h --plot",
    threshold=Threshold(warn=at_most(0.05), fail=at_most(0.15)),
    unit=Unit.RATIO,
    history=True,
)
async def accuracy_drop(inputs: Inputs) -> Outcome:
    """How far each learner's accuracy has fallen since the window began; a learner that is younger is skipped."""
    window = span(inputs.window.total_seconds())
    then_query = f"min by (instance) ({ACCURACY.selector(inputs.context.job)} offset {window})"
    readings, then = await asyncio.gather(
        read_nodes(inputs, ACCURACY, lowest(inputs)), inputs.metrics.instant(then_query, inputs.at)
    )
    earlier = then.by("instance")
    drops = {name: max(0.0, earlier[name] - now) for name, now in finite(readings.values) if name in earlier}
    young = without(readings, earlier, f"not looked at: its accuracy of {window} ago is not known")
    judged = replace(readings, values=drops, missing=(*readings.missing, *young))
    findings = judge_readings(
        judged, inputs.threshold, Unit.RATIO, good="the model is as good as it was", bad="the model has become worse"
    )
    outcome = to_outcome(readings, findings)
    return replace(outcome, evidence=(*outcome.evidence, inputs.metrics.evidence(then_query, inputs.at)))


@check(
    "learning.accuracy-spread",
    title="no learner's model is far worse than the rest",
    needs=("metrics",),
    runbook="model-accuracy-drop",
    hint="the learner may hold a stale or a poisoned model: look at its data and log before it takes part again",
    threshold=Threshold(warn=at_most(0.1), fail=at_most(0.3)),
    unit=Unit.RATIO,
)
async def accuracy_spread(inputs: Inputs) -> Outcome:
    """How far each learner's accuracy lies below the fleet's median."""
    readings = await read_nodes(inputs, ACCURACY, lowest(inputs))
    known = dict(finite(readings.values))
    if readings.values and len(known) < FEWEST_LEARNERS:
        reason = f"not looked at: {len(known)} learners are too few to tell the odd one out"
        return replace(to_outcome(readings, ()), verdict=Verdict.SKIP, summary=reason)
    findings = judge_readings(
        replace(readings, values=below_median(known)),
        inputs.threshold,
        Unit.RATIO,
        good="as accurate as the others",
        bad="below the fleet's median",
    )
    return to_outcome(readings, (*findings, *without(readings, known, "")))


def below_median(known: Mapping[str, float]) -> dict[str, float]:
    """How far each value lies below the median of all; 0 for those above it."""
    if not known:
        return {}
    center = median_high(known.values())
    return {instance: max(0.0, center - value) for instance, value in known.items()}


@check(
    "learning.aggregation-time",
    title="aggregating a training round is quick",
    needs=("metrics",),
    runbook="training-stalled",
    hint="see whether the aggregator is short of CPU or memory: meshdiag health --only 'capacity.*' -v",
    threshold=AGGREGATION_TIME.threshold,
    unit=Unit.SECONDS,
)
async def aggregation_time(inputs: Inputs) -> Outcome:
    """How long aggregation takes, by aggregator."""
    return await judged_outcome(
        inputs,
        AGGREGATION_TIME,
        good="aggregation is quick",
        bad="aggregation is slow",
        quiet="not looked at: no aggregation has ended lately",
    )


@check(
    "learning.privacy-budget",
    title="every learner has privacy budget left",
    needs=("metrics",),
    runbook="privacy-budget",
    hint="stop training on this learner before the budget is gone; what is spent cannot be taken back",
    threshold=PRIVACY_BUDGET.threshold,
    unit=Unit.RATIO,
)
async def privacy_budget(inputs: Inputs) -> Outcome:
    """Share of the privacy budget that is used up, by learner."""
    return await judged_outcome(
        inputs, PRIVACY_BUDGET, good="privacy budget is left", bad="the privacy budget is nearly used up"
    )


@check(
    "learning.privacy-pace",
    title="the privacy budget lasts at its present pace",
    needs=("metrics",),
    runbook="privacy-budget",
    hint="train less often or with more noise, or plan for the end of the budget",
    threshold=Threshold(warn=at_least(7), fail=at_least(1)),
    unit=Unit.DAYS,
    history=True,
)
async def privacy_pace(inputs: Inputs) -> Outcome:
    """Days until the privacy budget is used up, at the pace of the window."""
    pace_s = max(inputs.window.total_seconds(), LEAST_PACE_S)
    selector = PRIVACY_BUDGET.selector(inputs.context.job)
    pace_query = f"max by (instance) (deriv({selector}[{span(pace_s)}]))"
    readings, pace = await asyncio.gather(
        read_nodes(inputs, PRIVACY_BUDGET), inputs.metrics.instant(pace_query, inputs.at)
    )
    paces = pace.by("instance")
    days = {name: days_left(used, paces[name]) for name, used in finite(readings.values) if name in paces}
    young = without(readings, paces, "not looked at: too few samples for a pace yet")
    judged = replace(readings, values=days, missing=(*readings.missing, *young))
    findings = judge_readings(
        judged,
        inputs.threshold,
        Unit.DAYS,
        good="the privacy budget lasts",
        bad="the privacy budget will be used up soon",
    )
    outcome = to_outcome(readings, tuple(map(without_infinity, findings)))
    return replace(outcome, evidence=(*outcome.evidence, inputs.metrics.evidence(pace_query, inputs.at)))


def days_left(used: float, per_second: float) -> float:
    """Days until a share reaches 1; infinite where it does not grow, 0 where it has."""
    if used >= 1:
        return 0.0
    return (1 - used) / (per_second * DAY_S) if per_second > 0 else inf


def without_infinity(finding: Finding) -> Finding:
    """Never is no number of days."""
    if finding.value == inf:
        return replace(finding, value=None, message="the privacy budget is not being spent")
    return finding


def span(seconds: float) -> str:
    """A duration as PromQL writes it, in whole seconds."""
    return format_duration(max(1, round(seconds)))


def finite(known: Mapping[str, float]) -> Iterable[tuple[str, float]]:
    """The pairs whose value is a number."""
    return ((instance, value) for instance, value in known.items() if not isnan(value))


def middle(known: Mapping[str, float], group: Iterable[str]) -> float:
    """The median of a group's values, 0 for none; of an even number the higher, so that half a fleet that
    stands still does not slow the measure down."""
    found = [known[instance] for instance in group if instance in known and not isnan(known[instance])]
    return median_high(found) if found else 0.0


def by_role(roster: Roster, known: Iterable[str]) -> dict[str, list[str]]:
    """The instances by role; one that the roster does not know has none."""
    groups: dict[str, list[str]] = {}
    for instance in known:
        node = roster.nodes.get(instance)
        groups.setdefault(node.role if node else "", []).append(instance)
    return groups


def without(readings: Readings, known: Mapping[str, float], young: str) -> tuple[Finding, ...]:
    """A finding for each reading that is no number, and for each that ``known`` lacks, with ``young`` for why."""
    label = readings.roster.label
    return tuple(
        Finding(
            instance, Verdict.UNKNOWN, "the value is NaN, not a number: nothing was observed", labels=label(instance)
        )
        if isnan(value)
        else Finding(instance, Verdict.SKIP, young, labels=label(instance))
        for instance, value in readings.values.items()
        if instance not in known
    )
