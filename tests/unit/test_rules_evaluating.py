"""Rules stepped through time: state, series, order, limits, and upstream's own unit tests of rules."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from meshdiag.catalog import METRICS
from meshdiag.lab import LabOptions, simulate
from meshdiag.lab.faults import FAULTS
from meshdiag.metrics import NAME_LABEL
from meshdiag.promql.store import Store, is_stale
from meshdiag.rules.builtin import mesh_rules
from meshdiag.rules.evaluating import FIRING, PENDING, Evaluator, Outcome
from meshdiag.rules.reading import read_rules
from tests.promqltest import read_series, read_values
from tests.rulestest import run_file

PROMTOOL = Path(__file__).parents[3] / "shared" / "data" / "rules" / "promtool"
if not PROMTOOL.exists() and os.environ.get("CI"):
    pytest.fail(f"upstream's unit tests of rules are not at hand: {PROMTOOL}", pytrace=False)
needs_data = pytest.mark.skipif(not PROMTOOL.exists(), reason="upstream's unit tests of rules are not at hand")

MINUTE = 60_000
ORIGIN = 1_795_000_000.0
STEP_S = 15


@needs_data
@pytest.mark.parametrize("name", ["unittest", "long-period", "start-time-test", "no-test-group-interval"])
def test_upstream_s_unit_tests_of_rules_pass(name: str) -> None:
    """The files that promtool passes pass here; only native histograms are refused."""
    failures = run_file(PROMTOOL / f"{name}.yml")
    assert failures == []
    assert len(failures.refused) == (3 if name == "unittest" else 0)


@needs_data
def test_upstream_s_failing_unit_tests_fail() -> None:
    """What must fail fails here too, each expectation for itself: two queries, two alerts, one that is not there."""
    failures = run_file(PROMTOOL / "failing.yml")
    assert [one.partition(":")[0] for one in failures] == [
        "Test at 0m",
        "test at 0m",
        "InstanceDown at 5m",
        "AlwaysFiring at 5m",
    ]


class Steps:
    """Rules over series in the notation of the unit tests, one step a minute."""

    def __init__(self, rules: str, *series: str, group: str = "") -> None:
        self.store = Store()
        for line in series:
            labels, rest = read_series(line)
            for place, value in enumerate(read_values(rest)):
                if value is not None:
                    self.store.add(labels, place * MINUTE, value)
        text = f"groups:\n- name: g\n{group}  rules:\n{rules}"
        self.evaluator = Evaluator(read_rules(text, "x").groups, self.store)

    def at(self, minute: float) -> list[Outcome]:
        return self.evaluator.evaluate(round(minute * MINUTE))

    def states(self, *minutes: float) -> list[list[str]]:
        """The states of all alerts at each of these minutes."""
        return [[alert.state for one in self.at(minute) for alert in one.alerts] for minute in minutes]

    def series(self, name: str) -> dict[frozenset[tuple[str, str]], list[float | None]]:
        """The values of a metric's series; None for a staleness marker."""
        return {
            frozenset(pair for pair in one.labels.items() if pair[0] != NAME_LABEL): [
                None if is_stale(value) else value for value in one.values
            ]
            for one in self.store.named(name)
        }


def test_an_alert_waits_fires_and_is_over() -> None:
    """It is pending until its condition has held for as long as ``for`` says, and gone at once when it ends."""
    steps = Steps("  - {alert: A, expr: x > 0, for: 2m}\n", "x 0 1 1 1 0 1")
    assert steps.states(0, 1, 2, 3, 4, 5) == [[], [PENDING], [PENDING], [FIRING], [], [PENDING]]


def test_keep_firing_for_holds_an_alert_that_would_be_over() -> None:
    """It fires on for that long, begins anew when the condition comes back, and then ends."""
    steps = Steps("  - {alert: A, expr: x > 0, keep_firing_for: 2m}\n", "x 1 0 0 1 0 0 0 0")
    assert steps.states(*range(8)) == [*[[FIRING]] * 6, [], []]


def test_alerts_are_series_for_other_rules() -> None:
    """ALERTS tells the state and ALERTS_FOR_STATE since when; a series that is over gets a staleness marker."""
    steps = Steps("  - {alert: A, expr: x > 0, for: 1m, labels: {severity: page}}\n", 'x{i="1"} 1 1 0')
    for minute in range(3):
        steps.at(minute)
    base = {("alertname", "A"), ("i", "1"), ("severity", "page")}
    assert steps.series("ALERTS") == {
        frozenset(base | {("alertstate", "pending")}): [1, None],
        frozenset(base | {("alertstate", "firing")}): [1, None],
    }
    assert steps.series("ALERTS_FOR_STATE") == {frozenset(base): [0, 0, None]}


def test_rules_of_a_group_see_those_before_them() -> None:
    """A recorded series is there for the next rule in the same step, with the rule's labels over its own."""
    rules = "  - {record: 'a:b', expr: sum by (i) (x), labels: {i: '', k: v}}\n"
    rules += "  - {alert: A, expr: 'a:b{k=\"v\"} > 1'}\n"
    _first, second = Steps(rules, 'x{i="1"} 2 2').at(1)
    assert [(dict(one.labels), one.value) for one in second.alerts] == [({"alertname": "A", "k": "v"}, 2.0)]
    first, second = Steps(rules, 'x{i="1"} 2', 'x{i="2"} 2').at(0)
    assert first.error == "vector contains metrics with the same labelset after applying rule labels"
    assert second.alerts == ()


def test_what_a_rule_no_longer_makes_is_marked_stale() -> None:
    """A recorded series that vanishes is gone for queries at once, not after five minutes."""
    steps = Steps("  - {record: r, expr: x > 0}\n", 'x{i="1"} 1 0 1', 'x{i="2"} 1 1 1')
    for minute in range(3):
        steps.at(minute)
    assert steps.series("r") == {frozenset({("i", "1")}): [1, None, 1], frozenset({("i", "2")}): [1, 1, 1]}


def test_labels_and_annotations_are_filled_in_at_each_step() -> None:
    """Value and annotations follow the condition; labels, which make the alert what it is, are templates too."""
    rules = "  - {alert: A, expr: x > 0, labels: {big: '{{ gt .Value 5.0 }}'}, annotations: {s: 'is {{ $value }}'}}\n"
    steps = Steps(rules, 'x{i="1"} 1 2 9')
    seen = [
        [(one.labels["big"], one.annotations["s"], one.active_ms) for one in steps.at(m)[0].alerts] for m in range(3)
    ]
    assert seen == [[("false", "is 1", 0)], [("false", "is 2", 0)], [("true", "is 9", 2 * MINUTE)]]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{alert: A, expr: x, labels: {i: z}}", "vector contains metrics with the same labelset after applying alert"),
        ("{alert: A, expr: x}", "exceeded limit of 1 with 2 alerts"),
        ("{record: a, expr: x}", "exceeded limit of 1 with 2 series"),
        ("{alert: A, expr: 'x[5m]'}", "rule result is not a vector or scalar"),
        ("{alert: A, expr: '\"text\"'}", "rule result is not a vector or scalar"),
        ("{alert: A, expr: x * on() x}", "many-to-many"),
    ],
)
def test_a_rule_that_cannot_be_evaluated_says_so_and_spoils_no_other(rule: str, said: str) -> None:
    """The error is the rule's own, in Prometheus's words; the next rule is evaluated."""
    steps = Steps(f"  - {rule}\n  - {{alert: B, expr: '1'}}\n", 'x{i="1"} 1', 'x{i="2"} 1', group="  limit: 1\n")
    first, second = steps.at(0)
    assert said in first.error
    assert first.alerts == ()
    assert [one.state for one in second.alerts] == [FIRING]


def test_a_query_offset_looks_back() -> None:
    """Rules of a group with ``query_offset`` see the past, and write it."""
    steps = Steps("  - {record: r, expr: x}\n", "x 1 2 3", group="  query_offset: 1m\n")
    steps.at(2)
    (series,) = steps.store.named("r")
    assert (list(series.times), list(series.values)) == ([MINUTE], [2.0])


@pytest.mark.parametrize("name", [*FAULTS, "healthy"])
def test_every_fault_of_the_lab_fires_its_alerts_and_no_others(name: str) -> None:
    """Over half an hour of a broken mesh the mesh's own rules fire on the nodes that are hit, and are quiet on all
    others; over a healthy one nothing fires."""
    faults = () if name == "healthy" else (name,)
    mesh, injected = simulate(LabOptions(faults=faults), ORIGIN)
    store, evaluator = Store(), None
    evaluator = Evaluator(mesh_rules().groups, store)
    wanted = {metric.name: metric for metric in METRICS if any(metric.name in rule.expr for rule in mesh_rules().rules)}
    outcomes: list[Outcome] = []
    for moment in range(round(ORIGIN) - 1800, round(ORIGIN) + 1, STEP_S):
        for node in mesh.nodes:
            target = {"job": "agent-mesh", "instance": node.name}
            up = moment < node.down_since
            store.add({NAME_LABEL: "up", **target}, moment * 1000, float(up))
            for family in (node.families.get(one) for one in wanted) if up else ():
                for one in family.series if family is not None else ():
                    if one.exists(moment):
                        labels = {NAME_LABEL: family.name + one.suffix, **dict(one.labels), **target}
                        store.add(labels, moment * 1000, one.signal(moment))
        outcomes = evaluator.evaluate(moment * 1000)
    assert [one.error for one in outcomes if one.error] == []
    fired = {
        (alert.labels["severity"], alert.labels["instance"])
        for one in outcomes
        for alert in one.alerts
        if alert.state == FIRING
    }
    severities = {"alerts.critical": "critical", "alerts.warning": "warning"}
    expects = [one for found in injected for one in found.expects if one.check in severities]
    assert fired == {(severities[one.check], node) for one in expects for node in one.nodes}
