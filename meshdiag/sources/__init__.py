"""Sources: one module an outside system, the only code that touches network, files or processes.

Each translates the errors underneath it into ``SourceError`` once, bounds time and size, and returns plain data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshdiag.metrics import Metrics
    from meshdiag.sources.alertmanager import Alertmanager
    from meshdiag.sources.blackbox import Blackbox
    from meshdiag.sources.certificates.source import Certificates
    from meshdiag.sources.docker.watching import Containers
    from meshdiag.sources.grafana.client import Grafana
    from meshdiag.sources.grafana.login import GrafanaLogin
    from meshdiag.sources.host import Host
    from meshdiag.sources.loki import Loki
    from meshdiag.sources.meshlog import MeshLog
    from meshdiag.sources.probing import Prober
    from meshdiag.sources.prometheus import Prometheus
    from meshdiag.sources.scrape import Scrape
    from meshdiag.sources.traces import TraceStore


@dataclass(frozen=True, slots=True)
class Sources:
    """What a run may ask. ``metrics`` holds the candidates, best first: the engine takes the first whose gate
    is open. A source that is None is not asked; ``left_out`` says why, in words (``{"prometheus": "--direct:
    …"}``), and the checks that need it are skipped with that reason."""

    metrics: tuple[Metrics, ...] = ()
    prometheus: Prometheus | None = None
    alertmanager: Alertmanager | None = None
    scrape: Scrape | None = None
    probe: Prober | None = None
    meshlog: MeshLog | None = None
    traces: TraceStore | None = None
    blackbox: Blackbox | None = None
    certificates: Certificates | None = None
    grafana: Grafana | None = None
    grafana_login: GrafanaLogin | None = None
    host: Host | None = None
    containers: Containers | None = None
    loki: Loki | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
