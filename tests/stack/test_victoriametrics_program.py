"""The whole program on a real VictoriaMetrics that holds a lab's past: the second dialect, end to end."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from meshdiag.lab import JOB, Lab, LabOptions
from meshdiag.lab.background import lab_in_background
from meshdiag.lab.history import write_history
from tests.program import Ran, run
from tests.servers import victoria_metrics


@contextmanager
def remembered(lab: Lab) -> Iterator[str]:
    """The address of a VictoriaMetrics with the past of ``lab`` up to now."""
    out = io.StringIO()
    write_history(out, lab.mesh, lab.nodes, JOB, (), time.time())
    samples = (line.rpartition(" ") for line in out.getvalue().splitlines() if not line.startswith("#"))
    with victoria_metrics("".join(f"{head} {float(at) * 1000:.0f}\n" for head, _, at in samples)) as server:
        yield server.url


def ask(lab: Lab, url: str, *command: str) -> Ran:
    """Run a command against that server, never against the nodes."""
    return run(*command, "--no-direct", "--prometheus-url", url, "-o", "json", environment=lab.environment)


def not_fine(ran: Ran) -> dict[str, str]:
    """The checks that neither pass nor are skipped, with what they say."""
    return {one["id"]: one["summary"] for one in ran.report["checks"] if one["verdict"] not in ("pass", "skip")}


@pytest.mark.parametrize("history_s", [7200, 1200])
def test_a_healthy_mesh_is_healthy_there_too(history_s: int) -> None:
    """What VictoriaMetrics lacks (rules, targets, build information) is skipped with a reason and is no fault;
    nor is it one that the mesh is younger than the window."""
    with lab_in_background(LabOptions(nodes=7, history_s=history_s)) as lab, remembered(lab) as url:
        ran = ask(lab, url, "health")
        assert not_fine(ran) == {}
        assert (ran.code, ran.stderr) == (0, "")
        assert ran.check("stack.prometheus")["summary"].startswith("VictoriaMetrics")
        skipped = [one for one in ran.report["checks"] if one["verdict"] == "skip"]
        assert all(one["summary"].startswith(("not looked at", "context lab has no")) for one in skipped), skipped
        assert len(skipped) < 9
        nodes = ask(lab, url, "nodes").report["data"]
        assert {(row["name"], row["up"]) for row in nodes} == {(node.name, "pass") for node in lab.nodes}
        names = ask(lab, url, "query", "--metrics", "consensus_*").report["data"]
        assert {row["state"] for row in names} == {"in the catalog"}


def test_the_slow_link_is_found_there_too(slow_lab: Lab) -> None:
    """The same nodes, the same cause, a course of the rounds: only the server is another."""
    with remembered(slow_lab) as url:
        ran = ask(slow_lab, url, "consensus", "--slow")
        rounds = ran.check("consensus.round-duration")
        assert {one["labels"]["node"] for one in rounds["findings"] if one["verdict"] == "warn"} == set(
            slow_lab.faulty["slow-consensus"]
        )
        assert any(all(node in cause["statement"] for node in slow_lab.faulty["slow-consensus"])
                   for cause in ran.report["causes"])  # fmt: skip
        assert all(len(row["round_trend_s"]) > 10 for row in ran.report["data"])
        assert set(not_fine(ran)) <= {"consensus.round-duration", "consensus.slow-leaders", "peers.connection-duration"}


@pytest.mark.parametrize("way", ["gauge", "histogram"])
def test_both_shapes_of_a_duration_are_read(way: str) -> None:
    """Rounds as a gauge and as a histogram give seconds a node, through functions that VictoriaMetrics shares."""
    faults = ("histogram-shape",) if way == "histogram" else ()
    with lab_in_background(LabOptions(nodes=4, faults=faults)) as lab, remembered(lab) as url:
        rounds = ask(lab, url, "consensus").check("consensus.round-duration")
    assert rounds["verdict"] == "pass"
    assert all(0 < one["value"] < 10 for one in rounds["findings"])


def test_empty_and_refused_answers_say_why(healthy_lab: Lab) -> None:
    """Never seen and refused are told apart, in one sentence each."""
    with remembered(healthy_lab) as url:
        empty = ask(healthy_lab, url, "query", "never_there")
        refused = ask(healthy_lab, url, "query", "sum(")
    assert (empty.code, "never seen" in empty.check("query")["summary"]) == (3, True)
    assert refused.code == 64
    assert "refused" in refused.stderr
