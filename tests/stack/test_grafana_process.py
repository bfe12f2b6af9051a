"""Grafana's process on this machine: containers of a real Docker engine in every state, and a plain process."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.binaries import need
from tests.dockerd import Engine, docker_engine
from tests.program import run

READY_S = 15.0
HEALTH = ("--health-interval", "1s", "--health-timeout", "1s", "--health-retries", "1")
FOREVER = "echo listening; sleep 1000"


@pytest.fixture
def engine() -> Iterator[Engine]:
    with docker_engine() as running:
        yield running


def _until(engine: Engine, name: str, template: str, wanted: str) -> None:
    end = time.monotonic() + READY_S
    while (said := engine.docker("inspect", "--format", template, name).strip()) != wanted:
        assert time.monotonic() < end, f"{name} is {said}, not {wanted}"
        time.sleep(0.1)


def test_every_state_of_a_container_is_told(engine: Engine) -> None:
    """By "grafana.process" running, healthy, unhealthy with its last lines, restarting, paused, exited and created are
    each told from the others; other containers are left alone."""
    engine.run("plain-grafana", FOREVER)
    engine.run("well-grafana", FOREVER, "--health-cmd", "true", *HEALTH)
    engine.run("sick-grafana", "echo database is locked; sleep 1000", "--health-cmd", "echo no; false", *HEALTH)
    engine.run("paused-grafana", FOREVER)
    engine.run("ended-grafana", "echo cannot open grafana.ini >&2; exit 3")
    engine.run("again-grafana", "echo port in use; exit 4", "--restart", "always")
    engine.run("loki", "exit 1")
    engine.docker("create", "--name", "new-grafana", "--network", "none", "meshdiag-test:1", "sh")
    engine.docker("pause", "paused-grafana")
    _until(engine, "well-grafana", "{{.State.Health.Status}}", "healthy")
    _until(engine, "sick-grafana", "{{.State.Health.Status}}", "unhealthy")
    _until(engine, "ended-grafana", "{{.State.Status}}", "exited")
    _until(engine, "again-grafana", "{{.State.Status}}", "restarting")
    environment = {"DOCKER_HOST": engine.host}
    ran = run("dashboards", "--only", "grafana.process", "-o", "json", environment=environment)
    engine.docker("unpause", "paused-grafana")
    said = {one["subject"]: (one["verdict"], one["message"]) for one in ran.check("grafana.process")["findings"]}
    expected = {
        "plain": ("pass", "no health check"),
        "well": ("pass", "is healthy"),
        "sick": ("fail", "health check: no; it last said: database is locked"),
        "paused": ("fail", "docker unpause"),
        "ended": ("fail", "it last said: cannot open grafana.ini"),
        "new": ("fail", "never started"),
    }
    assert said.keys() == {f"container {name}-grafana" for name in (*expected, "again")}
    assert said["container again-grafana"][0] in ("fail", "warn"), "between two ends it runs for a moment"
    assert "again" in said["container again-grafana"][1] and "port in use" in said["container again-grafana"][1]
    for name, (verdict, words) in expected.items():
        found = said[f"container {name}-grafana"]
        assert found[0] == verdict and words in found[1], found
    assert "exit code 3" in said["container ended-grafana"][1]
    assert ran.code == 2


def test_one_that_the_kernel_killed_is_told(engine: Engine) -> None:
    """Out of memory is not just exit code 137."""
    eats = "x=a; while true; do x=$x$x; done"
    engine.run("grafana", eats, "--memory", "16m", "--memory-swap", "16m")
    engine.docker("wait", "grafana")
    if engine.docker("inspect", "--format", "{{.State.OOMKilled}}", "grafana").strip() != "true":
        pytest.skip("control groups do not limit memory here")
    ran = run("dashboards", "--only", "grafana.process", "-o", "json", environment={"DOCKER_HOST": engine.host})
    (finding,) = ran.check("grafana.process")["findings"]
    assert finding["verdict"] == "fail" and "want of memory (exit code 137)" in finding["message"]


def test_a_plain_process_is_found_by_its_program(tmp_path: Path) -> None:
    """Where no engine and no unit knows of it, the process itself does."""
    program = tmp_path / "grafana-server"
    shutil.copy(need("sleep"), program)
    with subprocess.Popen([program, "60"]) as running:
        try:
            environment = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
            ran = run("dashboards", "--only", "grafana.process", "-o", "json", environment=environment)
        finally:
            running.kill()
    (finding,) = ran.check("grafana.process")["findings"]
    assert finding["verdict"] == "pass" and f"process {running.pid}" in finding["message"]
