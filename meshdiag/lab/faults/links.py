"""Faults of links between nodes: in a network of the lab's own (``--netns``) packets really are late or lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshdiag import catalog
from meshdiag.lab.faults.registry import Expectation, fault
from meshdiag.lab.faults.steering import around, drive, failing_rounds, few_peers, hasten, lose_votes, names_of
from meshdiag.lab.network.links import CUT, OBSERVER, Link
from meshdiag.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.lab.simulation import Mesh, Node


FAR_S = 0.06
"""How long a packet takes to a node that is far from everybody: twice that there and back is more than 0.1 s."""


@fault("slow-peer", "A trainer is far from everybody: with --netns each packet to and from it takes 60 ms; without,"
                    " its peer port answers a TLS handshake so much later.")  # fmt: skip
def slow_peer(mesh: Mesh, hit: Sequence[Node], _onset: float) -> list[Expectation]:
    for node in hit:
        node.answers_late_s = 2 * FAR_S
        for other in (OBSERVER, *(one.name for one in mesh.nodes if one is not node)):
            mesh.links.both_ways(node.name, other, Link(FAR_S, 0.004))
    return [
        Expectation("peers.latency", Verdict.WARN, names_of(hit), "netns"),
        Expectation("links.latency", Verdict.WARN, names_of(hit), "views"),
    ]


@fault("lossy-peer", "With --netns one packet in four to and from a trainer is lost; without, nothing shows.")
def lossy_peer(mesh: Mesh, hit: Sequence[Node], _onset: float) -> list[Expectation]:
    for node in hit:
        for other in (OBSERVER, *(one.name for one in mesh.nodes if one is not node)):
            mesh.links.both_ways(node.name, other, replace(mesh.link(node.name, other), loses_one_in=4))
    return [
        Expectation("peers.loss", Verdict.FAIL, names_of(hit), "netns"),
        *(
            Expectation(f"peers.{what}", Verdict.WARN, names_of(hit), "netns", certain=False)
            for what in ("latency", "jitter")
        ),
        Expectation("links.loss", Verdict.WARN, names_of(hit), "views"),
        *(  # a link whose every packet of one look is lost seems broken, or slower one way than the other
            Expectation(f"links.{what}", Verdict.WARN, names_of(hit), "views", certain=False)
            for what in ("reachability", "symmetry", "latency")
        ),
    ]


@fault("partition", "Two nodes are cut off from the rest of the mesh and see only each other.", hits=2, adjacent=True)
def partition(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        mesh.rounds.out[node.name] = onset
        for peer in node.peers:
            if peer not in names_of(hit):
                mesh.cut(node, mesh.node(peer), onset)
        for other in mesh.nodes:
            if other.name not in names_of(hit):
                mesh.links.both_ways(node.name, other.name, CUT)
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
        Expectation("links.reachability", Verdict.FAIL, cut_off, "views"),
    ]
