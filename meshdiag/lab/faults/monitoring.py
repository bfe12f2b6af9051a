"""Faults of the monitoring itself, in the real servers that a lab runs: the mesh is well, and nobody can see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.lab.faults.registry import Expectation, fault
from meshdiag.lab.simulation import Watching
from meshdiag.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.lab.simulation import Mesh, Node

BOTH = "prometheus and alertmanager"


@fault(
    "prometheus-stale",
    "Prometheus has read no node for 25 minutes: its file of targets is gone, and it says that it is well.",
    hits=0,
)
def prometheus_stale(mesh: Mesh, _hit: Sequence[Node], _onset: float) -> list[Expectation]:
    mesh.watching.add(Watching.BLIND)
    return [
        Expectation("alerts.blind-rules", Verdict.WARN, needs="prometheus"),
        Expectation("stack.scrape-truth", Verdict.UNKNOWN, needs="prometheus"),
        # In its first half minute it may merely not have looked yet.
        Expectation("prometheus.targets", Verdict.UNKNOWN, needs="prometheus", certain=False),
    ]


@fault(
    "alertmanager-unreachable",
    "Nothing listens where Prometheus and the configuration look for Alertmanager: alerts reach nobody.",
    hits=0,
)
def alertmanager_unreachable(mesh: Mesh, _hit: Sequence[Node], _onset: float) -> list[Expectation]:
    mesh.watching.add(Watching.NO_ALERTMANAGER)
    blind = ("configuration", "notifications", "delivery", "silences")
    return [
        Expectation("stack.alertmanager", Verdict.FAIL, needs=BOTH),
        *(Expectation(f"alertmanager.{one}", Verdict.UNKNOWN, needs=BOTH) for one in blind),
    ]


@fault("rules-failing", "A recording rule joins two series to one, so that each evaluation of its group fails.", hits=0)
def rules_failing(mesh: Mesh, _hit: Sequence[Node], _onset: float) -> list[Expectation]:
    mesh.watching.add(Watching.BROKEN_RULE)
    return [Expectation("prometheus.rules", Verdict.FAIL, needs="prometheus")]


@fault(
    "grafana-datasource-broken",
    "Grafana's datasource names a port where nobody listens: dashboards load, and every panel is empty.",
    hits=0,
)
def grafana_datasource_broken(mesh: Mesh, _hit: Sequence[Node], _onset: float) -> list[Expectation]:
    mesh.watching.add(Watching.BROKEN_DATASOURCE)
    return [Expectation("grafana.datasources", Verdict.FAIL, needs="grafana")]
