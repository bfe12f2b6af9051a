"""The store of traces: do services still send their spans there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from meshdiag.catalog import Unit
from meshdiag.checks import Outcome, check
from meshdiag.checks.readings.unnamed import not_missed
from meshdiag.checks.readings.worst import worst_of
from meshdiag.errors import SourceError
from meshdiag.model import Finding, Threshold, Verdict, at_most
from meshdiag.units import human

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshdiag.checks.inputs import Inputs
    from meshdiag.sources.traces.trace import Search

MOST_SERVICES: Final = 20
"""Services that are asked: each is a request."""
LATEST: Final = 20
"""Traces that are looked at for the newest span: a store does not give the newest first."""
OWN: Final = frozenset({"jaeger", "jaeger-query", "jaeger-all-in-one", "tempo", "tempo-all"})
"""Services that are the store itself."""


@check(
    "jaeger.spans",
    title="services still send their spans",
    needs=["traces"],
    runbook="monitoring-stack",
    hint="see that the service runs, and where its exporter sends (OTEL_EXPORTER_OTLP_ENDPOINT)",
    threshold=Threshold(warn=at_most(900)),
    unit=Unit.SECONDS,
)
async def spans(inputs: Inputs) -> Outcome:
    """Each service that has ever sent spans, by the age of its newest one in the window."""
    try:
        services = await inputs.memo.once("traces.services", inputs.traces.services)
    except SourceError as error:
        not_missed(error, "Jaeger", named=inputs.context.names_traces)
        raise
    reporting = [name for name in services if name not in OWN]
    if not reporting:
        return Outcome(verdict=Verdict.WARN, summary=f"{inputs.traces.name} holds no spans of any service")
    asked = reporting[:MOST_SERVICES]
    searches = [_search(inputs, service) for service in asked]
    found = await asyncio.gather(*(inputs.traces.search(search) for search in searches))
    newest = {
        service: max((span.end_s for trace in one.traces for span in trace.spans), default=None)
        for service, one in zip(asked, found, strict=True)
    }
    window = human(inputs.window.total_seconds(), Unit.SECONDS)
    findings = judge_spans(newest, inputs.moment.timestamp(), window, inputs.threshold)
    more = f"; {len(reporting) - len(asked)} more were not asked" if len(reporting) > len(asked) else ""
    fine = f"all {len(asked)} services send spans" if len(asked) > 1 else f"{asked[0]} sends spans"
    return Outcome(findings, worst_of(findings, fine) + more, tuple(map(inputs.traces.evidence, searches[:1])))


def _search(inputs: Inputs, service: str) -> Search:
    from meshdiag.sources.traces.trace import Search

    end = inputs.moment.timestamp()
    return Search(service, end - inputs.window.total_seconds(), end, limit=LATEST)


def judge_spans(
    newest: Mapping[str, float | None], now_s: float, window: str, threshold: Threshold
) -> tuple[Finding, ...]:
    """A finding a service; one without spans in the window warns whatever the threshold is."""
    findings = []
    for service, time_s in newest.items():
        if time_s is None:
            findings.append(Finding(service, Verdict.WARN, f"no span of it came in the last {window}"))
            continue
        age_s = max(0.0, now_s - time_s)
        message = f"its newest span is {human(age_s, Unit.SECONDS)} old"
        findings.append(Finding(service, threshold.judge(age_s), message, age_s, Unit.SECONDS, threshold))
    return tuple(sorted(findings, key=lambda one: -one.verdict.severity))
