"""The check of the logs: a burst is found on its node, a trickle is not, silence is no pass."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from meshdiag.context import CheckSettings
from meshdiag.model import Verdict
from meshdiag.sources import Sources
from meshdiag.sources.meshlog import MeshLog
from tests.unit.memory_metrics import NOW, ask

if TYPE_CHECKING:
    from pathlib import Path

    from meshdiag.checks import Outcome


def write(path: Path, *records: tuple[float, str, str, str]) -> Path:
    """A log of (seconds before now, level, node, message)."""
    lines = [
        json.dumps({"ts": (NOW - timedelta(seconds=age)).isoformat(), "level": level, "node": node, "message": message})
        for age, level, node, message in sorted(records, reverse=True)
    ]
    path.write_text("\n".join([*lines, ""]))
    return path


async def look(*paths: Path, **more) -> Outcome:
    """What logs.errors says over these files."""
    log = MeshLog([str(path) for path in paths], now=lambda: NOW)
    return await ask("logs.errors", sources=Sources(meshlog=log), **more)


async def printed(command: str) -> list[str]:
    """The lines that a shell prints for a command."""
    shell = await asyncio.create_subprocess_exec("/bin/sh", "-c", command, stdout=asyncio.subprocess.PIPE)
    output, _ = await shell.communicate()
    return output.decode().splitlines()


async def test_a_burst_is_found_on_its_node(tmp_path):
    """Many errors fail on the node that logs them; an ordinary trickle passes."""
    burst = [(n, "ERROR", "trainer-2", "disk quota exceeded") for n in range(500)]
    trickle = [(n * 60, "ERROR", "trainer-1", "peer went away") for n in range(10)]
    quiet = [(n, "INFO", "trainer-3", "ERROR is a word") for n in range(600)]
    outcome = await look(write(tmp_path / "agent-mesh.json", *burst, *trickle, *quiet))
    found = {finding.subject: finding for finding in outcome.findings}
    assert {name: finding.verdict for name, finding in found.items()} == {
        "trainer-1": Verdict.PASS,
        "trainer-2": Verdict.FAIL,
    }
    assert found["trainer-2"].value == pytest.approx(50, rel=0.05)
    assert found["trainer-2"].labels == {"node": "trainer-2"}
    assert outcome.summary.startswith("trainer-2 logs many errors")
    assert "disk quota exceeded" in outcome.evidence[0].excerpt


async def test_an_old_burst_does_not_count(tmp_path):
    """What lies before the last minutes is history; the option widens the look."""
    path = write(
        tmp_path / "agent-mesh.json",
        *((1500 + n, "ERROR", "trainer-2", "boom") for n in range(1500)),
        (5, "INFO", "trainer-2", "fine"),
    )
    assert [finding.verdict for finding in (await look(path)).findings] == [Verdict.PASS]
    wider = await look(path, settings=CheckSettings(options={"minutes": 60}))
    assert [finding.verdict for finding in wider.findings] == [Verdict.FAIL]
    odd = await look(path, settings=CheckSettings(options={"minutes": "ten"}))
    assert odd.verdict is Verdict.UNKNOWN
    assert "minutes" in odd.summary


async def test_a_single_fatal_line_is_a_warning(tmp_path):
    """A fatal line is not averaged away."""
    path = write(tmp_path / "agent-mesh.json", (500, "INFO", "a", "x"), (60, "FATAL", "trainer-1", "out of memory"))
    (found,) = (await look(path)).findings
    assert (found.verdict, found.message) == (Verdict.WARN, "has logged a fatal error")
    assert found.observed == NOW - timedelta(seconds=60)


async def test_a_young_log_is_judged_over_what_it_covers(tmp_path):
    """A burst in a log that is two minutes old is not thinned by the minutes before it."""
    path = write(tmp_path / "agent-mesh.json", *((n, "ERROR", "trainer-1", "x") for n in range(120)))
    (found,) = (await look(path)).findings
    assert found.value == pytest.approx(60, rel=0.05)


async def test_no_file_is_a_skip_and_an_unreadable_one_unknown(tmp_path):
    """Where the log is elsewhere the check steps aside; where it is here and shut, it says so."""
    absent = await look(tmp_path / "agent-mesh.json")
    assert absent.verdict is Verdict.SKIP
    assert absent.summary == f"no log file here: {tmp_path}/agent-mesh.json"
    shut = await look(tmp_path)
    assert shut.verdict is Verdict.UNKNOWN
    assert "cannot be read" in shut.summary


async def test_a_silent_or_unintelligible_log_is_unknown(tmp_path):
    """A log without a line in the window, or without one that can be understood, is no clean log."""
    silent = await look(write(tmp_path / "a.json", (9000, "INFO", "trainer-1", "x")))
    assert silent.verdict is Verdict.UNKNOWN
    assert "is anything still writing it?" in silent.summary
    (tmp_path / "b.json").write_bytes(b"\x00\x01\n" * 10)
    rubbish = await look(tmp_path / "b.json")
    assert rubbish.verdict is Verdict.UNKNOWN
    assert "none of 10 lines" in rubbish.summary


async def test_lines_that_state_no_level_are_not_a_pass(tmp_path):
    """Where no line says how grave it is, nobody can say that none is an error; one that does is enough."""
    path = tmp_path / "access.log"
    stamps = [NOW - timedelta(seconds=300 - n) for n in range(200)]
    lines = [f'10.0.0.1 - - [{at:%d/%b/%Y:%H:%M:%S +0000}] "GET /x HTTP/1.1" 500 12\n' for at in stamps]
    path.write_text("".join(lines))
    outcome = await look(path)
    assert outcome.verdict is Verdict.UNKNOWN
    assert "none states a level" in outcome.summary
    assert "-e 'error" in outcome.hint
    other = write(tmp_path / "b.json", (5, "INFO", "trainer-1", "fine"))
    assert [one.verdict for one in (await look(path, other)).findings] == [Verdict.PASS]


async def test_mostly_broken_lines_are_not_a_pass(tmp_path):
    """When most lines cannot be understood, what is left proves little."""
    path = write(tmp_path / "a.json", (5, "INFO", "trainer-1", "x"))
    path.write_bytes(path.read_bytes() + b"{broken\n" * 5)
    assert [finding.verdict for finding in (await look(path)).findings] == [Verdict.UNKNOWN]


async def test_the_evidence_command_shows_the_lines(tmp_path):
    """What is printed can be pasted, also for a path with a quote in it, and prints the lines that counted."""
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    text = folder / "agent-mesh.log"
    moment = (NOW - timedelta(seconds=5)).isoformat()
    text.write_text(f"{moment} ERROR node=trainer-1 boom\n{moment} INFO node=trainer-1 no ERROR\n")
    outcome = await look(text)
    assert await printed(outcome.evidence[0].command) == [f"1:{moment} ERROR node=trainer-1 boom"]
    path = write(folder / "agent-mesh.json", (5, "ERROR", "trainer-1", "x"))
    command = (await look(path)).evidence[0].command
    assert command.startswith("jq -cR ")
    if shutil.which("jq"):
        assert await printed(command) == path.read_text().replace(": ", ":").replace(", ", ",").splitlines()


async def test_a_moment_that_the_log_no_longer_holds_is_not_looked_at(tmp_path):
    """Logs are rotated: that last night's lines are gone is no trouble of now, and no pass either."""
    path = write(tmp_path / "agent-mesh.json", (5, "INFO", "trainer-1", "well"))
    outcome = await look(path, at=NOW - timedelta(hours=4))
    assert outcome.verdict is Verdict.SKIP
    assert "holds no line of that moment" in outcome.summary
    assert (await look(path, at=NOW)).verdict is None  # its findings decide


async def test_a_kind_of_error_that_is_new_is_a_warning(tmp_path):
    """What the hour before had not is named, once; numbers make no kind, and a young log has nothing new."""
    old = [(n, "ERROR", "trainer-1", f"peer 10.0.0.{n % 7} went away after {n} ms") for n in range(700, 4000, 300)]
    now = [(n, "ERROR", "trainer-1", f"peer 10.0.0.{n % 5} went away after {n} ms") for n in range(0, 600, 300)]
    fresh = [(60, "ERROR", "trainer-2", "disk quota exceeded")]
    path = write(tmp_path / "agent-mesh.json", *old, *now, *fresh)
    outcome = await look(path)
    (found,) = [one for one in outcome.findings if one.verdict is not Verdict.PASS]
    assert (found.subject, found.verdict, found.value) == ("log", Verdict.WARN, 1)
    assert found.message == "a kind of error is new: disk quota exceeded (1)"
    assert "disk quota exceeded" in outcome.summary
    quiet = await look(path, settings=CheckSettings(options={"new_kinds": 0}))
    assert {finding.verdict for finding in quiet.findings} == {Verdict.PASS}
    odd = await look(path, settings=CheckSettings(options={"new_kinds": -1}))
    assert odd.verdict is Verdict.UNKNOWN
    young = await look(write(tmp_path / "young.json", *now, *fresh))
    assert {finding.verdict for finding in young.findings} == {Verdict.PASS}


async def test_the_rate_is_told_beside_the_rate_before(tmp_path):
    """A burst is told apart from an everyday noise by what the hour before had."""
    noise = [(n, "ERROR", "trainer-1", "peer went away") for n in range(0, 4500, 60)]
    burst = [(n / 2, "ERROR", "trainer-2", "peer went away") for n in range(1000)]
    summary = (await look(write(tmp_path / "agent-mesh.json", *noise, *burst))).summary
    assert summary.startswith("trainer-2 logs many errors (100 lines/min")
    assert "; all together 101.1 lines/min, in the 1 h before 1 lines/min)" in summary
    summary = (await look(write(tmp_path / "agent-mesh.json", *noise))).summary
    assert "all together" not in summary
    alone = [(n / 2, "ERROR", "trainer-1", "peer went away") for n in range(1000)] + [(3, "WARN", "trainer-4", "slow")]
    summary = (await look(write(tmp_path / "agent-mesh.json", *noise, *alone))).summary
    assert summary.startswith("trainer-1 logs many errors (101.1 lines/min; in the 1 h before 1 lines/min)")


async def byzantine(*paths: Path, **more) -> Outcome:
    """What logs.byzantine says over these files."""
    log = MeshLog([str(path) for path in paths], now=lambda: NOW)
    return await ask("logs.byzantine", sources=Sources(meshlog=log), **more)


async def test_who_is_called_byzantine_by_whom_and_how_often(tmp_path):
    """Each accused node is a finding with its accusers, the number of times, first and last seen."""
    told = [
        (n * 60, "WARN", f"trainer-{n % 2}", f"Byzantine behaviour of agg-3: two votes in round {n}")
        for n in range(1, 7)
    ]
    path = write(tmp_path / "agent-mesh.json", *told, (5, "INFO", "trainer-1", "fine"))
    write(tmp_path / "consensus.log", *told)
    outcome = await byzantine(path, tmp_path / "consensus.log")
    (found,) = outcome.findings
    assert (found.subject, found.verdict, found.value) == ("agg-3", Verdict.WARN, 6)
    assert found.message == "is called Byzantine 6 times by trainer-0, trainer-1, first at 2026-03-09 03:06:00 UTC"
    assert found.observed == NOW - timedelta(seconds=60)
    assert found.labels == {"node": "agg-3"}
    unnamed = await byzantine(write(tmp_path / "b.json", (5, "WARN", "trainer-1", "possible byzantine fault")))
    assert [one.subject for one in unnamed.findings] == ["log"]
    assert unnamed.verdict is None


async def test_a_log_without_accusations_passes_and_a_silent_one_does_not(tmp_path):
    """Nothing said is fine; no line at all is unknown; no file is skipped."""
    calm = await byzantine(write(tmp_path / "a.json", (5, "INFO", "trainer-1", "fine")))
    assert [one.verdict for one in calm.findings] == [Verdict.PASS]
    assert calm.summary.startswith("1 line read")
    many = await byzantine(write(tmp_path / "many.json", *[(5, "INFO", "trainer-1", "fine")] * 300))
    assert many.summary == "at least 200 lines read, none speaks of Byzantine behaviour"
    silent = await byzantine(write(tmp_path / "b.json", (9000, "WARN", "trainer-1", "byzantine behaviour of x")))
    assert silent.verdict is Verdict.UNKNOWN
    assert (await byzantine(tmp_path / "none.json")).verdict is Verdict.SKIP
    past = await byzantine(write(tmp_path / "c.json", (5, "INFO", "trainer-1", "well")), at=NOW - timedelta(hours=9))
    assert past.verdict is Verdict.SKIP
