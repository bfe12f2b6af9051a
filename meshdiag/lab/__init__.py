"""The lab: a simulated Agent Mesh on this machine, with faults to switch on.

It is the embedded default, the demo and the test bed: nodes that serve metrics pages and peer ports, log files
that go on, and, on request, a real Prometheus and Alertmanager with an hour of history.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from meshdiag.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from meshdiag.lab.faults import Expectation, Injected
    from meshdiag.lab.guard import Guard
    from meshdiag.lab.network.machines import Network
    from meshdiag.lab.network.namespaces import Place
    from meshdiag.lab.nodes import ServedNode
    from meshdiag.lab.simulation import Mesh

CONTEXT = "lab"
JOB = "agent-mesh"
SERVERS = ("prometheus", "alertmanager", "node-exporter", "blackbox-exporter", "grafana")
"""What ``--with`` takes: real servers, and a small stand-in for Grafana, which Debian does not package."""


@dataclass(frozen=True, slots=True)
class LabOptions:
    """What a lab should be. ``with_`` names servers (of ``SERVERS``), ``faults`` those of ``lab faults``;
    ``history_s`` is how much of the past Prometheus and the logs are given. With ``netns`` every node has a network
    namespace and an address of its own. Equal options (and seed) give an equal mesh."""

    nodes: int = 7
    faults: tuple[str, ...] = ()
    with_: tuple[str, ...] = ()
    history_s: float = 3_600.0
    seed: int = 1
    netns: bool = False


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab that runs.

    ``environment`` are the variables that point programs at it. ``ca_file`` is whose signature the nodes' peer ports
    show. ``faulty`` maps each fault to the names of the
    nodes it hit. The server addresses are None where the server was not asked for, ``network`` where the nodes share
    this machine.
    """

    options: LabOptions
    directory: Path
    config_file: Path
    ca_file: Path
    nodes: tuple[ServedNode, ...]
    guard: Guard = field(repr=False)
    mesh: Mesh = field(repr=False)
    injected: tuple[Injected, ...] = ()
    prometheus_url: str | None = None
    alertmanager_url: str | None = None
    node_exporter_url: str | None = None
    grafana_url: str | None = None
    network: Network | None = field(default=None, repr=False)

    @property
    def place(self) -> Place:
        """Where COMMAND runs: among the nodes' machines where they have some, else here."""
        from meshdiag.lab.network.namespaces import HOST

        return self.network.observer.namespace if self.network else HOST

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point meshdiag at this lab, and those that point curl, promtool and amtool at its
        servers."""
        urls = {"PROMETHEUS_URL": self.prometheus_url, "ALERTMANAGER_URL": self.alertmanager_url}
        meshdiag = {"MESHDIAG_CONFIG": str(self.config_file), "MESHDIAG_CONTEXT": CONTEXT}
        return meshdiag | {name: url for name, url in urls.items() if url}

    @property
    def faulty(self) -> Mapping[str, tuple[str, ...]]:
        """Each fault with the nodes it hit; all of them where it hits the whole mesh."""
        return {one.fault.name: one.nodes for one in self.injected}

    @property
    def expects(self) -> tuple[Expectation, ...]:
        """What meshdiag should say of this lab, all faults together."""
        return tuple(expectation for one in self.injected for expectation in one.expects)

    def node(self, name: str) -> ServedNode:
        """The node of that name."""
        return next(node for node in self.nodes if node.name == name)


@asynccontextmanager
async def running(options: LabOptions | None = None) -> AsyncIterator[Lab]:
    """Start a lab, hand it over when it is ready, and leave nothing of it behind.

    Raises ``UsageError`` for options that make no lab (unknown fault or server, number of nodes, a server's
    program that is not installed).
    """
    from contextlib import AsyncExitStack

    from meshdiag.lab.certificates import Authority
    from meshdiag.lab.configuration import write_configuration
    from meshdiag.lab.grafana import GrafanaStandIn
    from meshdiag.lab.guard import Guard
    from meshdiag.lab.journals import Journals
    from meshdiag.lab.network.machines import Network, check_size
    from meshdiag.lab.network.namespaces import HOST
    from meshdiag.lab.nodes import NodeServers
    from meshdiag.lab.servers import check_servers, start_servers

    options = options or LabOptions()
    check_servers(options.with_)
    if options.netns:
        check_size(options.nodes)
    mesh, injected = simulate(options, time.time())
    async with AsyncExitStack() as stack:
        guard = Guard()
        stack.push_async_callback(guard.close)
        authority = Authority(guard.directory / "tls", mesh.origin)
        network = Network(mesh, guard) if options.netns else None
        if network:
            stack.callback(network.close)
        nodes = NodeServers(mesh, authority, *((network.site,) if network else ()))
        stack.push_async_callback(nodes.close)
        await nodes.start()
        journals = Journals(mesh, guard.directory)
        stack.push_async_callback(journals.close)
        journals.start()
        servers = await start_servers(options.with_, mesh, nodes.nodes, guard, JOB, network)
        place = network.observer.namespace if network else HOST
        grafana = GrafanaStandIn(mesh, place, servers.prometheus_url or "") if "grafana" in options.with_ else None
        if grafana:
            stack.push_async_callback(grafana.close)
            await grafana.start()
        if network:
            network.ready()
        lab = Lab(
            options,
            guard.directory,
            guard.directory / "meshdiag.toml",
            authority.ca_file,
            tuple(replace(node, blackbox=servers.blackbox.get(node.name, "")) for node in nodes.nodes),
            guard,
            mesh,
            tuple(injected),
            servers.prometheus_url,
            servers.alertmanager_url,
            servers.node_exporter_url,
            grafana.url if grafana else None,
            network,
        )
        write_configuration(lab, journals.paths)
        yield lab


def simulate(options: LabOptions, origin: float) -> tuple[Mesh, list[Injected]]:
    """The mesh that options describe, with its faults, as of ``origin`` (seconds since the epoch)."""
    from meshdiag.lab.faults import inject
    from meshdiag.lab.journals import add_ordinary_streams
    from meshdiag.lab.simulation import FEWEST_NODES, MOST_NODES, build_mesh

    if not FEWEST_NODES <= options.nodes <= MOST_NODES:
        raise UsageError(f"a lab has {FEWEST_NODES} to {MOST_NODES} nodes, not {options.nodes}")
    mesh = build_mesh(options.nodes, options.seed, origin, options.history_s)
    add_ordinary_streams(mesh)
    return mesh, inject(mesh, options.faults)
