"""How soon a followed line is out, and how long a burst takes: ours beside ``tail -f | grep --line-buffered``.

python tests/bench/logs_follow.py [--lines 500] [--burst 200]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FOLLOW = """
import sys
from meshdiag.logs.follow.following import follow_raw
from meshdiag.logs.record import Level
from meshdiag.logs.selection import Pattern, Selection
from meshdiag.logs.tally import Tally
from meshdiag.logs.follow.watching import Stop
what = sys.argv[2]
chosen = Selection(levels=frozenset({Level.WARN, Level.ERROR, Level.FATAL})) if what == "errors" else (
    Selection(patterns=(Pattern(what),)))
follow_raw([sys.argv[1]], chosen, 1, Tally(), Stop())
"""
GREP = {"errors": "(ERROR|WARN|FATAL)"}
LINE = "2025-06-01T00:00:00.000Z {:5} [{}] rpc failed method=RequestVote peer=node-{:02d} attempt={} number={}\n"


def started(tool: str, path: Path, what: str) -> subprocess.Popen[bytes]:
    """One of the two, following, its output a pipe; what is written before it answers is not measured."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if tool == "ours":
        command = [sys.executable, "-c", FOLLOW, str(path), what]
    else:
        command = ["sh", "-c", f"tail -n 0 -f {path} | LC_ALL=C grep --line-buffered -E '{GREP.get(what, what)}'"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, start_new_session=True)


def stopped(process: subprocess.Popen[bytes]) -> None:
    """End a tool and what it started."""
    os.killpg(process.pid, 15)
    process.communicate()


def line(number: int, level: str, component: str) -> str:
    """A line as the mesh writes it."""
    return LINE.format(level, component, number % 64, number % 6, number)


def latencies(tool: str, folder: Path, count: int) -> list[float]:
    """Milliseconds from the write of a line to its arrival, one line after another."""
    path = folder / f"{tool[:4]}.log"
    path.write_text(line(0, "INFO", "raft"))
    process = started(tool, path, "errors")
    assert process.stdout is not None
    found = []
    with path.open("a") as log:
        time.sleep(1)
        for number in range(count):
            log.write(line(number, "ERROR", "raft"))
            began = time.perf_counter()
            log.flush()
            process.stdout.readline()
            found.append((time.perf_counter() - began) * 1000)
            time.sleep(0.003)
    stopped(process)
    return found


def burst(tool: str, folder: Path, source: Path, what: str) -> float:
    """Seconds from the first byte of a burst (copied in at once) to its last wanted line."""
    path = folder / "burst.log"
    path.write_text(line(0, "INFO", "raft"))
    process = started(tool, path, what)
    assert process.stdout is not None
    time.sleep(1)
    began = time.perf_counter()
    subprocess.run(["sh", "-c", f"cat {source} >> {path}"], check=True)
    held = b""
    while b"number=999999999\n" not in held[-400:]:
        held = held[-400:] + os.read(process.stdout.fileno(), 1 << 16)
    took = time.perf_counter() - began
    stopped(process)
    path.unlink()
    return took


def written(folder: Path, megabytes: int) -> Path:
    """A log of that size: 2.6 % are WARN or worse, 35 % of two components; the last line is wanted by all."""
    path = folder / "source.log"
    levels = ["WARN" if number % 50 == 7 else "ERROR" if number % 167 == 3 else "INFO" for number in range(8350)]
    names = ["consensus" if number % 20 < 4 else "network" if number % 20 < 7 else "storage" for number in range(8350)]
    chunk = "".join(line(n, level, name) for n, (level, name) in enumerate(zip(levels, names, strict=True))).encode()
    with path.open("wb") as log:
        for _ in range(megabytes * 1_000_000 // len(chunk)):
            log.write(chunk)
        log.write(line(999_999_999, "ERROR", "consensus").encode())
    return path


def main() -> None:
    """Measure both in turn and print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--lines", type=int, default=500)
    asked.add_argument("--burst", type=int, default=200, help="megabytes")
    asked.add_argument("--runs", type=int, default=3)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for tool in ("ours", "tail | grep"):
            found = sorted(latencies(tool, folder, options.lines))
            p99 = found[int(len(found) * 0.99)]
            print(
                f"{tool:12} one line: median {statistics.median(found):.3f} ms, p99 {p99:.3f} ms, worst {found[-1]:.3f}"
            )
        source = written(folder, options.burst)
        for what in ("errors", "consensus|network"):
            pairs = [
                [burst(tool, folder, source, what) for tool in ("ours", "tail | grep")] for _ in range(options.runs)
            ]
            ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
            print(f"burst of {options.burst} MB, {what}: {ours:.2f} s", end="")
            print(f", tail | grep {theirs:.2f} s, ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
