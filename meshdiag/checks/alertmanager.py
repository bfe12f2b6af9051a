"""Alertmanager itself: do its members agree, do notifications go out, do alerts arrive, what is silenced."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from meshdiag.catalog import Unit
from meshdiag.checks import Outcome, check
from meshdiag.checks.readings.counters import count_events
from meshdiag.checks.readings.worst import worst_of
from meshdiag.context import Endpoint
from meshdiag.errors import SourceError
from meshdiag.model import Finding, Threshold, Verdict, at_least, at_most
from meshdiag.units import rough

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from meshdiag.checks.inputs import Inputs
    from meshdiag.sources.alertmanager import Alert, Silence
    from meshdiag.sources.ownpage import OwnPage
    from meshdiag.sources.prometheus.state import ActiveAlert

RUNBOOK = "monitoring-stack"
HASH, LOADED = "alertmanager_config_hash", "alertmanager_config_last_reload_successful"
SENT, FAILED = "alertmanager_notifications_total", "alertmanager_notifications_failed_total"
TRIED, REFUSED = "alertmanager_notification_requests_total", "alertmanager_notification_requests_failed_total"
"""Each try of a notification; the notification itself counts as failed only when all tries have."""
MEMBERS = "alertmanager_cluster_members"
OWN_NAMES = (HASH, LOADED, SENT, FAILED, TRIED, REFUSED, MEMBERS)
ARRIVES = timedelta(minutes=2)
"""An alert that fires for so long has arrived, if it ever will: Prometheus sends it at every evaluation."""
NAMED = 3


async def own_page(inputs: Inputs) -> OwnPage:
    """What Alertmanager tells of itself, fetched once a run."""
    return await inputs.memo.once("alertmanager.page", lambda: inputs.alertmanager.own_page(OWN_NAMES))


@check(
    "alertmanager.configuration",
    title="every Alertmanager runs the same, loaded configuration",
    needs=["alertmanager"],
    runbook=RUNBOOK,
    hint="check the file before it is loaded (amtool check-config), then reload each of them",
)
async def configuration(inputs: Inputs) -> Outcome:
    """The last reload succeeded, and those that Prometheus sends to have the same configuration."""
    page = await own_page(inputs)
    others = await _others(inputs)
    findings = (judge_loaded(page), *judge_alike(page, others))
    evidence = inputs.alertmanager.page_evidence(HASH)
    return Outcome(findings, worst_of(findings, f"one configuration on {1 + len(others)}"), (evidence,))


async def _others(inputs: Inputs) -> dict[str, OwnPage | SourceError]:
    """The pages of the other Alertmanagers that Prometheus sends to, asked without any credentials of ours."""
    from meshdiag.sources.alertmanager import Alertmanager

    if inputs.sources.prometheus is None or inputs.context.alertmanager is None:
        return {}
    try:
        known = await inputs.sources.prometheus.alertmanagers()
    except SourceError:
        return {}
    own = inputs.context.alertmanager.url.rstrip("/")
    others = [url for url in known if url.rstrip("/") != own]

    async def ask(url: str) -> OwnPage | SourceError:
        async with Alertmanager(Endpoint(url, timeout_s=inputs.context.alertmanager.timeout_s)) as other:  # type: ignore[union-attr]
            try:
                return await other.own_page(OWN_NAMES)
            except SourceError as error:
                return error

    return dict(zip(others, await asyncio.gather(*map(ask, others)), strict=True))


def judge_loaded(page: OwnPage) -> Finding:
    """Whether the last reload succeeded."""
    loaded = page.total(LOADED)
    if loaded is None:
        return Finding("reload", Verdict.UNKNOWN, "its metrics page does not say whether the configuration was loaded")
    if not loaded:
        return Finding("reload", Verdict.FAIL, "the last reload failed: it goes on with an older configuration")
    return Finding("reload", Verdict.PASS, "the configuration was loaded")


def judge_alike(page: OwnPage, others: Mapping[str, OwnPage | SourceError]) -> tuple[Finding, ...]:
    """A finding for each other Alertmanager: the same hash, another one, or not to be asked from here."""
    findings = []
    for url, other in others.items():
        if isinstance(other, SourceError):
            message = f"Prometheus sends to it, and it cannot be asked from here: {other.message}"
            findings.append(Finding(url, Verdict.UNKNOWN, message))
        elif other.total(HASH) != page.total(HASH):
            message = "it runs another configuration: who is told depends on which of them is asked"
            findings.append(Finding(url, Verdict.FAIL, message))
        elif other.total(MEMBERS) != page.total(MEMBERS):
            message = "it sees another number of cluster members: alerts may be sent twice"
            findings.append(Finding(url, Verdict.WARN, message, other.total(MEMBERS), Unit.COUNT))
        else:
            findings.append(Finding(url, Verdict.PASS, "it runs the same configuration"))
    return tuple(findings)


@check(
    "alertmanager.notifications",
    title="notifications reach their receivers",
    needs=["alertmanager"],
    runbook=RUNBOOK,
    hint="see why in Alertmanager's log; 'meshdiag stack --send-test-alert' tries the whole way",
    threshold=Threshold(warn=at_most(0.01), fail=at_most(0.5)),
    unit=Unit.RATIO,
)
async def notifications(inputs: Inputs) -> Outcome:
    """The share of notifications that failed since its start, by integration, and whether some failed lately."""
    page = await own_page(inputs)
    lately = await count_events(inputs, page, (FAILED, REFUSED), inputs.alertmanager.url)
    findings = judge_notifications(page, inputs.threshold)
    if not lately:  # they failed once, before the window: nobody has to get up for that
        findings = tuple(_forgiven(one) for one in findings)
    sent = page.total(SENT) or 0.0
    summary = worst_of(findings, f"{sent:,.0f} sent since its start, none failed lately")
    return Outcome(findings, summary, (inputs.alertmanager.page_evidence("notifications_"),))


def judge_notifications(page: OwnPage, threshold: Threshold) -> tuple[Finding, ...]:
    """A finding for each integration that was used: the share of notifications, or of tries, that failed."""
    shares: dict[str, float] = {}
    for all_of, failed_of in ((SENT, FAILED), (TRIED, REFUSED)):
        failed = page.by("integration", failed_of)
        for integration, count in page.by("integration", all_of).items():
            if count:
                shares[integration] = max(shares.get(integration, 0.0), failed.get(integration, 0.0) / count)
    findings = []
    for integration, share in shares.items():
        verdict = threshold.judge(share)
        message = "notifications go out" if verdict is Verdict.PASS else "notifications fail: people are not told"
        findings.append(Finding(integration, verdict, message, share, Unit.RATIO, threshold))
    return tuple(findings) or (Finding("notifications", Verdict.PASS, "none was due since its start"),)


def _forgiven(one: Finding) -> Finding:
    if one.verdict is Verdict.PASS:
        return one
    return Finding(one.subject, Verdict.PASS, "some failed, none lately", one.value, one.unit, one.threshold)


@check(
    "alertmanager.delivery",
    title="what fires in Prometheus is known to Alertmanager",
    needs=["prometheus", "alertmanager"],
    runbook=RUNBOOK,
    hint="see which Alertmanagers Prometheus sends to ('meshdiag stack -v'): they may not be the context's",
)
async def delivery(inputs: Inputs) -> Outcome:
    """Alerts that fire in Prometheus for two minutes and more are all in Alertmanager."""
    firing, arrived = await asyncio.gather(inputs.prometheus.alerts(), inputs.alertmanager.alerts())
    findings = judge_delivery(firing, arrived, inputs.moment)
    evidence = (inputs.prometheus.api_evidence("/api/v1/alerts"), inputs.alertmanager.evidence())
    if not findings:
        summary = "nothing fires for long enough to tell; 'meshdiag stack --send-test-alert' tries the way from here on"
        return Outcome(verdict=Verdict.SKIP, summary=summary, evidence=evidence)
    return Outcome(findings, worst_of(findings, f"all {len(findings)} that fire have arrived"), evidence)


def judge_delivery(firing: Sequence[ActiveAlert], arrived: Sequence[Alert], moment: datetime) -> tuple[Finding, ...]:
    """A finding for each alert that fires for long enough: whether one with all its labels has arrived, external
    labels and relabelling aside."""
    known = [set(alert.labels.items()) for alert in arrived]
    findings = []
    for alert in firing:
        if alert.state != "firing" or alert.active_at is None or moment - alert.active_at < ARRIVES:
            continue
        there = any(set(alert.labels.items()) <= labels for labels in known)
        alike = any(("alertname", alert.name) in labels for labels in known)
        about = (None, None, None, alert.active_at, {"alertname": alert.name})
        if there:
            findings.append(Finding(alert.name, Verdict.PASS, "it has arrived", *about))
        elif alike:
            message = "an alert of that name has arrived, with other labels: relabelling, or another Prometheus's"
            findings.append(Finding(alert.name, Verdict.PASS, message, *about))
        else:
            message = "it fires in Prometheus and is not known to this Alertmanager: nobody is told"
            findings.append(Finding(alert.name, Verdict.FAIL, message, *about))
    return tuple(findings)


@check(
    "alertmanager.silences",
    title="no silence hides everything or ends unnoticed",
    needs=["alertmanager"],
    runbook=RUNBOOK,
    hint="end it or prolong it by intent (amtool silence query, amtool silence expire ID)",
    threshold=Threshold(warn=at_least(1800.0)),
    unit=Unit.SECONDS,
)
async def silences(inputs: Inputs) -> Outcome:
    """Silences that match whatever fires, and those that are about to end while they hide something."""
    found, alerts = await asyncio.gather(inputs.alertmanager.silences(), inputs.alertmanager.alerts())
    findings = judge_silences(found, alerts, inputs.threshold, inputs.moment)
    evidence = inputs.alertmanager.evidence("/silences")
    active = sum(one.state == "active" for one in found)
    if not findings:
        return Outcome(verdict=Verdict.PASS, summary="nothing is silenced", evidence=(evidence,))
    return Outcome(findings, worst_of(findings, f"{active} silences are in force"), (evidence,))


def judge_silences(
    silences: Sequence[Silence], alerts: Sequence[Alert], threshold: Threshold, moment: datetime
) -> tuple[Finding, ...]:
    """A finding for each silence in force: how much it hides, and how long it will."""
    findings = []
    for silence in silences:
        if silence.state != "active":
            continue
        hidden = [alert for alert in alerts if silence.id in alert.silenced_by]
        left = (silence.ends_at - moment).total_seconds() if silence.ends_at else None
        who = f"by {silence.created_by or 'nobody'}: {silence.comment or 'no comment'}"
        written = ", ".join(map(str, silence.matchers))
        if all(matches_anything(one.value, regex=one.is_regex, equal=one.is_equal) for one in silence.matchers):
            message = f"it hides whatever fires ({written}), {who}"
            findings.append(Finding(silence.id, Verdict.FAIL, message, left, Unit.SECONDS))
        elif hidden and left is not None and threshold.judge(left) is not Verdict.PASS:
            names = ", ".join(sorted({alert.name for alert in hidden})[:NAMED])
            message = f"it ends in {rough(left)} while it hides {names} ({who})"
            findings.append(Finding(silence.id, threshold.judge(left), message, left, Unit.SECONDS, threshold))
        else:
            message = f"hides {len(hidden)} alerts ({written}), {who}"
            findings.append(Finding(silence.id, Verdict.PASS, message, left, Unit.SECONDS))
    return tuple(findings)


def matches_anything(value: str, *, regex: bool, equal: bool) -> bool:
    """Whether a matcher leaves hardly anything out: ``.*``, ``.+``, or "not empty"."""
    if regex and equal:
        return re.fullmatch(r"[(^]*\.[*+][)$]*", value) is not None
    return not equal and value == ""
