"""The nodes themselves: up, complete by role, not restarting, freshly read, their clocks right."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from meshdiag.catalog import CLOCK, START_TIME, UP, Unit
from meshdiag.checks import Outcome, check
from meshdiag.checks.readings.per_node import (
    DOWN,
    MESH,
    by_instance,
    excerpt,
    judge_readings,
    read_nodes,
    sum_up,
    to_outcome,
)
from meshdiag.errors import SourceError
from meshdiag.metrics import AbsenceKind
from meshdiag.model import Finding, Range, Threshold, Verdict, at_least, at_most
from meshdiag.units import rough

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.roster import Node, Roster
    from meshdiag.metrics import Sample

CLOCK_QUERY = f"{CLOCK.name} - timestamp({CLOCK.name})"
"""How far each clock is ahead. The timestamp is that of the scrape, so the difference holds however old the
sample is; every job counts, as it is node_exporter that usually exposes it."""


@check(
    "nodes.up",
    title="every node is up",
    needs=["metrics"],
    runbook="node-down",
    hint="look at the node's process and its log, then fetch its metrics page by hand",
    threshold=Threshold(fail=at_least(1)),
    unit=Unit.COUNT,
)
async def up(inputs: Inputs) -> Outcome:
    """Every target of the mesh's job, and every configured node, answered its last scrape."""
    roster = await inputs.roster()
    findings = judge_up(roster, inputs.threshold, await down_reasons(inputs, roster))
    down = [finding for finding in findings if finding.verdict is Verdict.FAIL]
    query = UP.selector(inputs.context.job)
    return Outcome(
        findings,
        summary=f"{len(down)} of {len(findings)} nodes down: {_names(down, roster)}"
        if down
        else f"all {len(findings)} nodes are up",
        evidence=(inputs.metrics.evidence(query, inputs.at, excerpt(findings)),),
    )


def judge_up(roster: Roster, threshold: Threshold, reasons: Mapping[str, str]) -> tuple[Finding, ...]:
    """A finding for each node; ``reasons`` says by instance why a scrape failed, where that is known."""
    findings = []
    for node in roster.nodes.values():
        labels = roster.label(node.instance)
        if not node.known:
            message = "the node is configured, but the metrics source has no target for it"
            findings.append(Finding(node.instance, Verdict.FAIL, message, labels=labels))
            continue
        verdict = threshold.judge(float(node.up))
        if verdict is Verdict.PASS:
            message = "the node is up" if node.up else "the node is down, which is allowed here"
        else:
            reason = reasons.get(node.instance, "")
            message = f"the node is down: {reason}" if reason else "the node is down"
        findings.append(
            Finding(node.instance, verdict, message, float(node.up), Unit.COUNT, threshold, node.scraped, labels)
        )
    return tuple(findings)


async def down_reasons(inputs: Inputs, roster: Roster) -> Mapping[str, str]:
    """Why the scrapes of nodes that are down failed, by instance, as far as the source tells."""
    if not any(node.known for node in roster.down):
        return {}
    scrape = inputs.sources.scrape
    if scrape is not None and inputs.metrics.name == scrape.name:
        problems: Mapping[str, str] = scrape.problems
        return problems
    if inputs.sources.prometheus is None or inputs.at is not None:
        return {}
    try:
        targets = await inputs.prometheus.targets()
    except SourceError:
        return {}  # a relative of Prometheus may lack the page; that the node is down is known without it
    return {
        target.instance: target.last_error
        for target in targets.active
        if target.job == inputs.context.job and target.last_error
    }


def _names(findings: Sequence[Finding], roster: Roster, limit: int = 5) -> str:
    names = [roster.shown(finding.subject) for finding in findings]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


@check(
    "nodes.roles",
    title="every role has a node that is up",
    needs=["metrics"],
    runbook="node-down",
    hint="bring a node of that role back first: without bootstrap nobody joins, without aggregator no round ends",
    threshold=Threshold(fail=at_least(1)),
    unit=Unit.COUNT,
)
async def roles(inputs: Inputs) -> Outcome:
    """Bootstrap, trainer, aggregator: whatever roles there are, none is without a node."""
    roster = await inputs.roster()
    findings = judge_roles(roster, inputs.threshold)
    evidence = (inputs.metrics.evidence(UP.selector(inputs.context.job), inputs.at),)
    if not findings:
        label = inputs.context.role_label
        message = f"not looked at: no target carries the label {label!r}, which would tell the roles"
        skipped = Finding(MESH, Verdict.SKIP, message)
        return Outcome((skipped,), message, evidence, Verdict.SKIP)
    bad = [finding.subject for finding in findings if finding.verdict is not Verdict.PASS]
    summary = f"no {_either(bad)} node is up" if bad else _count_roles(findings)
    return Outcome(findings, summary, evidence)


def _either(roles: Sequence[str]) -> str:
    """``aggregator, bootstrap or trainer``."""
    return " or ".join(part for part in (", ".join(roles[:-1]), roles[-1]) if part)


def judge_roles(roster: Roster, threshold: Threshold) -> tuple[Finding, ...]:
    """A finding for each role that any node has: how many of its nodes are up."""
    names = sorted({node.role for node in roster.nodes.values() if node.role})
    findings = []
    for role in names:
        of_role = roster.of_role(role)
        count = sum(node.up for node in of_role)
        oldest = min((node.scraped for node in of_role if node.scraped), default=None)
        verdict = threshold.judge(count)
        message = "the role has nodes that are up" if verdict is Verdict.PASS else "too few nodes of this role are up"
        findings.append(Finding(role, verdict, message, float(count), Unit.COUNT, threshold, oldest, {"role": role}))
    return tuple(findings)


def _count_roles(findings: Sequence[Finding]) -> str:
    return ", ".join(f"{finding.value:g} {finding.subject}" for finding in findings) + " up"


@check(
    "nodes.restarted",
    title="no node has restarted lately",
    needs=["metrics"],
    runbook="node-down",
    hint="look at the end of the log before the restart: out of memory, a crash, or a deployment",
)
async def restarted(inputs: Inputs) -> Outcome:
    """Each node's process is older than the window."""
    readings = await read_nodes(inputs, START_TIME)
    moment = inputs.moment.timestamp()
    ages = {instance: max(0.0, moment - started) for instance, started in readings.values.items()}
    threshold = inputs.threshold
    if threshold == Threshold():
        threshold = Threshold(warn=at_least(inputs.window.total_seconds()))
    findings = judge_readings(
        replace(readings, values=ages),
        threshold,
        Unit.SECONDS,
        good="the process has been running",
        bad="the process has restarted lately",
    )
    bad = [finding for finding in findings if finding.verdict in (Verdict.WARN, Verdict.FAIL)]
    outcome = to_outcome(readings, findings)
    if not bad:
        return outcome
    latest = min(bad, key=lambda finding: finding.value or 0.0)
    who = _names([latest, *(one for one in bad if one is not latest)], readings.roster)
    return replace(outcome, summary=f"restarted: {who}; the last {rough(latest.value or 0.0)} ago")


@check(
    "nodes.scrape-age",
    title="every node was read lately",
    needs=["metrics"],
    runbook="monitoring-stack",
    hint="every other answer about these nodes is as old as this: look at the scrape interval and at Prometheus' load",
    threshold=Threshold(warn=at_most(60), fail=at_most(300)),
    unit=Unit.SECONDS,
)
async def scrape_age(inputs: Inputs) -> Outcome:
    """The last scrape of each node is recent, so that the other answers are about now."""
    roster = await inputs.living()
    findings = judge_ages(roster, inputs.threshold, inputs.moment)
    query = f"timestamp({UP.selector(inputs.context.job)})"
    return Outcome(findings, sum_up(findings, roster), (inputs.metrics.evidence(query, inputs.at, excerpt(findings)),))


def judge_ages(roster: Roster, threshold: Threshold, moment: datetime) -> tuple[Finding, ...]:
    """A finding for each node: how long before ``moment`` it was read."""
    return tuple(_judge_age(node, roster, threshold, moment) for node in roster.nodes.values())


def _judge_age(node: Node, roster: Roster, threshold: Threshold, moment: datetime) -> Finding:
    labels = roster.label(node.instance)
    if not node.up:
        return Finding(node.instance, Verdict.SKIP, DOWN, observed=node.scraped, labels=labels)
    if node.scraped is None:
        message = "the metrics source does not tell when the node was read"
        return Finding(node.instance, Verdict.UNKNOWN, message, labels=labels)
    age = max(0.0, (moment - node.scraped).total_seconds())
    verdict = threshold.judge(age)
    message = "the node was read lately" if verdict is Verdict.PASS else "the last scrape is old: values may be stale"
    return Finding(node.instance, verdict, message, age, Unit.SECONDS, threshold, node.scraped, labels)


@check(
    "nodes.clock",
    title="every clock agrees with the monitoring's",
    needs=["metrics"],
    runbook="slow-consensus",
    hint="look at the time service of that machine (chronyc tracking, timedatectl): votes and certificates need it",
    threshold=Threshold(warn=Range(-5, 5), fail=Range(-30, 30)),
    unit=Unit.SECONDS,
)
async def clock(inputs: Inputs) -> Outcome:
    """Each machine's clock, as node_exporter or the node itself exposes it, against the time of its scrape."""
    roster, vector = await asyncio.gather(inputs.living(), inputs.metrics.instant(CLOCK_QUERY, inputs.at))
    evidence = inputs.metrics.evidence(CLOCK_QUERY, inputs.at)
    if not vector.samples:
        absence = await inputs.metrics.why_empty(CLOCK.name, inputs.at)
        lost = absence.kind not in (AbsenceKind.NEVER_SEEN, AbsenceKind.OTHER_LABELS)
        verdict = Verdict.UNKNOWN if lost else Verdict.SKIP
        message = absence.message if lost else f"not looked at: {absence.message}"
        return Outcome((Finding(MESH, verdict, message),), message, (evidence,), verdict, absent=absence.kind)
    present = by_instance(vector, roster)
    samples = [sample for sample in vector.samples if sample.labels.get("instance", "") in present]
    findings = judge_clocks(samples, roster, inputs.threshold)
    summary = all_one_way(findings) or sum_up(findings, roster)
    return Outcome(findings, summary, (replace(evidence, excerpt=excerpt(findings)),))


def judge_clocks(samples: Sequence[Sample], roster: Roster, threshold: Threshold) -> tuple[Finding, ...]:
    """A finding for each clock; ``samples`` hold seconds ahead (below zero: behind)."""
    findings = []
    for sample in samples:
        instance = sample.labels.get("instance", "")
        node = roster.nodes.get(instance)
        verdict = threshold.judge(sample.value)
        message = "the clock is right"
        if verdict is not Verdict.PASS:
            message = "the clock is ahead" if sample.value > 0 else "the clock is behind"
        labels = roster.label(instance) if node else {"job": sample.labels.get("job", "")}
        observed = node.scraped if node else None
        findings.append(Finding(instance, verdict, message, sample.value, Unit.SECONDS, threshold, observed, labels))
    return tuple(findings)


def all_one_way(findings: Sequence[Finding]) -> str:
    """The sentence for clocks that are all wrong by about the same: then it is the monitoring's clock."""
    offsets = [finding.value for finding in findings if finding.value is not None]
    wrong = all(finding.verdict in (Verdict.WARN, Verdict.FAIL) for finding in findings)
    if len(offsets) < 2 or not wrong or max(offsets) - min(offsets) > 0.2 * max(map(abs, offsets)):
        return ""
    way = "ahead" if offsets[0] > 0 else "behind"
    return f"all {len(offsets)} clocks are {way} by the same: more likely it is the clock that scrapes them"
