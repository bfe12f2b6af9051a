"""Grafana's datasources and dashboards as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.checks.grafana import judge_datasource, try_all
from meshdiag.model import Column, Table, Verdict

if TYPE_CHECKING:
    from meshdiag.checks.inputs import Inputs

DATASOURCES = (
    Column("verdict", "state", "verdict"),
    Column("name", "datasource"),
    Column("type", "type"),
    Column("tried", "tried by"),
    Column("url", "backend"),
    Column("said", "what is the matter"),
    Column("uid", "uid"),
)
DASHBOARDS = (Column("title", "dashboard"), Column("folder", "folder"), Column("uid", "uid"), Column("url", "address"))


async def datasources_view(inputs: Inputs) -> Table:
    """A row a datasource, the broken ones first. Raises ``SourceError``."""
    rows = []
    for tried in await try_all(inputs):
        finding, one = judge_datasource(tried), tried.datasource
        rows.append(
            {
                "verdict": finding.verdict,
                "name": one.name,
                "type": one.type,
                "tried": str(tried.way),
                "url": one.url,
                "said": "" if finding.verdict is Verdict.PASS else finding.message,
                "uid": one.uid,
            }
        )
    rows.sort(key=lambda row: (-Verdict(str(row["verdict"])).severity, str(row["name"])))
    return Table(DATASOURCES, tuple(rows))


async def dashboards_view(inputs: Inputs) -> Table:
    """A row a dashboard. Raises ``SourceError``."""
    base = inputs.grafana.url.rstrip("/")
    rows = [
        {"title": one.title, "folder": one.folder, "uid": one.uid, "url": f"{base}{one.url}"}
        for one in await inputs.grafana.dashboards()
    ]
    return Table(DASHBOARDS, tuple(sorted(rows, key=lambda row: (row["folder"], row["title"]))))
