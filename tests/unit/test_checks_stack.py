"""Checks of the monitoring itself: reachable, the right server, ready, its clock."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest

from meshdiag.checks import all_checks
from meshdiag.checks.inputs import Inputs
from meshdiag.checks.stack import SKEW, judge_alertmanager, judge_prometheus
from meshdiag.context import Context, Endpoint
from meshdiag.model import Verdict
from meshdiag.sources import Sources
from meshdiag.sources.alertmanager import Alertmanager, Status
from meshdiag.sources.prometheus import Identity, Prometheus
from tests.faulty import faulty
from tests.replay import replay

NOW = datetime(2026, 11, 22, 11, 30, tzinfo=UTC)


async def ask(id_, server):
    """What a check says of a server, whichever of the two it is taken for."""
    async with AsyncExitStack() as stack:
        served = stack.enter_context(server)
        endpoint = Endpoint(served.url, timeout_s=1.0)
        sources = Sources(
            prometheus=await stack.enter_async_context(Prometheus(endpoint)),
            alertmanager=await stack.enter_async_context(Alertmanager(endpoint)),
        )
        check = all_checks()[id_]
        return await check.run(Inputs(Context(), sources, NOW, timedelta(hours=1), threshold=check.threshold))


@pytest.mark.parametrize(
    ("id_", "server", "word"),
    [
        ("stack.prometheus", "prometheus-2.42.0", "Prometheus 2.42.0"),
        ("stack.prometheus", "prometheus-3.12.0", "Prometheus 3.12.0"),
        ("stack.prometheus", "victoriametrics-1.79.5", "VictoriaMetrics"),
        ("stack.alertmanager", "alertmanager-0.25.0", "Alertmanager 0.25.0, a single one"),
    ],
)
async def test_a_server_that_answers_is_named(id_, server, word):
    """The right server passes, with its name and version."""
    outcome = await ask(id_, replay(server))
    assert outcome.findings[0].verdict is Verdict.PASS
    assert word in outcome.summary
    assert outcome.evidence[0].command.startswith("curl")


@pytest.mark.parametrize("id_", ["stack.prometheus", "stack.alertmanager"])
@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        ("refused", Verdict.FAIL),
        ("never-answers", Verdict.FAIL),
        ("status-500", Verdict.FAIL),
        ("status-503", Verdict.FAIL),
        ("html", Verdict.FAIL),
        ("status-401", Verdict.UNKNOWN),
        ("status-403", Verdict.UNKNOWN),
    ],
)
async def test_a_server_that_does_not_answer_is_a_failure_of_its_own(id_, fault, verdict):
    """No answer is the fault looked for; where credentials are refused nothing is known of the server."""
    outcome = await ask(id_, faulty(fault))
    assert outcome.findings[0].verdict is verdict
    assert outcome.summary
    assert outcome.evidence


@pytest.mark.parametrize(
    ("id_", "server", "word"),
    [
        ("stack.prometheus", "alertmanager-0.25.0", "this is not Prometheus"),
        ("stack.alertmanager", "prometheus-2.42.0", "this is not Alertmanager"),
    ],
)
async def test_another_server_on_the_port_is_named(id_, server, word):
    """A server that answers everything may be another one: it is said which."""
    outcome = await ask(id_, replay(server))
    assert outcome.findings[0].verdict is Verdict.FAIL
    assert word in outcome.summary
    assert outcome.hint


async def test_a_prometheus_that_is_starting_is_not_ready():
    """Alive, and not ready to answer: a failure that says so."""
    names = {"/-/healthy": "starting_healthy", "/-/ready": "starting_ready"}
    starting = replay("prometheus-2.42.0", lambda asked: names.get(asked.path, "starting_query"))
    outcome = await ask("stack.prometheus", starting)
    assert outcome.findings[0].verdict is Verdict.FAIL
    assert "starting" in outcome.summary


@pytest.mark.parametrize(
    ("skew", "verdict", "word"),
    [(1.0, Verdict.PASS, "agrees"), (40.0, Verdict.WARN, "ahead"), (-9.0, Verdict.WARN, "behind")],
)
def test_the_server_clock_is_held_against_ours(skew, verdict, word):
    """Ages go by two clocks: five seconds apart they mislead."""
    for findings in (
        judge_prometheus(Identity("Prometheus", "2.42.0", True, skew), SKEW),
        judge_alertmanager(Status("0.25.0", NOW, "disabled", clock_skew_s=skew), SKEW),
    ):
        answer, clock = findings
        assert answer.verdict is Verdict.PASS
        assert (clock.verdict, clock.value) == (verdict, skew)
        assert word in clock.message


def test_a_server_without_a_date_has_no_clock_to_judge():
    """What is not told is not made up."""
    assert len(judge_prometheus(Identity("Prometheus", ready=None), SKEW)) == 1


def test_not_ready_fails_and_a_cluster_that_settles_warns():
    """A Prometheus that says so itself is not ready; an Alertmanager cluster may send twice until it has settled."""
    assert judge_prometheus(Identity("Prometheus", ready=False), SKEW)[0].verdict is Verdict.FAIL
    assert judge_alertmanager(Status("0.25.0", NOW, "settling"), SKEW)[0].verdict is Verdict.WARN
    assert judge_alertmanager(Status("0.25.0", NOW, "ready"), SKEW)[0].verdict is Verdict.PASS
