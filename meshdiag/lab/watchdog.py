"""Cleans up after a lab that was killed: runs as a process of its own, with nothing but the standard library.

Its standard input is a pipe from the lab. Each line names what belongs to the lab: ``dir PATH`` or ``pid
NUMBER``. When the pipe ends the lab is gone, in whatever way: the processes are killed together with what
they started, then the directories are removed. A lab that ends well says ``done`` first.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path


def main() -> None:
    """Wait for the lab's end and clean up."""
    os.setsid()
    directories: list[str] = []
    processes: dict[int, int] = {}
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "dir":
            directories.append(rest)
        elif word == "pid":
            # A descriptor names the process for good; its number may be given to another one.
            with contextlib.suppress(OSError):
                processes[int(rest)] = os.pidfd_open(int(rest))
        elif word == "done":
            return
    kill(processes)
    for path in directories:
        shutil.rmtree(path, ignore_errors=True)


def kill(processes: dict[int, int]) -> None:
    """Kill the processes (number -> pidfd) that still run, and all that they started."""
    for pid, descriptor in processes.items():
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGSTOP)
        except OSError:
            continue
        for child in descendants(pid):
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """The children of a process, their children, and so on."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parent = int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        next_ = children.get(waiting.pop(), [])
        found += next_
        waiting += next_
    return found


if __name__ == "__main__":
    main()
