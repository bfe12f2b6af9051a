"""Checks of alerts: the board of two servers, silences, the dead man's switch, rules that see nothing."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from meshdiag.checks import all_checks
from meshdiag.checks.alerts import judge_alerts
from meshdiag.checks.inputs import Inputs
from meshdiag.checks.readings.alertboard import AlertRow, is_watchdog, merge, past_rows, read_alerts
from meshdiag.checks.readings.blindness import RuleText, blinding, count_query, judge_rules, names_read, with_parts
from meshdiag.context import Context, Endpoint, NodeAddress
from meshdiag.errors import SourceError
from meshdiag.metrics import Sample, Vector
from meshdiag.model import Verdict
from meshdiag.promql.parsing import parse
from meshdiag.sources import Sources
from meshdiag.sources.alertmanager import Alert, Alertmanager, Silence
from meshdiag.sources.prometheus import ActiveAlert, Prometheus, Rule, RuleGroup, Rules
from meshdiag.views.alerts import alerts_view, parse_matchers
from tests.faulty import faulty
from tests.replay import replay

NOW = datetime(2026, 11, 22, 11, 30, tzinfo=UTC)
OLD, ALERTMANAGER = "prometheus-2.42.0", "alertmanager-0.25.0"


@contextmanager
def nowhere():
    """An address where nobody listens."""
    with faulty("refused") as server:
        yield server


@asynccontextmanager
async def servers(prometheus, alertmanager, at=None):
    """Inputs of a check whose servers answer as recorded (or not at all)."""
    async with AsyncExitStack() as stack:
        rules = stack.enter_context(prometheus)
        board = stack.enter_context(alertmanager)
        sources = Sources(
            prometheus=await stack.enter_async_context(Prometheus(Endpoint(rules.url))),
            alertmanager=await stack.enter_async_context(Alertmanager(Endpoint(board.url))),
        )
        inputs = Inputs(Context(), sources, NOW, timedelta(hours=1), at)
        yield inputs
        await inputs.memo.close()


async def recorded(id_, prometheus=None, alertmanager=None):
    """What a check answers over recorded servers."""
    async with servers(prometheus or replay(OLD), alertmanager or replay(ALERTMANAGER)) as inputs:
        return await all_checks()[id_].run(inputs)


def by_subject(outcome):
    return {finding.subject: finding for finding in outcome.findings}


async def test_the_board_merges_what_two_servers_know():
    """Pending and values from Prometheus, silences, inhibitions and receivers from Alertmanager: each alert once,
    although Alertmanager's carry other external labels."""
    async with servers(replay(OLD), replay(ALERTMANAGER)) as inputs:
        board = await read_alerts(inputs)
    states = {(row.name, row.labels.get("component", "")): row.state for row in board.rows}
    assert states == {
        ("AgentMeshInstanceDown", ""): "firing",
        ("AgentMeshErrorRatio", "executor"): "firing",
        ("AgentMeshErrorRatio", "router"): "firing",
        ("ManualAlert", "router"): "firing",
        ("AgentMeshAbsent", ""): "firing",
        ("AgentMeshQueueHigh", "executor"): "pending",
        ("AgentMeshQueueHigh", "planner"): "pending",
        ("AgentMeshQueueHigh", "router"): "pending",
        ("AgentMeshErrorRatio", "planner"): "silenced",
        ("AgentMeshScrapeDegraded", ""): "inhibited",
    }
    assert board.rows[0].receivers == ("oncall",)
    assert board.notes == ()
    rows = {(row.name, row.labels.get("component", "")): row for row in board.rows}
    (silence,) = rows["AgentMeshErrorRatio", "planner"].silenced_by
    assert (silence.author, silence.comment) == ("operator", "known: planner retries")
    assert rows["AgentMeshScrapeDegraded", ""].inhibited_by == ("AgentMeshInstanceDown 127.0.0.1:19299",)
    assert rows["AgentMeshQueueHigh", "planner"].value == pytest.approx(14.25, abs=0.01)
    assert rows["ManualAlert", "router"].value is None


@pytest.mark.parametrize("lost", ["Prometheus", "Alertmanager"])
async def test_the_board_stands_on_one_leg_and_says_so(lost):
    """When one of the two does not answer, the other's alerts are shown with a note."""
    legs = {
        "Prometheus": (nowhere(), replay(ALERTMANAGER)),
        "Alertmanager": (replay(OLD), nowhere()),
    }
    async with servers(*legs[lost]) as inputs:
        board = await read_alerts(inputs)
    assert any(row.name == "AgentMeshInstanceDown" for row in board.rows)
    assert len(board.notes) == 1
    assert lost in board.notes[0]
    assert "not known" in board.notes[0]
    assert any(row.state == "pending" for row in board.rows) is (lost == "Alertmanager")


async def test_the_board_fails_when_neither_answers():
    """Two servers down is no quiet night."""
    async with servers(nowhere(), nowhere()) as inputs:
        with pytest.raises(SourceError, match=r"Prometheus.*Alertmanager"):
            await read_alerts(inputs)


def active(name, state="firing", value=1.0, **labels):
    return ActiveAlert(name, state, {"alertname": name, **labels}, {}, value, NOW - timedelta(minutes=12))


def sent(name, state="active", silenced_by=(), inhibited_by=(), **labels):
    return Alert(f"fp-{name}", state, {"alertname": name, **labels}, {}, ("oncall",), silenced_by, inhibited_by)


def test_labels_that_contradict_make_two_alerts():
    """The same rule on two nodes is two alerts, each with its counterpart."""
    rows = merge(
        [active("Down", instance="a"), active("Down", instance="b")],
        [sent("Down", instance="b", replica="1"), sent("Down", "suppressed", ("s1",), instance="a", replica="1")],
        [Silence("s1", "active", (), "kim", "disk swap", NOW, NOW + timedelta(hours=1))],
    )
    assert [(row.labels["instance"], row.state) for row in rows] == [("b", "firing"), ("a", "silenced")]
    assert rows[1].silenced_by[0].author == "kim"


def test_a_firing_alert_that_alertmanager_does_not_know_is_told():
    """Firing in Prometheus and unknown to Alertmanager: nobody gets a page."""
    (row,) = merge([active("Down")], [])
    assert (row.state, row.told) == ("firing", False)
    (finding,) = judge_alerts([row], Verdict.FAIL, Verdict.WARN, NOW)
    assert "Alertmanager does not know of it" in finding.message
    (row,) = merge([active("Down", "pending")], [])
    assert row.told is None


@pytest.mark.parametrize(
    ("state", "critical", "warning"),
    [
        ("firing", Verdict.FAIL, Verdict.WARN),
        ("pending", Verdict.WARN, Verdict.PASS),
        ("silenced", Verdict.PASS, Verdict.PASS),
        ("inhibited", Verdict.PASS, Verdict.PASS),
    ],
)
def test_states_are_graded_by_severity(state, critical, warning):
    """Firing fails or warns, pending less so, and what somebody has muted is shown and no failure."""
    row = AlertRow("Down", "critical", state, {"instance": "a:1"}, value=0.0, since=NOW - timedelta(minutes=12))
    (finding,) = judge_alerts([row], Verdict.FAIL, Verdict.WARN, NOW)
    assert (finding.subject, finding.verdict) == ("Down a:1", critical)
    assert "12 m" in finding.message
    (finding,) = judge_alerts([row], Verdict.WARN, Verdict.PASS, NOW)
    assert finding.verdict is warning


def test_alerts_that_would_read_the_same_are_told_apart():
    """Three alerts of one rule without instance are named by the labels in which they differ."""
    rows = [AlertRow("Slow", "warning", "firing", {"alertname": "Slow", "zone": zone, "job": "m"}) for zone in "ab"]
    subjects = [finding.subject for finding in judge_alerts(rows, Verdict.WARN, Verdict.PASS, NOW)]
    assert subjects == ["Slow zone=a", "Slow zone=b"]


async def test_alerts_critical_fails_for_the_one_that_fires():
    """Of the recorded alerts one is critical."""
    outcome = await recorded("alerts.critical")
    assert {key: finding.verdict for key, finding in by_subject(outcome).items()} == {
        "AgentMeshInstanceDown 127.0.0.1:19299": Verdict.FAIL
    }
    assert outcome.summary == "1 critical: AgentMeshInstanceDown on 127.0.0.1:19299"
    assert len(outcome.evidence) == 2


async def test_alerts_warning_shows_what_is_muted_without_failing_for_it():
    """Two errors fire, one is silenced by somebody until some time, one is inhibited, informational ones are left."""
    outcome = await recorded("alerts.warning")
    found = by_subject(outcome)
    assert found["AgentMeshErrorRatio component=router"].verdict is Verdict.WARN
    silenced = found["AgentMeshErrorRatio component=planner"]
    assert silenced.verdict is Verdict.PASS
    assert silenced.message.startswith("silenced by operator until 2026-11-22 15:25:12 UTC (known: planner retries)")
    assert found["AgentMeshScrapeDegraded 127.0.0.1:19299"].verdict is Verdict.PASS
    assert not any(subject.startswith("AgentMeshAbsent") for subject in found)


async def test_alerts_critical_says_when_alertmanager_is_lost():
    """What Prometheus knows is judged; that silences are not known is part of the answer."""
    outcome = await recorded("alerts.critical", alertmanager=nowhere())
    assert outcome.findings[0].verdict is Verdict.FAIL
    assert "silences, inhibitions and receivers are not known" in outcome.summary


@pytest.mark.parametrize(
    ("matchers", "said"),
    [
        (("severity=nope",), "none of the 10 alerts has severity=nope"),
        (
            ("severty=critical",),
            "none of the 10 alerts has severty=critical; no alert has a label severty: did you mean",
        ),
        (
            ("severity=page", "zzz=~.+"),
            "has severity=page and zzz=~.+; no alert has a label zzz: they have alertname, ",
        ),
        (("alertname=~.*",), ""),
    ],
)
async def test_a_filter_that_fits_no_alert_says_so(matchers, said):
    """That nothing matches is not that nothing fires, and a label that no alert has is most likely misspelt."""
    async with servers(replay(OLD), replay(ALERTMANAGER)) as inputs:
        table = await alerts_view(replace(inputs, wanted=parse_matchers(matchers)))
    assert (said in table.empty, bool(table.empty)) == (True, bool(said)), table.empty


async def test_a_filter_narrows_what_the_checks_promise():
    """No critical alert among those asked for is not no critical alert."""
    async with servers(replay(OLD), replay(ALERTMANAGER)) as inputs:
        outcome = await all_checks()["alerts.critical"].run(replace(inputs, wanted=parse_matchers(("nope=1",))))
    assert (outcome.verdict, outcome.summary) == (Verdict.PASS, "no critical alert fires among those asked for")


async def test_no_alert_at_all_passes():
    """A quiet board is what the title hopes for."""
    silent = replay(OLD, lambda asked: "query_range_empty" if asked.path == "/api/v1/alerts" else None)
    quiet = replay(ALERTMANAGER, lambda asked: "alerts_filter_none" if asked.path == "/api/v2/alerts" else None)
    outcome = await recorded("alerts.critical", silent, quiet)
    assert (outcome.verdict, outcome.findings, outcome.summary) == (Verdict.PASS, (), "no critical alert fires")


def test_the_board_of_a_past_moment_comes_from_the_series():
    """Prometheus keeps what fired as series, and since when."""
    labels = {"alertname": "Down", "severity": "critical", "instance": "a"}
    alerts = [Sample({"__name__": "ALERTS", "alertstate": "firing", **labels}, 1.0, 0.0)]
    since = [Sample({"__name__": "ALERTS_FOR_STATE", **labels}, NOW.timestamp(), 0.0)]
    (row,) = past_rows(alerts, since)
    assert (row.name, row.severity, row.state, row.since) == ("Down", "critical", "firing", NOW)
    assert dict(row.labels) == labels


def test_an_alert_that_began_to_fire_a_moment_before_is_on_the_past_board_once():
    """Within the look-back the series of its pending time is still there."""
    labels = {"alertname": "Down", "severity": "critical", "instance": "a"}
    alerts = [Sample({"__name__": "ALERTS", "alertstate": one, **labels}, 1.0, 0.0) for one in ("pending", "firing")]
    other = Sample({"__name__": "ALERTS", "alertstate": "pending", **labels, "instance": "b"}, 1.0, 0.0)
    rows = past_rows([*alerts, other], [])
    assert [(row.state, row.labels["instance"]) for row in rows] == [("firing", "a"), ("pending", "b")]


@pytest.mark.parametrize("check", ["alerts.critical", "alerts.warning", "alerts.blind-rules"])
async def test_a_moment_without_any_sample_is_unknown(check):
    """Where Prometheus holds nothing of a moment, that nothing fired then says nothing."""

    async def instant(query, at):
        assert at == NOW
        return Vector(())

    async def rules(kind=None):
        return Rules((RuleGroup("g", "f.yml", (Rule("Down", "alerting", "up == 0", "ok", "inactive"),)),))

    prometheus = SimpleNamespace(name="Prometheus", instant=instant, rules=rules, evidence=lambda *asked: "")
    inputs = Inputs(Context("test"), Sources(prometheus=prometheus), NOW, timedelta(hours=1), at=NOW)
    with pytest.raises(SourceError, match="holds no sample of 2026-11-22 11:30:00 UTC"):
        await all_checks()[check].run(inputs)


async def test_the_board_of_a_past_moment_says_what_nobody_keeps():
    """Silences of the past are not known, and Alertmanager is not asked for them."""
    chosen = replay(OLD, lambda asked: "query_alerts_series" if "ALERTS_FOR" not in str(asked) else None)
    async with servers(chosen, nowhere(), at=NOW) as inputs:
        board = await read_alerts(inputs)
    assert board.notes == ("silences and receivers of a past moment are not known",)


# The dead man's switch


@pytest.mark.parametrize("name", ["Watchdog", "DeadMansSwitch", "DeadManSwitch", "dead_mans_snitch", "AlwaysFiring"])
def test_watchdogs_are_known_by_their_names(name):
    """The names that the field gives to an alert which must always fire."""
    assert is_watchdog(name)
    assert not is_watchdog("MeshNodeDown")


def with_rules(*rules, told=()):
    """Sources whose Prometheus has these rules and whose Alertmanager these alerts."""

    async def read_rules(kind=None):
        return Rules((RuleGroup("g", "f.yml", rules),))

    async def alerts():
        if told is None:
            raise SourceError("Alertmanager: connection refused", trouble="connection-refused")
        return tuple(sent(name) for name in told)

    prometheus = SimpleNamespace(name="Prometheus", rules=read_rules, evidence=lambda query, at=None: query)
    return Sources(prometheus=prometheus, alertmanager=SimpleNamespace(alerts=alerts))


async def run(id_, sources):
    inputs = Inputs(Context(), sources, NOW, timedelta(hours=1))
    return await all_checks()[id_].run(inputs)


def rule(name="Watchdog", query="vector(1)", state="firing", **more):
    return Rule(name, "alerting", query, more.pop("health", "ok"), state, **more)


@pytest.mark.parametrize(
    ("state", "told", "verdict", "word"),
    [
        ("firing", ("Watchdog",), Verdict.PASS, "gets through"),
        ("firing", (), Verdict.FAIL, "does not get through"),
        ("firing", None, Verdict.PASS, "was not asked"),
        ("pending", (), Verdict.WARN, "pending"),
        ("inactive", (), Verdict.FAIL, "does not fire"),
    ],
)
async def test_alerts_watchdog_follows_the_alert_to_the_end(state, told, verdict, word):
    """The alert that must always fire does, and arrives; silence of it is the fault."""
    outcome = await run("alerts.watchdog", with_rules(rule(state=state), rule("Down", "up == 0"), told=told))
    (finding,) = outcome.findings
    assert finding.verdict is verdict
    assert word in finding.message


async def test_alerts_watchdog_is_skipped_where_no_rule_always_fires():
    """No such rule is no fault of today."""
    outcome = await run("alerts.watchdog", with_rules(rule("Down", "up == 0", "inactive")))
    assert outcome.verdict is Verdict.SKIP


async def test_a_watchdog_is_never_a_problem():
    """That it fires is what it is for."""
    for severity in ("critical", "warning"):
        row = AlertRow("Watchdog", severity, "firing", {})
        assert row.is_watchdog


# Rules that see nothing


@pytest.mark.parametrize(
    ("query", "lacking"),
    [
        ("there > 1", set()),
        ("gone > 1", {"gone"}),
        ("rate(gone[5m]) / rate(there[5m]) > 0.1", {"gone"}),
        ("absent(gone)", set()),
        ("absent_over_time(gone[5m]) or there", set()),
        ("gone or there", set()),
        ("gone or lost", {"gone", "lost"}),
        ("there unless gone", set()),
        ("gone unless there", {"gone"}),
        ('ALERTS{alertstate="firing"} > 0', set()),
        ('{__name__=~"gone.*"} > 0', set()),
        ("histogram_quantile(0.9, sum by (le) (rate(gone_bucket[5m]))) > 1", {"gone_bucket"}),
    ],
)
def test_a_rule_is_blind_for_what_it_cannot_do_without(query, lacking):
    """Only a metric without which the expression gives nothing makes a rule blind."""
    assert blinding(parse(query), {"there"}) == lacking


def test_a_rule_over_a_histogram_by_its_plain_name_says_so():
    """The documented trap: `consensus_round_duration_seconds > 10` matches nothing where it is a histogram."""
    rules = [RuleText("HighConsensusLatency", "consensus_round_duration_seconds > 10", {"severity": "warning"})]
    assert "consensus_round_duration_seconds_bucket" in with_parts(names_read(rules))
    (finding,) = judge_rules(rules, {"consensus_round_duration_seconds_bucket", "consensus_round_duration_seconds_sum"})
    assert finding.verdict is Verdict.WARN
    assert "exposed as a histogram (consensus_round_duration_seconds_bucket" in finding.message


def test_rules_that_cannot_be_evaluated_or_read_are_findings():
    """A rule with an error fails with the server's words; one that meshdiag cannot read is unknown."""
    rules = [
        RuleText("Broken", "up", {}, "many-to-many matching"),
        RuleText("Odd", "up >", {}),
        RuleText("Odd", "up", {}),
    ]
    findings = judge_rules(rules, {"up"})
    assert [finding.verdict for finding in findings] == [Verdict.FAIL, Verdict.UNKNOWN, Verdict.PASS]
    assert "many-to-many" in findings[0].message
    assert [finding.subject for finding in findings] == ["Broken", "Odd", "Odd #2"]
    assert names_read(rules[1:2]) == set()


def test_the_question_for_names_is_one_valid_query():
    """However the names look, the query parses."""
    assert count_query(["a", "b_bucket"]) == 'count by (__name__) ({__name__=~"a|b_bucket"})'
    parse(count_query(["a.b"]))
    asked = count_query(["a"], ["10.0.0.1:9090", 'odd"one'])
    assert asked == r'count by (__name__) ({__name__=~"a",instance=~"10\\.0\\.0\\.1:9090|odd\"one"})'
    parse(asked)


async def test_alerts_blind_rules_of_a_recorded_server():
    """One recorded rule cannot be evaluated; a query that finds nothing makes the others blind, `absent` aside."""
    empty = replay(OLD, lambda asked: "query_empty" if asked.path == "/api/v1/query" else None)
    found = by_subject(await recorded("alerts.blind-rules", empty))
    assert found["BrokenMatching"].verdict is Verdict.FAIL
    assert found["AgentMeshAbsent"].verdict is Verdict.PASS
    assert found["AgentMeshQueueHigh"].verdict is Verdict.WARN
    assert "nobody exposes agent_mesh_queue_depth" in found["AgentMeshQueueHigh"].message


async def test_alerts_blind_rules_are_skipped_where_no_rule_is():
    """VictoriaMetrics leaves rules to another program."""
    outcome = await recorded("alerts.blind-rules", replay("victoriametrics-1.79.5"))
    assert outcome.verdict is Verdict.SKIP
    assert "no alerting rule is loaded" in outcome.summary


async def test_alerts_blind_rules_ask_all_nodes_only_for_what_a_few_lack():
    """What a node of each role exposes is there; a name that none of them has is looked for everywhere."""
    asked = []

    async def instant(query, at=None):
        asked.append(query)
        there = {"mesh_peer_count"} if "instance=~" in query else {"fl_loss_bucket"}
        return Vector(tuple(Sample({"__name__": name}, 1.0, 0.0) for name in there if name in query))

    sources = with_rules(rule("Peers", "mesh_peer_count < 3"), rule("Loss", "fl_loss > 1"))
    sources.prometheus.instant = instant
    nodes = tuple(NodeAddress("http://n", f"n{place}:1", role="trainer") for place in range(9))
    inputs = Inputs(Context(nodes=nodes, nodes_expected=True), sources, NOW, timedelta(hours=1))
    outcome = await all_checks()["alerts.blind-rules"].run(inputs)
    assert {one.subject: one.verdict for one in outcome.findings} == {"Peers": Verdict.PASS, "Loss": Verdict.WARN}
    few, everywhere = asked
    assert few.count("n8") == 1
    assert "instance" not in everywhere
    assert "mesh_peer_count" not in everywhere
