"""A report as JSON: the contract that scripts live on. Keys are added, never renamed (``report.schema.json``).

JSON has no NaN and no infinities: there the value is null, and ``value_text`` (for a row of data,
``KEY_text``) says which it was. Times are RFC 3339 in UTC.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from meshdiag.render.safe import json_escapes, well_formed
from meshdiag.units import human, rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshdiag.model import Cause, Finding, Report, Result, Table, Threshold

SCHEMA = "meshdiag.report/1"
SCHEMA_FILE = "report.schema.json"
OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


def schema_text() -> str:
    """The JSON Schema of the contract, as the package ships it."""
    from importlib.resources import files

    return files("meshdiag").joinpath(SCHEMA_FILE).read_text("utf-8")


def to_json(report: Report, *, ascii_only: bool = False) -> str:
    """The report as one JSON object, indented, with a line break at the end. No character of it can do harm to
    a terminal; with ``ascii_only`` any stream can carry it."""
    told = as_object(report)
    try:
        packed = orjson.dumps(told, option=OPTIONS)
    except orjson.JSONEncodeError:  # a lone surrogate somewhere, which is rare: only then is every string looked at
        packed = orjson.dumps(_well_formed(told), option=OPTIONS)
    return json_escapes(packed.decode(), ascii_only=ascii_only)


def as_object(report: Report) -> dict[str, Any]:
    """The report as plain dicts and lists, in the contract's order of keys."""
    return {
        "schema": SCHEMA,
        "command": report.command,
        "context": report.context,
        "started": rfc3339(report.started),
        "at": rfc3339(report.moment),
        "duration_s": _number(report.duration_s),
        "verdict": str(report.verdict),
        "counts": {str(verdict): count for verdict, count in report.counts.items()},
        "checks": [_result(one) for one in report.results],
        "causes": [_cause(one) for one in report.causes],
        "data": None if report.data is None else [_row(row) for row in report.data.rows],
        "columns": None if report.data is None else _columns(report.data),
        "notes": list(report.notes),
    }


def _result(result: Result) -> dict[str, Any]:
    return {
        "id": result.id,
        "title": result.title,
        "verdict": str(result.verdict),
        "summary": result.summary,
        "findings": [_finding(one) for one in result.findings],
        "evidence": [
            {
                "source": one.source,
                "command": one.command,
                "excerpt": one.excerpt,
            }
            for one in result.evidence
        ],
        "hint": result.hint,
        "runbook": result.runbook,
        "duration_s": _number(result.duration_s),
        "because": result.because,
        **({"absent": str(result.absent)} if result.absent else {}),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    found: dict[str, Any] = {
        "subject": finding.subject,
        "verdict": str(finding.verdict),
        "value": None if finding.value is None else _number(finding.value),
        "unit": finding.unit,
        "threshold": _threshold(finding.threshold),
        "message": finding.message,
        "observed": None if finding.observed is None else rfc3339(finding.observed),
        "labels": _labels(finding.labels),
    }
    if finding.value is not None and not math.isfinite(finding.value):
        found["value_text"] = human(finding.value, None)
    return found


def _labels(labels: Mapping[str, str]) -> dict[str, str]:
    return {str(name): value for name, value in labels.items()}


def _threshold(threshold: Threshold | None) -> dict[str, str | None] | None:
    if threshold is None:
        return None
    return {
        "warn": None if threshold.warn is None else str(threshold.warn),
        "fail": None if threshold.fail is None else str(threshold.fail),
    }


def _cause(cause: Cause) -> dict[str, Any]:
    return {
        "statement": cause.statement,
        "because": list(cause.because),
        "next": cause.next,
    }


def _columns(table: Table) -> list[dict[str, str | None]]:
    return [{"key": one.key, "title": one.title, "kind": one.kind, "unit": one.unit} for one in table.columns]


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, value in row.items():
        name = str(key)
        plain[name] = _cell(value)
        if isinstance(value, float) and not math.isfinite(value):
            plain[f"{name}_text"] = human(value, None)
    return plain


def _cell(value: Any) -> Any:
    """A cell as JSON has it; what JSON does not know becomes text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, dict):
        return {str(key): _cell(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_cell(one) for one in value]
    return str(value)


def _number(value: float) -> float | None:
    """A number that JSON can hold; orjson's whole numbers end at 64 bits."""
    if isinstance(value, int) and abs(value) >= 2**63:
        return float(value)
    return value if math.isfinite(value) else None


def _well_formed(value: Any) -> Any:
    """The same lists and dicts with every string one that an encoder takes."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, list):
        return [_well_formed(one) for one in value]
    if isinstance(value, dict):
        return {well_formed(key): _well_formed(one) for key, one in value.items()}
    return value
