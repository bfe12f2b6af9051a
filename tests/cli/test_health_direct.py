"""``health`` and ``consensus`` on a real mesh of processes' own pages, without any Prometheus."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from meshdiag.lab import Lab
from tests.program import clean_environment, run


def test_a_healthy_mesh_passes_and_exits_0(healthy_lab: Lab) -> None:
    """Nothing healthy is called sick, and what could not be asked directly is skipped with a reason."""
    ran = run("health", "--direct", "-o", "json", environment=healthy_lab.environment)
    report = ran.report
    not_fine = {one["id"]: one["summary"] for one in report["checks"] if one["verdict"] not in ("pass", "skip")}
    assert not_fine == {}
    assert (ran.code, report["verdict"]) == (0, "pass")
    assert all(one["summary"] for one in report["checks"] if one["verdict"] == "skip")
    assert ran.stderr == ""


def test_without_prometheus_it_says_who_knows_what_would_fire(healthy_lab: Lab) -> None:
    """Where the alerts cannot be asked, the command that evaluates their rules here is named; not where the pages may
    not be read, or alerts are not asked for."""

    def told(*arguments: str) -> bool:
        ran = run("health", "--gap", "0", *arguments, "-o", "json", environment=healthy_lab.environment)
        return any("meshdiag alerts --direct" in note for note in ran.report["notes"])

    gone = ("--prometheus-url", "http://127.0.0.1:1")
    assert told("--direct")
    assert told(*gone)
    assert not told(*gone, "--no-direct")
    assert not told("--direct", "--only", "nodes.*")


def test_one_look_at_the_pages_judges_all_but_rates(healthy_lab: Lab) -> None:
    """With --gap 0 nothing is waited for: what is a rate is skipped with that reason, everything else is judged."""
    ran = run("health", "--direct", "--gap", "0", "-o", "json", environment=healthy_lab.environment)
    assert (ran.code, set(ran.verdicts.values())) == (0, {"pass", "skip"})
    for rate in ("consensus.failed-rounds", "consensus.failed-share", "capacity.network", "security.attacks"):
        assert "two looks" in ran.check(rate)["summary"], rate
    for gauge in ("nodes.up", "consensus.round-duration", "peers.count", "capacity.memory"):
        assert ran.verdicts[gauge] == "pass", gauge


def test_the_slow_link_is_found_with_evidence_and_a_cause(slow_lab: Lab) -> None:
    """The nodes at the ends of the slow link fail, the others pass, and the cause names the link."""
    ran = run("consensus", "--slow", "--direct", "-o", "json", environment=slow_lab.environment)
    rounds = ran.check("consensus.round-duration")
    slow = {one["labels"]["node"] for one in rounds["findings"] if one["verdict"] != "pass"}
    assert slow == set(slow_lab.faulty["slow-consensus"])
    assert any(all(node in cause["statement"] for node in slow) for cause in ran.report["causes"])
    assert rounds["evidence"]
    assert rounds["hint"]
    assert rounds["runbook"] == "slow-consensus"
    assert ran.report["data"], "one row a node"


def test_evidence_commands_really_show_it(slow_lab: Lab) -> None:
    """Pasted into a shell, the command prints the metric that the claim rests on."""
    only = ("--only", "consensus.round-duration")
    ran = run("health", "--direct", *only, "-o", "json", environment=slow_lab.environment)
    command = ran.check("consensus.round-duration")["evidence"][0]["command"]
    shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=20, check=True)
    assert "consensus_round_duration_seconds" in shown.stdout


@pytest.mark.parametrize("format_", ["table", "json", "junit", "short"])
def test_the_exit_code_does_not_depend_on_the_format(slow_lab: Lab, format_: str) -> None:
    """A script may change -o without changing what it decides."""
    arguments = ("health", "--direct", "--only", "consensus.round-duration", "-o", format_)
    codes = {run(*arguments, environment=slow_lab.environment).code, 1}
    assert len(codes) == 1, "slow rounds of 12 to 16 s warn"


def test_junit_and_short_are_what_their_readers_expect(slow_lab: Lab) -> None:
    """CI reads JUnit, a pager reads one line with perfdata."""
    environment = slow_lab.environment
    root = ET.fromstring(run("health", "--direct", "-o", "junit", environment=environment).stdout)
    assert root.tag in ("testsuites", "testsuite")
    line = run("health", "--direct", "-o", "short", environment=environment).stdout
    assert line.count("\n") == 1
    assert line.split()[0] in ("PASS", "WARN", "FAIL", "UNKNOWN")
    assert "|" in line


def test_nodes_are_rows_in_every_data_format(slow_lab: Lab) -> None:
    """One row a node, with its role, in JSON and in CSV."""
    environment = slow_lab.environment
    rows = run("nodes", "--direct", "-o", "json", environment=environment).report["data"]
    assert {row["name"] for row in rows} == {node.name for node in slow_lab.nodes}
    assert all(row["cpu_percent"] is not None for row in rows)
    table = list(csv.DictReader(io.StringIO(run("nodes", "--direct", "-o", "csv", environment=environment).stdout)))
    assert len(table) == len(slow_lab.nodes)


def test_thresholds_come_from_the_configuration(slow_lab: Lab, tmp_path: Path) -> None:
    """A higher limit in the configuration makes the same mesh pass."""
    config = tmp_path / "meshdiag.toml"
    moved = '[checks."consensus.round-duration"]\nwarn = 60\nfail = "~:120"\n'
    config.write_text(slow_lab.config_file.read_text() + "\n" + moved)
    environment = {**slow_lab.environment, "MESHDIAG_CONFIG": str(config)}
    ran = run("health", "--direct", "--only", "consensus.round-duration", "-o", "json", environment=environment)
    assert (ran.code, ran.verdicts) == (0, {"consensus.round-duration": "pass"})


def test_ctrl_c_prints_what_there_is_and_exits_130(healthy_lab: Lab) -> None:
    """The answer so far is printed, what was not reached is unknown."""
    for pause_s in (1.2, 5, 15):  # where the machine is so busy that nothing was begun yet, again and later
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "meshdiag",
                "health",
                "--direct",
                "--gap",
                "60s",
                "--deadline",
                "120s",
                "-o",
                "json",
            ],
            env=clean_environment(**healthy_lab.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(pause_s)  # the second look is still to come
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)
        assert process.returncode == 130, stderr
        assert "Traceback" not in stderr
        if stdout:
            break
    summaries = {one["id"]: one["summary"] for one in json.loads(stdout)["checks"]}
    assert "interrupted" in summaries.values()


def test_a_closed_pipe_is_no_error(healthy_lab: Lab) -> None:
    """``meshdiag health | head -1`` prints one line and nothing else."""
    shown = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m meshdiag health --direct -vv --explain | head -1"],
        env=clean_environment(**healthy_lab.environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert shown.stderr == ""
    assert shown.stdout.count("\n") == 1


def test_no_colour_when_piped_and_colour_when_forced(slow_lab: Lab) -> None:
    """NO_COLOR, FORCE_COLOR and a pipe are respected."""
    arguments = ("health", "--direct", "--only", "nodes.up")
    assert "\x1b" not in run(*arguments, environment=slow_lab.environment).stdout
    assert "\x1b" in run(*arguments, environment={**slow_lab.environment, "FORCE_COLOR": "1"}).stdout


def test_ascii_terminals_get_ascii(slow_lab: Lab) -> None:
    """A stream that cannot carry the signs gets words and ASCII."""
    environment = {**slow_lab.environment, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    ran = run("consensus", "--slow", "--direct", environment=environment)
    assert ran.stdout.isascii()
    assert ran.code == 1, os.linesep.join((ran.stdout, ran.stderr))
