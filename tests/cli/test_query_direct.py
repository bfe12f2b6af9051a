"""``meshdiag query --direct``: a span that lies ahead, cut short by Ctrl-C, and queries that are wrong."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from meshdiag.lab import Lab, LabOptions
from meshdiag.lab.background import lab_in_background
from tests.program import clean_environment, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
    assert all(2 <= len(row["trend"]) <= 5 for row in ran.report["data"]), "five looks, four rates, if all are in time"
    assert ran.stderr == "", "progress is for terminals"


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("consensus_no_such_metric", "never-seen"),
        ('mesh_peer_count{instance="nowhere"}', "other-labels"),
        ("mesh_peer_count < 0", "filtered"),
    ],
)
def test_json_says_in_a_word_why_an_answer_is_empty(lab: Lab, query: str, kind: str) -> None:
    """A script need not read the sentence."""
    ran = run("query", "--direct", query, "-o", "json", environment=lab.environment)
    assert [one["absent"] for one in ran.report["checks"]] == [kind]
    there = run("query", "--direct", "mesh_peer_count", "-o", "json", environment=lab.environment)
    assert all("absent" not in one for one in there.report["checks"])


def test_ctrl_c_gives_what_there_is(tmp_path: Path) -> None:
    """A watch that is cut short answers from what it saw, and says so with exit code 130."""
    command = (
        sys.executable,
        "-m",
        "meshdiag",
        "query",
        "--direct",
        "x",
        "--range",
        "20m",
        "--step",
        "200ms",
        "-o",
        "json",
    )
    with counting_node() as node:
        config = tmp_path / "meshdiag.toml"
        address = f"127.0.0.1:{node.server_address[1]}"
        config.write_text(f'[contexts.one]\nprometheus = false\nalertmanager = false\nnodes = ["{address}"]\n')
        process = subprocess.Popen(
            command,
            env=clean_environment(MESHDIAG_CONFIG=str(config), MESHDIAG_CONTEXT="one"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert node.third_request.wait(30)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")
    report = json.loads(out)
    assert report["checks"][0]["summary"] == "cut short: 1 series"
    assert report["data"][0]["trend"][:2] == [1, 2]


class CountingNode(ThreadingHTTPServer):
    """A node whose one metric is how often it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.asked = 0
        self.third_request = threading.Event()


class Page(BaseHTTPRequestHandler):
    """Its page."""

    server: CountingNode

    def do_GET(self) -> None:
        self.server.asked += 1
        body = f"x {self.server.asked}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if self.server.asked == 3:
            self.server.third_request.set()

    def log_message(self, *_arguments: Any) -> None:
        pass


@contextlib.contextmanager
def counting_node() -> Iterator[CountingNode]:
    """Such a node, while the block lasts."""
    node = CountingNode()
    thread = threading.Thread(target=node.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield node
    finally:
        node.shutdown()
        thread.join()
        node.server_close()


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
