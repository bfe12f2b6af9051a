"""Alerts: what fires, whether the dead man's switch does, and which rules can see nothing."""

from __future__ import annotations

import asyncio
from math import isfinite
from typing import TYPE_CHECKING

from meshdiag.checks import Outcome, check
from meshdiag.checks.readings.alertboard import (
    CRITICAL,
    FIRING,
    INHIBITED,
    PENDING,
    SILENCED,
    UNGRADED,
    ensure_samples,
    is_watchdog,
    read_alerts,
    tell_apart,
)
from meshdiag.checks.readings.blindness import CHUNK, RuleText, count_query, judge_rules, names_read, with_parts
from meshdiag.checks.readings.per_node import MESH
from meshdiag.errors import SourceError, Trouble
from meshdiag.metrics import NAME_LABEL
from meshdiag.model import Finding, Verdict, count_verdicts
from meshdiag.units import moment, rough

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.alertboard import AlertBoard, AlertRow
    from meshdiag.sources.prometheus import Rule

ALWAYS = frozenset({"vector(1)", "1"})
"""Expressions of rules that are meant to fire all the time."""


@check(
    "alerts.critical",
    title="no critical alert fires",
    needs=["prometheus|alertmanager"],
    runbook="alerts",
    hint="open the runbook that the alert names; 'meshdiag alerts' shows who is told and what is muted by whom",
)
async def critical(inputs: Inputs) -> Outcome:
    """Alerts of severity critical: firing fails, pending warns, silenced and inhibited ones are shown."""
    board = await read_alerts(inputs)
    rows = [row for row in board.rows if row.severity in CRITICAL and not row.is_watchdog]
    return _outcome(board, judge_alerts(rows, Verdict.FAIL, Verdict.WARN, inputs.moment), "critical")


@check(
    "alerts.warning",
    title="no warning alert fires",
    needs=["prometheus|alertmanager"],
    runbook="alerts",
    hint="open the runbook that the alert names; 'meshdiag alerts' shows who is told and what is muted by whom",
)
async def warning(inputs: Inputs) -> Outcome:
    """Alerts of all severities but critical and informational: firing warns, pending is shown."""
    board = await read_alerts(inputs)
    rows = [row for row in board.rows if row.severity not in CRITICAL | UNGRADED and not row.is_watchdog]
    return _outcome(board, judge_alerts(rows, Verdict.WARN, Verdict.PASS, inputs.moment), "warning")


def judge_alerts(rows: Iterable[AlertRow], firing: Verdict, pending: Verdict, now: datetime) -> tuple[Finding, ...]:
    """A finding for each alert; ``firing`` and ``pending`` are the verdicts for those states."""
    verdicts = {FIRING: firing, PENDING: pending}
    rows = tuple(rows)
    return tuple(
        Finding(
            subject,
            verdicts.get(row.state, Verdict.PASS),
            say_state(row, now),
            row.value if row.value is not None and isfinite(row.value) else None,
            labels=row.labels,
        )
        for row, subject in zip(rows, tell_apart([(row.subject, row.labels) for row in rows]), strict=True)
    )


def say_state(row: AlertRow, now: datetime) -> str:
    """What an alert does, since when, and who has muted it."""
    since = f", for {rough(max(0.0, (now - row.since).total_seconds()))}" if row.since else ""
    if row.state == SILENCED:
        return "; ".join(_say_silence(row)) + since
    if row.state == INHIBITED:
        return f"inhibited by {', '.join(row.inhibited_by) or 'another alert'}{since}"
    said = row.annotations.get("summary", "")
    text = f"is {row.state}{since}" + (f": {said}" if said else "")
    return text + " (Alertmanager does not know of it)" if row.told is False else text


def _say_silence(row: AlertRow) -> Iterable[str]:
    for one in row.silenced_by:
        by = f" by {one.author}" if one.author else ""
        until = f" until {moment(one.until, utc=True)}" if one.until else ""
        why = f" ({one.comment})" if one.comment else ""
        yield f"silenced{by}{until}{why}"


def _outcome(board: AlertBoard, findings: Sequence[Finding], grade: str) -> Outcome:
    """The outcome for the alerts of one grade; none at all is what the title hopes for."""
    notes = "".join(f"; {note}" for note in board.notes)
    counts = count_verdicts(findings)
    bad = [one for one in findings if one.verdict is not Verdict.PASS]
    if bad:
        names = list(dict.fromkeys(_called(one) for one in bad))
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        summary = f"{len(bad)} {grade}: {', '.join(names[:3])}{more}"
    elif findings:
        summary = f"no {grade} alert fires; {counts[Verdict.PASS]} silenced, inhibited or pending"
    else:
        summary = f"no {grade} alert fires{' among those asked for' if board.unwanted else ''}"
    if board.half_blind and not bad:
        # Alertmanager forgets what nobody repeats: its silence says nothing once Prometheus is gone.
        return Outcome(tuple(findings), f"Alertmanager has no {grade} alert{notes}", board.evidence, Verdict.UNKNOWN)
    return Outcome(tuple(findings), summary + notes, board.evidence, None if findings else Verdict.PASS)


def _called(finding: Finding) -> str:
    """An alert by the words that a person uses: its name and the node that it is about."""
    about = finding.labels.get("node") or finding.labels.get("instance")
    return f"{finding.labels.get('alertname', finding.subject)}{f' on {about}' if about else ''}"


async def read_rules(inputs: Inputs) -> tuple[Rule, ...]:
    """The alerting rules of Prometheus, fetched once a run; none where the server keeps no rules."""

    async def fetch() -> tuple[Rule, ...]:
        try:
            rules = await inputs.prometheus.rules("alert")
        except SourceError as error:
            if error.trouble is Trouble.NOT_AVAILABLE:
                return ()  # a relative of Prometheus that leaves rules to another program
            raise
        return tuple(rule for rule in rules.all if rule.type == "alerting")

    return await inputs.memo.once("alerting-rules", fetch)


@check(
    "alerts.watchdog",
    title="the alert that must always fire does, and gets through",
    needs=["prometheus"],
    runbook="monitoring-stack",
    hint="alerting itself is broken: see whether Prometheus evaluates its rules and reaches its Alertmanager",
)
async def watchdog(inputs: Inputs) -> Outcome:
    """A rule such as Watchdog or DeadMansSwitch fires in Prometheus and has come to Alertmanager."""
    rules = [rule for rule in await read_rules(inputs) if _is_always(rule)]
    evidence = (inputs.prometheus.evidence("ALERTS"),)
    if not rules:
        message = "not looked at: there is no rule that always fires (Watchdog, DeadMansSwitch)"
        return Outcome((Finding(MESH, Verdict.SKIP, message),), message, evidence, Verdict.SKIP)
    told: frozenset[str] | None = None
    if any(rule.state == FIRING for rule in rules):
        told = await _told(inputs)
    findings = tuple(judge_watchdog(rule, told) for rule in rules)
    bad = [one for one in findings if one.verdict is not Verdict.PASS]
    summary = f"{bad[0].subject}: {bad[0].message}" if bad else f"{findings[0].subject}: {findings[0].message}"
    return Outcome(findings, summary, evidence)


def _is_always(rule: Rule) -> bool:
    return is_watchdog(rule.name) or "".join(rule.query.split()) in ALWAYS


async def _told(inputs: Inputs) -> frozenset[str] | None:
    """The names of the alerts that Alertmanager knows; None where it does not answer."""
    if inputs.sources.alertmanager is None:
        return None
    try:
        alerts = await inputs.alertmanager.alerts()
    except SourceError:
        return None  # stack.alertmanager says so
    return frozenset(alert.name for alert in alerts)


def judge_watchdog(rule: Rule, told: frozenset[str] | None) -> Finding:
    """The finding for a rule that must always fire; ``told`` are the alerts that Alertmanager knows."""
    if rule.state == PENDING:
        return Finding(rule.name, Verdict.WARN, "is pending only: the rule is not evaluated for long enough yet")
    if rule.state != FIRING:
        return Finding(rule.name, Verdict.FAIL, "does not fire, so rules are not evaluated")
    if told is None:
        return Finding(rule.name, Verdict.PASS, "fires; whether it gets through to Alertmanager was not asked")
    if rule.name not in told:
        return Finding(rule.name, Verdict.FAIL, "fires in Prometheus and does not get through to Alertmanager")
    return Finding(rule.name, Verdict.PASS, "fires and gets through to Alertmanager")


@check(
    "alerts.blind-rules",
    title="every alerting rule can see what it watches",
    needs=["prometheus"],
    runbook="monitoring-stack",
    hint="correct the metric's name in the rule, or have it exposed: until then the alert can never fire",
)
async def blind_rules(inputs: Inputs) -> Outcome:
    """Every metric that an alerting rule names has series, and every rule can be evaluated."""
    rules = [
        RuleText(rule.name, rule.query, rule.labels, rule.last_error if rule.health == "err" else "")
        for rule in await read_rules(inputs)
    ]
    if not rules:
        message = "not looked at: no alerting rule is loaded here, so nobody is told when something breaks"
        return Outcome((Finding(MESH, Verdict.SKIP, message),), message, verdict=Verdict.SKIP)
    names = names_read(rules)
    present = await names_present(inputs, names)
    if not present:
        await ensure_samples(inputs)
    findings = judge_rules(rules, present)
    bad = [one for one in findings if one.verdict is not Verdict.PASS]
    summary = f"{len(findings)} rules, each with series to look at"
    if bad:
        worst = max(bad, key=lambda one: one.verdict.severity)
        summary = f"{len(bad)} of {len(findings)} rules: {worst.subject}: {worst.message}"
    query = count_query(with_parts(names)[:CHUNK])
    return Outcome(findings, summary, (inputs.prometheus.evidence(query, inputs.at),) if names else ())


async def names_present(inputs: Inputs, names: Collection[str]) -> set[str]:
    """Which of these names, and of the parts of those that are missing, have series.

    What one node of each role exposes need not be counted on a thousand others: those are asked for the rest.
    """
    expected = inputs.context.nodes if inputs.context.nodes_expected else ()
    one_of_each = {node.role: node.instance for node in expected}
    present = await _count(inputs, names, one_of_each.values()) if one_of_each else set()
    lacking = set(names) - present
    return present | await _count(inputs, lacking)


async def _count(inputs: Inputs, names: Collection[str], instances: Collection[str] = ()) -> set[str]:
    every = with_parts(names)
    queries = [count_query(every[start : start + CHUNK], instances) for start in range(0, len(every), CHUNK)]
    vectors = await asyncio.gather(*(inputs.prometheus.instant(query, inputs.at) for query in queries))
    return {sample.labels.get(NAME_LABEL, "") for vector in vectors for sample in vector.samples}
