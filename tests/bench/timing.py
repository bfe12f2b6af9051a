"""Times whole programs in turn and prints the medians and their ratio. Benchmarks are run by hand, never in CI.

Programs run with their bytecode at hand, as installed ones do, even where the shell forbids Python to write any.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def seconds(command: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    """How long one run of a program takes, start-up and exit included."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    subprocess.run(
        command,
        env={**kept, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return time.perf_counter() - began


def compare(
    ours: Sequence[str],
    theirs: Sequence[str],
    *,
    limit: float,
    runs: int = 11,
    environment: Mapping[str, str] | None = None,
) -> float:
    """Run both in turn, so that a drifting machine hurts both alike; print medians and the ratio."""
    pairs = [(seconds(ours, environment), seconds(theirs, environment)) for _ in range(runs + 1)][1:]
    first, second = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = first / second
    print(f"{_short(ours):44} {first:7.3f} s")
    print(f"{_short(theirs):44} {second:7.3f} s")
    print(f"{'ratio':44} {ratio:7.2f}   (limit {limit:g}: {'kept' if ratio <= limit else 'MISSED'})\n")
    return ratio


def _short(command: Sequence[str]) -> str:
    words = ["python" if word == sys.executable else word for word in command]
    return " ".join(words)[:44]
