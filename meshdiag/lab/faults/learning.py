"""Faults of learning: a model that got worse, training that stands still, a privacy budget that is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag import catalog
from meshdiag.lab.faults.registry import Expectation, fault
from meshdiag.lab.faults.steering import around, drive, names_of
from meshdiag.lab.signals import Line, Stopped
from meshdiag.lab.simulation import DAY_S
from meshdiag.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.lab.simulation import Mesh, Node


@fault("accuracy-drop", "A trainer's model accuracy has fallen to 0.71.")
def accuracy_drop(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        low = around(0.71, node)
        drive(node, catalog.ACCURACY, low, onset, 60)
    return [
        Expectation("learning.accuracy", Verdict.WARN, names_of(hit)),
        Expectation("learning.accuracy-spread", Verdict.WARN, names_of(hit)),
        Expectation("learning.accuracy-drop", Verdict.FAIL, names_of(hit), "history"),
        Expectation("alerts.warning", Verdict.WARN, names_of(hit), "prometheus"),
    ]


@fault("training-stalled", "A trainer has finished no training round for 25 minutes.")
def training_stalled(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        node.change(catalog.TRAINING_ROUNDS, lambda healthy: Stopped(healthy, onset))
        for stream in mesh.streams:
            if stream.node == node.name and stream.component == "learning":
                stream.until = onset
    return [Expectation("learning.training-progress", Verdict.FAIL, names_of(hit), "history")]


@fault("privacy-exhausted", "A trainer has used up 99.6 % of its privacy budget.")
def privacy_exhausted(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        spent = Line(0.996, mesh.origin, 0.004 / DAY_S, 0, 1)
        drive(node, catalog.PRIVACY_BUDGET, spent, onset)
    return [
        Expectation("learning.privacy-budget", Verdict.FAIL, names_of(hit)),
        Expectation("learning.privacy-pace", Verdict.FAIL, names_of(hit), "history"),
    ]
