"""Alert rules over nodes' own pages, over real sockets: what would fire, and why something cannot be known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from meshdiag.checks.readings.direct_rules import KEPT_MS, DirectRules, Seen, Standing, in_order, tidy
from meshdiag.context import Endpoint, NodeAddress
from meshdiag.errors import SourceError
from meshdiag.model import Verdict
from meshdiag.promql.store import Store
from meshdiag.rules.groups import Rule
from meshdiag.rules.reading import read_rules
from meshdiag.sources.scrape import Scrape
from meshdiag.views.alerts import parse_matchers
from meshdiag.views.direct_alerts import DirectAlerts, joined, sum_up
from tests.nodes import FakeNode, page, running

ENDPOINT = Endpoint("http://localhost", timeout_s=1.0)
DEAD = NodeAddress("http://127.0.0.1:1/metrics", "127.0.0.1:1")


def scrape(nodes: Sequence[NodeAddress], **more: bool) -> Scrape:
    """Pages with a short gap between two looks."""
    return Scrape(nodes, ENDPOINT, gap_s=0.15, **more)


def rules(*lines: str) -> DirectRules:
    """Rules of one group, each in one line."""
    return DirectRules([read_rules("groups:\n- name: g\n  rules:\n" + "".join(f"  - {one}\n" for one in lines), "x")])


async def stand(body: str, *lines: str, more: Sequence[NodeAddress] = (), expected: bool = False) -> list[Standing]:
    """How rules stand over one node's page."""
    node = FakeNode(lambda _: page(body))
    async with running(node):
        source = scrape([node.address("n1", "trainer"), *more], expected=expected)
        return list((await rules(*lines).look(source)).standings)


async def test_alerts_stand_in_one_of_four_ways() -> None:
    """Without 'for' it would fire, with it it is pending after one look; quiet and unknown are told apart."""
    standings = await stand(
        'load{cpu="0"} 9\nmemory 0.5\n',
        "{alert: Load, expr: load > 5, labels: {severity: page}, annotations: {summary: '{{ $labels.node }}'}}",
        "{alert: Soon, expr: load > 5, for: 5m}",
        "{alert: Memory, expr: memory > 0.9}",
        "{alert: Typo, expr: memery > 0.9}",
    )  # fmt: skip
    assert [(one.rule.name, one.state, one.verdict, one.reason) for one in standings] == [
        ("Load", "would fire", Verdict.FAIL, ""),
        ("Soon", "pending", Verdict.WARN, "holds now; fires once it has held for 5 m"),
        ("Typo", "unknown", Verdict.UNKNOWN, "no node exposes memery; did you mean memory?"),
        ("Memory", "quiet", Verdict.PASS, ""),
    ]
    assert standings[0].annotations == {"summary": "n1"}
    assert standings[0].labels["instance"].startswith("127.0.0.1:")
    assert standings[0].since is None


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{alert: A, expr: 'up{job=\"b\"} == 0'}", "up is exposed, but nowhere with job=\"b\": job is agent-mesh"),
        ("{alert: A, expr: x offset 1h > 1}", "asks about the past (offset"),
        ("{alert: A, expr: 'max_over_time(x[1h:1m]) > 1'}", "asks about the past (a subquery over"),
        ("{alert: A, expr: h > 1}", "no node exposes h; it is exposed as h_bucket"),
        ("{alert: A, expr: histogram_avg(x) > 1}", "cannot be evaluated: the native histogram function"),
        ("{alert: A, expr: 'job:x:sum > 1'}", "job:x:sum cannot be recorded: no node exposes nothing"),
        ("{alert: A, expr: 'late:x > 1'}", "late:x is recorded by a rule, which has not given anything yet"),
        ("{alert: A, expr: x > 5 and gone > 1}", "no node exposes gone"),
    ],
)  # fmt: skip
async def test_what_cannot_be_known_says_why(rule: str, said: str) -> None:
    """A rule that sees nothing is unknown, never quiet, with the reason for that very rule."""
    record, late = "{record: 'job:x:sum', expr: sum(nothing)}", "{record: 'late:x', expr: x > 5}"
    standings = await stand('x 1\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\n', record, rule, late)
    assert [one.state for one in standings] == ["unknown"]
    assert standings[0].reason.startswith(said)
    assert standings[0].labels == {"alertname": "A"}


@pytest.mark.parametrize(
    "expr", ["absent(gone) == 0", "x > 5 unless gone", "x > 5 or gone > 1", "x > 5", "ALERTS{alertname='B'} > 0"]
)
async def test_what_need_not_be_there_does_not_blind_a_rule(expr: str) -> None:
    """Absence is what absent() asks for, and one side of 'or' is enough: such a rule is quiet."""
    (standing,) = await stand("x 1\n", f'{{alert: A, expr: "{expr}"}}')
    assert (standing.state, standing.reason) == ("quiet", "")


async def test_rules_may_stand_before_those_that_record_for_them() -> None:
    """At the first look already an alert sees what is recorded after it, or from another recorded series."""
    lines = "{alert: A, expr: 'c:x > 0'}", "{record: 'c:x', expr: 'b:x'}", "{record: 'b:x', expr: sum(x)}"
    (standing,) = await stand("x 1\n", *lines[:1], "{record: 'c:x', expr: sum(x)}")
    assert standing.state == "would fire"
    groups = "".join(f"- name: g{place}\n  rules:\n  - {line}\n" for place, line in enumerate(lines))
    node = FakeNode(lambda _: page("x 1\n"))
    async with running(node):
        seen = await DirectRules([read_rules(f"groups:\n{groups}", "x")]).look(scrape([node.address()]))
    assert [one.state for one in seen.standings] == ["would fire"]


async def test_a_node_that_is_down_is_an_alert_and_a_hole() -> None:
    """Where nodes are known to exist, one that does not answer has up 0; what only it exposes is unknown."""
    standings = await stand(
        "x 1\n",
        "{alert: Down, expr: up == 0, labels: {severity: critical}}",
        f"{{alert: Lost, expr: 'x{{instance=\"{DEAD.instance}\"}} > 5'}}",
        more=[DEAD],
        expected=True,
    )
    assert [(one.rule.name, one.state, one.labels.get("instance")) for one in standings] == [
        ("Down", "would fire", DEAD.instance),
        ("Lost", "unknown", None),
    ]
    assert standings[1].reason.endswith(f"is exposed by nodes that do not answer: {DEAD.instance}")


async def test_no_node_at_all_is_an_error() -> None:
    """When nobody answers, and nobody is known to exist, nothing is said of any rule."""
    with pytest.raises(SourceError, match="connection refused"):
        await rules("{alert: A, expr: up == 0}").look(scrape([DEAD]))


async def test_rates_come_from_two_looks_and_say_over_how_long() -> None:
    """A rate is what was seen between two looks; a quiet one says how little that is, and so does a note."""
    node = FakeNode(lambda request: page(f"errors_total {request * 10}\ncalm_total 5\n"))
    both = "{alert: Errors, expr: 'rate(errors_total[5m]) > 1'}", "{alert: Calm, expr: 'rate(calm_total[5m]) > 1'}"
    async with running(node):
        seen = await rules(*both).look(scrape([node.address()]))
        (once, _) = (await rules(*both).look(scrape([node.address()], single_look=True))).standings
    assert [(one.rule.name, one.state) for one in seen.standings] == [("Errors", "would fire"), ("Calm", "quiet")]
    assert seen.standings[1].reason == "seen over 0 s; the rule looks at 5 m"
    assert any("rates are what was seen" in note for note in seen.notes)
    assert (once.state, once.reason) == ("unknown", "a rate needs two looks at the pages, and only one was asked for")
    assert once.verdict is Verdict.SKIP


async def test_looking_again_keeps_the_state() -> None:
    """A pending alert fires when it has held for long enough, tells since when, and is over when it is over."""
    values = iter([9, 9, 9, 1, 1])
    node = FakeNode(lambda _: page(f"x {next(values)}\n"))
    watched = rules("{alert: A, expr: x > 5, for: 1ms}")
    async with running(node):
        source = scrape([node.address()])
        seen = [(await watched.look(source, afresh=number > 0)).standings[0] for number in range(4)]
    assert [one.state for one in seen] == ["pending", "would fire", "would fire", "quiet"]
    assert seen[0].since is None
    assert seen[1].since is not None
    assert seen[1].since == seen[2].since
    assert seen[1].reason == "has held for 0 s"


async def test_what_an_alert_says_of_itself() -> None:
    """The summary, or else the annotation that files have who know no summary."""
    standings = await stand(
        "x 1\n",
        "{alert: A, expr: x, annotations: {description: d, summary: s}}",
        "{alert: B, expr: x, annotations: {description: d}}",
        "{alert: C, expr: x}",
    )
    assert [one.said for one in standings] == ["s", "d", ""]


async def test_templates_may_ask_queries_of_their_own() -> None:
    """A query inside an annotation finds metrics that no rule's expression names; what is unknown is noted."""
    text = "{{ with query `y` }}{{ . | first | value }}{{ end }} {{ externalURL }}"
    line = f"{{alert: A, expr: x > 0, annotations: {{s: '{text}'}}}}"
    node = FakeNode(lambda _: page("x 1\ny 7\n"))
    async with running(node):
        seen = await rules(line).look(scrape([node.address()]))
    assert seen.standings[0].annotations == {"s": "7 {{ externalURL }}"}
    assert seen.notes == ("A: left as it stands: {{ externalURL }}: the server's own address",)


def test_old_samples_are_let_go() -> None:
    """A watch of days keeps what its rules can look back upon; a series' newest sample stays."""
    store = Store()
    for time in range(100):
        store.add({"__name__": "x"}, time, 1.0)
    store.add({"__name__": "y"}, 5, 1.0)
    tidy(store, 90)
    assert [list(store.named(name)[0].times) for name in "xy"] == [list(range(90, 100)), [5]]
    assert KEPT_MS >= 300_000, "instant selectors look back five minutes"


def standing(name: str, state: str, severity: str = "", **labels: str) -> Standing:
    """One alert or rule."""
    known = {"alertname": name, **({"severity": severity} if severity else {}), **labels}
    return Standing(state, Rule(name, "x"), "g", "f", known, "")


@pytest.mark.parametrize(
    ("state", "severity", "verdict"),
    [
        ("would fire", "critical", Verdict.FAIL),
        ("would fire", "page", Verdict.FAIL),
        ("would fire", "warning", Verdict.WARN),
        ("would fire", "", Verdict.WARN),
        ("would fire", "info", Verdict.PASS),
        ("pending", "critical", Verdict.WARN),
        ("pending", "warning", Verdict.WARN),
        ("unknown", "info", Verdict.UNKNOWN),
        ("quiet", "critical", Verdict.PASS),
    ],
)
def test_severity_makes_the_verdict(state: str, severity: str, verdict: Verdict) -> None:
    """As for alerts that Prometheus evaluates; pending warns, because nobody knows for how long it has held."""
    assert standing("A", state, severity).verdict is verdict
    if state != "unknown":
        assert standing("Watchdog", state, severity).verdict is Verdict.PASS


def seen(*standings: Standing, silent: int = 0) -> Seen:
    """A look that came to this."""
    return Seen(in_order(standings), datetime(2026, 11, 22, tzinfo=UTC), 2.0, silent, 7)


def test_the_summary_names_the_worst_and_counts_the_rest() -> None:
    """One line: what would fire and where, what is pending, what nobody knows, which nodes were not seen."""
    some = seen(
        standing("A", "would fire", "critical", node="n1", instance="h:1"),
        standing("B", "pending", "warning", instance="h:2"),
        standing("C", "unknown"),
        standing("Watchdog", "would fire"),
        standing("D", "quiet"),
        silent=1,
    )
    assert sum_up(some.standings, some) == (
        "1 would fire and 1 pending: A on n1, B on h:2; 1 more only tells (informational, or always firing);"
        " 1 cannot be known; 1 of 7 nodes does not answer"
    )
    short = seen(replace(standing("D", "unknown"), left_out=True), standing("E", "quiet"))
    assert sum_up(short.standings, short) == ("no alert would fire; 1 left out, because rates need two looks (--gap)")
    calm = seen(standing("D", "quiet"), standing("E", "quiet"))
    assert sum_up(calm.standings, calm) == "none of 2 alerts would fire"


def test_matchers_narrow_alerts_and_rules() -> None:
    """An alert is chosen by its labels; a rule without alerts by those that it sets itself, so that asking for a
    node does not hide that a rule is blind."""
    alerts = DirectAlerts((), parse_matchers(["severity=critical", "instance=h:1"]))
    look = seen(
        standing("A", "would fire", "critical", instance="h:1"),
        standing("B", "would fire", "critical", instance="h:2"),
        standing("C", "unknown", "critical"),
        standing("D", "quiet", "warning"),
    )
    assert [one.rule.name for one in alerts.wanted(look)] == ["A", "C"]
    nobody = DirectAlerts((), parse_matchers(["severity=nope"]))
    assert nobody.rows(look).empty == "none of the 4 alerts has severity=nope"


def test_what_alertmanager_still_knows_stands_first() -> None:
    """One table for both, with the columns of either."""
    ours = DirectAlerts((), parse_matchers([])).rows(seen(standing("A", "quiet")))
    theirs = type(ours)(ours.columns[:3], ({"state": "FIRING", "alert": "B"},))
    both = joined(ours, theirs)
    assert both is not None
    assert [row["alert"] for row in both.rows] == ["B", "A"]
    assert joined(ours, None) is ours
    assert joined(None, theirs) is theirs
