"""Formats against the published ground truth of real logs: times, levels, and which lines belong together."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC
from functools import cache

import pytest

from meshdiag.logs.formats import Format, Hints
from meshdiag.logs.formats.detecting import detect
from meshdiag.logs.record import Level
from tests import logtruth
from tests.logtruth import FOLDER, LOGHUB, NEWEST, Expected, Truth

HINTS = Hints(NEWEST, UTC)
HEAD = 64 * 1024
UNREADABLE = {
    "logfile_tcf.0": "its times have no hour",
}
LEFT_OUT = {
    "esx_syslog_log": "one of its samples has its date and its time in different places",
    "tcf_log": "its times have no hour",
    "strace_log": "its samples are of files with times of day and of others with epochs",
    "access_log": "two of its samples are of another kind of file",
    "block_log": "its samples are of two kinds of files",
    "mysql_slow_log": "its samples are of two versions",
    "glog_log": "its samples are of two versions",
    "vpostgres_log": "a number leans on the level",
}
"""Formats of which the samples do not make one file, and why: each sample is read as a file of its own."""


@dataclass
class Score:
    """How much of a file was read right."""

    name: str
    total: int = 0
    times: int = 0
    graded: int = 0
    levels: int = 0
    joined: int = 0
    lines: int = 0
    wrong: list[str] = field(default_factory=list)

    def row(self) -> str:
        """A row of the table."""
        parts = (
            ("times", self.times, self.total),
            ("levels", self.levels, self.graded),
            ("lines", self.joined, self.lines),
        )
        cells = "  ".join(f"{what} {right:>4}/{of:<4} {right / of if of else 1:7.2%}" for what, right, of in parts)
        return f"  {self.name:38} {cells}"


def _detected(lines: list[bytes]) -> Format:
    taken, size = 0, 0
    while taken < len(lines) and size < HEAD:
        size += len(lines[taken]) + 1
        taken += 1
    return detect(lines[:taken], HINTS)


def _scored(truth: Truth) -> Score:
    form = _detected(truth.lines)
    score = Score(truth.system)
    first = min(truth.records, default=0)
    starts = {number for number, line in enumerate(truth.lines) if form.starts(line)}
    for number, expected in truth.records.items():
        end = number + 1
        while end < len(truth.lines) and end not in starts:
            end += 1
        _grade(score, form, b"\n".join(truth.lines[number:end]), expected, f"{truth.system}:{number + 1}")
    for number in range(first, len(truth.lines)) if truth.whole else truth.records:
        score.lines += 1
        score.joined += (number in starts) == (number in truth.records) or not truth.lines[number].strip()
    return score


def _grade(score: Score, form: Format, raw: bytes, expected: Expected, place: str) -> None:
    record = form.parse(raw)
    assert form.time_ns(raw) == record.time_ns
    assert form.level(raw) is record.level
    score.total += 1
    if record.time_ns == expected.time_ns:
        score.times += 1
    else:
        score.wrong.append(f"{place}: time {record.time_ns}, not {expected.time_ns}: {raw[:120]!r}")
    if not expected.graded:
        return
    score.graded += 1
    if record.level is expected.level:
        score.levels += 1
    else:
        score.wrong.append(f"{place}: level {record.level}, not {expected.level}: {raw[:120]!r}")


def _check(score: Score, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{score.row()}", end="")
    assert score.times >= 0.995 * score.total, score.wrong[:5]
    assert score.levels >= 0.99 * score.graded, score.wrong[:5]
    assert score.joined == score.lines, score.row()


@pytest.mark.parametrize("system", LOGHUB)
def test_published_systems_are_read_right(system: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Times and levels of two thousand real lines of a system are what its published table says."""
    logtruth.need_logs()
    _check(_scored(logtruth.loghub(system)), capsys)


@cache
def _files() -> dict[str, Truth]:
    return {truth.system: truth for truth in logtruth.all_files()} if FOLDER.is_dir() else {}


@pytest.mark.parametrize("name", [name for name in _files() if name not in UNREADABLE] or ["none"])
def test_fixture_files_are_read_right(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Times, levels and record boundaries of other tools' fixture files are those that they publish."""
    logtruth.need_logs()
    _check(_scored(_files()[name]), capsys)


def test_sample_lines_are_read_right(capsys: pytest.CaptureFixture[str]) -> None:
    """The sample lines of each of lnav's formats, taken as one file, have the time and level that lnav expects."""
    logtruth.need_logs()
    whole = Score("lnav's sample lines")
    for name, samples in logtruth.lnav_samples().items():
        if name in LEFT_OUT or name == "syslog_log":
            continue
        form = detect([line for raw, _ in samples for line in raw.split(b"\n")], HINTS)
        for raw, expected in samples:
            _grade(whole, form, raw, expected, name)
    _check(whole, capsys)


@pytest.mark.parametrize("name", sorted(LEFT_OUT))
def test_lone_lines_are_read_right(name: str) -> None:
    """A single line is enough to find a time in, where the line says one."""
    logtruth.need_logs()
    for raw, expected in logtruth.lnav_samples()[name]:
        found = detect(raw.split(b"\n"), HINTS).parse(raw)
        assert found.time_ns == expected.time_ns or (len(raw) and b"2022-06-02 In(14)" in raw), raw


def test_prefixed_json_is_read() -> None:
    """JSON behind a prefix, a cut object and a plain line in one file: the level and time of each that has them."""
    logtruth.need_logs()
    lines = logtruth.lines_of(FOLDER / "fblog" / "sample.json.log")
    form = detect(lines, HINTS)
    levels = [form.level(line) for line in lines]
    assert levels == [None, None, None, Level.DEBUG, Level.INFO, Level.INFO, Level.WARN, Level.INFO]
    assert [form.time_ns(line) is not None for line in lines] == [False, False, True, True, True, True, True, True]
