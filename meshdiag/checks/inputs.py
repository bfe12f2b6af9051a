"""What a check is handed: the sources, the moment, the thresholds in force, the nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from meshdiag.errors import SourceError, Trouble
from meshdiag.model import Threshold

if TYPE_CHECKING:
    from collections.abc import Coroutine, Hashable
    from datetime import datetime, timedelta

    from meshdiag.checks.readings.roster import Roster
    from meshdiag.context import Context
    from meshdiag.metrics import Metrics
    from meshdiag.sources import Sources
    from meshdiag.sources.alertmanager import Alertmanager
    from meshdiag.sources.blackbox import Blackbox
    from meshdiag.sources.certificates.source import Certificates
    from meshdiag.sources.grafana.client import Grafana
    from meshdiag.sources.grafana.login import GrafanaLogin
    from meshdiag.sources.host import Host
    from meshdiag.sources.loki import Loki
    from meshdiag.sources.meshlog import MeshLog
    from meshdiag.sources.probing import Prober
    from meshdiag.sources.prometheus import Prometheus
    from meshdiag.sources.scrape import Scrape
    from meshdiag.sources.traces import TraceStore

T = TypeVar("T")
Wanted = Callable[[Mapping[str, str]], bool]


def everything(_labels: Mapping[str, str]) -> bool:
    """No narrowing: all labels are wanted."""
    return True


class Memo:
    """Answers that several checks of one run share: whoever asks first fetches, the others wait for it."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}

    async def once(self, key: Hashable, fetch: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer under ``key``, fetched at the first call. A failure is shared as well."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(fetch())
        return cast("T", await asyncio.shield(task))

    async def close(self) -> None:
        """Stop what nobody waits for any more."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a check is handed.

    now: when the run began (UTC), against which ages are told. at: the moment asked about, None for now.
    window: how far back questions about history look.
    wanted: says of labels whether the command was narrowed to them (alerts).
    threshold: the check's, configuration included. options: the check's further settings from the configuration.
    metrics: where metrics come from in this run; raises ``SourceError`` where the check did not declare it.
    """

    context: Context
    sources: Sources
    now: datetime
    window: timedelta
    at: datetime | None = None
    wanted: Wanted = everything
    threshold: Threshold = field(default_factory=Threshold)
    options: Mapping[str, Any] = field(default_factory=dict)
    chosen_metrics: Metrics | None = None
    memo: Memo = field(default_factory=Memo)

    @property
    def metrics(self) -> Metrics:
        """The metrics source that the engine chose for this run."""
        return _present(self.chosen_metrics, "metrics")

    @property
    def prometheus(self) -> Prometheus:
        """The Prometheus HTTP API, for what only it knows (targets, rules, build)."""
        return _present(self.sources.prometheus, "Prometheus")

    @property
    def alertmanager(self) -> Alertmanager:
        """The Alertmanager API."""
        return _present(self.sources.alertmanager, "Alertmanager")

    @property
    def scrape(self) -> Scrape:
        """The nodes' own pages."""
        return _present(self.sources.scrape, "node pages")

    @property
    def probe(self) -> Prober:
        """Probes of peers: ICMP, TCP, TLS, HTTP, timed."""
        return _present(self.sources.probe, "probes")

    @property
    def blackbox(self) -> Blackbox:
        """The blackbox_exporters beside the nodes."""
        return _present(self.sources.blackbox, "blackbox_exporter")

    @property
    def certificates(self) -> Certificates:
        """Certificates as servers send them and files hold them."""
        return _present(self.sources.certificates, "certificates")

    @property
    def grafana(self) -> Grafana:
        """Grafana's API."""
        return _present(self.sources.grafana, "Grafana")

    @property
    def grafana_login(self) -> GrafanaLogin:
        """Grafana's door, where the user asked for somebody to knock."""
        return _present(self.sources.grafana_login, "Grafana")

    @property
    def meshlog(self) -> MeshLog:
        """The mesh's log files on this machine."""
        return _present(self.sources.meshlog, "log files")

    @property
    def traces(self) -> TraceStore:
        """Where the mesh's traces are kept: Jaeger or Tempo."""
        return _present(self.sources.traces, "traces")

    @property
    def loki(self) -> Loki:
        """The mesh's streams in Loki."""
        return _present(self.sources.loki, "Loki")

    @property
    def host(self) -> Host:
        """This machine."""
        return _present(self.sources.host, "this machine")

    @property
    def moment(self) -> datetime:
        """The moment asked about: ``at``, or the start of the run."""
        return self.at or self.now

    async def roster(self) -> Roster:
        """The mesh's nodes as the metrics source sees them, fetched once a run."""
        from meshdiag.checks.readings.roster import read_roster

        return await self.memo.once(("roster", self.metrics.name), lambda: read_roster(self))

    async def living(self) -> Roster:
        """The roster, for questions that only nodes which are up can answer; ``SourceError`` when none is."""
        from meshdiag.checks.readings.roster import some_up

        return some_up(await self.roster(), self.metrics.name)


def _present(source: T | None, name: str) -> T:
    if source is None:
        raise SourceError(f"{name}: not configured", trouble=Trouble.NOT_CONFIGURED, source=name)
    return source
