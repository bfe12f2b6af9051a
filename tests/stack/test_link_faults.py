"""Faults of links, on links that really are so: ``meshdiag peers`` names them, from here and from every node."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from meshdiag.lab import Lab, LabOptions
from meshdiag.lab.background import lab_in_background
from meshdiag.lab.faults import Expectation
from meshdiag.lab.network.links import OBSERVER
from tests.binaries import need, need_namespaces
from tests.program import clean_environment

LOOKS = {
    "netns": ("peers", "--interval", "0.05s"),
    "views": ("peers", "--matrix", "--timeout", "1.5s"),
}
"""How meshdiag looks, by what an expectation needs."""
NOISE_S = 0.1
FAULTS = ("slow-peer", "lossy-peer", "slow-consensus", "partition", None)


@pytest.fixture(autouse=True)
def namespaces() -> None:
    """These tests need a machine that lets them make network namespaces, and a blackbox_exporter."""
    need_namespaces()
    need("blackbox-exporter")


@pytest.mark.parametrize("fault", FAULTS, ids=[fault or "healthy" for fault in FAULTS])
def test_links_that_are_broken_are_named_and_no_others(fault: str | None) -> None:
    """From here and from the nodes' own view, the checks answer as the fault says about the nodes that it hit; every
    other finding is fine."""
    options = LabOptions(faults=(fault,) if fault else (), with_=("blackbox-exporter",), netns=True)
    with lab_in_background(options) as lab:
        for needs, command in LOOKS.items():
            expects = [one for one in lab.expects if one.needs == needs]
            findings = bad_findings(lab, *command)
            for one in expects:
                assert not one.certain or is_said(lab, one, findings), (one, findings)
            surprises = [found for found in findings if not any(fits(lab, one, found) for one in expects)]
            assert [found for found in surprises if not is_noise(found)] == []


def bad_findings(lab: Lab, *command: str) -> list[dict[str, Any]]:
    """The findings of a run on the observer's machine that are not fine, each with the id of its check."""
    assert lab.network is not None
    argv = [*lab.network.entering(OBSERVER), sys.executable, "-m", "meshdiag", *command, "-o", "json"]
    ran = subprocess.run(
        argv, capture_output=True, text=True, timeout=60, env=clean_environment(**lab.environment), check=False
    )
    assert ran.returncode in (0, 1, 2, 3), ran.stderr
    checks = json.loads(ran.stdout)["checks"]
    return [
        {"check": check["id"], **finding}
        for check in checks
        for finding in check["findings"]
        if finding["verdict"] not in ("pass", "skip")
    ]


def is_said(lab: Lab, one: Expectation, findings: list[dict[str, Any]]) -> bool:
    """Whether the findings of a check, together, name all nodes of an expectation with its verdict."""
    named = {name for found in findings if fits(lab, one, found) for name in names(lab, found)}
    verdicts = {found["verdict"] for found in findings if fits(lab, one, found)}
    return named >= set(one.nodes) and one.verdict in verdicts


def fits(lab: Lab, one: Expectation, found: dict[str, Any]) -> bool:
    """Whether a finding is about what was expected: that check, and a node that was hit."""
    return found["check"] == one.check and bool(names(lab, found) & set(one.nodes))


def is_noise(found: dict[str, Any]) -> bool:
    """Whether a finding may come from a busy processor: all that is planted here is slower than that."""
    timed = found["check"] in ("links.latency", "links.symmetry", "peers.latency", "peers.jitter")
    return timed and found["value"] is not None and found["value"] < NOISE_S


def names(lab: Lab, found: dict[str, Any]) -> set[str]:
    """The nodes that a finding's subject names: by name, by instance, or two with what is between them."""
    label = (found.get("labels") or {}).get("node")
    words = {label, *found["subject"].split()}
    return {node.name for node in lab.nodes if words & {node.name, node.instance}}
