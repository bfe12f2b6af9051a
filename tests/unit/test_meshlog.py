"""The mesh's log files: what they say is read in the window asked for, whatever else stands in them."""

from __future__ import annotations

import json
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from meshdiag.logs import errors
from meshdiag.logs.opening.compressed import MAGIC
from meshdiag.sources.meshlog import MeshLog

NOW = datetime(2026, 3, 9, 3, 12, tzinfo=UTC)
HOUR_AGO = NOW - timedelta(hours=1)


def ago(seconds: float) -> str:
    """A moment before NOW, as the mesh writes it."""
    return (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def record(seconds: float, level: str = "INFO", node: str = "trainer-1", message: str = "fine", **more) -> dict:
    """A log record some seconds before NOW."""
    return {"ts": ago(seconds), "level": level, "component": "mesh", "node": node, "message": message, **more}


def write(path: Path, *lines: dict | str | bytes) -> Path:
    """Write records, text lines or raw bytes as the lines of a file."""
    raw = [line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode()
           for line in lines]  # fmt: skip
    path.write_bytes(b"".join(one + b"\n" for one in raw))
    return path


def log(*paths: Path | str, **more) -> MeshLog:
    """The log source over some files, at NOW."""
    return MeshLog([str(path) for path in paths], now=lambda: NOW, **more)


async def test_errors_are_counted_per_node_and_level(tmp_path):
    """WARN, ERROR and FATAL are counted by node; other levels only into the total."""
    path = write(
        tmp_path / "agent-mesh.json",
        record(7200, "ERROR"),
        record(600, "INFO", message="no ERROR here"),
        record(500, "error", node="trainer-2", message="lost a peer"),
        record(400, "ERROR", node="trainer-2", message="lost a peer"),
        record(300, "FATAL", node="trainer-2", message="out of memory"),
        record(200, "Warning"),
    )
    found = await log(path).errors(HOUR_AGO)
    assert found.counts == {("trainer-2", "ERROR"): 2, ("trainer-2", "FATAL"): 1, ("trainer-1", "WARN"): 1}
    assert found.total == 5
    assert (found.first, found.last) == (NOW - timedelta(seconds=500), NOW - timedelta(seconds=300))
    assert [one.message for one in found.examples] == ["out of memory", "lost a peer"]
    assert (found.problem, found.broken, found.files, found.covered_s) == (None, 0, (str(path),), 3600)


async def test_bunyan_records_are_understood(tmp_path):
    """Numeric levels, time, msg, hostname, epoch milliseconds and duration_ms mean the same."""
    path = write(
        tmp_path / "agent-mesh.json",
        {"time": ago(50), "level": 50, "hostname": "trainer-1", "msg": "bad"},
        {"timestamp": (NOW - timedelta(seconds=40)).timestamp() * 1000, "level": 60, "node": "trainer-1", "msg": "x"},
        {"time": ago(30), "level": 30, "node": "trainer-1", "consensus": {"round": "7", "duration_ms": 1500}},
    )
    found = await log(path).errors(HOUR_AGO)
    assert found.counts == {("trainer-1", "ERROR"): 1, ("trainer-1", "FATAL"): 1}
    (one,) = (await log(path).rounds(HOUR_AGO)).rounds
    assert (one.number, one.duration_s, one.node) == (7, 1.5, "trainer-1")


async def test_rounds_are_told_once_with_their_longest_duration(tmp_path):
    """A round with a line a phase, in two files that repeat one another, is one round."""

    def phase(seconds, name, took, **more):
        return record(seconds, consensus={"round": 4, "leader": "trainer-4", "phase": name, "duration_s": took, **more})

    lines = [phase(20, "propose", 0.4), phase(10, "commit", 14.2, outcome="committed")]
    paths = write(tmp_path / "agent-mesh.json", *lines), write(tmp_path / "consensus.log", *lines)
    found = await log(*paths).rounds(HOUR_AGO)
    (one,) = found.rounds
    assert (one.number, one.leader, one.duration_s, one.outcome) == (4, "trainer-4", 14.2, "committed")
    assert one.time == NOW - timedelta(seconds=10)


async def test_text_is_the_fallback(tmp_path):
    """Text lines tell level and node; where JSON is there, they are not counted a second time."""
    text = write(
        tmp_path / "agent-mesh.log",
        f"{ago(90)} INFO  [mesh] node=trainer-1 the word ERROR is no level",
        f"{ago(80)} ERROR [mesh] node=trainer-1 lost a peer",
        "Traceback (most recent call last):",
        "  File somewhere",
        f"[{ago(70)[:-1].replace('T', ' ')}] [warn] node: trainer-2 slow",
    )
    found = await log(text).errors(HOUR_AGO)
    assert found.counts == {("trainer-1", "ERROR"): 1, ("trainer-2", "WARN"): 1}
    assert (found.total, found.broken) == (3, 0), "a traceback belongs to its record"
    both = await log(text, write(tmp_path / "agent-mesh.json", record(80, "ERROR"))).errors(HOUR_AGO)
    assert both.counts == {("trainer-1", "ERROR"): 1}
    assert both.total == 1


async def test_mentions_are_found_in_any_case_and_level(tmp_path):
    """A word is counted by node with first and last seen; files that repeat one another are not added up."""
    json_log = write(
        tmp_path / "agent-mesh.json",
        record(4000, "WARN", message="byzantine behaviour of trainer-3"),
        record(300, "INFO", message="Byzantine behaviour of trainer-3"),
        record(200, "WARN", node="trainer-2", message="BYZANTINE vote"),
        record(100, message="nothing"),
    )
    text = write(tmp_path / "consensus.log", f"{ago(300)} INFO byzantine behaviour of trainer-3")
    found = await log(json_log, text).mentions("byzantine", HOUR_AGO)
    assert found.counts == {"trainer-1": 1, "trainer-2": 1}
    assert found.count == 2
    assert (found.first, found.last) == (NOW - timedelta(seconds=300), NOW - timedelta(seconds=200))
    alone = await log(text).mentions("byzantine", HOUR_AGO)
    assert alone.counts == {"": 1}


async def test_no_file_and_no_access_are_told_apart(tmp_path):
    """A machine without the log is one answer, a file that cannot be read another."""
    absent = await log(tmp_path / "agent-mesh.json").errors(HOUR_AGO)
    assert absent.absent
    assert absent.problem == f"no log file here: {tmp_path}/agent-mesh.json"
    folder = await log(tmp_path).errors(HOUR_AGO)
    assert not folder.absent
    assert folder.problem == f"{tmp_path} cannot be read: is a directory"
    both = await log(tmp_path, write(tmp_path / "a.json", record(1))).errors(HOUR_AGO)
    assert both.problem is None
    assert both.refused == (f"{tmp_path} cannot be read: is a directory",)
    assert (await log().errors(HOUR_AGO)).problem == "no log file here: none is configured"
    assert (await log("bad\0path").errors(HOUR_AGO)).problem is not None


async def test_a_pipe_in_the_place_of_the_log_does_not_hang(tmp_path):
    """A named pipe is refused rather than waited for."""
    pipe = tmp_path / "agent-mesh.json"
    os.mkfifo(pipe)
    found = await log(pipe).rounds(HOUR_AGO)
    assert found.problem == f"{pipe} cannot be read: it is not a regular file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_a_file_without_permission_is_a_problem(tmp_path):
    """A log of another user is a problem with a sentence."""
    path = write(tmp_path / "agent-mesh.json", record(1))
    path.chmod(0)
    assert "permission denied" in ((await log(path).errors(HOUR_AGO)).problem or "")


async def test_broken_lines_are_counted_and_cost_nothing_else(tmp_path):
    """Rubbish between good lines is counted; a line still being written is not."""
    path = write(
        tmp_path / "agent-mesh.json",
        record(30, "ERROR"),
        '{"ts": "2026-03-09T03:11',
        b"\xff\xfe\x00\x1b[31m",
        "null",
        '{"ts": null, "level": "ERROR"}',
        '{"ts": "yesterday"}',
        "[" * 5000,
        "x" * 300_000,
        "",
        record(20, "ERROR"),
    )
    with path.open("ab") as file:
        file.write(b'{"ts": "2026-03-')
    found = await log(path).errors(HOUR_AGO)
    assert found.counts == {("trainer-1", "ERROR"): 2, ("", "ERROR"): 1}, "a record without a time has that before it"
    assert found.broken == 8
    path.write_text(json.dumps(record(5, "ERROR")))
    assert (await log(path).errors(HOUR_AGO)).total == 1, "a whole last line needs no newline"


async def test_odd_types_are_taken_for_missing(tmp_path):
    """Fields of the wrong type neither raise nor count."""
    path = write(
        tmp_path / "agent-mesh.json",
        record(9, node=["x"], message={"a": 1}, consensus=[1]),
        record(8, level={"x": 1}, consensus={"round": True, "duration_s": "NaN"}),
        record(7, level=True, consensus={"round": 1, "duration_s": -1}),
        record(6, level=None, consensus={"round": [], "leader": 5, "duration_s": 2}),
    )
    assert (await log(path).errors(HOUR_AGO)).counts == {}
    (one,) = (await log(path).rounds(HOUR_AGO)).rounds
    assert (one.number, one.leader, one.duration_s) == (None, "", 2.0)


def bytes_read() -> int:
    """How much this process has read from files so far, by the kernel's count."""
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["rchar"])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the kernel counts nowhere what is read")
async def test_only_what_the_window_needs_is_read(tmp_path):
    """The window is found by its time, and every line inside it."""
    padding = "x" * 5000
    path = write(tmp_path / "agent-mesh.json", *(record(20_000 - 2 * i, "ERROR", pad=padding) for i in range(10_000)))
    before = bytes_read()
    found = await log(path).errors(NOW - timedelta(minutes=10))
    assert found.counts == {("trainer-1", "ERROR"): 300}
    assert bytes_read() - before < path.stat().st_size / 2


async def test_a_pattern_names_several_logs(tmp_path):
    """A glob in the configuration stands for each log that it fits, with what rotation left of it."""
    write(tmp_path / "a.json", record(100, "ERROR", node="a"))
    write(tmp_path / "b.json", record(100, "ERROR", node="b"))
    write(tmp_path / "b.json.1", record(200, "ERROR", node="b"))
    found = await log(tmp_path / "*.json*").errors(HOUR_AGO)
    assert found.counts == {("a", "ERROR"): 1, ("b", "ERROR"): 2}
    assert found.files == (f"{tmp_path}/a.json", f"{tmp_path}/b.json")
    assert (await log(tmp_path / "*.log").errors(HOUR_AGO)).absent


async def test_rotated_files_count_too(tmp_path):
    """A window that reaches back before the last rotation is told from both files."""
    path = write(tmp_path / "agent-mesh.json", record(100, "ERROR"))
    write(tmp_path / "agent-mesh.json.1", record(5000, "ERROR"), record(300, "ERROR"))
    found = await log(path).errors(HOUR_AGO)
    assert found.counts == {("trainer-1", "ERROR"): 2}
    assert found.covered_s == 3600


async def test_a_past_moment_ends_the_window(tmp_path):
    """Asked about a moment in the past, later lines do not count."""
    path = write(tmp_path / "agent-mesh.json", record(900, "ERROR"), record(500, "ERROR"), record(100, "ERROR"))
    found = await log(path).errors(NOW - timedelta(seconds=600), NOW - timedelta(seconds=300))
    assert found.counts == {("trainer-1", "ERROR"): 1}
    assert found.covered_s == 300


async def test_a_limit_on_errors_shortens_what_is_covered(tmp_path, monkeypatch):
    """Where there are more errors than are looked at, the answer says how far it looked, so that rates stay right."""
    monkeypatch.setattr(errors, "MOST", 300)
    path = write(tmp_path / "agent-mesh.json", *(record(3000 - i, "ERROR") for i in range(3000)))
    found = await log(path).errors(HOUR_AGO)
    assert found.counts["trainer-1", "ERROR"] == 300
    assert found.covered_s == 299


async def test_made_up_nodes_do_not_fill_the_memory(tmp_path, monkeypatch):
    """From some number of nodes on, the others are counted together."""
    monkeypatch.setattr(errors, "SUBJECTS", 10)
    path = write(tmp_path / "agent-mesh.json", *(record(50, "ERROR", node=f"n{i}") for i in range(30)))
    counts = (await log(path).errors(HOUR_AGO)).counts
    assert len(counts) == 11
    assert counts["(others)", "ERROR"] == 20


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("ts", "time", "timestamp", "level", "node", "message", "msg", "consensus", "hostname")
ROUND = st.dictionaries(st.sampled_from(("round", "leader", "duration_s", "duration_ms", "outcome")), JSON)
RECORD = st.dictionaries(st.sampled_from(KEYS), JSON | ROUND).map(lambda one: json.dumps(one).encode())
LINE = st.binary(max_size=200) | RECORD | st.text(max_size=80).map(lambda text: f"{ago(5)} ERROR {text}".encode())


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(LINE, max_size=12), seed=st.integers(0, 99))
async def test_no_line_can_hurt(tmp_path_factory, lines, seed):
    """Whatever else a log of JSON holds, the three questions are answered, and the good line in it is found."""
    path = tmp_path_factory.getbasetemp() / "hostile.json"
    good = json.dumps(record(9, "FATAL", node="the-good-one", message="byzantine")).encode()
    place = random.Random(seed).randint(0, len(lines))
    usual = [json.dumps(record(20 - n / 100, node="usual")).encode() for n in range(2 * len(lines) + 3)]
    content = b"\n".join([*usual, *lines[:place], good, *lines[place:], b""])
    assume(not content.startswith(tuple(MAGIC)))  # what begins like an archive is read as one
    path.write_bytes(content)
    source = log(path)
    errors = await source.errors(HOUR_AGO)
    assert errors.problem is None
    assert errors.counts["the-good-one", "FATAL"] == 1
    assert (await source.mentions("Byzantine", HOUR_AGO)).counts["the-good-one"] >= 1
    for one in (await source.rounds(HOUR_AGO)).rounds:
        assert one.duration_s >= 0
