"""What programs read: JSON, JUnit, the one-line summary and CSV."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from dataclasses import replace
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings

from meshdiag.metrics import AbsenceKind
from meshdiag.model import Column, Evidence, Finding, Range, Report, Result, Table, Threshold, Verdict, at_most
from meshdiag.render import FORMATS, render_report
from meshdiag.render.as_json import schema_text
from meshdiag.render.short import WORDS_LIMIT, decimal
from tests.unit import report_strategies, reports

SCHEMA = json.loads(schema_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
PERFDATA = re.compile(r"'([^'=]+)'=(?:U|-?\d+(?:\.\d+)?(?:s|ms|B|%)?)((?:;@?[-\d.:~]*){0,2})(?: |$)")
"""One value as the Monitoring Plugins Development Guidelines write it: 'label'=value[UOM];[warn];[crit]."""

relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=80)


def written(report: Report, fmt: str) -> str:
    """The report in a format, as a stream receives it."""
    stream = io.StringIO()
    render_report(report, fmt, stream)
    return stream.getvalue()


def encoded(report: Report, fmt: str, encoding: str) -> bytes:
    """The report in a format, as the bytes of a stream of that encoding."""
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding, write_through=True) as stream:
        render_report(report, fmt, stream)
        return raw.getvalue()


def test_the_schema_is_itself_sound() -> None:
    """The shipped file is a valid JSON Schema 2020-12."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", reports.ALL)
def test_json_keeps_the_contract(name: str) -> None:
    """Every kind of report validates against the schema that ships."""
    VALIDATOR.validate(json.loads(written(reports.ALL[name](), "json")))


@relaxed
@given(report_strategies.reports)
def test_any_report_is_json_that_keeps_the_contract(report: Report) -> None:
    """No report, however odd, breaks the contract, and the text holds nothing that could hurt a terminal."""
    text = written(report, "json")
    VALIDATOR.validate(json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON")))
    assert not {char for char in text if unicodedata.category(char) in HIDDEN} - {"\n"}


def test_the_keys_of_json_are_pinned() -> None:
    """Scripts live on these names: they may grow, and none may go."""
    told = json.loads(written(reports.mixed(), "json"))
    assert list(told) == [
        "schema", "command", "context", "started", "at", "duration_s", "verdict", "counts", "checks", "causes",
        "data", "columns", "notes",
    ]  # fmt: skip
    check = next(one for one in told["checks"] if one["id"] == "consensus.round-duration")
    assert list(check) == [
        "id", "title", "verdict", "summary", "findings", "evidence", "hint", "runbook", "duration_s", "because",
    ]  # fmt: skip
    assert check["findings"][2] == {
        "subject": "localhost:9143",
        "verdict": "fail",
        "value": 44.23,
        "unit": "s",
        "threshold": {"warn": "~:10", "fail": "~:30"},
        "message": "rounds are slow",
        "observed": "2025-03-09T03:12:40Z",
        "labels": {"node": "trainer-3", "role": "trainer"},
    }
    assert set(check["evidence"][0]) == {"source", "command", "excerpt"}
    assert set(told["causes"][0]) == {"statement", "because", "next"}
    assert told["counts"] == {"pass": 8, "warn": 1, "fail": 2, "unknown": 1, "skip": 2}
    assert (told["schema"], told["verdict"], told["data"]) == ("meshdiag.report/1", "fail", None)
    assert (told["started"], told["at"]) == ("2025-03-09T03:12:44Z", "2025-03-09T03:12:44Z")


def test_every_kind_of_absence_is_in_the_contract() -> None:
    """Why an answer is empty stands in the JSON, each kind by its own word."""
    for kind in AbsenceKind:
        one = replace(reports.absent(), absent=kind)
        told = json.loads(written(replace(reports.mixed(), results=(one,)), "json"))
        VALIDATOR.validate(told)
        assert told["checks"][0]["absent"] == kind.value
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate({**told, "checks": [{**told["checks"][0], "absent": "lost"}]})


def test_the_schema_pins_the_required_keys() -> None:
    """Taking a key out of the output is an error that the schema finds; a new key is not."""
    told = json.loads(written(reports.mixed(), "json"))
    VALIDATOR.validate({**told, "new": 1})
    for key in ("schema", "checks", "verdict", "causes", "data"):
        with pytest.raises(jsonschema.ValidationError):
            VALIDATOR.validate({name: value for name, value in told.items() if name != key})


def test_json_names_the_numbers_that_it_cannot_hold() -> None:
    """NaN and the infinities become null, and value_text says which."""
    found = json.loads(written(reports.numbers(), "json"))["checks"][0]["findings"]
    assert [(one["value"], one.get("value_text")) for one in found[:4]] == [
        (None, "NaN"),
        (None, "+Inf"),
        (None, "-Inf"),
        (0.0, None),
    ]
    row = json.loads(written(reports.nodes_table(), "json"))["data"][4]
    assert (row["round"], row["round_text"], row["cpu"]) == (None, "NaN", None)


def test_json_rows_are_raw_values() -> None:
    """A script gets seconds and ratios, RFC 3339 and words, never "41 %"."""
    row = json.loads(written(reports.nodes_table(), "json"))["data"][0]
    assert (row["memory"], row["verdict"], row["restarted"]) == (0.41, "pass", "2025-03-09T02:12:44Z")
    assert row["trend"][8:11] == [2.1, None, 2.0]


def test_json_survives_a_stream_without_unicode() -> None:
    """An ASCII stream gets the same JSON, escaped."""
    report = Report("x", "節点 😀", reports.NOW)
    assert json.loads(encoded(report, "json", "ascii"))["context"] == "節点 😀"


@relaxed
@given(report_strategies.reports)
def test_any_report_is_well_formed_junit(report: Report) -> None:
    """A CI server can parse every report, and its numbers agree with its cases."""
    text = written(report, "junit")
    root = ET.fromstring(text)
    suite = root[0]
    cases = suite.findall("testcase")
    assert int(suite.attrib["tests"]) == len(cases) == len(report.results)
    assert int(suite.attrib["failures"]) == len(suite.findall("testcase/failure")) == report.counts[Verdict.FAIL]
    assert int(suite.attrib["errors"]) == len(suite.findall("testcase/error")) == report.counts[Verdict.UNKNOWN]
    assert int(suite.attrib["skipped"]) == len(suite.findall("testcase/skipped")) == report.counts[Verdict.SKIP]
    assert not {char for char in text if unicodedata.category(char) in HIDDEN} - {"\n"}


def test_junit_cases_are_addressed_by_check_id() -> None:
    """classname.name is the id; a failure tells the whole story; a warning passes and says so."""
    suite = ET.fromstring(written(reports.mixed(), "junit"))[0]
    by_id = {f"{case.attrib['classname']}.{case.attrib['name']}": case for case in suite.findall("testcase")}
    failure = by_id["consensus.round-duration"].find("failure")
    assert failure is not None and failure.text is not None
    assert failure.attrib["message"].startswith("rounds are slow on 3 of 4 nodes")
    for part in ("fail trainer-3: 44.2 s (at most 30 s)", "Runbook: slow-consensus", "curl -sG"):
        assert part in failure.text
    assert by_id["learning.aggregation-time"].find("error") is not None
    warning = by_id["security.cert-days"]
    assert warning.find("failure") is None and warning.findtext("system-out", "").startswith("WARN: 9 certificates")
    assert len(by_id["nodes.up"]) == 0


def test_short_is_one_line_with_the_verdict_first() -> None:
    """A pager shows the word, the counts and the worst finding; a monitoring system reads the rest."""
    line = written(reports.mixed(), "short")
    words, _, data = line.rstrip("\n").partition(" | ")
    assert words == (
        "FAIL - 2 fail, 1 unknown, 1 warn, 8 pass, 2 skip: consensus.round-duration trainer-3 44.2 s (at most 30 s)"
    )
    assert "'consensus.round-duration'=44.23s;~:10;~:30" in data
    assert "'capacity.memory'=94.3%;;~:90" in data
    assert "'security.cert-days'=12.5;30:;7:" in data
    assert written(reports.all_pass(), "short").startswith("PASS - 8 pass | ")
    assert written(reports.query_table(), "short") == "PASS - 4 rows\n"


def test_short_fits_what_collects_it() -> None:
    """However many checks there are, the line is below 4 kB and its last value is whole; values have six digits."""
    one = reports.slow_rounds()
    many = tuple(replace(one, id=f"consensus.round-duration-{number}") for number in range(500))
    line = written(replace(reports.mixed(), results=many), "short")
    assert 3800 < len(line) <= 4001
    *_, last = line.split()
    assert last.split("=")[1] == line.split("| ")[1].split()[0].split("=")[1]
    odd = replace(one.findings[0], value=99.205571591234)
    line = written(replace(reports.mixed(), results=(replace(one, findings=(odd,)),)), "short")
    assert "=99.2056s;" in line


def test_short_says_why_when_nobody_could_look() -> None:
    """Without a finding the summary of the worst check stands there."""
    blind = reports.blind()
    late = Report("health", "local", reports.NOW, results=blind.results[-1:])
    assert written(late, "short") == ("UNKNOWN - 1 unknown: stack.grafana not reached within the deadline of 20 s\n")
    assert written(Report("health", "x", reports.NOW), "short") == "UNKNOWN - nothing was looked at\n"


@relaxed
@given(report_strategies.reports)
def test_any_report_is_one_line_of_text_and_perfdata(report: Report) -> None:
    """One line, one bar at most, and perfdata by the grammar of the monitoring plugins."""
    line = written(report, "short")
    assert line.endswith("\n") and line.count("\n") == 1
    words, bar, data = line[:-1].partition(" | ")
    assert words.split(" ")[0] == report.verdict.upper()
    assert len(words) < WORDS_LIMIT + 150 and "|" not in words + data
    assert PERFDATA.sub("", data) == ""
    assert bool(bar) == bool(data)
    assert not {char for char in line if unicodedata.category(char) in HIDDEN} - {"\n"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10.0, "10"),
        (0.1, "0.1"),
        (1e18, "1000000000000000000"),
        (1e-12, "0"),
        (-0.0, "0"),
        (-2.5, "-2.5"),
        (100, "100"),
    ],
)
def test_perfdata_numbers_have_no_exponent(value: float, text: str) -> None:
    """The guidelines know digits, a sign and a point."""
    assert decimal(value) == text


def test_csv_is_the_table_in_raw_values() -> None:
    """A spreadsheet gets column keys, unscaled numbers and RFC 3339."""
    rows = list(csv.DictReader(io.StringIO(written(reports.nodes_table(), "csv"))))
    assert rows[0]["memory"] == "0.41"
    assert rows[0]["restarted"] == "2025-03-09T02:12:44Z"
    assert rows[4]["cpu"] == "" and rows[4]["round"] == "NaN"
    assert rows[0]["trend"].split(";")[8:10] == ["2.1", "NaN"]


def test_csv_of_checks_is_their_findings() -> None:
    """A command without a table gives a row for each finding."""
    rows = list(csv.DictReader(io.StringIO(written(reports.mixed(), "csv"))))
    sick = [row for row in rows if row["check"] == "consensus.round-duration" and row["verdict"] == "fail"]
    assert [(row["value"], row["fail"]) for row in sick] == [("44.23", "~:30"), ("31", "~:30")]


def test_csv_defuses_formulas_but_leaves_numbers() -> None:
    """A label that begins like a formula does not run in a spreadsheet; a histogram's +Inf stays what it is."""
    table = Table((Column("a", "a"),), ({"a": "=cmd()"}, {"a": "+Inf"}, {"a": "-1"}, {"a": "@x"}, {"a": "\x1b"}))
    text = written(Report("query", "x", reports.NOW, data=table), "csv")
    assert text.splitlines() == ["a", "'=cmd()", "+Inf", "-1", "'@x", r"\x1b"]


def test_csv_writes_ranges_as_they_are() -> None:
    """An inverted range begins with @ and is nobody's formula."""
    held = Finding("x", Verdict.PASS, "fine", 3.0, None, Threshold(Range(10, 20, inside=True), at_most(30)))
    report = Report("x", "x", reports.NOW, results=(Result("a.b", "t", Verdict.PASS, "s", (held,)),))
    assert "@10:20,~:30" in written(report, "csv")


@relaxed
@given(report_strategies.reports)
def test_any_report_is_csv_of_even_rows(report: Report) -> None:
    """Every row has as many cells as the header, and nothing in them can hurt."""
    text = written(report, "csv")
    rows = list(csv.reader(io.StringIO(text)))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert not {char for char in text if unicodedata.category(char) in HIDDEN} - {"\n"}


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_every_format_survives_every_encoding(fmt: str, encoding: str) -> None:
    """A terminal of the last century is no reason for a traceback."""
    assert encoded(reports.hostile("節点 é 😀 \x9b"), fmt, encoding).decode(encoding)


def test_an_unknown_format_is_named() -> None:
    """A programmer's mistake says what there is."""
    with pytest.raises(ValueError, match="'yaml'; there are table, json, junit, short, csv"):
        render_report(reports.mixed(), "yaml", io.StringIO())


def test_evidence_reaches_json_unchanged() -> None:
    """A script can run the command as it is."""
    command = "curl -sG http://x --data-urlencode 'query=up{a=\"é\"} > 0'"
    result = Result("a.b", "t", Verdict.PASS, "s", evidence=(Evidence("Prometheus", command),))
    told = json.loads(written(Report("x", "x", reports.NOW, results=(result,)), "json"))
    assert told["checks"][0]["evidence"][0]["command"] == command


def test_short_tells_the_answer_of_a_query_and_names_the_alert() -> None:
    """The line says what was found, not only that it passed; a value without a limit does not stand for an alert."""
    passed = Result("query", "T", Verdict.PASS, "6 series")
    asked = Report("query", "x", reports.NOW, results=(passed,), data=reports.query_table().data)
    assert written(asked, "short") == "PASS - 1 pass: 6 series\n"
    fires = Finding("Down 10.0.0.3", Verdict.FAIL, "is firing, for 5 m", 0.0, labels={"node": "trainer-3"})
    alert = Result("alerts.critical", "T", Verdict.FAIL, "1 critical: Down on trainer-3", (fires,))
    line = written(Report("health", "x", reports.NOW, results=(alert,)), "short")
    assert line.startswith("FAIL - 1 fail: alerts.critical 1 critical: Down on trainer-3 | ")
