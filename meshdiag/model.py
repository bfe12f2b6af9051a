"""What meshdiag says: verdicts, findings, evidence, results, causes and the report that holds them.

Everything here is a frozen value without behaviour towards the outside world: sources fill these, checks
judge them, renderers print them. The module imports nothing from the rest of the package but the verdicts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

from meshdiag.verdict import ExitCode as ExitCode
from meshdiag.verdict import Verdict as Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Range:
    """The values that are fine, as the monitoring plugins write thresholds.

    A value alerts when it lies outside ``low``..``high`` (ends included), or inside them when ``inside``.
    Source: Monitoring Plugins Development Guidelines, "Threshold and Ranges".
    """

    low: float = 0.0
    high: float = math.inf
    inside: bool = False

    @classmethod
    def parse(cls, text: str) -> Range:
        """Read ``10``, ``10:``, ``~:10``, ``10:20`` or ``@10:20``. Raises ``ValueError`` with one sentence."""
        body = text.strip()
        inside = body.startswith("@")
        body = body.removeprefix("@")
        start, colon, end = body.partition(":")
        if not colon:
            start, end = "0", start
        try:
            low = -math.inf if start == "~" else float(start or 0)
            high = float(end) if end else math.inf
            if not body or math.isnan(low) or math.isnan(high):
                raise ValueError
        except ValueError:
            raise ValueError(
                f"{text!r} is not a range; write 10 (0 to 10), 10: (at least), ~:10 (at most), 10:20, or @10:20"
            ) from None
        if low > high:
            raise ValueError(f"{text!r} is not a range: {low:g} is above {high:g}")
        return cls(low, high, inside)

    def alerts(self, value: float) -> bool:
        """Whether the value is one to report. Not for NaN, which is neither in nor out."""
        return (self.low <= value <= self.high) is self.inside

    def __str__(self) -> str:
        low = "~" if self.low == -math.inf else f"{self.low:.10g}"
        high = "" if self.high == math.inf else f"{self.high:.10g}"
        body = high if low == "0" and high else f"{low}:{high}"
        return "@" + body if self.inside else body


def at_most(limit: float) -> Range:
    """Fine up to ``limit``: the rule ``value > limit`` turned round."""
    return Range(-math.inf, limit)


def at_least(limit: float) -> Range:
    """Fine from ``limit`` up: the rule ``value < limit`` turned round."""
    return Range(limit, math.inf)


@dataclass(frozen=True, slots=True)
class Threshold:
    """What is fine, for two grades of trouble. Either may be absent; an empty one judges nothing."""

    warn: Range | None = None
    fail: Range | None = None

    def judge(self, value: float) -> Verdict:
        """The verdict for a value; NaN is no value, so it is ``UNKNOWN``."""
        if math.isnan(value):
            return Verdict.UNKNOWN
        if self.fail is not None and self.fail.alerts(value):
            return Verdict.FAIL
        if self.warn is not None and self.warn.alerts(value):
            return Verdict.WARN
        return Verdict.PASS

    def crossed(self, value: float) -> Range | None:
        """The range the value was held against: the one it broke, or the first that it would break next."""
        if self.fail is not None and self.fail.alerts(value):
            return self.fail
        return self.warn or self.fail


T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def _many(cls: type[T]) -> type[T]:
    """A dataclass of which there are thousands: frozen for the type checker alone, because to make one that is frozen
    while the program runs takes five times as long."""
    return dataclass(slots=True)(cls)


@_many
class Finding:
    """The answer of a check for one subject (a node, a peer, a datasource, a certificate).

    ``value`` is in ``unit`` (``s``, ``bytes``, ``ratio``, ``percent``, ``1/s``, ``days``, ``count`` …: see
    ``catalog.Unit``), never scaled; renderers scale. ``observed`` is when the sample was taken (UTC), so that
    its age can be shown. ``labels`` name what else is known of the subject (``node``, ``role``, ``peer``).
    """

    subject: str
    verdict: Verdict
    message: str
    value: float | None = None
    unit: str | None = None
    threshold: Threshold | None = None
    observed: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a claim comes from: the source by name, a command that shows it again (already quoted for a POSIX
    shell, without credentials), and the part of the answer that matters."""

    source: str
    command: str
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One check's findings. ``because`` names the failed check that this answer had to wait for, so that
    renderers can fold it under that one. ``verdict`` is the worst of the findings unless a check says so. ``absent``
    is the kind of absence (``never-seen`` …) where the source's answer was empty."""

    id: str
    title: str
    verdict: Verdict
    summary: str
    findings: tuple[Finding, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    hint: str = ""
    runbook: str = ""
    duration_s: float = 0.0
    because: str | None = None
    absent: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """A likely explanation: the sentence, the findings it rests on (``check-id`` or ``check-id subject``), and
    what to do next."""

    statement: str
    because: tuple[str, ...]
    next: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. ``kind`` tells a renderer how to print its cells:

    ``text`` str · ``number`` float in ``unit`` · ``verdict`` Verdict · ``time`` datetime (UTC) ·
    ``age`` float, seconds · ``trend`` sequence of float (a sparkline; those of a column with a ``unit`` share one
    scale, those without one have their own). Any cell may be None.
    """

    key: str
    title: str
    kind: str = "text"
    unit: str | None = None
    detail: bool = False
    """For programs alone: a terminal does not show it."""


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a data command (``query``, ``nodes``, ``alerts`` …): one mapping a row, keyed by column.
    ``empty`` says why there are none, where that is more than that there is nothing. ``noun`` is what a row is called
    in the names of metrics (``cert``), ``keys`` the columns that tell rows apart there; without them no metrics.
    ``shape`` is ``matrix`` where a row is a pair (``from``, ``to``) with a ``verdict``, a ``duration_s`` and a
    ``trouble``, which a terminal draws as one."""

    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Any], ...]
    title: str = ""
    empty: str = ""
    noun: str = ""
    keys: tuple[str, ...] = ()
    shape: str = "rows"


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one command has to say. Renderers are functions of a report.

    ``at`` is the moment that was asked about, against which ages are told; None when it is ``started``.
    ``notes`` are warnings about the answer itself (partial response, truncated, fallback taken).
    ``verdict`` is given when the command has a verdict of its own; otherwise the results decide, and a report
    of data alone (no results) passes.
    """

    command: str
    context: str
    started: datetime
    duration_s: float = 0.0
    results: tuple[Result, ...] = ()
    causes: tuple[Cause, ...] = ()
    data: Table | None = None
    notes: tuple[str, ...] = ()
    at: datetime | None = None

    @property
    def moment(self) -> datetime:
        """The moment that the report is about."""
        return self.at or self.started

    @property
    def verdict(self) -> Verdict:
        """The worst of the results."""
        if not self.results and self.data is not None:
            return Verdict.PASS
        return Verdict.worst(result.verdict for result in self.results)

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many results there are of each verdict, every verdict named."""
        return count_verdicts(self.results)


def count_verdicts(judged: Sequence[Result] | Sequence[Finding]) -> dict[Verdict, int]:
    """How many of each verdict, in the order pass, warn, fail, unknown, skip."""
    counts = dict.fromkeys(Verdict, 0)
    for one in judged:
        counts[one.verdict] += 1
    return counts
