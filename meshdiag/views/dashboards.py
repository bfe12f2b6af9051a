"""Grafana's datasources, its dashboards and their queries as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.catalog import Unit
from meshdiag.checks.dashboards import judge_query, queries
from meshdiag.checks.grafana import judge_datasource, try_all
from meshdiag.checks.readings.dashboards.boards import look
from meshdiag.context import CheckSettings
from meshdiag.model import Column, Table, Verdict

if TYPE_CHECKING:
    from typing import Any

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.dashboards.boards import Asked, Targets
    from meshdiag.model import Threshold

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


MOST_SHOWN = 30
"""Rows of queries that a terminal shows without -v: a metric that is gone empties hundreds of panels."""
QUERIES = (
    Column("verdict", "state", "verdict"),
    Column("dashboard", "dashboard"),
    Column("panel", "panel"),
    Column("query", "query"),
    Column("said", "what is the matter"),
    Column("took_s", "took", "number", Unit.SECONDS),
    Column("series", "series", "number", Unit.COUNT),
    Column("row", "row", detail=True),
    Column("datasource", "datasource", detail=True),
    Column("expression", "expression", detail=True),
    Column("written", "as written", detail=True),
    Column("uid", "uid", detail=True),
)


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


class QueriesView:
    """The queries of the dashboards that were named. ``whole``: those that work, too."""

    def __init__(self, targets: Targets, *, whole: bool) -> None:
        self.targets = targets
        self.whole = whole

    async def draw(self, inputs: Inputs) -> Table:
        """A row a query, the worst first. Raises ``SourceError``."""
        threshold = inputs.context.checks.get(queries.id, CheckSettings()).over(queries.threshold)
        rows = [_query_row(one, threshold) for board in await look(inputs, self.targets) for one in board.asked]
        fine = (Verdict.PASS, Verdict.SKIP)
        shown = [row for row in rows if self.whole or row["verdict"] not in fine]
        shown.sort(key=lambda row: (-row["verdict"].severity, row["dashboard"], row["said"]))
        empty = f"none of {len(rows)} queries is in trouble" if rows else "the dashboards ask nothing"
        if self.whole or len(shown) <= MOST_SHOWN:
            return Table(QUERIES, tuple(shown), empty=empty)
        title = f"the worst {MOST_SHOWN} of {len(shown)} queries in trouble (-v and -o json have them all)"
        return Table(QUERIES, tuple(shown[:MOST_SHOWN]), title)


def _query_row(asked: Asked, threshold: Threshold) -> dict[str, Any]:
    verdict, said = judge_query(asked, threshold)
    answer = asked.answer
    return {
        "verdict": verdict,
        "dashboard": asked.board.title,
        "panel": asked.panel.title,
        "query": asked.query.ref,
        "said": said,
        "took_s": answer.took_s if answer else None,
        "series": float(answer.series) if answer else None,
        "row": asked.panel.row,
        "datasource": asked.datasource.name,
        "expression": asked.expression,
        "written": asked.query.text,
        "uid": asked.board.uid,
    }
