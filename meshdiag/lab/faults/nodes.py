"""Faults of nodes: one that died, a wrong clock, a metric that is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag import catalog
from meshdiag.lab.faults.registry import Expectation, fault
from meshdiag.lab.faults.steering import drive, few_peers, names_of
from meshdiag.lab.signals import Line
from meshdiag.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.lab.simulation import Mesh, Node


SKEW_S = 120.0


@fault("node-down", "A trainer has died: its ports refuse connections.")
def node_down(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        node.down_since = onset
        mesh.rounds.out[node.name] = onset
        for peer in node.peers:
            mesh.cut(node, mesh.node(peer), onset)
        for family in node.families.values():
            for series in family.series:
                series.until = onset
    down = names_of(hit)
    return [
        Expectation("nodes.up", Verdict.FAIL, down),
        Expectation("alerts.critical", Verdict.FAIL, down, "prometheus"),
        *few_peers(mesh),
    ]


@fault("clock-skew", "A trainer's clock is two minutes ahead: on its page, in its Date header and in its log lines.")
def clock_skew(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        node.clock_ahead_s, node.clock_wrong_since = SKEW_S, onset
        drive(node, catalog.CLOCK, Line(SKEW_S, 0, 1), onset, 1)
    return [Expectation("nodes.clock", Verdict.FAIL, names_of(hit))]


@fault("metric-missing", "A trainer no longer exposes consensus_vote_success_rate.")
def metric_missing(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        for series in node.family(catalog.VOTE_SUCCESS).series:
            series.until = onset
    return [Expectation("consensus.vote-success", Verdict.UNKNOWN, names_of(hit))]
