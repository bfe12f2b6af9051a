"""A report as OpenMetrics: what the official parser reads, and what node_exporter's textfile collector takes."""

from __future__ import annotations

import io
import math
import re
import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from meshdiag.model import Column, Finding, Report, Result, Table, Verdict
from meshdiag.render import render_report
from tests.unit import report_strategies, reports

relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
EXPIRES = datetime(2026, 5, 1, tzinfo=UTC)


def written(report: Report) -> str:
    """The report as a stream receives it."""
    stream = io.StringIO()
    render_report(report, "openmetrics", stream)
    return stream.getvalue()


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample, by its name and labels (without those that say whose report it is)."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in parse_openmetrics(text):
        for one in family.samples:
            labels = frozenset((key, value) for key, value in one.labels.items() if key not in ("command", "context"))
            assert (one.name, labels) not in found
            assert one.timestamp is None, "the textfile collector refuses samples with times"
            found[one.name, labels] = one.value
    return found


def certificates(**row: Any) -> Report:
    """A report with a table of one certificate."""
    columns = (
        Column("verdict", "", "verdict"),
        Column("days_left", "left", "number", "days"),
        Column("not_after", "expires", "time", detail=True),
        Column("subject", "subject"),
    )
    table = Table(columns, (row,), noun="cert", keys=("source", "position"))
    result = Result(
        "certs.served", "t", Verdict.FAIL, "s", (Finding("a:1", Verdict.FAIL, "m", 3.0, "days", labels={"node": "n"}),)
    )
    skipped = Result("certs.files", "t", Verdict.SKIP, "s")
    return Report("certs", "prod", reports.NOW, 1.5, (result, skipped), data=table)


@pytest.mark.parametrize("name", reports.ALL)
def test_every_kind_of_report_is_read_by_both_parsers(name: str) -> None:
    """OpenMetrics' own parser and the one of the older text format read the same samples."""
    text = written(reports.ALL[name]())
    assert text.endswith("# EOF\n")
    strict = samples(text)
    loose = [one for family in parse_text(text) for one in family.samples]
    assert len(strict) == len(loose) > 0
    assert set(re.findall(r"^# TYPE \S+ (\S+)$", text, re.MULTILINE)) == {"gauge"}


@relaxed
@given(report_strategies.reports)
def test_no_report_breaks_the_format(report: Report) -> None:
    """However odd names and values are, the text parses, no series comes twice, and nothing could hurt a terminal."""
    text = written(report)
    assert samples(text)
    assert not {unicodedata.category(char) for char in text} & {"Cf", "Cs", "Zl", "Zp"}
    assert all(char >= " " for line in text.split("\n") for char in line)


def test_a_certificate_is_a_series_by_place() -> None:
    """Times are values in seconds, verdicts are the exit codes; the labels tell rows apart."""
    row = {
        "verdict": Verdict.FAIL,
        "days_left": 3.0,
        "not_after": EXPIRES,
        "source": "a:1",
        "position": 0,
        "subject": "s",
    }
    found = samples(written(certificates(**row)))
    labels = frozenset({("source", "a:1"), ("position", "0")})
    assert found["meshdiag_cert_not_after_timestamp_seconds", labels] == EXPIRES.timestamp()
    assert found["meshdiag_cert_days_left", labels] == 3
    assert found["meshdiag_cert_verdict", labels] == 2
    about = frozenset({("check", "certs.served"), ("subject", "a:1"), ("node", "n")})
    assert found["meshdiag_finding_verdict", about] == 2
    assert found["meshdiag_finding_value", about | {("unit", "days")}] == 3


def test_what_was_skipped_raises_no_alert() -> None:
    """A check that was not asked has no series: ``meshdiag_check_verdict > 0`` is about what was found."""
    found = samples(written(certificates(verdict=Verdict.PASS, source="a", position=0)))
    assert ("meshdiag_check_verdict", frozenset({("check", "certs.served")})) in found
    assert ("meshdiag_check_verdict", frozenset({("check", "certs.files")})) not in found


def test_a_cell_that_is_missing_is_no_series() -> None:
    """A certificate that could not be read has a verdict and no date; not a number stays one."""
    found = samples(
        written(certificates(verdict=Verdict.UNKNOWN, days_left=None, not_after=None, source="a", position=0))
    )
    labels = frozenset({("source", "a"), ("position", "0")})
    assert found["meshdiag_cert_verdict", labels] == 3
    assert not [name for name, _labels in found if "not_after" in name or "days_left" in name]
    blank = written(certificates(verdict=Verdict.UNKNOWN, days_left=math.nan, source="a", position=0))
    assert math.isnan(samples(blank)["meshdiag_cert_days_left", labels])
