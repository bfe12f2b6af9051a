"""A log record, whatever wrote it: when, how grave, who, what."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

NS = 1_000_000_000
"""Nanoseconds in a second: the unit of time in the log engine, because formats and Loki go that far."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def nanoseconds(moment: datetime) -> int:
    """An aware moment in nanoseconds since the epoch."""
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def moment_of(time_ns: int) -> datetime:
    """The moment (UTC) of nanoseconds since the epoch; the last or first that there is where it is beyond."""
    try:
        return EPOCH + timedelta(microseconds=time_ns // 1000)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if time_ns > 0 else datetime.min.replace(tzinfo=UTC)


class Level(IntEnum):
    """How grave a record is. Every spelling and number of every format becomes one of these."""

    TRACE = 0
    DEBUG = 1
    INFO = 2
    WARN = 3
    ERROR = 4
    FATAL = 5

    @property
    def word(self) -> str:
        """The name as it is shown and typed: ``warn``."""
        return self.name.lower()


@dataclass(slots=True)
class Record:
    """One record. All text is as it stood: hostile.

    ``raw`` is the record without its last newline, continuation lines included. ``time_ns`` is in nanoseconds since
    the epoch (UTC), None where the record has no time that can be understood; ``level`` None where it states none.
    ``fields`` are the record's own (JSON, logfmt, access logs, named groups of a user's format), nested as they stood,
    empty for plain text. ``file`` is what the user would open (a path, ``-``, a container, a stream's labels); ``line``
    the number of its first line from 1, None where nobody counted (after a seek, from a server). ``context`` is set
    where a record is given only because it lies beside a wanted one, ``gap`` where such are asked for and records of
    the log between it and the one given before are left out.
    """

    raw: bytes
    time_ns: int | None = None
    level: Level | None = None
    component: str = ""
    node: str = ""
    message: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""
    line: int | None = None
    context: bool = False
    gap: bool = False
