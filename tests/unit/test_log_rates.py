"""Rates over time: every record in its bucket, buckets that people can think in, and a drawing of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from meshdiag.logs.opening.files import find
from meshdiag.logs.rates import OTHERS, By, Course, Rates, rates
from meshdiag.logs.record import NS, Level, Record
from meshdiag.logs.selection import Selection
from meshdiag.logs.tally import Tally
from meshdiag.render.histogram import columns, histogram

BEGIN = datetime(2026, 1, 31, 3, tzinfo=UTC)
BEGIN_NS = int(BEGIN.timestamp()) * NS


def line(seconds: float, level: str = "INFO", component: str = "raft", message: str = "round") -> str:
    """A line of the mesh's text log."""
    when = (BEGIN + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{when} {level} [{component}] {message}\n"


def written(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(lines))
    return path


def told(path: Path, selection: Selection | None = None, *, by: By = "level", buckets: int = 60) -> Rates:
    tally = Tally()
    return rates(find([str(path)], tally), selection or Selection(), tally, by=by, buckets=buckets)


def test_each_record_is_in_the_bucket_of_its_time(tmp_path: Path) -> None:
    """By level, the gravest first; empty buckets are zeroes, not missing."""
    path = written(tmp_path / "a.log", [line(0), line(1.5, "ERROR"), line(2, "WARN"), line(5), line(5.999)])
    found = told(path)
    assert (found.begin_ns, found.width_ns, found.untimed) == (BEGIN_NS, NS, 0)
    assert dict(found.counts) == {
        "error": (0, 1, 0, 0, 0, 0),
        "warn": (0, 0, 1, 0, 0, 0),
        "info": (1, 0, 0, 0, 0, 2),
    }
    assert list(found.counts) == ["error", "warn", "info"]
    assert found.total == (1, 1, 1, 0, 0, 2)
    assert found.rows()[5] == (BEGIN_NS + 5 * NS, {"error": 0, "warn": 0, "info": 2})


def test_records_of_components_and_nodes(tmp_path: Path) -> None:
    """Ordered by how often they came; names that differ in a digit stay apart; ``-`` is for those that name none."""
    lines = [
        f'{{"ts":"2026-01-31T03:00:{n:02d}Z","level":"info","component":"c{n % 2}","node":"node-{n % 3}","msg":"x"}}\n'
        for n in range(30)
    ]
    lines.append('{"ts":"2026-01-31T03:00:30Z","level":"info","component":"c1","msg":"x"}\n')
    path = written(tmp_path / "a.json", lines)
    assert {name: sum(counts) for name, counts in told(path, by="component").counts.items()} == {"c1": 16, "c0": 15}
    by_node = {name: sum(counts) for name, counts in told(path, by="node").counts.items()}
    assert by_node == {"node-0": 10, "node-1": 10, "node-2": 10, "-": 1}


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from(["INFO", "ERROR"]), st.sampled_from(["raft", "net"]))))
def test_a_log_in_order_is_counted_as_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[int, str, str]]
) -> None:
    """Times between two that fall into one bucket are not read: the counts are those of a reader of every line."""
    made.sort(key=lambda one: one[0])
    path = written(
        tmp_path_factory.mktemp("rates") / "a.log",
        (line(seconds, level, component) + "\tat trace\n" * (seconds % 3) for seconds, level, component in made),
    )
    names: dict[By, list[str]] = {"level": [one[1].lower() for one in made], "component": [one[2] for one in made]}
    for by, named in names.items():
        found = told(path, by=by, buckets=100)
        expected = Counter((one[0], name) for one, name in zip(made, named, strict=True))
        counted = {
            ((when - BEGIN_NS) // NS, name): count
            for when, counts in found.rows()
            for name, count in counts.items()
            if count
        }
        assert counted == expected


def test_lines_that_continue_a_record_count_for_nothing(tmp_path: Path) -> None:
    """A stack trace of forty lines is one error."""
    path = written(tmp_path / "a.log", [line(0, "ERROR") + "\tat one\n" * 40, line(1)])
    assert told(path).total == (1, 1)


def test_only_wanted_records_are_counted_and_the_window_is_the_one_asked_for(tmp_path: Path) -> None:
    """An hour without a record is an hour of zeroes: the axis does not begin where the records do."""
    path = written(
        tmp_path / "a.log", [line(3000 + seconds, "ERROR" if seconds % 2 else "INFO") for seconds in range(10)]
    )
    asked = Selection(levels=frozenset({Level.ERROR}), since_ns=BEGIN_NS, until_ns=BEGIN_NS + 3600 * NS)
    found = told(path, asked)
    assert (found.begin_ns, found.width_ns, len(found.total)) == (BEGIN_NS, 60 * NS, 60)
    assert (sum(found.total), found.total[50]) == (5, 5)


@pytest.mark.parametrize(
    ("seconds", "buckets", "width"),
    [
        (40, 60, 1),
        (60, 60, 1),
        (61, 60, 2),
        (3600, 60, 60),
        (3601, 60, 120),
        (86400, 48, 1800),
        (90 * 86400, 60, 604800),
    ],
)
def test_widths_are_those_that_people_think_in(seconds: int, buckets: int, width: int) -> None:
    """The smallest that fits: seconds, minutes, quarters of an hour, days, weeks."""
    course = Course("level")
    for second in (0, seconds - 1):
        course.count(BEGIN_NS - 3 * 3600 * NS + second * NS, "info", 1)
    found = course.rates(buckets=buckets)
    assert found.width_ns == width * NS
    assert len(found.total) <= buckets
    assert sum(found.total) == 2


def test_days_begin_at_midnight_where_the_reader_is() -> None:
    """In local time a day is not that of UTC."""
    zone = ZoneInfo("Asia/Kolkata")
    course = Course("level")
    for day in range(30):
        course.count(BEGIN_NS + day * 86400 * NS, "info", 1)
    found = course.rates(buckets=40, zone=zone)
    begins = datetime.fromtimestamp(found.begin_ns / NS, zone)
    assert (begins.hour, begins.minute, found.width_ns) == (0, 0, 86400 * NS)
    assert found.total == (1,) * 30


def test_a_long_log_of_many_names_takes_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets become wider while it is read, rare names come together, and nothing is lost from the sum."""
    monkeypatch.setattr("meshdiag.logs.rates.MOST_CELLS", 1000)
    monkeypatch.setattr("meshdiag.logs.rates.MOST_NAMES", 20)
    course = Course("node")
    for number in range(20_000):
        course.add(Record(b"", BEGIN_NS + number * NS, node="often" if number % 2 else f"node-{number}"))
        assert len(course._cells) <= 1001
    found = course.rates(buckets=50)
    assert sum(found.total) == 20_000
    assert next(iter(found.counts)) == "often"
    assert sum(found.counts["often"]) == 10_000
    assert list(found.counts)[-1] == OTHERS


def test_records_without_a_time_are_told(tmp_path: Path) -> None:
    """They are in no column, and that is said."""
    path = written(tmp_path / "a.log", ["no time here\n"] * 5)
    found = told(path)
    assert (found.untimed, found.total) == (5, ())
    assert "5 records have no time" in histogram(found)


# Drawn


def drawn(counts: dict[str, tuple[int, ...]], **how: object) -> list[str]:
    return histogram(Rates("level", BEGIN_NS, NS, counts), utc=True, **how).splitlines()  # type: ignore[arg-type]


def test_a_drawing_has_a_row_for_each_name_on_one_axis() -> None:
    """One error is seen beside a thousand records; a second without any is blank."""
    lines = drawn({"error": (0, 0, 1, 0), "info": (500, 1000, 1000, 0)})
    error, info = (next(one for one in lines if one.startswith(name)) for name in ("error", "info"))
    assert error.endswith("█")
    assert error.index("█") == info.index("▄") + 2
    assert "2,500" in info
    assert "2026-01-31 03:00:00 to 03:00:04 UTC" in lines[0]
    assert any("03:00:00" in one for one in lines[1:])


def test_a_drawing_fits_and_needs_neither_colour_nor_unicode() -> None:
    """At 80 columns, in ASCII, with a name that would move the cursor."""
    size = columns(80)
    counts = {"evil\x1b[2J\u202ename that is long": tuple(range(size)), **{f"n{n}": (n,) * size for n in range(30)}}
    lines = drawn(counts, width=80, ascii_only=True)
    assert all(one.isascii() and one.isprintable() and cell_len(one) <= 80 for one in lines)
    assert "11 more levels are not shown" in lines[-1]
    assert "\x1b[31m" in histogram(Rates("level", BEGIN_NS, NS, {"error": (1,)}), colour=True)


def test_nothing_is_said_as_nothing() -> None:
    """No records, no chart."""
    assert histogram(Rates("level", 0, NS, {})) == "no records\n"
