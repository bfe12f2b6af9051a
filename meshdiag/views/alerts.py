"""Alerts of Prometheus and Alertmanager in one table: what ``meshdiag alerts`` shows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag.checks.readings.alertboard import FIRING, PENDING, read_alerts
from meshdiag.errors import UsageError
from meshdiag.model import Column, Table
from meshdiag.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.alertboard import AlertRow

    Test = Callable[[Mapping[str, str]], bool]

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


@dataclass(frozen=True, slots=True)
class Matchers:
    """What labels must be like to be shown: every test holds. ``texts`` are the matchers as they were written,
    ``labels`` the names in them."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    tests: tuple[Test, ...]

    def __call__(self, labels: Mapping[str, str]) -> bool:
        return all(test(labels) for test in self.tests)


async def alerts_view(inputs: Inputs) -> Table:
    """The table of the alerts, the worst first. Raises ``SourceError`` when neither source answers."""
    board = await read_alerts(inputs)
    empty = ""
    if isinstance(inputs.wanted, Matchers) and not board.rows and board.unwanted:
        empty = none_fits(inputs.wanted, [row.labels for row in board.unwanted])
    return Table(COLUMNS, tuple(_row(row, inputs.moment) for row in board.rows), empty=empty)


def none_fits(matchers: Matchers, unwanted: Sequence[Mapping[str, str]]) -> str:
    """``none of the 3 alerts has nope=1``, and which label no alert has at all: it may be misspelt. ``unwanted``
    are the labels of the alerts that there are."""
    count = len(unwanted)
    who = f"none of the {count:,} alerts has" if count > 1 else "the only alert there is does not have"
    known = sorted({label for labels in unwanted for label in labels})
    strange = next((label for label in matchers.labels if label not in known), None)
    text = f"{who} {' and '.join(matchers.texts)}"
    if strange is None:
        return text
    hint = did_you_mean(strange, known, f"they have {', '.join(known)}")
    return f"{text}; no alert has a label {strange}: {hint}"


def parse_matchers(texts: Sequence[str]) -> Matchers:
    """What labels must be like to be shown: every one of ``severity=critical``, ``job!=x``, ``instance=~RE`` and
    ``instance!~RE`` (whole value, as Alertmanager matches). Raises ``UsageError``."""
    parsed = [_matcher(text) for text in texts]
    return Matchers(tuple(texts), tuple(label for label, _test in parsed), tuple(test for _label, test in parsed))


def _matcher(text: str) -> tuple[str, Test]:
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} is not a label matcher", hint="write severity=critical, job!=x or instance=~'10.*'")
    label, operator, value = found["label"], found["operator"], found["value"].strip('"')
    if operator in ("=", "!="):
        return label, lambda labels: (labels.get(label, "") == value) is (operator == "=")
    try:
        pattern = re.compile(value)
    except re.error as error:
        raise UsageError(f"{value!r} in {text!r} is not a regular expression: {error}") from error
    return label, lambda labels: (pattern.fullmatch(labels.get(label, "")) is not None) is (operator == "=~")


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
