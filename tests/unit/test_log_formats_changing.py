"""A log whose lines are of another format from some place on is read as if its format had been known all along."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshdiag.logs.opening.files import find
from meshdiag.logs.patterns.recurring import top
from meshdiag.logs.rates import rates
from meshdiag.logs.record import Level, nanoseconds
from meshdiag.logs.scan import copying
from meshdiag.logs.scan.blocks import Sizes
from meshdiag.logs.search import copy, count, search
from meshdiag.logs.selection import Pattern, Selection
from meshdiag.logs.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from meshdiag.logs.record import Record

BEGIN = datetime(2026, 3, 9, 3, tzinfo=UTC)
LEVELS = (Level.INFO, Level.INFO, Level.WARN, Level.ERROR)
ERRORS = frozenset({Level.ERROR})


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _object(moment: datetime, level: Level, number: int) -> str:
    return json.dumps({"ts": _stamp(moment), "level": level.name, "component": "raft", "msg": f"said {number}"})


def _syslog(moment: datetime, level: Level, number: int) -> str:
    return f"<{ {2: 14, 3: 12, 4: 11}[level] }>{moment:%b %d %H:%M:%S} host raft[7]: said {number}"


KINDS: dict[str, Callable[[datetime, Level, int], str]] = {
    "text": lambda at, level, number: f"{_stamp(at)} {level.name:5} [raft] said {number}",
    "object": _object,
    "other object": lambda at, level, number: json.dumps(
        {"severity": level.name.lower(), "message": f"said {number}", "timestamp": at.timestamp()}
    ),
    "pairs": lambda at, level, number: f'time="{_stamp(at)}" level={level.word} msg="said {number}"',
    "comma": lambda at, level, number: f"{at:%Y-%m-%d %H:%M:%S},000 - raft - {level.name} - said {number}",
    "syslog": _syslog,
    "glog": lambda at, level, number: f"{level.name[0]}{at:%m%d %H:%M:%S}.000000 7 raft.go:12] said {number}",
    "epoch": lambda at, level, number: f"{at.timestamp():.3f} [{level.name}] said {number}",
    "docker object": lambda at, level, number: json.dumps(
        {"log": _object(at, level, number) + "\n", "stream": "stdout", "time": _stamp(at)}
    ),
    "docker text": lambda at, level, number: json.dumps(
        {"log": f"[{level.name}] said {number}\n", "stream": "stdout", "time": _stamp(at)}
    ),
    "CRI text": lambda at, level, number: f"{_stamp(at)} stdout F {level.name} said {number}",
    "CRI object": lambda at, level, number: f"{_stamp(at)} stdout F {_object(at, level, number)}",
}
"""How each kind of log writes a record."""


def _written(path: Path, parts: Sequence[tuple[str, int]]) -> list[tuple[datetime, Level, int]]:
    """Write a log of parts (kind, records), a record a second; what each record says."""
    said: list[tuple[datetime, Level, int]] = []
    lines: list[str] = []
    for kind, records in parts:
        for _ in range(records):
            number = len(said)
            one = BEGIN + timedelta(seconds=number), LEVELS[number * 7 % 4], number
            said.append(one)
            lines.append(KINDS[kind](*one))
    path.write_text("".join(f"{line}\n" for line in lines))
    end = said[-1][0].timestamp()
    os.utime(path, (end, end))  # which gives syslog its year
    return said


def _found(path: Path, asked: Selection, sizes: Sizes) -> list[Record]:
    return list(search(find([str(path)], Tally()), asked, Tally(), zone=UTC, sizes=sizes))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.integers(300, 900)), min_size=2, max_size=4),
    st.sampled_from([8 * 1024, 12 * 1024]),
    st.integers(0, 3),
)
def test_each_part_is_read_as_what_it_is(tmp_path: Path, parts: list[tuple[str, int]], block: int, choice: int) -> None:
    """Whatever kinds of lines follow one another, the prefiltered searches give the records, levels and times that were
    written, also around a word, in a window and at the end."""
    path = tmp_path / "a.log"
    said = _written(path, [(parts[0][0], 1500), *parts])  # more than is looked at in the beginning
    half = nanoseconds(BEGIN + timedelta(seconds=len(said) // 2))
    asked = (
        Selection(levels=ERRORS),
        Selection(levels=ERRORS, patterns=(Pattern("9"),)),
        Selection(levels=ERRORS, since_ns=half),
        Selection(levels=ERRORS, tail=40),
    )[choice]
    expected = [
        (nanoseconds(at), number)
        for at, level, number in said
        if level is Level.ERROR
        and (asked.since_ns is None or nanoseconds(at) >= asked.since_ns)
        and (not asked.patterns or b"9" in _raw(parts, at, level, number))
    ][-(asked.tail or 0) :]
    sizes = Sizes(block=block)
    found = _found(path, asked, sizes)
    assert [record.message.partition(" ")[2] for record in found] == [str(number) for _, number in expected]
    assert [(record.time_ns or 0) // 10**9 for record in found] == [time_ns // 10**9 for time_ns, _ in expected]
    assert {record.level for record in found} <= {Level.ERROR}
    assert count(find([str(path)], Tally()), asked, Tally(), zone=UTC, sizes=sizes) == len(expected)


def _raw(parts: Sequence[tuple[str, int]], at: datetime, level: Level, number: int) -> bytes:
    """The line of a record."""
    left = number - 1500
    if left < 0:
        return KINDS[parts[0][0]](at, level, number).encode()
    for kind, records in parts:
        if left < records:
            return KINDS[kind](at, level, number).encode()
        left -= records
    raise AssertionError(number)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[datetime, Level, int]]]:
    """A log that turns from text to objects deep within, and to another version's objects later."""
    path = tmp_path_factory.mktemp("logs") / "a.log"
    return path, _written(path, [("text", 40_000), ("object", 20_000), ("other object", 30_000)])


def test_a_large_log_is_searched_by_two_processes(
    large: tuple[Path, list[tuple[datetime, Level, int]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copying in parts, by two processes, gives every line of the level, whichever process meets the change first."""
    path, said = large
    monkeypatch.setattr(copying, "PARALLEL_BYTES", 0)
    monkeypatch.setattr(copying, "PART_BYTES", 512 * 1024)
    monkeypatch.setattr(copying, "LARGEST_PART", 512 * 1024)
    with (tmp_path / "out").open("wb") as out:
        copy(find([str(path)], Tally()), Selection(levels=ERRORS), out.fileno(), Tally(), zone=UTC)
    lines = (tmp_path / "out").read_text().splitlines()
    expected = [str(number) for _, level, number in said if level is Level.ERROR]
    assert [re.findall(r"said (\d+)", line)[0] for line in lines] == expected


def test_a_window_behind_a_change_is_found_without_reading_what_is_before(
    large: tuple[Path, list[tuple[datetime, Level, int]]],
) -> None:
    """The last minute of a log whose format changed is found by few looks, and so is a window of the first part."""
    path, said = large
    for begin in (len(said) - 60, 20_000, 45_000):
        tally = Tally()
        since = nanoseconds(said[begin][0])
        asked = Selection(since_ns=since, until_ns=since + 60 * 10**9)
        found = list(search(find([str(path)], Tally()), asked, tally, zone=UTC))
        assert [record.time_ns for record in found] == [nanoseconds(at) for at, *_ in said[begin : begin + 60]]
        assert tally.bytes_read < path.stat().st_size / 3


def test_what_is_summed_up_knows_the_change(large: tuple[Path, list[tuple[datetime, Level, int]]]) -> None:
    """Rates and recurring messages count the records of all parts, each once."""
    path, said = large
    files = find([str(path)], Tally())
    course = rates(files, Selection(), Tally(), zone=UTC)
    counted = {name: sum(counts.get(name, 0) for _, counts in course.rows()) for name in ("info", "warn", "error")}
    assert counted == {word: sum(level.word == word for _, level, _ in said) for word in counted}
    patterns = top(files, Selection(levels=ERRORS), Tally(), zone=UTC).patterns
    assert sum(one.count for one in patterns) == counted["error"]
    assert {one.level for one in patterns} == {Level.ERROR}


def test_lines_that_are_of_no_format_change_nothing(tmp_path: Path) -> None:
    """Numbers, tables and stack traces within records are no new format, however many there are."""
    path = tmp_path / "a.log"
    trace = ["java.lang.IllegalStateException: 12:30:59", "\tat x.Y.z(Y.java:1234567)", "2026 rows of 123456 read"]
    lines = [
        part for n in range(3000) for part in (KINDS["text"](BEGIN + timedelta(seconds=n), Level.ERROR, n), *trace * 9)
    ]
    path.write_text("".join(f"{line}\n" for line in lines))
    found = _found(path, Selection(levels=ERRORS), Sizes(block=8192))
    assert len(found) == 3000
    assert {record.raw.count(b"\n") for record in found} == {27}
