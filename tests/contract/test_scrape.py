"""Metrics straight from nodes' pages, over real sockets: values, rates, broken nodes among good ones."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from meshdiag.context import Endpoint, NodeAddress
from meshdiag.errors import LeftOut, QueryError, SourceError, Trouble
from meshdiag.metrics import AbsenceKind
from meshdiag.sources.scrape import Scrape
from tests.nodes import FakeNode, page, running, served

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.metrics import Vector

ENDPOINT = Endpoint("http://localhost", timeout_s=1.0)
GAP_S = 0.15


def scrape(nodes: Sequence[NodeAddress], endpoint: Endpoint = ENDPOINT, *, single_look: bool = False) -> Scrape:
    """The source under test, with a short gap between its two looks."""
    return Scrape(nodes, endpoint, gap_s=GAP_S, max_page_bytes=1024 * 1024, single_look=single_look)


def values(vector: Vector, label: str = "instance") -> dict[str, float]:
    """The values of a vector by one label."""
    return {sample.labels.get(label, ""): sample.value for sample in vector.samples}


async def test_samples_carry_the_labels_that_prometheus_gives() -> None:
    """job, instance, node and role are there; what the page calls by such a name becomes exported_."""
    node = FakeNode(lambda _: page('x{job="mine",peer="p"} 4\n'))
    async with running(node):
        address = node.address("trainer-1", "trainer")
        answer = await scrape([address]).instant("x")
    assert [(dict(one.labels), one.value) for one in answer.samples] == [
        (
            {
                "__name__": "x",
                "job": "agent-mesh",
                "exported_job": "mine",
                "peer": "p",
                "instance": address.instance,
                "node": "trainer-1",
                "role": "trainer",
            },
            4.0,
        )
    ]


async def test_queries_asked_together_share_one_look() -> None:
    """Many queries at once cost one request a node, and a few later ones none."""
    nodes = [FakeNode(lambda _: page("a 1\nb 2\nc_total 3\n")) for _ in range(3)]
    async with running(*nodes):
        source = scrape([node.address() for node in nodes])
        answers = await asyncio.gather(*(source.instant(query) for query in ("a", "b", "sum(a)", "count(up)")))
        assert [len(answer.samples) for answer in answers] == [3, 3, 1, 1]
        assert len((await source.instant("c_total")).samples) == 3, "read from the page that is at hand"
        assert [len(node.requests) for node in nodes] == [1, 1, 1]


async def test_rates_come_from_two_looks_and_nobody_else_waits() -> None:
    """The rate is over the span really observed; a plain query is answered before the second look."""
    node = FakeNode(lambda number: page(f"c_total {100 * number}\ng 5\n"))
    async with running(node):
        source = scrape([node.address()])
        rate = asyncio.create_task(source.instant("rate(c_total[5m])"))
        assert (await source.instant("g")).samples[0].value == 5.0
        assert len(node.requests) == 1
        per_second = (await rate).samples[0].value
        assert len(node.requests) == 2
        again = await source.instant("increase(c_total[5m])")
        assert again.samples[0].value == pytest.approx(per_second * 300)
    assert 100 / 5 < per_second < 100 / (GAP_S * 0.8), "100 more within the gap, however slow the machine"


async def test_a_counter_that_was_reset_does_not_run_backwards() -> None:
    """A node that restarted between the looks has a rate from its new count on."""
    node = FakeNode(lambda number: page(f"c_total {1000 if number == 1 else 30}\n"))
    async with running(node):
        answer = await scrape([node.address()]).instant("increase(c_total[1m])")
    assert answer.samples[0].value > 0


async def test_a_single_look_has_no_rates() -> None:
    """Without a second look a rate is left out, with the reason; what nobody exposes is just not there."""
    node = FakeNode(lambda _: page("c_total 1\n"))
    async with running(node):
        source = scrape([node.address()], single_look=True)
        with pytest.raises(LeftOut, match="two looks"):
            await source.instant("rate(c_total[5m])")
        assert (await source.instant("rate(d_total[5m])")).samples == ()
        assert "two looks" in (await source.why_empty("rate(c_total[5m])")).message
        assert len(node.requests) == 1


async def _never(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def _drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.05)


BAD_PAGES = {
    "404": (page("no", status="404 Not Found"), "no such path"),
    "401": (page("no", status="401 Unauthorized"), "asks for credentials"),
    "500": (page("no", status="500 Oops"), "server failed"),
    "html": (page("<!doctype html><title>Grafana</title>", kind="text/html"), "Grafana"),
    "json": (page('{"status": "ok"}', kind="application/json"), "not a metrics page"),
    "prometheus": (page("# HELP x y\nprometheus_tsdb_head_series 5\n"), "Prometheus server's own metrics"),
    "huge": (page("a 1\n" * 300_000), "larger than 1 MiB"),
    "unfolding": (page(gzip.compress(b"a 1\n" * 3_000_000), extra="Content-Encoding: gzip\r\n"), "larger than 1 MiB"),
    "cut": (page("a 1\n").replace(b"Content-Length: 4", b"Content-Length: 400"), "before the answer was complete"),
    "unfinished": (page("a 1\nb 2\n", kind="application/openmetrics-text; version=1.0.0"), "cut short"),
    "empty": (page(""), "empty"),
    "other protocol": (b"SSH-2.0-OpenSSH_9\r\n", "not HTTP"),
    "circle": (page("", status="302 Found", extra="Location: /metrics\r\n"), "circle"),
    "elsewhere": (page("", status="302 Found", extra="Location: http://other.invalid/\r\n"), "another server"),
}


@pytest.mark.parametrize("bad", BAD_PAGES)
async def test_one_bad_page_does_not_spoil_the_others(bad: str) -> None:
    """The good node's values come, the bad one is down with one clear sentence."""
    wire, words = BAD_PAGES[bad]
    good, broken = FakeNode(lambda _: page("a 1\n")), FakeNode(lambda _: wire)
    async with running(good, broken):
        source = scrape([broken.address(), good.address()])
        up, a = await asyncio.gather(source.instant("up"), source.instant("a"))
    assert values(up) == {broken.address().instance: 0.0, good.address().instance: 1.0}
    assert values(a) == {good.address().instance: 1.0}
    problem = source.problems[broken.address().instance]
    assert words in problem
    assert "\n" not in problem
    assert good.address().instance not in source.problems


async def test_slow_and_silent_nodes_end_with_the_timeout() -> None:
    """A node that accepts and is silent, one that sends a byte now and then, one that refuses: all are down."""
    good = FakeNode(lambda _: page("a 1\n"))
    async with running(good), served(_never) as silent, served(_drip) as slow:
        async with served(_never) as closed:
            pass
        addresses = [NodeAddress(f"http://127.0.0.1:{port}/metrics", str(port)) for port in (silent, slow, closed)]
        source = scrape([*addresses, good.address()], Endpoint("http://x", timeout_s=0.4))
        up = values(await source.instant("up"))
    assert up == {str(silent): 0.0, str(slow): 0.0, str(closed): 0.0, good.address().instance: 1.0}
    assert "no answer within 0.4 s" in source.problems[str(silent)]
    assert "no answer within 0.4 s" in source.problems[str(slow)]
    assert "connection refused" in source.problems[str(closed)]


@pytest.mark.parametrize("value", ["a\r\nX: b", "€"])
async def test_a_header_that_cannot_be_sent_is_one_sentence(value: str) -> None:
    """Nothing is sent, and who is to look where is said; the header's value is not."""
    node = FakeNode(lambda _: page("a 1\n"))
    async with running(node):
        source = scrape([node.address()], Endpoint("http://x", headers={"X-Scope": value}))
        with pytest.raises(SourceError, match="cannot be sent: a header or path holds") as refused:
            await source.instant("a")
    assert refused.value.trouble is Trouble.NOT_CONFIGURED
    assert "X: b" not in str(refused.value)
    assert node.requests == []


async def test_nobody_looks_twice_at_nodes_that_do_not_answer() -> None:
    """A rate is there after the second look at whoever answered; the silent ones are not asked to be silent again."""
    asked = 0

    async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(30)

    node = FakeNode(lambda number: page(f"c_total {100 * number}\n"))
    async with running(node), served(silent) as port:
        mute = NodeAddress(f"http://127.0.0.1:{port}/metrics", str(port))
        source = scrape([mute, node.address()], Endpoint("http://x", timeout_s=0.3))
        rate = await source.instant("rate(c_total[5m])")
        up = await source.instant("up")
    assert [one.labels["instance"] for one in rate.samples] == [node.address().instance]
    assert values(up) == {str(port): 0.0, node.address().instance: 1.0}
    assert (asked, len(node.requests)) == (1, 2)


async def test_there_is_no_second_look_where_nobody_answered_the_first() -> None:
    """Nodes that are known to exist and are all down are told at once, with no rates."""
    async with served(_never) as port:
        pass
    source = Scrape([NodeAddress(f"http://127.0.0.1:{port}/metrics", "a")], ENDPOINT, gap_s=60, expected=True)
    async with asyncio.timeout(10):
        rate, up = await asyncio.gather(source.instant("rate(c_total[5m])"), source.instant("up"))
    assert (rate.samples, values(up)) == ((), {"a": 0.0})


async def test_when_no_node_answers_it_is_an_error_and_not_an_absence() -> None:
    """Nothing can be said then: the first trouble is named, with what to try."""
    async with served(_never) as port:
        pass
    node = NodeAddress(f"http://127.0.0.1:{port}/metrics", "n1")
    with pytest.raises(SourceError) as refused:
        await scrape([node, node]).instant("up")
    assert refused.value.trouble is Trouble.REFUSED
    assert "none of the 2 nodes answers" in refused.value.message
    assert refused.value.hint


async def test_a_node_that_dies_between_the_looks_has_no_stale_values() -> None:
    """What a node said before it died is not passed off as the present."""
    node = FakeNode(lambda number: page(f"a {number}\nc_total {number}\n") if number == 1 else b"")
    other = FakeNode(lambda _: page("a 7\nc_total 1\n"))
    async with running(node, other):
        source = scrape([node.address(), other.address()])
        await source.instant("a")
        await source.instant("rate(c_total[5m])")
        assert values(await source.instant("a")) == {other.address().instance: 7.0}
        absence = await source.why_empty(f'a{{instance="{node.address().instance}"}}')
    assert absence.kind is AbsenceKind.TARGET_DOWN


async def test_broken_lines_are_named_and_the_node_is_up() -> None:
    """The rest of the page counts; the problem has the line number."""
    node = FakeNode(lambda _: page("a 1\nb{x= 2\n"))
    async with running(node):
        source = scrape([node.address()])
        await asyncio.gather(source.instant("a"), source.instant("b"))
        assert values(await source.instant("up")) == {node.address().instance: 1.0}
    assert "line 2" in source.problems[node.address().instance]


async def test_what_a_look_did_not_see_is_told() -> None:
    """Half an answer says so: nodes that are silent and lines that cannot be read; a metric that stands in such lines
    alone is neither exposed nor missing."""
    good, bad = FakeNode(lambda _: page("x 1\ny 2\n")), FakeNode(lambda _: page('x 1\nz{a="b" 2\n'))
    async with running(good, bad):
        nodes = [good.address(), bad.address()]
        source = scrape(nodes)
        assert len((await source.instant("x")).samples) == 2
        assert source.gaps == ""
        assert not (await source.instant("z")).samples
        absence = await source.why_empty("z")
        assert source.gaps.startswith(f"{bad.address().instance}: the page has broken lines: line 2")
    assert "line 2" in absence.message
    assert absence.kind is AbsenceKind.TARGET_DOWN
    async with running(good):
        source = scrape([good.address(), NodeAddress("http://127.0.0.1:1/metrics", "127.0.0.1:1")])
        assert len((await source.instant("x")).samples) == 1
        assert source.gaps == "1 of 2 nodes does not answer"


async def test_the_clock_comes_from_the_date_header_where_the_page_has_none() -> None:
    """Clock skew can be told without a metric for it."""
    extra = "Date: Mon, 09 Mar 2026 03:12:00 GMT\r\n"
    without = FakeNode(lambda _: page("a 1\n", extra=extra))
    with_ = FakeNode(lambda _: page("node_time_seconds 42\n", extra=extra))
    async with running(without, with_):
        answer = values(await scrape([without.address(), with_.address()]).instant("node_time_seconds"))
    moment = datetime(2026, 3, 9, 3, 12, tzinfo=UTC).timestamp()
    assert answer == {without.address().instance: moment + 0.5, with_.address().instance: 42.0}


@pytest.mark.parametrize(
    ("query", "kind", "words"),
    [
        ("consensus_round_duration_second", AbsenceKind.NEVER_SEEN, "did you mean consensus_round_duration_seconds"),
        ("took", AbsenceKind.NEVER_SEEN, "exposed as took_bucket, took_count"),
        ('a{peer="nobody"}', AbsenceKind.OTHER_LABELS, 'nowhere with peer="nobody": peer is p1'),
        ('a{nolabel="x"}', AbsenceKind.OTHER_LABELS, "there is no label nolabel"),
        ("a > 5", AbsenceKind.FILTERED, "leaves none"),
    ],
)
async def test_an_empty_answer_is_explained(query: str, kind: AbsenceKind, words: str) -> None:
    """Never seen, other labels and filtered away are told apart."""
    body = 'a{peer="p1"} 1\nconsensus_round_duration_seconds 3\ntook_bucket{le="+Inf"} 1\ntook_count 1\n'
    node = FakeNode(lambda _: page(body))
    async with running(node):
        source = scrape([node.address()])
        assert (await source.instant(query)).samples == ()
        absence = await source.why_empty(query)
    assert (absence.kind, words in absence.message) == (kind, True), absence.message


@pytest.mark.parametrize("query", ["a offset 1h", "a @ 1000", "max_over_time(a[1h:1m])", "absent(a offset 1d)"])
async def test_the_past_is_refused_and_not_guessed(query: str) -> None:
    """Pages hold no history: asking for it is an error of its own, never an empty answer."""
    node = FakeNode(lambda _: page("a 1\n"))
    async with running(node):
        with pytest.raises(SourceError) as refused:
            await scrape([node.address()]).instant(query)
        assert refused.value.trouble is Trouble.NOT_AVAILABLE
        with pytest.raises(SourceError):
            await scrape([node.address()]).instant("a", datetime.now(UTC) - timedelta(hours=1))
        with pytest.raises(SourceError):
            end = datetime.now(UTC)
            await scrape([node.address()]).range("a", end - timedelta(hours=1), end, timedelta(minutes=1))
    assert node.requests == []


STEP = timedelta(seconds=0.1)
"""Of watches. On a busy machine a look may come late, and the one after it be left out: that is allowed for."""


async def test_a_watch_reads_the_pages_at_every_step_of_the_span() -> None:
    """One look a step, a point a look, rates over the window that was really seen; the pages are not all kept."""
    node = FakeNode(lambda number: page(f"c_total {10 * number}\ng {number}\n"))
    told: list[tuple[int, int]] = []
    async with running(node):
        source = scrape([node.address()])
        gauge = await source.watch("g", 5 * STEP, STEP, lambda done, total: told.append((done, total)))
        rates = source.seen("rate(c_total[300ms])", STEP)
    seen = list(gauge.series[0].values)
    assert (seen[0], seen[-1], seen) == (1, len(node.requests), sorted(seen))
    assert len(seen) >= 6
    assert 3 <= len(node.requests) <= 6
    assert (told[0], told[-1], len(told)) == ((1, 6), (6, 6), len(node.requests))
    assert rates.series == (), "what was not asked for is not kept"
    assert [bool(look.pages) for look in source._observed.looks[-3:]] == [False, True, True]


async def test_rates_of_a_watch_are_of_their_window() -> None:
    """A counter that stops has a rate of zero once its last growth is out of the window."""
    node = FakeNode(lambda number: page(f"c_total {10 * min(number, 4)}\n"))
    async with running(node):
        answer = await scrape([node.address()]).watch("rate(c_total[250ms])", 9 * STEP, STEP)
    first, *_between, last = answer.series[0].values
    assert first > 0
    assert last == 0


async def test_a_node_that_dies_during_a_watch_ends_in_it() -> None:
    """Its series stops where it died; up tells."""
    node = FakeNode(lambda number: page(f"g {number}\n") if number < 3 else b"")
    other = FakeNode(lambda number: page("g 1\n"))
    async with running(node, other):
        source = scrape([node.address(), other.address()])
        answer = await source.watch("g or up == 0", 4 * STEP, STEP)
    lengths = {(one.labels["__name__"], one.labels["instance"]): list(one.values) for one in answer.series}
    died, lived = lengths[("g", node.address().instance)], lengths[("g", other.address().instance)]
    down = lengths[("up", node.address().instance)]
    assert set(died) == {1, 2}
    assert set(down) == {0}
    assert len(died) + len(down) == len(lived) >= 5


async def test_a_watch_that_cannot_succeed_ends_at_once() -> None:
    """A name that nobody has, a query about a past that will not be seen, one that has no value at a moment."""
    node = FakeNode(lambda _: page("a 1\n"))
    async with running(node):
        source = scrape([node.address()])
        for query in ("a offset 1h", "a @ 1000", "max_over_time(a[1h:1m])"):
            with pytest.raises(SourceError, match="no history"):
                await source.watch(query, 5 * STEP, STEP)
        with pytest.raises(QueryError, match="one value a series"):
            await source.watch("a[5m]", 5 * STEP, STEP)
        with pytest.raises(QueryError, match="more than 11000 looks"):
            await source.watch("a", timedelta(hours=10), timedelta(seconds=1))
        assert node.requests == []
        assert (await source.watch("nosuch", timedelta(hours=1), timedelta(seconds=1))).series == ()
        assert len(node.requests) == 1


async def test_a_watch_may_look_back_upon_itself() -> None:
    """What lies within the span is known once it has been seen."""
    node = FakeNode(lambda number: page(f"a {number}\n"))
    async with running(node):
        answer = await scrape([node.address()]).watch("a - a offset 200ms", 4 * STEP, STEP)
    assert set(answer.series[0].values) <= {1, 2, 3}
    assert len(answer.series[0].values) >= 3


async def test_a_wrong_query_costs_no_request() -> None:
    """What does not parse is refused before a node is bothered."""
    node = FakeNode(lambda _: page("a 1\n"))
    async with running(node):
        source = scrape([node.address()])
        for query in ("rate(a)", "a[5m", ""):
            with pytest.raises(QueryError):
                await source.instant(query)
        assert node.requests == []
        with pytest.raises(QueryError, match="range selector alone"):
            await source.instant("a[5m]")


async def test_any_name_can_be_asked_for() -> None:
    """A selector without a fixed name reads whole pages, after named families have been read as well."""
    node = FakeNode(lambda _: page('abc 1\nabd{x="y"} 2\nzzz 3\n{"quoted.name"} 4\n'))
    async with running(node):
        source = scrape([node.address()])
        assert len((await source.instant("abc")).samples) == 1
        found = await source.instant('{__name__=~"ab.*"}')
        assert values(found, "__name__") == {"abc": 1.0, "abd": 2.0}
        assert (await source.instant('{"quoted.name"}')).samples[0].value == 4.0
        assert {"abc", "abd", "zzz", "up"} <= await source.metric_names()


async def test_side_by_side_and_bounded() -> None:
    """Pages are fetched at the same time, never more than the concurrency."""
    nodes = [FakeNode(lambda _: page("a 1\n"), delay_s=0.05) for _ in range(12)]
    port_counts: list[int] = []
    async with running(*nodes):
        source = Scrape([node.address() for node in nodes], ENDPOINT, concurrency=4)

        async def count() -> None:
            while True:
                port_counts.append(sum(node.open_now for node in nodes))
                await asyncio.sleep(0.005)

        counting = asyncio.create_task(count())
        assert len((await source.instant("a")).samples) == 12
        counting.cancel()
    assert 1 < max(port_counts) <= 5, "at most four, and one that is just closing"


async def test_the_evidence_command_works_when_pasted() -> None:
    """It prints the lines that the claim rests on, from the node that matters, quoted for a shell."""
    nodes = [FakeNode(lambda _, text=text: page(text)) for text in ("x 1\ny 2\n", "x 3\nx_total 4\n")]
    async with running(*nodes):
        source = scrape([node.address() for node in nodes])
        evidence = source.evidence("max(x) + rate(x_total[5m])", instance=nodes[1].address().instance)
        ran = await asyncio.to_thread(
            subprocess.run, ["bash", "-c", evidence.command], capture_output=True, text=True, timeout=10, check=True
        )
        assert ran.stdout == "x 3\nx_total 4\n"
        state = source.evidence("up == 0").command
        ran = await asyncio.to_thread(
            subprocess.run, ["bash", "-c", state], capture_output=True, text=True, timeout=10, check=True
        )
        assert ran.stdout == "200\n"


async def test_credentials_go_along_and_stay_out_of_sight(tmp_path: pytest.TempPathFactory) -> None:
    """The bearer token reaches the node and is in no message, name or command."""
    from pathlib import Path

    from meshdiag.context import Credentials, Secret, SecretKind

    secret = Path(str(tmp_path)) / "token"
    secret.write_text("s3cr3t\n")
    endpoint = Endpoint("http://x", timeout_s=1, credentials=Credentials(Secret(SecretKind.FILE, str(secret))))
    node = FakeNode(lambda _: page("no", status="403 Forbidden"))
    async with running(node):
        source = scrape([node.address()], endpoint)
        with pytest.raises(SourceError) as refused:
            await source.instant("up")
    assert b"Authorization: Bearer s3cr3t" in node.requests[0]
    assert refused.value.trouble is Trouble.FORBIDDEN
    shown = f"{refused.value} {source.problems} {source.name} {source.evidence('a').command}"
    assert "s3cr3t" not in shown
