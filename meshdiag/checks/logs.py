"""The mesh's own log files, where they are on this machine."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from meshdiag.checks import Outcome, check
from meshdiag.model import Evidence, Finding, Threshold, Verdict, at_most
from meshdiag.units import human

if TYPE_CHECKING:
    from datetime import datetime

    from meshdiag.checks.inputs import Inputs
    from meshdiag.sources.meshlog import ErrorLog

UNIT = "lines/min"
MINUTES = 10.0
"""How far back errors are counted at most: a burst shows in minutes, and would drown in hours."""
LEAST_COVERED_S = 60.0
LOG = "log"
"""The subject of a finding about the files as a whole."""


@check(
    "logs.errors",
    title="nodes log hardly any errors",
    needs=("meshlog",),
    runbook="log-errors",
    hint="read the lines themselves: meshdiag health --only logs.errors --explain prints the command",
    threshold=Threshold(warn=at_most(5), fail=at_most(30)),
)
async def errors(inputs: Inputs) -> Outcome:
    """Lines of level ERROR and FATAL a minute, by node. The option ``minutes`` says how far back."""
    minutes = inputs.options.get("minutes", MINUTES)
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not minutes > 0:
        reason = f"the option minutes of logs.errors is {minutes!r}, expected a number above 0"
        return Outcome(verdict=Verdict.UNKNOWN, summary=reason)
    since = inputs.moment - min(inputs.window, timedelta(minutes=minutes))
    log = await inputs.meshlog.errors(since, inputs.at)
    outcome = judge_errors(log, inputs.threshold, since)
    if inputs.at is not None and log.problem is None and not (log.total or log.broken):
        reason = (
            f"{', '.join(log.files)} {'holds' if len(log.files) == 1 else 'hold'} no line of that moment (any more)"
        )
        return replace(outcome, verdict=Verdict.SKIP, summary=f"not looked at: {reason}")
    return outcome


def judge_errors(log: ErrorLog, threshold: Threshold, since: datetime) -> Outcome:
    """A finding for each node that logged anything grave. UNKNOWN where the log says nothing at all."""
    if log.problem is not None:
        return Outcome(verdict=Verdict.SKIP if log.absent else Verdict.UNKNOWN, summary=log.problem)
    evidence = tuple(log_evidence(log, since))
    if not log.total:
        reason = f"no line in {', '.join(log.files)} since {since:%Y-%m-%d %H:%M:%S} UTC: is anything still writing it?"
        if log.broken:
            reason = f"none of {log.broken} lines in {', '.join(log.files)} can be understood"
        return Outcome(verdict=Verdict.UNKNOWN, summary=reason, evidence=evidence)
    minutes = max(log.covered_s, LEAST_COVERED_S) / 60
    by_node: dict[str, dict[str, int]] = {}
    for (node, level), count in log.counts.items():
        by_node.setdefault(node, {})[level] = count
    findings = [judge_node(node, by_node[node], minutes, threshold, log) for node in sorted(by_node)]
    if log.broken > log.total:
        message = "most lines of the log cannot be understood"
        findings.append(Finding(LOG, Verdict.UNKNOWN, message, float(log.broken), "count"))
    if not findings:
        findings.append(Finding(LOG, Verdict.PASS, "no errors", 0.0, UNIT, threshold))
    return Outcome(tuple(findings), sum_up(findings, log), evidence)


def judge_node(node: str, levels: dict[str, int], minutes: float, threshold: Threshold, log: ErrorLog) -> Finding:
    """The finding for one node; a single fatal line is worth a warning, however rare errors are."""
    fatal = levels.get("FATAL", 0)
    rate = (levels.get("ERROR", 0) + fatal) / minutes
    verdict = threshold.judge(rate)
    message = "hardly any errors" if verdict is Verdict.PASS else "logs many errors"
    if fatal and verdict is Verdict.PASS:
        verdict, message = Verdict.WARN, "has logged a fatal error"
    last = next((one.time for one in log.examples if one.node == node), None)
    return Finding(node or LOG, verdict, message, rate, UNIT, threshold, last, {"node": node} if node else {})


def sum_up(findings: list[Finding], log: ErrorLog) -> str:
    """One line: the worst node with its rate, what could not be read."""
    worst = max(findings, key=lambda finding: (finding.verdict.severity, finding.value or 0.0))
    if worst.verdict is Verdict.PASS:
        most = f"at most {human(worst.value, UNIT)} of a node are errors" if worst.value else "none is an error"
        text = f"{log.total} lines read, {most}"
    elif worst.verdict is Verdict.UNKNOWN:
        text = worst.message
    else:
        text = f"{worst.subject} {worst.message} ({human(worst.value or 0.0, UNIT)})"
    return "; ".join((text, *log.refused))


def log_evidence(log: ErrorLog, since: datetime) -> list[Evidence]:
    """The command that shows the lines again, one a file, and the latest of them."""
    excerpt = "\n".join(f"{one.time:%H:%M:%S} {one.level} {one.node}: {one.message}" for one in log.examples)
    return [
        Evidence(path, show_again(path, since), excerpt if place == 0 else "") for place, path in enumerate(log.files)
    ]


def show_again(path: str, since: datetime) -> str:
    """A command that prints the grave lines of a file since a moment, quoted for a shell."""
    if path.endswith((".json", ".jsonl", ".ndjson")):
        grave = '(.level | tostring | test("^(error|err|fatal|critical|panic|[56][0-9])$"; "i"))'
        recent = f'((.ts // .time // .timestamp | tostring) >= "{since:%Y-%m-%dT%H:%M:%S}")'
        return f"jq -cR {shlex.quote(f'fromjson? | objects | select({grave} and {recent})')} {shlex.quote(path)}"
    return f"grep -nE '^[^ ]+ +(ERROR|FATAL)' {shlex.quote(path)}"
