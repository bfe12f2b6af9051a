"""Rates from a glimpse: two looks at the nodes' pages a few seconds apart.

One event in two seconds is "0.5 a second" and means nothing; many, or one on nearly every node, do. Without
history, a rate stands only where the events behind it are too many to have come by chance.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING

from meshdiag.catalog import WINDOW
from meshdiag.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.catalog import Metric
    from meshdiag.checks.inputs import Inputs
    from meshdiag.model import Finding, Threshold

DEVIATIONS = 2.0
"""How many standard deviations above what the threshold itself would bring a count must be."""


async def counted(inputs: Inputs, metric: Metric) -> dict[str, float]:
    """How many events were really seen between the looks, by instance."""
    window = f"{metric.selector(inputs.context.job)}[{WINDOW}]"
    vector = await inputs.metrics.instant(
        f"sum by (instance) (max_over_time({window}) - min_over_time({window}))", inputs.at
    )
    return vector.by("instance")


def without_chance(
    findings: Sequence[Finding], events: Mapping[str, float], exposure: Mapping[str, float] | None = None
) -> tuple[Finding, ...]:
    """The findings, those excused whose few events may be chance.

    ``events`` were counted by instance. Values are events per second, or per thing where ``exposure`` tells how
    many things were counted (failed rounds per round). A count is more than chance when it stands out on the
    node alone, or over the whole mesh.
    """
    if exposure is None:
        exposure = dict.fromkeys(events, _span(findings, events))
    together, exposed = sum(events.values()), sum(exposure.values())
    tempered = []
    for one in findings:
        limit = _limit(one.threshold, one.value)
        if limit is None or one.verdict not in (Verdict.WARN, Verdict.FAIL):
            tempered.append(one)
            continue
        alone = events.get(one.subject, 0.0) > _chance(limit * exposure.get(one.subject, 0.0))
        if alone or together > _chance(limit * exposed):
            tempered.append(one)
        else:
            tempered.append(replace(one, verdict=Verdict.PASS, message="too few events in so short a look to judge by"))
    return tuple(tempered)


def _span(findings: Sequence[Finding], events: Mapping[str, float]) -> float:
    """The seconds between the looks, by what the rates and the counts say together."""
    spans = [events.get(one.subject, 0.0) / one.value for one in findings if one.value]
    return max(spans, default=0.0)


def _limit(threshold: Threshold | None, value: float | None) -> float | None:
    crossed = threshold.crossed(value) if threshold is not None and value is not None else None
    return crossed.high if crossed is not None else None


def _chance(expected: float) -> float:
    """The most events that chance brings where ``expected`` are usual; never fewer than one."""
    return max(1.0, expected + DEVIATIONS * sqrt(expected))
