"""Faults of consensus: slow rounds, failing ones, leaders that change, a liar, another shape of the metric."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meshdiag import catalog
from meshdiag.lab.faults.registry import Expectation, fault
from meshdiag.lab.faults.steering import around, drive, failing_rounds, hasten, log, lose_votes, names_of
from meshdiag.lab.network.links import Link
from meshdiag.lab.signals import Both, Flapping, GrownSince, Steady, Stopped, Toward
from meshdiag.lab.simulation import ROUND_BUCKETS, Family, Series, histogram
from meshdiag.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.lab.signals import Signal
    from meshdiag.lab.simulation import Mesh, Node


SLOW_ROUND_S = 10.0
"""A node whose rounds take longer observes slow ones, as the rule HighConsensusLatency says."""


SLOW_LINK = Link(0.2, 0.02)


@fault("slow-consensus", "One slow link between two nodes (with --netns packets take 200 ms each way): the rounds that"
                         " one of them leads take 12 to 16 s.", hits=2, leads=True)  # fmt: skip
def slow_consensus(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    leader, voter = hit
    mesh.rounds.slow[leader.name] = onset
    mesh.links.both_ways(leader.name, voter.name, SLOW_LINK)
    for node, other in ((leader, voter), (voter, leader)):
        slow = around(13.8 if node is leader else 13.1, node, 0.12)
        drive(node, catalog.ROUND_DURATION, slow, onset)
        _flap(node, other, onset)
    log(
        mesh, voter, "WARN network", 20, onset,
        lambda _t, k: f"link to {leader.name} is slow: {9 + k % 4}.{k % 10} s for a vote",
    )  # fmt: skip
    return [
        Expectation("consensus.round-duration", Verdict.WARN, names_of(hit)),
        Expectation("alerts.warning", Verdict.WARN, names_of(hit), "prometheus"),
        Expectation("peers.connection-duration", Verdict.WARN, names_of(hit)),
        Expectation("consensus.slow-leaders", Verdict.WARN, (leader.name,), "logs"),
        Expectation("links.latency", Verdict.WARN, names_of(hit), "views"),
    ]


def _flap(node: Node, other: Node, onset: float) -> None:
    """Let the connection of ``node`` to ``other`` break every 45 seconds; it is among those it tells of."""
    series = node.family(catalog.CONNECTION_DURATION).series
    label = (("peer", other.name),)
    found = next((one for one in series if one.labels == label), None)
    if found is None:
        found = series[-1]
        found.labels = label
    found.signal = Flapping(found.signal, onset, 45.0)


@fault("consensus-failures", "Four of five consensus rounds fail, on every node.", hits=0)
def consensus_failures(mesh: Mesh, _hit: Sequence[Node], onset: float) -> list[Expectation]:
    mesh.rounds.failing = Toward(mesh.rounds.failing, Steady(0.78), onset, 1)
    for node in mesh.up:
        hasten(node, catalog.FAILED_ROUNDS, 1.56, onset)
        lose_votes(node, 0.52, onset)
    return failing_rounds(names_of(mesh.up))


@fault("leader-churn", "Leaders are elected anew every eight seconds, on every node.", hits=0)
def leader_churn(mesh: Mesh, _hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in mesh.up:
        hasten(node, catalog.LEADER_ELECTIONS, 0.125, onset)
    committee = mesh.rounds.committee
    log(
        mesh, mesh.node(committee[0]), "WARN consensus", 8, onset,
        lambda _t, k: f"leader {committee[k % len(committee)]} lost its lease, term {4_000 + k}",
    )  # fmt: skip
    return [Expectation("consensus.leader-elections", Verdict.FAIL, needs="history")]


@fault("byzantine", "A trainer votes both ways; the nodes that lead rounds flag it as Byzantine.", leads=True)
def byzantine(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    (liar,) = hit
    watchers = [mesh.node(name) for name in mesh.rounds.committee if name != liar.name]
    watchers = [node for node in watchers if not node.is_down]
    for place, node in enumerate(watchers):
        family = node.family(catalog.BYZANTINE)
        family.sole().until = onset
        family.series.append(Series(Steady(1), (("peer", liar.name),), since=onset))
        log(
            mesh, node, "WARN consensus", 60 + place, onset,
            lambda t, _k: f"byzantine behaviour of {liar.name}: two votes in round {mesh.rounds.number_at(t)}",
        )  # fmt: skip
    return [
        Expectation("consensus.byzantine", Verdict.FAIL, (liar.name,)),
        Expectation("logs.byzantine", Verdict.WARN, (liar.name,), "logs"),
    ]


@fault(
    "histogram-shape",
    "Every node exposes consensus_round_duration_seconds as a histogram; the mesh itself is healthy.",
    hits=0,
)
def histogram_shape(mesh: Mesh, _hit: Sequence[Node], onset: float) -> list[Expectation]:
    name, text = catalog.ROUND_DURATION.name, catalog.ROUND_DURATION.help
    for node in mesh.nodes:
        slow = node.value(catalog.ROUND_DURATION, mesh.origin) > SLOW_ROUND_S
        series = _observed(node.family(catalog.ROUNDS).sole().signal, onset if slow else math.inf)
        for one in series:
            one.until = node.down_since
        node.families[name] = Family(name, "histogram", text, series)
    return [Expectation("alerts.blind-rules", Verdict.WARN, needs="prometheus")]


def _observed(rounds: Signal, slow_since: float) -> list[Series]:
    """The histogram of how long these rounds took; the ranges are those of ``Rounds.round``."""
    if slow_since == math.inf:
        return _spread(rounds, 2.0, 3.8)
    series = _spread(Stopped(rounds, slow_since), 2.0, 3.8)
    for one, slow in zip(series, _spread(GrownSince(rounds, slow_since), 12.0, 16.0), strict=True):
        one.signal = Both(one.signal, slow.signal)
    return series


def _spread(rounds: Signal, low: float, high: float) -> list[Series]:
    """The histogram of rounds whose durations are spread evenly from ``low`` to ``high`` seconds."""
    shares = {bound: min(1.0, max(0.0, (bound - low) / (high - low))) for bound in ROUND_BUCKETS}
    return list(histogram(rounds, shares, (low + high) / 2))
