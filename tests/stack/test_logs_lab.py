"""``meshdiag logs`` over what a simulated mesh writes: a fault is found in its logs, and a calm mesh is calm."""

from __future__ import annotations

import json

import pytest

from meshdiag.lab import LabOptions
from meshdiag.lab.background import lab_in_background
from tests.program import run


def test_an_error_burst_is_found_named_and_new() -> None:
    """The verdict fails on the node that cannot write; its lines, their pattern and their start are told."""
    with lab_in_background(LabOptions(faults=("error-burst",))) as lab:
        (faulty,) = lab.faulty["error-burst"]
        ran = run("logs", "--errors", "--since", "10m", environment=lab.environment)
        assert ran.code == 2, ran.stderr
        assert f"FAIL logs.errors: {faulty} logs many errors" in ran.stderr
        nodes = {json.loads(line)["node"] for line in ran.stdout.splitlines() if '"ERROR"' in line}
        assert nodes == {faulty}
        top = run("logs", "--top", "--level", "error", "-o", "json", environment=lab.environment)
        assert "checkpoint <num> not written" in json.loads(top.stdout.splitlines()[0])["pattern"]
        fresh = run("logs", "--new-since", "30m", "--level", "error", "-o", "json", environment=lab.environment)
        assert len(fresh.stdout.splitlines()) in (0, 1), "the lab's log begins an hour ago at most"
        one = run(
            "logs", "--node", faulty, "--level", "error", "--tail", "1", "-o", "json", environment=lab.environment
        )
        assert json.loads(one.stdout)["component"] == "storage"


@pytest.mark.parametrize("fault", [None, "byzantine"])
def test_a_mesh_that_logs_no_errors_passes(fault: str | None) -> None:
    """Warnings alone are no verdict; who is called Byzantine is a finding of its own."""
    with lab_in_background(LabOptions(faults=(fault,) if fault else ())) as lab:
        ran = run("logs", "--errors", "-q", environment=lab.environment)
        assert (ran.code, ran.stderr) == (0, ""), ran.stdout
        rounds = run("logs", "--where", "consensus.duration_s > 0 and component = consensus", "--count",
                     environment=lab.environment)  # fmt: skip
        assert int(rounds.stdout) > 100
        said = run("logs", "-i", "-e", "byzantine", "--count", environment=lab.environment)
        assert (int(said.stdout) > 0) is (fault == "byzantine")
        checked = run("health", "--direct", "--only", "logs.byzantine", "-o", "json", environment=lab.environment)
        assert checked.check("logs.byzantine")["verdict"] == ("warn" if fault else "pass")
