"""What two witnesses of a node may say without a contradiction, and what they may not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from meshdiag.checks.inputs import Inputs
from meshdiag.checks.readings.contradiction import AGREE, BROKEN, Case, judge
from meshdiag.checks.readings.roster import Node, Roster
from meshdiag.checks.readings.witness import Told, narrowed, page_values, still_query
from meshdiag.checks.stack import HEALTHY, MOST_SUSPECTS, choose, scrape_truth
from meshdiag.context import Context
from meshdiag.model import Threshold, Verdict, at_most
from meshdiag.promql.parsing import parse
from meshdiag.sources import Sources
from meshdiag.sources.scrape.reading import Reading
from tests.unit.memory_metrics import NOW

BEGAN = 1_700_000_000.0
SCRAPED = BEGAN + 10_000
LIMITS = Threshold(warn=at_most(60), fail=at_most(300))
TARGET = {"job": "agent-mesh", "instance": "n1:9091"}
VALUES = {
    "process_start_time_seconds": BEGAN,
    "consensus_rounds_total": 500.0,
    "fl_training_rounds_total": 40.0,
    "system_cpu_usage_percent": 30.0,
    "system_memory_usage_bytes": 1e9,
}


def reading(at: float = SCRAPED + 10, /, **values: float) -> Reading:
    """A page at a moment: the usual values, and what is given instead; None takes one away."""
    page = {name: value for name, value in (VALUES | values).items() if value is not None}
    return Reading(at, at, tuple((name, {"__name__": name}, value, None) for name, value in page.items()))


def told(**changes: Any) -> Told:
    """What Prometheus has of the same node; ``values`` are given instead of the usual."""
    values = VALUES | changes.pop("values", {})
    held = {(name, frozenset[tuple[str, str]]()): value for name, value in values.items() if value is not None}
    names = frozenset(name for name, _labels in held)
    return replace(Told(TARGET, True, SCRAPED, held, names, 0.0), **changes)


def said(case: Case) -> tuple[Verdict, str]:
    """Verdict and message about a node."""
    finding = judge("n1:9091", case, LIMITS, {})
    return finding.verdict, finding.message


LATER = {"consensus_rounds_total": 505.0, "system_cpu_usage_percent": 41.0, "system_memory_usage_bytes": 1.1e9}


@pytest.mark.parametrize(
    "case",
    [
        Case(told(), reading(**LATER)),
        Case(
            told(),
            reading(process_start_time_seconds=SCRAPED + 5, consensus_rounds_total=1, fl_training_rounds_total=0),
        ),
        Case(told(values={"process_start_time_seconds": None}), reading(consensus_rounds_total=1)),
        Case(told(), reading(consensus_rounds_total=1)),
        Case(told(), reading(new_metric=1.0, mesh_peer_count=4.0)),
        Case(told(dropped=5.0), reading(go_gc_seconds=1.0)),
        Case(told(still=True), reading(consensus_rounds_total=501)),
        Case(told(scraped=SCRAPED + 5), reading(**LATER), before=reading(SCRAPED)),
        Case(told(), reading(**LATER), before=reading(SCRAPED + 1, **LATER)),
        Case(told(scraped=SCRAPED + 5), reading(consensus_rounds_total=2), before=reading(SCRAPED)),
        Case(told(scraped=None), reading(**LATER)),
    ],
    ids=[
        *("moved on", "restarted since", "no start time", "one series reset", "new on the page", "others dropped"),
        *("one counter moved", "scraped since", "not scraped since", "reset since", "no scrape time"),
    ],
)
def test_what_a_healthy_node_may_show(case: Case) -> None:
    """Values that moved on, restarts, resets of one series, what is new on the page: none of it is a contradiction."""
    assert said(case) == (Verdict.PASS, AGREE)


@pytest.mark.parametrize(
    ("case", "verdict", "words"),
    [
        (Case(None, reading()), Verdict.FAIL, "has no target for it"),
        (Case(None, reading(), elsewhere="old:1"), Verdict.FAIL, "knows a node of this name as old:1"),
        (Case(told(up=False), reading()), Verdict.WARN, "though its process ran"),
        (
            Case(told(up=False, scraped=SCRAPED + 5), reading(), before=reading(SCRAPED)),
            Verdict.FAIL,
            "though it answered before and after",
        ),
        (
            Case(told(up=False, scraped=SCRAPED + 5), reading(), before=reading(SCRAPED + 6)),
            Verdict.WARN,
            "its process ran",
        ),
        (Case(told(up=False), reading(process_start_time_seconds=SCRAPED + 1)), Verdict.WARN, "may have come back"),
        (Case(told(), reading(SCRAPED + 100, **LATER)), Verdict.WARN, "read it last"),
        (Case(told(), reading(SCRAPED + 1000, **LATER)), Verdict.FAIL, "read it last"),
        (
            Case(told(values={"process_start_time_seconds": BEGAN - 5000}), reading()),
            Verdict.FAIL,
            "process_start_time_seconds is 1699995000 there and 1700000000 on the page",
        ),
        (
            Case(told(values={"consensus_rounds_total": 900.0, "fl_training_rounds_total": 90.0}), reading()),
            Verdict.FAIL,
            "ahead of the page in consensus_rounds_total, fl_training_rounds_total",
        ),
        (
            Case(told(scraped=SCRAPED + 5), reading(**LATER), before=reading(SCRAPED, **LATER)),
            Verdict.FAIL,
            "given an old copy of it: consensus_rounds_total stood higher",
        ),
        (Case(told(still=True), reading(**LATER)), Verdict.FAIL, "seems to be given an old copy"),
        (Case(told(dropped=1.0), reading(mesh_peer_count=4.0)), Verdict.WARN, "drops mesh_peer_count"),
        (
            Case(told(scraped=SCRAPED + 5), reading(mesh_peer_count=4), before=reading(SCRAPED, mesh_peer_count=4)),
            Verdict.WARN,
            "renames or loses mesh_peer_count",
        ),
        (Case(told(values=dict.fromkeys(VALUES)), reading()), Verdict.FAIL, "keeps none of its metrics"),
    ],
)
def test_a_contradiction_is_the_scrape_paths_fault(case: Case, verdict: Verdict, words: str) -> None:
    """Each says that the page answers, what Prometheus does instead, and how it is known."""
    found = said(case)
    assert (found[0], words in found[1]) == (verdict, True), found
    assert found[1].startswith("its page answers, but Prometheus")


def test_a_broken_page_is_the_nodes_own_fault() -> None:
    """Prometheus refuses all of a page for one line: the node is up, and the line is named."""
    page = replace(reading(), broken="line 3: broken labels: x{a= 1")
    verdict, message = said(Case(told(up=False), page))
    assert verdict is Verdict.FAIL
    assert message == f"{BROKEN}: line 3: broken labels: x{{a= 1"
    assert said(Case(told(), page)) == (Verdict.PASS, AGREE), "it has become so since the last scrape"


def test_a_page_that_is_silent_accuses_nobody() -> None:
    """Where both see nothing they agree; where only this machine sees nothing, nothing was compared."""
    silent = Reading(SCRAPED, SCRAPED, error="connection refused")
    assert said(Case(told(up=False), silent))[0] is Verdict.PASS
    assert said(Case(None, silent))[0] is Verdict.PASS
    verdict, message = said(Case(told(), silent))
    assert verdict is Verdict.SKIP
    assert "connection refused" in message


def test_series_are_matched_by_the_labels_that_the_page_gave_them() -> None:
    """Labels of the target are taken off, and those of the page that clash with them are looked for as exported_."""
    samples = (("security_attacks_detected_total", {"__name__": "x", "type": "sybil", "job": "mine"}, 3.0, None),)
    key = ("security_attacks_detected_total", frozenset({("type", "sybil"), ("exported_job", "mine")}))
    assert page_values(samples, TARGET) == {key: 3.0}


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a.b|c", "n1:9091"])
def test_names_from_outside_are_quoted_in_queries(text: str) -> None:
    """Instances and jobs with quotes, dots and bars match themselves and nothing else."""
    selector = parse("x" + narrowed(text, [text, "other"]))
    assert all(matcher.matches({"job": text, "instance": text}) for matcher in selector.matchers)  # type: ignore[union-attr]
    assert not selector.matchers[1].matches({"instance": text + "x"})  # type: ignore[union-attr]
    parse(still_query(text, [text]))


def test_health_reads_few_pages_however_many_nodes_there_are() -> None:
    """Some of each kind that looks bad, and others in turn: every healthy node is read in the end."""
    fine = [Node(f"n{index}:1", up=True, scraped=NOW) for index in range(40)]
    old = [Node(f"old{index}:1", up=True, scraped=NOW - timedelta(minutes=2)) for index in range(9)]
    down = [Node(f"down{index}:1", up=False, scraped=NOW) for index in range(9)]
    lost = [Node(f"lost{index}:1", up=False, known=False) for index in range(9)]
    roster = Roster.of([*fine, *old, *down, *lost])
    read: set[str] = set()
    for minute in range(20):
        now = NOW + timedelta(minutes=minute) - timedelta(minutes=0)
        nodes = [
            replace(node, scraped=node.scraped + timedelta(minutes=minute)) if node.scraped else node
            for node in roster.nodes.values()
        ]
        inputs = Inputs(Context(), Sources(), now, timedelta(hours=1), threshold=scrape_truth.threshold or Threshold())
        chosen = choose(Roster.of(nodes), ["n3:1"], list(roster.nodes), inputs)
        kinds = [sum(one.startswith(kind) for one in chosen) for kind in ("lost", "down", "old", "n")]
        assert kinds == [MOST_SUSPECTS, MOST_SUSPECTS, MOST_SUSPECTS, 1 + HEALTHY]
        assert "n3:1" in chosen
        read.update(chosen)
    assert {node.instance for node in fine} <= read
