"""How a server's process fares, in words: containers, units of systemd, plain processes, and whether it runs here."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from meshdiag.checks import all_checks
from meshdiag.checks.grafana import GRAFANA
from meshdiag.checks.inputs import Inputs
from meshdiag.checks.readings.service import judge_container, judge_unit
from meshdiag.context import Context, Endpoint
from meshdiag.model import Verdict
from meshdiag.sources import Sources
from meshdiag.sources.docker.containers import Container
from meshdiag.sources.docker.state import State, read_state
from meshdiag.sources.host import Host
from meshdiag.sources.host.units import Unit
from tests.fakeprogram import Answer, FakeProgram
from tests.replay import exchanges

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ONE = Container("0123", "grafana")


def _state(status: str, **more: Any) -> State:
    return State(ONE, status, started="2026-11-22T11:58:00.5Z", **more)


@pytest.mark.parametrize(
    ("state", "verdict", "words"),
    [
        (_state("running", health="healthy"), Verdict.PASS, "started 2 m ago and is healthy"),
        (_state("running"), Verdict.PASS, "no health check"),
        (_state("running", health="starting"), Verdict.WARN, "has not passed yet"),
        (_state("running", health="unhealthy", health_said="refused\n"), Verdict.FAIL, "health check: refused"),
        (_state("running", oom_killed=True), Verdict.WARN, "want of memory"),
        (_state("restarting", restarts=7, exit_code=1), Verdict.FAIL, "started again (7 times): exit code 1"),
        (_state("running", restarts=9), Verdict.PASS, "9 times anew"),
        (State(ONE, "running", restarts=9, started="2026-11-22T11:59:50Z"), Verdict.WARN, "again and again"),
        (_state("paused"), Verdict.FAIL, "docker unpause"),
        (_state("exited", exit_code=2, finished="2026-11-22T11:59:00Z"), Verdict.FAIL, "exit code 2, 1 m ago"),
        (
            _state("exited", exit_code=137, oom_killed=True),
            Verdict.FAIL,
            "want of memory (exit code 137)",
        ),
        (_state("created", error="no such network"), Verdict.FAIL, "never started: no such network"),
        (_state("removing"), Verdict.WARN, "removing"),
    ],
)
def test_every_state_of_a_container(state: State, verdict: Verdict, words: str) -> None:
    """Each state that the engine knows is told from the others, and why it came to that."""
    finding = judge_container(state, NOW)
    assert finding.verdict is verdict and words in finding.message, finding.message


@pytest.mark.parametrize(
    ("unit", "verdict", "words"),
    [
        (Unit("g.service", "active", "running", pid=7), Verdict.PASS, "active (running)"),
        (Unit("g.service", "failed", "failed", "exit-code", 1), Verdict.FAIL, "exit-code, exit status 1"),
        (Unit("g.service", "activating", "auto-restart", "exit-code", 1, 4), Verdict.FAIL, "anew 4 times"),
        (Unit("g.service", "activating", "start"), Verdict.WARN, "starting"),
        (Unit("g.service", "inactive", "dead", "success"), Verdict.FAIL, "inactive (dead)"),
    ],
)
def test_every_state_of_a_unit(unit: Unit, verdict: Verdict, words: str) -> None:
    """Running, failed, restarting and starting units."""
    finding = judge_unit(unit)
    assert finding.verdict is verdict and words in finding.message


def test_a_recorded_inspection_is_read() -> None:
    """As a real engine answered."""
    body = exchanges("docker-20.10.24")["api_container_inspect"].json
    state = read_state(ONE, body)
    assert (state.status, state.exit_code, state.oom_killed) == (body["State"]["Status"], 0, False)
    assert state.started == body["State"]["StartedAt"]


@pytest.mark.parametrize(
    ("container", "meant"),
    [
        (Container("1", "grafana"), True),
        (Container("1", "monitoring_grafana_1"), True),
        (Container("1", "ui", image="grafana/grafana-oss:11.2@sha256:00"), True),
        (Container("1", "ui", labels={"com.docker.compose.service": "grafana"}), True),
        (Container("1", "loki", image="grafana/loki:3.0"), False),
        (Container("1", "grafana-image-renderer", image="grafana/grafana-image-renderer"), False),
    ],
)
def test_a_container_of_grafana_is_known(container: Container, meant: bool) -> None:
    """By its name, its compose service or its image, and not by who else makes images there."""
    assert GRAFANA.is_container(container) is meant


async def test_whether_a_host_is_this_machine() -> None:
    """Loopback, its own name and addresses are; another address or name is not."""
    host = Host()
    assert all([await host.is_here(name) for name in ("localhost", "127.0.0.9", "[::1]", socket.gethostname())])
    assert not any([await host.is_here(name) for name in ("192.0.2.1", "grafana.example", "")])


async def _ask(url: str) -> Any:
    check = all_checks()["grafana.process"]
    context, sources = Context(grafana=Endpoint(url)), Sources(host=Host())
    return await check.run(Inputs(context, sources, now=NOW, window=timedelta(hours=1)))


async def test_a_grafana_elsewhere_is_not_looked_at() -> None:
    """ "grafana.process" says where it runs; another machine's processes are out of sight."""
    outcome = await _ask("http://grafana.example:3000")
    assert outcome.verdict is Verdict.SKIP and "elsewhere, on grafana.example" in outcome.summary


async def test_a_failed_unit_is_told_with_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemctl says that it failed, journalctl what it said last; a unit that is not there is passed over."""
    shown = "Id=grafana.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\n"
    gone = Answer("LoadState=not-found\n", when=("show", "grafana-server.service"))
    for name in ("systemctl", "journalctl"):
        (tmp_path / name).mkdir()
    failed = Answer(shown + "ExecMainStatus=1\nNRestarts=5\nMainPID=0\n", when=("show",))
    FakeProgram(tmp_path / "systemctl", "systemctl", gone, failed)
    FakeProgram(tmp_path / "journalctl", "journalctl", Answer("starting\nlistening on 3000: in use\n"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'systemctl'}:{tmp_path / 'journalctl'}")
    outcome = await _ask("http://localhost:3000")
    (finding,) = outcome.findings
    assert finding.verdict is Verdict.FAIL and finding.subject == "unit grafana.service"
    assert "exit-code, exit status 1, started anew 5 times; it last said: starting | listening" in finding.message
    assert outcome.evidence[0].command == "systemctl status --lines=50 grafana.service"


async def test_nothing_of_it_here_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine, no systemd and no process: nothing is claimed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = await _ask("http://127.0.0.1:3000")
    assert outcome.verdict is Verdict.SKIP and "no container, unit or process" in outcome.summary
