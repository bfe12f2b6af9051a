"""``meshdiag logs --source``: the same flags, the same output and the same exit codes, wherever the lines are kept."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.fakeprogram import Answer, FakeProgram
from tests.lokiserver import LokiServer
from tests.program import clean_environment, run


def line(age: float, level: str = "INFO", message: str = "fine", node: str = "trainer-1") -> tuple[int, str]:
    """A line of the mesh some seconds ago, with its time in ns."""
    moment = datetime.now(UTC) - timedelta(seconds=age)
    return int(moment.timestamp() * 1e9), f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z {level:<5} storage node={node} {message}"


@pytest.fixture
def loki():
    """A Loki with an hour of the mesh: calm at first, then a burst of errors."""
    with LokiServer() as server:
        for age in range(3500, 700, -70):
            server.push({"job": "agent-mesh"}, *line(age))
        for age in range(400, 0, -1):
            server.push({"job": "agent-mesh"}, *line(age, "ERROR", f"disk quota exceeded block={age}"))
        server.push({"job": "other"}, *line(5, "ERROR", "not ours"))
        yield server


def ask(server: LokiServer, *flags: str):
    """Run the command against a Loki."""
    return run("logs", "--source", "loki", *flags, environment={"MESHDIAG_LOKI_URL": server.url})


def test_loki_answers_as_files_do(loki):
    """Raw lines, counts and JSON come from Loki, of the mesh's own streams, and --explain shows the LogQL."""
    ran = ask(loki, "--level", "error", "--tail", "2", "--explain")
    assert ran.code == 0, ran.stderr
    assert [one.rpartition("=")[2] for one in ran.stdout.splitlines()] == ["2", "1"]
    assert "logcli query" in ran.stderr
    assert 'job="agent-mesh"' in ran.stderr
    assert ask(loki, "--level", "error", "--count").stdout == "400\n"
    told = json.loads(ask(loki, "-e", "block=7$", "-o", "json").stdout)
    assert (told["level"], told["component"], told["node"]) == ("error", "storage", "trainer-1")
    assert ask(loki, "--selector", '{job="other"}', "--count").stdout == "1\n"
    assert ask(loki, "--selector", "job=other").code == 64


def test_a_verdict_can_be_had_of_loki(loki):
    """--errors judges what Loki holds as it judges files."""
    ran = ask(loki, "--errors", "-q")
    assert ran.code == 2, ran.stdout + ran.stderr
    assert "trainer-1 logs many errors" in ran.stdout
    quiet = ask(loki, "--errors", "-q", "--until", "11m")
    assert quiet.code == 0, quiet.stdout + quiet.stderr
    nothing = ask(loki, "--errors", "-q", "--selector", '{job="nobody"}')
    assert nothing.code == 3


def test_summaries_of_loki(loki):
    """Patterns, new patterns and rates are told of lines from elsewhere too."""
    top = [json.loads(one) for one in ask(loki, "--top", "-o", "json").stdout.splitlines()]
    assert (top[0]["count"], top[0]["level"]) == (400, "error")
    fresh = [json.loads(one) for one in ask(loki, "--new-since", "10m", "-o", "json").stdout.splitlines()]
    assert [one["count"] for one in fresh] == [400]
    assert "quota" in fresh[0]["pattern"]
    rates = [json.loads(one) for one in ask(loki, "--stats", "-o", "json").stdout.splitlines()]
    assert sum(one["count"] for one in rates if one["level"] == "error") == 400


def test_loki_is_followed_until_ctrl_c(loki):
    """What is written comes at once; Ctrl-C ends it with 130."""
    process = subprocess.Popen(
        [sys.executable, "-m", "meshdiag", "logs", "--source", "loki", "-f", "-l", "fatal"],
        env=clean_environment(MESHDIAG_LOKI_URL=loki.url),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        until = time.monotonic() + 30
        while not any(one.path.endswith("/tail") for one in loki.asked):
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.1)
        time.sleep(0.5)
        loki.push({"job": "agent-mesh"}, *line(0, "FATAL", "gone"))
        assert process.stdout.readline().endswith("gone\n")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "Traceback" not in err


def test_the_journal_is_read_through_journalctl(tmp_path: Path):
    """Entries of the journal come out as their messages, chosen by the level that a message states."""
    now = time.time_ns() // 1000
    entries = [
        {"__REALTIME_TIMESTAMP": str(now - 1000 * n), "MESSAGE": f"{level} consensus n={n}", "PRIORITY": "6",
         "_TRANSPORT": "stdout", "_SYSTEMD_UNIT": "mesh.service", "_HOSTNAME": "a", "__CURSOR": f"c{n}"}
        for n, level in ((3, "INFO"), (2, "ERROR"), (1, "INFO"))
    ]  # fmt: skip
    said = "".join(f"{json.dumps(one)}\n" for one in entries)
    fake = FakeProgram(tmp_path, "journalctl", Answer(stdout=said))
    path = {"PATH": f"{fake.path.parent}:/usr/bin:/bin"}
    ran = run("logs", "--source", "journal", "--unit", "mesh", "-l", "error", "--since", "1h", environment=path)
    assert (ran.code, ran.stdout) == (0, "ERROR consensus n=2\n"), ran.stderr


def test_times_without_a_zone_are_read_as_in_files(tmp_path: Path):
    """A message that states its time and no zone is of this machine, with --utc of UTC; where that cannot be, the time
    counts at which the journal took it."""
    taken = datetime.now(UTC).replace(microsecond=0)
    stated = taken - timedelta(seconds=2)
    local = stated.astimezone(timezone(timedelta(hours=9)))
    entries = [
        {"__REALTIME_TIMESTAMP": str(int(taken.timestamp() * 1e6)), "MESSAGE": f"{at:%Y-%m-%d %H:%M:%S},123 ERROR boom",
         "PRIORITY": "6", "_TRANSPORT": "stdout", "_STREAM_ID": f"{at}", "_SYSTEMD_UNIT": "mesh.service"}
        for at in (local, stated)
    ]  # fmt: skip
    fake = FakeProgram(tmp_path, "journalctl", Answer(stdout="".join(f"{json.dumps(one)}\n" for one in entries)))
    there = {"PATH": f"{fake.path.parent}:/usr/bin:/bin", "TZ": "Asia/Tokyo"}
    own, other = f"{stated:%Y-%m-%dT%H:%M:%S}.123Z", f"{taken:%Y-%m-%dT%H:%M:%SZ}"
    for flags, expected in (((), [own, other]), (("--utc",), [other, own])):
        ran = run("logs", "--source", "journal", "--since", "1h", "-o", "json", *flags, environment=there)
        assert [json.loads(one)["ts"] for one in ran.stdout.splitlines()] == expected, ran.stderr


@pytest.mark.parametrize(
    ("flags", "asked"),
    [
        (("--kernel",), "_TRANSPORT=kernel"),
        (("--identifier", "sshd"), "--identifier=sshd"),
        (("{folder}",), "--directory={folder}"),
        (("{folder}/system.journal", "mesh-*"), "--file={folder}/system.journal"),
    ],
)
def test_the_journal_is_asked_as_journalctl_is(tmp_path: Path, flags, asked):
    """The kernel's messages, identifiers, and the journal of another machine, by its folder or files."""
    fake = FakeProgram(tmp_path, "journalctl", Answer())
    path = {"PATH": f"{fake.path.parent}:/usr/bin:/bin"}
    folder = tmp_path / "journal"
    folder.mkdir()
    ran = run(
        "logs", "--source", "journal", "--explain", *(one.format(folder=folder) for one in flags), environment=path
    )
    assert asked.format(folder=folder) in ran.stderr, ran.stderr


def test_a_cluster_is_chosen_by_kubectls_context(tmp_path: Path):
    """--kube-context and --namespace reach kubectl."""
    fake = FakeProgram(tmp_path, "kubectl", Answer(stdout='{"items":[]}'))
    path = {"PATH": f"{fake.path.parent}:/usr/bin:/bin"}
    ran = run("logs", "--source", "kubernetes", "--kube-context", "prod", "--namespace", "mesh", environment=path)
    assert ran.code == 3
    assert "context prod, namespace mesh" in ran.stderr
    assert {"--context=prod", "--namespace=mesh"} <= set(fake.asked[0])


def test_the_last_lines_of_loki_may_be_old():
    """--tail looks as far back as it takes; without it the last hour before the end is read, and that is said."""
    with LokiServer() as server:
        for age in (90_000, 80_000, 70_000):
            server.push({"job": "agent-mesh"}, *line(age, message=f"old={age}"))
        ran = ask(server, "--tail", "2")
        assert [one.rpartition("=")[2] for one in ran.stdout.splitlines()] == ["80000", "70000"], ran.stderr
        hour = ask(server)
        assert (hour.code, hour.stdout) == (0, "")
        assert "the hour before the end was read" in hour.stderr
        before = ask(server, "--until", "79990s")
        assert before.stdout.splitlines()[0].endswith("old=80000"), before.stderr


@pytest.mark.parametrize(
    ("flags", "environment", "said"),
    [
        (("--source", "loki"), {"MESHDIAG_LOKI_URL": "http://127.0.0.1:1"}, "refused"),
        (("--source", "docker"), {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}, "docker.sock"),
        (("--source", "journal"), {"PATH": "/nonexistent"}, "journalctl is not installed"),
        (("--source", "kubernetes"), {"PATH": "/nonexistent"}, "kubectl is not installed"),
    ],
)
def test_a_source_that_cannot_be_asked_is_unknown(flags, environment, said):
    """One sentence that says which and why, and 3: also for the verdict."""
    for more in ((), ("--errors", "-q"), ("--follow",)):
        if more == ("--follow",) and "loki" in flags:
            continue  # which waits for Loki to come back, as a tail should
        ran = run("logs", *flags, *more, environment=environment)
        assert (ran.code, ran.stdout) == (3, ""), (more, ran.stderr)
        assert said in ran.stderr, more


def test_a_context_without_loki_says_so():
    """--source loki needs an address, and files have none of Loki's streams."""
    off = run("logs", "--source", "loki", environment={"MESHDIAG_LOKI_URL": "off"})
    assert off.code == 64
    assert "has no Loki" in off.stderr
    assert run("logs", "--source", "loki", "some.log").code == 64
