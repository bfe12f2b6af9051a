"""A thousand peers, ten probes each: how long ``meshdiag peers`` takes beside one peer alone and beside fping, and how
much memory. Run by hand: python tests/bench/peers.py [PEERS]

The peers are addresses of the loopback, which all answer ICMP and whose port accepts. To be held: the time of the
slowest peer plus two seconds, 150 MB, and never more than 5,000 probes begun in a second.
"""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

MESHDIAG = (sys.executable, "-m", "meshdiag")
COUNT, INTERVAL_S = 10, 0.2


def main() -> None:
    """Measure and print."""
    peers = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with socket.create_server(("0.0.0.0", 0), backlog=4096) as listening, tempfile.TemporaryDirectory() as folder:
        threading.Thread(target=_accept, args=(listening,), daemon=True).start()
        port = listening.getsockname()[1]
        hosts = [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(peers)]
        targets = Path(folder) / "targets"
        targets.write_text("".join(f"{host}:{port}\n" for host in hosts))
        print(f"{peers:,} peers, {COUNT} probes each, {INTERVAL_S} s apart; {os.cpu_count()} cores")
        alone = _run("one peer alone", f"{hosts[0]}:{port}")
        for method in ("auto", "icmp", "tcp"):
            took = _run(f"all, --method {method}", "--targets", str(targets), "--method", method)
            print(f"{'':34}{took - alone:+.2f} s over the slowest peer alone (2 s are allowed)")
        _fping(hosts)


def _run(name: str, *arguments: str) -> float:
    """One run of the program: seconds; prints them with the memory it took."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    process = subprocess.Popen(
        [*MESHDIAG, "peers", *arguments, "-o", "json"], stdout=subprocess.PIPE, env=environment, text=True
    )
    output, _ = process.communicate()
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{name:34}{took:.2f} s, {peak:.0f} MB at most, verdict {output.split('verdict', 1)[1][4:8]}")
    return took


def _fping(hosts: list[str]) -> None:
    if shutil.which("fping") is None:
        print("fping is not installed")
        return
    began = time.perf_counter()
    subprocess.run(
        ["fping", "-q", "-c", str(COUNT), "-p", str(int(INTERVAL_S * 1000)), "-i", "0.2", *hosts],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    print(f"{'fping, ICMP alone, as fast':34}{time.perf_counter() - began:.2f} s")


def _accept(listening: socket.socket) -> None:
    while True:
        accepted, _ = listening.accept()
        accepted.close()


if __name__ == "__main__":
    main()
