"""The machines of a lab's network: one for each node and one for COMMAND, on one wire."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag.catalog import Role
from meshdiag.errors import MeshdiagError, UsageError
from meshdiag.lab.network import namespaces, wire
from meshdiag.lab.network.links import OBSERVER
from meshdiag.lab.network.namespaces import make
from meshdiag.lab.nodes import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshdiag.lab.guard import Guard
    from meshdiag.lab.network.namespaces import Namespace
    from meshdiag.lab.simulation import Mesh, Node

MOST_MACHINES = 99
"""Of nodes; each has a namespace and a device, and one process carries the packets of all."""
STOP_S = 5.0
METRICS_PORTS = {Role.BOOTSTRAP: 9090, Role.TRAINER: 9091, Role.AGGREGATOR: 9092}
PEER_PORT = 4001
_GROUPS = {Role.BOOTSTRAP: 1, Role.TRAINER: 2, Role.AGGREGATOR: 3}


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine: its name and the namespace that is its network, which holds its addresses."""

    name: str
    namespace: Namespace

    @property
    def address(self) -> str:
        """Its IPv4 address."""
        return self.namespace.addresses[0]


class Network:
    """The machines and the process that carries packets between them. ``close`` ends both."""

    def __init__(self, mesh: Mesh, guard: Guard) -> None:
        self.machines: dict[str, Machine] = {}
        try:
            for name, address, address6 in _addresses(mesh):
                self.machines[name] = Machine(name, make(address, address6))
                guard.keep_empty(self.machines[name].namespace.name)
            self._process = self._connect(mesh)
        except OSError as error:
            self._release()
            raise UsageError(f"the lab's network cannot be made: {error.strerror}", hint=NEEDS) from error
        guard.tell_of(self._process.pid)

    @property
    def observer(self) -> Machine:
        """The machine that COMMAND and the servers run on."""
        return self.machines[OBSERVER]

    def site(self, node: Node) -> Site:
        """Where a node listens: on its own machine, at the ports of the mesh's documentation."""
        namespace = self.machines[node.name].namespace
        return Site(namespace.addresses, METRICS_PORTS[node.role], PEER_PORT, namespace)

    def ready(self) -> None:
        """Wait until packets are carried. Raises ``MeshdiagError`` when they never will be."""
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise MeshdiagError("the process that carries the lab's packets does not start")

    def entering(self, name: str) -> tuple[str, ...]:
        """The beginning of a command line that runs what follows it on a machine, from a shell outside the lab."""
        own = f"/proc/{os.getpid()}"
        network = f"--net={own}/fd/{self.machines[name].namespace.descriptor}"
        if namespaces.in_own_world():
            return ("nsenter", "--preserve-credentials", f"--user={own}/ns/user", network)
        return ("nsenter", network)

    def close(self) -> None:
        """End the wire, and let go of the namespaces."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._release()

    def _connect(self, mesh: Mesh) -> subprocess.Popen[bytes]:
        """Start the process that carries packets; the devices are its alone from then on."""
        devices = [one.namespace.device for one in self.machines.values() if one.namespace.device is not None]
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", wire.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=devices,
            cwd="/",
            start_new_session=True,  # Ctrl-C in the lab's terminal is not for it
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(self._setup(mesh)).encode() + b"\n")
        process.stdin.flush()
        for machine in self.machines.values():
            machine.namespace.give_away()
        return process

    def _setup(self, mesh: Mesh) -> dict[str, object]:
        """What the wire has to know, as ``wire.read_setup`` reads it."""
        places = {name: number for number, name in enumerate(self.machines)}
        unlike = [
            [places[one], places[other], link.delay_s, link.jitter_s, link.loses_one_in]
            for (one, other), link in mesh.links.unlike.items()
        ]
        indexes = [-1, *(node.index for node in mesh.nodes)]
        ports = [
            {
                "descriptor": machine.namespace.device,
                "addresses": machine.namespace.addresses,
                "distance_s": mesh.links.distance_s(index),
            }
            for index, machine in zip(indexes, self.machines.values(), strict=True)
        ]
        return {"ports": ports, "unlike": unlike, "seed": mesh.seed}

    def _release(self) -> None:
        for machine in self.machines.values():
            machine.namespace.close()


NEEDS = "it takes root, or a system that lets users have namespaces of their own, and /dev/net/tun"


def check_size(nodes: int) -> None:
    """Raise ``UsageError`` for a mesh of more nodes than can have machines."""
    if nodes > MOST_MACHINES:
        raise UsageError(f"with --netns a lab has at most {MOST_MACHINES} nodes, not {nodes}")


def prepare() -> None:
    """See to it that this process may make namespaces: where it may not, it becomes root in a user namespace.

    For the beginning of a program, while it has one thread. Raises ``UsageError`` where the system allows neither.
    """
    try:
        if not namespaces.may_make():
            namespaces.become_root_of_an_own_world()
    except OSError as error:
        raise UsageError(f"--netns is not possible here: {error.strerror}", hint=NEEDS) from error
    if not os.access(namespaces.TUN, os.R_OK | os.W_OK):
        raise UsageError(f"--netns is not possible here: {namespaces.TUN} cannot be opened", hint=NEEDS)


def _addresses(mesh: Mesh) -> Iterator[tuple[str, str, str]]:
    """Name and addresses of every machine, the observer's first."""
    yield OBSERVER, "198.18.0.1", "2001:2::1"
    counts: dict[Role, int] = {}
    for node in mesh.nodes:
        number = counts[node.role] = counts.get(node.role, 0) + 1
        group = _GROUPS[node.role]
        yield node.name, f"198.18.{group}.{number}", f"2001:2:0:{group}::{number}"
