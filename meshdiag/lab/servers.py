"""The real servers of a lab, as Debian packages them: Prometheus, Alertmanager, node_exporter, blackbox_exporter."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from meshdiag.errors import MeshdiagError, UsageError
from meshdiag.lab import SERVERS, asking
from meshdiag.lab.alerting import active_alerts, as_posted
from meshdiag.lab.faults.registry import BEGAN_AGO_S
from meshdiag.lab.history import write_history
from meshdiag.lab.network.namespaces import HOST
from meshdiag.lab.nodes import LOOPBACK
from meshdiag.lab.simulation import Watching
from meshdiag.rules.builtin import mesh_rules_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from meshdiag.lab.alerting import ActiveAlert
    from meshdiag.lab.guard import Guard
    from meshdiag.lab.network.machines import Machine, Network
    from meshdiag.lab.network.namespaces import Place
    from meshdiag.lab.nodes import ServedNode
    from meshdiag.lab.simulation import Mesh

MORE_FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")
"""Where packages put servers; not all of these are on everybody's PATH."""

FAILING_RULE = """
  - name: mesh-joins
    rules:
      - record: mesh:peers:share
        expr: mesh_peer_count / on () group_left () mesh_peer_count
"""
FIRING_S = 20.0
ATTEMPTS = 3
BLACKBOX_PORT = 9115


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a lab runs: the names it goes by on the PATH, and the Debian package that has it."""

    names: tuple[str, ...]
    package: str


PROMETHEUS = Program(("prometheus",), "prometheus")
PROMTOOL = Program(("promtool",), "prometheus")
ALERTMANAGER = Program(("prometheus-alertmanager", "alertmanager"), "prometheus-alertmanager")
NODE_EXPORTER = Program(("prometheus-node-exporter", "node_exporter"), "prometheus-node-exporter")
BLACKBOX_EXPORTER = Program(("prometheus-blackbox-exporter", "blackbox_exporter"), "prometheus-blackbox-exporter")
PROGRAMS = dict(
    zip(SERVERS, ((PROMETHEUS, PROMTOOL), (ALERTMANAGER,), (NODE_EXPORTER,), (BLACKBOX_EXPORTER,), ()), strict=True)
)
"""The programs behind each name that ``--with`` takes."""


@dataclass(frozen=True, slots=True)
class Started:
    """Where the servers of a lab listen; None for those that were not asked for. ``blackbox`` maps nodes to the URL of
    the exporter that probes from where they are."""

    prometheus_url: str | None = None
    alertmanager_url: str | None = None
    node_exporter_url: str | None = None
    blackbox: Mapping[str, str] = field(default_factory=dict)


def check_servers(names: Collection[str]) -> None:
    """Raise ``UsageError`` for a server that the lab does not know or whose program is not installed."""
    for name in names:
        if name not in PROGRAMS:
            raise UsageError(f"the lab has no server called {name!r}", hint=f"it has {', '.join(PROGRAMS)}")
        for program in PROGRAMS[name]:
            find_program(program)
    if "grafana" in names and "prometheus" not in names:
        raise UsageError("the lab's Grafana shows what Prometheus has", hint="--with prometheus,grafana")


def find_program(program: Program) -> str:
    """The path of a program. Raises ``UsageError`` naming the Debian package."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *MORE_FOLDERS))
    for name in program.names:
        if found := shutil.which(name, path=path):
            return found
    raise UsageError(f"{program.names[0]} is not installed", hint=f"on Debian: apt install {program.package}")


async def start_servers(
    wanted: Sequence[str],
    mesh: Mesh,
    nodes: Sequence[ServedNode],
    guard: Guard,
    job: str,
    network: Network | None = None,
) -> Started:
    """Start the servers of these names and wait until they are ready and the alerts that are due fire. In a network
    of the lab's own they run on the observer's machine, blackbox_exporters on the nodes'.

    Raises ``MeshdiagError`` when a server does not start, with the end of what it wrote.
    """
    if not wanted:
        return Started()
    servers = _Servers(guard, network.observer.namespace if network else HOST)
    blackbox = await _blackboxes(servers, nodes, network) if "blackbox-exporter" in wanted else {}
    exporter = await servers.node_exporter() if "node-exporter" in wanted else None
    alertmanager = await _alertmanager(servers, mesh) if "alertmanager" in wanted else None
    now = time.time()
    alerts = active_alerts(mesh, nodes, job, now)
    due = [alert for alert in alerts if alert.fires_at <= now]
    if alertmanager is not None and Watching.NO_ALERTMANAGER not in mesh.watching:
        # Prometheus takes over once it has found its Alertmanager, five seconds after it started.
        until = now + (600 if "prometheus" in wanted else 86_400)
        await _post(servers.place, f"{alertmanager}/api/v2/alerts", list(as_posted(due, until)))
    prometheus = None
    if "prometheus" in wanted:
        blind = Watching.BLIND in mesh.watching
        end = now - BEGAN_AGO_S if blind else now
        await asyncio.to_thread(_write_past, servers.directory / "history.txt", mesh, nodes, job, alerts, end)
        prometheus = await servers.prometheus(scraping(nodes, job, exporter, alertmanager, blind=blind), rules_of(mesh))
        await _firing(servers.place, prometheus, [] if blind else due)
        if mesh.watching:
            await _settled(servers.place, prometheus, alertmanager is not None)
    return Started(prometheus, alertmanager, exporter, blackbox)


async def _alertmanager(servers: _Servers, mesh: Mesh) -> str:
    """Start Alertmanager and return its address, which is one where nothing listens for the fault of that kind."""
    if Watching.NO_ALERTMANAGER in mesh.watching:
        return f"http://{LOOPBACK}:{asking.free_port(servers.place, LOOPBACK)}"
    return await servers.alertmanager()


def rules_of(mesh: Mesh) -> str:
    """The rules that Prometheus is given: the mesh's own, and one that fails for the fault of that kind."""
    rules = mesh_rules_text()
    return rules + FAILING_RULE if Watching.BROKEN_RULE in mesh.watching else rules


async def _blackboxes(servers: _Servers, nodes: Sequence[ServedNode], network: Network | None) -> dict[str, str]:
    """Start an exporter on every node's machine, or one for all where they share this one; their URLs by node."""
    if network is None:
        url = await servers.blackbox_exporter()
        return dict.fromkeys((node.name for node in nodes), url)
    machines = [network.machines[node.name] for node in nodes]
    urls = await asyncio.gather(*(servers.blackbox_exporter(machine) for machine in machines))
    return {machine.name: url for machine, url in zip(machines, urls, strict=True)}


def _write_past(
    path: Path, mesh: Mesh, nodes: Sequence[ServedNode], job: str, alerts: Sequence[ActiveAlert], now: float
) -> None:
    with path.open("w", encoding="utf-8") as out:
        write_history(out, mesh, nodes, job, alerts, now)


def scraping(
    nodes: Sequence[ServedNode], job: str, exporter: str | None, alertmanager: str | None, *, blind: bool = False
) -> dict[str, Any]:
    """Prometheus' configuration (JSON, which is YAML). The more nodes, the less often: two cores must do. ``blind``: it
    finds no nodes, because the file that lists them is gone."""
    interval = f"{min(15, max(2, len(nodes) // 66))}s"
    targets = [
        {
            "targets": [node.instance],
            "labels": {"node": node.name, "role": node.role, "peer_address": node.peer},
        }
        for node in nodes
    ]
    found = {"file_sd_configs": [{"files": ["nodes.json"]}]} if blind else {"static_configs": targets}
    jobs: list[dict[str, Any]] = [{"job_name": job, **found}]
    if exporter:
        jobs.append({"job_name": "node", "static_configs": [{"targets": [_address(exporter)], "labels": {}}]})
    alertmanagers = [{"static_configs": [{"targets": [_address(alertmanager)]}]}] if alertmanager else []
    return {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "evaluation_interval": f"{min(3, max(1, len(nodes) // 400))}s",
        },
        "rule_files": ["rules.yml"],
        "alerting": {"alertmanagers": alertmanagers},
        "scrape_configs": jobs,
    }


def routing() -> dict[str, Any]:
    """Alertmanager's configuration: by severity, and a critical alert silences the warnings of its instance."""
    return {
        "route": {
            "receiver": "mesh-team",
            "group_by": ["alertname"],
            "group_wait": "1s",
            "group_interval": "5s",
            "repeat_interval": "4h",
            "routes": [
                {"matchers": ['severity="critical"'], "receiver": "on-call"},
                {"matchers": ['severity="warning"'], "receiver": "mesh-team"},
            ],
        },
        "inhibit_rules": [
            {
                "source_matchers": ['severity="critical"'],
                "target_matchers": ['severity="warning"'],
                "equal": ["instance"],
            }
        ],
        "receivers": [{"name": "mesh-team"}, {"name": "on-call"}],
    }


def probing() -> dict[str, Any]:
    """blackbox_exporter's configuration: what it can probe with. The mesh's certificates are not its business."""
    unverified = {"preferred_ip_protocol": "ip4", "tls_config": {"insecure_skip_verify": True}}
    return {
        "modules": {
            "tcp_connect": {"prober": "tcp", "timeout": "5s", "tcp": {"preferred_ip_protocol": "ip4"}},
            "tls_connect": {"prober": "tcp", "timeout": "5s", "tcp": {"tls": True, **unverified}},
            "icmp": {"prober": "icmp", "timeout": "5s", "icmp": {"preferred_ip_protocol": "ip4"}},
            "http_2xx": {"prober": "http", "timeout": "5s", "http": unverified},
        }
    }


class _Servers:
    """Starts servers in a lab's directory, each on a port of its own. ``place`` is the machine that they run on, and
    from which they are asked."""

    def __init__(self, guard: Guard, place: Place) -> None:
        self.guard = guard
        self.place = place
        self.directory = guard.directory / "servers"
        self.directory.mkdir()

    async def node_exporter(self) -> str:
        """Start node_exporter and return its address."""
        return await self._start(NODE_EXPORTER, ["--web.listen-address={address}"], "/")

    async def blackbox_exporter(self, machine: Machine | None = None) -> str:
        """Start blackbox_exporter, on a machine where one is given, and return its address."""
        flags = [f"--config.file={self._write('blackbox.yml', probing())}", "--web.listen-address={address}"]
        return await self._start(BLACKBOX_EXPORTER, flags, "/-/healthy", machine)

    async def alertmanager(self) -> str:
        """Start Alertmanager and return its address."""
        config = self._write("alertmanager.yml", routing())
        flags = [
            f"--config.file={config}",
            f"--storage.path={self.directory / 'alertmanager'}",
            "--web.listen-address={address}",
            "--cluster.listen-address=",
        ]
        return await self._start(ALERTMANAGER, flags, "/-/ready")

    async def prometheus(self, configuration: dict[str, Any], rules: str) -> str:
        """Turn the history into blocks, start Prometheus upon them and return its address."""
        data = self.directory / "prometheus"
        past = self.directory / "history.txt"
        await self._make_blocks(past, data)
        past.unlink()
        (self.directory / "rules.yml").write_text(rules, encoding="utf-8")
        flags = [
            f"--config.file={self._write('prometheus.yml', configuration)}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=400d",
            "--web.listen-address={address}",
            "--web.enable-lifecycle",
            # Without these an alert that was active before the start waits again, or is sent a minute late.
            "--rules.alert.for-grace-period=0s",
            "--rules.alert.for-outage-tolerance=24h",
            "--rules.alert.resend-delay=2s",
        ]
        return await self._start(PROMETHEUS, flags, "/-/ready")

    async def _make_blocks(self, past: Path, data: Path) -> None:
        argv = [find_program(PROMTOOL), "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=720h"]
        log = self.directory / "promtool.log"
        with log.open("wb") as output:
            process = await self.guard.spawn([*argv, str(past), str(data)], output=output)
            if await process.wait() != 0:
                raise MeshdiagError(f"promtool could not make the lab's history: {_last_line(log)}")

    def _write(self, name: str, content: dict[str, Any]) -> Path:
        path = self.directory / name
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")
        return path

    async def _start(self, program: Program, flags: Sequence[str], ready: str, machine: Machine | None = None) -> str:
        """Start a server and wait until ``ready`` answers 200; another port is tried when one was taken. On a machine
        of its own it has the port that it is known for."""
        path = find_program(program)
        log = self.directory / f"{program.names[0]}{f'-{machine.name}' if machine else ''}.log"
        place = machine.namespace if machine else self.place
        for _attempt in range(ATTEMPTS):
            address = (
                f"{machine.address}:{BLACKBOX_PORT}"
                if machine
                else f"{LOOPBACK}:{asking.free_port(self.place, LOOPBACK)}"
            )
            with log.open("wb") as output:
                argv = [path, *(flag.replace("{address}", address) for flag in flags)]
                process = await self.guard.spawn(argv, output=output, place=place)
            if await asking.answers(self.place, f"http://{address}{ready}", process):
                return f"http://{address}"
        raise MeshdiagError(f"{program.names[0]} does not start: {_last_line(log)}")


def _address(url: str) -> str:
    return urlsplit(url).netloc


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it wrote nothing"


async def _firing(place: Place, prometheus: str, due: Sequence[ActiveAlert]) -> None:
    """Wait until Prometheus says that the alerts that are due fire; give up quietly, it is a lab."""
    wanted = {(alert.rule.name, alert.instance) for alert in due}
    deadline = time.monotonic() + FIRING_S
    while wanted and time.monotonic() < deadline:
        _status, body = await asking.request(place, "GET", f"{prometheus}/api/v1/alerts")
        alerts = json.loads(body or b"{}").get("data", {}).get("alerts", [])
        wanted -= {
            (one["labels"]["alertname"], one["labels"].get("instance")) for one in alerts if one["state"] == "firing"
        }
        await asyncio.sleep(asking.POLL_S * 2)


async def _settled(place: Place, prometheus: str, alertmanager: bool) -> None:
    """Wait until Prometheus has evaluated every group of rules and found its Alertmanager: only then a fault of these
    is told from a server that has just started."""
    deadline = time.monotonic() + FIRING_S
    while time.monotonic() < deadline:
        _status, body = await asking.request(place, "GET", f"{prometheus}/api/v1/rules")
        groups = json.loads(body or b"{}").get("data", {}).get("groups", [])
        _status, body = await asking.request(place, "GET", f"{prometheus}/api/v1/alertmanagers")
        found = json.loads(body or b"{}").get("data", {}).get("activeAlertmanagers", [])
        evaluated = groups and all(not one["lastEvaluation"].startswith("0001") for one in groups)
        if evaluated and (found or not alertmanager):
            return
        await asyncio.sleep(asking.POLL_S * 2)


async def _post(place: Place, url: str, content: object) -> None:
    status, body = await asking.request(place, "POST", url, json.dumps(content).encode())
    if status != 200:
        raise MeshdiagError(f"Alertmanager did not take the lab's alerts: {status} {body[:200]!r}")
