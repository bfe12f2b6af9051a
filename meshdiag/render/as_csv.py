"""The table of a data command as CSV (RFC 4180), raw values: seconds, bytes and ratios unscaled, times RFC 3339.

Without a table, the findings are the rows. A text that a spreadsheet would take for a formula gets an
apostrophe before it, unless it is a number (``+Inf`` stays as it is).
"""

from __future__ import annotations

import csv
import io
import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from meshdiag.model import Range
from meshdiag.render.safe import one_line
from meshdiag.units import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.model import Report

FINDING_COLUMNS = ("check", "subject", "verdict", "value", "unit", "warn", "fail", "observed", "message")


def to_csv(report: Report) -> str:
    """The rows with a line of column keys above them."""
    if report.data is not None:
        return _write([one.key for one in report.data.columns], report.data.rows)
    return _write(FINDING_COLUMNS, _findings(report))


def _write(keys: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([cell_text(key) for key in keys])
    for row in rows:
        writer.writerow([_cell(row.get(key)) for key in keys])
    return out.getvalue()


def _findings(report: Report) -> list[dict[str, Any]]:
    return [
        {
            "check": result.id,
            "subject": finding.subject,
            "verdict": finding.verdict,
            "value": finding.value,
            "unit": finding.unit,
            "warn": finding.threshold and finding.threshold.warn,
            "fail": finding.threshold and finding.threshold.fail,
            "observed": finding.observed,
            "message": finding.message,
        }
        for result in report.results
        for finding in result.findings
    ]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Range):
        return str(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value)
    if isinstance(value, list | tuple):
        return ";".join(_cell(one) for one in value)
    return cell_text(str(value))


def _number(value: float) -> str:
    """A number as Prometheus spells it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def cell_text(text: str) -> str:
    """Text as a cell: harmless, on one line, and no formula."""
    harmless = one_line(text, None)
    if harmless[:1] not in "=+-@" or not harmless:
        return harmless
    try:
        float(harmless)
    except ValueError:
        return "'" + harmless
    return harmless
