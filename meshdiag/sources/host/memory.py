"""Memory of this machine and of a control group on it, as Linux tells it; elsewhere as far as psutil knows.

Sources: proc(5); the kernel's Documentation/accounting/psi.rst, admin-guide/cgroup-v2.rst (``memory.*``) and
admin-guide/cgroup-v1/memory.rst. All sizes in bytes, pressures as shares (0 to 1) of the last ten seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psutil

from meshdiag.errors import SourceError, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNLIMITED: Final = 1 << 60
"""The old control groups write "no limit" as a huge number."""


@dataclass(frozen=True, slots=True)
class Pressure:
    """How much of the last ten seconds some task, or every task at once, stood still for want of memory (0 to 1)."""

    some: float
    full: float


@dataclass(frozen=True, slots=True)
class Memory:
    """The machine's. ``available``: what programs could get without swapping. ``pressure`` is None where the kernel
    does not measure it."""

    total: float
    available: float
    swap_total: float
    swap_used: float
    pressure: Pressure | None = None

    @property
    def share(self) -> float:
        """The share in use (0 to 1)."""
        return 1 - self.available / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Limit:
    """A control group's limit and how near it is. ``used`` leaves out what the kernel drops first (unused file
    cache). ``kills``: how many of its processes were killed for want of memory since it was made, None where the
    kernel does not count. ``pressure`` as of the machine, within the group."""

    group: str
    limit: float
    used: float
    kills: int | None = None
    pressure: Pressure | None = None

    @property
    def share(self) -> float:
        """The share of the limit in use (0 to 1)."""
        return self.used / self.limit if self.limit else 1.0


def read_memory(root: Path) -> Memory:
    """The machine's memory. Raises ``SourceError``."""
    try:
        ram, swap = psutil.virtual_memory(), psutil.swap_memory()
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreadable(f"its memory cannot be read: {error}") from error
    pressure = _pressure(root / "proc/pressure/memory")
    return Memory(float(ram.total), float(ram.available), float(swap.total), float(swap.used), pressure)


def read_limit(root: Path, pid: int | None) -> Limit | None:
    """The tightest limit on the control group of a process, or of a group around it; None without any. Raises
    ``SourceError`` where there is no such process."""
    path = root / "proc" / ("self" if pid is None else str(pid)) / "cgroup"
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        if pid is not None and (root / "proc/self").exists():
            raise _unreadable(f"there is no process {pid}") from None
        return None
    except OSError as error:
        raise _unreadable(f"{path} cannot be read: {error.strerror}") from error
    limits = [limit for group, old in _groups(root, lines) if (limit := _limit(group, old)) is not None]
    return min(limits, key=lambda one: one.limit, default=None)


def _groups(root: Path, lines: list[str]) -> Iterator[tuple[Path, bool]]:
    """The folders of a process's control group and of those around it, and whether they are of the old kind."""
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        old = "memory" in controllers.split(",")
        if not old and (number != "0" or controllers):
            continue
        top = root / "sys/fs/cgroup" / ("memory" if old else "")
        group = top / path.lstrip("/")
        # In a container the path is the host's, and the group itself is mounted at the top.
        inside = group if group.is_dir() and ".." not in path else top
        yield inside, old
        for around in inside.parents:
            if not around.is_relative_to(top):
                break
            yield around, old


def _limit(group: Path, old: bool) -> Limit | None:
    limit = _number(group / ("memory.limit_in_bytes" if old else "memory.max"))
    if limit is None or limit >= UNLIMITED:
        return None
    used = _number(group / ("memory.usage_in_bytes" if old else "memory.current")) or 0.0
    counts = _pairs(group / "memory.stat")
    droppable = counts.get("total_inactive_file" if old else "inactive_file", 0)
    kills = _pairs(group / ("memory.oom_control" if old else "memory.events")).get("oom_kill")
    return Limit(str(group), limit, max(used - droppable, 0.0), kills, _pressure(group / "memory.pressure"))


def _number(path: Path) -> float | None:
    """The number a file holds; None for "max", or where there is none."""
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return None


def _pairs(path: Path) -> dict[str, int]:
    """A file of names and numbers."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
        return {pair[0]: int(pair[1]) for pair in lines if len(pair) == 2}
    except (OSError, ValueError):
        return {}


def _pressure(path: Path) -> Pressure | None:
    """``some avg10=0.12 avg60=…`` in percent; None where the kernel does not tell (old, or switched off)."""
    shares = {}
    try:
        for line in path.read_text().splitlines():
            kind, ten, *_ = line.split()
            shares[kind] = float(ten.removeprefix("avg10=")) / 100
        return Pressure(shares["some"], shares.get("full", 0.0))
    except (OSError, ValueError, KeyError):
        return None


def _unreadable(what: str) -> SourceError:
    return SourceError(f"this machine: {what}", trouble=Trouble.OTHER, source="this machine")
