"""Tempo, built from its documentation (no Tempo was recorded): TraceQL out, OpenTelemetry's JSON in."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from meshdiag.context import Endpoint
from meshdiag.errors import QueryError, SourceError
from meshdiag.sources.traces.tempo import Tempo
from meshdiag.sources.traces.trace import Search
from tests.serving import Asked, Server, send

SEARCH = Search("trainer", 1000.4, 2000.6, 'say "go"', 0.5, None, {"http.status_code": "500", "odd key": "1"}, True, 2)


def _b64(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode()


def _span(name: str, number: int, parent: int, begin_ms: int, took_ms: int, **more: Any) -> dict[str, Any]:
    return {
        "traceId": _b64("0" * 31 + "1"),
        "spanId": _b64(f"{number:016x}"),
        "parentSpanId": _b64(f"{parent:016x}") if parent else "",
        "name": name,
        "kind": "SPAN_KIND_SERVER",
        "startTimeUnixNano": str(begin_ms * 1_000_000),
        "endTimeUnixNano": str((begin_ms + took_ms) * 1_000_000),
        **more,
    }


def _batch(service: str, *spans: dict[str, Any]) -> dict[str, Any]:
    attributes = [
        {"key": "service.name", "value": {"stringValue": service}},
        {"key": "service.instance.id", "value": {"stringValue": f"{service}-1"}},
    ]
    return {"resource": {"attributes": attributes}, "scopeSpans": [{"spans": list(spans)}]}


FAILED = {"status": {"code": "STATUS_CODE_ERROR"}, "attributes": [{"key": "retry", "value": {"boolValue": True}}]}
BATCHES = [
    _batch("trainer", _span("round", 1, 0, 1000, 900)),
    _batch("aggregator", _span("collect", 2, 1, 1100, 700, **FAILED)),
]


async def _tempo(asked: Asked, writer: asyncio.StreamWriter) -> None:
    answers: dict[str, Any] = {
        "/api/v2/search/tag/resource.service.name/values": {"tagValues": [{"type": "string", "value": "trainer"}]},
        "/api/v2/search/tag/name/values": {"tagValues": [{"value": "round"}, {"value": "collect"}]},
        "/api/search": {"traces": [{"traceID": "1"}, {"traceID": "2"}, {"traceID": "3"}], "metrics": {}},
        "/api/traces/1": {"batches": BATCHES},
        "/api/traces/2": {"trace": {"resourceSpans": [_batch("trainer", _span("round", 7, 0, 5000, 2000))]}},
    }
    answer = answers.get(asked.path)
    await send(writer, 404 if answer is None else 200, b"" if answer is None else json.dumps(answer).encode())


async def test_traces_come_whole_and_slowest_first() -> None:
    """Both versions of the answer; ids in base64 become hexadecimal; one that vanished meanwhile is left out."""
    with Server(_tempo) as server:
        async with Tempo(Endpoint(server.url)) as source:
            found = await source.search(SEARCH)
            assert await source.services() == ("trainer",)
            assert await source.operations("trainer") == ("collect", "round")
            assert await source.trace("dead") is None
        asked = {one.path: one for one in server.asked}
    assert [trace.id for trace in found.traces] == ["2", "1"] and found.cut
    first, second = found.traces[1].spans
    assert first.id == "0" * 15 + "1" == second.parent
    assert (second.service, second.node) == ("aggregator", "aggregator-1")
    assert second.error and not first.error and second.kind == "server" and second.tags["retry"] == "true"
    assert second.duration_s == pytest.approx(0.7) and first.start_s == pytest.approx(1.0)
    sent = dict(asked["/api/search"].params)
    assert (sent["start"], sent["end"], sent["limit"]) == ("1000", "2001", "2")
    assert sent["q"] == (
        '{ resource.service.name = "trainer" && name = "say \\"go\\"" && duration >= 500000us && status = error '
        '&& .http.status_code = "500" && ."odd key" = "1" }'
    )
    assert asked["/api/traces/1"].headers["accept"] == "application/json"


@pytest.mark.parametrize(
    "body",
    [b"[]", b'{"traces": 7}', b'{"traces": [7]}', b'{"batches": [{"scopeSpans": [{"spans": [{}]}]}]}', b"<html>", b""],
)
async def test_another_shape_is_one_sentence(body: bytes) -> None:
    """Whatever it sends, the answer is a value or a SourceError that says whose."""

    async def odd(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        await send(writer, 200, body)

    with Server(odd) as server:
        async with Tempo(Endpoint(server.url)) as source:
            for ask in (source.services, lambda: source.search(SEARCH), lambda: source.trace("1")):
                with pytest.raises(SourceError, match="Tempo at"):
                    await ask()


async def test_a_refusal_is_told_in_its_words() -> None:
    """A query that does not parse is 400 with a sentence."""

    async def refuse(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        await send(writer, 400, b"invalid TraceQL query: parse error at line 1", "text/plain")

    with Server(refuse) as server:
        async with Tempo(Endpoint(server.url)) as source:
            with pytest.raises(QueryError, match="parse error at line 1"):
                await source.search(SEARCH)
