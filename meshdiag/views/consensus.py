"""Consensus per node: what ``meshdiag consensus`` shows."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from meshdiag import catalog
from meshdiag.catalog import Unit
from meshdiag.model import Column, Table
from meshdiag.views.columns import ask_columns, node_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.checks.inputs import Inputs

COLUMNS = (
    Column("name", "node"),
    Column("round_s", "round", "number", Unit.SECONDS),
    Column("round_trend_s", "over the window", "trend", Unit.SECONDS),
    Column("failed_per_s", "failed", "number", Unit.PER_SECOND),
    Column("vote_success", "votes", "number", Unit.RATIO),
    Column("elections", "elections", "number", Unit.COUNT),
    Column("byzantine", "byzantine", "number", Unit.COUNT),
    Column("role", "role"),
    Column("instance", "instance"),
)
POINTS = 24
"""Points of the sparkline: enough to see an onset, few enough for a narrow terminal."""


async def consensus_view(inputs: Inputs) -> Table:
    """The table of the nodes, slowest rounds first. Raises ``SourceError`` when the nodes are not known."""
    job = inputs.context.job
    questions = {
        "round_s": catalog.ROUND_DURATION.per_instance(job),
        "failed_per_s": catalog.FAILED_ROUNDS.per_instance(job),
        "vote_success": catalog.VOTE_SUCCESS.per_instance(job),
        "elections": f"round({catalog.LEADER_ELECTIONS.increase(job, catalog.WINDOW)})",
        "byzantine": catalog.BYZANTINE.per_instance(job),
    }
    roster, columns, trends = await asyncio.gather(
        inputs.roster(), ask_columns(inputs, questions), _trends(inputs, questions["round_s"])
    )
    rows = [node_cells(node, columns) | {"round_trend_s": trends.get(node.instance)} for node in roster.nodes.values()]
    rows.sort(key=lambda row: (-_number(row["round_s"]), str(row["name"])))
    return Table(COLUMNS, tuple(rows))


async def _trends(inputs: Inputs, query: str) -> dict[str, Sequence[float]]:
    """The round duration over the window, by instance; empty where the source holds no history."""
    if not inputs.metrics.history:
        return {}
    step = max(timedelta(seconds=1), inputs.window / POINTS)
    answer = await inputs.metrics.range(query, inputs.moment - inputs.window, inputs.moment, step)
    return {series.labels["instance"]: series.values for series in answer.series if "instance" in series.labels}


def _number(value: object) -> float:
    return value if isinstance(value, float) else -1.0
