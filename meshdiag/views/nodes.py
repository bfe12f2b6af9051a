"""One row per node: what ``meshdiag nodes`` shows."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from meshdiag import catalog
from meshdiag.catalog import Unit
from meshdiag.model import Column, Table, Verdict
from meshdiag.views.columns import ask_columns, node_cells

if TYPE_CHECKING:
    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.roster import Node
    from meshdiag.views.columns import Columns

COLUMNS = (
    Column("up", "up", "verdict"),
    Column("name", "node"),
    Column("role", "role"),
    Column("scrape_age_s", "scraped", "age"),
    Column("cpu_percent", "CPU", "number", Unit.PERCENT),
    Column("memory_ratio", "memory", "number", Unit.RATIO),
    Column("peers", "peers", "number", Unit.COUNT),
    Column("round_s", "round", "number", Unit.SECONDS),
    Column("running_s", "restarted", "age"),
    Column("trouble", "trouble"),
    Column("instance", "instance"),
)
"""The order is that of importance: what does not fit a terminal is left out from the end."""


async def nodes_view(inputs: Inputs) -> Table:
    """The table of the nodes, worst first. Raises ``SourceError`` when the roster cannot be read."""
    job = inputs.context.job
    questions = {
        "cpu_percent": catalog.CPU.per_instance(job),
        "memory_ratio": f"{catalog.MEMORY.per_instance(job)} / {catalog.MEMORY_TOTAL.per_instance(job)}",
        "peers": catalog.PEER_COUNT.per_instance(job),
        "round_s": catalog.ROUND_DURATION.per_instance(job),
        "started": catalog.START_TIME.per_instance(job),
    }
    roster, columns = await asyncio.gather(inputs.roster(), ask_columns(inputs, questions))
    troubles = inputs.sources.scrape.problems if inputs.sources.scrape else {}
    rows = [_row(node, columns, inputs.moment, troubles.get(node.instance, "")) for node in roster.nodes.values()]
    rows.sort(key=lambda row: (-Verdict(str(row["up"])).severity, str(row["role"]), str(row["name"])))
    return Table(COLUMNS, tuple(rows))


def _row(node: Node, columns: Columns, moment: datetime, trouble: str) -> dict[str, object]:
    started = columns["started"].get(node.instance)
    return node_cells(node, columns) | {
        "up": Verdict.PASS if node.up else Verdict.FAIL,
        "scrape_age_s": max(0.0, (moment - node.scraped).total_seconds()) if node.scraped else None,
        "started": datetime.fromtimestamp(started, UTC) if started else None,
        "running_s": moment.timestamp() - started if started else None,
        "trouble": trouble,
    }
