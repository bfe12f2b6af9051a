"""Every alert on one board: what Prometheus' rules say, merged with what Alertmanager does about it.

Prometheus knows pending alerts and values, Alertmanager knows silences, inhibitions and receivers. Either may
fail; the board then holds what the other knows, and a note says what is missing.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from meshdiag.errors import SourceError, Trouble
from meshdiag.metrics import NAME_LABEL
from meshdiag.units import moment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Mapping, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.metrics import Sample
    from meshdiag.model import Evidence
    from meshdiag.sources.alertmanager import Alert, Silence
    from meshdiag.sources.prometheus import ActiveAlert

T = TypeVar("T")

PENDING, FIRING, SILENCED, INHIBITED = "pending", "firing", "silenced", "inhibited"
_ORDER = {FIRING: 0, PENDING: 1, SILENCED: 2, INHIBITED: 3}
CRITICAL = frozenset({"critical", "page", "fatal", "emergency"})
UNGRADED = frozenset({"info", "none", "debug"})
"""Severities that tell and do not warn."""

_WATCHDOG = re.compile(r"watch[_-]?dog|dead[_-]?man'?s?[_-]?(switch|snitch)|always[_-]?firing", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SilencedBy:
    """A silence in force over an alert; ``until`` is UTC."""

    id: str
    author: str = ""
    until: datetime | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert. ``state``: pending, firing, silenced or inhibited. ``value`` and ``since`` (UTC) are None where
    they are not known; ``inhibited_by`` names the alerts that mute it. ``told`` is whether Alertmanager knows the
    alert: None where it was not asked or need not know it yet."""

    name: str
    severity: str
    state: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    value: float | None = None
    since: datetime | None = None
    receivers: tuple[str, ...] = ()
    silenced_by: tuple[SilencedBy, ...] = ()
    inhibited_by: tuple[str, ...] = ()
    told: bool | None = None

    @property
    def subject(self) -> str:
        """The alert's name and, where it is about one, the instance."""
        return " ".join(part for part in (self.name, self.labels.get("instance", "")) if part)

    @property
    def is_watchdog(self) -> bool:
        """Whether it is meant to fire all the time."""
        return is_watchdog(self.name)


@dataclass(frozen=True, slots=True)
class AlertBoard:
    """All alerts, the worst first. ``notes`` say what is missing from it; ``evidence`` shows it again.
    ``half_blind`` is whether Prometheus, which knows what fires, was asked and did not answer; ``unwanted`` are the
    alerts that the command's filter left out."""

    rows: tuple[AlertRow, ...]
    notes: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    half_blind: bool = False
    unwanted: tuple[AlertRow, ...] = ()


def is_watchdog(name: str) -> bool:
    """Whether an alert of this name is meant to fire all the time (Watchdog, DeadMansSwitch)."""
    return _WATCHDOG.fullmatch(name) is not None


def tell_apart(named: Sequence[tuple[str, Mapping[str, str]]]) -> list[str]:
    """Names for things with labels; those that would read the same get the labels that differ."""
    alike: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for name, labels in named:
        alike[name].append(labels)
    return [" ".join((name, *_distinct(labels, alike[name]))) for name, labels in named]


def _distinct(labels: Mapping[str, str], alike: Sequence[Mapping[str, str]]) -> Iterable[str]:
    for key in sorted(labels):
        if any(other.get(key) != labels[key] for other in alike):
            yield f"{key}={labels[key]}"


async def read_alerts(inputs: Inputs) -> AlertBoard:
    """The board, fetched once a run and narrowed to what is wanted; of the moment ``at`` where one is asked about.

    Raises ``SourceError`` when neither Prometheus nor Alertmanager answers.
    """
    fetch = _read_past if inputs.at is not None else _read_now
    board = await inputs.memo.once("alert-board", lambda: fetch(inputs))
    return replace(
        board,
        rows=tuple(row for row in board.rows if inputs.wanted(row.labels)),
        unwanted=tuple(row for row in board.rows if not inputs.wanted(row.labels)),
    )


async def _read_now(inputs: Inputs) -> AlertBoard:
    prometheus, alertmanager = inputs.sources.prometheus, inputs.sources.alertmanager
    rules, sent, silences = await asyncio.gather(
        _try(prometheus.alerts() if prometheus else None, "Prometheus"),
        _try(alertmanager.alerts() if alertmanager else None, "Alertmanager"),
        _try(alertmanager.silences() if alertmanager else None, "Alertmanager"),
    )
    if isinstance(rules, SourceError) and isinstance(sent, SourceError):
        raise _neither(rules, sent)
    notes = [
        f"{one.message}; {lacking}"
        for one, lacking in (
            (rules, "pending alerts and values are not known"),
            (sent, "silences, inhibitions and receivers are not known"),
        )
        if isinstance(one, SourceError)
    ]
    if isinstance(silences, SourceError) and not isinstance(sent, SourceError):
        notes.append(f"{silences.message}; who silenced an alert is not known")
    rows = merge(
        None if isinstance(rules, SourceError) else rules,
        None if isinstance(sent, SourceError) else sent,
        () if isinstance(silences, SourceError) else silences,
    )
    untold = sum(row.told is False for row in rows)
    if untold:
        notes.append(f"{untold} firing alert{'s are' if untold != 1 else ' is'} not known to Alertmanager (yet)")
    half_blind = isinstance(rules, SourceError) and rules.trouble is not Trouble.NOT_CONFIGURED
    return AlertBoard(rows, tuple(notes), _evidence(inputs, rules, sent), half_blind)


async def _try(asked: Awaitable[T] | None, name: str) -> T | SourceError:
    """The answer, or the error that kept it away."""
    if asked is None:
        return SourceError(f"{name}: not asked", trouble=Trouble.NOT_CONFIGURED, source=name)
    try:
        return await asked
    except SourceError as error:
        return error


def _neither(rules: SourceError, sent: SourceError) -> SourceError:
    """One error for two; its hint is the one of Prometheus, which comes first."""
    if rules.trouble is Trouble.NOT_CONFIGURED:
        return sent
    if sent.trouble is Trouble.NOT_CONFIGURED:
        return rules
    return SourceError(
        f"{rules.message}; {sent.message}", trouble=rules.trouble, source=rules.source, hint=rules.hint or sent.hint
    )


def _evidence(inputs: Inputs, rules: object, sent: object) -> tuple[Evidence, ...]:
    shown = []
    if not isinstance(rules, SourceError):
        shown.append(inputs.prometheus.evidence("ALERTS"))
    if not isinstance(sent, SourceError):
        shown.append(inputs.alertmanager.evidence("/alerts"))
    return tuple(shown)


async def _read_past(inputs: Inputs) -> AlertBoard:
    """The board of a past moment: Prometheus keeps pending and firing alerts as series; nobody keeps the rest."""
    alerts, since = await asyncio.gather(
        inputs.prometheus.instant("ALERTS", inputs.at), inputs.prometheus.instant("ALERTS_FOR_STATE", inputs.at)
    )
    if not alerts.samples:
        await ensure_samples(inputs)
    return AlertBoard(
        past_rows(alerts.samples, since.samples),
        ("silences and receivers of a past moment are not known",),
        (inputs.prometheus.evidence("ALERTS", inputs.at),),
    )


async def ensure_samples(inputs: Inputs) -> None:
    """Raises ``SourceError`` when Prometheus holds nothing of the moment asked about: that no alert fired and no
    metric was there then would say nothing."""
    if inputs.at is not None and not (await inputs.prometheus.instant("count(up)", inputs.at)).samples:
        raise SourceError(
            f"Prometheus holds no sample of {moment(inputs.at, utc=True)}, so what fired then is not known",
            trouble=Trouble.NOT_AVAILABLE,
            source="Prometheus",
            hint="choose a moment that its retention covers",
        )


def past_rows(alerts: Iterable[Sample], since: Iterable[Sample]) -> tuple[AlertRow, ...]:
    """The rows from the series ``ALERTS`` and ``ALERTS_FOR_STATE`` (whose value is when the alert began)."""
    began = {_key(sample.labels): sample.value for sample in since}
    rows = []
    samples = list(alerts)
    firing = {_key(sample.labels) for sample in samples if sample.labels.get("alertstate") == FIRING}
    for sample in samples:
        if sample.labels.get("alertstate") == PENDING and _key(sample.labels) in firing:
            continue  # its last pending sample is still within the look-back
        labels = {key: value for key, value in sample.labels.items() if key not in (NAME_LABEL, "alertstate")}
        start = began.get(_key(sample.labels))
        rows.append(
            AlertRow(
                labels.get("alertname", ""),
                labels.get("severity", "").lower(),
                sample.labels.get("alertstate", FIRING),
                labels,
                since=datetime.fromtimestamp(start, UTC) if start else None,
            )
        )
    return _sorted(rows)


def _key(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(pair for pair in labels.items() if pair[0] not in (NAME_LABEL, "alertstate"))


def merge(
    rules: Sequence[ActiveAlert] | None, sent: Sequence[Alert] | None, silences: Iterable[Silence] = ()
) -> tuple[AlertRow, ...]:
    """The rows from Prometheus' and Alertmanager's alerts; None for the one that did not answer."""
    by_id = {silence.id: silence for silence in silences}
    names = {alert.fingerprint: _shown(alert.labels) for alert in sent or ()}
    left: dict[str, list[Alert]] = defaultdict(list)
    for alert in sent or ():
        left[alert.name].append(alert)
    rows = []
    for rule in sorted(rules or (), key=lambda one: -len(one.labels)):
        known = _counterpart(rule.labels, left[rule.name]) if rule.state == FIRING else None
        if known is not None:
            left[rule.name].remove(known)
        told = None if sent is None or rule.state != FIRING else known is not None
        rows.append(_row(rule, known, by_id, names, told))
    rows += [_row(None, alert, by_id, names, True) for alerts in left.values() for alert in alerts]
    return _sorted(rows)


def _counterpart(labels: Mapping[str, str], candidates: Iterable[Alert]) -> Alert | None:
    """The alert of Alertmanager that is this one: it may have external labels more and relabelled ones less, but
    no label that contradicts. Of several the one with most in common."""
    best, most = None, 0
    for alert in candidates:
        common = labels.keys() & alert.labels.keys()
        if len(common) > most and all(labels[key] == alert.labels[key] for key in common):
            best, most = alert, len(common)
    return best


def _row(
    rule: ActiveAlert | None,
    known: Alert | None,
    silences: Mapping[str, Silence],
    names: Mapping[str, str],
    told: bool | None,
) -> AlertRow:
    labels = rule.labels if rule is not None else known.labels if known is not None else {}
    annotations = rule.annotations if rule is not None else known.annotations if known is not None else {}
    state = rule.state if rule is not None else FIRING
    if known is not None and known.state == "suppressed":
        state = SILENCED if known.silenced_by else INHIBITED
    since = rule.active_at if rule is not None else None
    return AlertRow(
        name=labels.get("alertname", ""),
        severity=labels.get("severity", "").lower(),
        state=state,
        labels=labels,
        annotations=annotations,
        value=rule.value if rule is not None else None,
        since=since or (known.starts_at if known is not None else None),
        receivers=known.receivers if known is not None else (),
        silenced_by=tuple(_silence(id_, silences) for id_ in known.silenced_by) if known is not None else (),
        inhibited_by=tuple(names.get(id_, id_) for id_ in known.inhibited_by) if known is not None else (),
        told=told,
    )


def _silence(id_: str, silences: Mapping[str, Silence]) -> SilencedBy:
    silence = silences.get(id_)
    if silence is None:
        return SilencedBy(id_)
    return SilencedBy(id_, silence.created_by, silence.ends_at, silence.comment)


def _shown(labels: Mapping[str, str]) -> str:
    return " ".join(part for part in (labels.get("alertname", ""), labels.get("instance", "")) if part)


def _sorted(rows: Iterable[AlertRow]) -> tuple[AlertRow, ...]:
    """The worst first: by state, severity, name."""

    def rank(row: AlertRow) -> tuple[int, int, str]:
        grave = 0 if row.severity in CRITICAL else 2 if row.severity in UNGRADED else 1
        return (_ORDER.get(row.state, 9), grave, row.subject)

    return tuple(sorted(rows, key=rank))
