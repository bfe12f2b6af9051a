"""The metric names that exist, and which of the catalog are missing: ``meshdiag query --metrics``."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from meshdiag import catalog
from meshdiag.model import Column, Table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from meshdiag.catalog import Metric
    from meshdiag.checks.inputs import Inputs
    from meshdiag.metrics import Described

COLUMNS = (
    Column("name", "metric"),
    Column("type", "type"),
    Column("unit", "unit"),
    Column("state", "state"),
    Column("help", "meaning"),
)


async def metric_names_view(inputs: Inputs, pattern: str) -> Table:
    """A row per name that fits the glob, then the catalog's names that nobody exposes. Type and help come from
    the source where it has them, else from the catalog. Raises ``SourceError``."""
    names = await inputs.metrics.names()
    present = [_row(name, described) for name, described in sorted(names.items()) if fnmatchcase(name, pattern)]
    missing = [
        _missing(metric)
        for metric in catalog.METRICS
        if fnmatchcase(metric.name, pattern) and not _exposed(metric, names)
    ]
    return Table(COLUMNS, (*present, *missing))


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
        "state": "MISSING" if metric.listed else "missing (optional)",
        "help": metric.help,
    }
