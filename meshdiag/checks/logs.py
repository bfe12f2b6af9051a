"""The mesh's own log files, where they are here: too many errors, new kinds of them, talk of Byzantine nodes."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from meshdiag.catalog import Unit
from meshdiag.checks import Outcome, check
from meshdiag.logs.errors import COUNTED_TO, GRAVE, new_kinds
from meshdiag.logs.record import moment_of, nanoseconds
from meshdiag.logs.selection import Pattern, Selection
from meshdiag.model import Evidence, Finding, Threshold, Verdict, at_most
from meshdiag.units import human

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from meshdiag.checks.inputs import Inputs
    from meshdiag.logs.errors import ErrorLog
    from meshdiag.logs.patterns.recurring import Recurring
    from meshdiag.logs.record import Record
    from meshdiag.sources.meshlog import Mentions

UNIT = "lines/min"
MINUTES = 10.0
"""How far back errors are counted at most: a burst shows in minutes, and would drown in hours."""
BASELINE = timedelta(hours=1)
"""How long before the window a kind of error must have been silent to be new."""
NEW_KINDS = 1
"""From so many new kinds of error on there is a warning."""
LEAST_COVERED_S = 60.0
LOG = "log"
"""The subject of a finding about the files as a whole."""
SHOWN_KINDS = 3
KIND_LENGTH = 100
SHOWN_FILES = 4
BY_WORDS = "look for words instead: meshdiag logs -i -e 'error|fail|fatal|panic'"
BYZANTINE = "byzantine"
_ACCUSED = re.compile(
    r"byzantine[\w -]{0,40}?\b(?:of|by|from|node|peer)\b[ =:\"']{1,3}(?P<who>[A-Za-z0-9](?:[\w.:-]{0,80}\w)?)",
    re.IGNORECASE,
)


@check(
    "logs.errors",
    title="nodes log hardly any errors, and no new kinds of them",
    needs=("meshlog",),
    runbook="log-errors",
    hint="read the lines themselves: meshdiag logs --errors --since 10m",
    threshold=Threshold(warn=at_most(5), fail=at_most(30)),
    unit=Unit.COUNT,
)
async def errors(inputs: Inputs) -> Outcome:
    """Lines of level ERROR and FATAL a minute, by node, and kinds of them that the hour before had not. The option
    ``minutes`` says how far back, ``new_kinds`` from how many on there is a warning (0: never)."""
    if wrong := wrong_option(inputs.options):
        return Outcome(verdict=Verdict.UNKNOWN, summary=wrong)
    since = inputs.moment - min(inputs.window, timedelta(minutes=inputs.options.get("minutes", MINUTES)))
    log = await inputs.meshlog.errors(since, inputs.at)
    before = None
    if log.problem is None and log.total:
        before = await inputs.meshlog.errors(since - BASELINE, since)
    outcome = judge_errors(log, before, inputs.threshold, since, inputs.options)
    if inputs.at is not None and log.problem is None and not (log.total or log.broken):
        reason = (
            f"{', '.join(log.files)} {'holds' if len(log.files) == 1 else 'hold'} no line of that moment (any more)"
        )
        return replace(outcome, verdict=Verdict.SKIP, summary=f"not looked at: {reason}")
    return outcome


def wrong_option(options: Mapping[str, Any]) -> str:
    """What is wrong with the options of ``logs.errors``, empty where nothing is."""
    minutes, kinds = options.get("minutes", MINUTES), options.get("new_kinds", NEW_KINDS)
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes <= 527_040:
        return f"the option minutes of logs.errors is {minutes!r}, expected a number above 0"
    if isinstance(kinds, bool) or not isinstance(kinds, int) or kinds < 0:
        return f"the option new_kinds of logs.errors is {kinds!r}, expected a whole number, 0 for never"
    return ""


def judge_errors(
    log: ErrorLog, before: ErrorLog | None, threshold: Threshold, since: datetime, options: Mapping[str, Any]
) -> Outcome:
    """A finding for each node that logged anything grave, and one for new kinds of errors. UNKNOWN where the log says
    nothing at all. ``before``: the time before the window, None where nobody looked."""
    if log.problem is not None:
        return Outcome(verdict=Verdict.SKIP if log.absent else Verdict.UNKNOWN, summary=log.problem)
    evidence = tuple(log_evidence(log, since))
    if not log.total:
        reason = f"no line in {named(log.files)} since {since:%Y-%m-%d %H:%M:%S} UTC: is anything still writing it?"
        if log.broken and not log.covered_s:
            reason = f"none of {log.broken} lines in {named(log.files)} can be understood"
        return Outcome(verdict=Verdict.UNKNOWN, summary=reason, evidence=evidence)
    if not log.levelled:
        reason = f"{lines_read(log.total)} in {named(log.files)}, and none states a level"
        return Outcome(verdict=Verdict.UNKNOWN, summary=reason, evidence=evidence, hint=BY_WORDS)
    minutes = max(log.covered_s, LEAST_COVERED_S) / 60
    by_node: dict[str, dict[str, int]] = {}
    for (node, level), count in log.counts.items():
        by_node.setdefault(node, {})[level] = count
    findings = [judge_node(node, by_node[node], minutes, threshold, log) for node in sorted(by_node)]
    findings += judge_kinds(kinds_that_are_new(log, before), options.get("new_kinds", NEW_KINDS))
    if log.broken > log.total:
        message = "most lines of the log cannot be understood"
        findings.append(Finding(LOG, Verdict.UNKNOWN, message, float(log.broken), "count"))
    if not findings:
        findings.append(Finding(LOG, Verdict.PASS, "no errors", 0.0, UNIT, threshold))
    return Outcome(tuple(findings), sum_up(findings, log, before), evidence)


def named(files: Sequence[str]) -> str:
    """Files by name, the first of many."""
    more = f" and {len(files) - SHOWN_FILES} more" if len(files) > SHOWN_FILES else ""
    return ", ".join(files[:SHOWN_FILES]) + more


def judge_node(node: str, levels: dict[str, int], minutes: float, threshold: Threshold, log: ErrorLog) -> Finding:
    """The finding for one node; a single fatal line is worth a warning, however rare errors are."""
    fatal = levels.get("FATAL", 0)
    rate = (levels.get("ERROR", 0) + fatal) / minutes
    verdict = threshold.judge(rate)
    message = "hardly any errors" if verdict is Verdict.PASS else "logs many errors" if node else "many errors"
    if fatal and verdict is Verdict.PASS:
        verdict, message = Verdict.WARN, "has logged a fatal error" if node else "a fatal error"
    last = next((one.time for one in log.examples if one.node == node), None)
    return Finding(node or LOG, verdict, message, rate, UNIT, threshold, last, {"node": node} if node else {})


def kinds_that_are_new(log: ErrorLog, before: ErrorLog | None) -> list[Recurring]:
    """Kinds of errors that the time before had not, most frequent first. None where the log does not reach back
    further than the window: then every kind would be new."""
    if before is None or before.problem is not None or before.covered_s < min(log.covered_s, LEAST_COVERED_S):
        return []
    return new_kinds(log.grave, before.grave)


def judge_kinds(kinds: Sequence[Recurring], least: int) -> list[Finding]:
    """A finding that names the new kinds, none where there are too few to speak of."""
    if not kinds:
        return []
    named = "; ".join(f"{_brief(one.text)} ({one.count})" for one in kinds[:SHOWN_KINDS])
    more = f" and {len(kinds) - SHOWN_KINDS} more" if len(kinds) > SHOWN_KINDS else ""
    said = "a kind of error is new" if len(kinds) == 1 else f"{len(kinds)} kinds of error are new"
    verdict = Verdict.WARN if least and len(kinds) >= least else Verdict.PASS
    bound = Threshold(warn=at_most(least - 1)) if least else None
    last = max((one.last_ns for one in kinds if one.last_ns is not None), default=None)
    seen = None if last is None else moment_of(last)
    return [Finding(LOG, verdict, f"{said}: {named}{more}", float(len(kinds)), "count", bound, seen)]


def _brief(text: str) -> str:
    """As much of a message as tells one kind from another."""
    return text if len(text) <= KIND_LENGTH else f"{text[: KIND_LENGTH - 3]}..."


def sum_up(findings: list[Finding], log: ErrorLog, before: ErrorLog | None) -> str:
    """One line: the worst node with its rate and the rate before, what could not be read."""
    worst = max(findings, key=lambda finding: (finding.verdict.severity, finding.unit == UNIT, finding.value or 0.0))
    if worst.verdict is Verdict.PASS:
        most = f"at most {human(worst.value, UNIT)} of a node are errors" if worst.value else "none is an error"
        text = f"{lines_read(log.total)}, {most}"
    elif worst.unit != UNIT:
        text = worst.message
    else:
        subject = f"{worst.subject} " if worst.labels else ""
        alone = sum(finding.unit == UNIT and bool(finding.value) for finding in findings) == 1
        rate = f"{human(worst.value or 0.0, UNIT)}{rate_before(log, before, alone=alone)}"
        text = f"{subject}{worst.message} ({rate})"
    return "; ".join((text, *log.refused))


def lines_read(total: int) -> str:
    """How many lines were read: counting stops early, for more of them change no verdict."""
    return f"{'at least ' if total >= COUNTED_TO else ''}{total:,} {'line' if total == 1 else 'lines'} read"


def rate_before(log: ErrorLog, before: ErrorLog | None, *, alone: bool = False) -> str:
    """How many errors all nodes logged, and how many in the time before, as the end of a sentence. ``alone``: it is
    about the only one of them that did."""
    if before is None or before.problem is not None or before.covered_s < LEAST_COVERED_S:
        return ""
    now = log.errors / max(log.covered_s, LEAST_COVERED_S) * 60
    then = before.errors / before.covered_s * 60
    together = "" if alone else f"all together {human(now, UNIT)}, "
    return f"; {together}in the {human(before.covered_s, 's')} before {human(then, UNIT)}"


def log_evidence(log: ErrorLog, since: datetime) -> list[Evidence]:
    """The command that shows the lines again, one a file, and the latest of them."""
    excerpt = "\n".join(f"{one.time:%H:%M:%S} {one.level} {one.node}: {one.message}" for one in log.examples)
    asked = Selection(since_ns=nanoseconds(since), levels=GRAVE)
    commands = shown_again(log.files, asked)
    return [replace(one, excerpt=excerpt if place == 0 else "") for place, one in enumerate(commands)]


def shown_again(files: Sequence[str], asked: Selection) -> tuple[Evidence, ...]:
    """The commands that show a selection of these files again."""
    from meshdiag.logs.evidence import command

    return tuple(Evidence(path, command(path, asked)) for path in files)


@check(
    "logs.byzantine",
    title="no node's log speaks of Byzantine behaviour",
    needs=("meshlog",),
    runbook="byzantine-node",
    hint="read who says it: meshdiag logs -i --grep byzantine",
    threshold=Threshold(warn=at_most(0)),
    unit=Unit.COUNT,
)
async def byzantine(inputs: Inputs) -> Outcome:
    """Lines that speak of Byzantine behaviour: whom they accuse, who says so, when first and last, how often."""
    since = inputs.moment - inputs.window
    said = await inputs.meshlog.mentions(BYZANTINE, since, inputs.at)
    outcome = judge_mentions(said, inputs.threshold)
    if inputs.at is not None and said.problem is None and not said.total:
        reason = f"not looked at: {', '.join(said.files)} no longer tells of that moment"
        return replace(outcome, verdict=Verdict.SKIP, summary=reason)
    return outcome


def judge_mentions(said: Mentions, threshold: Threshold) -> Outcome:
    """A finding for each accused node, or for each that speaks where nobody is named."""
    if said.problem is not None:
        return Outcome(verdict=Verdict.SKIP if said.absent else Verdict.UNKNOWN, summary=said.problem)
    if not said.total:
        reason = f"{', '.join(said.files)} holds no line of that time: is anything still writing it?"
        return Outcome(verdict=Verdict.UNKNOWN, summary=reason)
    asked = Selection(patterns=(Pattern(BYZANTINE, ignore_case=True),))
    evidence = shown_again(said.files, asked)
    if not said.count:
        fine = Finding(LOG, Verdict.PASS, "nobody speaks of Byzantine behaviour", 0.0, "count", threshold)
        return Outcome((fine,), f"{lines_read(said.total)}, none speaks of Byzantine behaviour", evidence)
    by_accused: dict[str, list[Any]] = {}
    for one in said.records:
        accused = _ACCUSED.search(one.message)
        by_accused.setdefault(accused["who"] if accused else "", []).append(one)
    findings = tuple(_accused(who, ones, threshold) for who, ones in sorted(by_accused.items()))
    return Outcome(findings, "; ".join(f"{one.subject} {one.message}" for one in findings[:3]), evidence)


def _accused(who: str, ones: Sequence[Record], threshold: Threshold) -> Finding:
    """The finding for one accused node (none named: for the log as a whole)."""
    speakers = sorted({one.node for one in ones if one.node})
    by = f" by {', '.join(speakers[:3])}" + (f" and {len(speakers) - 3} more" if len(speakers) > 3 else "")
    times = sorted(one.time_ns for one in ones if one.time_ns is not None)
    first = f", first at {moment_of(times[0]):%Y-%m-%d %H:%M:%S} UTC" if times else ""
    what = "is called Byzantine" if who else "speaks of Byzantine behaviour"
    often = "once" if len(ones) == 1 else f"{len(ones)} times"
    return Finding(
        who or LOG,
        threshold.judge(len(ones)),
        f"{what} {often}{by if speakers else ''}{first}",
        float(len(ones)),
        "count",
        threshold,
        moment_of(times[-1]) if times else None,
        {"node": who} if who else {},
    )
