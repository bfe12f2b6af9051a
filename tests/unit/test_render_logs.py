"""Log records as lines, NDJSON and CSV: readable, complete, and harmless whatever stands in them."""

from __future__ import annotations

import csv
import io
import json
import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.logs.patterns.recurring import Found, Recurring
from meshdiag.logs.rates import Rates
from meshdiag.logs.record import NS, Level, Record
from meshdiag.render.histogram import histogram
from meshdiag.render.log_data import COLUMNS, csv_head, rfc3339_ns, to_csv_row, to_json_line
from meshdiag.render.log_lines import Dress, LogLines, short_names
from meshdiag.render.log_patterns import as_lines

MOMENT = 1_773_025_200 * NS
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
HARMFUL = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}

NASTY = st.sampled_from(
    ["\x1b]0;owned\x07", "\x1b[2J", "\u202e", "\x9b31m", "[bold]", "\r", "\n", "\t", "\x00", "é", "\ud800"]
)
TEXT = st.lists(NASTY | st.text(max_size=4), max_size=4).map("".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=5,
)
RECORDS = st.builds(
    Record,
    st.binary(max_size=20),
    st.none() | st.integers(-(2**66), 2**66),
    st.none() | st.sampled_from(Level),
    TEXT,
    TEXT,
    TEXT,
    st.dictionaries(TEXT, VALUES, max_size=3),
    TEXT,
    st.none() | st.integers(1, 9),
)


@given(RECORDS, st.booleans(), st.booleans(), st.booleans())
def test_lines_do_no_harm(record, colour, dates, files):
    """Beside our own colours nothing that a terminal obeys comes out, and every line ends."""
    text = LogLines(Dress(colour=colour, utc=True, dates=dates, files=files)).text(record)
    assert text.endswith("\n")
    left = COLOUR.sub("", text) if colour else text
    assert not [char for char in left if char != "\n" and unicodedata.category(char) in HARMFUL]


@given(RECORDS)
def test_a_line_of_json_is_one_line_and_valid(record):
    """One object with the keys of the contract, without NaN, on a line that any stream can carry."""
    line = to_json_line(record)
    assert line.count("\n") == 1
    told = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert list(told) == list(COLUMNS)
    assert not [char for char in line[:-1] if unicodedata.category(char) in ("Cc", "Cf", "Cs")]
    assert to_json_line(record, ascii_only=True).isascii()


@given(RECORDS)
def test_a_row_of_csv_has_its_columns(record):
    """Whatever stands in a record, it is one row of as many cells as there are columns."""
    (head, row) = csv.reader(io.StringIO(csv_head() + to_csv_row(record)))
    assert head == list(COLUMNS)
    assert len(row) == len(COLUMNS)
    assert not [cell for cell in row[4:6] if cell[:1] in "=@" and cell]


def test_a_line_says_when_how_grave_who_and_what():
    """Time, level, component, node, message, then the fields that say something else."""
    fields = {
        "ts": "x",
        "level": "WARN",
        "node": "a",
        "consensus": {"round": 7, "ok": True},
        "why": "two words",
        "n": None,
    }
    record = Record(b"", MOMENT + 5_000_000, Level.WARN, "consensus", "a", "slow", fields)
    assert LogLines(Dress(utc=True)).text(record) == (
        '2026-03-09 03:00:00.005 WARN  consensus a slow consensus.round=7 consensus.ok=true why="two words" n=null\n'
    )


def test_continuation_lines_stand_below():
    """A stack trace stays readable: indented, bounded."""
    message = "\n".join(["boom", "  at foo", "", *(f"  at {n}" for n in range(500))])
    lines = LogLines(Dress(utc=True)).text(Record(b"", MOMENT, Level.ERROR, "", "", message)).splitlines()
    assert lines[0].endswith("ERROR boom")
    assert lines[1] == "      at foo"
    assert lines[-1] == "    ... (303 more lines)"
    assert len(lines) < 210


def test_a_new_date_is_told_once():
    """On a terminal the date stands on a line of its own when it changes."""
    printer = LogLines(Dress(utc=True, dates=False))
    days = [printer.text(Record(b"", MOMENT + n * 3600 * NS, None, "", "", "x")) for n in (0, 1, 22)]
    assert [text.count("-- ") for text in days] == [1, 0, 1]
    assert days[2].startswith("-- 2026-03-10 UTC --\n")


def test_files_are_called_by_as_much_as_tells_them_apart():
    """A name alone where that is enough, folders before it where it is not."""
    assert short_names(["/var/a.log", "/var/b.log"]) == {"/var/a.log": "a.log", "/var/b.log": "b.log"}
    assert short_names(["/x/one/a.log", "/x/two/a.log", "-"]) == {
        "/x/one/a.log": "one/a.log",
        "/x/two/a.log": "two/a.log",
        "-": "-",
    }


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (MOMENT, "2026-03-09T03:00:00Z"),
        (MOMENT + 120_000_000, "2026-03-09T03:00:00.120Z"),
        (MOMENT + 1_000, "2026-03-09T03:00:00.000001Z"),
        (MOMENT + 1, "2026-03-09T03:00:00.000000001Z"),
        (-62_135_596_800 * NS, "0001-01-01T00:00:00Z"),
    ],
)
def test_times_are_as_fine_as_they_are(time_ns, text):
    """Nothing is rounded away, and no digits are made up."""
    assert rfc3339_ns(time_ns) == text


@pytest.fixture
def berlin(monkeypatch):
    """Local time is Berlin's, whose clocks went back at 01:00 UTC on 25 October 2026."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_the_hour_that_comes_twice_is_told_apart(berlin):
    """Where the clocks were changed, the zone is said again, in lines, of patterns and above a chart."""
    change_ns = 1_792_890_000 * NS  # 2026-10-25 01:00 UTC
    lines = LogLines(Dress(dates=False))
    records = [Record(b"", change_ns + minutes * 60 * NS, Level.ERROR, message="boom") for minutes in (-1, -1, 1)]
    text = "".join(map(lines.text, records))
    assert [line for line in text.splitlines() if line.startswith("--")] == [
        "-- 2026-10-25 +0200 --", "-- 2026-10-25 +0100 --"
    ]  # fmt: skip
    assert text.count("02:59:00.000") == 2
    assert "02:01:00.000" in text
    one = Recurring("boom", Level.ERROR, 3, 0, change_ns - 60 * NS, change_ns + 60 * NS, b"")
    (said,) = [line.strip() for line in as_lines(Found((one,), 3)) if "02:59" in line]
    assert said == "02:59:00 CEST to 02:01:00 CET"


def test_names_that_differ_at_their_end_are_told_apart():
    """Nodes are numbered at the end of their names: a row of the chart keeps it, and no line grows."""
    names = ("aggregator-1", "aggregator-2", "mesh-production-trainer-17", "mesh-production-trainer-18")
    drawn = histogram(Rates("node", 0, NS, dict.fromkeys(names, (1, 2))), width=60, utc=True)
    rows = [line for line in drawn.splitlines() if "█" in line and line[0].isalpha()]
    assert [row[:14].rstrip() for row in rows] == ["aggregator-1", "aggregator-2", "mesh...iner-17", "mesh...iner-18"]
    assert len({row.index(" 3 ") for row in rows}) == 1
