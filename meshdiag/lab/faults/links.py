"""Faults of links between nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag import catalog
from meshdiag.lab.faults.registry import Expectation, fault
from meshdiag.lab.faults.steering import around, drive, failing_rounds, few_peers, hasten, lose_votes, names_of
from meshdiag.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.lab.simulation import Mesh, Node


@fault("partition", "Two nodes are cut off from the rest of the mesh and see only each other.", hits=2, adjacent=True)
def partition(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        mesh.rounds.out[node.name] = onset
        for peer in node.peers:
            if peer not in names_of(hit):
                mesh.cut(node, mesh.node(peer), onset)
        left = max(0.15, node.value(catalog.PEER_COUNT, mesh.origin) / len(node.peers))
        for metric in (catalog.MESSAGES, catalog.BANDWIDTH):
            level = around(left * node.value(metric, onset), node, 0.05)
            drive(node, metric, level, onset)
        lose_votes(node, 0.31, onset)
        hasten(node, catalog.FAILED_ROUNDS, 1.9, onset)
    cut_off = names_of(hit)
    return [
        *few_peers(mesh, critical=hit),
        Expectation("peers.messages", Verdict.WARN, cut_off, "history", certain=False),
        Expectation("peers.bandwidth", Verdict.WARN, cut_off, "history", certain=False),
        *failing_rounds(cut_off),
    ]
