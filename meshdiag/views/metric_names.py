"""The metric names that exist, and which of the catalog are missing: ``meshdiag query --metrics``."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from meshdiag import catalog
from meshdiag.checks import Check, Outcome
from meshdiag.model import Column, Table, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from meshdiag.catalog import Metric
    from meshdiag.checks.inputs import Inputs
    from meshdiag.metrics import Described

MISSING, OPTIONAL = "MISSING", "missing (optional)"
"""The states of a metric that every node of its role should expose, or may, and none does."""
COLUMNS = (
    Column("name", "metric"),
    Column("type", "type"),
    Column("unit", "unit"),
    Column("state", "state"),
    Column("help", "meaning"),
)


class MetricNames:
    """The names that fit a glob: fetched once, listed, and summed up."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    @property
    def check(self) -> Check:
        """Whether there is any, as a check, so that an empty list is no pass."""
        return Check("query", "there are metrics of that name", self._judge, ("metrics",), "", "")

    async def table(self, inputs: Inputs) -> Table:
        """A row per name that fits, then the catalog's names that nobody exposes. Type and help come from the
        source where it has them, else from the catalog. Raises ``SourceError``."""
        return await inputs.memo.once("metric-names", lambda: self._fetch(inputs))

    async def _fetch(self, inputs: Inputs) -> Table:
        names = await inputs.metrics.names()
        present = [_row(name, told) for name, told in sorted(names.items()) if fnmatchcase(name, self.pattern)]
        missing = [
            _missing(metric)
            for metric in catalog.METRICS
            if fnmatchcase(metric.name, self.pattern) and not _exposed(metric, names)
        ]
        return Table(COLUMNS, (*present, *missing))

    async def _judge(self, inputs: Inputs) -> Outcome:
        rows = (await self.table(inputs)).rows
        if not rows:
            reason = f"no metric's name fits {self.pattern!r}, and none of the mesh's own would"
            return Outcome(verdict=Verdict.UNKNOWN, summary=reason, hint="write a glob, in quotes: 'consensus_*'")
        missing = [str(row["name"]) for row in rows if row["state"] == MISSING]
        count = sum(row["state"] not in (MISSING, OPTIONAL) for row in rows)
        said = f"{count} {'metric' if count == 1 else 'metrics'}; none of the mesh's own is missing"
        if missing:
            some = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
            said = f"{count} {'metric' if count == 1 else 'metrics'}; nobody exposes {some}"
        return Outcome(verdict=Verdict.PASS, summary=said)


def _exposed(metric: Metric, names: Collection[str]) -> bool:
    return any(name in names for name in metric.series_names)


def _base(name: str) -> str:
    """The metric that a histogram's part belongs to."""
    for part in ("_bucket", "_sum", "_count"):
        if name.endswith(part):
            return name.removesuffix(part)
    return name


def _row(name: str, described: Described) -> Mapping[str, Any]:
    known = catalog.BY_NAME.get(name) or catalog.BY_NAME.get(_base(name))
    return {
        "name": name,
        "type": described.type or (known.kind if known else ""),
        "unit": known.unit if known else "",
        "state": "in the catalog" if known else "",
        "help": described.help or (known.help if known else ""),
    }


def _missing(metric: Metric) -> Mapping[str, Any]:
    return {
        "name": metric.name,
        "type": metric.kind,
        "unit": metric.unit,
        "state": MISSING if metric.listed else OPTIONAL,
        "help": metric.help,
    }
