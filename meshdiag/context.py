"""A context: one named environment (local, staging, prod), as the rest of the program sees it.

``config`` fills it from files, environment and flags; nothing here reads anything. The defaults are the
addresses and paths of the mesh's own documentation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from meshdiag.model import Range, Threshold

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class SecretKind(StrEnum):
    """Where a secret is kept; it is never given in a flag."""

    FILE = "file"
    ENV = "env"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Secret:
    """A reference to a secret: a path, a variable's name or a command line. It is read when it is needed, and
    its value is never part of a ``repr``."""

    kind: SecretKind
    reference: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """Basic (``username`` and ``secret``) or bearer (``secret`` alone)."""

    secret: Secret
    username: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How to reach one HTTP server. ``url`` may carry a base path (``https://host/prometheus``), never
    credentials. ``timeout_s`` is for one request, all of it."""

    url: str
    timeout_s: float = 5.0
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: Credentials | None = None


@dataclass(frozen=True, slots=True)
class Blackbox:
    """The blackbox_exporters beside the nodes, which probe from there. In ``url`` ``{host}`` stands for the host of
    each node; ``module`` is one of theirs. ``timeout_s`` bounds one probe, ``count`` is how often a link is probed.
    """

    url: str = "http://{host}:9115"
    module: str = "tcp_connect"
    timeout_s: float = 2.0
    count: int = 3
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """A node that is expected to exist: where its metrics page is, and what else is known of it.

    ``instance`` is the label that Prometheus gives it (host:port by default), ``peer`` its peer-to-peer
    address (``host:port``), ``blackbox`` the URL of its own blackbox_exporter where the context's pattern is not it.
    """

    url: str
    instance: str
    name: str = ""
    role: str = ""
    peer: str = ""
    blackbox: str = ""


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """What configuration says of one check. A bare number moves the default's bound and keeps its direction; a
    ``Range`` replaces it. ``options`` are the check's own further settings."""

    warn: float | Range | None = None
    fail: float | Range | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def over(self, default: Threshold | None) -> Threshold:
        """The threshold in force: these settings over the check's default."""
        default = default or Threshold()
        model = default.warn or default.fail
        return Threshold(warn=_bound(self.warn, default.warn, model), fail=_bound(self.fail, default.fail, model))


def _bound(setting: float | Range | None, default: Range | None, model: Range | None) -> Range | None:
    if setting is None:
        return default
    if isinstance(setting, Range):
        return setting
    shape = default or model or Range()
    if shape.high == float("inf"):
        return Range(setting, shape.high, shape.inside)
    return Range(min(shape.low, setting), setting, shape.inside)


@dataclass(frozen=True, slots=True)
class Context:
    """One environment: addresses, credentials, thresholds."""

    name: str = "local"
    job: str = "agent-mesh"
    node_label: str = "node"
    role_label: str = "role"
    peer_label: str = "peer_address"
    prometheus: Endpoint | None = Endpoint("http://localhost:9090")
    alertmanager: Endpoint | None = Endpoint("http://localhost:9093")
    grafana: Endpoint | None = Endpoint("http://localhost:3000")
    loki: Endpoint | None = Endpoint("http://localhost:3100")
    jaeger: Endpoint | None = Endpoint("http://localhost:16686")
    tempo: Endpoint | None = None
    """Asked for traces in Jaeger's place, where there is one."""
    scrape: Endpoint = Endpoint("http://localhost", timeout_s=3.0)
    """How node pages are fetched (timeout, TLS, credentials); the addresses are the nodes' own."""
    blackbox: Blackbox | None = Blackbox()
    nodes: tuple[NodeAddress, ...] = (
        NodeAddress("http://localhost:9090/metrics", "localhost:9090", role="bootstrap"),
        NodeAddress("http://localhost:9091/metrics", "localhost:9091", role="trainer"),
        NodeAddress("http://localhost:9092/metrics", "localhost:9092", role="aggregator"),
    )
    nodes_expected: bool = False
    """Whether ``nodes`` is the operator's own list, so that a node missing from Prometheus is a fault."""
    logs: tuple[str, ...] = ("/app/logs/agent-mesh.log", "/app/logs/agent-mesh.json", "/app/logs/consensus.log")
    loki_selector: str = ""
    """The streams of the mesh in Loki, as LogQL chooses them; empty: those with the label ``job``."""
    rules: tuple[str, ...] = ()
    """Prometheus' rule files, paths or globs; without any the mesh's own rules are meant."""
    runbook_paths: tuple[str, ...] = ()
    """Folders of the team's own runbooks, which stand in for those of the same name."""
    certificates: tuple[str, ...] = ()
    """Files that hold certificates of the mesh: paths, globs or folders."""
    peer_ca_file: Path | None = None
    """Whose signature the nodes trust on their peer ports; without it the system's authorities."""
    log_formats: Mapping[str, str] = field(default_factory=dict)
    """The user's own log formats: a regular expression with named groups by name."""
    checks: Mapping[str, CheckSettings] = field(default_factory=dict)

    @property
    def streams(self) -> str:
        """The streams of the mesh in Loki, as LogQL chooses them."""
        job = self.job.replace("\\", "\\\\").replace('"', '\\"')
        return self.loki_selector or f'{{job="{job}"}}'

    @property
    def names_traces(self) -> bool:
        """Whether somebody said that there is a store of traces: it is not merely the default."""
        return self.tempo is not None or self.jaeger != Context().jaeger
