"""The node_exporters on the machines of the mesh: collectors that fail, stale textfiles, clocks that are off."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

from meshdiag.catalog import Unit
from meshdiag.checks import Outcome, check
from meshdiag.checks.readings.worst import worst_of
from meshdiag.model import Finding, Threshold, Verdict, at_most

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshdiag.checks.inputs import Inputs
    from meshdiag.metrics import Vector

RUNBOOK = "monitoring-stack"
SUCCESS, TEXTFILE = "node_scrape_collector_success", "node_textfile_mtime_seconds"
SYNCED, OFFSET = "node_timex_sync_status", "node_timex_offset_seconds"
NEEDED = "cpu|meminfo|filesystem|netdev|loadavg|diskstats|stat"
"""Collectors that work on every Linux machine."""
NONE = "no node_exporter is scraped"


@check(
    "exporters.collectors",
    title="the collectors of every node_exporter work",
    needs=["metrics"],
    runbook=RUNBOOK,
    history=True,
    hint="see why in that exporter's log, or switch the collector off (--no-collector.NAME) where it can never work",
)
async def collectors(inputs: Inputs) -> Outcome:
    """Collectors that fail and worked before, by machine; those that never worked find no such hardware there."""
    window = f"{int(inputs.window.total_seconds())}s"
    query = f"count by (instance) ({SUCCESS})"
    failing = f"{SUCCESS} == 0 and (max_over_time({SUCCESS}[{window}]) == 1 or {SUCCESS}{{collector=~'{NEEDED}'}} == 0)"
    known, failed = await asyncio.gather(
        inputs.metrics.instant(query, inputs.at), inputs.metrics.instant(failing, inputs.at)
    )
    evidence = (inputs.metrics.evidence(failing, inputs.at),)
    if not known.samples:
        return Outcome(verdict=Verdict.SKIP, summary=NONE, evidence=evidence)
    findings = judge_collectors(known, failed)
    return Outcome(findings, worst_of(findings, f"the collectors of {len(known.samples)} machines work"), evidence)


def judge_collectors(known: Vector, failed: Vector) -> tuple[Finding, ...]:
    """A finding for each exporter."""
    names: Mapping[str, list[str]] = defaultdict(list)
    for sample in failed.samples:
        names[sample.labels.get("instance", "")].append(sample.labels.get("collector", ""))
    findings = []
    for instance in known.by("instance"):
        if bad := sorted(names.get(instance, ())):
            message = f"collectors fail: {', '.join(bad)}"
            findings.append(Finding(instance, Verdict.WARN, message, float(len(bad)), Unit.COUNT))
        else:
            findings.append(Finding(instance, Verdict.PASS, "its collectors work"))
    return tuple(findings)


@check(
    "exporters.textfiles",
    title="textfiles of node_exporters are fresh",
    needs=["metrics"],
    runbook=RUNBOOK,
    hint="see whether the job that writes it still runs (systemctl list-timers, crontab -l)",
    threshold=Threshold(warn=at_most(2 * 86_400.0)),
    unit=Unit.SECONDS,
)
async def textfiles(inputs: Inputs) -> Outcome:
    """How old the files are that other programs leave for a node_exporter."""
    query = f"time() - {TEXTFILE}"
    ages = await inputs.metrics.instant(query, inputs.at)
    evidence = (inputs.metrics.evidence(query, inputs.at),)
    if not ages.samples:
        return Outcome(verdict=Verdict.SKIP, summary="no node_exporter reads textfiles", evidence=evidence)
    findings = []
    for sample in ages.samples:
        verdict = inputs.threshold.judge(sample.value)
        message = "fresh" if verdict is Verdict.PASS else f"not written for long: {sample.labels.get('file', '')}"
        subject = sample.labels.get("instance", "")
        findings.append(Finding(subject, verdict, message, sample.value, Unit.SECONDS, inputs.threshold))
    return Outcome(tuple(findings), worst_of(findings, f"{len(findings)} textfiles are fresh"), evidence)


@check(
    "exporters.clocks",
    title="every machine's clock is synchronised",
    needs=["metrics"],
    runbook=RUNBOOK,
    hint="see 'timedatectl' and 'chronyc tracking' on that machine: rounds and certificates go by the clock",
    threshold=Threshold(warn=at_most(0.1), fail=at_most(1.0)),
    unit=Unit.SECONDS,
)
async def clocks(inputs: Inputs) -> Outcome:
    """Whether the kernel's clock is synchronised, and how far it is off."""
    offset = f"abs({OFFSET})"
    synced, offsets = await asyncio.gather(
        inputs.metrics.instant(SYNCED, inputs.at), inputs.metrics.instant(offset, inputs.at)
    )
    evidence = (inputs.metrics.evidence(SYNCED, inputs.at), inputs.metrics.evidence(offset, inputs.at))
    if not synced.samples and not offsets.samples:
        return Outcome(verdict=Verdict.SKIP, summary=NONE, evidence=evidence)
    findings = judge_clocks(synced.by("instance"), offsets.by("instance"), inputs.threshold)
    return Outcome(findings, worst_of(findings, f"{len(findings)} clocks are synchronised"), evidence)


def judge_clocks(
    synced: Mapping[str, float], offsets: Mapping[str, float], threshold: Threshold
) -> tuple[Finding, ...]:
    """A finding for each machine: by its offset where it tells one, and a warning where nothing sets its clock."""
    findings = []
    for instance in synced.keys() | offsets.keys():
        off = offsets.get(instance)
        verdict = Verdict.PASS if off is None else threshold.judge(off)
        if verdict is not Verdict.PASS:
            message = "the clock is off"
        elif synced.get(instance) == 0:
            verdict, message = Verdict.WARN, "nothing sets the clock: it will run away"
        else:
            message = "the clock is synchronised"
        findings.append(Finding(instance, verdict, message, off, None if off is None else Unit.SECONDS, threshold))
    return tuple(sorted(findings, key=lambda one: one.subject))
