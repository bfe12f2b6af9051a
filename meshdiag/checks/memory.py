"""Memory: does a node leak; and on this machine: what is left, the limit of a container, whom the kernel killed."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from meshdiag.catalog import MEMORY, Unit
from meshdiag.checks import Outcome, check
from meshdiag.checks.capacity import read_memory
from meshdiag.checks.readings.growth import Shape, growth_of
from meshdiag.checks.readings.per_node import to_outcome
from meshdiag.checks.readings.shares import host_of
from meshdiag.errors import LeftOut, SourceError, Trouble
from meshdiag.model import Finding, Threshold, Verdict, at_least, at_most
from meshdiag.units import human, rough

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.growth import Growth
    from meshdiag.checks.readings.per_node import Readings
    from meshdiag.checks.readings.roster import Roster
    from meshdiag.sources.host.kills import Kill
    from meshdiag.sources.host.memory import Limit, Memory, Pressure

KILLS = "node_vmstat_oom_kill"
HOUR_S, DAY_S = 3600.0, 86_400.0
POINTS = 120
"""Points of a node's memory over the window."""
STANDSTILL = 0.1
"""The share of the last ten seconds in which everything stood still for want of memory, above which it is told."""
SWAPPED = 0.8
MOST_NAMED = 5


@check(
    "memory.leak",
    title="no node's memory grows without end",
    needs=["metrics"],
    runbook="high-memory-usage",
    hint="plot it from the last restart on, and compare what the node did then (meshdiag memory --here on its machine)",
    threshold=Threshold(warn=at_least(7 * DAY_S), fail=at_least(4 * HOUR_S)),
    unit=Unit.SECONDS,
    history=True,
)
async def leak(inputs: Inputs) -> Outcome:
    """Whether each node's memory grows like a leak, and when it would be full; growth that slows down or is given
    back is told apart."""
    readings, growths = await asyncio.gather(read_memory(inputs), read_growths(inputs))
    findings = judge_growths(readings, growths, inputs.threshold)
    evidence = inputs.metrics.evidence(growth_query(inputs), inputs.at)
    outcome = replace(to_outcome(readings, findings), evidence=(evidence,))
    leaking = [one for one in findings if one.verdict in (Verdict.WARN, Verdict.FAIL)]
    shapes = Counter(one.message for one in findings if one.verdict is Verdict.PASS)
    if not leaking and shapes:
        outcome = replace(outcome, summary="; ".join(f"{count} nodes: {what}" for what, count in shapes.items()))
    verdict = Verdict.SKIP if findings and all(one.verdict is Verdict.SKIP for one in findings) else outcome.verdict
    return replace(outcome, verdict=verdict)


def growth_query(inputs: Inputs) -> str:
    """Each node's memory in use."""
    return f"max by (instance) ({MEMORY.selector(inputs.context.job)})"


async def read_growths(inputs: Inputs) -> Mapping[str, Growth]:
    """How the memory of each instance grew over the window, fetched once a run."""
    return await inputs.memo.once("memory.growths", lambda: _read_growths(inputs))


async def _read_growths(inputs: Inputs) -> Mapping[str, Growth]:
    begin, step = inputs.moment - inputs.window, inputs.window / POINTS
    readings, matrix = await asyncio.gather(
        read_memory(inputs), inputs.metrics.range(growth_query(inputs), begin, inputs.moment, step)
    )
    growths = {}
    for series in matrix.series:
        instance = series.labels.get("instance", "")
        share = readings.values.get(instance, 0.0)
        if len(series.values) and share > 0:
            # Share and bytes are of the same moment, so their quotient is the total, wherever it was found.
            growths[instance] = growth_of(series.times, series.values, series.values[-1] / share)
    return growths


def judge_growths(readings: Readings, growths: Mapping[str, Growth], threshold: Threshold) -> tuple[Finding, ...]:
    """A finding for each node: seconds until its memory is full, where it grows like a leak."""
    judged = []
    for instance in readings.values:
        node = readings.roster.nodes.get(instance)
        about = (node.scraped if node else None, readings.roster.label(instance))
        growth = growths.get(instance)
        if growth is None or growth.shape is Shape.UNSURE:
            message = "too little history since its start, or since the last sharp fall, to tell"
            judged.append(Finding(instance, Verdict.SKIP, message, None, None, None, *about))
        elif growth.leaks:
            verdict, message = threshold.judge(growth.full_in), f"memory grows like a leak, {pace(growth)}"
            judged.append(Finding(instance, verdict, message, growth.full_in, Unit.SECONDS, threshold, *about))
        else:
            judged.append(Finding(instance, Verdict.PASS, WORDS[growth.shape], None, None, None, *about))
    return (*judged, *readings.missing)


WORDS = {
    Shape.FLAT: "memory does not grow",
    Shape.LEVELLING: "memory grew and levels off, like a cache that fills",
    Shape.SAWTOOTH: "memory rises and is given back, like garbage collection",
    Shape.STEADY: "memory grows like a leak",
    Shape.UNSURE: "too little history to tell",
}


def pace(growth: Growth) -> str:
    """The pace and how sure it is: ``1.2 GiB an hour (95 %: 1.1 GiB to 1.3 GiB)``."""
    slope, low, high = (human(value * HOUR_S, Unit.BYTES) for value in (growth.slope, growth.low, growth.high))
    return f"{slope} an hour (95 %: {low} to {high})"


@check(
    "memory.fleet-kills",
    title="no kernel of the mesh has killed for want of memory",
    needs=["metrics"],
    runbook="high-memory-usage",
    hint="see whom it killed, on that machine (dmesg -T | grep -i 'killed process')",
    history=True,
)
async def fleet_kills(inputs: Inputs) -> Outcome:
    """Processes that kernels killed within the window, as the node_exporters beside the nodes count them."""
    span = f"{int(inputs.window.total_seconds())}s"
    query = f"max by (instance) (increase({KILLS}[{span}]))"
    roster, vector = await asyncio.gather(inputs.roster(), inputs.metrics.instant(query, inputs.at))
    killed = {host_of(instance): value for instance, value in vector.by("instance").items()}
    evidence = (inputs.metrics.evidence(query, inputs.at),)
    if not killed:
        summary = f"no node_exporter counts them ({KILLS})"
        return Outcome(verdict=Verdict.SKIP, summary=summary, evidence=evidence)
    findings = judge_fleet_kills(killed, roster)
    window = rough(inputs.window.total_seconds())
    summary = "" if findings else f"none on {len(killed)} machines within {window}"
    return Outcome(findings, summary, evidence, None if findings else Verdict.PASS)


def judge_fleet_kills(killed: Mapping[str, float], roster: Roster) -> tuple[Finding, ...]:
    """A finding for each machine on which the kernel killed, with the nodes that run there."""
    findings = []
    for host, count in killed.items():
        if round(count) < 1:
            continue
        there = sorted(node.name or node.instance for node in roster.nodes.values() if host_of(node.instance) == host)
        message = f"the kernel killed processes for want of memory; nodes there: {', '.join(there) or 'none'}"
        labels = {"node": there[0]} if len(there) == 1 else {}
        findings.append(Finding(host, Verdict.WARN, message, float(round(count)), Unit.COUNT, labels=labels))
    return tuple(findings)


@check(
    "memory.machine",
    title="this machine has memory to spare",
    needs=["host"],
    runbook="high-memory-usage",
    hint="see which process holds it (meshdiag memory --here)",
    threshold=Threshold(warn=at_most(0.9), fail=at_most(0.97)),
    unit=Unit.RATIO,
)
async def machine(inputs: Inputs) -> Outcome:
    """The share of this machine's memory in use, its swap, and whether work stands still for want of memory."""
    memory = await inputs.host.memory()
    findings = judge_machine(memory, inputs.threshold)
    of = f"{human(memory.available, Unit.BYTES)} of {human(memory.total, Unit.BYTES)} are available here"
    worst = max(findings, key=lambda one: one.verdict.severity)
    summary = of if worst.verdict is Verdict.PASS else f"{worst.message}; {of}"
    return Outcome(findings, summary, (inputs.host.evidence("free -b; cat /proc/pressure/memory"),))


def judge_machine(memory: Memory, threshold: Threshold) -> tuple[Finding, ...]:
    """Findings about memory in use, swap, and pressure where the kernel measures it."""
    verdict = threshold.judge(memory.share)
    message = "there is memory to spare" if verdict is Verdict.PASS else "memory is nearly all in use"
    found = [Finding("memory", verdict, message, memory.share, Unit.RATIO, threshold)]
    if memory.swap_total:
        limit = Threshold(warn=at_most(SWAPPED))
        share = memory.swap_used / memory.swap_total
        full = limit.judge(share) is not Verdict.PASS
        # Swap that is full of what nobody uses does no harm; together with pressure it does, and that is told below.
        message = "swap is nearly full: there is no reserve" if full else "swap has room"
        found.append(Finding("swap", limit.judge(share), message, share, Unit.RATIO, limit))
    return (*found, *_judge_pressure("pressure", memory.pressure))


def _judge_pressure(subject: str, pressure: Pressure | None) -> tuple[Finding, ...]:
    if pressure is None:
        return ()
    limit = Threshold(warn=at_most(STANDSTILL))
    verdict = limit.judge(pressure.full)
    message = "work does not wait for memory" if verdict is Verdict.PASS else "all work stands still for want of memory"
    return (Finding(subject, verdict, message, pressure.full, Unit.RATIO, limit),)


@check(
    "memory.container",
    title="the container's memory is within its limit",
    needs=["host"],
    runbook="high-memory-usage",
    hint="raise the limit, or find what grows (meshdiag memory --here --watch 30s): at the limit the kernel kills",
    threshold=Threshold(warn=at_most(0.9), fail=at_most(0.97)),
    unit=Unit.RATIO,
)
async def container(inputs: Inputs) -> Outcome:
    """The control group of the process that was named, or of this one: how near its limit, what was killed in it."""
    named = str(inputs.options.get("process", ""))
    chosen = [one for one in await inputs.host.processes(1, named) if one.chosen] if named else []
    if named and not chosen:
        raise SourceError(f"this machine: no process is called {named!r}", trouble=Trouble.NOT_FOUND)
    limit = await inputs.host.limit(chosen[0].pid if chosen else None)
    if limit is None:
        raise LeftOut("no control group limits the memory of this process", source="this machine")
    findings = judge_limit(limit, inputs.threshold)
    summary = f"{human(limit.used, Unit.BYTES)} of the limit of {human(limit.limit, Unit.BYTES)} are in use"
    worst = max(findings, key=lambda one: one.verdict.severity)
    told = summary if worst.verdict is Verdict.PASS else f"{worst.message}; {summary}"
    return Outcome(findings, told, (inputs.host.evidence(f"grep . {limit.group}/memory.*"),))


def judge_limit(limit: Limit, threshold: Threshold) -> tuple[Finding, ...]:
    """Findings about the limit, the processes killed at it, and pressure within the group."""
    verdict = threshold.judge(limit.share)
    message = "the limit is not near" if verdict is Verdict.PASS else "memory is near the limit of the control group"
    found = [Finding("limit", verdict, message, limit.share, Unit.RATIO, threshold)]
    if limit.kills:
        message = "the kernel has killed processes of the group at its limit"
        found.append(Finding("kills", Verdict.WARN, message, float(limit.kills), Unit.COUNT))
    return (*found, *_judge_pressure("pressure", limit.pressure))


@check(
    "memory.kills",
    title="the kernel has killed nobody for want of memory",
    needs=["host"],
    runbook="high-memory-usage",
    hint="see what held the memory then: the killed one is the largest, not always the one that grew",
)
async def kills(inputs: Inputs) -> Outcome:
    """Processes that the kernel killed within the window, by its log."""
    since = inputs.moment - inputs.window
    try:
        killed = await inputs.host.kills(since)
    except SourceError as error:
        if error.trouble is Trouble.FORBIDDEN:
            raise LeftOut(error.message, source=error.source, hint=error.hint) from error
        raise
    window = rough(inputs.window.total_seconds())
    evidence = (inputs.host.evidence("dmesg -T | grep -i 'killed process'"),)
    if not killed:
        return Outcome((), f"nobody was killed here within {window}", evidence, Verdict.PASS)
    findings = judge_kills(killed)
    return Outcome(findings, f"{len(killed)} killed within {window}, the last {findings[0].subject}", evidence)


def judge_kills(killed: Sequence[Kill]) -> tuple[Finding, ...]:
    """A finding for each process that was killed, the last first."""
    found = []
    for one in sorted(killed, key=lambda kill: kill.when, reverse=True)[:MOST_NAMED]:
        where = "at the limit of its control group" if one.in_group else "because the machine had no memory left"
        unit = None if one.held is None else Unit.BYTES
        found.append(
            Finding(f"{one.name} ({one.pid})", Verdict.WARN, f"killed {where}", one.held, unit, None, one.when)
        )
    return tuple(found)
