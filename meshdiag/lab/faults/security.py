"""Faults of security: authentications that fail, an attack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag import catalog
from meshdiag.catalog import Role
from meshdiag.lab.faults.registry import Expectation, fault
from meshdiag.lab.faults.steering import hasten, log, names_of
from meshdiag.lab.signals import Faster
from meshdiag.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.lab.simulation import Mesh, Node


@fault("auth-storm", "Eight authentications a second fail on an aggregator.", among=(Role.AGGREGATOR,))
def auth_storm(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        hasten(node, catalog.AUTH_FAILURES, 8.0, onset)
        log(
            mesh, node, "WARN security", 2.0, onset,
            lambda _t, k: f"authentication failed for 203.0.113.{k % 200}: bad token",
        )  # fmt: skip
    return [Expectation("security.auth-failures", Verdict.FAIL, names_of(hit))]


@fault("attack", "A bootstrap node detects a Sybil attack.", among=(Role.BOOTSTRAP,))
def attack(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        for series in node.family(catalog.ATTACKS).series:
            if ("type", "sybil") in series.labels:
                series.signal = Faster(series.signal, 0.6, onset)
        log(
            mesh, node, "WARN security", 5.0, onset,
            lambda _t, k: f"sybil attack suspected from 203.0.113.{k % 30}",
        )  # fmt: skip
    return [Expectation("security.attacks", Verdict.FAIL, names_of(hit))]
