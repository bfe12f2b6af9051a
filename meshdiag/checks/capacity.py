"""Capacity: processor, memory and where it is heading, disk, network."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from meshdiag.catalog import CPU, DISK, DISK_TOTAL, MEMORY, MEMORY_TOTAL, NETWORK, Unit
from meshdiag.checks import check
from meshdiag.checks.readings.fleet import judge_idle
from meshdiag.checks.readings.per_node import judge_readings, judged_outcome, read_nodes, to_outcome
from meshdiag.checks.readings.shares import Machine, read_shares
from meshdiag.checks.readings.trend import predict
from meshdiag.model import Finding, Threshold, Verdict, at_least, at_most
from meshdiag.units import rough

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshdiag.checks import Outcome
    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.per_node import Readings
    from meshdiag.metrics import Series

HOUR = 3600.0
POINTS = 24
"""Points of the memory trend: few, as they are fetched for every node."""

NOT_STORAGE = 'fstype!~"tmpfs|ramfs|squashfs|overlay|iso9660|devtmpfs|autofs"'
FULLEST_FILESYSTEM = (
    f"max by (instance) (1 - node_filesystem_avail_bytes{{{NOT_STORAGE}}}"
    f" / (node_filesystem_size_bytes{{{NOT_STORAGE}}} > 0))"
)
MACHINE_MEMORY = "max by (instance) (node_memory_MemTotal_bytes)"


@check(
    "capacity.cpu",
    title="every node has processor time to spare",
    needs=["metrics"],
    runbook="capacity",
    hint="see what takes the processor on that machine (top -o %CPU)",
    threshold=CPU.threshold,
    unit=Unit.PERCENT,
)
async def cpu(inputs: Inputs) -> Outcome:
    """Processor use of each node, in percent."""
    return await judged_outcome(
        inputs, CPU, good="the processor has time to spare", bad="the processor is nearly all in use"
    )


@check(
    "capacity.memory",
    title="every node has memory to spare",
    needs=["metrics"],
    runbook="high-memory-usage",
    hint="see which process holds it on that machine (top -o %MEM) and whether it grows",
    threshold=Threshold(warn=at_most(0.8), fail=at_most(0.9)),
    unit=Unit.RATIO,
)
async def memory(inputs: Inputs) -> Outcome:
    """Share of the machine's memory in use, as the rule HighMemoryUsage reckons it."""
    readings = await read_memory(inputs)
    return _shares_outcome(
        readings,
        inputs.threshold,
        good="there is memory to spare",
        bad="memory is nearly all in use",
        hint=f"have the nodes expose {MEMORY_TOTAL.name}, which the rule HighMemoryUsage needs as well, "
        "or set the option capacity_bytes of this check",
    )


async def read_memory(inputs: Inputs) -> Readings:
    """The share of memory in use by instance, fetched once a run where the options are the same."""
    return await read_shares(inputs, MEMORY, MEMORY_TOTAL, Machine(total=MACHINE_MEMORY))


@check(
    "capacity.disk",
    title="every node has disk space to spare",
    needs=["metrics"],
    runbook="capacity",
    hint="see what fills the disk of that machine (df -h, du -xh --max-depth=2)",
    threshold=Threshold(warn=at_most(0.85), fail=at_most(0.95)),
    unit=Unit.RATIO,
)
async def disk(inputs: Inputs) -> Outcome:
    """Share of the disk in use; by node_exporter's fullest file system where the node tells no total."""
    readings = await read_shares(inputs, DISK, DISK_TOTAL, Machine(share=FULLEST_FILESYSTEM))
    return _shares_outcome(
        readings,
        inputs.threshold,
        good="there is disk space to spare",
        bad="the disk is nearly full",
        hint=f"the size of the disk is needed: have the nodes expose {DISK_TOTAL.name}, run node_exporter beside "
        "them, or set the option capacity_bytes of this check",
    )


def _shares_outcome(readings: Readings, threshold: Threshold, *, good: str, bad: str, hint: str) -> Outcome:
    """The outcome for shares in use; ``hint`` is for the case that only totals are missing."""
    findings = judge_readings(readings, threshold, Unit.RATIO, good=good, bad=bad)
    worst = max((finding.verdict.severity for finding in findings), default=0)
    return to_outcome(readings, findings, hint=hint if worst == Verdict.UNKNOWN.severity else "")


@check(
    "capacity.network",
    title="every node moves data",
    needs=["metrics"],
    runbook="capacity",
    hint="look at the node's connections (ss -tnp) and its log: it is up, but cut off or idle",
)
async def network(inputs: Inputs) -> Outcome:
    """Bytes a second of each node; only standing still while the others move is a fault by default."""
    readings = await read_nodes(inputs, NETWORK)
    findings = judge_idle(
        readings,
        inputs.threshold,
        Unit.BYTES_PER_SECOND,
        good="data moves",
        idle="the node moves no data while others do",
        bad="network traffic is outside the range that is set",
    )
    return to_outcome(readings, findings)


@check(
    "capacity.memory-trend",
    title="no node is running out of memory",
    needs=["metrics"],
    runbook="high-memory-usage",
    hint="restart the node in a quiet moment before it is killed, and look for the leak from its start on",
    threshold=Threshold(warn=at_least(24 * HOUR), fail=at_least(4 * HOUR)),
    unit=Unit.SECONDS,
    history=True,
)
async def memory_trend(inputs: Inputs) -> Outcome:
    """When each node's memory will be full at the steady pace of the window."""
    query = f"max by (instance) ({MEMORY.selector(inputs.context.job)})"
    readings, matrix = await asyncio.gather(
        read_memory(inputs),
        inputs.metrics.range(query, inputs.moment - inputs.window, inputs.moment, inputs.window / POINTS),
    )
    if readings.empty is not None:
        return to_outcome(readings, readings.missing)
    series = {one.labels.get("instance", ""): one for one in matrix.series}
    findings = judge_trends(readings, series, inputs.threshold)
    outcome = to_outcome(readings, findings)
    evidence = inputs.metrics.evidence(f"{query}[{int(inputs.window.total_seconds())}s:]", inputs.at)
    bad = [finding for finding in findings if finding.verdict in (Verdict.WARN, Verdict.FAIL)]
    looked = sum(finding.verdict is Verdict.PASS for finding in findings)
    summary = outcome.summary
    if not bad and looked:
        summary = f"no steady growth on {looked} node{'s' if looked != 1 else ''} within {_window(inputs)}"
    verdict = Verdict.SKIP if findings and all(one.verdict is Verdict.SKIP for one in findings) else outcome.verdict
    return replace(outcome, evidence=(evidence, *outcome.evidence), summary=summary, verdict=verdict)


def _window(inputs: Inputs) -> str:
    return rough(inputs.window.total_seconds())


def judge_trends(readings: Readings, series: Mapping[str, Series], threshold: Threshold) -> tuple[Finding, ...]:
    """A finding for each node: seconds until its memory is full. ``readings`` hold the present share in use,
    ``series`` bytes in use over the window."""
    judged = [
        _judge_trend(instance, share, readings, series.get(instance), threshold)
        for instance, share in readings.values.items()
    ]
    return (*judged, *readings.missing)


def _judge_trend(
    instance: str, share: float, readings: Readings, series: Series | None, threshold: Threshold
) -> Finding:
    node = readings.roster.nodes.get(instance)
    seen, labels = node.scraped if node else None, readings.roster.label(instance)
    usable = series is not None and len(series.values) > 0 and share > 0 and math.isfinite(series.values[-1])
    # Shares and bytes are of the same moment, so their quotient is the total, wherever it was found.
    trend = predict(series.times, series.values, series.values[-1] / share) if series is not None and usable else None
    if trend is None or not trend.enough:
        message = "too little history since the start, or since the last sharp fall, to tell"
        return Finding(instance, Verdict.SKIP, message, observed=seen, labels=labels)
    if math.isinf(trend.full_in):
        return Finding(instance, Verdict.PASS, "memory does not grow steadily", None, None, threshold, seen, labels)
    verdict = threshold.judge(trend.full_in)
    message = "memory grows, and will do for long" if verdict is Verdict.PASS else "memory will be full at this pace"
    return Finding(instance, verdict, message, trend.full_in, Unit.SECONDS, threshold, seen, labels)
