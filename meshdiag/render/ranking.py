"""What a report says first: the worst result, its worst findings, and what is folded under what."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag.model import Verdict
from meshdiag.units import beside, human_range

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshdiag.model import Cause, Finding, Range, Report, Result

BAD = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN)
"""The verdicts that need a person, worst first."""


@dataclass(frozen=True, slots=True)
class Group:
    """A result that is shown, and what is folded into it: ``waiting`` had to wait for it (it is their gate),
    ``alike`` say the very same."""

    result: Result
    waiting: tuple[Result, ...] = ()
    alike: tuple[Result, ...] = ()


def groups(report: Report) -> list[Group]:
    """The results that need a person, failures before unknown before warnings, each shown once."""
    bad = sorted((one for one in report.results if one.verdict in BAD), key=lambda one: -one.verdict.severity)
    shown = {one.id for one in bad if one.because is None}
    waiting: dict[str, list[Result]] = {}
    alike: dict[object, list[Result]] = {}
    for one in bad:
        if one.because in shown:
            waiting.setdefault(str(one.because), []).append(one)
        else:
            alike.setdefault(_sameness(one), []).append(one)
    return [Group(first, tuple(waiting.get(first.id, ())), tuple(others)) for first, *others in alike.values()]


def _sameness(result: Result) -> object:
    """Results with the same answer for the same reason are one: twenty that the deadline cut off, say."""
    if result.findings or result.evidence:
        return result.id
    return result.verdict, result.summary, result.because


def worst_result(report: Report) -> Result | None:
    """The result that decides the report's verdict; the first of equals, and no dependant before its gate."""
    return max(report.results, key=lambda one: (one.verdict.severity, one.because is None), default=None)


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """Findings, worst first: by verdict, then by how far beyond the bound they are."""
    return sorted(findings, key=_rank)


def _rank(finding: Finding) -> tuple[int, float]:
    return -finding.verdict.severity, -excess(finding)


def excess(finding: Finding) -> float:
    """How far a value lies beyond the bound it was held against, in its unit; less than 0 is room left."""
    fine = bound(finding)
    value = finding.value
    if fine is None or value is None or math.isnan(value):
        return -math.inf
    if math.isinf(value):
        return math.inf if fine.alerts(value) else -math.inf
    beyond = max(fine.low - value, value - fine.high)
    return -beyond if fine.inside else beyond


def bound(finding: Finding) -> Range | None:
    """The range that a finding's value was held against."""
    if finding.threshold is None or finding.value is None:
        return None
    return finding.threshold.crossed(finding.value)


def value_text(finding: Finding) -> str:
    """The value with its unit, or nothing."""
    return "" if finding.value is None else beside(finding.value, bound(finding), finding.unit)


def bound_text(finding: Finding) -> str:
    """What would be fine, as a phrase, or nothing."""
    fine = bound(finding)
    return "" if fine is None else human_range(fine, finding.unit)


def name_of(finding: Finding) -> str:
    """What people call the subject: the node's name where it is known."""
    return finding.labels.get("node") or finding.subject


def grounds(cause: Cause, report: Report) -> str:
    """What a cause rests on, each check once, its nodes by name: ``nodes.up (trainer-1), stack.loki``."""
    names = {one.subject: name_of(one) for result in report.results for one in result.findings}
    by_check: dict[str, list[str]] = {}
    for ground in cause.because:
        check, _, subject = ground.partition(" ")
        subjects = by_check.setdefault(check, [])
        if subject:
            subjects.append(names.get(subject, subject))
    return ", ".join(f"{check} ({', '.join(found)})" if found else check for check, found in by_check.items())


def the_answer(report: Report) -> Result | None:
    """The one question of a command that asked one thing, beside whether its source can be trusted."""
    asked = [one for one in report.results if not one.id.startswith("stack.")]
    return asked[0] if len(asked) == 1 else None


def _what_passed(report: Report) -> str:
    """A command that asked one thing has the answer to tell; one whose filter fits nothing has found nothing fine."""
    if report.data is not None and not report.data.rows and report.data.empty:
        return report.data.empty
    answer = the_answer(report)
    if answer is not None and answer.summary:
        return answer.summary
    return "everything that was looked at is fine"


def one_sentence(report: Report) -> str:
    """What is worst, for a headline."""
    worst = worst_result(report)
    if worst is None:
        return "nothing was looked at"
    if worst.verdict is Verdict.PASS:
        return _what_passed(report)
    if worst.verdict is Verdict.SKIP:
        return "nothing was looked at: every check was skipped"
    if worst.summary:
        return worst.summary
    finding = min(worst.findings, key=_rank, default=None)
    return f"{name_of(finding)}: {finding.message}" if finding else f"{worst.verdict}: {worst.title}"
