"""Traces: services and what they do, the slow ones of a search, one span by span, two operations side by side."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from meshdiag.catalog import Unit
from meshdiag.checks import Check, Outcome
from meshdiag.checks.readings.middle import median
from meshdiag.checks.readings.spans import waited_for, work_of
from meshdiag.model import Column, Table, Verdict
from meshdiag.spelling import did_you_mean
from meshdiag.units import human

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.spans import Work
    from meshdiag.sources.traces.trace import Found, Search, Trace

NEEDS = ("traces",)
RUNBOOK = "slow-traces"
SERVICES_AT_ONCE = 50
"""Services whose operations are asked for: each is a request."""
COMPARED = 100
"""Traces of each operation that are compared."""

SERVICE_COLUMNS = (Column("service", "service"), Column("operation", "operation"))
TRACE_COLUMNS = (
    Column("duration_s", "took", "number", Unit.SECONDS),
    Column("trace", "trace"),
    Column("waits_for", "waited most for"),
    Column("waits_share", "share", "number", Unit.RATIO),
    Column("root", "request"),
    Column("errors", "errors", "number", Unit.COUNT),
    Column("started", "started", "time"),
    Column("spans", "spans", "number", Unit.COUNT),
)
SPAN_COLUMNS = (
    Column("service", "service"),
    Column("operation", "operation"),
    Column("offset_s", "after", "number", Unit.SECONDS),
    Column("duration_s", "took", "number", Unit.SECONDS),
    Column("self_s", "itself", "number", Unit.SECONDS),
    Column("critical_s", "critical", "number", Unit.SECONDS),
    Column("error", "error"),
    Column("node", "node"),
    Column("depth", "depth", "number", Unit.COUNT),
    Column("span", "span"),
    Column("parent", "parent"),
    Column("kind", "kind"),
    Column("warnings", "warnings"),
)
"""The order is that of importance: what does not fit a terminal is left out from the end."""


class Services:
    """Which services sent spans, and for what."""

    def __init__(self) -> None:
        self.check = Check("traces.services", "services send spans", self._judge, NEEDS, RUNBOOK, _HINT)

    async def table(self, inputs: Inputs) -> Table:
        """A row an operation. Raises ``SourceError``."""
        services = await _services(inputs)
        named = services[:SERVICES_AT_ONCE]
        operations = await asyncio.gather(*(inputs.traces.operations(service) for service in named))
        rows = [
            {"service": service, "operation": operation}
            for service, of_service in zip(named, operations, strict=True)
            for operation in of_service or ("",)
        ]
        rows += [{"service": service, "operation": "not asked"} for service in services[SERVICES_AT_ONCE:]]
        return Table(SERVICE_COLUMNS, tuple(rows))

    async def _judge(self, inputs: Inputs) -> Outcome:
        services = await _services(inputs)
        if not services:
            return Outcome(verdict=Verdict.UNKNOWN, summary=f"{inputs.traces.name} holds no spans of any service")
        return Outcome(verdict=Verdict.PASS, summary=f"{len(services)} services in {inputs.traces.name}")


_HINT = "see that the mesh exports its spans there, and that the context's jaeger.url (or tempo.url) is the right one"


async def _services(inputs: Inputs) -> tuple[str, ...]:
    return await inputs.memo.once("traces.services", inputs.traces.services)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What traces a user asked for; the window comes with the run. Durations in seconds."""

    service: str
    operation: str = ""
    at_least_s: float | None = None
    tags: Mapping[str, str] | None = None
    error: bool = False
    limit: int = 20

    def search(self, inputs: Inputs) -> Search:
        """The search, over the run's window."""
        from meshdiag.sources.traces.trace import Search

        end = inputs.moment.timestamp()
        begin = end - inputs.window.total_seconds()
        return Search(
            self.service, begin, end, self.operation, self.at_least_s, None, self.tags or {}, self.error, self.limit
        )

    @property
    def narrowed(self) -> bool:
        """Whether not every trace of the service is meant."""
        return bool(self.operation or self.at_least_s or self.tags or self.error)


class Traces:
    """The traces of a search, the slowest first. ``slowest`` is the first of them once they were fetched."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.slowest: Trace | None = None
        self.check = Check("traces.search", "the traces that were asked for", self._judge, NEEDS, RUNBOOK, _HINT)

    async def table(self, inputs: Inputs) -> Table:
        """A row a trace. Raises ``SourceError``."""
        found = await self._fetch(inputs)
        return Table(TRACE_COLUMNS, tuple(_trace_row(trace) for trace in found.traces))

    async def _fetch(self, inputs: Inputs) -> Found:
        found = await inputs.memo.once("traces.search", lambda: inputs.traces.search(self.wanted.search(inputs)))
        self.slowest = found.traces[0] if found.traces else None
        return found

    async def _judge(self, inputs: Inputs) -> Outcome:
        found = await self._fetch(inputs)
        evidence = (inputs.traces.evidence(self.wanted.search(inputs)),)
        if not found.traces:
            verdict, summary = await why_none(inputs, self.wanted)
            return Outcome(verdict=verdict, summary=summary, evidence=evidence)
        failed = sum(trace.errors > 0 for trace in found.traces)
        summary = f"{len(found.traces)} traces, {failed} with errors; the slowest took {_s(found.traces[0].duration_s)}"
        if found.cut:
            summary += f"; there may be more than the {self.wanted.limit} that were asked for (--limit)"
        return Outcome(verdict=Verdict.PASS, summary=summary, evidence=evidence)


async def why_none(inputs: Inputs, wanted: Wanted) -> tuple[Verdict, str]:
    """The verdict and the sentence when a search finds nothing: no such service, no traces of it in the window, or
    none like that among those there are. Raises ``SourceError``."""
    services = await _services(inputs)
    if wanted.service not in services:
        known = did_you_mean(wanted.service, services, f"known: {', '.join(services[:8]) or 'none'}")
        return Verdict.UNKNOWN, f"{inputs.traces.name} knows no service {wanted.service!r}; {known}"
    if wanted.operation and wanted.operation not in (operations := await inputs.traces.operations(wanted.service)):
        known = did_you_mean(wanted.operation, operations, f"known: {', '.join(operations[:8]) or 'none'}")
        return Verdict.UNKNOWN, f"{wanted.service} has no operation {wanted.operation!r}; {known}"
    window = human(inputs.window.total_seconds(), Unit.SECONDS)
    if wanted.narrowed:
        bare = replace(wanted, at_least_s=None, tags=None, error=False, limit=1)
        if (await inputs.traces.search(bare.search(inputs))).traces:
            return Verdict.PASS, f"of the traces of {wanted.service} in the last {window} none is like that"
    return Verdict.UNKNOWN, f"{wanted.service} sent no traces in the last {window}; a longer --since may have some"


class OneTrace:
    """One trace, span by span. ``found`` and ``work`` hold it once it was fetched."""

    def __init__(self, trace_id: str) -> None:
        self.trace_id = trace_id
        self.found: Trace | None = None
        self.work: tuple[Work, ...] = ()
        self.check = Check("traces.trace", "the trace that was asked for", self._judge, NEEDS, RUNBOOK, _HINT)

    async def table(self, inputs: Inputs) -> Table:
        """A row a span, each after its parent. Raises ``SourceError``."""
        await self._fetch(inputs)
        begin = self.found.start_s if self.found else 0.0
        return Table(SPAN_COLUMNS, tuple(_span_row(one, begin) for one in self.work))

    async def _fetch(self, inputs: Inputs) -> None:
        found = await inputs.memo.once("traces.trace", lambda: inputs.traces.trace(self.trace_id))
        if found is not None and self.found is None:
            self.found, self.work = found, work_of(found)

    async def _judge(self, inputs: Inputs) -> Outcome:
        await self._fetch(inputs)
        evidence = (inputs.traces.evidence(self.trace_id),)
        if self.found is None:
            return Outcome(
                verdict=Verdict.UNKNOWN,
                summary=f"{inputs.traces.name} has no trace {self.trace_id}: it may have been dropped with age",
                evidence=evidence,
            )
        return Outcome(verdict=Verdict.PASS, summary=where_time_went(self.found, self.work), evidence=evidence)


def where_time_went(trace: Trace, work: Sequence[Work]) -> str:
    """One sentence: how long, and the span that most of it was waited for."""
    most = waited_for(work)
    share = most.critical_s / trace.root.duration_s if trace.root.duration_s else 0.0
    errors = f", {trace.errors} of {len(trace.spans)} spans failed" if trace.errors else ""
    on = f" on {most.span.node}" if most.span.node else ""
    return (
        f"{trace.root.label} took {_s(trace.duration_s)}, of which {_s(most.critical_s)} ({share:.0%}) "
        f"waited for {most.span.label}{on}{errors}"
    )


class Comparison:
    """Two operations side by side: how long each service is at work itself, in the traces of the one and the other."""

    def __init__(self, wanted: Wanted, operations: tuple[str, str]) -> None:
        self.wanted = tuple(replace(wanted, operation=operation, limit=COMPARED) for operation in operations)
        self.check = Check("traces.compare", "two operations compared", self._judge, NEEDS, RUNBOOK, _HINT)

    async def table(self, inputs: Inputs) -> Table:
        """A row a service, the largest difference first, and one for the whole request. Raises ``SourceError``."""
        left, right = [found.traces for found in await self._fetch(inputs)]
        names = [wanted.operation for wanted in self.wanted]
        columns = (
            Column("service", "service"),
            Column("first_s", names[0], "number", Unit.SECONDS),
            Column("second_s", names[1], "number", Unit.SECONDS),
            Column("difference_s", "difference", "number", Unit.SECONDS),
            Column("first_traces", "traces", "number", Unit.COUNT),
            Column("second_traces", "traces", "number", Unit.COUNT),
        )
        return Table(columns, tuple(compared(left, right)), title="median seconds of each service's own work")

    async def _fetch(self, inputs: Inputs) -> list[Found]:
        async def ask() -> list[Found]:
            return await asyncio.gather(*(inputs.traces.search(one.search(inputs)) for one in self.wanted))

        return await inputs.memo.once("traces.compare", ask)

    async def _judge(self, inputs: Inputs) -> Outcome:
        found = await self._fetch(inputs)
        evidence = tuple(inputs.traces.evidence(one.search(inputs)) for one in self.wanted)
        for one, of_one in zip(self.wanted, found, strict=True):
            if not of_one.traces:
                _, summary = await why_none(inputs, one)
                return Outcome(verdict=Verdict.UNKNOWN, summary=summary, evidence=evidence)
        said = [
            f"{one.operation}: {_s(median([trace.duration_s for trace in of_one.traces]))} "
            f"({len(of_one.traces)} traces)"
            for one, of_one in zip(self.wanted, found, strict=True)
        ]
        return Outcome(verdict=Verdict.PASS, summary=f"median {' · '.join(said)}", evidence=evidence)


WHOLE = "the whole request"


def compared(left: Sequence[Trace], right: Sequence[Trace]) -> list[dict[str, object]]:
    """The rows of a comparison: by service, the median over traces of its own seconds in each; the whole first."""
    first, second = _own_seconds(left), _own_seconds(right)
    rows = [
        _compared_row(service, first.get(service, []), second.get(service, [])) for service in first.keys() | second
    ]
    rows.sort(key=lambda row: (-abs(float(str(row["difference_s"]))), str(row["service"])))
    whole = _compared_row(WHOLE, [one.duration_s for one in left], [one.duration_s for one in right])
    return [whole, *rows]


def _compared_row(service: str, first: Sequence[float], second: Sequence[float]) -> dict[str, object]:
    before, after = (median(values) if values else 0.0 for values in (first, second))
    return {
        "service": service,
        "first_s": before if first else None,
        "second_s": after if second else None,
        "difference_s": after - before,
        "first_traces": len(first),
        "second_traces": len(second),
    }


def _own_seconds(traces: Iterable[Trace]) -> dict[str, list[float]]:
    """By service, its own seconds in each trace that it is in."""
    found: dict[str, list[float]] = defaultdict(list)
    for trace in traces:
        own: dict[str, float] = defaultdict(float)
        for work in work_of(trace):
            own[work.span.service] += work.self_s
        for service, seconds in own.items():
            found[service].append(seconds)
    return found


def _trace_row(trace: Trace) -> dict[str, object]:
    most = waited_for(work_of(trace))
    return {
        "trace": trace.id,
        "started": datetime.fromtimestamp(trace.start_s, UTC),
        "duration_s": trace.duration_s,
        "root": trace.root.label,
        "waits_for": most.span.label,
        "waits_share": most.critical_s / trace.root.duration_s if trace.root.duration_s else None,
        "errors": trace.errors,
        "spans": len(trace.spans),
    }


def _span_row(work: Work, begin_s: float) -> dict[str, object]:
    span = work.span
    return {
        "service": span.service,
        "operation": span.operation,
        "offset_s": span.start_s - begin_s,
        "duration_s": span.duration_s,
        "self_s": work.self_s,
        "critical_s": work.critical_s,
        "error": "error" if span.error else "",
        "node": span.node,
        "depth": work.depth,
        "span": span.id,
        "parent": span.parent,
        "kind": span.kind,
        "warnings": "; ".join(span.warnings),
    }


def _s(seconds: float) -> str:
    return human(seconds, Unit.SECONDS)
