"""Alerts of Prometheus and Alertmanager in one table: what ``meshdiag alerts`` shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshdiag.checks.readings.alertboard import FIRING, PENDING, read_alerts
from meshdiag.errors import UsageError
from meshdiag.model import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.alertboard import AlertRow

COLUMNS = (
    Column("state", "state"),
    Column("severity", "severity"),
    Column("alert", "alert"),
    Column("on", "on"),
    Column("muted", "muted by"),
    Column("for_s", "since", "age"),
    Column("value", "value", "number"),
    Column("receivers", "receivers"),
    Column("summary", "summary"),
)
_MATCHER = re.compile(r"(?P<label>[A-Za-z_][A-Za-z0-9_]*)\s*(?P<operator>=~|!~|!=|=)\s*(?P<value>.*)", re.DOTALL)


async def alerts_view(inputs: Inputs) -> Table:
    """The table of the alerts, the worst first. Raises ``SourceError`` when neither source answers."""
    board = await read_alerts(inputs)
    return Table(COLUMNS, tuple(_row(row, inputs.moment) for row in board.rows))


def parse_matchers(texts: Sequence[str]) -> Callable[[Mapping[str, str]], bool]:
    """What labels must be like to be shown: every one of ``severity=critical``, ``job!=x``, ``instance=~RE`` and
    ``instance!~RE`` (whole value, as Alertmanager matches). Raises ``UsageError``."""
    tests = [_matcher(text) for text in texts]
    return lambda labels: all(test(labels) for test in tests)


def _matcher(text: str) -> Callable[[Mapping[str, str]], bool]:
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} is not a label matcher", hint="write severity=critical, job!=x or instance=~'10.*'")
    label, operator, value = found["label"], found["operator"], found["value"].strip('"')
    if operator in ("=", "!="):
        return lambda labels: (labels.get(label, "") == value) is (operator == "=")
    try:
        pattern = re.compile(value)
    except re.error as error:
        raise UsageError(f"{value!r} in {text!r} is not a regular expression: {error}") from error
    return lambda labels: (pattern.fullmatch(labels.get(label, "")) is not None) is (operator == "=~")


def _row(row: AlertRow, moment: datetime) -> dict[str, object]:
    return {
        "state": row.state.upper() if row.state in (FIRING, PENDING) else row.state,
        "severity": row.severity,
        "alert": row.name,
        "on": row.labels.get("node") or row.labels.get("instance", ""),
        "value": row.value,
        "since": row.since,
        "for_s": (moment - row.since).total_seconds() if row.since else None,
        "muted": _muted_by(row),
        "silenced_by": [
            {"id": one.id, "author": one.author, "until": one.until, "comment": one.comment} for one in row.silenced_by
        ],
        "inhibited_by": list(row.inhibited_by),
        "receivers": ", ".join(row.receivers),
        "summary": row.annotations.get("summary", ""),
        "labels": dict(row.labels),
    }


def _muted_by(row: AlertRow) -> str:
    silences = [
        f"{one.author or one.id}{f' until {one.until:%Y-%m-%d %H:%M}Z' if one.until else ''}" for one in row.silenced_by
    ]
    return ", ".join([*silences, *row.inhibited_by])
