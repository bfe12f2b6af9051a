"""``health`` over few and many nodes: through a real Prometheus, and straight from the pages beside curl.

Run: python tests/bench/health.py [prometheus|direct]
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
from timing import compare, seconds  # noqa: E402

from meshdiag.lab import Lab, LabOptions  # noqa: E402
from meshdiag.lab.background import lab_in_background  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """The whole program beside curl, which only fetches the same pages: once with one look, twice with two."""
    with static_pages() as ports, tempfile.TemporaryDirectory() as folder:
        config, urls = Path(folder, "meshdiag.toml"), Path(folder, "urls")
        nodes = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
        config.write_text(f"[contexts.pages]\nprometheus = false\nalertmanager = false\nnodes = [{nodes}]\n")
        pages = (f'url = "http://127.0.0.1:{port}/metrics"\noutput = "/dev/null"\n' for port in ports)
        urls.write_text("".join(pages))
        curl = ["curl", "-s", "--parallel", "--parallel-max", "100", "-K", str(urls)]
        environment = {"MESHDIAG_CONFIG": str(config)}
        ours = [MESHDIAG, "health", "--direct"]
        compare([*ours, "--gap", "0"], curl, limit=6, runs=RUNS, environment=environment)
        fetched, looked = median(curl, {}), median(ours, environment)
    print(f"health --direct, {MANY} nodes, two looks: {looked:.3f} s; curl twice and 2 s: {2 * fetched + 2:.3f} s")


@contextlib.contextmanager
def static_pages() -> Iterator[list[str]]:
    """The ports of a process that serves a page of fixed text on each of them."""
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("page_server.py"), str(MANY)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    assert server.stdin is not None
    try:
        yield server.stdout.readline().split()
    finally:
        server.stdin.close()
        server.wait(timeout=10)


if __name__ == "__main__":
    for name, bench in (("prometheus", through_prometheus), ("direct", direct)):
        if sys.argv[1:] in ([], [name]):
            bench()
