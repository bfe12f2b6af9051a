"""One node against the others: who stands still while the rest moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.checks.readings.middle import median
from meshdiag.checks.readings.per_node import judge_readings
from meshdiag.model import Finding, Verdict

if TYPE_CHECKING:
    from meshdiag.checks.readings.per_node import Readings
    from meshdiag.model import Threshold

FEWEST = 3
"""Below this many nodes there is no "the others"."""


def judge_idle(
    readings: Readings, threshold: Threshold, unit: str, *, good: str, idle: str, bad: str
) -> tuple[Finding, ...]:
    """A finding for each node: WARN with ``idle`` where it moves nothing while most others do; ``bad`` where it
    breaks a threshold that somebody set (there is none by default)."""
    judged = judge_readings(readings, threshold, unit, good=good, bad=bad)
    values = readings.values
    if len(values) < FEWEST or not median(values.values()) > 0:
        return judged
    still = {instance for instance, value in values.items() if value <= 0}
    return tuple(_warned(one, idle) if one.subject in still else one for one in judged) if still else judged


def _warned(finding: Finding, message: str) -> Finding:
    if finding.verdict is not Verdict.PASS:
        return finding
    return Finding(
        finding.subject,
        Verdict.WARN,
        message,
        finding.value,
        finding.unit,
        finding.threshold,
        finding.observed,
        finding.labels,
    )
