"""Columns of a table with one row a node: one query each, all asked at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.roster import Node

Columns = dict[str, dict[str, float]]
"""Values by column key, then by instance."""


async def ask_columns(inputs: Inputs, questions: Mapping[str, str]) -> Columns:
    """The answers to ``questions`` (column key -> PromQL, one sample an instance). Raises ``SourceError``."""
    answers = await asyncio.gather(*(inputs.metrics.instant(query, inputs.at) for query in questions.values()))
    return {key: answer.by("instance") for key, answer in zip(questions, answers, strict=True)}


def node_cells(node: Node, columns: Columns) -> dict[str, object]:
    """What every row has: who the node is, and its value in each column (None where there is none)."""
    values: dict[str, object] = {key: column.get(node.instance) for key, column in columns.items()}
    return {"name": node.name, "role": node.role, "instance": node.instance} | values
