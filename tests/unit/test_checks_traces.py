"""traces.slow-rounds: what slow rounds waited for, and what is said when nothing can be seen."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from meshdiag.catalog import ROUND_DURATION
from meshdiag.checks import select
from meshdiag.checks.traces import judge_rounds
from meshdiag.context import CheckSettings, Context, Endpoint
from meshdiag.engine import Run, run_checks
from meshdiag.model import Result, Verdict
from meshdiag.session import Direct, open_sources
from meshdiag.sources.traces.trace import Span, Trace
from tests.serving import Asked, Server, send

NOW = datetime(2026, 3, 1, 3, 12, tzinfo=UTC)
BEGIN_US = round(NOW.timestamp() * 1e6) - 60_000_000


def _round(number: int, took_s: float, slow_node: str) -> dict[str, Any]:
    """A round as Jaeger tells it: a leader collects votes of two nodes, one of which takes nearly all of it."""
    trace = f"{number:032x}"

    def span(id_: str, parent: str, process: str, operation: str, after_s: float, took: float) -> dict[str, Any]:
        references = [{"refType": "CHILD_OF", "traceID": trace, "spanID": parent}] if parent else []
        begin = BEGIN_US + round(after_s * 1e6)
        return {
            "traceID": trace,
            "spanID": id_,
            "operationName": operation,
            "references": references,
            "startTime": begin,
            "duration": round(took * 1e6),
            "tags": [],
            "processID": process,
            "warnings": None,
        }

    processes = {
        node: {"serviceName": "agent-mesh", "tags": [{"key": "service.instance.id", "type": "string", "value": node}]}
        for node in ("trainer-1", "trainer-2", "trainer-3")
    }
    spans = [
        span("a", "", "trainer-1", "consensus round", 0, took_s),
        span("b", "a", slow_node, "vote", 0.1, took_s - 0.2),
        span("c", "a", "trainer-2", "vote", 0.1, 0.3),
    ]
    return {"traceID": trace, "spans": spans, "processes": processes}


def _jaeger(traces: list[dict[str, Any]], operations: tuple[str, ...] = ("consensus round", "vote")) -> Server:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.path == "/api/services":
            data: Any = ["agent-mesh"]
        elif asked.path.endswith("/operations"):
            data = list(operations)
        else:
            at_least = float((asked.param("minDuration") or "0us").removesuffix("us"))
            data = [one for one in traces if one["spans"][0]["duration"] >= at_least]
        await send(writer, 200, json.dumps({"data": data, "errors": None, "total": 0}).encode())

    return Server(answer)


async def _ask(context: Context) -> Result:
    checks = select(["traces.slow-rounds"])
    async with open_sources(context, Direct.ALWAYS, also={"traces"}) as sources:
        answers = await run_checks(checks, Run(context, sources, NOW, timedelta(hours=1)))
    (result,) = answers.results
    return result


async def test_the_span_that_slow_rounds_wait_for_is_named() -> None:
    """Node, operation, how many rounds, how much of their time, and a trace to look at; fast rounds do not count."""
    rounds = [_round(1, 12.0, "trainer-3"), _round(2, 14.0, "trainer-3"), _round(3, 1.0, "trainer-2")]
    with _jaeger(rounds) as server:
        result = await _ask(Context(jaeger=Endpoint(server.url)))
    (finding,) = result.findings
    assert result.verdict is Verdict.WARN
    assert (finding.subject, finding.value) == ("trainer-3", pytest.approx(13.0))
    assert finding.message == "2 of 2 slow rounds waited for agent-mesh vote on trainer-3: 12.8 s of 13 s"
    assert finding.labels["trace"].startswith(f"{2:032x}")
    assert "curl " in result.evidence[0].command


async def test_fast_rounds_pass() -> None:
    """The server is asked for slow ones alone."""
    with _jaeger([_round(3, 1.0, "trainer-2")]) as server:
        result = await _ask(Context(jaeger=Endpoint(server.url)))
        assert any(asked.param("minDuration") == "10000000us" for asked in server.asked)
    assert result.verdict is Verdict.PASS


async def test_a_store_without_rounds_is_no_pass() -> None:
    """Skipped, with the option that names them; which then finds them."""
    slow = [_round(1, 12.0, "trainer-3")]
    with _jaeger(slow, operations=("tick",)) as server:
        result = await _ask(Context(jaeger=Endpoint(server.url)))
        assert result.verdict is Verdict.SKIP and "operation" in result.summary
        named = {"traces.slow-rounds": CheckSettings(options={"operation": "^tick$", "service": "agent-mesh"})}
        result = await _ask(Context(jaeger=Endpoint(server.url), checks=named))
    assert result.verdict is Verdict.WARN


async def test_a_store_that_was_named_and_is_silent_is_unknown() -> None:
    """One that nobody named is skipped; see the built-in address."""
    result = await _ask(Context(jaeger=Endpoint("http://127.0.0.1:9")))
    assert result.verdict is Verdict.UNKNOWN and "refused" in result.summary
    result = await _ask(Context(jaeger=None))
    assert result.verdict is Verdict.SKIP and "neither Jaeger nor Tempo" in result.summary


def test_rounds_that_wait_for_different_spans_are_told_apart() -> None:
    """The one that held up most rounds comes first."""

    def one(number: int, node: str) -> Trace:
        return Trace(str(number), (Span("a", "", "mesh", "round", 0.0, 40.0, node=node),))

    findings = judge_rounds([one(1, "a"), one(2, "b"), one(3, "b")], ROUND_DURATION.threshold)  # type: ignore[arg-type]
    assert [found.subject for found in findings] == ["b", "a"]
    assert [found.message.split(" slow")[0] for found in findings] == ["2 of 3", "1 of 3"]
    assert {found.verdict for found in findings} == {Verdict.FAIL}
