"""A report as OpenMetrics text: for node_exporter's textfile collector, a Pushgateway, or anything that scrapes.

Gauges alone, and no sample bears a time: the textfile collector reads Prometheus' older text format, which shares this
much with OpenMetrics, and refuses samples with times. What is a time is a value, ``…_timestamp_seconds``.

    meshdiag_check_verdict{command="certs",context="prod",check="certs.served"} 2
    meshdiag_cert_not_after_timestamp_seconds{…,source="10.0.0.3:7946",position="0",…} 1.7e+09

Sources: https://prometheus.io/docs/specs/om/open_metrics_spec/, and the README of node_exporter ("Textfile Collector").
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from meshdiag.model import ExitCode, Verdict
from meshdiag.render.safe import one_line, well_formed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshdiag.model import Column, Finding, Report, Table

Labels = dict[str, str]
Sample = tuple[Labels, float]

CODES = "0 pass, 1 warn, 2 fail, 3 unknown; what was skipped is left out"
_WORDS = re.compile(r"[^a-zA-Z0-9]+")
_UNITS = {"s": "seconds", "ms": "milliseconds", "1/s": "per_second", "bytes/s": "bytes_per_second"}


def to_openmetrics(report: Report) -> str:
    """The report's verdicts and values, the rows of its table where they have a name, and ``# EOF``."""
    about = {"command": report.command, "context": report.context}
    families = _Families(about)
    families.add("meshdiag_verdict", f"The verdict of the whole report ({CODES}).", {}, _code(report.verdict))
    families.add("meshdiag_report_timestamp_seconds", "When it was looked.", {}, report.started.timestamp())
    families.add("meshdiag_report_duration_seconds", "How long the look took.", {}, report.duration_s)
    for result in report.results:
        families.add(
            "meshdiag_check_verdict", f"A check's verdict ({CODES}).", {"check": result.id}, _code(result.verdict)
        )
        for finding in sorted(result.findings, key=lambda one: -one.verdict.severity):
            _add_finding(families, {"check": result.id, "subject": finding.subject}, finding)
    if report.data is not None and report.data.noun:
        _add_rows(families, report.data)
    return families.text()


class _Families:
    """Samples by family, each set of labels once: the first one stays."""

    def __init__(self, about: Labels) -> None:
        self._about = about
        self._families: dict[str, tuple[str, dict[tuple[str, ...], Sample]]] = {}

    def add(self, name: str, help_: str, labels: Labels, value: float | None) -> None:
        """A sample; none where there is no value."""
        if value is None:
            return
        known = self._families.setdefault(name, (help_, {}))[1]
        known.setdefault(tuple(f"{key}={text}" for key, text in labels.items()), ({**self._about, **labels}, value))

    def text(self) -> str:
        """All of them as text."""
        return "".join(f"{line}\n" for line in (*self._lines(), "# EOF"))

    def _lines(self) -> Iterator[str]:
        for name, (help_, samples) in self._families.items():
            yield f"# TYPE {name} gauge"
            yield f"# HELP {name} {help_}"
            for labels, value in samples.values():
                yield f"{name}{{{','.join(_label(key, text) for key, text in labels.items())}}} {_number(value)}"


def _add_finding(families: _Families, labels: Labels, finding: Finding) -> None:
    if node := finding.labels.get("node"):
        labels["node"] = node
    families.add("meshdiag_finding_verdict", f"A finding's verdict ({CODES}).", labels, _code(finding.verdict))
    families.add(
        "meshdiag_finding_value",
        "What a finding is about, in its unit.",
        {**labels, "unit": finding.unit or ""},
        finding.value,
    )


def _add_rows(families: _Families, table: Table) -> None:
    """Each time, number and verdict of each row; which columns tell rows apart, and so are labels, the table says."""
    for row in table.rows:
        labels = {key: _text(row.get(key)) for key in table.keys}
        for column in table.columns:
            value = row.get(column.key)
            if value is not None and column.key not in table.keys:
                _add_cell(families, f"meshdiag_{_word(table.noun)}_{_word(column.key)}", column, labels, value)


def _add_cell(families: _Families, name: str, column: Column, labels: Labels, value: Any) -> None:
    title = one_line(column.title).replace("\\", "\\\\")
    if isinstance(value, Verdict):
        families.add(name, f"The row's verdict ({CODES}).", labels, _code(value))
    elif isinstance(value, datetime):
        families.add(f"{name}_timestamp_seconds", f"{title}, in seconds since 1970.", labels, value.timestamp())
    elif column.kind in ("number", "age") and isinstance(value, int | float):
        families.add(_with_unit(name, column), f"{title}.", labels, float(value))


def _with_unit(name: str, column: Column) -> str:
    """The name with its unit at the end, where it does not say it already."""
    unit = _word(_UNITS.get(column.unit or "", column.unit or ""))
    if column.kind == "age":
        name, unit = name.removesuffix("_s"), "seconds"
    return name if not unit or unit == "count" or unit in name.split("_") else f"{name}_{unit}"


def _code(verdict: Verdict) -> float | None:
    return None if verdict is Verdict.SKIP else float(ExitCode.of(verdict))


def _word(text: str) -> str:
    return _WORDS.sub("_", text).strip("_").lower()


def _text(value: Any) -> str:
    if value is None:
        return ""
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _label(name: str, value: str) -> str:
    harmless = one_line(well_formed(value), None)
    return f'{name}="{_escaped(harmless)}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value))
