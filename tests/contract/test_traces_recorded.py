"""Jaeger 1.57, 1.74 and VictoriaTraces as they really answered: every recorded exchange through real sockets."""

from __future__ import annotations

import pytest

from meshdiag.context import Endpoint
from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.sources.traces.jaeger import Jaeger
from meshdiag.sources.traces.trace import Search
from tests.replay import exchanges, replay, replay_one

JAEGERS = ("jaeger-1.57.0", "jaeger-1.74.0")
STORES = (*JAEGERS, "victoriatraces-0.1.0-pre")
SEARCH = Search("gateway", 1795342439.619921, 1795349699.619921)


def _base(store: str, url: str) -> str:
    return f"{url}/select/jaeger" if store.startswith("victoria") else url


@pytest.mark.parametrize(("store", "name"), [(store, name) for store in STORES for name in exchanges(store)])
async def test_no_recorded_answer_breaks_any_question(store: str, name: str) -> None:
    """Whatever answer is given to whatever question, it is a value or a SourceError."""
    with replay_one(store, name) as server:
        async with Jaeger(Endpoint(server.url)) as source:
            for ask in (source.services, lambda: source.operations("a b/c"), lambda: source.search(SEARCH)):
                try:
                    await ask()
                except SourceError as error:
                    assert error.source == "Jaeger" and error.where.startswith(server.url)
            try:
                await source.trace("6ed0a4a673cf256d")
            except SourceError as error:
                assert error.message


@pytest.mark.parametrize("store", STORES)
async def test_a_trace_is_read_with_its_services_parents_and_errors(store: str) -> None:
    """The same request, as three servers tell it: six spans of four services, in a chain, some of them failed."""
    with replay_one(store, "trace_with_error") as server:
        async with Jaeger(Endpoint(server.url)) as source:
            trace = await source.trace("00000000000000006ed0a4a673cf256d")
    assert trace is not None and len(trace.spans) == 6
    assert (trace.root.service, trace.root.operation) == ("gateway", "POST /v1/tasks")
    assert trace.root.duration_s == pytest.approx(2.227988, abs=1e-6)
    services = {span.operation: span.service for span in trace.spans}
    assert services["route"] == "router" and services["plan"] == "planner" and services["run tool"] == "executor"
    by_id = {span.id: span for span in trace.spans}
    parents = {span.operation: by_id[span.parent].operation for span in trace.spans if span.parent}
    assert parents["plan"] == "route" and parents["route"] == "POST /v1/tasks"
    assert {span.operation for span in trace.spans if span.error} == {"POST /v1/tasks", "run tool"}
    assert {span.node for span in trace.spans} == {"host-a"}


@pytest.mark.parametrize("store", STORES)
async def test_a_trace_that_is_not_there_is_none(store: str) -> None:
    """404 with words of its own, or an empty list."""
    with replay_one(store, "trace_not_found") as server:
        async with Jaeger(Endpoint(server.url)) as source:
            assert await source.trace("dead") is None


@pytest.mark.parametrize("store", STORES)
async def test_a_refused_search_is_told_in_the_servers_words(store: str) -> None:
    """JSON sent as plain text, or plain text."""
    with replay_one(store, "traces_bad_tags") as server:
        async with Jaeger(Endpoint(server.url)) as source:
            with pytest.raises(QueryError, match="invalid character 'n'"):
                await source.search(SEARCH)


@pytest.mark.parametrize("store", JAEGERS)
async def test_the_web_page_behind_an_unknown_path_is_no_answer(store: str) -> None:
    """Status 200 with a page: said as such, with what to check."""
    with replay_one(store, "api_not_found") as server:
        async with Jaeger(Endpoint(server.url)) as source:
            with pytest.raises(SourceError, match="not JSON") as caught:
                await source.services()
    assert caught.value.trouble is Trouble.MALFORMED


async def test_a_search_is_sent_as_the_server_takes_it() -> None:
    """Microseconds, Go's durations, tags as JSON; the answer comes slowest first, and says when it may be cut."""
    search = Search("gateway", 1795342439.5, 1795349699.5, "POST /v1/tasks", 1.0, None, {"a": "1"}, True, 2)
    with replay("jaeger-1.74.0", lambda _asked: "traces_min_duration") as server:
        async with Jaeger(Endpoint(server.url)) as source:
            found = await source.search(search)
            curl = source.evidence(search).command
        assert dict(server.asked[0].params) == {
            "service": "gateway",
            "operation": "POST /v1/tasks",
            "start": "1795342439500000",
            "end": "1795349699500000",
            "minDuration": "1000000us",
            "tags": '{"a":"1","error":"true"}',
            "limit": "2",
        }
    took = [trace.duration_s for trace in found.traces]
    assert found.cut and len(took) == 2 and took == sorted(took, reverse=True)
    assert curl.startswith("curl ") and "minDuration=1000000us" in curl


@pytest.mark.parametrize("store", JAEGERS)
async def test_a_span_whose_parent_never_arrived_is_the_root(store: str) -> None:
    """An orphan is shown, with the store's warning where it gives one."""
    with replay_one(store, "trace_orphan") as server:
        async with Jaeger(Endpoint(server.url)) as source:
            trace = await source.trace("83b852d7c00dc63d84c955f11572c073")
    assert trace is not None and trace.root.operation == "orphan" and trace.root.parent
    assert any("parent" in warning for span in trace.spans for warning in span.warnings)


@pytest.mark.parametrize("store", STORES)
async def test_services_are_sorted(store: str) -> None:
    """The servers tell them in random order."""
    with replay_one(store, "services") as server:
        async with Jaeger(Endpoint(_base(store, server.url))) as source:
            services = await source.services()
    assert list(services) == sorted(services) and "gateway" in services
