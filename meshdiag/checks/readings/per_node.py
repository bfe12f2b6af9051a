"""One value a node: read it, hold it against a threshold, say which nodes are missing and why.

Most checks are of this shape, and the mesh may have a thousand nodes: labels, times and messages are shared
between findings and nothing is formatted for a node that is fine.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from itertools import islice
from math import isnan
from typing import TYPE_CHECKING

from meshdiag.catalog import ALL, Kind
from meshdiag.checks import Outcome
from meshdiag.checks.readings.roster import some_up
from meshdiag.metrics import Absence, AbsenceKind
from meshdiag.model import Finding, Verdict, count_verdicts
from meshdiag.units import beside, human

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.catalog import Metric
    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.roster import Node, Roster
    from meshdiag.metrics import Vector
    from meshdiag.model import Evidence, Threshold

MESH = "mesh"
"""The subject of a finding about the mesh as a whole."""
DOWN = "not looked at: the node is down"
EXCERPT_LINES = 5
LONGER = "two looks at a node's page see only what happens in between: --gap 30s looks longer"


@dataclass(frozen=True, slots=True)
class Readings:
    """A metric's present value by instance, and what is missing.

    ``missing`` holds a finding for each node without a value: SKIP where the node is down or the metric is
    optional, else UNKNOWN. When nobody has the metric, ``empty`` says why, ``missing`` is the one finding about
    the mesh, and ``skipped`` tells that the check as a whole has nothing to look at.
    """

    values: dict[str, float]
    roster: Roster
    missing: tuple[Finding, ...]
    evidence: Evidence
    empty: Absence | None = None
    skipped: bool = False


async def read_nodes(inputs: Inputs, metric: Metric, query: str | None = None) -> Readings:
    """Ask for a metric's value on every node; ``query`` must yield one sample an instance."""
    asked = query or metric.per_instance(inputs.context.job)
    roster, vector = await asyncio.gather(inputs.roster(), inputs.metrics.instant(asked, inputs.at))
    return await readings_of(inputs, metric, vector, roster, query)


async def readings_of(
    inputs: Inputs, metric: Metric, vector: Vector, roster: Roster, query: str | None = None
) -> Readings:
    """The readings in an answer that is there already; asks only why it is empty. Raises ``SourceError`` when no
    node is up."""
    evidence = inputs.metrics.evidence(query or metric.per_instance(inputs.context.job), inputs.at)
    values = by_instance(vector, some_up(roster, inputs.metrics.name))
    if values:
        return Readings(values, roster, missing_nodes(values, roster, metric), evidence)
    absence = await why_nobody(inputs, metric, query)
    return nobody(absence, roster, metric, evidence)


def by_instance(vector: Vector, roster: Roster) -> dict[str, float]:
    """The samples by instance, without those of nodes that are down (they are of the time before)."""
    down = {node.instance for node in roster.down}
    values = {sample.labels.get("instance", ""): sample.value for sample in vector.samples}
    return {instance: value for instance, value in values.items() if instance not in down} if down else values


async def why_nobody(inputs: Inputs, metric: Metric, query: str | None = None) -> Absence:
    """Why no node that is up has a value for this metric."""
    absence = await inputs.metrics.why_empty(query or metric.selector(inputs.context.job), inputs.at)
    if absence.kind is AbsenceKind.FILTERED and metric.kind is Kind.COUNTER:
        few = f"{metric.name} is exposed, but has too few samples for a rate yet"
        return Absence(absence.kind, few, absence.last_seen)
    return absence


def nobody(absence: Absence, roster: Roster, metric: Metric, evidence: Evidence) -> Readings:
    """The readings of a metric that no node exposes: UNKNOWN, or SKIP where nobody has to expose it."""
    if not metric.listed:
        return _skipped(f"not looked at: {absence.message}", absence, roster, evidence)
    if all(node.role for node in roster.up) and not any(node.role in metric.roles for node in roster.nodes.values()):
        roles = " or ".join(sorted(metric.roles))
        return _skipped(
            f"not looked at: the mesh has no {roles} node, which would expose it", absence, roster, evidence
        )
    finding = Finding(MESH, Verdict.UNKNOWN, absence.message, unit=metric.unit, observed=absence.last_seen)
    return Readings({}, roster, (finding,), evidence, absence)


def _skipped(message: str, absence: Absence, roster: Roster, evidence: Evidence) -> Readings:
    return Readings({}, roster, (Finding(MESH, Verdict.SKIP, message),), evidence, absence, skipped=True)


def missing_nodes(values: Mapping[str, float], roster: Roster, metric: Metric) -> tuple[Finding, ...]:
    """A finding for each node of the roster that should have a value and has none."""
    absent = (
        (Verdict.UNKNOWN, f"the node does not expose {metric.name}")
        if metric.listed
        else (Verdict.SKIP, f"the node does not expose {metric.name}, which is optional")
    )
    found = []
    for node in roster.nodes.values():
        if node.instance in values or not should_expose(node, metric):
            continue
        verdict, message = absent if node.up else (Verdict.SKIP, DOWN)
        found.append(
            Finding(node.instance, verdict, message, observed=node.scraped, labels=roster.label(node.instance))
        )
    return tuple(found)


def should_expose(node: Node, metric: Metric) -> bool:
    """Whether a node of this role is expected to have the metric; a node of unknown role has what all have."""
    return metric.roles == ALL or node.role in metric.roles


def judge_readings(
    readings: Readings, threshold: Threshold, unit: str | None, *, good: str, bad: str, quiet: str = ""
) -> tuple[Finding, ...]:
    """A finding for each node: ``good`` or ``bad`` by its value, and those that are ``missing``. A histogram in
    which nothing was observed gives NaN: UNKNOWN, or SKIP with the words ``quiet`` where that is no trouble."""
    label, nodes, judge = readings.roster.label, readings.roster.nodes, threshold.judge
    findings = []
    for instance, value in readings.values.items():
        node = nodes.get(instance)
        verdict = judge(value)
        message = good if verdict is Verdict.PASS else bad
        if verdict is Verdict.UNKNOWN:
            message = "the value is NaN, not a number: nothing was observed"
            verdict, message = (Verdict.SKIP, quiet) if quiet else (verdict, message)
        observed = node.scraped if node is not None else None
        findings.append(Finding(instance, verdict, message, value, unit, threshold, observed, label(instance)))
    findings.extend(readings.missing)
    return tuple(findings)


async def judged_outcome(
    inputs: Inputs,
    metric: Metric,
    *,
    query: str | None = None,
    unit: str | None = None,
    good: str,
    bad: str,
    quiet: str = "",
) -> Outcome:
    """The usual check, whole: read a metric of every node and hold it against the threshold in force."""
    readings = await read_nodes(inputs, metric, query)
    shown_unit = unit or str(metric.unit)
    unseen = not inputs.metrics.history and any(map(isnan, readings.values.values()))
    findings = judge_readings(readings, inputs.threshold, shown_unit, good=good, bad=bad, quiet=quiet)
    return to_outcome(readings, findings, hint=LONGER if unseen else "")


def to_outcome(readings: Readings, findings: Sequence[Finding], *, hint: str = "") -> Outcome:
    """An outcome of these findings with the readings' evidence; skipped where the readings are, or where there are
    values and not one that could be judged."""
    nothing = bool(readings.values) and all(finding.verdict is Verdict.SKIP for finding in findings)
    return Outcome(
        findings=tuple(findings),
        summary=sum_up(findings, readings.roster),
        evidence=(replace(readings.evidence, excerpt=excerpt(findings)),),
        verdict=Verdict.SKIP if readings.skipped or nothing else None,
        hint=hint,
        absent=readings.empty.kind if readings.empty else "",
    )


def sum_up(findings: Sequence[Finding], roster: Roster | None = None) -> str:
    """One line: the worst subject with its value and how many are like it, or the span of values when all is well."""
    if not findings:
        return ""
    counts = count_verdicts(findings)
    verdict = max((one for one, count in counts.items() if count), key=lambda one: one.severity)
    if verdict is Verdict.PASS:
        return _span(findings)
    if verdict is Verdict.SKIP and len(findings) > 1:
        reasons = {finding.message for finding in findings}
        return reasons.pop() if len(reasons) == 1 else "no node could be looked at"
    alike = counts[verdict] - 1
    worst = _farthest([finding for finding in findings if finding.verdict is verdict])
    more = f", and {alike} more" if alike else ""
    if worst.subject == MESH:
        return worst.message + _value(worst) + more
    who = roster.shown(worst.subject) if roster else worst.subject
    return f"{who}: {worst.message}{_value(worst)}{more}"


def _farthest(alike: Sequence[Finding]) -> Finding:
    """The one of several findings that is farthest out of its range."""

    def distance(finding: Finding) -> float:
        value, threshold = finding.value, finding.threshold
        crossed = threshold.crossed(value) if threshold is not None and value is not None else None
        if crossed is None or value is None:
            return 0.0
        return max(value - crossed.high, crossed.low - value)

    return max(alike, key=distance)


def _value(finding: Finding) -> str:
    if finding.value is None or isnan(finding.value):
        return ""
    crossed = finding.threshold.crossed(finding.value) if finding.threshold else None
    return f" ({beside(finding.value, crossed, finding.unit)})"


def _span(findings: Sequence[Finding]) -> str:
    """``0.8 s to 2.1 s on 20 nodes``: what the passing values lie between."""
    unit = next((finding.unit for finding in findings if finding.value is not None), None)
    values = [finding.value for finding in findings if finding.value is not None and finding.unit == unit]
    if not values:
        return ""
    low, high = human(min(values), unit), human(max(values), unit)
    span = low if low == high else f"{low} to {high}"
    return f"{span} on {len(values)} node{'s' if len(values) != 1 else ''}"


def excerpt(findings: Sequence[Finding]) -> str:
    """The values that matter of an answer, worst first, as the source gave them."""
    bad = [finding for finding in findings if finding.verdict not in (Verdict.PASS, Verdict.SKIP)]
    bad = [finding for finding in bad if finding.value is not None] or [f for f in findings if f.value is not None]
    worst_first = sorted({finding.verdict for finding in bad}, key=lambda verdict: -verdict.severity)
    ordered = (finding for verdict in worst_first for finding in bad if finding.verdict is verdict)
    return "\n".join(f"{finding.subject} {finding.value:.10g}" for finding in islice(ordered, EXCERPT_LINES))
