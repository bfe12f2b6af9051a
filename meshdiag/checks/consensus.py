"""Consensus: how long rounds take, how many fail, whether votes succeed and leaders hold, who is accused."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace
from shlex import quote
from typing import TYPE_CHECKING

from meshdiag.catalog import (
    BYZANTINE,
    FAILED_ROUNDS,
    LEADER_ELECTIONS,
    ROUND_DURATION,
    ROUNDS,
    VOTE_SUCCESS,
    WINDOW,
    Unit,
)
from meshdiag.checks import Outcome, check
from meshdiag.checks.readings.glimpse import counted, without_chance
from meshdiag.checks.readings.leaders import SLOW_S, judge_leaders, sum_up_rounds
from meshdiag.checks.readings.per_node import (
    EXCERPT_LINES,
    MESH,
    Readings,
    by_instance,
    judge_readings,
    judged_outcome,
    missing_nodes,
    nobody,
    read_nodes,
    to_outcome,
    why_nobody,
)
from meshdiag.metrics import Vector
from meshdiag.model import Evidence, Finding, Threshold, Verdict, at_most

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.roster import Roster


@check(
    "consensus.round-duration",
    title="consensus rounds finish in time",
    needs=["metrics"],
    runbook="slow-consensus",
    hint="'meshdiag consensus --slow' tells a slow leader from a slow link and a busy machine",
    threshold=ROUND_DURATION.threshold,
    unit=Unit.SECONDS,
)
async def round_duration(inputs: Inputs) -> Outcome:
    """How long rounds take on each node: the gauge, or the 95th percentile where there is a histogram."""
    return await judged_outcome(inputs, ROUND_DURATION, good="rounds finish in time", bad="rounds are slow")


@check(
    "consensus.failed-rounds",
    title="hardly any consensus round fails",
    needs=["metrics"],
    runbook="consensus-failure",
    hint="see whether one node or all of them fail, and read the log of the leader of the failed rounds",
    threshold=FAILED_ROUNDS.threshold,
    unit=Unit.PER_SECOND,
)
async def failed_rounds(inputs: Inputs) -> Outcome:
    """Failed rounds a second on each node, as the rule ConsensusFailure is written."""
    readings = await read_nodes(inputs, FAILED_ROUNDS)
    findings = judge_readings(
        readings, inputs.threshold, Unit.PER_SECOND, good="hardly any round fails", bad="rounds fail"
    )
    if not inputs.metrics.history:
        findings = without_chance(findings, await counted(inputs, FAILED_ROUNDS))
    return to_outcome(readings, findings)


@check(
    "consensus.failed-share",
    title="nearly all consensus rounds succeed",
    needs=["metrics"],
    runbook="consensus-failure",
    hint="see whether one node or all of them fail, and read the log of the leader of the failed rounds",
    threshold=Threshold(warn=at_most(0.05), fail=at_most(0.10)),
    unit=Unit.RATIO,
)
async def failed_share(inputs: Inputs) -> Outcome:
    """Failed rounds over all rounds of each node: what the rule ConsensusFailure says in words, "10 %"."""
    job = inputs.context.job
    failed, total = FAILED_ROUNDS.per_instance(job), ROUNDS.per_instance(job)
    roster, failures, rounds = await asyncio.gather(
        inputs.living(), inputs.metrics.instant(failed, inputs.at), inputs.metrics.instant(total, inputs.at)
    )
    evidence = inputs.metrics.evidence(f"{failed} / {total}", inputs.at)
    totals, failures_of = by_instance(rounds, roster), by_instance(failures, roster)
    if roster.up and not (totals and failures_of):
        lacking = FAILED_ROUNDS if totals else ROUNDS
        readings = nobody(await why_nobody(inputs, lacking), roster, lacking, evidence)
        return replace(to_outcome(readings, readings.missing), summary=_no_share(lacking.name))
    findings = judge_shares(roster, failures_of, totals, inputs.threshold)
    if not inputs.metrics.history:
        findings = without_chance(
            findings, *await asyncio.gather(counted(inputs, FAILED_ROUNDS), counted(inputs, ROUNDS))
        )
    readings = _empty(roster, evidence)
    return to_outcome(readings, (*findings, *missing_nodes(totals, roster, ROUNDS)))


def _no_share(lacking: str) -> str:
    return (
        f"not looked at: nobody exposes {lacking}, so the share is not known; the rule ConsensusFailure, "
        'which speaks of "10%", goes by failures a second (consensus.failed-rounds)'
    )


def _empty(roster: Roster, evidence: Evidence) -> Readings:
    return Readings({}, roster, (), evidence)


def judge_shares(
    roster: Roster, failed: Mapping[str, float], totals: Mapping[str, float], threshold: Threshold
) -> tuple[Finding, ...]:
    """A finding for each node with a total: the share of its rounds in the window that failed."""
    findings = []
    for instance, total in totals.items():
        node = roster.nodes.get(instance)
        about = (node.scraped if node else None, roster.label(instance))
        if instance not in failed:
            message = f"the node does not expose {FAILED_ROUNDS.name}, which is optional"
            findings.append(Finding(instance, Verdict.SKIP, message, None, None, None, *about))
        elif not total > 0:
            message = "no round was begun within the window, so no share failed"
            findings.append(Finding(instance, Verdict.SKIP, message, None, None, None, *about))
        else:
            share = failed[instance] / total
            verdict = threshold.judge(share)
            message = "nearly all rounds succeed" if verdict is Verdict.PASS else "too many rounds fail"
            findings.append(Finding(instance, verdict, message, share, Unit.RATIO, threshold, *about))
    return tuple(findings)


@check(
    "consensus.vote-success",
    title="votes succeed",
    needs=["metrics"],
    runbook="consensus-failure",
    hint="see whether the nodes with failing votes share a link, a version or an accused peer",
    threshold=VOTE_SUCCESS.threshold,
    unit=Unit.RATIO,
)
async def vote_success(inputs: Inputs) -> Outcome:
    """The share of votes that succeed on each node."""
    readings = await read_nodes(inputs, VOTE_SUCCESS)
    return to_outcome(readings, judge_votes(readings, inputs.threshold))


def judge_votes(readings: Readings, threshold: Threshold) -> tuple[Finding, ...]:
    """A finding for each node; what cannot be a share (a percentage, say) is UNKNOWN, not excellent."""
    judged = judge_readings(readings, threshold, Unit.RATIO, good="votes succeed", bad="too few votes succeed")
    return tuple(
        replace(one, verdict=Verdict.UNKNOWN, message="the value is not a share between 0 and 1", unit=None)
        if one.value is not None and not (one.value != one.value or 0 <= one.value <= 1)
        else one
        for one in judged
    )


@check(
    "consensus.leader-elections",
    title="the leader holds",
    needs=["metrics"],
    runbook="leader-churn",
    hint="see who loses the lead each time (consensus.log) and whether that node pauses, or its link does",
    threshold=Threshold(warn=at_most(3), fail=at_most(10)),
    unit=Unit.COUNT,
    history=True,
)
async def leader_elections(inputs: Inputs) -> Outcome:
    """Elections within the last five minutes. Every node counts the same ones, so the largest count stands."""
    query = LEADER_ELECTIONS.increase(inputs.context.job, WINDOW)
    readings = await read_nodes(inputs, LEADER_ELECTIONS, query)
    return to_outcome(readings, (*judge_elections(readings, inputs.threshold), *readings.missing))


def judge_elections(readings: Readings, threshold: Threshold) -> tuple[Finding, ...]:
    """One finding about the mesh: the most elections that any node has seen."""
    if not readings.values:
        return ()
    seen_by, most = max(readings.values.items(), key=lambda pair: pair[1])
    verdict = threshold.judge(most)
    node = readings.roster.nodes.get(seen_by)
    message = "the leader holds" if verdict is Verdict.PASS else "leaders change too often (elections within 5 minutes)"
    return (Finding(MESH, verdict, message, most, Unit.COUNT, threshold, node.scraped if node else None),)


@check(
    "consensus.byzantine",
    title="no node is taken for Byzantine",
    needs=["metrics"],
    runbook="byzantine-node",
    hint="isolate the accused node, keep its log and state, and compare its votes with the others'",
    threshold=BYZANTINE.threshold,
    unit=Unit.COUNT,
)
async def byzantine(inputs: Inputs) -> Outcome:
    """Who is accused, and by whom; the reporting node where the accused is not named."""
    selector = BYZANTINE.selector(inputs.context.job)
    query = f"max by (instance, peer) ({selector} > 0)"
    readings = await read_nodes(inputs, BYZANTINE)
    accusing = Vector(())
    if any(value > 0 for value in readings.values.values()):
        accusing = await inputs.metrics.instant(query, inputs.at)
    findings = judge_accusations(readings, accusations(accusing, readings.roster), inputs.threshold)
    said = [f"{one.labels.get('instance', '')} {one.labels.get('peer', '')} {one.value:g}" for one in accusing.samples]
    who = inputs.metrics.evidence(query, inputs.at, "\n".join(said[:EXCERPT_LINES]))
    return replace(to_outcome(readings, findings), evidence=(who, readings.evidence))


def accusations(vector: Vector, roster: Roster) -> dict[str, set[str]]:
    """Who accuses whom: accused (instance where it is known, else as named) to reporting instances; the empty
    name stands for an accused that is not named."""
    up = {node.instance for node in roster.up}
    found: dict[str, set[str]] = defaultdict(set)
    for sample in vector.samples:
        reporter, peer = sample.labels.get("instance", ""), sample.labels.get("peer", "")
        if sample.value > 0 and (reporter in up or reporter not in roster.nodes):
            accused = roster.find(peer) if peer else None
            found[accused.instance if accused else peer].add(reporter)
    return dict(found)


def judge_accusations(readings: Readings, accused: Mapping[str, set[str]], threshold: Threshold) -> tuple[Finding, ...]:
    """A finding for each accused node, then for each that reports: it fails only where it names nobody."""
    roster = readings.roster
    named = {who: by for who, by in accused.items() if who}
    found = [_accused(who, by, roster, threshold) for who, by in sorted(named.items())]
    naming = {reporter for by in named.values() for reporter in by} - accused.get("", set())
    judged = judge_readings(
        readings,
        threshold,
        Unit.COUNT,
        good="no node is accused",
        bad="the node takes others for Byzantine, without naming them",
    )
    for one in judged:
        if one.subject in named:
            continue
        if one.subject in naming and one.verdict in (Verdict.WARN, Verdict.FAIL):
            one = replace(one, verdict=Verdict.PASS, message="the node accuses another, and is not accused itself")
        found.append(one)
    return tuple(found)


@check(
    "consensus.slow-leaders",
    title="no single leader stands behind the slow rounds",
    needs=["meshlog"],
    runbook="slow-consensus",
    hint="look at that node first: its load (capacity.*), its clock and its links (peers.latency)",
    threshold=Threshold(warn=at_most(0.5)),
    unit=Unit.RATIO,
)
async def slow_leaders(inputs: Inputs) -> Outcome:
    """Who leads the rounds that the log calls slow: the share of them led by each leader."""
    log = await inputs.meshlog.rounds(inputs.moment - inputs.window)
    if log.problem is not None:
        verdict = Verdict.SKIP if log.absent else Verdict.UNKNOWN
        message = f"not looked at: {log.problem}" if log.absent else log.problem
        return Outcome((Finding(MESH, verdict, message),), message, verdict=verdict)
    rounds = [one for one in log.rounds if one.time <= inputs.moment]
    if inputs.at is not None and not rounds:
        message = "not looked at: the log holds no round of that time (any more)"
        return Outcome((Finding(MESH, Verdict.SKIP, message),), message, verdict=Verdict.SKIP)
    slow_s = float(inputs.options.get("slow_s", SLOW_S))
    command = f"jq -cR 'fromjson? | .consensus | select(.duration_s? > {slow_s:g})' {quote(json_first(log.files))}"
    return Outcome(
        judge_leaders(rounds, slow_s, inputs.threshold),
        sum_up_rounds(rounds, slow_s),
        (Evidence("log files", command),),
    )


def json_first(files: Sequence[str]) -> str:
    """The file that jq can read, where there is one."""
    return next((path for path in files if path.endswith((".json", ".ndjson", ".jsonl"))), files[0] if files else "")


def _accused(who: str, by: set[str], roster: Roster, threshold: Threshold) -> Finding:
    node = roster.nodes.get(who)
    names = sorted(roster.shown(reporter) for reporter in by)
    said = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return Finding(
        who,
        threshold.judge(len(by)),
        f"the node is taken for Byzantine by {said}",
        float(len(by)),
        Unit.COUNT,
        threshold,
        node.scraped if node else None,
        roster.label(who) or {"peer": who},
    )
