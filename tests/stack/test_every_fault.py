"""Every fault of the lab is found, named and put on the right node, and nothing healthy is called sick.

Once on the nodes' own pages, once through a real Prometheus and Alertmanager with an hour of history.
"""

from __future__ import annotations

import pytest

from meshdiag.lab import Lab, LabOptions
from meshdiag.lab.background import lab_in_background
from meshdiag.lab.faults import FAULTS, Expectation
from meshdiag.model import Verdict
from tests.binaries import need
from tests.program import Ran, run

SERVERS = ("prometheus", "alertmanager")
ASKS = {
    "direct": {"metrics", "logs"},
    "prometheus": {"metrics", "logs", "prometheus", "history"},
}
COMMANDS = (("health",), ("consensus", "--slow"))
FINE = ("pass", "skip")
LINKS = {"slow-peer", "lossy-peer"}
MONITORING = {"prometheus-stale", "alertmanager-unreachable", "rules-failing", "grafana-datasource-broken"}
SHOWN = [name for name in FAULTS if name not in LINKS | MONITORING]
"""Faults that the mesh's metrics or logs tell of; those of links and of the monitoring have tests of their own."""
Said = dict[str, dict[str, str]]
"""What was said: verdict by node (or other subject), by check."""


@pytest.mark.parametrize("fault", [*SHOWN, None], ids=[*SHOWN, "healthy"])
@pytest.mark.parametrize("way", ASKS)
def test_what_is_broken_is_found_and_nothing_else(way: str, fault: str | None) -> None:
    """The expected checks answer as the fault says, on its nodes; every other finding is fine."""
    if way == "prometheus":
        for server in SERVERS:
            need(server)
    options = LabOptions(faults=(fault,) if fault else (), with_=SERVERS if way == "prometheus" else ())
    with lab_in_background(options) as lab:
        said = look(lab, way)
    expects = [one for one in lab.expects if one.needs in ASKS[way]]
    for one in expects:
        if one.certain:
            assert_said(one, said)
    assert unexpected(said, expects) == {}


@pytest.mark.parametrize("way", ASKS)
def test_a_slow_link_shows_in_histograms_too(way: str) -> None:
    """Where nodes expose a histogram, the 95th percentile is slow on both ends of the link and nowhere else; only
    the alert, whose rule reads the gauge, is silent."""
    if way == "prometheus":
        for server in SERVERS:
            need(server)
    options = LabOptions(faults=("slow-consensus", "histogram-shape"), with_=SERVERS if way == "prometheus" else ())
    with lab_in_background(options) as lab:
        said = look(lab, way)
    expects = [one for one in lab.expects if one.needs in ASKS[way] and one.check != "alerts.warning"]
    for one in expects:
        assert_said(one, said)
    assert unexpected(said, expects) == {}
    slow = {node for node, verdict in said["consensus.round-duration"].items() if verdict == Verdict.WARN}
    assert slow == set(lab.faulty["slow-consensus"])


def look(lab: Lab, way: str) -> Said:
    """What both commands say of a lab, the harder verdict where they differ."""
    said: Said = {}
    for command in COMMANDS:
        flags = ("--direct",) if way == "direct" else ()
        ran = run(*command, *flags, "--since", "30m", "-o", "json", environment=lab.environment)
        for id_, subjects in read(lab, ran).items():
            said.setdefault(id_, {}).update(subjects)
    return said


def read(lab: Lab, ran: Ran) -> Said:
    """The verdicts of a run; a check without findings speaks of the mesh."""
    names = {node.instance: node.name for node in lab.nodes}
    said: Said = {}
    for check in ran.report["checks"]:
        findings = check["findings"] or [{"subject": "mesh", "verdict": check["verdict"], "labels": {}}]
        for finding in findings:
            named = (finding.get("labels") or {}).get("node")
            subject = named or next((name for key, name in names.items() if key in finding["subject"]), None)
            said.setdefault(check["id"], {})[subject or finding["subject"]] = finding["verdict"]
    return said


def assert_said(one: Expectation, said: Said) -> None:
    """An expectation is met: that verdict on each of its nodes, or anywhere when it is the whole mesh's."""
    subjects = said.get(one.check, {})
    if one.nodes:
        assert {node: subjects.get(node) for node in one.nodes} == dict.fromkeys(one.nodes, one.verdict), one.check
    else:
        assert one.verdict in subjects.values(), (one.check, subjects)


def unexpected(said: Said, expects: list[Expectation]) -> Said:
    """Every finding that is not fine and that nobody expected."""
    left: Said = {}
    for id_, subjects in said.items():
        allowed = [one for one in expects if one.check == id_]
        for subject, verdict in subjects.items():
            fits = any(not one.nodes or subject in one.nodes for one in allowed)
            if verdict not in FINE and not fits:
                left.setdefault(id_, {})[subject] = verdict
    return left
