"""Following Loki: each line once, in whatever way the connection breaks, and with or without a websocket."""

from __future__ import annotations

import asyncio
import itertools
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from meshdiag.context import Credentials, Endpoint, Secret, SecretKind
from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.logs.record import Level, Record
from meshdiag.logs.selection import Pattern, Selection
from meshdiag.logs.tally import Tally
from meshdiag.logs.where import parse_where
from meshdiag.sources.loki import Loki
from meshdiag.sources.loki.following import Pace
from meshdiag.sources.loki.seen import Seen
from tests.faulty import authority, certified
from tests.lokiserver import LokiServer, TailPlan, frame

SELECTOR = '{job="agent-mesh"}'
QUICK = Pace(first_pause_s=0.02, longest_pause_s=0.1, poll_s=0.05, poll_for_s=60.0, give_up_s=1.0)
PATIENCE_S = 10


class Followed:
    """A ``follow`` under way: what it gave so far."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.tally = Tally()
        self.arrived = asyncio.Event()

    @property
    def lines(self) -> list[str]:
        """The text of the records."""
        return [record.raw.decode() for record in self.records]

    async def until(self, count: int) -> None:
        """Wait for so many records, and a little longer for more than those."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.records) < count:
                self.arrived.clear()
                await self.arrived.wait()
        await asyncio.sleep(0.15)


@asynccontextmanager
async def following(
    server: LokiServer, selection: Selection | None = None, *, pace: Pace = QUICK, wait: bool = True, **endpoint: object
) -> AsyncIterator[Followed]:
    """Follow a server while the block runs; an error of the following is raised at its end."""
    followed = Followed()

    async def collect() -> None:
        where = Endpoint(server.url, timeout_s=1.0, **endpoint)  # type: ignore[arg-type]
        loki = Loki(where, SELECTOR, pace=pace)
        async with loki, aclosing(loki.follow(selection or Selection(), followed.tally)) as records:
            async for record in records:
                followed.records.append(record)
                followed.arrived.set()

    task = asyncio.create_task(collect())
    try:
        if wait:
            for _ in range(PATIENCE_S * 100):
                if server.tailed or task.done():
                    break
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
        yield followed
    finally:
        if task.done():
            await task
        task.cancel()
        await asyncio.wait({task})


def push(server: LokiServer, *lines: str, stream: str = "a") -> None:
    """Lines written now."""
    for line in lines:
        server.push({"job": "agent-mesh", "s": stream}, time.time_ns(), line)


@pytest.mark.parametrize("version", ["2.9.17", "3.7.6"])
async def test_lines_come_as_they_are_written(version: str) -> None:
    """What was there before is not shown, what comes is, chosen by the same selection."""
    with LokiServer(version=version) as server:
        push(server, '{"level":"error","msg":"before"}')
        async with following(server, Selection(levels=frozenset({Level.ERROR}))) as followed:
            push(
                server, '{"level":"error","msg":"one"}', '{"level":"info","msg":"no"}', '{"level":"error","msg":"two"}'
            )
            await followed.until(2)
    assert [record.message for record in followed.records] == ["one", "two"]
    assert followed.tally.matched == 2


async def test_history_comes_first_and_once() -> None:
    """--since and --tail show what was written before, then what comes, without a gap or a double between them."""
    with LokiServer() as server:
        now = time.time_ns()
        for place in range(50):
            server.push({"job": "agent-mesh"}, now - (50 - place) * 10**9, f"old {place}")
        async with following(server, Selection(since_ns=now - 20 * 10**9)) as followed:
            push(server, "new")
            await followed.until(21)
        assert followed.lines == [f"old {place}" for place in range(30, 50)] + ["new"]
        async with following(server, Selection(tail=3)) as followed:
            push(server, "newer")
            await followed.until(4)
    assert followed.lines == ["old 48", "old 49", "new", "newer"]


@pytest.mark.parametrize(
    "plan",
    [
        TailPlan(frames=2),
        TailPlan(frames=3, close=(1000, "")),
        TailPlan(frames=1, close=(1011, "error from client: rpc error")),
        TailPlan(frames=0),
        TailPlan(raw=b"\xff\xff garbage that is no frame", frames=0),
        TailPlan(raw=struct.pack(">BBQ", 0x81, 127, 1 << 40), frames=0),
        TailPlan(drop=3),
    ],
    ids=["cut", "closed", "1011", "cut-at-once", "no-websocket", "huge-frame", "dropped"],
)
async def test_breaks_lose_and_double_nothing(plan: TailPlan) -> None:
    """Through cuts, closes with reasons, broken and huge frames and dropped entries, each line comes once; what
    happened is said."""
    with LokiServer(tails=[plan, plan, TailPlan(frames=4), TailPlan()]) as server:
        async with following(server) as followed:
            for place in range(12):
                push(server, f"line {place}", f"other {place}", stream="ab"[place % 2])
                await asyncio.sleep(0.02)
            await followed.until(24)
    wanted = [f"{kind} {place}" for place in range(12) for kind in ("line", "other")]
    assert Counter(followed.lines) == Counter(wanted)
    assert followed.tally.notes, "a break is said"


async def test_what_the_tail_does_not_bring_a_query_finds() -> None:
    """A tail that leaves lines out without a word is looked after: they come a little later, once."""
    pace = replace(QUICK, look_s=0.3)
    with LokiServer(tails=[TailPlan(swallow=2)]) as server:
        async with following(server, pace=pace) as followed:
            push(server, "one", "two", "three")
            await followed.until(3)
            await asyncio.sleep(0.4)
    assert sorted(followed.lines) == ["one", "three", "two"]


async def test_lines_that_a_new_connection_brings_again_come_once() -> None:
    """A tail begins with lines of before: those that were given out are not given out again."""
    with LokiServer(tails=[TailPlan(frames=2), TailPlan(frames=3, history=2), TailPlan(history=4)]) as server:
        push(server, "before")
        async with following(server) as followed:
            for place in range(6):
                push(server, f"line {place}")
                await asyncio.sleep(0.1)
            await followed.until(6)
    assert sorted(followed.lines) == [f"line {place}" for place in range(6)]


async def test_equal_lines_of_one_nanosecond_all_come() -> None:
    """Two streams that write the same text at the same time are two lines, through a break as well."""
    with LokiServer(tails=[TailPlan(frames=1), TailPlan(frames=1), TailPlan()]) as server:
        async with following(server) as followed:
            at = time.time_ns()
            for stream in "abc":
                server.push({"job": "agent-mesh", "s": stream}, at, "same")
            await followed.until(3)
    assert followed.lines == ["same"] * 3


@pytest.mark.parametrize(
    "plan", [TailPlan(status=404), TailPlan(status=426), TailPlan(status=502), TailPlan(hang=True)]
)
async def test_without_a_websocket_queries_are_asked_instead(plan: TailPlan) -> None:
    """A proxy that refuses or swallows websockets costs a note and a moment, not the lines."""
    with LokiServer(tails=[plan]) as server:
        async with following(server) as followed:
            if plan.hang:
                await asyncio.sleep(1.2)
            for place in range(5):
                push(server, f"line {place}")
                await asyncio.sleep(0.05)
            await followed.until(5)
    assert followed.lines == [f"line {place}" for place in range(5)]
    assert any("instead" in note for note in followed.tally.notes)


@pytest.mark.parametrize("version", ["2.9.17", "3.7.6"])
async def test_a_query_that_is_refused_is_said(version: str) -> None:
    """Bad LogQL is a 400 in one version and a close in another: the same clear error, at once."""
    with LokiServer(version=version) as server, pytest.raises(QueryError, match="refused"):
        async with Loki(Endpoint(server.url, timeout_s=1.0), "{job=}", pace=QUICK) as loki:
            async with asyncio.timeout(PATIENCE_S):
                [_ async for _ in loki.follow(Selection(), Tally())]


async def test_a_close_because_of_the_query_is_the_querys_error() -> None:
    """1011 with "only log selector is supported" ends the following with that reason; it is not tried for ever."""
    plan = TailPlan(frames=0, close=(1011, "only log selector is supported"))
    with LokiServer(tails=[plan]) as server, pytest.raises(QueryError, match="only log selector"):
        async with following(server):
            await asyncio.sleep(0.5)


@pytest.mark.parametrize("text", [b"not json", b"[1, 2]", b'{"streams": [{"values": 3}]}', b'{"streams": {"a": 1}}'])
async def test_frames_that_are_no_lines_end_it_with_one_sentence(text: bytes) -> None:
    """What sends such frames is not Loki: one error that says what came."""
    plan = TailPlan(raw=frame(text))
    with LokiServer(tails=[plan]) as server, pytest.raises(SourceError, match="something else") as caught:
        async with following(server):
            await asyncio.sleep(0.5)
    assert caught.value.trouble is Trouble.MALFORMED


async def test_a_server_that_is_gone_is_waited_for_and_then_given_up() -> None:
    """A server that stays away ends the following with what is wrong, and not at the first failure."""
    with LokiServer() as server:
        begun = time.monotonic()
        with pytest.raises(SourceError) as caught:
            async with following(server) as followed:
                push(server, "seen")
                await followed.until(1)
                server.stop()
                await asyncio.sleep(QUICK.give_up_s + 0.5)
    assert caught.value.trouble in (Trouble.REFUSED, Trouble.TRUNCATED)
    assert time.monotonic() - begun > QUICK.give_up_s
    assert followed.lines == ["seen"]
    assert any("trying again" in note for note in followed.tally.notes)


async def test_conditions_on_fields_are_pushed_down_to_the_tail() -> None:
    """The tail is asked with the parser that the lines of the last hour call for."""
    with LokiServer() as server:
        push(server, '{"level":"info","round":1}')
        async with following(
            server, Selection(where=parse_where("round > 5"), patterns=(Pattern("round"),))
        ) as followed:
            push(server, '{"level":"info","round":4}', '{"level":"info","round":6}')
            await followed.until(1)
        tail = next(one.param("query") or "" for one in server.asked if one.path.endswith("/tail"))
    assert followed.lines == ['{"level":"info","round":6}']
    assert "| json | (round>5" in tail


async def test_head_ends_it() -> None:
    """--follow --head 2 ends by itself after two records."""
    with LokiServer() as server:
        async with Loki(Endpoint(server.url, timeout_s=1.0), SELECTOR, pace=QUICK) as loki:

            async def write() -> None:
                for place in itertools.count():
                    push(server, f"line {place}")
                    await asyncio.sleep(0.02)

            writing = asyncio.create_task(write())
            async with asyncio.timeout(PATIENCE_S):
                records = [record async for record in loki.follow(Selection(head=2), Tally())]
            writing.cancel()
    assert len(records) == 2


async def test_the_websocket_has_tls_tenant_and_credentials() -> None:
    """The tail goes where the queries go, with what they carry; a certificate that is not trusted is said."""
    login = Credentials(Secret(SecretKind.COMMAND, "echo s3cret"), "operator")
    tenant = {"X-Scope-OrgID": "t1"}
    with LokiServer(tenant="t1", tls=certified("127.0.0.1")) as server, authority().cert_pem.tempfile() as ca:
        async with following(server, headers=tenant, ca_file=Path(ca), credentials=login) as followed:
            push(server, "a line")
            await followed.until(1)
        with pytest.raises(SourceError, match="not trusted"):
            async with following(server, headers=tenant):
                await asyncio.sleep(0.5)
        tail = next(one for one in server.asked if one.path.endswith("/tail"))
    assert tail.headers["x-scope-orgid"] == "t1"
    assert tail.headers["authorization"].startswith("Basic ")
    assert followed.lines == ["a line"]
    assert not any("s3cret" in note for note in followed.tally.notes)


def test_what_was_given_out_is_remembered_within_bounds() -> None:
    """A million lines do not fill the memory: the oldest are forgotten, and never asked for again."""
    seen = Seen(most=100)
    look = seen.look()
    for place in range(1000):
        assert look.fresh(Record(b"x", time_ns=place))
    assert seen.floor_ns > 800
    assert not seen.delivered(Record(b"x", time_ns=999))
    assert seen.delivered(Record(b"x", time_ns=999)), "a second one of the same kind in one connection is another line"
