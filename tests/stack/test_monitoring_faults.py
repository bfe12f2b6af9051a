"""Faults of the monitoring itself, in the lab's real servers: each is found and named by the command that looks at it,
and nothing else is called sick."""

from __future__ import annotations

import pytest

from meshdiag.lab import LabOptions
from meshdiag.lab.background import lab_in_background
from tests.binaries import need
from tests.program import run

SERVERS = ("prometheus", "alertmanager")
FAULTS = ("prometheus-stale", "alertmanager-unreachable", "rules-failing")
FINE = ("pass", "skip")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_servers_is_found_by_stack(fault: str) -> None:
    """What the fault says is said, and nothing beyond."""
    for server in SERVERS:
        need(server)
    with lab_in_background(LabOptions(faults=(fault,), with_=SERVERS)) as lab:
        said = run("stack", "-o", "json", environment=lab.environment).verdicts
    expected = {one.check: str(one.verdict) for one in lab.expects}
    certain = {one.check: str(one.verdict) for one in lab.expects if one.certain}
    assert {check: said.get(check) for check in certain} == certain
    assert {check: verdict for check, verdict in said.items() if verdict not in FINE and check not in expected} == {}


@pytest.mark.parametrize("fault", ["grafana-datasource-broken", None])
def test_a_broken_datasource_is_found_by_dashboards(fault: str | None) -> None:
    """Grafana answers and its dashboard is there, and the datasource is what is broken; without the fault all is well,
    the dashboard's queries included, which are asked of Prometheus itself either way."""
    need("prometheus")
    options = LabOptions(faults=(fault,) if fault else (), with_=("prometheus", "grafana"))
    with lab_in_background(options) as lab:
        ran = run("dashboards", "--skip", "grafana.process", "-o", "json", environment=lab.environment)
        listed = run("dashboards", "list", "-o", "json", environment=lab.environment).report["data"]
        board = run("dashboards", "check", "-o", "json", environment=lab.environment)
    expected = {one.check: str(one.verdict) for one in lab.expects}
    assert ran.verdicts == {"grafana.health": "pass", "grafana.datasources": "pass"} | expected
    assert [one["uid"] for one in listed] == ["mesh-overview"]
    assert {row["panel"]: row["verdict"] for row in board.report["data"]} == dict.fromkeys(
        ("Nodes", "Peers", "Failed rounds", "Memory"), "pass"
    )
    if fault:
        assert "502" in ran.stdout and "refused" in ran.stdout, "neither Grafana nor this machine reaches it"


def test_a_blind_prometheus_is_not_a_well_mesh() -> None:
    """Samples that are 25 minutes old make no verdict on a node: unknown, and said to be stale."""
    need("prometheus")
    with lab_in_background(LabOptions(faults=("prometheus-stale",), with_=("prometheus",))) as lab:
        ran = run("health", "--no-direct", "--only", "nodes.up", "-o", "json", environment=lab.environment)
    assert ran.check("nodes.up")["verdict"] == "unknown" and ran.code == 3
    assert "stale" in ran.stdout
