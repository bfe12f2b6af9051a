"""meshdiag logs beside grep, ripgrep, jq and zcat on generated logs: hot cache, side by side, into a pipe.

Run: python tests/bench/logs.py GENERATOR [--bytes 1G] [--runs 5] [--only ROW,...] [--folder DIR]
GENERATOR writes a time-ordered log: `GENERATOR text|json OUT --bytes N`. Peers: GNU grep, ripgrep, jq, zcat.
Recurring messages and following have benches of their own beside this one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

MESHDIAG = str(Path(sys.executable).with_name("meshdiag"))
MEMORY_MB = 120
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "LC_ALL": "C",
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
}


@dataclass(frozen=True)
class Row:
    """One line of the table: what, ours and the peer's shell command, how much of the peer's time is allowed."""

    name: str
    ours: str
    theirs: str
    limit: float
    runs: int = 0
    """Runs of the peer, where it is slow; 0 for as many as ours."""
    lines: str = ""
    """What prints the same lines as ours, where the peer prints something else."""


def rows(folder: Path) -> list[Row]:
    """The table. Both commands of a row give the same lines, or what else the row says."""
    text, big, ndjson, packed = (folder / name for name in ("t.log", "big.log", "j.log", "t.log.gz"))
    last = _minute_before_end(text)
    rows = [
        Row("level", f"meshdiag logs --level warn+ {text}", f"grep -E '(ERROR|WARN|FATAL)' {text}", 0.45),
        Row("none", f"meshdiag logs --level trace {text}", f"rg -N ' TRACE ' {text}", 1.0),
        Row("often", f"meshdiag logs --grep 'consensus|network' {text}", f"grep -E 'consensus|network' {text}", 1.0),
        Row(
            "ndjson",
            f"meshdiag logs --level error {ndjson}",
            f"""jq -c 'select(.level=="ERROR")' {ndjson}""",
            1 / 50,
            2,
        ),
        Row(  # ours prints the records that have the field, as they stand; jq prints the field's value alone
            "field",
            f"meshdiag logs --field consensus {ndjson}",
            f"jq -c '.consensus // empty' {ndjson}",
            1 / 15,
            2,
            lines=f"jq -c 'select(.consensus)' {ndjson}",
        ),
        Row("since", f"meshdiag logs --since {last} {text}", f"grep -E '^{last[:16]}' {text}", 1 / 20),
        Row("gz", f"meshdiag logs --level warn+ {packed}", f"zcat {packed} | grep -E '(ERROR|WARN|FATAL)'", 0.3, 3),
    ]
    if big.exists():
        here, there = (f"meshdiag logs --since {_shortly_before_end(path)} {path}" for path in (big, text))
        rows.append(Row("since10", here, there, 1.1))
    return rows


def _minute_before_end(path: Path) -> str:
    """The start of the last whole minute in a log, RFC 3339."""
    with path.open("rb") as file:
        file.seek(-4096, os.SEEK_END)
        stamp = file.read().split(b"\n")[-2][:16].decode()
    return f"{stamp}:00Z"


def _shortly_before_end(path: Path) -> str:
    """Ten seconds before the last line of a log, RFC 3339: as much to print of any log of one writer."""
    with path.open("rb") as file:
        file.seek(-4096, os.SEEK_END)
        stamp = file.read().split(b"\n")[-2].split()[0].decode()
    return (datetime.fromisoformat(stamp) - timedelta(seconds=10)).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class Cost:
    """What one run of a command into a pipe took: seconds on the clock, and of all processors together."""

    clock: float
    processors: float


def cost(command: str) -> Cost:
    """Run a shell command into a pipe. The reader's own work is counted with it, for either side alike."""
    before, began = os.times(), time.perf_counter()
    subprocess.run(["sh", "-c", f"{command} | cat >/dev/null"], env=ENVIRONMENT, stderr=subprocess.DEVNULL, check=False)
    clock, after = time.perf_counter() - began, os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(clock, used)


def output(command: str) -> str:
    """A checksum of what a command prints."""
    summed = subprocess.run(["sh", "-c", f"{command} | md5sum"], env=ENVIRONMENT, capture_output=True, check=False)
    return summed.stdout.decode().split()[0]


def peak_mb(command: str) -> float:
    """The largest resident memory of a command or a process of it, in MB."""
    code = (
        "import resource, subprocess, sys; subprocess.run(['sh', '-c', sys.argv[1] + ' >/dev/null']);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
    )
    ran = subprocess.run([sys.executable, "-c", code, command], env=ENVIRONMENT, capture_output=True, check=True)
    return float(ran.stdout)


def measure(row: Row, runs: int) -> bool:
    """Run both in turn, print medians, least times, ratio and memory; whether the limit is kept."""
    same = output(row.ours) == output(row.lines or row.theirs) if row.name != "since10" else True
    ours: list[Cost] = []
    theirs: list[Cost] = []
    for number in range(runs):
        ours.append(cost(row.ours))
        if number < (row.runs or runs):
            theirs.append(cost(row.theirs))
    clocks = [statistics.median(one.clock for one in side) for side in (ours, theirs)]
    least = [min(one.clock for one in side) for side in (ours, theirs)]
    used = [min(one.processors for one in side) for side in (ours, theirs)]
    ratio = clocks[0] / clocks[1]
    memory = peak_mb(row.ours)
    kept = ratio <= row.limit and same and memory <= MEMORY_MB
    print(
        f"{row.name:8} {clocks[0]:7.3f} s {clocks[1]:8.3f} s  ratio {ratio:6.3f} (limit {row.limit:.3f}: "
        f"{'kept' if kept else 'MISSED'}), least {least[0]:.3f} / {least[1]:.3f} = {least[0] / least[1]:.3f}, "
        f"processors {used[0]:.2f} / {used[1]:.2f} s, {memory:.0f} MB{'' if same else ', OUTPUT DIFFERS'}",
        flush=True,
    )
    return kept


def prepare(generator: str, folder: Path, size: str) -> None:
    """Write the files that are missing."""
    for kind, name, much in (("text", "t.log", size), ("json", "j.log", size)):
        if not (folder / name).exists():
            subprocess.run([sys.executable, generator, kind, str(folder / name), "--bytes", much], check=True)
    if not (folder / "t.log.gz").exists():
        with (folder / "t.log.gz").open("wb") as out:
            subprocess.run(["gzip", "-1c", str(folder / "t.log")], stdout=out, check=True)


def main() -> None:
    """Measure the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generator")
    parser.add_argument("--bytes", default="1G")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--folder", default="")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(asked.folder or made)
        prepare(asked.generator, folder, asked.bytes)
        wanted = set(filter(None, asked.only.split(",")))
        results = [measure(row, asked.runs) for row in rows(folder) if not wanted or row.name in wanted]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
