"""Consensus per node: what ``meshdiag consensus`` shows."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from meshdiag import catalog
from meshdiag.catalog import Unit
from meshdiag.checks.readings.middle import median
from meshdiag.model import Column, Table
from meshdiag.views.columns import ask_columns, node_cells

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.checks.inputs import Inputs

_ROUNDS = (
    Column("name", "node"),
    Column("round_s", "round", "number", Unit.SECONDS),
    Column("round_trend_s", "over the window", "trend", Unit.SECONDS),
)
_VOTES = Column("vote_success", "votes", "number", Unit.RATIO)
_PER_SECOND = Column("failed_per_s", "failed", "number", Unit.PER_SECOND)
_SHARE = Column("failed_share", "failed", "number", Unit.RATIO)
_LEADERS = (
    Column("elections", "elections", "number", Unit.COUNT),
    Column("byzantine", "byzantine", "number", Unit.COUNT),
)
_LOAD = (
    Column("cpu_percent", "CPU", "number", Unit.PERCENT),
    Column("memory_ratio", "memory", "number", Unit.RATIO),
    Column("latency_s", "latency", "number", Unit.SECONDS),
)
_WHO = (Column("role", "role"), Column("instance", "instance"))
COLUMNS = (*_ROUNDS, _PER_SECOND, _VOTES, *_LEADERS, *_WHO)
SLOW_COLUMNS = (*_ROUNDS, _SHARE, _VOTES, *_LOAD, *_LEADERS, *_WHO)
"""The order is that of importance: what does not fit a terminal is left out from the end."""
POINTS = 24
"""Points of the sparkline: enough to see an onset, few enough for a narrow terminal."""


async def consensus_view(inputs: Inputs) -> Table:
    """The table of the nodes, slowest rounds first. Raises ``SourceError`` when the nodes are not known."""
    return Table(COLUMNS, tuple(await _rows(inputs, _questions(inputs.context.job))))


async def slow_view(inputs: Inputs) -> Table:
    """The same for the slow-consensus procedure: with how busy each node is and how far its peer port."""
    job = inputs.context.job
    failed, rounds = (one.increase(job, catalog.WINDOW) for one in (catalog.FAILED_ROUNDS, catalog.ROUNDS))
    questions = _questions(job) | {
        "failed_share": f"{failed} / {rounds}",
        "cpu_percent": catalog.CPU.per_instance(job),
        "memory_ratio": f"{catalog.MEMORY.per_instance(job)} / {catalog.MEMORY_TOTAL.per_instance(job)}",
    }
    rows, times_of = await asyncio.gather(_rows(inputs, questions), _probes(inputs))
    for row in rows:
        times = times_of.get(str(row["instance"]), ())
        row["latency_s"] = median(times) if times else None
    return Table(SLOW_COLUMNS, tuple(rows))


async def _probes(inputs: Inputs) -> dict[str, Sequence[float]]:
    """How long connects to each node's peer port took, by instance; they show the present, and no past moment."""
    from meshdiag.checks.readings.probing import probe_roster  # only here: the overview does without

    if inputs.at is not None:
        return {}
    roster = await inputs.roster()
    return {instance: probed.times_s for instance, probed in (await probe_roster(inputs, roster)).items()}


def _questions(job: str) -> dict[str, str]:
    return {
        "round_s": catalog.ROUND_DURATION.per_instance(job),
        "failed_per_s": catalog.FAILED_ROUNDS.per_instance(job),
        "vote_success": catalog.VOTE_SUCCESS.per_instance(job),
        "elections": f"round({catalog.LEADER_ELECTIONS.increase(job, catalog.WINDOW)})",
        "byzantine": catalog.BYZANTINE.per_instance(job),
    }


async def _rows(inputs: Inputs, questions: Mapping[str, str]) -> list[dict[str, object]]:
    roster, columns, trends = await asyncio.gather(
        inputs.roster(), ask_columns(inputs, questions), _trends(inputs, questions["round_s"])
    )
    rows = [node_cells(node, columns) | {"round_trend_s": trends.get(node.instance)} for node in roster.nodes.values()]
    rows.sort(key=lambda row: (-_number(row["round_s"]), str(row["name"])))
    return rows


async def _trends(inputs: Inputs, query: str) -> dict[str, Sequence[float]]:
    """The round duration over the window, by instance; empty where the source holds no history."""
    if not inputs.metrics.history:
        return {}
    step = max(timedelta(seconds=1), inputs.window / POINTS)
    answer = await inputs.metrics.range(query, inputs.moment - inputs.window, inputs.moment, step)
    return {series.labels["instance"]: series.values for series in answer.series if "instance" in series.labels}


def _number(value: object) -> float:
    return value if isinstance(value, float) else -1.0
