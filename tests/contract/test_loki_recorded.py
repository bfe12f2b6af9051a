"""What real Lokis of three versions answered, through real sockets: every answer is read, every refusal is understood,
and what tells the versions apart makes no difference to the records."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from meshdiag.context import Endpoint
from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.logs.record import Level, Record
from meshdiag.logs.selection import Selection
from meshdiag.logs.tally import Tally
from meshdiag.sources.loki import Loki
from meshdiag.sources.loki.api import LimitTooHigh, RangeTooLong
from meshdiag.sources.loki.labels import LabelNames
from meshdiag.sources.loki.reading import Reader
from meshdiag.sources.loki.tail import read_frame
from tests.replay import RECORDINGS, exchanges, replay, replay_one

SERVERS = ("loki-2.9.17", "loki-3.4.6", "loki-3.7.6")
SELECTOR = '{job="agent-mesh"}'


def streams_of(server: str) -> list[str]:
    """The recorded answers with lines in them."""
    return [name for name in exchanges(server) if name.startswith("query_range_streams")]


async def page(server: str, name: str, *, newest_first: bool = True) -> list[Record]:
    """The records of one recorded answer."""
    with replay_one(server, name) as served:
        async with Loki(Endpoint(served.url), SELECTOR) as loki:
            answer = await loki.api.query_range(SELECTOR, 0, 2**62, 5000, newest_first=newest_first)
    return list(Reader(LabelNames()).records(answer.entries, Tally(), parsed="parser" in name))


@pytest.mark.parametrize("server", SERVERS)
async def test_every_recorded_answer_is_read(server: str) -> None:
    """No answer with lines is misread: as many records as lines, oldest first, each with time, text and stream."""
    for name in streams_of(server):
        recorded = exchanges(server)[name].json["data"]["result"]
        records = await page(server, name)
        assert len(records) == sum(len(stream["values"]) for stream in recorded), name
        times = [record.time_ns or 0 for record in records]
        assert times == sorted(times)
        assert all(time > 1_795_000_000_000_000_000 for time in times), "nanoseconds, from text"
        assert {record.raw.decode() for record in records} == {value[1] for one in recorded for value in one["values"]}
        assert all(record.file.startswith("{") and "said_" not in record.file for record in records)


@pytest.mark.parametrize("server", SERVERS)
async def test_level_component_and_fields_are_the_same_in_every_version(server: str) -> None:
    """Structured metadata and exploded streams in 3.x change nothing about what a line says."""
    records = await page(server, "query_range_streams")
    assert {record.level for record in records} == {Level.ERROR}
    assert {record.component for record in records} == {"router"}
    assert {record.message for record in records} == {"upstream timeout"}
    assert {record.fields["duration_ms"] for record in records} == {0.5, 24.7, 22.8, 33.2, 10.7}
    assert len({record.file for record in records}) == (1 if server == "loki-2.9.17" else 5)


@pytest.mark.parametrize("server", SERVERS)
async def test_categorized_labels_leave_one_stream_one_stream(server: str) -> None:
    """Asked to, Loki 3 keeps metadata apart; what a parser made is no label of the stream in any version."""
    records = await page(server, "query_range_streams_categorized")
    recorded = exchanges(server)["query_range_streams_categorized"].json["data"]
    parsed = list(Reader(LabelNames()).records(_entries(recorded), Tally(), parsed=True))
    assert len({record.file for record in parsed}) == 1, [record.file for record in parsed]
    assert "duration_ms" not in parsed[0].file and "_extracted" not in parsed[0].file
    assert len(records) == len(parsed) == 2


def _entries(data: dict[str, Any]) -> list[Any]:
    from meshdiag.sources.loki.entries import read_streams

    return read_streams(data["result"], data.get("encodingFlags"), newest_first=True)


@pytest.mark.parametrize("server", SERVERS)
async def test_a_stack_trace_is_one_record(server: str) -> None:
    """A line of Loki may hold newlines: it stays whole, its level is that of its first line."""
    records = await page(server, "query_range_streams_multiline")
    assert len(records) == 3
    assert all(record.raw.count(b"\n") == 4 for record in records)
    assert {record.level for record in records} == {Level.ERROR}


REFUSED = {
    "query_range_error_bad_logql": (QueryError, "syntax error"),
    "query_range_error_bad_regex": (QueryError, "missing closing"),
    "query_range_error_empty_matcher": (QueryError, "at least one"),
    "query_range_error_end_before_start": (QueryError, "end timestamp"),
    "query_range_error_limit_too_high": (LimitTooHigh, "5000"),
    "query_range_error_too_long": (RangeTooLong, "30d1h"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("server", SERVERS)
async def test_every_recorded_refusal_is_understood(server: str, name: str) -> None:
    """Plain text, 400 or 500: a refused query is said in the server's words; its bounds are read from it."""
    with replay_one(server, name) as served:
        async with Loki(Endpoint(served.url), SELECTOR) as loki:
            with pytest.raises(REFUSED[name][0], match=REFUSED[name][1]) as caught:
                await loki.api.query_range("{", 0, 1, 10, newest_first=False)
    error = caught.value
    assert served.url in str(error)
    if isinstance(error, LimitTooHigh):
        assert error.cap == 5000
    if isinstance(error, RangeTooLong):
        assert error.longest_ns == (30 * 24 + 1) * 3600 * 10**9


@pytest.mark.parametrize("server", SERVERS)
async def test_it_is_recognised_with_its_version(server: str) -> None:
    """The version and readiness are read; a metric result is no list of lines."""
    with replay(server) as served:
        async with Loki(Endpoint(served.url), SELECTOR) as loki:
            found = await loki.identify()
    assert str(found) == f"Loki {server.removeprefix('loki-')}"
    assert found.ready is True
    with pytest.raises(SourceError, match="another shape"):
        await page(server, "query_range_matrix")


async def test_a_tenant_is_asked_for_in_so_many_words() -> None:
    """401 "no org id" names the header to set; with the header, the recorded answer is taken."""
    with replay_one("loki-3.4.6", "auth_401_no_org_id_query_range") as served:
        async with Loki(Endpoint(served.url), SELECTOR) as loki:
            with pytest.raises(SourceError, match="tenants") as caught:
                [_ async for _ in loki.records(Selection(), Tally())]
    assert caught.value.trouble is Trouble.UNAUTHORIZED
    assert "X-Scope-OrgID" in caught.value.hint


@pytest.mark.parametrize("name", ["starting_ready_some", "starting_ready_ingester"])
async def test_a_loki_that_starts_is_said_to_start(name: str) -> None:
    """While it starts a query hangs; the time-out is explained by what /ready says."""
    ready = exchanges("loki-3.4.6")[name]

    async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
        from tests.serving import send

        if asked.path != "/ready":
            await asyncio.sleep(60)
        await send(writer, ready.status, ready.body, ready.content_type)

    from tests.serving import Server

    with Server(answer) as served:
        async with Loki(Endpoint(served.url, timeout_s=0.3), SELECTOR) as loki:
            with pytest.raises(SourceError, match="not ready yet") as caught:
                [_ async for _ in loki.records(Selection(), Tally())]
    assert caught.value.trouble is Trouble.STARTING


@pytest.mark.parametrize("server", SERVERS)
def test_every_recorded_frame_of_the_tail_is_read(server: str) -> None:
    """History and live lines of the tail are read alike; a live line lacks labels that a query has."""
    for name in ("frames", "delay_for"):
        recorded = json.loads((RECORDINGS / server / "tail" / f"{name}.json").read_text())["frames"]
        texts = [one["text"] for one in recorded if one.get("opcode") == 1]
        frames = [read_frame(json.dumps(text)) for text in texts]
        entries = [entry for frame in frames for entry in frame.entries]
        assert len(entries) == sum(len(stream["values"]) for text in texts for stream in text["streams"])
        live = [record for record in Reader(LabelNames()).records(entries, Tally()) if b'"live ' in record.raw]
        assert {record.level for record in live} == {Level.ERROR}
        assert {record.message for record in live} == {"live one", "live two"}
