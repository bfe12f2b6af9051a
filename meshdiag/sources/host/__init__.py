"""This machine: its memory, the limits of control groups, its processes, whom the kernel has killed.

memory.py      what there is and what is in use, pressure, the limit of a control group
processes.py   the processes that hold most of it, and those of a name
addresses.py   whether a host is this machine
units.py       what systemd says of a unit, and the last that it said
kills.py       the kernel's log: who was killed for want of memory
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from meshdiag.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from meshdiag.sources.host.kills import Kill
    from meshdiag.sources.host.memory import Limit, Memory
    from meshdiag.sources.host.processes import Process
    from meshdiag.sources.host.units import Unit

ROOT: Final = Path("/")


class Host:
    """This machine. ``root`` is where its ``proc`` and ``sys`` are. Every question raises ``SourceError``, and is
    answered in a thread, for a machine short of memory answers slowly."""

    name = "this machine"

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root

    async def memory(self) -> Memory:
        """What there is, what is in use, and how much the machine suffers for want of it."""
        from meshdiag.sources.host.memory import read_memory

        return await asyncio.to_thread(read_memory, self._root)

    async def limit(self, pid: int | None = None) -> Limit | None:
        """The tightest limit on the control group of a process (this one by default); None without any."""
        from meshdiag.sources.host.memory import read_limit

        return await asyncio.to_thread(read_limit, self._root, pid)

    async def processes(self, most: int, chosen: str = "") -> tuple[Process, ...]:
        """The processes that hold most memory, the largest first, and those that ``chosen`` names (a process id, or
        a part of the name or command line), whatever they hold."""
        from meshdiag.sources.host.processes import read_processes

        return await asyncio.to_thread(read_processes, most, chosen)

    async def kills(self, since: datetime) -> tuple[Kill, ...]:
        """Whom the kernel killed for want of memory since then, by its log."""
        from meshdiag.sources.host.kills import read_kills

        return await asyncio.to_thread(read_kills, self._root, since)

    async def named(self, names: Collection[str]) -> tuple[Process, ...]:
        """The processes whose programs have one of these names."""
        from meshdiag.sources.host.processes import read_named

        return await asyncio.to_thread(read_named, names)

    async def unit(self, name: str) -> Unit | None:
        """What systemd says of a unit; None where there is none of that name, or no systemd."""
        from meshdiag.sources.host.units import read_unit

        return await asyncio.to_thread(read_unit, name)

    async def unit_said(self, name: str, most: int) -> tuple[str, ...]:
        """The last lines of a unit in the journal, none where it may not be read."""
        from meshdiag.sources.host.units import read_last_lines

        return await asyncio.to_thread(read_last_lines, name, most)

    async def is_here(self, host: str) -> bool:
        """Whether a host of a URL is this machine: by loopback, its name or one of its addresses. No name is looked
        up."""
        from meshdiag.sources.host.addresses import is_here

        return await asyncio.to_thread(is_here, host)

    @staticmethod
    def evidence(command: str, excerpt: str = "") -> Evidence:
        """A command that shows the same here."""
        return Evidence("this machine", command, excerpt)
