"""When not one node of the operator's own list answers: they are down, and nothing else is said twenty times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.program import run

OWN = """
[contexts.own]
prometheus = false
alertmanager = false
logs = []
[[contexts.own.nodes]]
url = "http://127.0.0.1:1/metrics"
name = "trainer-1"
role = "trainer"
[[contexts.own.nodes]]
url = "http://127.0.0.1:2/metrics"
name = "aggregator-1"
role = "aggregator"
"""


@pytest.fixture
def own(tmp_path: Path) -> dict[str, str]:
    """An environment whose configuration lists two nodes that are not there."""
    (tmp_path / "own.toml").write_text(OWN)
    return {"MESHDIAG_CONFIG": str(tmp_path / "own.toml"), "MESHDIAG_CONTEXT": "own"}


def test_nodes_of_the_operators_own_list_are_down(own: dict[str, str]) -> None:
    """They should be there: FAIL, each by name with the reason, and what could not be looked at is folded once."""
    ran = run("health", "-o", "json", environment=own)
    up = ran.check("nodes.up")
    assert (ran.code, up["verdict"]) == (2, "fail")
    assert {one["labels"]["node"] for one in up["findings"]} == {"trainer-1", "aggregator-1"}
    assert all("connection refused" in one["message"] for one in up["findings"])
    unknown = [one for one in ran.report["checks"] if one["verdict"] == "unknown"]
    assert len(unknown) > 15
    assert {one["because"] for one in unknown} == {"nodes.up"}
    shown = run("health", environment={**own, "COLUMNS": "80"}).stdout
    assert len(shown.splitlines()) < 50, shown


def test_a_check_asked_for_alone_still_says_that_the_nodes_are_down(own: dict[str, str]) -> None:
    """``--only`` narrows the questions, not the reason why they have no answer."""
    ran = run("health", "--only", "consensus.round-duration", "-o", "json", environment=own)
    assert ran.verdicts == {"nodes.up": "fail", "consensus.round-duration": "unknown"}


def test_nodes_are_rows_that_say_why_they_are_down(own: dict[str, str]) -> None:
    """The table of the nodes is drawn all the same."""
    rows = run("nodes", "-o", "json", environment=own).report["data"]
    assert [(row["name"], row["up"]) for row in rows] == [("aggregator-1", "fail"), ("trainer-1", "fail")]
    assert all("connection refused" in row["trouble"] for row in rows)


def test_a_query_and_the_metric_names_are_unknown(own: dict[str, str]) -> None:
    """That nobody answers is not that the metrics are missing."""
    assert run("query", "mesh_peer_count", "-o", "json", environment=own).code == 3
    ran = run("query", "--metrics", "-o", "json", environment=own)
    assert (ran.code, ran.report["data"]) == (3, None)


def test_nodes_that_are_only_guessed_are_unknown_once(tmp_path: Path) -> None:
    """Without a list of nodes the documented addresses are tried; that nobody is there is said by one check."""
    (tmp_path / "guessed.toml").write_text("[contexts.own]\nprometheus = false\nalertmanager = false\nlogs = []\n")
    ran = run("health", "-o", "json", environment={"MESHDIAG_CONFIG": str(tmp_path / "guessed.toml")})
    unknown = [one for one in ran.report["checks"] if one["verdict"] == "unknown"]
    assert ran.code == 3
    assert {one["because"] for one in unknown if one["id"] != "nodes.up"} == {"nodes.up"}
