"""Memory of real processes: one that grows is seen to, one that the kernel kills is told of, sizes agree with ps."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from meshdiag.sources.host import Host
from tests.program import run

OLD, NEW = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
GROWS = "import time; kept = []\nwhile True: kept.append(bytearray(b'x') * 4_000_000); time.sleep(0.2)"
LEAKY = "meshdiag_leaky_process"


@contextlib.contextmanager
def process(code: str, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process, known by a word on its command line, that ends with the block; it ends by itself after 20 s."""
    bounded = f"import signal; signal.alarm(20)\n{code}"
    with subprocess.Popen([sys.executable, "-c", bounded, name]) as running:
        try:
            yield running
        finally:
            running.kill()


def test_a_process_that_grows_is_found_while_one_watches() -> None:
    """A leak of 20 MB a second beside a process that stands still: the one is named with its pace."""
    with process(GROWS, LEAKY) as leaky, process("import time; time.sleep(20)", "meshdiag_still") as still:
        ran = run("memory", "--here", "--process", LEAKY, "--watch", "6s", "-o", "json")
        rows = {row["pid"]: row for row in ran.report["data"]}
    growth = ran.check("memory.growth")
    (found,) = [one for one in growth["findings"] if f"({leaky.pid})" in one["subject"]]
    assert found["verdict"] == "warn" and "grows like a leak" in found["message"]
    row = rows[leaky.pid]
    assert row["shape"] == "steady"
    assert 5e6 * 3600 < row["growth"] < 30e6 * 3600
    assert rows.get(still.pid, {"shape": "flat"})["shape"] == "flat"


def test_sizes_agree_with_ps() -> None:
    """Resident memory of a process, as ps tells it at the same moment."""
    with process("kept = b'x' * 50_000_000; import time; time.sleep(20)", "meshdiag_sized") as sized:
        time.sleep(0.5)
        (ours,) = [one for one in asyncio.run(Host().processes(1, str(sized.pid))) if one.pid == sized.pid]
        told = subprocess.run(["ps", "-o", "rss=", "-p", str(sized.pid)], capture_output=True, text=True, check=True)
    assert ours.rss == pytest.approx(int(told.stdout) * 1024, rel=0.02)
    assert ours.uss is not None and 50e6 < ours.uss <= ours.rss
    assert ours.chosen and "meshdiag_sized" in ours.command


@contextlib.contextmanager
def limited_group(limit: int) -> Iterator[tuple[Path, str]]:
    """A control group with a limit on its memory, and the name of the file that takes processes in."""
    if os.geteuid() != 0:
        pytest.skip("a control group is made by root alone")
    old = (OLD / "memory.limit_in_bytes").exists()
    group = (OLD if old else NEW) / f"meshdiag-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if old else "memory.max")).write_text(str(limit))
    except OSError as error:
        pytest.skip(f"this kernel lets no control group limit memory: {error}")
    try:
        yield group, "tasks" if old else "cgroup.procs"
    finally:
        for _ in range(50):
            with contextlib.suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.1)


def test_a_process_killed_at_its_groups_limit_is_told_of() -> None:
    """A real kill: the kernel's log names it, and the group counts it."""
    began = datetime.now(UTC) - timedelta(seconds=2)
    with limited_group(40_000_000) as (group, tasks):
        enter = f"open({str(group / tasks)!r}, 'w').write('0')\n"
        stays, greedy = "import time; time.sleep(20)", "kept = bytearray(b'x') * 200_000_000"
        with process(enter + stays, "meshdiag_stays") as inside:
            with process(enter + greedy, "meshdiag_greedy") as killed:
                assert killed.wait(15) == -9
            limit = asyncio.run(Host().limit(inside.pid))
            named = run("memory", "--here", "--process", str(inside.pid), "-o", "json").check("memory.container")
            plain = run("memory", "--here", "-o", "json").check("memory.container")
    assert limit is not None and limit.group == str(group)
    assert limit.limit == pytest.approx(40_000_000, rel=0.01) and limit.kills == 1
    assert {one["subject"] for one in named["findings"]} >= {"limit", "kills"}
    assert "kills" not in {one["subject"] for one in plain["findings"]}
    (kill,) = [one for one in asyncio.run(Host().kills(began)) if one.pid == killed.pid]
    assert kill.in_group and kill.held is not None and 10e6 < kill.held < 80e6


def test_a_process_that_is_not_there_is_said() -> None:
    """Unknown, with what to try; the rest of the answer is given."""
    ran = run("memory", "--here", "--process", "no-such-process-anywhere", "-o", "json")
    assert ran.code == 3
    assert "no process is called 'no-such-process-anywhere'" in ran.check("memory.growth")["summary"]
    assert ran.verdicts["memory.machine"] in ("pass", "warn", "fail")


def test_valgrind_is_only_told() -> None:
    """The command and its price; nothing is started."""
    ran = run("memory", "--valgrind")
    assert ran.code == 0 and "valgrind --tool=memcheck" in ran.stdout and "slower" in ran.stdout
