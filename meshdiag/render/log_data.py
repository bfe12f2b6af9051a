"""Log records for programs: NDJSON (one normalised object a line) and CSV.

Keys: ``ts`` (RFC 3339, UTC, as fine as the record has it), ``level``, ``component``, ``node``, ``message``, ``fields``
(nested as they stood), ``file``, ``line``. What a record does not say is null; keys are added, never renamed.
"""

from __future__ import annotations

import csv
import io
import json
import math
import time
from typing import TYPE_CHECKING, Any

from meshdiag.logs.record import NS
from meshdiag.render.as_csv import cell_text
from meshdiag.render.safe import json_escapes, well_formed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshdiag.logs.record import Record

COLUMNS = ("ts", "level", "component", "node", "message", "fields", "file", "line")


def as_object(record: Record) -> dict[str, Any]:
    """A record as plain data."""
    return {
        "ts": None if record.time_ns is None else rfc3339_ns(record.time_ns),
        "level": None if record.level is None else record.level.word,
        "component": record.component or None,
        "node": record.node or None,
        "message": record.message,
        "fields": record.fields or {},
        "file": record.file or None,
        "line": record.line,
    }


def to_json_line(record: Record, *, ascii_only: bool = False) -> str:
    """A record as one line of JSON with its line break, harmless to a terminal."""
    return json_line(as_object(record), ascii_only=ascii_only)


def json_line(value: Any, *, ascii_only: bool = False) -> str:
    """Any plain data as one line of JSON. JSON has no NaN and no infinities: null stands for them."""
    try:
        text = _encode(value)
    except ValueError:
        text = _encode(_finite(value))
    return json_escapes(well_formed(text), ascii_only=ascii_only) + "\n"


def csv_head() -> str:
    """The line of column names."""
    return csv_text(COLUMNS, ())


def to_csv_row(record: Record) -> str:
    """A record as a row of CSV; ``fields`` is JSON, empty where there are none."""
    return _csv([_cell(as_object(record)[key]) for key in COLUMNS])


def csv_text(keys: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows of plain data as CSV, with a line of keys above them."""
    return "".join([_csv(list(keys)), *(_csv([_cell(row.get(key)) for key in keys]) for row in rows)])


def _csv(cells: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def _cell(value: Any) -> str:
    """A cell: text made harmless, what is nested as JSON, nothing for what is not there."""
    if value is None or value == {}:
        return ""
    return cell_text(json_line(value).strip() if isinstance(value, dict | list) else str(value))


def rfc3339_ns(nanoseconds: int) -> str:
    """A time in UTC with the milli-, micro- or nanoseconds that it has: ``2026-01-31T03:12:01.123Z``."""
    seconds, rest = divmod(nanoseconds, NS)
    try:
        parts = time.gmtime(seconds)
        text = f"{parts.tm_year:04d}{time.strftime('-%m-%dT%H:%M:%S', parts)}"
    except (OverflowError, OSError, ValueError):
        return str(nanoseconds)
    if not rest:
        return f"{text}Z"
    digits = f"{rest:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{text}.{digits}Z"


def _encode(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=str)


def _finite(value: Any) -> Any:
    """The same with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return float(value) if abs(value) < 10**300 else None
    return value
