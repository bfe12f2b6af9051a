"""What else may answer where a Prometheus is expected: Mimir, Cortex, Thanos, a node's own page, Grafana."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from meshdiag.context import Endpoint
from meshdiag.errors import SourceError, Trouble
from meshdiag.metrics import AbsenceKind
from meshdiag.sources.prometheus import Prometheus
from tests.faulty import faulty
from tests.serving import Asked, Server, send

UP = {"resultType": "vector", "result": [{"metric": {"instance": "a"}, "value": [1.0, "1"]}]}
NODE_PAGE = (
    "# HELP mesh_peer_count Peers connected.\n# TYPE mesh_peer_count gauge\nmesh_peer_count 5\n"
    "# TYPE consensus_round_duration_seconds gauge\nconsensus_round_duration_seconds 1.5\n"
)

Page = tuple[int, bytes, str]


def success(data: Any, **beside: Any) -> Page:
    """A success of the API."""
    return 200, json.dumps({"status": "success", "data": data, **beside}).encode(), "application/json"


def text(status: int, body: str, content_type: str = "text/plain") -> Page:
    """An answer that is no JSON."""
    return status, body.encode(), content_type


def serving(answer: Callable[[Asked], Page]) -> Server:
    """A server made of one function."""

    async def handle(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await send(writer, *answer(asked))

    return Server(handle)


async def test_mimir_is_reached_below_its_path_with_its_tenant() -> None:
    """Mimir answers below /prometheus, per tenant, and names itself in its build information."""

    def answer(asked: Asked) -> Page:
        if asked.headers.get("x-scope-orgid") != "mesh":
            return text(401, "no org id\n")
        if asked.path == "/prometheus/api/v1/status/buildinfo":
            return success({"application": "Grafana Mimir", "version": "2.14.0"})
        return success(UP) if asked.path == "/prometheus/api/v1/query" else text(404, "404 page not found\n")

    with serving(answer) as server:
        tenant = Endpoint(f"{server.url}/prometheus", headers={"X-Scope-OrgID": "mesh"})
        async with Prometheus(tenant) as source:
            identity = await source.identify()
            assert str(identity) == "Mimir 2.14.0" and identity.ready is None
            assert (await source.instant("up")).samples[0].value == 1
            with pytest.raises(SourceError) as caught:
                await source.targets()
        assert caught.value.trouble is Trouble.NOT_AVAILABLE
        async with Prometheus(Endpoint(f"{server.url}/prometheus")) as source:
            with pytest.raises(SourceError) as caught:
                await source.identify()
        assert caught.value.trouble is Trouble.UNAUTHORIZED


async def test_a_server_without_build_information_is_known_by_its_answers() -> None:
    """Cortex and some proxies have no build information; that they answer queries is enough."""

    def answer(asked: Asked) -> Page:
        return success(UP) if asked.path == "/api/v1/query" else text(404, "404 page not found\n")

    with serving(answer) as server:
        async with Prometheus(Endpoint(server.url)) as source:
            identity = await source.identify()
    assert identity.software == "a Prometheus-compatible server"


async def test_a_partial_answer_of_thanos_or_victoriametrics_says_so() -> None:
    """What a store did not deliver is a warning beside the samples, in every dialect."""
    for beside, said in (
        ({"warnings": ["No StoreAPIs matched for this query\x1b[31m"]}, "No StoreAPIs"),
        ({"isPartial": True}, "partial"),
    ):
        with serving(lambda _asked, beside=beside: success(UP, **beside)) as server:
            async with Prometheus(Endpoint(server.url)) as source:
                both = await asyncio.gather(source.evaluate("up"), source.evaluate("up"))
        assert all(said in one.warnings[0] and one.warnings[0].isprintable() for one in both)


@pytest.mark.parametrize("everywhere", [True, False])
async def test_a_nodes_own_page_on_the_port_is_named(everywhere: bool) -> None:
    """A node's exposition page, served on every path or on /metrics alone, is no Prometheus, and is called what it
    is."""

    def answer(asked: Asked) -> Page:
        if everywhere or asked.path == "/metrics":
            return text(200, NODE_PAGE, "text/plain; version=0.0.4")
        return text(404, "Not found")

    with serving(answer) as server:
        async with Prometheus(Endpoint(server.url)) as source:
            with pytest.raises(SourceError, match="an Agent Mesh node's metrics page") as caught:
                await source.identify()
    assert caught.value.trouble is Trouble.WRONG_SERVER
    assert "prometheus.url" in caught.value.hint


async def test_grafana_on_the_port_is_named_although_it_asks_for_credentials() -> None:
    """Grafana answers the API's paths with 401 for strangers; its health page tells who it is."""

    def answer(asked: Asked) -> Page:
        if asked.path == "/api/health":
            return 200, b'{"commit":"x","database":"ok","version":"6.5.1"}', "application/json"
        if asked.path.startswith("/api/"):
            return 401, b'{"message":"Unauthorized"}', "application/json"
        return text(404, "<html><title>Grafana</title></html>", "text/html")

    with serving(answer) as server:
        async with Prometheus(Endpoint(server.url)) as source:
            with pytest.raises(SourceError, match="it is Grafana") as caught:
                await source.identify()
    assert caught.value.trouble is Trouble.WRONG_SERVER


async def test_the_clock_of_the_server_is_told() -> None:
    """A server whose clock is behind is seen by its Date header."""

    async def handle(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        _status, body, kind = success({"version": "2.42.0"})
        await send(writer, 200, body, kind, {"Date": "Sun, 22 Nov 2020 11:00:00 GMT"})

    with Server(handle) as server:
        async with Prometheus(Endpoint(server.url)) as source:
            skew = (await source.identify()).clock_skew_s
    assert skew is not None and skew < -3600


async def test_native_histograms_are_left_out_with_a_note() -> None:
    """A native histogram has no single value; the samples beside it are kept."""
    native = {"metric": {"instance": "b"}, "histogram": [1.0, {"count": "3", "sum": "1"}]}
    data = {"resultType": "vector", "result": [*UP["result"], native]}
    with serving(lambda _asked: success(data)) as server:
        async with Prometheus(Endpoint(server.url)) as source:
            vector = await source.instant("up")
    assert len(vector.samples) == 1 and "native histogram" in vector.warnings[0]


async def test_an_empty_answer_of_a_server_that_goes_away_is_unreachable() -> None:
    """Looking for the reason meets the outage and says so, instead of guessing."""
    with faulty("refused") as server:
        async with Prometheus(Endpoint(server.url)) as source:
            absence = await source.why_empty("up")
    assert absence.kind is AbsenceKind.UNREACHABLE and "refused" in absence.message


@pytest.mark.parametrize("everywhere", [True, False])
async def test_an_empty_answer_of_something_else_is_a_wrong_server(everywhere: bool) -> None:
    """A node's page on Prometheus' port is no Prometheus without data."""

    def answer(asked: Asked) -> Page:
        return text(200, NODE_PAGE) if everywhere or asked.path == "/metrics" else text(404, "404 page not found\n")

    with serving(answer) as server:
        async with Prometheus(Endpoint(server.url)) as source:
            absence = await source.why_empty("up")
    assert absence.kind is AbsenceKind.WRONG_SERVER
    assert "metrics page" in absence.message


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"resultType": "vector"},
        {"resultType": "vector", "result": None},
        {"resultType": "vector", "result": [1]},
        {"resultType": "vector", "result": [{"metric": {"a": 1}, "value": [1, "1"]}]},
        {"resultType": "vector", "result": [{"metric": {}, "value": [1]}]},
        {"resultType": "vector", "result": [{"metric": {}, "value": [1, "one"]}]},
        {"resultType": "vector", "result": [{"metric": {}, "value": [1, None]}]},
        {"resultType": "vector", "result": [{"metric": {}}]},
        {"resultType": "matrix", "result": [{"metric": {}, "values": [[1]]}]},
        {"resultType": "scalar", "result": []},
        {"resultType": "streams", "result": []},
    ],
)
async def test_another_shape_is_malformed_and_never_a_traceback(data: Any) -> None:
    """Every part of an answer that is not as documented is one SourceError."""
    with serving(lambda _asked: success(data)) as server:
        async with Prometheus(Endpoint(server.url)) as source:
            with pytest.raises(SourceError) as caught:
                await source.evaluate("up")
    assert caught.value.trouble is Trouble.MALFORMED
