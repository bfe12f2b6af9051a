"""Reading 10,000 rules against promtool reading them, and the mesh's rules over 1,000 nodes: run it as a program."""

from __future__ import annotations

import gc
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from meshdiag.promql.store import Store
from meshdiag.rules.builtin import mesh_rules
from meshdiag.rules.evaluating import Evaluator
from meshdiag.rules.loading import load_file

RULES, NODES, RUNS = 10_000, 1_000, 5
METRICS = (
    "up", "system_memory_usage_bytes", "system_memory_total_bytes", "consensus_failed_rounds_total",
    "consensus_round_duration_seconds", "mesh_peer_count", "fl_model_accuracy",
)  # fmt: skip


def median(act: Callable[[], object]) -> float:
    """The median of several runs, in seconds."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def rule_text() -> str:
    """Many rules, each with an expression, a label and a template of its own."""
    one = (
        "  - alert: A{0}\n    expr: sum by (job) (rate(metric_{0}_total[5m])) > {0}\n    for: 5m\n"
        "    labels:\n      severity: page\n    annotations:\n      summary: '{{{{ $labels.job }}}} has {0}'\n"
    )
    return "groups:\n- name: g\n  rules:\n" + "".join(one.format(place) for place in range(RULES))


def mesh() -> Store:
    """Two looks at the pages of many nodes, all of them sick."""
    store = Store()
    for node in range(NODES):
        for name in METRICS:
            for moment in (0, 2000):
                labels = {"__name__": name, "job": "agent-mesh", "instance": f"h{node}:1", "node": f"n{node}"}
                store.add(labels, moment, 0.5)
    return store


def main() -> None:
    """Print the figures."""
    gc.set_threshold(500_000)  # as the program has it
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        file.write(rule_text())
        file.flush()
        ours = median(lambda: load_file(file.name))
        print(f"{RULES:,} rules, {Path(file.name).stat().st_size / 1e6:.1f} MB: {ours:.2f} s")
        if promtool := shutil.which("promtool"):
            argv = [promtool, "check", "rules", file.name]
            theirs = median(lambda: subprocess.run(argv, capture_output=True, check=True))
            print(f"promtool check rules: {theirs:.2f} s ({ours / theirs:.1f} times)")
    evaluator, moments = Evaluator(mesh_rules().groups, mesh()), iter(range(2000, 10_000, 1000))
    print(
        f"one step of the mesh's rules over {NODES:,} nodes: {median(lambda: evaluator.evaluate(next(moments))):.2f} s"
    )


if __name__ == "__main__":
    main()
