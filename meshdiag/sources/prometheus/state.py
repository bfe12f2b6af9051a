"""What a Prometheus knows of itself: targets, rules, alerts, build. Frozen values, read with tolerance.

Fields that a server leaves out (VictoriaMetrics has fewer, Prometheus 3 has more) get neutral values; times that
mean "never" (the year 1) become None.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from meshdiag.durations import parse_duration
from meshdiag.errors import UsageError
from meshdiag.sources.http.fields import moment, number, rows, text, text_map

if TYPE_CHECKING:
    from collections.abc import Mapping

INTERVAL = "__scrape_interval__"
"""The discovered label that tells how often a target is scraped, since Prometheus 2.28."""


@dataclass(frozen=True, slots=True)
class Target:
    """A scrape target. ``health`` is ``up``, ``down`` or ``unknown`` (not scraped yet); ``last_scrape`` is UTC.
    ``interval_s`` is how often it is scraped, NaN where the server does not tell."""

    pool: str
    url: str
    health: str
    labels: Mapping[str, str] = field(default_factory=dict)
    discovered: Mapping[str, str] = field(default_factory=dict)
    last_error: str = ""
    last_scrape: datetime | None = None
    last_duration_s: float = math.nan
    interval_s: float = math.nan

    @property
    def instance(self) -> str:
        """The ``instance`` label."""
        return self.labels.get("instance", "")

    @property
    def job(self) -> str:
        """The ``job`` label."""
        return self.labels.get("job", "")


@dataclass(frozen=True, slots=True)
class Targets:
    """Active targets, and the labels of those that relabelling dropped. ``dropped_count`` also counts dropped
    targets that the server does not list."""

    active: tuple[Target, ...]
    dropped: tuple[Mapping[str, str], ...] = ()
    dropped_count: int = 0


@dataclass(frozen=True, slots=True)
class ActiveAlert:
    """A pending or firing alert. ``value`` is what the rule's expression gave at its last evaluation."""

    name: str
    state: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    value: float
    active_at: datetime | None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. ``type`` is ``alerting`` or ``recording``; ``health`` ``ok``, ``err`` (see ``last_error``) or
    ``unknown``; ``state`` (alerting only) ``inactive``, ``pending`` or ``firing``; ``duration_s`` is its ``for``."""

    name: str
    type: str
    query: str
    health: str
    state: str = ""
    duration_s: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    alerts: tuple[ActiveAlert, ...] = ()
    last_error: str = ""
    last_evaluation: datetime | None = None


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """A group of rules, evaluated every ``interval_s``; ``evaluation_s`` is how long the last round took."""

    name: str
    file: str
    rules: tuple[Rule, ...]
    interval_s: float = 0.0
    evaluation_s: float = 0.0
    last_evaluation: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """All groups, in the server's order."""

    groups: tuple[RuleGroup, ...]

    @property
    def all(self) -> tuple[Rule, ...]:
        """The rules of all groups."""
        return tuple(rule for group in self.groups for rule in group.rules)


@dataclass(frozen=True, slots=True)
class MetricMetadata:
    """What a metric's page says of it. ``type`` is ``gauge``, ``counter``, ``histogram``, ``summary``, ``unknown`` …"""

    name: str
    type: str
    help: str
    unit: str


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """Which software answers; fields are "" where it does not say (VictoriaMetrics says nothing)."""

    version: str = ""
    revision: str = ""
    go_version: str = ""
    application: str = ""


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """How the server runs. ``reload_ok`` tells whether its last configuration reload succeeded."""

    started: datetime | None
    reload_ok: bool | None
    last_reload: datetime | None
    retention: str = ""
    corruptions: int = 0
    hostname: str = ""


@dataclass(frozen=True, slots=True)
class TsdbStatus:
    """The store: how many series it holds, since when, and the names with most series (name, count), and
    the labels with most values."""

    series: int
    min_time: datetime | None
    max_time: datetime | None
    top_names: tuple[tuple[str, int], ...] = ()
    top_labels: tuple[tuple[str, int], ...] = ()


def read_targets(data: Any) -> Targets:
    """``/targets``."""
    dropped = tuple(text_map(one.get("discoveredLabels")) for one in rows(data.get("droppedTargets")))
    counts = data.get("droppedTargetCounts") or {}
    return Targets(
        active=tuple(_target(one) for one in rows(data.get("activeTargets"))),
        dropped=dropped,
        dropped_count=max(len(dropped), sum(int(count) for count in counts.values())),
    )


def _target(one: Mapping[str, Any]) -> Target:
    return Target(
        pool=text(one, "scrapePool"),
        url=text(one, "scrapeUrl"),
        health=text(one, "health") or "unknown",
        labels=text_map(one.get("labels")),
        discovered=text_map(one.get("discoveredLabels")),
        last_error=text(one, "lastError"),
        last_scrape=moment(one.get("lastScrape")),
        last_duration_s=number(one.get("lastScrapeDuration")),
        interval_s=_duration(text(one, "scrapeInterval") or text_map(one.get("discoveredLabels")).get(INTERVAL, "")),
    )


def _duration(written: str) -> float:
    """A duration as Prometheus writes it (``1m30s``), in seconds; NaN where there is none."""
    try:
        return parse_duration(written).total_seconds() if written else math.nan
    except UsageError:
        return math.nan


def read_rules(data: Any) -> tuple[tuple[RuleGroup, ...], str]:
    """``/rules``: the groups of this page, and the token of the next ("" when it was the last)."""
    return tuple(_group(one) for one in rows(data.get("groups"))), text(data, "groupNextToken")


def _group(one: Mapping[str, Any]) -> RuleGroup:
    return RuleGroup(
        name=text(one, "name"),
        file=text(one, "file"),
        rules=tuple(_rule(rule) for rule in rows(one.get("rules"))),
        interval_s=number(one.get("interval"), 0.0),
        evaluation_s=number(one.get("evaluationTime"), 0.0),
        last_evaluation=moment(one.get("lastEvaluation")),
    )


def _rule(one: Mapping[str, Any]) -> Rule:
    return Rule(
        name=text(one, "name"),
        type=text(one, "type"),
        query=text(one, "query"),
        health=text(one, "health") or "unknown",
        state=text(one, "state"),
        duration_s=number(one.get("duration"), 0.0),
        labels=text_map(one.get("labels")),
        annotations=text_map(one.get("annotations")),
        alerts=tuple(_alert(alert) for alert in rows(one.get("alerts"))),
        last_error=text(one, "lastError"),
        last_evaluation=moment(one.get("lastEvaluation")),
    )


def read_alerts(data: Any) -> tuple[ActiveAlert, ...]:
    """``/alerts``."""
    return tuple(_alert(one) for one in rows(data.get("alerts")))


def _alert(one: Mapping[str, Any]) -> ActiveAlert:
    labels = text_map(one.get("labels"))
    return ActiveAlert(
        name=labels.get("alertname", ""),
        state=text(one, "state"),
        labels=labels,
        annotations=text_map(one.get("annotations")),
        value=number(one.get("value")),
        active_at=moment(one.get("activeAt")),
    )


def read_metadata(data: Any) -> dict[str, MetricMetadata]:
    """``/metadata``: by name; where targets disagree, the first entry."""
    found = {}
    for name, entries in data.items():
        for one in rows(entries)[:1]:
            found[str(name)] = MetricMetadata(str(name), text(one, "type"), text(one, "help"), text(one, "unit"))
    return found


def read_buildinfo(data: Any) -> BuildInfo:
    """``/status/buildinfo``."""
    return BuildInfo(text(data, "version"), text(data, "revision"), text(data, "goVersion"), text(data, "application"))


def read_runtimeinfo(data: Any) -> RuntimeInfo:
    """``/status/runtimeinfo``."""
    reload_ok = data.get("reloadConfigSuccess")
    return RuntimeInfo(
        started=moment(data.get("startTime")),
        reload_ok=reload_ok if isinstance(reload_ok, bool) else None,
        last_reload=moment(data.get("lastConfigTime")),
        retention=text(data, "storageRetention"),
        corruptions=int(data.get("corruptionCount") or 0),
        hostname=text(data, "hostname"),
    )


def read_tsdb(data: Any) -> TsdbStatus:
    """``/status/tsdb`` (VictoriaMetrics: ``totalSeries`` and no times)."""
    head = data.get("headStats") or {}
    return TsdbStatus(
        series=int(head.get("numSeries", data.get("totalSeries", 0))),
        min_time=_milliseconds(head.get("minTime")),
        max_time=_milliseconds(head.get("maxTime")),
        top_names=_counts(data.get("seriesCountByMetricName")),
        top_labels=_counts(data.get("labelValueCountByLabelName")),
    )


def _counts(value: Any) -> tuple[tuple[str, int], ...]:
    return tuple((text(one, "name"), int(one["value"])) for one in rows(value))


def read_alertmanagers(data: Any) -> tuple[str, ...]:
    """``/alertmanagers``: where alerts are sent, without the path of the API."""
    return tuple(text(one, "url").partition("/api/")[0] for one in rows(data.get("activeAlertmanagers")))


def _milliseconds(value: Any) -> datetime | None:
    """A time in milliseconds; None where it is missing or beyond the calendar (an empty head)."""
    try:
        return datetime.fromtimestamp(value / 1000, UTC) if value and 0 < value < 4e12 else None
    except (OverflowError, OSError):
        return None
