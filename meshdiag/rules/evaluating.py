"""Recording and alerting rules stepped through time over a store of samples.

Each step evaluates every group in order: recording rules write their results into the store, where later rules
see them; alerts keep their state from step to step (pending, firing, held by ``keep_firing_for``) and are written
as ``ALERTS`` and ``ALERTS_FOR_STATE``. A series that a rule made at the last step and does not make now gets a
staleness marker. Watching, unit tests of rules and replays are all this one loop.
Source: Prometheus's rules/group.go, alerting.go, recording.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from meshdiag.errors import QueryError
from meshdiag.metrics import NAME_LABEL, Matrix
from meshdiag.promql.evaluator import instant
from meshdiag.promql.store import STALE_NAN
from meshdiag.promql.values import Options
from meshdiag.rules.templates import Data, expand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from meshdiag.promql.store import Store, StoredSeries
    from meshdiag.rules.groups import Group, Rule

    Labels = dict[str, str]
    Vector = list[tuple[Labels, float]]

PENDING, FIRING, INACTIVE = "pending", "firing", "inactive"
ALERTS, FOR_STATE = "ALERTS", "ALERTS_FOR_STATE"
ALERTNAME, ALERTSTATE = "alertname", "alertstate"
RESOLVED_MS = 15 * 60_000
"""How long an alert that fired and is over is still remembered."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One instance of an alerting rule. Times in milliseconds: since when its condition holds, when it began to
    fire, since when only ``keep_firing_for`` holds it, when it was over; None where that has not happened."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    value: float
    state: str
    active_ms: int
    fired_ms: int | None = None
    held_ms: int | None = None
    resolved_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one rule came to at a step: its active alerts (of a recording rule: none), how many elements its
    expression had, why it could not be evaluated ("" when it could), and what of its templates was left as it
    stands."""

    group: Group
    rule: Rule
    alerts: tuple[Alert, ...] = ()
    elements: int = 0
    error: str = ""
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _State:
    """What a rule remembers: its alerts by their labels, and the series it made at the last step."""

    group: Group
    rule: Rule
    active: dict[frozenset[tuple[str, str]], Alert] = field(default_factory=dict)
    made: dict[frozenset[tuple[str, str]], StoredSeries] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)


class Evaluator:
    """Rules over ``store``, which they also write to. Nothing is remembered from before the first step.

    options: how expressions are evaluated, for all rules or, as a function, for each. external_labels: what templates
    see as ``$externalLabels``, None where they are not known. offsets: whether a group's ``query_offset`` is kept; not
    where the store holds nothing but the present.
    """

    def __init__(
        self,
        groups: Iterable[Group],
        store: Store,
        *,
        options: Options | Callable[[Rule], Options] | None = None,
        external_labels: Mapping[str, str] | None = None,
        offsets: bool = True,
    ) -> None:
        self.store = store
        self._states = [_State(group, rule) for group in groups for rule in group.rules]
        self._options = options if callable(options) else _always(options or Options())
        self._external = external_labels
        self._offsets = offsets
        self._found: dict[str, dict[frozenset[tuple[str, str]], StoredSeries]] = {}
        """What was in the store under a name before a rule wrote there first."""

    def evaluate(self, at_ms: int) -> list[Outcome]:
        """One step at a moment later than the last one: what every rule came to, in order. Never raises for what
        is in a rule."""
        return [self._step(state, at_ms) for state in self._states]

    def _step(self, state: _State, now: int) -> Outcome:
        if self._offsets:
            now -= state.group.query_offset_ms
        state.notes = {}
        try:
            vector = self._vector(state.rule.expr, now, self._options(state.rule))
            samples = self._record(state, vector) if state.rule.record else self._alert(state, vector, now)
        except QueryError as error:
            return Outcome(state.group, state.rule, error=error.message)
        self._write(state, samples, now)
        active = tuple(alert for alert in state.active.values() if alert.state != INACTIVE)
        return Outcome(state.group, state.rule, active, len(vector), notes=tuple(state.notes))

    def _vector(self, expr: str, now: int, options: Options) -> Vector:
        """Labels and values of an expression; a scalar is one element without labels."""
        answer = instant(self.store, expr, now, options)
        if isinstance(answer, Matrix) or answer.text is not None:
            raise QueryError("rule result is not a vector or scalar")
        return [(dict(sample.labels), sample.value) for sample in answer.samples]

    # recording rules ----------------------------------------------------------------------------------------

    def _record(self, state: _State, vector: Vector) -> Vector:
        rule, limit = state.rule, state.group.limit
        made = [(_set({**labels, NAME_LABEL: rule.name}, rule.labels), value) for labels, value in vector]
        if len({_key(labels) for labels, _ in made}) != len(made):
            raise QueryError("vector contains metrics with the same labelset after applying rule labels")
        if 0 < limit < len(made):
            raise QueryError(f"exceeded limit of {limit} with {len(made)} series")
        return made

    # alerting rules -----------------------------------------------------------------------------------------

    def _alert(self, state: _State, vector: Vector, now: int) -> Vector:
        seen = self._seen(state, vector, now)
        for key, alert in seen.items():
            known = state.active.get(key)
            if known is not None and known.state != INACTIVE:
                alert = replace(known, value=alert.value, annotations=alert.annotations, held_ms=None)
            state.active[key] = alert
        for key in list(state.active):
            later = _later(state.active[key], state.rule, now, holds=key in seen)
            if later is None:
                del state.active[key]
            else:
                state.active[key] = later
        active = [alert for alert in state.active.values() if alert.state != INACTIVE]
        if 0 < state.group.limit < len(active):
            state.active = {}
            raise QueryError(f"exceeded limit of {state.group.limit} with {len(active)} alerts")
        return [sample for alert in active for sample in _series_of(alert)]

    def _seen(self, state: _State, vector: Vector, now: int) -> dict[frozenset[tuple[str, str]], Alert]:
        """The alerts whose condition holds now, as new ones, by their labels."""
        rule = state.rule
        seen: dict[frozenset[tuple[str, str]], Alert] = {}
        for bare, value in vector:
            fill = self._filler(state, bare, value, now)
            named = {name: one for name, one in bare.items() if name != NAME_LABEL}
            labels = _set(named, {name: fill(text) for name, text in rule.labels.items()})
            labels[ALERTNAME] = rule.name
            key = _key(labels)
            if key in seen:
                raise QueryError("vector contains metrics with the same labelset after applying alert labels")
            annotations = {name: fill(text) for name, text in rule.annotations.items()}
            seen[key] = Alert(labels, annotations, value, PENDING, now)
        return seen

    def _filler(self, state: _State, labels: Labels, value: float, now: int) -> Callable[[str], str]:
        """Fills a template in for one element; what it leaves as it stands is noted."""
        options = self._options(state.rule)
        data = Data(labels, value, self._external, lambda query: self._vector(query, now, options), now / 1000)

        def fill(text: str) -> str:
            expanded = expand(text, data)
            state.notes.update(dict.fromkeys(expanded.notes))
            return expanded.text

        return fill

    # the store ----------------------------------------------------------------------------------------------

    def _write(self, state: _State, samples: Vector, now: int) -> None:
        made: dict[frozenset[tuple[str, str]], StoredSeries] = {}
        for labels, value in samples:
            key = _key(labels)
            series = state.made.get(key) or self._series(labels)
            series.append(now, value)
            made[key] = series
        for key, series in state.made.items():
            if key not in made:
                series.append(now, STALE_NAN)
        state.made = made

    def _series(self, labels: Labels) -> StoredSeries:
        """The series with these labels, also when it came into the store by another way."""
        name = labels[NAME_LABEL]
        known = self._found.get(name)
        if known is None:
            known = self._found[name] = {_key(one.labels): one for one in self.store.named(name)}
        return known.get(_key(labels)) or self.store.series(labels)


def _always(options: Options) -> Callable[[Rule], Options]:
    return lambda _rule: options


def _later(alert: Alert, rule: Rule, now: int, *, holds: bool) -> Alert | None:
    """An alert one step on; None when it may be forgotten."""
    if not holds:
        held = alert.held_ms if alert.held_ms is not None else now
        if alert.state == FIRING and rule.keep_firing_for_ms and now - held < rule.keep_firing_for_ms:
            return replace(alert, held_ms=held)
        over = alert.resolved_ms is not None and now - alert.resolved_ms > RESOLVED_MS
        if alert.state == PENDING or over:
            return None
        return alert if alert.state == INACTIVE else replace(alert, state=INACTIVE, resolved_ms=now)
    if alert.state == PENDING and now - alert.active_ms >= rule.for_ms:
        return replace(alert, state=FIRING, fired_ms=now)
    return alert


def _series_of(alert: Alert) -> Vector:
    """The samples by which an active alert is known to queries."""
    return [
        ({**alert.labels, NAME_LABEL: ALERTS, ALERTSTATE: alert.state}, 1.0),
        ({**alert.labels, NAME_LABEL: FOR_STATE}, float(alert.active_ms // 1000)),
    ]


def _set(labels: Labels, more: Mapping[str, str]) -> Labels:
    """Labels with others written over them; an empty value takes a label away."""
    for name, value in more.items():
        if value:
            labels[name] = value
        else:
            labels.pop(name, None)
    return labels


def _key(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())
