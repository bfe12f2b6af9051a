"""Faults of certificates: what a node's metric says of its own, and what its peer port serves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meshdiag import catalog
from meshdiag.lab.faults.registry import Expectation, fault
from meshdiag.lab.faults.steering import drive, names_of
from meshdiag.lab.signals import Line
from meshdiag.lab.simulation import DAY_S
from meshdiag.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.lab.simulation import Mesh, Node


@fault("cert-expiring", "A trainer's certificate expires in four days.")
def cert_expiring(mesh: Mesh, hit: Sequence[Node], _onset: float) -> list[Expectation]:
    for node in hit:
        _certify(mesh, node, 4.2)
    return [
        Expectation("security.certificates", Verdict.FAIL, names_of(hit)),
        Expectation("certs.expiry", Verdict.FAIL, names_of(hit), "wire"),
    ]


@fault("cert-expired", "A trainer's certificate expired two days ago, and it serves it still.")
def cert_expired(mesh: Mesh, hit: Sequence[Node], _onset: float) -> list[Expectation]:
    for node in hit:
        _certify(mesh, node, -2.3)
    return [
        Expectation("security.certificates", Verdict.FAIL, names_of(hit)),
        Expectation("certs.expiry", Verdict.FAIL, names_of(hit), "wire"),
    ]


@fault("cert-wrong-host", "A trainer serves the certificate of a host that is gone: it names no address of its own.")
def cert_wrong_host(mesh: Mesh, hit: Sequence[Node], _onset: float) -> list[Expectation]:
    for node in hit:
        node.served_host = "retired-node.mesh.example"
    return [Expectation("certs.host", Verdict.FAIL, names_of(hit), "wire")]


@fault(
    "cert-not-reloaded",
    "A trainer's certificate was renewed and not reloaded: its metric says 41 days, its peer port serves 3.",
)
def cert_not_reloaded(mesh: Mesh, hit: Sequence[Node], _onset: float) -> list[Expectation]:
    for node in hit:
        _certify(mesh, node, 41.0, served_days=3.0)
    return [
        Expectation("certs.metric-truth", Verdict.FAIL, names_of(hit), "wire"),
        Expectation("certs.expiry", Verdict.FAIL, names_of(hit), "wire"),
    ]


def _certify(mesh: Mesh, node: Node, told_days: float, served_days: float | None = None) -> None:
    """Let a node tell of a certificate with so many days left when the lab begins, and serve it, or another one."""
    drive(node, catalog.CERT_EXPIRY, Line(told_days, mesh.origin, -1 / DAY_S), -math.inf)
    node.served_days = served_days
