"""The blackbox_exporters: recorded and made-up answers through real sockets, every one a view or one clear sentence."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from meshdiag.errors import SourceError, Trouble
from meshdiag.sources.blackbox import PER_EXPORTER, Blackbox, Viewpoint
from tests.replay import replay_one
from tests.serving import Asked, Server, send

if TYPE_CHECKING:
    from collections.abc import Callable

EXPORTER = "blackbox_exporter-0.23.0"

LOG = """Logs for the probe:
ts=2026-11-22T22:11:07.4Z caller=main.go:181 module=tcp_connect target=x:1 level=info msg="Beginning probe"
ts=2026-11-22T22:11:07.4Z caller=h.go:117 module=icmp target=x level=debug msg="No raw socket" err="permission denied"
ts=2026-11-22T22:11:07.4Z caller=h.go:117 module=tcp_connect level=error msg="Error dialing TCP" err="{error}"
ts=2026-11-22T22:11:07.4Z caller=main.go:181 module=tcp_connect target=x:1 level=error msg="Probe failed"



Metrics that would have been returned:
# TYPE probe_success gauge
probe_success 0
# TYPE probe_duration_seconds gauge
probe_duration_seconds 0.0002



Module configuration:
prober: tcp
"""


def page(*lines: str) -> bytes:
    """A page of these samples."""
    return "".join(f"{line}\n" for line in lines).encode()


def serving(body: Callable[[Asked], bytes], *, after_s: float = 0.0) -> Server:
    """A server that answers every probe with a body, so many seconds late."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(after_s)
        what = body(asked) if asked.path == "/probe" else b"Healthy"
        await send(writer, 200, what, "text/plain; version=0.0.4")

    return Server(answer)


def probes(server: Server) -> list[Asked]:
    """The probes that a server was asked for."""
    return [asked for asked in server.asked if asked.path == "/probe"]


async def one(server: Server, target: str = "10.0.0.1:4001", module: str = "tcp_connect", timeout_s: float = 1.0):
    """One probe by this server."""
    async with Blackbox() as blackbox:
        return await blackbox.probe(server.url, target, module, timeout_s=timeout_s, viewpoint="trainer-1")


async def test_a_recorded_success_gives_the_time_without_the_look_up_and_its_phases() -> None:
    """The exporter's own sum minus the name, and what HTTP spent where."""
    with replay_one(EXPORTER, "probe_ok") as server:
        view = await one(server)
    assert (view.ok, view.viewpoint, view.target, view.trouble) == (True, "trainer-1", "10.0.0.1:4001", "")
    assert view.duration_s == pytest.approx(0.00128238 - 3.9779e-05)
    assert view.phases["connect"] == pytest.approx(0.000217742) and set(view.phases) >= {"processing", "tls"}


async def test_a_recorded_failure_is_a_view_and_no_error() -> None:
    """That the target refuses is the exporter's answer; without a log there is no word for why."""
    with replay_one(EXPORTER, "probe_refused") as server:
        view = await one(server)
    assert (view.ok, view.duration_s, view.trouble) == (False, None, "failed")


async def test_a_module_that_the_exporter_does_not_know_is_named() -> None:
    """The sentence holds the module's name and says where modules are."""
    with replay_one(EXPORTER, "probe_error_module") as server, pytest.raises(SourceError) as caught:
        await one(server, module="nope")
    assert caught.value.trouble is Trouble.REJECTED
    assert "no module called 'nope'" in str(caught.value) and "blackbox.yml" in str(caught.value)


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        ("dial tcp4 127.0.0.1:1: connect: connection refused", "refused"),
        ("dial tcp4 10.0.0.1:1: i/o timeout", "timeout"),
        ("dial tcp: context deadline exceeded", "timeout"),
        ("lookup nosuch.invalid on 10.0.0.53:53: no such host", "unknown-host"),
        ("dial tcp4 10.0.0.1:80: connect: no route to host", "unreachable"),
        ("dial tcp4 10.0.0.1:80: connect: network is unreachable", "unreachable"),
        ("read tcp: connection reset by peer", "reset"),
        ("write ip 0.0.0.0-\\u003e10.0.0.1: sendto: operation not permitted", "forbidden"),
        ("address x: missing port in address", "bad-address"),
        ('tls: \\"certificate\\" \x1b[31mhas expired', 'failed: tls: "certificate" \\x1b[31mhas expired'),
    ],
)
async def test_the_log_of_a_probe_tells_why_it_failed(said: str, trouble: str) -> None:
    """Go's words become meshdiag's; a debug line before them, of what was made good, is not taken for the reason."""
    with serving(lambda _asked: LOG.format(error=said).encode()) as server:
        view = await one(server)
    assert (view.ok, view.trouble) == (False, trouble)
    assert dict(server.asked[0].params) == {"target": "10.0.0.1:4001", "module": "tcp_connect", "debug": "true"}


async def test_an_icmp_probe_counts_the_round_trip_alone() -> None:
    """Setting up the socket is no part of the way to the target."""
    lines = [f'probe_icmp_duration_seconds{{phase="{name}"}} {value}' for name, value in
             (("resolve", 0.01), ("rtt", 0.0002), ("setup", 0.02))]  # fmt: skip
    with serving(lambda _asked: page("probe_success 1", "probe_duration_seconds 0.0302", *lines)) as server:
        view = await one(server)
    assert view.duration_s == 0.0002 and view.phases["setup"] == 0.02


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"<html><head><title>Welcome to nginx!</title></head></html>", "a web page titled 'Welcome to nginx!'"),
        (b"# HELP node_cpu_seconds_total x\nnode_cpu_seconds_total 1\n", "node_exporter's metrics page"),
        (b"", "its answer is empty"),
        (b"probe_success NaN\nprobe_duration_seconds 1\n", "blackbox_exporter"),
        (b"probe_duration_seconds 1\n", "blackbox_exporter"),
    ],
)
async def test_a_page_that_is_no_answer_to_a_probe_is_told_as_what_it_is(body: bytes, what: str) -> None:
    """A web server, another exporter, half an answer: never a pass, and never a target that is down."""
    with serving(lambda _asked: body) as server, pytest.raises(SourceError) as caught:
        await one(server)
    assert caught.value.trouble is Trouble.WRONG_SERVER
    assert what in str(caught.value) and server.url.partition("://")[2] in str(caught.value)


async def test_the_exporter_is_told_how_long_it_has() -> None:
    """It must give up before its answer is no longer waited for."""
    with serving(lambda _asked: page("probe_success 1", "probe_duration_seconds 0.1")) as server:
        await one(server, timeout_s=1.5)
    assert server.asked[0].headers["x-prometheus-scrape-timeout-seconds"] == "2"


async def test_an_exporter_that_hangs_is_given_up() -> None:
    """One sentence, in the probe's time and a little."""
    with serving(lambda _asked: b"", after_s=60) as server, pytest.raises(SourceError) as caught:
        async with asyncio.timeout(10):
            await one(server, timeout_s=0.2)
    assert caught.value.trouble is Trouble.TIMEOUT


async def test_several_probes_give_the_fastest_and_count_what_was_lost() -> None:
    """Three probes: one is slow by a second, which is a packet sent again, one fails; the third is the link's time."""
    answers = iter([
        page("probe_success 1", "probe_duration_seconds 1.0021"),
        LOG.format(error="i/o timeout").encode(),
        page("probe_success 1", "probe_duration_seconds 0.0019"),
    ])  # fmt: skip
    with serving(lambda _asked: next(answers)) as server:
        async with Blackbox() as blackbox:
            (row,) = await blackbox.look([Viewpoint("a", server.url, ("b:1",))], "tcp_connect", count=3)
    (view,) = row.views
    assert (view.ok, view.duration_s, view.sent, view.failed, view.resent) == (True, 0.0019, 3, 1, 1)
    assert view.trouble == "timeout"


async def test_a_target_that_fails_twice_is_given_up() -> None:
    """A dead link costs two probes, however many were asked for."""
    with serving(lambda _asked: LOG.format(error="i/o timeout").encode()) as server:
        async with Blackbox() as blackbox:
            (row,) = await blackbox.look([Viewpoint("a", server.url, ("b:1",))], "tcp_connect", count=10)
    assert len(probes(server)) == 2 and not row.views[0].ok


async def test_an_exporter_is_not_flooded_and_one_that_is_dead_is_given_up() -> None:
    """Never more than its share at once; where nothing listens one question is enough to know."""
    under_way, most = 0, 0

    async def answer(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        under_way, most = under_way + 1, max(most, under_way + 1)
        await asyncio.sleep(0.02)
        under_way -= 1
        await send(writer, 200, page("probe_success 1", "probe_duration_seconds 0.001"), "text/plain")

    with Server(answer) as server:
        targets = tuple(f"10.0.0.{number}:1" for number in range(40))
        async with Blackbox() as blackbox:
            alive, dead = await blackbox.look(
                [Viewpoint("alive", server.url, targets), Viewpoint("dead", "http://127.0.0.1:1", targets)], "tcp"
            )
            wrong = await blackbox.look([Viewpoint("nowhere", "", targets)], "tcp")
    assert len(alive.views) == 40 and alive.error is None
    assert 1 < most <= PER_EXPORTER
    assert not dead.views and dead.error is not None and dead.error.trouble is Trouble.REFUSED
    assert wrong[0].error is not None and not wrong[0].views


async def test_one_lost_answer_does_not_silence_an_exporter() -> None:
    """A question left open by an exporter that answers the others is asked again."""
    asked: Counter[str] = Counter()

    async def answer(request: Asked, writer: asyncio.StreamWriter) -> None:
        target = request.param("target") or ""
        asked[target] += 1
        if target == "10.0.0.3:1" and asked[target] == 1:
            await send(writer, 500, b"panic")
            return
        await send(writer, 200, page("probe_success 1", "probe_duration_seconds 0.001"), "text/plain")

    with Server(answer) as server:
        async with Blackbox() as blackbox:
            (row,) = await blackbox.look(
                [Viewpoint("a", server.url, tuple(f"10.0.0.{number}:1" for number in range(6)))], "tcp"
            )
    assert row.error is None and len(row.views) == 6


def test_the_command_asks_the_same_again() -> None:
    """It is quoted for a shell, and asks for the log, which says why."""
    command = Blackbox().command("http://10.0.0.1:9115", "10.0.0.2:4001", "tcp_connect")
    assert command.startswith("curl -sG http://10.0.0.1:9115/probe --data-urlencode target=10.0.0.2:4001")
    assert "module=tcp_connect" in command and "debug=true" in command
