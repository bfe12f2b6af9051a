"""Two witnesses of one certificate: the node's metric, and what the node shows to whoever connects."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from meshdiag.catalog import CERT_EXPIRY, Unit
from meshdiag.checks import Outcome
from meshdiag.checks.readings.certificates.answers import MOST_EVIDENCE, sum_up
from meshdiag.checks.readings.certificates.commands import show_served
from meshdiag.checks.readings.certificates.places import PEER_PORT
from meshdiag.model import Evidence, Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from meshdiag.checks.readings.certificates.gathering import Seen
    from meshdiag.checks.readings.certificates.places import Place
    from meshdiag.checks.readings.roster import Node, Roster
    from meshdiag.metrics import Vector
    from meshdiag.model import Threshold

DAY_S = 86_400.0
GOOD = "the metric and the wire agree"


def told_days(told: Vector) -> dict[str, list[float]]:
    """The days that each instance tells, by instance: a node may tell of several certificates."""
    days: dict[str, list[float]] = {}
    for sample in told.samples:
        days.setdefault(sample.labels.get("instance", ""), []).append(sample.value)
    return days


def served_certificates(seen: Seen) -> Iterator[tuple[Place, datetime]]:
    """What each node shows on its peer port, and when that ends."""
    for address, place in seen.places.items():
        chain = seen.founds[address].chain if address in seen.founds else ()
        ends = getattr(chain[0], "not_after", None) if chain else None
        if place.what == PEER_PORT and ends is not None:
            yield place, ends


def judge_truth(seen: Seen, roster: Roster, told: Vector, threshold: Threshold, now: datetime) -> Outcome:
    """A finding for each node: by how many days its metric differs from what it shows. Of several certificates that a
    node tells of, the one that is nearest counts."""
    served = {place.instance: (place, ends) for place, ends in served_certificates(seen)}
    days = told_days(told)
    findings = tuple(
        _finding(node, served.get(node.instance), days.get(node.instance, ()), roster, threshold, seen, now)
        for node in roster.nodes.values()
    )
    return Outcome(findings, _summary(findings), tuple(_evidence(findings, served)))


def _finding(
    node: Node,
    served: tuple[Place, datetime] | None,
    told: Sequence[float],
    roster: Roster,
    threshold: Threshold,
    seen: Seen,
    now: datetime,
) -> Finding:
    labels = roster.label(node.instance)
    if not node.up or not node.peer:
        message = "not looked at: " + ("its peer address is not known" if node.up else "the node is down")
        return Finding(node.instance, Verdict.SKIP, message, labels=labels)
    told = [one for one in told if not isnan(one)]
    if served is None or not told:
        missing = f"it does not expose {CERT_EXPIRY.name}" if served else "its peer port shows no certificate"
        return Finding(node.instance, Verdict.UNKNOWN, f"there is one witness alone: {missing}", labels=labels)
    on_wire = (served[1] - (node.scraped or now)).total_seconds() / DAY_S
    by_metric = min(told, key=lambda one: abs(one - on_wire))
    verdict, message = judge_pair(by_metric, on_wire, threshold, seen.lasting)
    apart = abs(by_metric - on_wire)
    return Finding(node.instance, verdict, message, apart, Unit.DAYS, threshold, node.scraped, labels)


def judge_pair(by_metric: float, on_wire: float, threshold: Threshold, lasting: Threshold) -> tuple[Verdict, str]:
    """What two numbers of days say together. A metric that promises more than the wire keeps hides an outage to come:
    that fails where the wire's own end is near."""
    verdict = threshold.judge(abs(by_metric - on_wire))
    if verdict is Verdict.PASS:
        return verdict, GOOD
    said = f"the metric says {days_text(by_metric)}, the wire {days_text(on_wire)}"
    if by_metric > on_wire:
        near = lasting.judge(on_wire) is Verdict.FAIL
        return Verdict.FAIL if near else verdict, f"{said}: the node has not reloaded what was renewed"
    return verdict, f"{said}: the metric is of another certificate, or of the time when the node started"


def days_text(days: float) -> str:
    """``41 days``, ``1 day``, ``4 hours``; ``-2 days`` for what is over."""
    if abs(days) < 1:
        return f"{days * 24:.0f} hours"
    whole = f"{days:.1f}" if abs(days) < 2 else f"{days:.0f}"
    return f"{whole} day{'' if whole in ('1', '-1') else 's'}"


def _summary(findings: Sequence[Finding]) -> str:
    if all(one.verdict is Verdict.SKIP for one in findings):
        return "no node could be compared: " + (findings[0].message if findings else "there is none")
    agree = sum(one.verdict is Verdict.PASS for one in findings)
    if all(one.verdict in (Verdict.PASS, Verdict.SKIP) for one in findings):
        return f"metric and wire agree on {agree:,} node{'s' if agree != 1 else ''}"
    return sum_up(findings, GOOD)


def _evidence(findings: Sequence[Finding], served: Mapping[str, tuple[Place, datetime]]) -> Iterator[Evidence]:
    """The commands that show what the worst few nodes serve; of nodes that are all well, one."""
    order = [one for one in sorted(findings, key=lambda one: -one.verdict.severity) if one.subject in served]
    bad = [one for one in order if one.verdict not in (Verdict.PASS, Verdict.SKIP)]
    for finding in bad[:MOST_EVIDENCE] or order[:1]:
        place, ends = served[finding.subject]
        yield Evidence(place.wanted.address, show_served(place.wanted), f"notAfter={ends:%Y-%m-%d %H:%M:%S} UTC")
