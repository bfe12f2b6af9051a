"""Faults of capacity: memory and disk that run out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meshdiag import catalog
from meshdiag.catalog import Role
from meshdiag.lab.faults.registry import Expectation, fault
from meshdiag.lab.faults.steering import around, drive, names_of
from meshdiag.lab.signals import Line, Steady
from meshdiag.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.lab.simulation import Mesh, Node


@fault("high-memory", "A trainer uses 94 % of its memory.")
def high_memory(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        full = around(0.94 * node.value(catalog.MEMORY_TOTAL, onset), node, 0.004)
        drive(node, catalog.MEMORY, full, onset)
    return [
        Expectation("capacity.memory", Verdict.FAIL, names_of(hit)),
        Expectation("alerts.critical", Verdict.FAIL, names_of(hit), "prometheus"),
        Expectation("capacity.memory-trend", Verdict.WARN, names_of(hit), "history", certain=False),
    ]


@fault("memory-leak", "A trainer's memory grows steadily: below the alert's threshold still, full within hours.")
def memory_leak(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    length_s = min(max(mesh.history_s, 3_600.0), 6 * 3_600.0)
    for node in hit:
        total = node.value(catalog.MEMORY_TOTAL, onset)
        grown = Line(0.76 * total, mesh.origin, 0.32 * total / length_s, 0.44 * total, 0.985 * total)
        drive(node, catalog.MEMORY, grown, -math.inf)
    full_in_s = length_s * 0.24 / 0.32
    verdict = Verdict.FAIL if full_in_s < 4 * 3_600 else Verdict.WARN
    return [Expectation("capacity.memory-trend", verdict, names_of(hit), "history")]


@fault("disk-full", "An aggregator's disk is 98.5 % full.", among=(Role.AGGREGATOR,))
def disk_full(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        full = Steady(0.985 * node.value(catalog.DISK_TOTAL, onset))
        drive(node, catalog.DISK, full, onset)
    return [Expectation("capacity.disk", Verdict.FAIL, names_of(hit))]
