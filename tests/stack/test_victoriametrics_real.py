"""The second dialect: the Prometheus source against a real VictoriaMetrics."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from meshdiag.context import Endpoint
from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.metrics import AbsenceKind, Vector
from meshdiag.sources.prometheus import Prometheus
from meshdiag.sources.prometheus.batch import MAX_EXPRESSIONS
from tests.servers import victoria_metrics
from tests.stack.recorded_mesh import Past, past

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Running

VECTORS = (
    "up",
    'up{job="mesh"} == 0  # who is down',
    "sum by (instance) (rate(rounds_total[5m]))",
    "max by (instance) (mesh_peer_count)",
    "histogram_quantile(0.95, sum by (instance, le) (rate(latency_seconds_bucket[5m]))) or mesh_peer_count",
    "count(up) * 2",
    "never_there",
    "mesh_peer_count > 5",
)


@pytest.fixture(scope="module")
def history() -> Past:
    """What the server holds."""
    return past()


@pytest.fixture(scope="module")
def running(history: Past) -> Iterator[Running]:
    """A VictoriaMetrics with that history."""
    lines = [f"{name} {value} {int(at * 1000)}" for name, points in history.series for at, value in points]
    with victoria_metrics("\n".join(lines) + "\n") as server:
        yield server


@pytest.fixture
async def source(running: Running) -> Prometheus:
    """The source under test."""
    async with Prometheus(Endpoint(running.url)) as one:
        yield one


@pytest.fixture
def at(history: Past) -> datetime:
    """The moment of the newest samples."""
    return datetime.fromtimestamp(history.end, UTC)


def comparable(vector: Vector) -> list[tuple[list[tuple[str, str]], float]]:
    return sorted((sorted(one.labels.items()), one.value) for one in vector.samples)


async def test_questions_asked_together_get_the_answers_they_get_alone(source: Prometheus, at: datetime) -> None:
    """The joined query means the same in this dialect."""
    together = await asyncio.gather(*(source.instant(query, at) for query in VECTORS))
    assert source.http.requests_sent == math.ceil(len(VECTORS) / MAX_EXPRESSIONS)
    for query, answer in zip(VECTORS, together, strict=True):
        alone = await source.evaluate(query, at)
        assert isinstance(alone, Vector)
        assert comparable(answer) == comparable(alone), query
    assert len(together[0].samples) == 3


async def test_identify_names_it_without_build_information(source: Prometheus) -> None:
    """Its build information is empty; its readiness page has the name."""
    assert (await source.identify()).software == "VictoriaMetrics"


async def test_refusals_and_missing_endpoints_are_told_apart(source: Prometheus) -> None:
    """A bad query is a refusal, an endpoint that it lacks is not available here."""
    with pytest.raises(QueryError):
        await source.instant("sum(up")
    with pytest.raises(SourceError) as caught:
        await source.runtimeinfo()
    assert caught.value.trouble is Trouble.NOT_AVAILABLE
    assert (await source.rules()).groups == ()


async def test_ranges_are_read(source: Prometheus, at: datetime) -> None:
    """Range queries over the same span travel together in this dialect too."""
    span = (at - timedelta(minutes=10), at, timedelta(minutes=1))
    up, peers = await asyncio.gather(source.range("up", *span), source.range("mesh_peer_count", *span))
    assert source.http.requests_sent == 1
    assert (len(up.series), len(peers.series)) == (3, 2)
    assert len(up.series[0].values) == 11


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("mesh_peer_cuont", AbsenceKind.NEVER_SEEN),
        ('mesh_peer_count{job="agent-mesh"}', AbsenceKind.OTHER_LABELS),
        ("mesh_peer_count > 100", AbsenceKind.FILTERED),
        ('stale_metric{job="mesh"}', AbsenceKind.STALE),
        ('dead_metric{job="mesh"}', AbsenceKind.TARGET_DOWN),
    ],
)
async def test_an_empty_answer_is_classified(source: Prometheus, at: datetime, query: str, kind: AbsenceKind) -> None:
    """The classification rests on expressions that both dialects know."""
    assert not (await source.instant(query, at)).samples
    assert (await source.why_empty(query, at)).kind is kind
