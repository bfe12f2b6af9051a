"""A lab with the real servers: history, alerts that fire at once, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from meshdiag.lab import Lab, LabOptions, running

NEEDED = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "prometheus-node-exporter": "prometheus-node-exporter",
}


@pytest.fixture(autouse=True)
def servers_installed() -> None:
    """These tests need Debian's servers."""
    missing = sorted({package for name, package in NEEDED.items() if shutil.which(name) is None})
    if missing:
        reason = f"not installed: {', '.join(missing)}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


async def query(lab: Lab, expression: str) -> list[dict[str, Any]]:
    """The result of an instant query."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{lab.prometheus_url}/api/v1/query", params={"query": expression})
    result: list[dict[str, Any]] = answer.json()["data"]["result"]
    return result


async def answered(lab: Lab, expression: str) -> None:
    """Wait until an instant query has an answer."""
    for _attempt in range(100):
        if await query(lab, expression):
            return
        await asyncio.sleep(0.3)


def test_other_tools_find_the_servers_of_a_lab() -> None:
    """Inside a lab promtool and amtool need no address looked up: the environment has it."""
    script = 'promtool query instant "$PROMETHEUS_URL" up; amtool --alertmanager.url="$ALERTMANAGER_URL" alert query'
    argv = ("lab", "run", "--fault", "node-down", "--with", "prometheus,alertmanager", "--", "sh", "-c", script)
    ran = subprocess.run([sys.executable, "-m", "meshdiag", *argv], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout.count('job="agent-mesh"')) == (0, 7), ran.stderr
    assert "MeshNodeDown" in ran.stdout


async def test_alerts_of_a_fault_fire_and_reach_alertmanager() -> None:
    """When the lab is ready its alerts fire with their true age, and Alertmanager has them, inhibited where due."""
    began = time.time()
    options = LabOptions(faults=("partition", "accuracy-drop"), with_=("prometheus", "alertmanager"))
    async with running(options) as lab, httpx.AsyncClient() as client:
        assert time.time() - began < 20
        alerts = (await client.get(f"{lab.prometheus_url}/api/v1/alerts")).json()["data"]["alerts"]
        firing = {(one["labels"]["alertname"], one["labels"]["node"]) for one in alerts if one["state"] == "firing"}
        expected = {("ModelAccuracyDrop", lab.faulty["accuracy-drop"][0])}
        expected |= {(name, node) for name in ("ConsensusFailure", "LowPeerCount") for node in lab.faulty["partition"]}
        assert firing == expected
        routed = (await client.get(f"{lab.alertmanager_url}/api/v2/alerts")).json()
        states = {(one["labels"]["alertname"], one["labels"]["node"]): one["status"]["state"] for one in routed}
        assert set(states) == expected
        assert {state for (name, _node), state in states.items() if name == "LowPeerCount"} == {"suppressed"}
        receivers = {one["receivers"][0]["name"] for one in routed}
        assert receivers == {"mesh-team", "on-call"}


async def test_a_healthy_lab_has_history_and_no_alert() -> None:
    """Nothing fires; an hour of samples is there, under the labels that live scrapes will use, and rates work."""
    async with running(LabOptions(with_=("prometheus", "node-exporter"))) as lab:
        assert await query(lab, "ALERTS") == []
        (counted,) = await query(lab, "count(count_over_time(up[1h]) >= 118)")
        assert counted["value"][1] == "7"
        rates = await query(lab, 'rate(consensus_rounds_total{job="agent-mesh"}[5m])')
        assert {one["metric"]["node"] for one in rates} == {node.name for node in lab.nodes}
        assert all(abs(float(one["value"][1]) - 2) < 0.05 for one in rates)
        (labels,) = (
            one["metric"] for one in await query(lab, "mesh_peer_count") if one["metric"]["node"] == "trainer-1"
        )
        node = lab.node("trainer-1")
        assert labels["instance"] == node.instance
        assert labels["role"] == "trainer"
        assert labels["peer_address"] == node.peer


async def test_live_scrapes_carry_the_history_on() -> None:
    """Once Prometheus scrapes, the same series go on: none is doubled, no counter falls, every target is up."""
    async with running(LabOptions(faults=("node-down",), with_=("prometheus", "node-exporter"))) as lab:
        await answered(lab, f"count(timestamp(up) > {time.time() + 1}) == 8")
        assert {one["metric"]["job"]: one["value"][1] for one in await query(lab, "count by (job) (up)")} == {
            "agent-mesh": "7",
            "node": "1",
        }
        (down,) = await query(lab, "up == 0")
        assert down["metric"]["node"] == lab.faulty["node-down"][0]
        for counter in ("consensus_rounds_total", "system_network_bytes_total", "fl_training_rounds_total"):
            assert await query(lab, f"resets({counter}[30m]) > 0") == []
        (jump,) = await query(lab, "max(rate(consensus_rounds_total[1m])) - min(rate(consensus_rounds_total[1m]))")
        assert float(jump["value"][1]) < 0.2


def test_the_configurations_pass_the_servers_own_checks(tmp_path: Path) -> None:
    """promtool and amtool have nothing against the files that the lab writes."""
    import json

    from meshdiag.lab.nodes import ServedNode
    from meshdiag.lab.servers import routing, scraping
    from meshdiag.rules.builtin import mesh_rules_text

    nodes = [ServedNode("trainer-1", "trainer", "127.0.0.1:1", "http://127.0.0.1:1/metrics", "127.0.0.1:2")]
    (tmp_path / "rules.yml").write_text(mesh_rules_text())
    (tmp_path / "alertmanager.yml").write_text(json.dumps(routing()))
    config = scraping(nodes, "agent-mesh", "http://127.0.0.1:3", "http://127.0.0.1:4")
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    for argv in (["promtool", "check", "config", "prometheus.yml"], ["amtool", "check-config", "alertmanager.yml"]):
        checked = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=30)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert "6 rules found" in checked.stdout or argv[0] == "amtool"


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_servers_end_with_the_lab_however_it_ends(tmp_path: Path, ending: signal.Signals) -> None:
    """Prometheus, Alertmanager and node_exporter are gone with a lab that is killed, and so is its folder."""
    note = tmp_path / "note"
    script = 'echo "$MESHDIAG_CONFIG" > "$0.part" && mv "$0.part" "$0"; sleep 60'
    argv = [sys.executable, "-m", "meshdiag", "lab", "run", "--with", "prometheus,alertmanager,node-exporter"]
    with subprocess.Popen([*argv, "--", "sh", "-c", script, str(note)], stdin=subprocess.DEVNULL) as process:
        assert until(note.exists)
        directory = Path(note.read_text().strip()).parent
        children = psutil.Process(process.pid).children(recursive=True)
        names = " ".join(_name(child) for child in children)
        assert all(name in names for name in ("prometheus", "prometheus-aler", "prometheus-node"))
        process.send_signal(ending)
        process.wait(20)
    assert until(lambda: not directory.exists())
    assert until(lambda: not any(_alive(child) for child in children))


def until(happened: Callable[[], bool]) -> bool:
    """Wait for something to become true."""
    deadline = time.monotonic() + 30
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _name(process: psutil.Process) -> str:
    """What it is called; nothing where it has just ended (``mv``)."""
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
