"""Security: failed authentications, certificates, detected attacks, what encryption costs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from math import isnan
from typing import TYPE_CHECKING

from meshdiag.catalog import ATTACKS, AUTH_FAILURES, CERT_EXPIRY, ENCRYPTION_OVERHEAD, START_TIME, UP, WINDOW, Unit
from meshdiag.checks import Outcome, check
from meshdiag.checks.readings.matching import any_of
from meshdiag.checks.readings.per_node import MESH, judge_readings, judged_outcome, read_nodes, to_outcome
from meshdiag.durations import format_duration
from meshdiag.model import Finding, Threshold, Verdict, at_most

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.per_node import Readings
    from meshdiag.metrics import Vector

TYPE_LABELS = ("type", "attack_type", "attack", "kind")
"""Under which of these labels meshes name the type of an attack."""

FEW = 50
"""Instances that are named in a question; more would make a regular expression that costs more than it saves."""

FEW_FAILURES = 0.05
"""Failures a second (one in 20 s) up to which a rise is none."""

LEAST_DIRECT_RATE = 2.0
"""Failures a second below which two page reads some two seconds apart are a few single events, not a rate."""


@check(
    "security.auth-failures",
    title="authentications hardly ever fail",
    needs=("metrics",),
    runbook="security-events",
    hint="find out who fails, from the node's log: an expired credential repeats itself, an attacker varies",
    threshold=AUTH_FAILURES.threshold,
    unit=Unit.PER_SECOND,
)
async def auth_failures(inputs: Inputs) -> Outcome:
    """Failed authentications a second, by node."""
    readings = await read_nodes(inputs, AUTH_FAILURES)
    findings = judge_readings(
        readings,
        inputs.threshold,
        "1/s",
        good="hardly any authentication fails",
        bad="many authentications fail",
    )
    if not inputs.metrics.history:
        findings = tuple(map(forgive_single, findings))
    return to_outcome(readings, findings)


@check(
    "security.auth-rise",
    title="authentications fail no more often than the day before",
    needs=("metrics",),
    runbook="security-events",
    hint="see when it began: meshdiag query 'rate(security_auth_failures_total[5m])' --range 1d --plot",
    threshold=Threshold(warn=at_most(3), fail=at_most(30)),
    unit=Unit.COUNT,
    history=True,
)
async def auth_rise(inputs: Inputs) -> Outcome:
    """Failed authentications a second, by node, over those of the same hour of the day before."""
    before_query = before(inputs.context.job)
    readings, earlier = await asyncio.gather(
        read_nodes(inputs, AUTH_FAILURES), inputs.metrics.instant(before_query, inputs.at)
    )
    outcome = to_outcome(readings, judge_rise(readings, earlier.by("instance"), inputs.threshold))
    return replace(outcome, evidence=(*outcome.evidence, inputs.metrics.evidence(before_query, inputs.at)))


def before(job: str) -> str:
    """Failed authentications a second in an hour of the day before."""
    return f"sum by (instance) (rate({AUTH_FAILURES.selector(job)}[1h] offset 1d))"


def judge_rise(readings: Readings, earlier: Mapping[str, float], threshold: Threshold) -> tuple[Finding, ...]:
    """A finding for each node: its rate over that of the day ``earlier``; SKIP where there was none to hold it against.
    A few single failures are no rise, whatever they are held against."""
    found = []
    for instance, now in readings.values.items():
        then = earlier.get(instance)
        node = readings.roster.nodes.get(instance)
        about = (node.scraped if node else None, readings.roster.label(instance))
        if then is None or isnan(now):
            message = "there is no rate of the day before to compare"
            found.append(Finding(instance, Verdict.SKIP, message, None, None, None, *about))
        elif now <= FEW_FAILURES or now <= then:
            found.append(Finding(instance, Verdict.PASS, "no more than the day before", now, "1/s", None, *about))
        elif then <= 0:
            message = "authentications fail, and none did the day before"
            found.append(Finding(instance, Verdict.WARN, message, now, "1/s", None, *about))
        else:
            verdict = threshold.judge(now / then)
            message = "as the day before" if verdict is Verdict.PASS else "times as many fail as the day before"
            found.append(Finding(instance, verdict, message, now / then, Unit.COUNT, threshold, *about))
    return (*found, *readings.missing)


def forgive_single(finding: Finding) -> Finding:
    """One failure between two page reads is no rate of failures."""
    bad = finding.verdict in (Verdict.WARN, Verdict.FAIL)
    if bad and finding.value is not None and finding.value < LEAST_DIRECT_RATE:
        return replace(finding, verdict=Verdict.PASS, message="single failures, too few for a rate")
    return finding


@check(
    "security.certificates",
    title="no node's certificate expires soon",
    needs=("metrics",),
    runbook="certificate-expiry",
    hint="renew the node's certificate and make it reload it; its peers refuse it from the day it expires",
    threshold=CERT_EXPIRY.threshold,
    unit=Unit.DAYS,
)
async def certificates(inputs: Inputs) -> Outcome:
    """Days until the first certificate of each node expires."""
    first = f"min by (instance) ({CERT_EXPIRY.selector(inputs.context.job)})"
    readings = await read_nodes(inputs, CERT_EXPIRY, first)
    findings = judge_readings(
        readings, inputs.threshold, "days", good="the certificate is valid for long", bad="the certificate expires soon"
    )
    return to_outcome(readings, tuple(map(name_expired, findings)))


def name_expired(finding: Finding) -> Finding:
    """Expired is more than soon."""
    if finding.value is not None and finding.value <= 0 and finding.verdict is not Verdict.PASS:
        return replace(finding, message="the certificate has expired")
    return finding


@check(
    "security.attacks",
    title="no node has detected an attack",
    needs=("metrics",),
    runbook="security-events",
    hint="see what was detected and when: meshdiag query 'increase(security_attacks_detected_total[5m])' --range 6h",
    threshold=Threshold(fail=at_most(0)),
    unit=Unit.COUNT,
)
async def attacks(inputs: Inputs) -> Outcome:
    """Attacks detected over the window (between two page reads when there is no history), by node."""
    history = inputs.metrics.history
    readings, suspects = await (read_totals(inputs) if history else read_growth(inputs))
    counted: dict[str, dict[str, float]] = {}
    if suspects:
        # Only then, and only of them: a counter has a series a type, and a window of them costs the server much.
        asked = (inputs.metrics.instant(query, inputs.at) for query in attack_queries(inputs, suspects))
        counted = count_attacks(await asyncio.gather(*asked), whole=history)
    judged = with_counts(readings, counted)
    unit = Unit.COUNT if history else Unit.PER_SECOND
    findings = judge_readings(judged, inputs.threshold, unit, good="no attack detected", bad="attacks detected")
    outcome = to_outcome(judged, tuple(name_types(finding, counted) for finding in findings))
    more = (inputs.metrics.evidence(query, inputs.at) for query in attack_queries(inputs))
    return replace(outcome, evidence=(*outcome.evidence, *more))


async def read_totals(inputs: Inputs) -> tuple[Readings, tuple[str, ...]]:
    """Every node with no attack yet, and the instances of which that is not known: their counter is above 0, or may
    have been before their process started anew."""
    job = inputs.context.job
    readings, started = await asyncio.gather(
        read_nodes(inputs, ATTACKS, f"sum by (instance) ({ATTACKS.selector(job)})"),
        inputs.metrics.instant(START_TIME.per_instance(job), inputs.at),
    )
    began, starts = (inputs.moment - inputs.window).timestamp(), started.by("instance")
    values = readings.values
    suspects = tuple(name for name, total in values.items() if total != 0 or not starts.get(name, began) < began)
    return replace(readings, values=dict.fromkeys(values, 0.0)), suspects


async def read_growth(inputs: Inputs) -> tuple[Readings, tuple[str, ...]]:
    """The growth on every node between two page reads, and the instances where there is any."""
    readings = await read_nodes(inputs, ATTACKS, f"sum by (instance) ({growth(inputs)})")
    return readings, tuple(name for name, value in readings.values.items() if value > 0)


def with_counts(readings: Readings, counted: Mapping[str, Mapping[str, float]]) -> Readings:
    """The readings with the whole numbers of ``counted`` in the place of what ``increase`` extrapolated."""
    down = {node.instance for node in readings.roster.down}
    totals = {instance: sum(types.values()) for instance, types in counted.items() if instance not in down}
    missing = tuple(
        finding
        for finding in readings.missing
        if finding.subject not in totals and not (totals and finding.subject == MESH)
    )
    return replace(readings, values={**readings.values, **totals}, missing=missing)


def growth(inputs: Inputs, extra: str = "") -> str:
    """By how much each series of the counter has grown: over the window; without history, where two page reads
    lie a moment apart, by how much a second. ``extra`` holds further matchers."""
    selector = ATTACKS.selector(inputs.context.job, extra=extra)
    return f"increase({selector}[{span(inputs)}])" if inputs.metrics.history else f"rate({selector}[{WINDOW}])"


def span(inputs: Inputs) -> str:
    """The window as PromQL writes it."""
    return format_duration(max(60, round(inputs.window.total_seconds())))


def attack_queries(inputs: Inputs, instances: Sequence[str] = ()) -> list[str]:
    """Where the counter grew, by type; and the series that are new on a node that is not. Of these ``instances``,
    where they are few.

    A node that counts by type often has no series of a type before its first attack, and such a series is born
    with that attack in it: ``increase`` sees no growth in it.
    """
    grouping = f"sum by (instance, {', '.join(TYPE_LABELS)})"
    extra = f'instance=~"{any_of(instances)}"' if 0 < len(instances) <= FEW else ""
    grown = f"{grouping} ({growth(inputs, extra)}) > 0"
    if not inputs.metrics.history:
        return [grown]
    job, window = inputs.context.job, span(inputs)
    selector, old_nodes = ATTACKS.selector(job, extra=extra), f"{UP.selector(job)} offset {window} == 1"
    # A series at 0 tells nothing: dropped at once, thousands of them need not be matched.
    newborn = f"{selector} > 0 unless {selector} offset {window} > 0"
    return [grown, f"{grouping} (({newborn}) and on (instance) ({old_nodes}))"]


def count_attacks(answers: Iterable[Vector], *, whole: bool) -> dict[str, dict[str, float]]:
    """Attacks by instance and type, ``whole`` numbers where they are counts: ``increase`` extrapolates. Where
    both answers have a type, the larger counts."""
    counted: dict[str, dict[str, float]] = {}
    for vector in answers:
        for sample in vector.samples:
            if not sample.value > 0:
                continue
            types = counted.setdefault(sample.labels.get("instance", ""), {})
            type_ = next((sample.labels[label] for label in TYPE_LABELS if sample.labels.get(label)), "")
            number = float(max(1, round(sample.value))) if whole else sample.value
            types[type_] = max(types.get(type_, 0.0), number)
    return counted


def name_types(finding: Finding, counted: Mapping[str, Mapping[str, float]]) -> Finding:
    """The finding with the attacks' types in its message, the most frequent first."""
    types = counted.get(finding.subject, {})
    named = sorted((name for name in types if name), key=lambda name: -types[name])
    if finding.verdict in (Verdict.PASS, Verdict.UNKNOWN, Verdict.SKIP) or not named:
        return finding
    return replace(finding, message=f"attacks detected: {', '.join(named[:5])}")


@check(
    "security.encryption-overhead",
    title="encryption adds little time to messages",
    needs=("metrics",),
    runbook="security-events",
    hint="see whether the node is short of CPU: meshdiag health --only 'capacity.*' -v",
    threshold=ENCRYPTION_OVERHEAD.threshold,
    unit=Unit.MILLISECONDS,
)
async def encryption_overhead(inputs: Inputs) -> Outcome:
    """Time that encryption adds to a message, by node."""
    return await judged_outcome(inputs, ENCRYPTION_OVERHEAD, good="encryption is quick", bad="encryption takes long")


@check(
    "security.default-password",
    title="the documented default password does not open Grafana",
    needs=("grafana_login",),
    runbook="default-password",
    hint="change it now, and see who used it: grafana cli admin reset-admin-password, then the list of its users",
)
async def default_password(inputs: Inputs) -> Outcome:
    """Whether Grafana lets in who comes with the password that the documentation prints: tried once, when asked to."""
    taken = await inputs.grafana_login.takes_documented_password()
    subject, labels = inputs.grafana_login.http.shown, {"node": "Grafana"}
    if taken:
        message = "it lets admin in with the password that the documentation prints"
        finding = Finding(subject, Verdict.FAIL, message, labels=labels)
    else:
        finding = Finding(subject, Verdict.PASS, "it refuses the documented password", labels=labels)
    said = f"tried once, with the documented login: HTTP {200 if taken else 401}"
    evidence = replace(inputs.grafana_login.evidence(), excerpt=said)
    return Outcome((finding,), f"Grafana: {finding.message}", (evidence,))
