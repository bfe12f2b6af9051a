"""``health`` over few and many nodes: through a real Prometheus, and straight from the pages beside curl.

Run: python tests/bench/health.py [prometheus|direct]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
from timing import seconds  # noqa: E402

from meshdiag.lab import Lab, LabOptions  # noqa: E402
from meshdiag.lab.background import lab_in_background  # noqa: E402

MESHDIAG = str(Path(sys.executable).with_name("meshdiag"))
RUNS = 7
FEW, MANY = 20, 1_000


def median(command: list[str], environment: dict[str, str]) -> float:
    """The median of several runs, after one that warms up."""
    return statistics.median([seconds(command, environment) for _ in range(RUNS + 1)][1:])


def requests_of(lab: Lab) -> int:
    """How many requests one ``health`` sends to Prometheus, by Prometheus's own count."""

    def count() -> float:
        page = subprocess.run(
            ["curl", "-s", f"{lab.prometheus_url}/metrics"], capture_output=True, text=True, check=True
        )
        lines = [line for line in page.stdout.splitlines() if line.startswith("prometheus_http_requests_total")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if 'handler="/metrics"' not in line)

    before = count()
    seconds([MESHDIAG, "health", "--no-direct"], lab.environment)
    return round(count() - before)


def through_prometheus() -> None:
    """The same number of requests, and at most twice the time, for fifty times the nodes."""
    times = {}
    for nodes in (FEW, MANY):
        with lab_in_background(LabOptions(nodes=nodes, with_=("prometheus", "alertmanager"))) as lab:
            asked = requests_of(lab)
            times[nodes] = median([MESHDIAG, "health", "--no-direct"], lab.environment)
            print(f"health through Prometheus, {nodes:5} nodes: {times[nodes]:.3f} s, {asked} requests to Prometheus")
    print(f"ratio {times[MANY] / times[FEW]:.2f} (limit 2)\n")


def direct() -> None:
    """The whole program beside curl, which only fetches the same pages."""
    with lab_in_background(LabOptions(nodes=MANY)) as lab, tempfile.NamedTemporaryFile("w", suffix=".curl") as urls:
        urls.writelines(f'url = "{node.url}"\noutput = "/dev/null"\n' for node in lab.nodes)
        urls.flush()
        curl = median(["curl", "-s", "--parallel", "--parallel-max", "100", "-K", urls.name], {})
        ours = median([MESHDIAG, "health", "--direct"], lab.environment)
    print(f"curl --parallel, {MANY} pages: {curl:.3f} s")
    print(f"health --direct, {MANY} nodes: {ours:.3f} s, of which 2 s lie between the two looks")


if __name__ == "__main__":
    for name, bench in (("prometheus", through_prometheus), ("direct", direct)):
        if sys.argv[1:] in ([], [name]):
            bench()
