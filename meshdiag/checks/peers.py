"""Peers: how many, how much they say to each other, how long their connections last, how far they are."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from math import isnan
from typing import TYPE_CHECKING

from meshdiag.catalog import BANDWIDTH, CONNECTION_DURATION, MESSAGES, PEER_COUNT, WINDOW, Unit
from meshdiag.checks import check
from meshdiag.checks.readings.fleet import judge_idle
from meshdiag.checks.readings.per_node import (
    judge_readings,
    judged_outcome,
    read_nodes,
    readings_of,
    to_outcome,
)
from meshdiag.model import Finding, Threshold, Verdict, at_least, at_most

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshdiag.checks import Outcome
    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.per_node import Readings
    from meshdiag.checks.readings.roster import Roster

AGO = "1h"
"""What the message rate is held against."""
YOUNG_S = 60.0
FAR_BELOW = 0.1
"""A connection is young below this share of the fleet's median, and below ``YOUNG_S``."""


@check(
    "peers.count",
    title="every node has peers enough",
    needs=["metrics"],
    runbook="low-peer-count",
    hint="see whether it reaches the bootstrap node and its peers' ports (meshdiag peers tries them)",
    threshold=PEER_COUNT.threshold,
    unit=Unit.COUNT,
)
async def count(inputs: Inputs) -> Outcome:
    """Peers connected to each node."""
    return await judged_outcome(inputs, PEER_COUNT, good="the node has peers enough", bad="the node has too few peers")


@check(
    "peers.messages",
    title="messages flow as they did an hour ago",
    needs=["metrics"],
    runbook="network-latency",
    hint="see when the rate fell (meshdiag query mesh_messages_per_second --range 2h --plot) and what changed then",
    threshold=Threshold(warn=at_least(0.5), fail=at_least(0.1)),
    unit=Unit.RATIO,
)
async def messages(inputs: Inputs) -> Outcome:
    """The message rate of each node over its own an hour ago; without history only whether there are any."""
    job = inputs.context.job
    before_query = f"max by (instance) ({MESSAGES.selector(job)} offset {AGO})"
    if not inputs.metrics.history:
        readings = await read_nodes(inputs, MESSAGES)
        return to_outcome(readings, judge_messages(readings, {}, inputs.threshold))
    readings, before = await asyncio.gather(
        read_nodes(inputs, MESSAGES), inputs.metrics.instant(before_query, inputs.at)
    )
    findings = judge_messages(readings, before.by("instance"), inputs.threshold)
    outcome = to_outcome(readings, findings)
    return replace(outcome, evidence=(*outcome.evidence, inputs.metrics.evidence(before_query, inputs.at)))


def judge_messages(readings: Readings, before: Mapping[str, float], threshold: Threshold) -> tuple[Finding, ...]:
    """A finding for each node: its rate now over the rate ``before``, or the bare rate where there is no before."""
    anyone = any(value > 0 for value in readings.values.values())
    found = []
    for instance, now in readings.values.items():
        then = before.get(instance, 0.0)
        node = readings.roster.nodes.get(instance)
        about = (node.scraped if node else None, readings.roster.label(instance))
        if isnan(now):
            message = "the value is NaN, not a number: nothing was observed"
            found.append(Finding(instance, Verdict.UNKNOWN, message, now, Unit.PER_SECOND, None, *about))
        elif now <= 0:
            verdict = Verdict.FAIL if anyone or then > 0 else Verdict.WARN
            message = "the node exchanges no messages though it is up"
            found.append(Finding(instance, verdict, message, now, Unit.PER_SECOND, None, *about))
        elif not then > 0:
            message = "messages flow; there is no rate of an hour ago to compare"
            found.append(Finding(instance, Verdict.PASS, message, now, Unit.PER_SECOND, None, *about))
        else:
            verdict = threshold.judge(now / then)
            message = "messages flow" if verdict is Verdict.PASS else "far fewer messages than an hour ago"
            found.append(Finding(instance, verdict, message, now / then, Unit.RATIO, threshold, *about))
    return (*found, *readings.missing)


@check(
    "peers.connection-duration",
    title="peer connections last",
    needs=["metrics"],
    runbook="network-latency",
    hint="look for that peer in the node's log: a connection that is always young is being made over and over",
)
async def connection_duration(inputs: Inputs) -> Outcome:
    """The shortest-lived connection of each node against the fleet's median: finds the link that flaps."""
    shortest, youngest, usual = connection_queries(inputs.context.job)
    roster, vector = await asyncio.gather(inputs.roster(), inputs.metrics.instant(shortest, inputs.at))
    readings = await readings_of(inputs, CONNECTION_DURATION, vector, roster)
    if readings.empty is None:
        readings = replace(readings, evidence=inputs.metrics.evidence(shortest, inputs.at))
    threshold, peers = inputs.threshold, {}
    if threshold == Threshold():
        threshold = Threshold(warn=at_least(YOUNG_S))
    if any(threshold.judge(value) is not Verdict.PASS for value in readings.values.values()):
        # What is usual, and who is at the other end, matters only then: both take the server all connections again.
        middle, ends = await asyncio.gather(
            inputs.metrics.instant(usual, inputs.at), inputs.metrics.instant(youngest, inputs.at)
        )
        peers = {sample.labels.get("instance", ""): sample.labels.get("peer", "") for sample in ends.samples}
        if inputs.threshold == Threshold():
            threshold = young_below(middle.samples[0].value) if middle.samples else Threshold()
    return to_outcome(readings, judge_links(readings, peers, threshold))


def connection_queries(job: str) -> tuple[str, str, str]:
    """The shortest connection of each instance (by quantiles where the metric is a histogram), the same with its
    other labels, and the median of all connections."""
    gauge = CONNECTION_DURATION.selector(job)
    rate = f"rate({CONNECTION_DURATION.selector(job, '_bucket')}[{WINDOW}])"
    return (
        f"min by (instance) ({gauge}) or histogram_quantile(0.05, sum by (instance, le) ({rate}))",
        f"bottomk by (instance) (1, {gauge})",
        f"quantile(0.5, {gauge}) or histogram_quantile(0.5, sum by (le) ({rate}))",
    )


def young_below(usual: float) -> Threshold:
    """The threshold for a connection in a fleet whose median is ``usual`` seconds."""
    return Threshold(warn=at_least(min(YOUNG_S, FAR_BELOW * usual))) if usual > 0 else Threshold()


def judge_links(readings: Readings, peers: Mapping[str, str], threshold: Threshold) -> tuple[Finding, ...]:
    """A finding for each node about its youngest connection; names the peer at the other end where it is known."""
    judged = judge_readings(
        readings,
        threshold,
        Unit.SECONDS,
        good="connections last",
        bad="a connection is far younger than is usual here: the link may flap",
        quiet="not looked at: no connection has ended lately",
    )
    return tuple(
        _with_peer(one, peers.get(one.subject, ""), readings.roster)
        if one.verdict in (Verdict.WARN, Verdict.FAIL)
        else one
        for one in judged
    )


def _with_peer(finding: Finding, peer: str, roster: Roster) -> Finding:
    if not peer:
        return finding
    other = roster.find(peer)
    shown = other.shown if other else peer
    message = f"the connection to {shown} is far younger than is usual here: the link may flap"
    return replace(finding, message=message, labels={**finding.labels, "peer": shown})


@check(
    "peers.bandwidth",
    title="every node uses its links",
    needs=["metrics"],
    runbook="network-latency",
    hint="look at the node's connections (ss -tnp): it has links, and nothing goes over them",
)
async def bandwidth(inputs: Inputs) -> Outcome:
    """Bandwidth between peers; only standing still while the others do not is a fault by default."""
    readings = await read_nodes(inputs, BANDWIDTH)
    findings = judge_idle(
        readings,
        inputs.threshold,
        Unit.BYTES_PER_SECOND,
        good="data moves between peers",
        idle="the node exchanges no data with its peers while others do",
        bad="bandwidth is outside the range that is set",
    )
    return to_outcome(readings, findings)


@check(
    "peers.latency",
    title="every peer answers quickly from here",
    needs=["metrics", "probe"],
    runbook="network-latency",
    hint="try the same from the slow node's machine: from here only one end of each link is seen",
    threshold=Threshold(warn=at_most(0.1), fail=at_most(0.5)),
    unit=Unit.SECONDS,
)
async def latency(inputs: Inputs) -> Outcome:
    """How far each node's peer port is from this machine, and whether it answers, by a few plain TCP connects;
    ``meshdiag peers`` probes by ICMP, TLS or HTTP, too. The options ``median_times`` and ``median_floor_s`` say when a
    peer stands out from the fleet."""
    from meshdiag.checks.readings.probing import judge_roster  # only here: health does without

    return await judge_roster(inputs, latency.id)


@check(
    "peers.loss",
    title="no probe of a peer is lost",
    needs=["metrics", "probe"],
    runbook="network-latency",
    hint="look at the counters of drops on the way (ip -s link, ss -tin); --method tcp tells whether only ICMP is lost",
    threshold=Threshold(warn=at_most(0.01), fail=at_most(0.2)),
    unit=Unit.RATIO,
)
async def loss(inputs: Inputs) -> Outcome:
    """The share of probes that a peer does not answer."""
    from meshdiag.checks.readings.probing import judge_roster

    return await judge_roster(inputs, loss.id)


@check(
    "peers.jitter",
    title="peers answer evenly",
    needs=["metrics", "probe"],
    runbook="network-latency",
    hint="look for what shares the link or the machine: queues and load make one answer late and the next not",
    threshold=Threshold(warn=at_most(0.03), fail=at_most(0.1)),
    unit=Unit.SECONDS,
)
async def jitter(inputs: Inputs) -> Outcome:
    """How much the time of one answer differs from the next, on average. Options as of ``peers.latency``."""
    from meshdiag.checks.readings.probing import judge_roster

    return await judge_roster(inputs, jitter.id)
