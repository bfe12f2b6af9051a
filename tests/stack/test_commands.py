"""Every command on a mesh with several faults, through a real Prometheus and Alertmanager."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from meshdiag.lab import Lab, LabOptions
from meshdiag.lab.background import lab_in_background
from tests.binaries import need
from tests.program import run

JSON_COMMANDS = (
    "health",
    "health --direct",
    "consensus",
    "consensus --slow",
    "nodes",
    "peers --count 2 --interval 0",
    "alerts",
    "alerts severity=critical",
    "query mesh_peer_count",
    "query never_there",
    "query 1+1",
    "query up[1m]",
    "query up --range 30m --step 5m",
    "query --metrics",
    "checks",
    "checks consensus.round-duration",
    "config show",
    "config path",
)
VERDICT_COMMANDS = ("health", "consensus --slow", "nodes", "alerts", "query mesh_peer_count --warn 3: --crit 2:")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A mesh of seven nodes, one of them inaccurate and some cut off, so that alerts fire and inhibit others."""
    for server in ("prometheus", "promtool", "alertmanager"):
        need(server)
    options = LabOptions(faults=("partition", "accuracy-drop"), with_=("prometheus", "alertmanager"))
    with lab_in_background(options) as running:
        yield running


def silence(lab: Lab, name: str, until: datetime) -> None:
    """Have Anna silence the alerts of one name."""
    matcher = {"name": "alertname", "value": name, "isRegex": False, "isEqual": True}
    times = {"startsAt": datetime.now(UTC).isoformat(), "endsAt": until.isoformat()}
    body = json.dumps({"matchers": [matcher], **times, "createdBy": "anna", "comment": "retraining"}).encode()
    url = f"{lab.alertmanager_url}/api/v2/silences"
    with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=10):
        pass


def rows(lab: Lab, *arguments: str) -> list[dict[str, Any]]:
    """The rows of a data command."""
    data: list[dict[str, Any]] = run(*arguments, "-o", "json", environment=lab.environment).report["data"]
    return data


@pytest.mark.parametrize("command", JSON_COMMANDS)
def test_every_json_answer_fits_the_schema(lab: Lab, command: str) -> None:
    """stdout is one object that the shipped schema accepts, and nothing else; the exit code is its verdict's."""
    ran = run(*command.split(), "-o", "json", environment=lab.environment)
    codes = {"pass": 0, "warn": 1, "fail": 2, "unknown": 3}
    assert ran.code == codes[ran.report["verdict"]]
    assert ran.report["schema"] == "meshdiag.report/1"
    assert ran.stderr == ""


@pytest.mark.parametrize("command", VERDICT_COMMANDS)
def test_the_exit_code_is_the_same_in_every_format(lab: Lab, command: str) -> None:
    """What a script decides does not hang on how the answer is printed."""
    formats = ["table", "json", "junit", "short", *([] if command == "health" else ["csv"])]
    codes = {one: run(*command.split(), "-o", one, environment=lab.environment).code for one in formats}
    assert len(set(codes.values())) == 1, codes
    failing = run(*command.split(), "-o", "short", "--fail-on", "fail", environment=lab.environment).code
    assert failing == (0 if codes["json"] == 1 else codes["json"])


def test_alerts_say_who_muted_them_until_when_and_who_is_told(lab: Lab) -> None:
    """Pending and firing of Prometheus, silences and inhibitions of Alertmanager, in one table; the verdict goes by
    what is not muted."""
    assert run("alerts", "alertname=ModelAccuracyDrop", environment=lab.environment).code == 1
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
    silence(lab, "ModelAccuracyDrop", until)
    (silenced,) = rows(lab, "alerts", "alertname=ModelAccuracyDrop")
    (by,) = silenced["silenced_by"]
    assert (silenced["state"], by["author"], by["comment"]) == ("silenced", "anna", "retraining")
    assert datetime.fromisoformat(by["until"]) == until
    assert run("alerts", "alertname=ModelAccuracyDrop", environment=lab.environment).code == 0
    shown = run("alerts", "alertname=ModelAccuracyDrop", environment={**lab.environment, "COLUMNS": "80"}).stdout
    assert "anna until" in shown
    inhibited = rows(lab, "alerts", "alertname=LowPeerCount")
    assert {row["on"] for row in inhibited} == set(lab.faulty["partition"])
    assert {row["state"] for row in inhibited} == {"inhibited"}
    assert all(row["inhibited_by"][0].startswith("ConsensusFailure") for row in inhibited)
    firing = rows(lab, "alerts", "severity=critical")
    assert {row["receivers"] for row in firing} == {"on-call"}
    assert all(row["value"] > 0.1 and row["since"] for row in firing)
    assert run("alerts", "severity=critical", environment=lab.environment).code == 2


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("never_there", 3, "never seen"),
        ("mesh_peer_cuont", 3, "did you mean mesh_peer_count"),
        ("consensus_round_duration_seconds_bucket", 3, "is no histogram"),
        ('mesh_peer_count{node="nobody"}', 3, "not with node"),
        ("mesh_peer_count > 1000", 0, "series exist"),
        ("mesh_peer_count", 0, "7 series"),
    ],
)
def test_an_empty_answer_says_why(lab: Lab, query: str, code: int, words: str) -> None:
    """Nothing to see and nobody looked are told apart, on the screen and in the exit code."""
    ran = run("query", query, "-o", "json", environment=lab.environment)
    assert (ran.code, words in ran.check("query")["summary"]) == (code, True), ran.check("query")["summary"]


def test_a_wrong_server_and_a_dead_one_are_told_apart(lab: Lab) -> None:
    """A node's own page on Prometheus' port, and nobody at all."""
    node = lab.nodes[0].url.removesuffix("/metrics")
    for url, words in (
        (node, "metrics"),
        (str(lab.alertmanager_url), "Alertmanager"),
        ("http://127.0.0.1:1", "refused"),
    ):
        ran = run("query", "up", "--no-direct", "--prometheus-url", url, "-o", "json", environment=lab.environment)
        assert ran.code in (2, 3)
        assert words in ran.check("stack.prometheus")["summary"]


def test_metric_names_are_listed_with_what_they_mean(lab: Lab) -> None:
    """``query --metrics`` lists each with type, unit and meaning; of a whole mesh none is missing."""
    here = {row["name"]: row for row in rows(lab, "query", "--metrics")}
    assert here["mesh_peer_count"]["unit"] == "count"
    assert here["mesh_peer_count"]["help"]
    missing = {name for name, row in here.items() if row["state"] == "MISSING"}
    assert missing == set()


def test_the_peers_are_those_that_prometheus_scrapes(lab: Lab) -> None:
    """Each node of the mesh is probed at its peer address, with its name, its role and its instance."""
    peers = {row["instance"]: row for row in rows(lab, "peers", "--count", "2", "--interval", "0")}
    assert {(node.instance, node.name, node.role, node.peer) for node in lab.nodes} == {
        (instance, row["node"], row["role"], row["address"]) for instance, row in peers.items()
    }
    assert {row["verdict"] for row in peers.values()} == {"pass"}


def test_the_slow_procedure_shows_load_and_failed_share_beside_the_rounds(lab: Lab) -> None:
    """Each node's row has what the procedure looks at: rounds now and over the window, failures, votes, load."""
    (row, *_others) = rows(lab, "consensus", "--slow")
    assert len(row["round_trend_s"]) > 10
    cut_off = [row for row in rows(lab, "consensus", "--slow") if row["name"] in lab.faulty["partition"]]
    assert all(row["failed_share"] > 0.1 for row in cut_off)
    assert all(0 < row["cpu_percent"] < 100 and 0 < row["memory_ratio"] < 1 for row in cut_off)
    assert all(row["latency_s"] < 1 for row in cut_off)
