"""Alert rules evaluated over the nodes' own pages: what ``meshdiag alerts --direct`` says and shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.checks import Check, Outcome
from meshdiag.checks.readings.alertboard import PENDING, tell_apart
from meshdiag.checks.readings.direct_rules import QUIET, UNKNOWN, WOULD_FIRE, DirectRules
from meshdiag.model import Column, Finding, Table, Verdict
from meshdiag.views.alerts import COLUMNS, none_fits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.direct_rules import Seen, Standing
    from meshdiag.model import Evidence
    from meshdiag.rules.groups import RuleFile
    from meshdiag.sources.scrape import Scrape
    from meshdiag.views.alerts import Matchers

TITLE = "no alert would fire, by its rule over the nodes' own pages"
HINT = "open the runbook that the alert names; '--watch' tells how long a pending one has held"
UNKNOWN_HINT = "correct the rule, or have the metric exposed: until then nobody knows what the alert would say"
REASON = Column("reason", "why")
_SHOWN = ("state", "severity", "alert", "on", "for_s", "value", "summary")
COLUMNS_HERE = (*(one for one in COLUMNS if one.key in _SHOWN), REASON)
EVIDENCE = 8
"""Most commands that show alerts again."""


class DirectAlerts:
    """Rules over the nodes' pages, looked at once a run, judged and shown. ``matchers`` narrow what is shown and
    judged; ``seen`` is the last look."""

    def __init__(self, files: Sequence[RuleFile], matchers: Matchers) -> None:
        self.rules = DirectRules(files)
        self.matchers = matchers
        self.seen: Seen | None = None

    @property
    def check(self) -> Check:
        """The rules as a check, so that they run like any other: deadline, bundling, formats."""
        return Check("alerts.direct", TITLE, self._judge, ("scrape",), "alerts", HINT)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the last look."""
        return self.seen.notes if self.seen is not None else ()

    async def look(self, scrape: Scrape, *, afresh: bool = False) -> Seen:
        """Look at the pages, ``afresh`` or while they are fresh. Raises ``SourceError``."""
        self.seen = await self.rules.look(scrape, afresh=afresh)
        return self.seen

    async def table(self, inputs: Inputs) -> Table:
        """The rows. Raises ``SourceError``."""
        return self.rows(await self._fetch(inputs))

    async def _fetch(self, inputs: Inputs) -> Seen:
        return await inputs.memo.once("direct-rules", lambda: self.look(inputs.scrape))

    async def _judge(self, inputs: Inputs) -> Outcome:
        return self.outcome(await self._fetch(inputs), inputs.scrape)

    def wanted(self, seen: Seen) -> list[Standing]:
        """What the matchers leave over. Of a rule without alerts only the labels that it sets itself decide."""
        return [one for one in seen.standings if self._fits(one)]

    def _fits(self, one: Standing) -> bool:
        if one.state in (WOULD_FIRE, PENDING):
            return self.matchers(one.labels)
        pairs = zip(self.matchers.labels, self.matchers.tests, strict=True)
        return all(test(one.labels) for label, test in pairs if label in one.labels)

    def rows(self, seen: Seen) -> Table:
        """The table of one look."""
        wanted = self.wanted(seen)
        empty = "the rule files hold no alerting rule" if not self.rules.alerting else ""
        if seen.standings and not wanted:
            empty = none_fits(self.matchers, [one.labels for one in seen.standings])
        return Table(COLUMNS_HERE, tuple(_row(one, seen) for one in wanted), empty=empty)

    def outcome(self, seen: Seen, scrape: Scrape) -> Outcome:
        """The verdict of one look."""
        wanted = self.wanted(seen)
        findings = tuple(_finding(one, subject) for one, subject in zip(wanted, subjects(wanted), strict=True))
        evidence = _evidence(wanted, scrape)
        if not self.rules.alerting:
            return Outcome((), "not looked at: there is no alerting rule in the rule files", (), Verdict.SKIP)
        if not findings:
            return Outcome((), "no alert would fire among those asked for", evidence, Verdict.PASS)
        worst = max(findings, key=lambda one: one.verdict.severity).verdict
        return Outcome(findings, sum_up(wanted, seen), evidence, hint=UNKNOWN_HINT if worst is Verdict.UNKNOWN else "")


def sum_up(standings: Sequence[Standing], seen: Seen) -> str:
    """One line: how many alerts stand how, the worst by name, and how many nodes were not seen."""
    loud = [one for one in standings if one.verdict not in (Verdict.PASS, Verdict.SKIP)]
    counts = {state: sum(one.state == state for one in loud) for state in (WOULD_FIRE, PENDING, UNKNOWN)}
    named = list(dict.fromkeys(_called(one) for one in loud if one.state != UNKNOWN))
    who = f": {', '.join(named[:3])}{f' and {len(named) - 3} more' if len(named) > 3 else ''}" if named else ""
    said = [f"{counts[state]} {state}" for state in (WOULD_FIRE, PENDING) if counts[state]]
    harmless = sum(one.state == WOULD_FIRE for one in standings) - counts[WOULD_FIRE]
    quiet = sum(one.state == QUIET for one in standings)
    none = f"none of {quiet:,} alerts would fire" if quiet > 1 else "no alert would fire"
    text = f"{' and '.join(said)}{who}" if said else none
    if harmless:
        text += f"; {harmless} more only {'tells' if harmless == 1 else 'tell'} (informational, or always firing)"
    if left_out := sum(one.left_out for one in standings):
        text += f"; {left_out} left out, because rates need two looks (--gap)"
    if counts[UNKNOWN]:
        text += f"; {counts[UNKNOWN]} cannot be known"
    if seen.silent:
        text += f"; {seen.silent} of {seen.nodes:,} nodes {'does' if seen.silent == 1 else 'do'} not answer"
    return text


def _called(one: Standing) -> str:
    about = one.labels.get("node") or one.labels.get("instance")
    return f"{one.rule.name}{f' on {about}' if about else ''}"


def subjects(standings: Sequence[Standing]) -> list[str]:
    """What each is about; what still reads the same (rules of one name) is numbered."""
    seen: dict[str, int] = {}
    names = []
    for name in tell_apart([(one.subject, one.labels) for one in standings]):
        seen[name] = number = seen.get(name, 0) + 1
        names.append(name if number == 1 else f"{name} #{number}")
    return names


def _finding(one: Standing, subject: str) -> Finding:
    finite = one.value is not None and abs(one.value) < float("inf")
    return Finding(subject, one.verdict, say(one), one.value if finite else None, labels=dict(one.labels))


def say(one: Standing) -> str:
    """How it stands, what the alert says of itself, and why: ``pending: node a is down (holds now; …)``."""
    if not one.said:
        return f"{one.state}: {one.reason}" if one.reason else one.state
    return f"{one.state}: {one.said}{f' ({one.reason})' if one.reason else ''}"


def _evidence(standings: Sequence[Standing], scrape: Scrape) -> tuple[Evidence, ...]:
    """Commands that show what the alerts were made of, of the worst ones; each once."""
    found: dict[str, Evidence] = {}
    for one in standings:
        evidence = scrape.evidence(one.rule.expr, instance=one.labels.get("instance"))
        found.setdefault(evidence.command, evidence)
        if len(found) == EVIDENCE:
            break
    return tuple(found.values())


def _row(one: Standing, seen: Seen) -> Mapping[str, object]:
    return {
        "state": one.state.upper() if one.state in (WOULD_FIRE, PENDING) else one.state,
        "severity": one.severity,
        "alert": one.rule.name,
        "on": one.labels.get("node") or one.labels.get("instance", ""),
        "for_s": (seen.at - one.since).total_seconds() if one.since else None,
        "value": one.value,
        "summary": one.said,
        "reason": one.reason,
        "needs_s": one.rule.for_ms / 1000,
        "expr": one.rule.expr,
        "group": one.group,
        "file": one.file,
        "annotations": dict(one.annotations),
        "labels": dict(one.labels),
    }


def joined(direct: Table | None, known: Table | None) -> Table | None:
    """One table for what Alertmanager still knows, first, and what the rules say here."""
    if direct is None or known is None or not known.rows:
        return direct or known
    keys = {one.key for one in direct.columns}
    more = tuple(one for one in known.columns if one.key not in keys)
    return Table((*direct.columns, *more), (*known.rows, *direct.rows))
