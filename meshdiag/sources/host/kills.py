"""Whom the kernel killed for want of memory, by its own log (/dev/kmsg, what dmesg shows).

Sources: the kernel's Documentation/ABI/testing/dev-kmsg (``priority,sequence,microseconds,flags;message``), and
mm/oom_kill.c for the sentence: ``Out of memory: Killed process 1234 (name) total-vm:…kB, anon-rss:…kB …``.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from meshdiag.errors import SourceError, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST_RECORD: Final = 8192
MOST_RECORDS: Final = 200_000
_KILLED = re.compile(
    r"(?P<group>Memory cgroup out of memory|Out of memory)[^:]*: Kill(?:ed)? process (?P<pid>\d+) "
    r"\((?P<name>.*?)\)(?=,? (?:total-vm|score|UID)|$)(?:.*?anon-rss:(?P<kib>\d+)kB)?"
)


@dataclass(frozen=True, slots=True)
class Kill:
    """A process that the kernel killed. ``held``: bytes of its own memory, None where the log does not tell;
    ``in_group``: a control group's limit was reached, not the machine's. ``when`` is exact to the time that the
    machine has slept since."""

    when: datetime
    pid: int
    name: str
    held: float | None
    in_group: bool


def read_kills(root: Path, since: datetime) -> tuple[Kill, ...]:
    """Those since then that the kernel's log still holds, oldest first. Raises ``SourceError`` where it may not be
    read."""
    booted = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    kills = (kill for record in _records(root / "dev/kmsg") if (kill := read_record(record, booted)) is not None)
    return tuple(kill for kill in kills if kill.when >= since)


def read_record(record: str, booted_s: float) -> Kill | None:
    """What one record of the log says of a kill; None when it speaks of something else."""
    head, _, message = record.partition(";")
    found = _KILLED.search(message)
    fields = head.split(",")
    if found is None or len(fields) < 3 or not fields[2].isdecimal():
        return None
    when = datetime.fromtimestamp(booted_s + int(fields[2]) / 1e6, UTC)
    held = float(found["kib"]) * 1024 if found["kib"] else None
    return Kill(when, int(found["pid"]), found["name"], held, found["group"].startswith("Memory cgroup"))


def _records(path: Path) -> Iterator[str]:
    try:
        log = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise SourceError(
            f"this machine: the kernel's log cannot be read ({path}: {error.strerror})",
            trouble=Trouble.FORBIDDEN,
            source="this machine",
            hint="'sudo dmesg -T | grep -i \"killed process\"' shows it",
        ) from error
    try:
        for _ in range(MOST_RECORDS):
            try:
                record = os.read(log, LARGEST_RECORD)
            except BlockingIOError:
                return
            except BrokenPipeError:  # records were overwritten before they were read: the next one is there
                continue
            except OSError:
                return
            if not record:
                return
            yield record.decode("utf-8", "replace")
    finally:
        os.close(log)
