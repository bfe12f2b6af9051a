"""Memory: a row a node, how its memory grew; or a row a process of this machine, how it grows while one watches."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from meshdiag.catalog import START_TIME, Unit
from meshdiag.checks import Check, Outcome
from meshdiag.checks.capacity import read_memory
from meshdiag.checks.memory import HOUR_S, WORDS, pace, read_growths
from meshdiag.checks.readings.growth import Shape, growth_of
from meshdiag.checks.readings.per_node import read_nodes
from meshdiag.errors import SourceError, Trouble
from meshdiag.model import Column, Finding, Table, Verdict
from meshdiag.units import human

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.growth import Growth
    from meshdiag.sources.host.processes import Process

SHOWN = 15
"""Processes in the table, those that were named beside them."""
LOOKS = 30
"""Looks at the processes while watching; at least ``SHORTEST_S`` apart."""
SHORTEST_S = 0.5
SMALL = 64.0 * 1024 * 1024
"""A process that holds less is judged as if it held so much: the growth of a shell is no leak."""

NODE_COLUMNS = (
    Column("share", "memory", "number", Unit.RATIO),
    Column("name", "node"),
    Column("shape", "course"),
    Column("growth", "an hour", "number", Unit.BYTES),
    Column("full_in_s", "full in", "number", Unit.SECONDS),
    Column("total", "of", "number", Unit.BYTES),
    Column("running_s", "restarted", "age"),
    Column("growth_low", "at least", "number", Unit.BYTES),
    Column("growth_high", "at most", "number", Unit.BYTES),
    Column("role", "role"),
    Column("instance", "instance"),
)
PROCESS_COLUMNS = (
    Column("rss", "resident", "number", Unit.BYTES),
    Column("uss", "its own", "number", Unit.BYTES),
    Column("growth", "an hour", "number", Unit.BYTES),
    Column("shape", "course"),
    Column("pid", "pid", "number", Unit.COUNT),
    Column("name", "process"),
    Column("threads", "threads", "number", Unit.COUNT),
    Column("files", "files", "number", Unit.COUNT),
    Column("running_s", "started", "age"),
    Column("command", "command"),
)
"""The order is that of importance: what does not fit a terminal is left out from the end."""


async def fleet_view(inputs: Inputs) -> Table:
    """The nodes, the fullest first. Raises ``SourceError``."""
    readings, growths, started = await asyncio.gather(
        read_memory(inputs), _growths(inputs), read_nodes(inputs, START_TIME)
    )
    rows = []
    for instance, share in sorted(readings.values.items(), key=lambda one: -one[1]):
        node = readings.roster.nodes.get(instance)
        growth, begun = growths.get(instance), started.values.get(instance)
        used = growth.last if growth else None
        rows.append(
            {
                "name": node.name if node and node.name else instance,
                "role": node.role if node else "",
                "instance": instance,
                "share": share,
                "total": used / share if used is not None and share > 0 else None,
                "running_s": inputs.moment.timestamp() - begun if begun else None,
                **_growth_cells(growth),
                "full_in_s": growth.full_in if growth and growth.leaks else None,
            }
        )
    return Table(NODE_COLUMNS, tuple(rows))


async def _growths(inputs: Inputs) -> dict[str, Growth]:
    return dict(await read_growths(inputs)) if inputs.metrics.history else {}


def _growth_cells(growth: Growth | None) -> dict[str, object]:
    known = growth is not None and growth.shape is not Shape.UNSURE
    return {
        "shape": str(growth.shape) if growth is not None else "",
        "growth": growth.slope * HOUR_S if known and growth else None,
        "growth_low": growth.low * HOUR_S if known and growth else None,
        "growth_high": growth.high * HOUR_S if known and growth else None,
    }


class Here:
    """The processes of this machine: once, or watched for ``span_s`` seconds. ``chosen`` names one that is wanted.
    ``on_look`` is told how many looks of how many were taken."""

    def __init__(
        self, chosen: str = "", span_s: float = 0.0, on_look: Callable[[int, int], None] = lambda _done, _all: None
    ) -> None:
        self._chosen, self._span_s, self._on_look = chosen, span_s, on_look
        self._looks: list[tuple[float, tuple[Process, ...]]] = []
        self.check = Check(
            "memory.growth",
            "no process here grows like a leak",
            self._judge,
            ("host",),
            "high-memory-usage",
            "watch for longer (--watch 10m): half a minute tells a storm of allocations from a leak only roughly",
        )

    async def table(self, inputs: Inputs) -> Table:
        """A row a process, the named ones first, then the largest. Raises ``SourceError``."""
        await self._fetch(inputs)
        growths = self._growths()
        rows = [_process_row(one, growths.get(one.identity), inputs.moment) for one in self._last()]
        return Table(PROCESS_COLUMNS, tuple(rows))

    async def _fetch(self, inputs: Inputs) -> None:
        await inputs.memo.once("memory.here", lambda: self._watch(inputs))
        if self._chosen and not any(one.chosen for one in self._last()):
            raise SourceError(
                f"this machine: no process is called {self._chosen!r}",
                trouble=Trouble.NOT_FOUND,
                source="this machine",
                hint="'meshdiag memory --here' lists the largest; a process id works too",
            )

    async def _watch(self, inputs: Inputs) -> None:
        looks = max(2, min(LOOKS, int(self._span_s / SHORTEST_S))) if self._span_s else 1
        begin = time.monotonic()
        for number in range(looks):
            due = begin + number * self._span_s / max(looks - 1, 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self._looks.append((time.time(), await inputs.host.processes(SHOWN, self._chosen)))
            self._on_look(number + 1, looks)

    def _last(self) -> tuple[Process, ...]:
        return self._looks[-1][1]

    def _growths(self) -> dict[tuple[int, datetime], Growth]:
        """How each process grew: its own pages where they may be read, else its resident ones."""
        seen: dict[tuple[int, datetime], list[tuple[float, float]]] = defaultdict(list)
        for when, processes in self._looks:
            for one in processes:
                seen[one.identity].append((when, one.rss if one.uss is None else one.uss))
        growths = {}
        for identity, points in seen.items():
            times, values = zip(*points, strict=True)
            growths[identity] = growth_of(times, values, max(*values, SMALL))
        return growths

    async def _judge(self, inputs: Inputs) -> Outcome:
        await self._fetch(inputs)
        evidence = (inputs.host.evidence("ps -eo pid,rss,etime,args --sort=-rss | head -15"),)
        largest = self._last()[0] if self._last() else None
        if not self._span_s:
            told = f"the largest is {largest.name} with {human(largest.rss, Unit.BYTES)}" if largest else "no process"
            summary = f"{told}; whether one grows shows with --watch 30s"
            return Outcome(verdict=Verdict.SKIP, summary=summary, evidence=evidence)
        growths = self._growths()
        findings = tuple(_judge_process(one, growths[one.identity]) for one in self._last())
        growing = [one for one in findings if one.verdict is Verdict.WARN]
        watched = human(self._looks[-1][0] - self._looks[0][0], Unit.SECONDS)
        summary = f"{growing[0].subject}: {growing[0].message}" if growing else f"nothing grew like a leak in {watched}"
        return Outcome(findings, summary, evidence)


def _judge_process(one: Process, growth: Growth) -> Finding:
    subject = f"{one.name} ({one.pid})"
    if growth.shape is Shape.UNSURE:
        return Finding(subject, Verdict.SKIP, "too few looks at it to tell; watch for longer")
    if growth.leaks:
        return Finding(subject, Verdict.WARN, f"memory grows like a leak, {pace(growth)}", one.rss, Unit.BYTES)
    return Finding(subject, Verdict.PASS, WORDS[growth.shape], one.rss, Unit.BYTES)


def _process_row(one: Process, growth: Growth | None, moment: datetime) -> dict[str, object]:
    return {
        "pid": one.pid,
        "name": one.name,
        "rss": one.rss,
        "uss": one.uss,
        **_growth_cells(growth if growth and growth.points > 1 else None),
        "threads": one.threads,
        "files": one.files,
        "running_s": max(0.0, (max(moment, datetime.now(UTC)) - one.started).total_seconds()),
        "command": one.command,
    }
