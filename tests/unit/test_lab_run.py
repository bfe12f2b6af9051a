"""``meshdiag lab`` as a program: exit codes, the environment it gives, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

MESHDIAG = (sys.executable, "-m", "meshdiag")
WAIT_S = 20.0
TELL = 'echo "$$ $MESHDIAG_CONFIG" > "$0.part" && mv "$0.part" "$0"; '
"""Shell: write one's own process number and the lab's configuration file, then be seen."""


def lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``meshdiag lab`` to its end."""
    return subprocess.run([*MESHDIAG, "lab", *arguments], capture_output=True, text=True, timeout=60)


def until(happened: Callable[[], bool]) -> bool:
    """Wait for something to become true."""
    deadline = time.monotonic() + WAIT_S
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class Running:
    """A lab with a command that waits, in a process group of its own."""

    def __init__(self, script: str, note: Path) -> None:
        argv = [*MESHDIAG, "lab", "run", "--", "sh", "-c", TELL + script, str(note)]
        self.process = subprocess.Popen(argv, start_new_session=True, stdin=subprocess.DEVNULL)
        assert until(lambda: note.exists() and len(note.read_text().split()) == 2)
        shell, config = note.read_text().split()
        self.shell = psutil.Process(int(shell))
        self.directory = Path(config).parent
        assert self.directory.is_dir()


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Callable[[str], Running]]:
    """Starts labs whose command waits; ends them after the test."""
    started: list[Running] = []

    def start(script: str) -> Running:
        started.append(Running(script, tmp_path / f"note{len(started)}"))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


@pytest.mark.parametrize("code", [0, 1, 3, 97])
def test_the_command_s_exit_code_is_the_lab_s(code: int) -> None:
    """``lab run`` ends as its command ends."""
    assert lab("run", "--", "sh", "-c", f"exit {code}").returncode == code


def test_a_command_that_a_signal_ended_gives_the_shell_s_code() -> None:
    """A command killed by a signal gives 128 and the signal's number, as a shell would."""
    assert lab("run", "--", "sh", "-c", "kill -9 $$").returncode == 137


def test_the_command_sees_the_lab_and_its_own_options() -> None:
    """The environment names the configuration file; options behind the command's name are the command's."""
    program = "import os, sys, json; print(json.dumps([sys.argv[1:], os.environ['MESHDIAG_CONTEXT'], "
    program += "os.path.exists(os.environ['MESHDIAG_CONFIG'])]))"
    done = lab("run", "--nodes", "5", "--fault", "byzantine", sys.executable, "-c", program, "--nodes", "x")
    assert json.loads(done.stdout) == [["--nodes", "x"], "lab", True]
    assert done.stderr == ""


def test_addresses_of_another_mesh_do_not_lead_out_of_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is exported for a mesh of one's own would win over the lab's configuration: neither the command nor the
    demonstration sees it."""
    for name in ("MESHDIAG_PROMETHEUS_URL", "MESHDIAG_NODES", "MESHDIAG_JOB", "PROMETHEUS_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:7" if name != "MESHDIAG_JOB" else "another")
    assert lab("run", "--nodes", "4", "--", "sh", "-c", 'exit "${PROMETHEUS_URL:+1}0"').returncode == 0
    ran = lab("run", "--nodes", "4", "--", *MESHDIAG, "health", "--only", "nodes.up", "-o", "json")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(json.loads(ran.stdout)["checks"][0]["findings"]) == 4
    shown = subprocess.run([*MESHDIAG, "demo", "--nodes", "5"], capture_output=True, text=True, timeout=60)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "127.0.0.1:7 " not in shown.stdout
    assert "trainer-1" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "--fault", "byzantin", "--", "true"], "did you mean byzantine"),
        (["run", "--nodes", "3", "--", "true"], "4 to 2000 nodes"),
        (["run", "--with", "zipkin", "--", "true"], "no server called 'zipkin'"),
        (["run", "--history", "soon", "--", "true"], "not a duration"),
        (["run", "--", "/no/such/program"], "could not be started"),
        (["run"], "Missing argument"),
    ],
)
def test_wrong_usage_is_one_sentence_and_64(arguments: list[str], sentence: str) -> None:
    """What cannot be run is said in a sentence on stderr, with the exit code for wrong usage."""
    done = lab(*arguments)
    assert (done.returncode, done.stdout) == (64, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_server_names_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the program on the PATH the lab names the Debian package that has it."""
    from meshdiag.errors import UsageError
    from meshdiag.lab import servers

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(servers, "MORE_FOLDERS", ())
    with pytest.raises(UsageError, match="prometheus is not installed; on Debian: apt install prometheus"):
        servers.check_servers(["prometheus"])


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_a_lab_that_is_told_to_end_leaves_nothing(waiting: Callable[[str], Running], ending: signal.Signals) -> None:
    """On SIGTERM and SIGHUP the command is ended too, the folder goes, and the code names the signal."""
    running = waiting("sleep 60 & wait")
    assert until(lambda: len(_children(running.shell)) == 1)
    children = [running.shell, *_children(running.shell)]
    running.process.send_signal(ending)
    assert running.process.wait(WAIT_S) == 128 + ending
    assert not running.directory.exists()
    assert until(lambda: not any(map(_alive, children)))


def test_a_lab_that_is_killed_leaves_nothing(waiting: Callable[[str], Running]) -> None:
    """Even after SIGKILL the command, what it had started, and the folder are gone."""
    running = waiting("sleep 60 & wait")
    assert until(lambda: len(_children(running.shell)) == 1)
    children = [running.shell, *_children(running.shell)]
    running.process.kill()
    assert until(lambda: not any(map(_alive, children)) and not running.directory.exists())


def test_ctrl_c_is_the_command_s_to_answer(waiting: Callable[[str], Running]) -> None:
    """Ctrl-C reaches lab and command alike: the command decides, and its exit code is returned."""
    running = waiting("trap 'exit 5' INT; while :; do sleep 0.05; done")
    assert until(lambda: "sleep" in map(_name, _children(running.shell))), "the loop runs, so the trap is set"
    os.killpg(running.process.pid, signal.SIGINT)
    assert running.process.wait(WAIT_S) == 5
    assert not running.directory.exists()


def test_up_prints_addresses_and_the_lines_to_paste() -> None:
    """``lab up`` shows each node and the exports, stays until Ctrl-C, and is gone afterwards."""
    argv = [*MESHDIAG, "lab", "up", "--nodes", "5", "--fault", "node-down"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        while not lines or not lines[-1].startswith("Ctrl-C"):
            lines.append(process.stdout.readline())
            assert lines[-1]
        shown = dict(line.removeprefix("export ").strip().split("=") for line in lines if line.startswith("export "))
        config = Path(shown["MESHDIAG_CONFIG"])
        assert config.exists()
        assert sum("/metrics" in line for line in lines) == 5
        assert sum("(down)" in line for line in lines) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 130
    assert not config.parent.exists()


def test_the_faults_are_listed_with_what_they_should_bring() -> None:
    """``lab faults`` names every fault and the checks that should speak, with their verdicts."""
    from meshdiag.lab.faults import FAULTS

    done = lab("faults")
    assert done.returncode == 0
    assert [line.split(":")[0] for line in done.stdout.splitlines() if not line.startswith(" ")] == list(FAULTS)
    assert "FAIL    nodes.up" in done.stdout
