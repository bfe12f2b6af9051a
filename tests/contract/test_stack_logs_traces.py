"""Loki and Jaeger in ``meshdiag stack``: ready, lines and spans that arrive, and what nobody named is not missed."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from meshdiag.checks.jaeger import judge_spans
from meshdiag.checks.loki import judge_lag, judge_readiness, judge_ring, label_for
from meshdiag.context import Endpoint
from meshdiag.model import Threshold, Verdict, at_most
from meshdiag.sources.loki import Identity, Loki, Member
from tests.lokiserver import NS, LokiServer
from tests.program import run
from tests.replay import replay_one
from tests.serving import Asked, Server, send

LOKIS = ("loki-2.9.17", "loki-3.4.6", "loki-3.7.6")
MESH = '{job="agent-mesh"}'
LIMIT = Threshold(warn=at_most(600))
SKEW_S = 3.0
"""A test's clock and that of the program it runs are read at different moments."""


@pytest.mark.parametrize("server", LOKIS)
async def test_the_ring_is_read_as_it_was_recorded(server: str) -> None:
    """Each version shows its single member, active; where there is no such page nothing is said of a ring."""
    with replay_one(server, "ring") as recorded, replay_one(server, "root_not_found") as hidden:
        async with Loki(Endpoint(recorded.url), MESH) as loki:
            ring = await loki.ring()
        async with Loki(Endpoint(hidden.url), MESH) as behind:
            assert await behind.ring() is None
    assert ring is not None and [(one.id, one.state) for one in ring] == [("host-a", "ACTIVE")]
    assert [one.verdict for one in judge_ring(ring)] == [Verdict.PASS]


def test_members_that_are_not_active_are_named() -> None:
    """One that is gone fails, one on its way warns."""
    ring = [Member("a", "ACTIVE"), Member("b", "UNHEALTHY"), Member("c", "JOINING")]
    assert [(one.subject, one.verdict) for one in judge_ring(ring)] == [
        ("ring member b", Verdict.FAIL),
        ("ring member c", Verdict.WARN),
    ]
    assert judge_ring(None) == ()
    assert judge_readiness(Identity("3.0", False, "Ingester not ready")).verdict is Verdict.FAIL
    assert "gateway" in judge_readiness(Identity("3.0")).message


def test_the_age_of_the_newest_line_is_judged() -> None:
    """The oldest first; a clock that is ahead makes no negative age."""
    findings = judge_lag({"a": 1000.0, "b": 100.0, "c": 2000.0}, 1010.0, LIMIT)
    assert [(one.subject, one.verdict, one.value) for one in findings] == [
        ("b", Verdict.WARN, 910.0),
        ("a", Verdict.PASS, 10.0),
        ("c", Verdict.PASS, 0.0),
    ]
    assert label_for([{"x": "1"}, {"pod": "p"}], "node") == "pod"
    assert label_for([{"x": "1"}], "node") == ""


def test_a_service_without_spans_warns() -> None:
    """Whatever the threshold is."""
    findings = judge_spans({"a": 1000.0, "b": None}, 1010.0, "1 h", LIMIT)
    assert [(one.subject, one.verdict) for one in findings] == [("b", Verdict.WARN), ("a", Verdict.PASS)]


def test_a_stream_that_stopped_is_found_among_many_that_talk() -> None:
    """ "loki.ready" and "loki.lag": the one node whose lines no longer come is named with its age, though thousands of
    newer lines lie before its last one."""
    now_ns = time.time_ns()
    with LokiServer() as loki:
        for number in range(1200):
            loki.push({"job": "agent-mesh", "node": f"trainer-{number % 3}"}, now_ns - number * NS // 100, "well")
        loki.push({"job": "agent-mesh", "node": "trainer-9"}, now_ns - 1800 * NS, "the last")
        loki.push({"job": "other", "node": "elsewhere"}, now_ns - 1800 * NS, "not ours")
        ran = run("stack", "--only", "loki.*", "-o", "json", environment={"MESHDIAG_LOKI_URL": loki.url})
        asked = len(loki.queries)
    assert ran.verdicts == {"loki.ready": "pass", "loki.lag": "warn"} and ran.code == 1
    said = {one["subject"]: (one["verdict"], one["value"]) for one in ran.check("loki.lag")["findings"]}
    assert {name for name, (verdict, _) in said.items() if verdict == "pass"} == {f"trainer-{n}" for n in range(3)}
    assert said["trainer-9"][0] == "warn" and said["trainer-9"][1] == pytest.approx(1800, abs=60)
    assert asked == 2, "one question for all, one for the stream that was not among the newest lines"


def test_a_loki_without_lines_of_the_mesh_is_unknown() -> None:
    """No line is not the same as no lag."""
    with LokiServer() as loki:
        ran = run("stack", "--only", "loki.*", "-o", "json", environment={"MESHDIAG_LOKI_URL": loki.url})
    assert ran.verdicts == {"loki.ready": "pass", "loki.lag": "unknown"}
    assert "loki_selector" in ran.check("loki.lag")["hint"]


def test_a_loki_that_starts_says_so() -> None:
    """Not ready fails, in its own words."""
    with LokiServer(starting=True) as loki:
        environment = {"MESHDIAG_LOKI_URL": loki.url}
        ran = run("stack", "--only", "loki.ready", "--timeout", "1s", "-o", "json", environment=environment)
    assert ran.verdicts == {"loki.ready": "fail"} and ran.code == 2
    assert "not ready" in ran.check("loki.ready")["summary"]


def _jaeger(ages: dict[str, float | None]) -> Server:
    """Services with one span each, so many seconds old."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        data: Any = sorted(ages)
        if asked.path == "/api/traces":
            service = asked.param("service") or ""
            age_s = ages[service]
            begin = round((time.time() - (age_s or 0)) * 1e6)
            span = {"traceID": "1", "spanID": "2", "operationName": "vote", "startTime": begin, "duration": 1000}
            one = {**span, "references": [], "tags": [], "processID": "p"}
            trace = {"traceID": "1", "spans": [one], "processes": {"p": {"serviceName": service, "tags": []}}}
            data = [] if age_s is None or begin < int(asked.param("start") or 0) else [trace]
        await send(writer, 200, json.dumps({"data": data, "errors": None}).encode())

    return Server(answer)


def test_services_that_no_longer_send_spans_are_named() -> None:
    """ "jaeger.spans": one whose newest span is old, one without any in the window; the store's own are no service."""
    with _jaeger({"trainer": 5, "aggregator": 1800, "bootstrap": None, "jaeger-query": None}) as jaeger:
        ran = run("stack", "--only", "jaeger.*", "-o", "json", environment={"MESHDIAG_JAEGER_URL": jaeger.url})
    said = {one["subject"]: one["verdict"] for one in ran.check("jaeger.spans")["findings"]}
    assert said == {"trainer": "pass", "aggregator": "warn", "bootstrap": "warn"} and ran.code == 1


def test_what_nobody_named_is_not_missed() -> None:
    """Neither Loki nor Jaeger at its usual place: skipped; at an address that was given it is unknown."""
    only = ("--only", "loki.*", "--only", "jaeger.*", "-o", "json")
    nowhere = {"MESHDIAG_LOKI_URL": "http://127.0.0.1:9", "MESHDIAG_JAEGER_URL": "http://127.0.0.1:9"}
    assert set(run("stack", *only).verdicts.values()) == {"skip"}
    assert set(run("stack", *only, environment=nowhere).verdicts.values()) == {"unknown"}
