"""What a fault is, the list of them, and putting them into a mesh.

Which nodes are hit follows from the seed; several faults choose different nodes as long as there are enough.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag.catalog import Role
from meshdiag.errors import UsageError
from meshdiag.lab.signals import mix
from meshdiag.lab.simulation import LABELLED_PEERS
from meshdiag.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from meshdiag.lab.simulation import Mesh, Node
    from meshdiag.verdict import Verdict


BEGAN_AGO_S = 25 * 60.0
"""Faults begin so long before the lab does: longer than any alert rule of the mesh waits (15 minutes)."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a check should say: its verdict, on which nodes (names; none means the mesh as a whole).

    ``needs`` is what the check must be able to ask for it: ``metrics``, ``prometheus``, ``history`` (Prometheus
    with a past), ``prometheus and alertmanager``, ``grafana``, ``logs``, ``wire`` (a look at the nodes' peer ports),
    ``netns`` (a network of the lab's own) or ``views`` (the same, seen by the nodes' own exporters). An expectation
    that is not ``certain`` may be said and need not.
    """

    check: str
    verdict: Verdict
    nodes: tuple[str, ...] = ()
    needs: str = "metrics"
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``hits`` is how many nodes it hits (none: the whole mesh), ``among`` the roles it picks from,
    ``leads`` whether they must be nodes that lead rounds, ``adjacent`` whether they must be neighbours."""

    name: str
    description: str
    change: Callable[[Mesh, Sequence[Node], float], list[Expectation]]
    hits: int = 1
    among: frozenset[Role] = frozenset({Role.TRAINER})
    leads: bool = False
    adjacent: bool = False


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault that was put into a mesh: the nodes it hit, and what should be said."""

    fault: Fault
    nodes: tuple[str, ...]
    expects: tuple[Expectation, ...]


FAULTS: dict[str, Fault] = {}


def fault(
    name: str,
    description: str,
    *,
    hits: int = 1,
    among: Iterable[Role] = (Role.TRAINER,),
    leads: bool = False,
    adjacent: bool = False,
) -> Callable[[Callable[[Mesh, Sequence[Node], float], list[Expectation]]], Fault]:
    """Mark a function as a fault; see ``Fault`` for the fields."""

    def mark(change: Callable[[Mesh, Sequence[Node], float], list[Expectation]]) -> Fault:
        made = Fault(name, description, change, hits, frozenset(among), leads, adjacent)
        FAULTS[name] = made
        return made

    return mark


def find_fault(name: str) -> Fault:
    """The fault of that name. Raises ``UsageError`` with the nearest names."""
    if name in FAULTS:
        return FAULTS[name]
    hint = did_you_mean(name, FAULTS, "'meshdiag lab faults' lists them", most=3, cutoff=0.5)
    raise UsageError(f"no fault is called {name!r}", hint=hint)


def inject(mesh: Mesh, names: Iterable[str]) -> list[Injected]:
    """Put faults into a freshly built mesh, in the order of ``FAULTS`` whatever the order of ``names``."""
    wanted = {find_fault(name).name for name in names}
    taken: set[str] = set()
    injected = []
    for one in FAULTS.values():
        if one.name in wanted:
            hit = _pick(mesh, one, taken)
            taken.update(node.name for node in hit)
            expects = one.change(mesh, hit, mesh.origin - BEGAN_AGO_S)
            injected.append(Injected(one, tuple(node.name for node in hit or mesh.nodes), tuple(expects)))
    return injected


def _pick(mesh: Mesh, fault_: Fault, taken: set[str]) -> list[Node]:
    """The nodes that a fault hits: settled by the seed and its name, nodes without a fault first."""
    draw = zlib.crc32(fault_.name.encode())
    fits = [
        node
        for node in mesh.up
        if node.role in fault_.among and (not fault_.leads or node.name in mesh.rounds.committee)
    ]
    fits.sort(key=lambda node: (node.name in taken, mix(mesh.seed, draw, node.index)))
    if fault_.adjacent:
        near = fits[0].peers[:LABELLED_PEERS]
        fits[1:] = sorted(fits[1:], key=lambda node: node.name not in near)
    return fits[: fault_.hits]
