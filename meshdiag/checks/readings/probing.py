"""The peers of the roster probed beside other checks, and what a check says of judged probes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshdiag.checks import Outcome
from meshdiag.checks.readings.per_node import DOWN, sum_up
from meshdiag.checks.readings.probe_words import evidence, next_step
from meshdiag.checks.readings.probed import judge
from meshdiag.model import Finding, Verdict
from meshdiag.sources.probing.answers import Method, Plan, Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.roster import Node, Roster
    from meshdiag.sources.probing.answers import Probed

FEW = Plan((Method.TCP,), count=3, interval_s=0.0)
"""How the peer ports are tried beside other checks; ``meshdiag peers`` takes its time."""


async def judge_roster(inputs: Inputs, id_: str) -> Outcome:
    """The answer from a few connects to the peer port of every node that is up."""
    if inputs.at is not None:
        reason = "a probe shows the present, not the moment that was asked about"
        return Outcome(verdict=Verdict.SKIP, summary=f"not looked at: {reason}")
    roster = await inputs.living()
    probed = await probe_roster(inputs, roster)
    judged = judge(id_, list(probed.values()), inputs.threshold, inputs.options, fleet=True)
    outcome = probes_outcome(list(probed.values()), judged, roster, FEW, inputs.now)
    found = dict(zip(probed, outcome.findings, strict=True))
    findings = tuple(found.get(node.instance) or _not_probed(node, roster) for node in roster.nodes.values())
    skipped = all(finding.verdict is Verdict.SKIP for finding in findings)
    return replace(
        outcome,
        findings=findings,
        summary=sum_up(findings, roster),
        verdict=Verdict.SKIP if skipped and findings and roster.up else None,
    )


async def probe_roster(inputs: Inputs, roster: Roster) -> Mapping[str, Probed]:
    """Connects to the peer ports of all nodes that are up, by instance, made once a run."""
    targets = [Target(node.peer, node.name, node.role, node.instance) for node in roster.up if node.peer]
    if not targets:
        return {}
    probes = await inputs.memo.once("peer-probes", lambda: inputs.probe.probe(targets, FEW))
    return {probed.target.instance: probed for probed in probes}


def _not_probed(node: Node, roster: Roster) -> Finding:
    message = "not looked at: the peer address is not known" if node.up else DOWN
    return Finding(node.instance, Verdict.SKIP, message, labels=roster.label(node.instance))


def probes_outcome(
    probes: Sequence[Probed], findings: Sequence[Finding], roster: Roster, plan: Plan, seen: datetime
) -> Outcome:
    """What a check says of judged probes: a finding each, the commands, and the next step that fits the trouble."""
    told = tuple(one if one.value is None else replace(one, observed=seen) for one in findings)
    return Outcome(
        told,
        sum_up(told, roster),
        evidence(probes, told, plan.count, plan.interval_s),
        verdict=Verdict.SKIP if told and all(one.verdict is Verdict.SKIP for one in told) else None,
        hint=next_step(probes, told),
    )
