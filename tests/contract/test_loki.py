"""Loki over real sockets: pages without a loss, bounds that are learnt, work that is pushed down, and clear words."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshdiag.context import Endpoint
from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.logs.record import Level, Record
from meshdiag.logs.selection import Pattern, Selection
from meshdiag.logs.tally import Tally
from meshdiag.logs.where import parse_where
from meshdiag.sources.loki import Loki
from tests.lokiserver import NS, LokiServer
from tests.serving import Server, send

SELECTOR = '{job="agent-mesh"}'
NOW = time.time_ns()
DAY = 86_400 * NS


@pytest.fixture(scope="module")
def shared() -> Iterator[LokiServer]:
    """One server for all examples of a property."""
    with LokiServer() as loki:
        yield loki


async def read(server: LokiServer, selection: Selection, tally: Tally | None = None, **options: object) -> list[Record]:
    """The records that a selection gives."""
    async with Loki(Endpoint(server.url, timeout_s=3.0), SELECTOR, **options) as loki:  # type: ignore[arg-type]
        return [record async for record in loki.records(selection, tally or Tally())]


def fill(server: LokiServer, count: int, start_ns: int = NOW - 600 * NS, step_ns: int = NS) -> None:
    """Lines of three streams: JSON of two components, and text."""
    for place in range(count):
        level = ("info", "error", "debug")[place % 3]
        body = {"level": level, "component": "consensus", "round": place, "msg": f"round {place}"}
        labels = ({"component": "consensus"}, {"component": "network"}, {})[place % 3]
        line = json.dumps(body) if labels else f"2026-11-22T11:00:00Z [{level.upper()}] step {place}"
        server.push({"job": "agent-mesh", **labels}, start_ns + place * step_ns, line)


# pages ----------------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from("abc"), st.sampled_from("xy")), max_size=40),
    st.integers(1, 9),
    st.booleans(),
)
def test_no_page_loses_or_doubles_a_line(
    shared: LokiServer, lines: list[tuple[int, str, str]], cap: int, backwards: bool
) -> None:
    """Streams side by side, many lines of one nanosecond, equal lines, any bound: each line comes once. Where more bear
    one time than the server gives at once, that is said, and nothing else is missing."""
    shared.stored.clear()
    shared.cap = cap
    for offset, stream, text in lines:
        shared.push({"job": "agent-mesh", "s": stream}, NOW - 100 + offset, text)
    tally = Tally()
    selection = Selection(since_ns=NOW - 200, until_ns=NOW, tail=1000 if backwards else None)
    records = asyncio.run(read(shared, selection, tally))
    times = [record.time_ns or 0 for record in records]
    assert times == sorted(times)
    got = Counter((record.time_ns, record.raw.decode(), record.file) for record in records)
    there = Counter(
        (NOW - 100 + at, text, f'{{job="agent-mesh", s="{s}", service_name="unknown_service"}}')
        for at, s, text in lines
    )
    crowded = {at for at, count in Counter(at for at, _, _ in lines).items() if count > cap}
    assert not got - there, "nothing twice"
    missing = there - got
    assert {time_ns - NOW + 100 for time_ns, _, _ in missing} <= crowded
    assert bool(missing) <= bool(tally.skipped), tally


def test_head_and_tail_ask_for_no_more_than_they_need() -> None:
    """The first lines of a million are not all fetched; the last ones come from the end."""
    with LokiServer() as server:
        fill(server, 3000, step_ns=NS // 10)
        first = asyncio.run(read(server, Selection(since_ns=NOW - DAY, head=5)))
        last = asyncio.run(read(server, Selection(tail=5)))
        asked = [dict(one.params) for one in server.asked if one.path.endswith("query_range")]
    assert [record.fields.get("round") for record in first][:2] == [0, 1]
    assert len(first) == len(last) == 5
    assert b"2999" in last[-1].raw
    assert [(one["limit"], one["direction"]) for one in asked] == [("6", "forward"), ("6", "backward")]


def test_the_bounds_of_a_server_are_learnt() -> None:
    """Fewer lines at once, a shorter window: the first refusal names them, and everything still comes."""
    with LokiServer(cap=700, longest_s=2 * 86_400) as server:
        fill(server, 1500, NOW - 9 * DAY, 9 * DAY // 1600)
        records = asyncio.run(read(server, Selection(since_ns=NOW - 9 * DAY)))
        backwards = asyncio.run(read(server, Selection(since_ns=NOW - 9 * DAY, tail=1400)))
    assert len(records) == 1500
    assert len(backwards) == 1400
    assert backwards[-1].raw == records[-1].raw


@pytest.mark.parametrize("tail", [None, 190])
async def test_a_window_that_takes_too_long_is_asked_in_parts(tail: int | None) -> None:
    """A server that is alive but too slow for a day still gives the day, hour by hour, and that is said."""
    with LokiServer(slow_over_s=4000) as server:
        fill(server, 200, NOW - DAY // 2, DAY // 2 // 210)
        tally = Tally()
        async with Loki(Endpoint(server.url, timeout_s=0.3), SELECTOR) as loki:
            selection = Selection(since_ns=NOW - DAY // 2, until_ns=NOW, tail=tail)
            records = [record async for record in loki.records(selection, tally)]
    assert len(records) == (tail or 200)
    assert any("in parts" in note for note in tally.notes)


def test_lines_too_large_for_one_answer_come_in_smaller_ones() -> None:
    """An answer above the limit of size is asked for again with fewer lines."""
    with LokiServer() as server:
        for place in range(18):
            server.push({"job": "agent-mesh"}, NOW - 60 * NS + place, f"{place:03d}" + "x" * 1_000_000)
        tally = Tally()
        records = asyncio.run(read(server, Selection(since_ns=NOW - DAY), tally))
    assert [record.raw[:3] for record in records] == [f"{place:03d}".encode() for place in range(18)]


def test_without_a_beginning_it_says_how_far_it_looked() -> None:
    """A server that holds months is not read whole: the last hour, said; the last lines, as far as it takes."""
    with LokiServer() as server:
        server.push({"job": "agent-mesh"}, NOW - 3 * DAY, "old")
        server.push({"job": "agent-mesh"}, NOW - 5 * NS, "new")
        tally, last = Tally(), Tally()
        records = asyncio.run(read(server, Selection(), tally))
        found = asyncio.run(read(server, Selection(tail=3), last))
    assert [record.raw for record in records] == [b"new"]
    assert any("--since" in note for note in tally.notes)
    assert [record.raw for record in found] == [b"old", b"new"]
    assert any("30 days" in note for note in last.notes)


# what is pushed down --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.9.17", "3.7.6"])
@pytest.mark.parametrize(
    ("selection", "part", "few"),
    [
        (Selection(levels=frozenset({Level.ERROR, Level.FATAL})), 'level!~"(?i:', 110),
        (Selection(components=("network",)), 'component=~"(?i:network)?"', 110),
        (Selection(patterns=(Pattern("round 29"),)), '|= "round 29"', 10),
        (Selection(where=parse_where("round >= 290")), "| json | (round>=290", 210),
        (Selection(field="round", patterns=(Pattern('ROUND 2[0-9]"', ignore_case=True),)), "said_0", 10),
    ],
)
def test_the_server_does_the_work(version: str, selection: Selection, part: str, few: int) -> None:
    """The records are those that the exact test takes from all lines, and most lines never travel."""
    with LokiServer(version=version) as server:
        fill(server, 300)
        everything = asyncio.run(read(server, Selection(since_ns=NOW - DAY)))
        tally = Tally()
        got = asyncio.run(read(server, _since(selection), tally))
        query = server.queries[-1]
    from meshdiag.logs.matching import Matcher

    matcher = Matcher(selection)
    assert [record.raw for record in got] == [record.raw for record in everything if matcher.wants(record)]
    assert got
    assert part in query
    assert tally.records <= few, "what is not wanted stays there"
    assert tally.matched == len(got)


def _since(selection: Selection) -> Selection:

    return selection._replace(since_ns=NOW - DAY)


def test_the_evidence_is_what_was_sent() -> None:
    """After the look at the lines, the printed query is the one that the server got."""
    with LokiServer() as server:
        for place in range(10):
            server.push({"job": "agent-mesh"}, NOW - place * NS, f"level=info queue={place} msg=x")
        selection = Selection(since_ns=NOW - DAY, where=parse_where("queue > 6"))

        async def ask() -> tuple[list[Record], str]:
            async with Loki(Endpoint(server.url), SELECTOR) as loki:
                records = [record async for record in loki.records(selection, Tally())]
                return records, loki.evidence(selection)[0].command

        records, command = asyncio.run(ask())
        assert len(records) == 3
        assert "| logfmt | (queue>6" in server.queries[-1]
        assert server.queries[-1] in command


def test_context_lines_are_those_of_the_same_stream() -> None:
    """-B and -A show neighbours in the stream, marked as such, whatever other streams say meanwhile."""
    with LokiServer() as server:
        for place in range(20):
            server.push({"job": "agent-mesh", "s": "ab"[place % 2]}, NOW - (30 - place) * NS, f"line {place}")
        tally = Tally()
        selection = Selection(since_ns=NOW - DAY, patterns=(Pattern("line 1[04]"),), before=1, after=1)
        records = asyncio.run(read(server, selection, tally))
        last = asyncio.run(read(server, Selection(since_ns=NOW - DAY, patterns=(Pattern("line 1"),), before=1, tail=1)))
        asked = Selection(since_ns=NOW - DAY, patterns=(Pattern("line (4|5|11|17)$"),), before=1)
        apart = asyncio.run(read(server, asked))
    assert [(record.raw, record.context) for record in records] == [
        (b"line 8", True), (b"line 10", False), (b"line 12", True), (b"line 14", False), (b"line 16", True)
    ]  # fmt: skip
    assert [record.raw for record in apart if record.gap] == [b"line 9", b"line 15"]
    assert tally.matched == 2
    assert any("nothing is filtered there" in note for note in tally.notes)
    assert [record.raw for record in last] == [b"line 19"]


def test_a_server_that_refuses_the_filters_is_asked_for_every_line() -> None:
    """An older or stricter dialect of LogQL costs a note and a longer way, not the answer."""

    async def answer(asked: object, writer: asyncio.StreamWriter) -> None:
        query = asked.param("query") or ""  # type: ignore[attr-defined]
        if "regexp" in query:
            await send(writer, 400, b"parse error at line 1, col 30: syntax error: unexpected regexp", "text/plain")
            return
        line = [str(NOW - NS), '{"level":"error","msg":"kept"}'], [str(NOW - NS), '{"level":"info","msg":"not"}']
        data = {"resultType": "streams", "result": [{"stream": {"job": "agent-mesh"}, "values": line}]}
        await send(writer, 200, json.dumps({"status": "success", "data": data}).encode())

    with Server(answer) as served:
        for tail in (None, 10):
            tally = Tally()
            selection = Selection(since_ns=NOW - DAY, levels=frozenset({Level.ERROR}), tail=tail)
            records = asyncio.run(read(served, selection, tally))  # type: ignore[arg-type]
            assert [record.message for record in records] == ["kept"]
            assert any("every line is asked for instead" in note for note in tally.notes)


# who answers ----------------------------------------------------------------------------------------------------------


async def _error(url: str, selection: Selection | None = None, **endpoint: object) -> SourceError:
    async with Loki(Endpoint(url, timeout_s=1.0, **endpoint), SELECTOR) as loki:  # type: ignore[arg-type]
        with pytest.raises(SourceError) as caught:
            [_ async for _ in loki.records(selection or Selection(since_ns=NOW - DAY), Tally())]
    return caught.value


async def test_another_server_on_its_port_is_named() -> None:
    """A node's metrics page answers every path: that is said, not read as an empty log."""

    async def answer(_: object, writer: asyncio.StreamWriter) -> None:
        await send(writer, 200, b"# TYPE mesh_peer_count gauge\nmesh_peer_count 5\n", "text/plain; version=0.0.4")

    with Server(answer) as served:
        error = await _error(served.url)
        async with Loki(Endpoint(served.url), SELECTOR) as loki:
            with pytest.raises(SourceError, match="not Loki"):
                await loki.identify()
    assert error.trouble is Trouble.WRONG_SERVER
    assert "metrics page" in error.message
    assert "3100" in error.hint


async def test_a_tenant_in_the_headers_is_sent() -> None:
    """X-Scope-OrgID goes with every request; without it the hint names it."""
    with LokiServer(tenant="t1") as server:
        server.push({"job": "agent-mesh"}, NOW, "a line")
        assert "X-Scope-OrgID" in (await _error(server.url)).hint
        async with Loki(Endpoint(server.url, headers={"X-Scope-OrgID": "t1"}), SELECTOR) as loki:
            records = [record async for record in loki.records(Selection(since_ns=NOW - DAY), Tally())]
            assert str(await loki.identify()) == "Loki 3.7.6"
    assert len(records) == 1


async def test_starting_is_told_apart_from_slow() -> None:
    """While it starts, a query hangs: the answer says that it starts, in its own words."""
    with LokiServer(starting=True) as server:
        error = await _error(server.url)
    assert error.trouble is Trouble.STARTING
    assert "waiting for 15s" in error.message


async def test_a_selector_that_loki_refuses_is_said_in_its_words() -> None:
    """{job=~".*"} is refused by Loki: its reason is shown, once."""
    with LokiServer() as server:
        async with Loki(Endpoint(server.url), '{job=~".*"}') as loki:
            with pytest.raises(QueryError, match="at least one"):
                [_ async for _ in loki.records(Selection(since_ns=NOW - DAY, levels=frozenset({Level.ERROR})), Tally())]


def test_hostile_labels_and_lines_are_data() -> None:
    """Quotes, newlines and escapes in labels and lines neither break the query nor the stream's name."""
    with LokiServer() as server:
        evil = 'a"} | json \x1b[31m\n[bold]\u202e'
        server.push({"job": "agent-mesh", "node": evil}, NOW - NS, "x\x1b[2J\u0000y")
        records = asyncio.run(read(server, Selection(since_ns=NOW - DAY, nodes=(evil,))))
    assert [record.node for record in records] == [evil]
    assert "\n" not in records[0].file and "\x1b" not in records[0].file
