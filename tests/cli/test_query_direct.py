"""``meshdiag query --direct``: a span that lies ahead, cut short by Ctrl-C, and queries that are wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from meshdiag.lab import Lab, LabOptions
from meshdiag.lab.background import lab_in_background
from tests.program import clean_environment, run

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Nodes alone, no servers."""
    with lab_in_background(LabOptions(nodes=4)) as running:
        yield running


def test_the_span_is_watched_whatever_the_deadline(lab: Lab) -> None:
    """The nodes are read at every step of the span that was asked for, longer than the deadline of everything else."""
    options = ("--range", "2s", "--step", "500ms", "--deadline", "1s", "-o", "json")
    ran = run("query", "--direct", "rate(consensus_rounds_total[1s])", *options, environment=lab.environment)
    assert ran.code == 0, ran.stderr
    assert len(ran.report["data"]) == 4
    assert all(len(row["trend"]) == 4 for row in ran.report["data"]), "five looks, four rates"
    assert ran.stderr == "", "progress is for terminals"


def test_ctrl_c_gives_what_there_is(lab: Lab) -> None:
    """A watch that is cut short answers from what it saw, and says so with exit code 130."""
    command = (
        sys.executable,
        "-m",
        "meshdiag",
        "query",
        "--direct",
        "mesh_peer_count",
        "--range",
        "20m",
        "--step",
        "200ms",
    )
    with subprocess.Popen(
        [*command, "-o", "json"],
        env=clean_environment(**lab.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (130, "")
    report = json.loads(out)
    assert report["checks"][0]["summary"] == "cut short: 4 series"
    assert all(len(row["trend"]) >= 2 for row in report["data"])


def test_another_moment_is_refused(lab: Lab) -> None:
    """Pages know the present alone: --at with a span ahead is wrong usage, and says what to do."""
    ran = run("query", "--direct", "up", "--range", "1m", "--at", "10:00", environment=lab.environment)
    assert ran.code == 64
    assert "--at" in ran.stderr
    assert "leave --at out" in ran.stderr


def test_a_past_span_points_to_the_watch(lab: Lab) -> None:
    """Without --direct a range means the past, which pages do not know; the hint names what would help."""
    ran = run("query", "up", "--range", "1m", environment=lab.environment)
    assert ran.code == 3
    assert "--direct with --range" in ran.stdout


def test_the_caret_reaches_the_terminal(lab: Lab) -> None:
    """The line of the query and the caret stand on lines of their own, under the sentence."""
    ran = run("query", "--direct", "rate(up[5m)", environment=lab.environment)
    sentence, line, caret = ran.stderr.splitlines()
    assert ran.code == 64
    assert sentence.startswith("meshdiag: cannot parse the query: found ')', expected ']', at column 11")
    assert (line, caret) == ("  rate(up[5m)", "            ^")
