"""Alert rules evaluated without Prometheus, over the nodes' own pages: what would fire, and what cannot be known.

A page shows the present alone. An alert that must hold for some minutes is pending at a first look; whether it
has held for long only watching tells. A rule that sees nothing is told apart from one whose condition is not met.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from meshdiag.checks.readings.alertboard import CRITICAL, FIRING, PENDING, UNGRADED, is_watchdog
from meshdiag.checks.readings.blindness import blind_selectors
from meshdiag.metrics import AbsenceKind
from meshdiag.model import Verdict
from meshdiag.promql.expressions import RangeSelector, walk
from meshdiag.promql.parsing import parse
from meshdiag.promql.selectors import metric_names, needs
from meshdiag.promql.store import is_stale
from meshdiag.promql.values import Options
from meshdiag.rules.evaluating import Evaluator
from meshdiag.units import rough

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshdiag.promql.expressions import Selector
    from meshdiag.promql.store import Store
    from meshdiag.rules.evaluating import Alert, Outcome
    from meshdiag.rules.groups import Rule, RuleFile
    from meshdiag.sources.scrape import Scrape

WOULD_FIRE, UNKNOWN, QUIET = "would fire", "unknown", "quiet"
_ORDER = {WOULD_FIRE: 0, PENDING: 1, UNKNOWN: 2, QUIET: 3}
EVERYTHING = '{__name__!=""}'
"""Asked for beside the rules where a template asks queries of its own."""
KEPT_MS = 600_000
"""Samples are kept so much longer than the longest range of the rules, at least."""
ONE_LOOK = "a rate needs two looks at the pages, and only one was asked for"
MOST_SETTLING = 3
"""Steps before the first, at most: recorded series that others are recorded from, over several groups."""
SAID = ("summary", "message", "description")
MOST_LEFT = 5
"""Parts of templates left as they stand that are told one by one."""
TIDY_EVERY = 20
"""Looks between two times that old samples are let go."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one alert stands (would fire, pending), or one rule without any (unknown, quiet), and why. ``labels``
    are then those that the rule itself sets. ``since`` (UTC) is when its condition was first seen to hold; None
    after one look, when it may have held for long."""

    state: str
    rule: Rule
    group: str
    file: str
    labels: Mapping[str, str]
    reason: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    value: float | None = None
    since: datetime | None = None
    left_out: bool = False
    """Whether it is unknown because the user asked not to look that far."""

    @property
    def severity(self) -> str:
        """The label, in small letters."""
        return self.labels.get("severity", "").lower()

    @property
    def subject(self) -> str:
        """The alert's name and, where it is about one, the instance."""
        return " ".join(part for part in (self.rule.name, self.labels.get("instance", "")) if part)

    @property
    def said(self) -> str:
        """What the alert says of itself, by the first annotation that people write it into."""
        return next((text for name in SAID if (text := self.annotations.get(name))), "")

    @property
    def verdict(self) -> Verdict:
        """By state and severity. A pending alert warns: nobody knows for how long it has held."""
        if self.state == UNKNOWN:
            return Verdict.SKIP if self.left_out else Verdict.UNKNOWN
        if self.state == QUIET or self.severity in UNGRADED or is_watchdog(self.rule.name):
            return Verdict.PASS
        return Verdict.FAIL if self.state == WOULD_FIRE and self.severity in CRITICAL else Verdict.WARN


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look came to, the worst first. ``span_s``: over how long the pages have been looked at.
    ``silent``: nodes that do not answer, of ``nodes``."""

    standings: tuple[Standing, ...]
    at: datetime
    span_s: float
    silent: int
    nodes: int
    notes: tuple[str, ...] = ()


class DirectRules:
    """Rule files over the nodes' pages, as often as is asked: state and samples are kept from look to look."""

    def __init__(self, files: Sequence[RuleFile]) -> None:
        self.files = tuple(files)
        self.groups = tuple(group for file in files for group in file.groups)
        self._rules = tuple(rule for group in self.groups for rule in group.rules)
        self._windows = {id(rule): longest_window(rule.expr) for rule in self._rules}
        self._recorded = frozenset(rule.name for rule in self._rules if rule.record)
        self._settling = self._steps_to_settle()
        self._queries = [rule.expr for rule in self._rules]
        if any("query" in text for rule in self._rules for text in _templates(rule)):
            self._queries.append(EVERYTHING)
        self._evaluator: Evaluator | None = None
        self._first_ms = self._last_ms = 0
        self._looks = 0

    @property
    def alerting(self) -> tuple[Rule, ...]:
        """The rules that alert."""
        return tuple(rule for rule in self._rules if not rule.record)

    def _steps_to_settle(self) -> int:
        """Steps before the first that counts: a rule may read what is recorded after it, or in another group."""
        reads = any(not self._recorded.isdisjoint(metric_names(rule.expr)) for rule in self._rules)
        return min(len(self.groups), MOST_SETTLING) if reads else 0

    async def look(self, scrape: Scrape, *, afresh: bool = False) -> Seen:
        """Evaluate every rule over the pages as they are now; ``afresh``: over one more look at them. Raises
        ``SourceError`` when no node answers and none is expected to."""
        store = await scrape.samples(self._queries, afresh=afresh)
        now = max(round(time.time() * 1000), self._last_ms + 1)  # each step is later than the one before
        span_s = scrape.observed_s
        if self._evaluator is None:
            self._first_ms = now
            self._evaluator = Evaluator(
                self.groups, store, options=lambda rule: self._options(rule, scrape), offsets=False
            )
            for _ in range(self._settling):
                self._evaluator.evaluate(now)
                now += 1
        outcomes = self._evaluator.evaluate(now)
        self._last_ms = now
        self._looks += 1
        if self._looks % TIDY_EVERY == 0:
            tidy(store, now - self._kept_ms)
        standings = await self._standings(outcomes, store, scrape, now)
        up = [series.values[-1] for series in store.named("up")]
        silent = max(0, len(scrape.nodes) - sum(value == 1 for value in up))
        at = datetime.fromtimestamp(now / 1000, UTC)
        return Seen(in_order(standings), at, span_s, silent, len(scrape.nodes), self._notes(outcomes, span_s))

    @property
    def _kept_ms(self) -> int:
        return max([*self._windows.values(), *(rule.for_ms for rule in self._rules)], default=0) + KEPT_MS

    def _options(self, rule: Rule, scrape: Scrape) -> Options:
        """Ranges as Prometheus reads them once they have been looked at in full; until then the pace that was
        observed."""
        return Options(observed_rates=scrape.observed_s * 1000 < self._windows[id(rule)])

    async def _standings(self, outcomes: Sequence[Outcome], store: Store, scrape: Scrape, now: int) -> list[Standing]:
        """Alerts of every rule, or how the rule stands that has none."""
        lacking: dict[str, str] = {}
        for outcome in outcomes:
            if outcome.rule.record and (why := await self._why_unknown(outcome, store, scrape, lacking)):
                lacking.setdefault(outcome.rule.name, why)
        standings: list[Standing] = []
        for outcome in outcomes:
            if outcome.rule.record:
                continue
            unknown = await self._why_unknown(outcome, store, scrape, lacking)
            if outcome.alerts and not unknown:
                standings += [self._of_alert(outcome, alert, now) for alert in outcome.alerts]
            else:
                reason = unknown or self._why_quiet(outcome.rule, scrape)
                standings.append(_of_rule(outcome, UNKNOWN if unknown else QUIET, reason))
        return standings

    async def _why_unknown(self, outcome: Outcome, store: Store, scrape: Scrape, lacking: Mapping[str, str]) -> str:
        """Why nothing can be said of a rule; "" when something can."""
        if outcome.error:
            return f"cannot be evaluated: {outcome.error.splitlines()[0]}"
        wanted = needs(outcome.rule.expr)
        if wanted.past is not None and wanted.reach_ms > scrape.observed_s * 1000:
            return f"asks about the past ({wanted.past}), which the nodes' pages do not hold"
        if outcome.elements or outcome.alerts:
            return ""
        blind = blind_selectors(parse(outcome.rule.expr), lambda selector: _sees(store, selector))
        for selector in sorted(blind, key=str):
            if why := lacking.get(selector.name or ""):
                return f"{selector.name} cannot be recorded: {why}"
            if selector.name in self._recorded:
                return f"{selector.name} is recorded by a rule, which has not given anything yet"
            absence = await scrape.why_empty(str(selector))
            if absence.kind is not AbsenceKind.FILTERED:
                return absence.message
            return f"{selector} has no sample now"
        if wanted.window and not scrape.observed_s:
            return ONE_LOOK
        return ""

    def _why_quiet(self, rule: Rule, scrape: Scrape) -> str:
        window_s, span_s = self._windows[id(rule)] / 1000, scrape.observed_s
        if span_s < window_s:
            return f"seen over {rough(span_s)}; the rule looks at {rough(window_s)}"
        return ""

    def _of_alert(self, outcome: Outcome, alert: Alert, now: int) -> Standing:
        rule = outcome.rule
        watched = self._looks > 1
        held_s, for_s = (now - alert.active_ms) / 1000, rule.for_ms / 1000
        known = watched and alert.active_ms > self._first_ms
        if alert.state == FIRING:
            reason = f"has held for {rough(held_s)}" if watched and for_s else ""
            if alert.held_ms is not None:
                reason = f"is over, and kept firing for {rough(rule.keep_firing_for_ms / 1000)}"
        elif watched:
            reason = f"has held for {rough(held_s)}{'' if known else ' at least'}; fires at {rough(for_s)}"
        else:
            reason = f"holds now; fires once it has held for {rough(for_s)}"
        return Standing(
            WOULD_FIRE if alert.state == FIRING else PENDING,
            rule,
            outcome.group.name,
            outcome.group.file,
            alert.labels,
            reason,
            alert.annotations,
            alert.value,
            datetime.fromtimestamp(alert.active_ms / 1000, UTC) if watched else None,
        )

    def _notes(self, outcomes: Iterable[Outcome], span_s: float) -> tuple[str, ...]:
        notes = {f"{file.name}: {note}": None for file in self.files for note in file.notes}
        longest = max(self._windows.values(), default=0) / 1000
        if 0 < span_s < longest:
            notes[f"rates are what was seen over {rough(span_s)}; --gap 30s or --watch looks longer"] = None
        left = [f"{one.rule.name}: left as it stands: {note}" for one in outcomes for note in one.notes]
        notes.update(dict.fromkeys(left[:MOST_LEFT]))
        if len(left) > MOST_LEFT:
            notes[f"and {len(left) - MOST_LEFT:,} more parts of templates are left as they stand"] = None
        if any(group.query_offset_ms for group in self.groups):
            notes["query_offset is not kept: the nodes' pages hold the present alone"] = None
        return tuple(notes)


def in_order(standings: Iterable[Standing]) -> tuple[Standing, ...]:
    """The worst first: by state, severity, name."""

    def rank(one: Standing) -> tuple[int, int, str]:
        grave = 0 if one.severity in CRITICAL else 2 if one.severity in UNGRADED else 1
        return (_ORDER[one.state], grave, one.subject)

    return tuple(sorted(standings, key=rank))


def longest_window(expr: str) -> int:
    """The longest range selector of an expression, in milliseconds; 0 where there is none."""
    return max((part.range_ms for part in walk(parse(expr)) if isinstance(part, RangeSelector)), default=0)


def tidy(store: Store, before_ms: int) -> None:
    """Let go of samples older than that; the newest of a series stays."""
    for name in list(store.names):
        for series in store.named(name):
            series.forget(before_ms)


def _sees(store: Store, selector: Selector) -> bool:
    return any(not is_stale(series.values[-1]) for series in store.select(selector))


def _templates(rule: Rule) -> Iterable[str]:
    return (text for text in (*rule.labels.values(), *rule.annotations.values()) if "{{" in text)


def _of_rule(outcome: Outcome, state: str, reason: str) -> Standing:
    rule = outcome.rule
    own = {name: text for name, text in rule.labels.items() if "{{" not in text}
    labels = {**own, "alertname": rule.name}
    left_out = reason == ONE_LOOK
    return Standing(state, rule, outcome.group.name, outcome.group.file, labels, reason, left_out=left_out)
