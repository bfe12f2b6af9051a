"""The processes of this machine that hold most memory, by psutil."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any

LONGEST_COMMAND = 200


@dataclass(frozen=True, slots=True)
class Process:
    """A process. ``rss``: its pages in memory, shared ones included; ``uss``: those that would be free if it ended,
    None where they may not be read; bytes. ``files``: open descriptors, None likewise. ``chosen``: the user named it.
    A pid is used again after a while; together with ``started`` it is one process."""

    pid: int
    name: str
    command: str
    rss: float
    started: datetime
    threads: int = 0
    uss: float | None = None
    files: int | None = None
    chosen: bool = False

    @property
    def identity(self) -> tuple[int, datetime]:
        """What it is told by from look to look."""
        return self.pid, self.started


def read_processes(most: int, chosen: str) -> tuple[Process, ...]:
    """The ``most`` largest, and those that ``chosen`` names, without this one; nor what ends meanwhile."""
    others = (process for process in psutil.process_iter() if process.pid != os.getpid())
    found = [one for process in others if (one := _look(process, chosen)) is not None]
    found.sort(key=lambda one: (not one[1].chosen, -one[1].rss))
    named = sum(one.chosen for _, one in found)
    return tuple(_closer(process, one) for process, one in found[: max(most, min(named, 2 * most))])


def read_named(names: Collection[str]) -> tuple[Process, ...]:
    """The processes whose program has one of these names, the oldest first."""
    found = [one for process in psutil.process_iter() if (one := _look(process, "")) and one[1].name in names]
    return tuple(sorted((_closer(process, one) for process, one in found), key=lambda one: one.started))


def _look(process: psutil.Process, chosen: str) -> tuple[psutil.Process, Process] | None:
    try:
        with process.oneshot():
            name, command = process.name(), process.cmdline()
            shown = shlex.join(command)[:LONGEST_COMMAND] or f"[{name}]"
            started = datetime.fromtimestamp(process.create_time(), UTC)
            rss, threads = float(process.memory_info().rss), process.num_threads()
    except (psutil.Error, OSError, ValueError):
        return None
    is_chosen = _is_chosen(process.pid, f"{name} {shown}", chosen)
    return process, Process(process.pid, name, shown, rss, started, threads, chosen=is_chosen)


def _closer(process: psutil.Process, seen: Process) -> Process:
    """With what costs a walk over its pages: only for those that are told."""

    def ask(question: Callable[[], Any]) -> Any:
        try:
            return question()
        except (psutil.Error, OSError, ValueError):
            return None

    full, files = ask(process.memory_full_info), ask(process.num_fds)
    uss = float(full.uss) if full is not None else None
    return Process(seen.pid, seen.name, seen.command, seen.rss, seen.started, seen.threads, uss, files, seen.chosen)


def _is_chosen(pid: int, known_as: str, chosen: str) -> bool:
    """Whether a process is the one that was asked for."""
    return pid == int(chosen) if chosen.isdecimal() else bool(chosen) and chosen in known_as
