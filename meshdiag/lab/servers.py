"""The real servers of a lab, as Debian packages them: Prometheus, Alertmanager, node_exporter."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag.errors import UsageError
from meshdiag.lab import SERVERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshdiag.lab import LabOptions
    from meshdiag.lab.guard import Guard
    from meshdiag.lab.nodes import ServedNode
    from meshdiag.lab.simulation import Mesh


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a lab runs: the names it goes by on the PATH, and the Debian package that has it."""

    names: tuple[str, ...]
    package: str


PROGRAMS = {
    "prometheus": (Program(("prometheus",), "prometheus"), Program(("promtool",), "prometheus")),
    "alertmanager": (Program(("prometheus-alertmanager", "alertmanager"), "prometheus-alertmanager"),),
    "node-exporter": (Program(("prometheus-node-exporter", "node_exporter"), "prometheus-node-exporter"),),
}


@dataclass(frozen=True, slots=True)
class Started:
    """Where the servers of a lab listen; None for those that were not asked for."""

    prometheus_url: str | None = None
    alertmanager_url: str | None = None
    node_exporter_url: str | None = None


def check_servers(names: Iterable[str]) -> None:
    """Raise ``UsageError`` for a server that the lab does not know or whose program is not installed."""
    for name in names:
        if name not in PROGRAMS:
            raise UsageError(f"the lab has no server called {name!r}", hint=f"it has {', '.join(SERVERS)}")
        for program in PROGRAMS[name]:
            find_program(program)


def find_program(program: Program) -> str:
    """The path of a program. Raises ``UsageError`` naming the Debian package."""
    # Debian keeps servers in /usr/sbin too, which is not on everybody's PATH.
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
    for name in program.names:
        if found := shutil.which(name, path=path):
            return found
    raise UsageError(f"{program.names[0]} is not on the PATH", hint=f"on Debian it is in the package {program.package}")


async def start_servers(options: LabOptions, mesh: Mesh, nodes: Sequence[ServedNode], guard: Guard) -> Started:
    """Start the servers that the options name and wait until they are ready."""
    return Started()
