"""Every source against every fault, over real sockets: a value or one clear sentence, inside the time; never
another exception, never a hang. A source joins by one line in ``SOURCES``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from meshdiag.context import Endpoint, NodeAddress
from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.logs.record import Level
from meshdiag.logs.selection import Selection
from meshdiag.logs.tally import Tally
from meshdiag.sources.alertmanager import Alertmanager
from meshdiag.sources.blackbox import Blackbox
from meshdiag.sources.docker import Docker, EngineAddress
from meshdiag.sources.docker.watching import Containers
from meshdiag.sources.grafana.client import Grafana
from meshdiag.sources.grafana.login import GrafanaLogin
from meshdiag.sources.loki import Loki
from meshdiag.sources.prometheus import Prometheus
from meshdiag.sources.scrape import Scrape
from meshdiag.sources.traces.jaeger import Jaeger
from meshdiag.sources.traces.tempo import Tempo
from meshdiag.sources.traces.trace import Search
from tests.faulty import FAULTS, Fault, faulty

PATIENCE_S = 15
"""The longest any question may take: several requests of ``timeout_s`` each, on a busy machine."""
TIMEOUT_S = 1.0


async def _prometheus(endpoint: Endpoint, ask: Callable[[Prometheus], Awaitable[Any]]) -> Any:
    async with Prometheus(endpoint) as source:
        return await ask(source)


async def _alertmanager(endpoint: Endpoint, ask: Callable[[Alertmanager], Awaitable[Any]]) -> Any:
    async with Alertmanager(endpoint) as source:
        return await ask(source)


async def _blackbox(endpoint: Endpoint) -> Any:
    async with Blackbox() as source:
        return await source.probe(endpoint.url, "10.0.0.1:4001", "tcp_connect", timeout_s=TIMEOUT_S)


async def _docker(endpoint: Endpoint) -> Any:
    async with Docker(address=EngineAddress(endpoint)) as source:
        return [record async for record in source.records(Selection(), Tally())]


async def _scrape(endpoint: Endpoint) -> Any:
    node = NodeAddress(f"{endpoint.url}/metrics", "127.0.0.1:9091")
    return await Scrape((node,), endpoint, single_look=True).instant("mesh_peer_count")


async def _loki(endpoint: Endpoint) -> Any:
    selection = Selection(levels=frozenset({Level.ERROR}))
    async with Loki(endpoint, '{job="agent-mesh"}') as source:
        return [record async for record in source.records(selection, Tally())]


async def _grafana_login(endpoint: Endpoint) -> Any:
    async with GrafanaLogin(endpoint) as source:
        return await source.takes_documented_password()


async def _grafana(endpoint: Endpoint) -> Any:
    async with Grafana(endpoint) as source:
        return await source.dashboard("mesh")


async def _containers(endpoint: Endpoint) -> Any:
    async with Containers(EngineAddress(endpoint)) as source:
        return await source.states(lambda _one: True)


async def _jaeger(endpoint: Endpoint) -> Any:
    async with Jaeger(endpoint) as source:
        return await source.search(Search("gateway", 0.0, 1.0))


async def _tempo(endpoint: Endpoint) -> Any:
    async with Tempo(endpoint) as source:
        return await source.search(Search("gateway", 0.0, 1.0))


SOURCES: dict[str, Callable[[Endpoint], Awaitable[Any]]] = {
    "Prometheus.instant": lambda endpoint: _prometheus(endpoint, lambda source: source.instant("up")),
    "Prometheus.identify": lambda endpoint: _prometheus(endpoint, lambda source: source.identify()),
    "Prometheus.rules": lambda endpoint: _prometheus(endpoint, lambda source: source.rules()),
    "Alertmanager.alerts": lambda endpoint: _alertmanager(endpoint, lambda source: source.alerts()),
    "Alertmanager.identify": lambda endpoint: _alertmanager(endpoint, lambda source: source.identify()),
    "Blackbox.probe": _blackbox,
    "Docker.records": _docker,
    "Docker.states": _containers,
    "Grafana.dashboard": _grafana,
    "Grafana.login": _grafana_login,
    "Jaeger.search": _jaeger,
    "Loki.records": _loki,
    "Tempo.search": _tempo,
    "Scrape.instant": _scrape,
}

PAGE_FAULTS_TAKEN = {"other-json", "not-json", "empty-body", "html"}
"""What is wrong for JSON is judged by the page reader's own rules on a metrics page."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("source", SOURCES)
async def test_a_faulty_server_costs_one_clear_sentence(source: str, fault: Fault) -> None:
    """Each fault gives a value or a SourceError with source, address and advice, inside the time."""
    with faulty(fault.name) as server:
        secret = server.url.replace("://", "://operator:s3cret@")
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await SOURCES[source](Endpoint(secret, timeout_s=TIMEOUT_S))
        except SourceError as error:
            _is_clear(error, server.url)
            if fault.troubles and not (source.startswith("Scrape") and fault.name in PAGE_FAULTS_TAKEN):
                assert error.trouble in fault.troubles, error
        else:
            assert answer is not None
            assert fault.may_answer or source.startswith("Scrape"), answer


def _is_clear(error: SourceError, url: str) -> None:
    text = str(error)
    assert error.source
    assert "s3cret" not in text + error.where
    assert url.partition("://")[2] in error.where + error.message
    assert "bytearray" not in text, "a library's own words"
    assert error.message.isprintable() and error.hint.isprintable(), text
    if not isinstance(error, QueryError) and error.trouble is not Trouble.NOT_AVAILABLE:
        assert error.hint, text
