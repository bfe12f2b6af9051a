"""Prometheus, Alertmanager and the exporters judged by what they tell of themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from meshdiag.checks.alertmanager import (
    judge_alike,
    judge_delivery,
    judge_notifications,
    judge_silences,
    matches_anything,
)
from meshdiag.checks.exporters import judge_clocks
from meshdiag.checks.prometheus import (
    error_kind,
    judge_cardinality,
    judge_rules,
    judge_scrapes,
    judge_store,
    judge_targets,
    lags,
    retention_s,
)
from meshdiag.checks.prometheus import (
    judge_notifications as judge_sending,
)
from meshdiag.errors import SourceError, Trouble
from meshdiag.model import Finding, Threshold, Verdict, at_least, at_most
from meshdiag.sources.alertmanager import Alert, Matcher, Silence
from meshdiag.sources.ownpage import OwnPage
from meshdiag.sources.prometheus.state import ActiveAlert, Rule, RuleGroup, RuntimeInfo, Target, TsdbStatus
from tests.unit.memory_metrics import ask, mesh

NOW = datetime(2026, 3, 9, 3, 12, tzinfo=UTC)
SHARE = Threshold(warn=at_most(0.7), fail=at_most(1.0))
REFUSED = 'Get "http://a:1/metrics": dial tcp 10.0.0.1:9091: connect: connection refused'


def verdicts(findings: tuple[Finding, ...]) -> dict[str, Verdict]:
    """The verdict of each subject."""
    return {one.subject: one.verdict for one in findings}


def page(**samples: float | dict[str, float]) -> OwnPage:
    """A page: numbers, or numbers by the label that the name needs."""
    labels = {"alertmanager_": "integration", "prometheus_remote": "url"}
    made = {}
    for name, value in samples.items():
        label = next((label for begin, label in labels.items() if name.startswith(begin)), "x")
        pairs = value.items() if isinstance(value, dict) else [("", value)]
        made[name] = tuple(({label: key}, number) for key, number in pairs)
    return OwnPage(made)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (REFUSED, "connection refused"),
        ('Get "http://[::1]:9/metrics": dial tcp [::1]:9: connect: connection refused', "connection refused"),
        ('Get "http://x:9/m": dial tcp: lookup x on 127.0.0.53:53: no such host', "no such host"),
        ('Get "http://x:9/m": context deadline exceeded', "context deadline exceeded"),
        ("server returned HTTP status 404 Not Found", "server returned HTTP status 404 Not Found"),
        ("", "no error is told"),
    ],
)
def test_scrape_errors_are_alike_whatever_the_address(error: str, kind: str) -> None:
    """So that a hundred targets with one trouble are one line."""
    assert error_kind(error) == kind


def test_targets_are_grouped_by_pool_and_error() -> None:
    """``prometheus.targets``: a pool that is wholly down fails; nothing scraped yet is no pass."""

    def target(pool: str, health: str, error: str = "") -> Target:
        return Target(pool, "http://a", health, {"instance": f"{pool}-{health}"}, last_error=error)

    findings = judge_targets(
        [
            target("a", "down", REFUSED),
            target("b", "up"),
            target("b", "down", REFUSED),
            target("c", "unknown"),
            target("d", "up"),
        ]
    )
    assert verdicts(findings) == {"a": Verdict.FAIL, "b": Verdict.WARN, "c": Verdict.UNKNOWN, "d": Verdict.PASS}


def test_a_scrape_is_judged_by_its_interval() -> None:
    """``prometheus.scrapes``: the slow ones by name, else the slowest; a server that does not tell is skipped."""

    def target(name: str, took: float, every: float) -> Target:
        return Target("mesh", "u", "up", {"instance": name}, last_duration_s=took, interval_s=every)

    findings = judge_scrapes([target("a", 16, 15), target("b", 12, 15), target("c", 1, 15)], SHARE)
    assert verdicts(findings) == {"a": Verdict.FAIL, "b": Verdict.WARN}
    (one,) = judge_scrapes([target("c", 1, 15), target("d", 3, 15)], SHARE)
    assert one.verdict is Verdict.PASS and one.message == "the slowest scrape takes 3 s of its interval of 15 s"
    assert judge_scrapes([target("a", 1, float("nan"))], SHARE)[0].verdict is Verdict.SKIP


def test_rules_that_fail_stand_still_or_are_slow_are_told_apart() -> None:
    """``prometheus.rules``: each has a verdict of its own."""

    def group(name: str, took: float, ago: float, *rules: Rule) -> RuleGroup:
        return RuleGroup(name, "f", rules, 10.0, took, NOW - timedelta(seconds=ago))

    bad = Rule("mesh:bad", "recording", "x", "err", last_error="many-to-many matching not allowed")
    findings = judge_rules(
        [
            group("well", 1, 5, bad),
            group("slow", 9, 5),
            group("late", 11, 5),
            group("still", 1, 60),
            RuleGroup("new", "f", ()),
        ],
        SHARE,
        NOW,
    )
    assert verdicts(findings) == {
        "mesh:bad": Verdict.FAIL,
        "well": Verdict.PASS,
        "slow": Verdict.WARN,
        "late": Verdict.FAIL,
        "still": Verdict.FAIL,
        "new": Verdict.UNKNOWN,
    }
    assert "stands still" in {one.subject: one.message for one in findings}["still"]


def test_a_queue_that_fills_and_nobody_to_tell_are_faults() -> None:
    """``prometheus.notifications``: no Alertmanager at all fails."""
    limit = Threshold(warn=at_most(0.5), fail=at_most(0.9))
    full = page(prometheus_notifications_queue_length=9500, prometheus_notifications_queue_capacity=10000)
    assert verdicts(judge_sending((), full, limit)) == {"alertmanagers": Verdict.FAIL, "queue": Verdict.FAIL}
    assert verdicts(judge_sending(("http://a",), page(), limit)) == {"alertmanagers": Verdict.PASS}


def test_the_store_is_held_against_its_disk() -> None:
    """``prometheus.store``: what the retention will need at the present pace, against what is free."""
    info = RuntimeInfo(NOW, True, NOW, "30d")
    tsdb = TsdbStatus(1000, NOW - timedelta(days=3), NOW)
    blocks = page(prometheus_tsdb_storage_blocks_bytes=3e9)
    assert verdicts(judge_store(info, tsdb, blocks, 100e9, NOW))["disk"] is Verdict.PASS
    findings = judge_store(info, tsdb, blocks, 20e9, NOW)
    assert verdicts(findings)["disk"] is Verdict.WARN and findings[1].value == pytest.approx(30e9)
    assert "disk" not in verdicts(judge_store(info, tsdb, blocks, None, NOW))
    corrupted = RuntimeInfo(NOW, True, NOW, "", corruptions=2)
    assert verdicts(judge_store(corrupted, tsdb, page(), None, NOW)) == {"store": Verdict.WARN}
    assert (retention_s("15d or 10GiB"), retention_s("")) == (15 * 86400.0, None)


def test_series_that_multiply_warn_and_name_names() -> None:
    """``prometheus.cardinality``: by growth, not by size; the label with most values is told."""
    tsdb = TsdbStatus(9000, None, None, (("mesh_rpc", 8000), ("up", 3)), (("__name__", 9), ("session", 7000)))
    limit = Threshold(warn=at_most(1.5), fail=at_most(3.0))
    finding = judge_cardinality(tsdb, 2.0, limit)
    assert (
        finding.verdict is Verdict.WARN and "mesh_rpc 8,000" in finding.message and "session 7,000" in finding.message
    )
    assert judge_cardinality(tsdb, None, limit).verdict is Verdict.PASS


def test_a_remote_store_is_behind_by_the_newest_that_was_sent() -> None:
    """``prometheus.remote-write``: seconds, by store; without a store there is nothing to say."""
    told = page(
        prometheus_remote_storage_highest_timestamp_in_seconds=1000,
        prometheus_remote_storage_queue_highest_sent_timestamp_seconds={"http://a": 990, "http://b": 1001},
    )
    assert lags(told) == {"http://a": 10.0, "http://b": 0.0}
    assert lags(page()) == {}


def test_integrations_are_judged_by_their_tries_too() -> None:
    """``alertmanager.notifications``: a notification counts as failed only when all tries have; tries tell sooner."""
    limit = Threshold(warn=at_most(0.01), fail=at_most(0.5))
    told = page(
        alertmanager_notifications_total={"webhook": 10.0, "email": 0.0, "slack": 4.0},
        alertmanager_notifications_failed_total={"webhook": 0.0},
        alertmanager_notification_requests_total={"webhook": 10.0},
        alertmanager_notification_requests_failed_total={"webhook": 9.0},
    )
    assert verdicts(judge_notifications(told, limit)) == {"webhook": Verdict.FAIL, "slack": Verdict.PASS}


def test_members_that_differ_are_told() -> None:
    """``alertmanager.configuration``: another hash, another number of members, or not to be asked."""
    own = OwnPage({"alertmanager_config_hash": (({}, 1.0),), "alertmanager_cluster_members": (({}, 2.0),)})
    lonely = OwnPage({"alertmanager_config_hash": (({}, 1.0),), "alertmanager_cluster_members": (({}, 1.0),)})
    away = SourceError("refused", trouble=Trouble.REFUSED)
    found = judge_alike(own, {"same": own, "other": OwnPage(), "lonely": lonely, "away": away})
    assert verdicts(found) == {
        "same": Verdict.PASS,
        "other": Verdict.FAIL,
        "lonely": Verdict.WARN,
        "away": Verdict.UNKNOWN,
    }


def test_an_alert_that_fires_must_have_arrived() -> None:
    """``alertmanager.delivery``: by its labels; one that has only just begun may be on its way."""

    def firing(name: str, seconds: float) -> ActiveAlert:
        labels = {"alertname": name, "instance": "a"}
        return ActiveAlert(name, "firing", labels, {}, 1.0, NOW - timedelta(seconds=seconds))

    arrived = [
        Alert("1", "active", {"alertname": "There", "instance": "a", "cluster": "eu"}),
        Alert("2", "active", {"alertname": "Relabelled", "node": "a"}),
    ]
    fires = [firing("There", 600), firing("Relabelled", 600), firing("Lost", 600), firing("Young", 30)]
    assert verdicts(judge_delivery(fires, arrived, NOW)) == {
        "There": Verdict.PASS,
        "Relabelled": Verdict.PASS,
        "Lost": Verdict.FAIL,
    }


def test_silences_are_judged_by_what_they_hide_and_how_long() -> None:
    """``alertmanager.silences``: one that hides everything fails, one that ends while it hides something warns."""

    def silence(id_: str, minutes: float, *matchers: Matcher) -> Silence:
        return Silence(id_, "active", matchers, "operator", "planned", NOW, NOW + timedelta(minutes=minutes))

    named = Matcher("alertname", "NodeDown")
    silences = [
        silence("all", 60, Matcher("alertname", ".+", is_regex=True)),
        silence("ends", 10, named),
        silence("lasts", 600, named),
        silence("idle", 10, Matcher("alertname", "Other")),
        Silence("past", "expired", (named,)),
    ]
    alerts = [Alert("1", "suppressed", {"alertname": "NodeDown"}, silenced_by=("ends", "lasts"))]
    assert verdicts(judge_silences(silences, alerts, Threshold(warn=at_least(1800)), NOW)) == {
        "all": Verdict.FAIL,
        "ends": Verdict.WARN,
        "lasts": Verdict.PASS,
        "idle": Verdict.PASS,
    }
    assert matches_anything("", regex=False, equal=False) and not matches_anything("a.*", regex=True, equal=True)


async def test_a_collector_that_worked_before_is_missed() -> None:
    """``exporters.collectors``: one that never worked has no such hardware, but for those of every machine."""
    memory = mesh()
    assert (await ask("exporters.collectors", memory)).verdict is Verdict.SKIP
    for collector, value in (
        ("nvme", 0),
        ("textfile", lambda age: 0 if age < 300 else 1),
        ("cpu", 1),
    ):
        memory.add("node_scrape_collector_success", "a:9100", value, collector=collector)
    memory.add("node_scrape_collector_success", "b:9100", 0, collector="meminfo")
    memory.add("node_scrape_collector_success", "c:9100", 1, collector="cpu")
    findings = {one.subject: one for one in (await ask("exporters.collectors", memory)).findings}
    assert findings["a:9100"].message == "collectors fail: textfile"
    assert (findings["b:9100"].verdict, findings["c:9100"].verdict) == (Verdict.WARN, Verdict.PASS)


async def test_a_textfile_that_nobody_writes_any_more_is_told() -> None:
    """``exporters.textfiles``: by its age."""
    memory = mesh()
    assert (await ask("exporters.textfiles", memory)).verdict is Verdict.SKIP
    memory.add("node_textfile_mtime_seconds", "a:9100", NOW.timestamp() - 10 * 86400, file="backup.prom")
    (finding,) = (await ask("exporters.textfiles", memory)).findings
    assert finding.verdict is Verdict.WARN and "backup.prom" in finding.message
    assert finding.value == pytest.approx(10 * 86400)


def test_clocks_are_judged_by_their_offset_and_by_who_sets_them() -> None:
    """``exporters.clocks``: off by much fails, set by nobody warns."""
    limit = Threshold(warn=at_most(0.1), fail=at_most(1.0))
    found = judge_clocks({"a": 1, "b": 0, "c": 0}, {"a": 0.001, "b": 0.0, "c": 3.0}, limit)
    assert verdicts(found) == {"a": Verdict.PASS, "b": Verdict.WARN, "c": Verdict.FAIL}


def test_every_check_of_these_subjects_is_tried_here() -> None:
    """The ids, so that none is forgotten."""
    from meshdiag.checks import all_checks

    ids = {
        "prometheus.configuration", "prometheus.targets", "prometheus.scrapes", "prometheus.rules",
        "prometheus.notifications", "prometheus.store", "prometheus.cardinality", "prometheus.remote-write",
        "alertmanager.configuration", "alertmanager.notifications", "alertmanager.delivery", "alertmanager.silences",
        "exporters.collectors", "exporters.textfiles", "exporters.clocks",
    }  # fmt: skip
    assert ids == {id_ for id_ in all_checks() if id_.startswith(("prometheus.", "alertmanager.", "exporters."))}
