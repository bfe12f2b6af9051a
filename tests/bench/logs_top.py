"""Recurring messages of a log: ours beside ``sed | sort | uniq -c`` with numbers masked, and drain3 where it is here.

python tests/bench/logs_top.py LOG [--runs 3]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import time

TOP = """
import sys
from meshdiag.logs.opening.files import find
from meshdiag.logs.patterns.recurring import top
from meshdiag.logs.selection import Selection
from meshdiag.logs.tally import Tally
from meshdiag.render.log_patterns import as_lines
tally = Tally()
sys.stdout.writelines(as_lines(top(find([sys.argv[1]], tally), Selection(), tally), limit=20))
"""
DRAIN = """
import itertools, sys
from drain3 import TemplateMiner
from drain3.template_miner_config import TemplateMinerConfig
miner = TemplateMiner(config=TemplateMinerConfig())
for line in itertools.islice(open(sys.argv[1]), int(sys.argv[2])):
    miner.add_log_message(line.partition("] ")[2].rstrip())
"""
SED = "LC_ALL=C sed -E 's/[0-9]+/N/g' {} | LC_ALL=C sort | LC_ALL=C uniq -c | LC_ALL=C sort -rn | head -20"
DRAIN_LINES = 50_000


def seconds(*command: str) -> float:
    """How long a program takes, its output thrown away."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure in turn and print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("log")
    asked.add_argument("--runs", type=int, default=3)
    options = asked.parse_args()
    with open(options.log, "rb") as log:  # noqa: PTH123
        lines = sum(block.count(b"\n") for block in iter(lambda: log.read(1 << 20), b""))
    ours, theirs = [], []
    for _ in range(options.runs):
        ours.append(seconds(sys.executable, "-c", TOP, options.log))
        theirs.append(seconds("sh", "-c", SED.format(options.log)))
    first, second = statistics.median(ours), statistics.median(theirs)
    print(f"ours            {first:7.2f} s  {lines / first:12,.0f} lines/s")
    print(f"sed | sort ...  {second:7.2f} s  {lines / second:12,.0f} lines/s   {second / first:.1f} times ours")
    if importlib.util.find_spec("drain3"):
        took = seconds(sys.executable, "-c", DRAIN, options.log, str(DRAIN_LINES))
        print(f"drain3          {took:7.2f} s  {DRAIN_LINES / took:12,.0f} lines/s   (the first {DRAIN_LINES:,})")


if __name__ == "__main__":
    main()
