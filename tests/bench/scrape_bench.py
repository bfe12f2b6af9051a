"""Fetching, reading and evaluating 1,000 nodes' pages against curl fetching them: run it as a program.

Both use at most 100 connections at once; every node has a port of its own. Prints medians and ratios.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from meshdiag.catalog import METRICS
from meshdiag.context import Endpoint, NodeAddress
from meshdiag.errors import LeftOut
from meshdiag.metrics import Vector
from meshdiag.rules.builtin import mesh_rules
from meshdiag.sources.scrape import Scrape

NODES = 1000
RUNS = 7
CONCURRENCY = 100
ENDPOINT = Endpoint("http://localhost", timeout_s=5.0)


def curl(addresses: list[NodeAddress]) -> float:
    """Seconds that curl takes for all pages."""
    with tempfile.NamedTemporaryFile("w", suffix=".curl") as config:
        config.write("\n".join(f'url = "{node.url}"\noutput = "/dev/null"' for node in addresses))
        config.flush()
        command = ["curl", "--silent", "--parallel", "--parallel-max", str(CONCURRENCY), "--config", config.name]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - began


async def ours(addresses: list[NodeAddress]) -> tuple[float, float]:
    """Seconds for the pages alone, and for pages and the answers to every query of the catalog."""
    source = Scrape(addresses, ENDPOINT, concurrency=CONCURRENCY, single_look=True)
    began = time.perf_counter()
    await source.look()
    fetched = time.perf_counter() - began
    queries = [metric.per_instance("agent-mesh") for metric in METRICS] + [rule.expr for rule in mesh_rules().rules]
    answers = await asyncio.gather(*(source.instant(query) for query in queries), return_exceptions=True)
    assert all(isinstance(answer, Vector | LeftOut) for answer in answers), "rates are left out of a single look"
    assert sum(len(answer.samples) for answer in answers if isinstance(answer, Vector)) > 10 * NODES
    return fetched, time.perf_counter() - began


def main() -> None:
    """Measure in turn and print."""
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("page_server.py"), str(NODES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    assert server.stdin is not None
    try:
        ports = server.stdout.readline().split()
        addresses = [NodeAddress(f"http://127.0.0.1:{port}/metrics", f"node-{port}", name=port) for port in ports]
        rows = []
        for _ in range(RUNS + 1):
            theirs = curl(addresses)
            rows.append((theirs, *asyncio.run(ours(addresses))))
    finally:
        server.stdin.close()
        server.wait(timeout=10)
    theirs, fetched, whole = (statistics.median(column) for column in zip(*rows[1:], strict=True))
    print(f"curl --parallel-max {CONCURRENCY}: {theirs:.3f} s")
    print(f"fetch {NODES} pages:      {fetched:.3f} s, {fetched / theirs:.2f} times curl")
    print(f"fetch, read, evaluate: {whole:.3f} s, {whole / theirs:.2f} times curl (without start-up)")


if __name__ == "__main__":
    main()
