"""Traces: what slow rounds waited for, as the nodes themselves recorded it."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from meshdiag.catalog import ROUND_DURATION, Unit
from meshdiag.checks import Outcome, check
from meshdiag.checks.readings.middle import median
from meshdiag.checks.readings.spans import waited_for, work_of
from meshdiag.checks.readings.unnamed import not_missed
from meshdiag.errors import SourceError
from meshdiag.model import Finding, Verdict
from meshdiag.units import human

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.model import Threshold
    from meshdiag.sources.traces.trace import Search, Trace

ROUND = r"(?i)consensus|round"
"""What an operation that is a consensus round is called; the option ``operation`` overrules it."""
MOST_SERVICES, MOST_OPERATIONS = 50, 10
"""How many services are asked what they do, and how many of what they do is looked at: each is a request."""
MOST_TRACES = 20
MOST_TRACES_NAMED = 3


@check(
    "traces.slow-rounds",
    title="no traced round is slow",
    needs=["traces"],
    runbook="slow-traces",
    hint="look at one of them span by span (meshdiag traces TRACE)",
    threshold=ROUND_DURATION.threshold,
    unit=Unit.SECONDS,
)
async def slow_rounds(inputs: Inputs) -> Outcome:
    """The rounds of the window that took longer than the threshold, by the span that most of each was waited for."""
    try:
        operations = await _rounds(inputs)
    except SourceError as error:
        not_missed(error, "Jaeger", named=inputs.context.names_traces)
        raise
    if not operations:
        return Outcome(
            verdict=Verdict.SKIP,
            summary=f"not looked at: nothing in {inputs.traces.name} is called like a consensus round "
            "(the option operation of this check says what they are called)",
        )
    searches = [_search(inputs, service, operation) for service, operation in operations[:MOST_OPERATIONS]]
    found = await asyncio.gather(*(inputs.traces.search(search) for search in searches))
    traced = {trace.id: trace for of_one in found for trace in of_one.traces}
    slow = [trace for trace in traced.values() if inputs.threshold.judge(trace.duration_s) is not Verdict.PASS]
    findings = judge_rounds(slow, inputs.threshold)
    window = human(inputs.window.total_seconds(), Unit.SECONDS)
    summary = findings[0].message if findings else f"no traced round was slow in the last {window}"
    evidence = tuple(inputs.traces.evidence(search) for search in searches[:1])
    return Outcome(findings, summary, evidence, None if findings else Verdict.PASS)


def judge_rounds(traces: Sequence[Trace], threshold: Threshold) -> tuple[Finding, ...]:
    """A finding for each span that slow rounds waited for, the one that held up most of them first: how many, how
    long they took and how much of it that was."""
    held_up: Mapping[tuple[str, str], list[tuple[Trace, float]]] = defaultdict(list)
    for trace in traces:
        most = waited_for(work_of(trace))
        held_up[most.span.label, most.span.node].append((trace, most.critical_s))
    findings = []
    for (label, node), held in sorted(held_up.items(), key=lambda one: (-len(one[1]), one[0])):
        took = median([trace.duration_s for trace, _ in held])
        waited = median([seconds for _, seconds in held])
        worst = sorted((trace for trace, _ in held), key=lambda trace: -trace.duration_s)
        on = f" on {node}" if node else ""
        message = (
            f"{len(held)} of {len(traces)} slow rounds waited for {label}{on}: {human(waited, Unit.SECONDS)} of "
            f"{human(took, Unit.SECONDS)}"
        )
        labels = {
            "trace": ", ".join(trace.id for trace in worst[:MOST_TRACES_NAMED]),
            **({"node": node} if node else {}),
        }
        verdict = threshold.judge(took)
        findings.append(Finding(node or label, verdict, message, took, Unit.SECONDS, threshold, labels=labels))
    return tuple(findings)


async def _rounds(inputs: Inputs) -> list[tuple[str, str]]:
    """Services and their operations that are consensus rounds."""
    named = str(inputs.options.get("service", ""))
    looks_like = re.compile(str(inputs.options.get("operation", ROUND)))
    services = (named,) if named else (await inputs.traces.services())[:MOST_SERVICES]
    operations = await asyncio.gather(*(inputs.traces.operations(service) for service in services))
    return [
        (service, operation)
        for service, of_service in zip(services, operations, strict=True)
        for operation in of_service
        if looks_like.search(operation)
    ]


def _search(inputs: Inputs, service: str, operation: str) -> Search:
    from meshdiag.sources.traces.trace import Search

    end = inputs.moment.timestamp()
    fine = inputs.threshold.warn or inputs.threshold.fail
    at_least = fine.high if fine else None
    begin = end - inputs.window.total_seconds()
    return Search(service, begin, end, operation, at_least_s=at_least, limit=MOST_TRACES)
