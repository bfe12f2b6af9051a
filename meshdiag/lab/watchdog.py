"""Cleans up after a lab that was killed: runs as a process of its own, with nothing but the standard library.

Its standard input is a pipe from the lab. Each line names what belongs to the lab: ``dir PATH``, ``pid NUMBER`` or
``net NAME``, a network namespace as /proc names it. When the pipe ends the lab is gone, in whatever way: the
processes are killed together with what they started and with whoever is in those namespaces, then the directories
are removed. A lab that ends well says ``done`` first.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def main() -> None:
    """Wait for the lab's end and clean up."""
    os.setsid()
    directories: list[str] = []
    processes: dict[int, int] = {}
    namespaces: set[str] = set()
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "dir":
            directories.append(rest)
        elif word == "pid":
            descriptor = open_process(int(rest))
            if descriptor is not None:
                processes[int(rest)] = descriptor
        elif word == "net":
            namespaces.add(rest)
        elif word == "done":
            return
    kill(processes)
    evict(namespaces)
    for path in directories:
        shutil.rmtree(path, ignore_errors=True)


def open_process(pid: int) -> int | None:
    """A descriptor that names a process for good (its number may be given to another one), None when it is gone."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def send(number: signal.Signals, descriptors: Iterable[int]) -> None:
    """Send a signal to those of the processes that still run."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(descriptor, number)


def kill(processes: dict[int, int]) -> None:
    """Kill the processes (number -> pidfd) that still run, and all that they started."""
    # Stopped, they start no more of them while we look.
    send(signal.SIGSTOP, processes.values())
    offspring = [opened for pid in processes for child in descendants(pid) if (opened := open_process(child))]
    send(signal.SIGKILL, [*offspring, *processes.values()])


def evict(namespaces: set[str]) -> None:
    """Kill the processes that are in these network namespaces, until there is none."""
    while namespaces and (found := [one for pid in _inhabitants(namespaces) if (one := open_process(pid)) is not None]):
        send(signal.SIGKILL, found)
        for descriptor in found:
            select.select([descriptor], [], [], 1.0)  # readable when the process has ended
            os.close(descriptor)


def _inhabitants(namespaces: set[str]) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if str((entry / "ns/net").readlink()) in namespaces:
                    found.append(int(entry.name))
    return found


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
