"""How many requests ``health`` sends does not depend on how many nodes there are."""

from __future__ import annotations

from urllib.request import urlopen

from meshdiag.lab import Lab, LabOptions
from meshdiag.lab.background import lab_in_background
from tests.binaries import need
from tests.program import run

MOST = 25


def test_forty_nodes_take_no_more_requests_than_seven() -> None:
    """The work is the server's: by its own count it is asked as often for many nodes as for few, and not often."""
    need("prometheus")
    asked = {}
    for nodes in (7, 40):
        with lab_in_background(LabOptions(nodes=nodes, with_=("prometheus",))) as lab:
            before = requests_to(lab)
            ran = run("health", "--no-direct", "-o", "json", environment=lab.environment)
            asked[nodes] = requests_to(lab) - before
            assert len(ran.check("nodes.up")["findings"]) == nodes
    assert asked[7] == asked[40] <= MOST


def requests_to(lab: Lab) -> int:
    """How many requests Prometheus has answered, those for its own metrics aside."""
    with urlopen(f"{lab.prometheus_url}/metrics") as page:
        lines = page.read().decode().splitlines()
    counted = [line for line in lines if line.startswith("prometheus_http_requests_total{")]
    return round(sum(float(line.rsplit(" ", 1)[1]) for line in counted if 'handler="/metrics"' not in line))
