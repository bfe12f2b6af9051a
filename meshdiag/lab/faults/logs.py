"""Faults that only the logs tell of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.lab.faults.registry import Expectation, fault
from meshdiag.lab.faults.steering import log, names_of
from meshdiag.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.lab.simulation import Mesh, Node


@fault("error-burst", "A trainer logs two errors a second: it cannot write its checkpoints.")
def error_burst(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        log(
            mesh, node, "ERROR storage", 0.5, onset,
            lambda _t, k: f"checkpoint {k} not written: disk i/o timeout after 30 s",
        )  # fmt: skip
    return [Expectation("logs.errors", Verdict.FAIL, names_of(hit), "logs")]
