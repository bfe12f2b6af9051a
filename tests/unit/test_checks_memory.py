"""Memory: leaks told from caches and collectors on every node; limits, pressure and kills of this machine."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from meshdiag.checks.memory import judge_kills, judge_limit, judge_machine
from meshdiag.model import Threshold, Verdict, at_most
from meshdiag.sources.host.kills import Kill, read_record
from meshdiag.sources.host.memory import Limit, Memory, Pressure, read_limit
from tests.unit.memory_metrics import ask, mesh

GIB = 2.0**30
HOUR = 3600.0
FULL = Threshold(warn=at_most(0.9), fail=at_most(0.97))
BOOTED = 1_700_000_000.0


async def test_a_leak_is_named_with_pace_bounds_and_time_left() -> None:
    """memory.leak: one node climbs, one fills a cache, one collects garbage, one stands still."""
    courses = {
        "leaking:9091": lambda age: (12 - 1.5 * age / HOUR) * GIB,
        "caching:9091": lambda age: (10 - 4 * math.exp(-(3 - age / HOUR) * 2.5)) * GIB,
        "collecting:9091": lambda age: (6 + 2 * ((3 - age / HOUR) % 0.4) / 0.4) * GIB,
        "still:9091": lambda _age: 8 * GIB,
    }
    memory = mesh(tuple(courses))
    for instance, course in courses.items():
        memory.add("system_memory_usage_bytes", instance, course)
        memory.add("system_memory_total_bytes", instance, 16 * GIB)
    outcome = await ask("memory.leak", memory, window=timedelta(hours=3))
    by_subject = {finding.subject: finding for finding in outcome.findings}
    leak = by_subject["leaking:9091"]
    assert leak.verdict is Verdict.FAIL and leak.value == pytest.approx(4 / 1.5 * HOUR, rel=0.05)
    assert leak.message == "memory grows like a leak, 1.5 GiB an hour (95 %: 1.5 GiB to 1.5 GiB)"
    assert {name: by_subject[f"{name}:9091"].message.split(",")[0] for name in ("caching", "collecting", "still")} == {
        "caching": "memory grew and levels off",
        "collecting": "memory rises and is given back",
        "still": "memory does not grow",
    }
    assert outcome.summary.startswith("leaking: memory grows like a leak")


async def test_kills_on_machines_of_the_mesh_name_the_nodes_there() -> None:
    """memory.fleet-kills: by host, for a node_exporter has a port of its own; nobody counting is no pass."""
    memory = mesh(("host-a:9091", "host-b:9091"))
    assert (await ask("memory.fleet-kills", memory)).verdict is Verdict.SKIP
    memory.add("node_vmstat_oom_kill", "host-a:9100", lambda age: 3 if age < 600 else 2)
    memory.add("node_vmstat_oom_kill", "host-b:9100", 7)
    (finding,) = (await ask("memory.fleet-kills", memory)).findings
    assert (finding.subject, finding.value, finding.verdict) == ("host-a", 1.0, Verdict.WARN)
    assert "nodes there: host-a" in finding.message


def test_memory_swap_and_pressure_of_the_machine_are_judged_apart() -> None:
    """memory.machine: full memory fails; full swap alone warns; standing still for want of memory warns."""

    def verdicts(memory: Memory) -> dict[str, Verdict]:
        return {one.subject: one.verdict for one in judge_machine(memory, FULL)}

    well = Memory(16 * GIB, 8 * GIB, 0, 0)
    assert verdicts(well) == {"memory": Verdict.PASS}
    assert verdicts(Memory(16 * GIB, 1 * GIB, 0, 0))["memory"] is Verdict.WARN
    assert verdicts(Memory(16 * GIB, 0.1 * GIB, 0, 0))["memory"] is Verdict.FAIL
    swapping = Memory(16 * GIB, 8 * GIB, 2 * GIB, 1.9 * GIB, Pressure(0.5, 0.3))
    assert verdicts(swapping) == {"memory": Verdict.PASS, "swap": Verdict.WARN, "pressure": Verdict.WARN}


def test_a_container_near_its_limit_warns_and_kills_are_told() -> None:
    """memory.container: the share of the limit, and how many were killed at it."""
    limit = Limit("/sys/fs/cgroup/x", 100.0, 98.0, kills=2)
    assert [(one.subject, one.verdict) for one in judge_limit(limit, FULL)] == [
        ("limit", Verdict.FAIL),
        ("kills", Verdict.WARN),
    ]
    assert [one.verdict for one in judge_limit(Limit("x", 100.0, 50.0, 0), FULL)] == [Verdict.PASS]


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_the_tightest_limit_around_a_process_counts(tmp_path: Path) -> None:
    """Version 2: the limit of a group above is one for those below it; unused file cache is not held against it."""
    group = "sys/fs/cgroup/mesh.slice"
    _write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/mesh.slice/node.service\n",
            f"{group}/memory.max": "1000\n",
            f"{group}/memory.current": "900\n",
            f"{group}/memory.stat": "anon 600\ninactive_file 200\n",
            f"{group}/memory.events": "low 0\noom 3\noom_kill 2\n",
            f"{group}/memory.pressure": "some avg10=12.00 avg60=1 avg300=0 total=9\nfull avg10=5.00 avg60=0 total=1\n",
            f"{group}/node.service/memory.max": "max\n",
        },
    )
    limit = read_limit(tmp_path, None)
    assert limit == Limit(str(tmp_path / group), 1000.0, 700.0, 2, Pressure(0.12, 0.05))
    assert limit is not None and limit.share == pytest.approx(0.7)


def test_a_group_of_the_old_kind_is_read_from_within_its_container(tmp_path: Path) -> None:
    """Version 1: the path is the host's, the group is mounted at the top; a huge number is no limit."""
    _write(
        tmp_path,
        {
            "proc/7/cgroup": "5:cpu:/\n4:memory:/docker/abc\n0::/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "2000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "500\n",
            "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 100\n",
            "sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        },
    )
    limit = read_limit(tmp_path, 7)
    assert limit is not None and (limit.limit, limit.used, limit.kills) == (2000.0, 400.0, 1)
    (tmp_path / "sys/fs/cgroup/memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert read_limit(tmp_path, 7) is None


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "Out of memory: Killed process 812 (mesh-trainer) total-vm:9kB, anon-rss:2048kB, file-rss:6kB, UID:0",
            (812, "mesh-trainer", 2048.0 * 1024, False),
        ),
        (
            "Memory cgroup out of memory: Killed process 9 (a) b) total-vm:114224kB, anon-rss:8kB",
            (9, "a) b", 8.0 * 1024, True),
        ),
        ("Out of memory: Kill process 4711 (java) score 900 or sacrifice child", (4711, "java", None, False)),
        ("systemd[1]: Started something (out of memory: not)", None),
    ],
)
def test_the_kernels_sentence_is_read_in_all_its_forms(message: str, expected: tuple[object, ...] | None) -> None:
    """New and old kernels, a control group's limit, odd process names; and what merely mentions memory."""
    kill = read_record(f"3,77,5000000,-;{message}\n SUBSYSTEM=x", BOOTED)
    if expected is None:
        assert kill is None
        return
    assert kill is not None and (kill.pid, kill.name, kill.held, kill.in_group) == expected
    assert kill.when == datetime.fromtimestamp(BOOTED + 5, UTC)


def test_kills_are_told_the_last_first() -> None:
    """memory.kills: who, how much it held, and at whose limit."""
    first, last = (Kill(datetime.fromtimestamp(t, UTC), t, "node", 2**30, t == 2) for t in (1, 2))
    findings = judge_kills([first, last])
    assert [one.subject for one in findings] == ["node (2)", "node (1)"]
    assert findings[0].message == "killed at the limit of its control group"
    assert (findings[0].value, findings[0].unit, findings[0].observed) == (2**30, "bytes", last.when)
    assert all(one.verdict is Verdict.WARN for one in findings)


def test_every_check_of_this_subject_is_tried_here() -> None:
    """The ids, so that none is forgotten."""
    from meshdiag.checks import all_checks

    ids = {"memory.leak", "memory.fleet-kills", "memory.machine", "memory.container", "memory.kills"}
    assert ids == {id_ for id_ in all_checks() if id_.startswith("memory.")}
