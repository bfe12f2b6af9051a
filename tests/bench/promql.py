"""The evaluator beside Prometheus over HTTP, the page reader beside prometheus_client, the store by the sample.

Run: python tests/bench/promql.py [query|pages|memory]
"""

from __future__ import annotations

import gc
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from prometheus_client.parser import text_string_to_metric_families  # noqa: E402

from meshdiag.promql.evaluator import instant, over_range  # noqa: E402
from meshdiag.promql.store import Store  # noqa: E402
from meshdiag.promql.values import Options  # noqa: E402
from meshdiag.sources.exposition import Reader  # noqa: E402
from tests.servers import prometheus  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERIES, STEP_S, SPAN_S = 10_000, 15, 3_600
RUNS = 9
QUERIES = (
    "sum by (instance) (rate(x[5m]))",
    "x",
    'sum(rate(x{part=~"1.*"}[5m]))',
    "topk(5, x)",
    "sum by (instance) (x) / on (instance) sum by (instance) (x offset 5m)",
)


def columns(end: int) -> Iterator[tuple[str, str, list[tuple[int, float]]]]:
    """The instance and part of each series with its samples: counters of 500 instances with 20 parts each."""
    chance = random.Random(3)
    times = range(end - SPAN_S, end, STEP_S)
    for number in range(SERIES):
        total, samples = 0.0, []
        for moment in times:
            total += chance.random() * 9
            samples.append((moment, total))
        yield f"n{number // 20}", str(number % 20), samples


def fill(end: int) -> Store:
    """The store with all of it."""
    store = Store()
    for instance, part, samples in columns(end):
        series = store.series({"__name__": "x", "instance": instance, "part": part, "job": "agent-mesh"})
        for moment, value in samples:
            series.append(moment * 1000, value)
    return store


def history(end: int) -> str:
    """The same as OpenMetrics text."""
    lines = [
        f'x{{instance="{instance}",part="{part}",job="agent-mesh"}} {value!r} {moment}'
        for instance, part, samples in columns(end)
        for moment, value in samples
    ]
    return "\n".join([*lines, "# EOF", ""])


def median(measured: Callable[[], object]) -> float:
    """The median of several runs in seconds, after one that warms up."""
    taken = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        measured()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])


def row(what: str, ours: float, theirs: float, limit: str, kept: bool) -> None:
    """One line of the table."""
    print(f"{what:75} {ours * 1000:8.1f} ms {theirs * 1000:8.1f} ms  {limit}{'' if kept else '  MISSED'}")


def query() -> None:
    """Instant queries at most ten times slower than the same asked of Prometheus over HTTP."""
    end = int(time.time()) // STEP_S * STEP_S - 60
    store = fill(end)
    options = Options(prometheus2=True)
    with prometheus(history(end)) as server:

        def ask(path: str, **params: object) -> object:
            url = f"{server.url}/api/v1/{path}?{urllib.parse.urlencode(params)}"
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)["data"]["result"]

        print(f"{f'{SERIES} series, {SPAN_S // STEP_S} samples each':75} {'ours':>11} {'over HTTP':>11}")
        for text in QUERIES:
            theirs = median(lambda text=text: ask("query", query=text, time=end))
            ours = median(lambda text=text: instant(store, text, end * 1000, options))
            row(text, ours, theirs, f"{ours / theirs:.1f} times (limit 10)", ours <= 10 * theirs)
        text, span = QUERIES[0], (end - 600, end, 60)
        theirs = median(lambda: ask("query_range", query=text, start=span[0], end=span[1], step=span[2]))
        ours = median(lambda: over_range(store, text, *(bound * 1000 for bound in span), options))
        row(f"{text} over 10m, step 1m", ours, theirs, f"{ours / theirs:.1f} times", True)


def page_of(families: int, series: int) -> str:
    """A page of as many families, each with as many series."""
    lines = []
    for family in range(families):
        name = f"mesh_family_{family}_seconds"
        lines += [
            f"# HELP {name} What family {family} tells, in a sentence of the usual length.",
            f"# TYPE {name} gauge",
        ]
        lines += [f'{name}{{peer="10.0.0.{n}:7000",direction="in"}} {n * 1.25 + family}' for n in range(series)]
    return "\n".join(lines) + "\n"


def pages() -> None:
    """A family of fifty at least five times faster than prometheus_client, which reads all of them."""
    for series in (1, 20, 200):
        page = page_of(50, series)
        raw, wanted = page.encode(), frozenset({"mesh_family_7_seconds"})
        theirs = median(lambda page=page: list(text_string_to_metric_families(page)))
        ours = median(lambda raw=raw, wanted=wanted: Reader(wanted).read(raw))
        every = median(lambda raw=raw: Reader().read(raw))
        what = f"a page of {len(raw) // 1024} kB, 50 families of {series}"
        row(f"{what}: one family", ours, theirs, f"{theirs / ours:.0f} times faster (at least 5)", theirs >= 5 * ours)
        row(f"{what}: all of it", every, theirs, f"{theirs / every:.1f} times faster", True)


def memory() -> None:
    """At most forty bytes a sample, all of the store counted."""
    gc.collect()
    tracemalloc.start()
    store = fill(1_700_000_000)
    gc.collect()
    used, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    samples = sum(len(series.times) for series in store.named("x"))
    each = used / samples
    print(f"the store: {used / 1024**2:.1f} MiB, {samples} samples, {each:.1f} bytes each (limit 40)")


def start_up() -> None:
    """What the first query of a process costs beside the interpreter: imports and parsing."""
    with tempfile.TemporaryDirectory():
        for code in ("pass", "from meshdiag.promql.evaluator import instant"):
            taken = median(lambda code=code: subprocess.run([sys.executable, "-c", code], check=True))
            print(f"python -c '{code}': {taken * 1000:.0f} ms")


if __name__ == "__main__":
    for name, bench in (("query", query), ("pages", pages), ("memory", memory), ("start-up", start_up)):
        if sys.argv[1:] in ([], [name]):
            bench()
            print()
