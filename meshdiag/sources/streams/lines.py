"""Lines as they come from others: cut from chunks of any size, bounded, with the stamp of when each was taken."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from meshdiag.logs.record import NS

if TYPE_CHECKING:
    from meshdiag.logs.assembling import Origin

LONGEST = 2 << 20
"""Bytes of one line that are kept."""
STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)(?: |\Z)")
"""RFC 3339 as Docker and Kubernetes write it before a line; the fraction is left out when it is nought."""


class Line(NamedTuple):
    """A line without its newline, when it was taken (ns since the epoch, None where nobody says) and the channel
    it came by (``stdout``). ``origin`` where it is not the log's own; ``whole``: it is a record by itself."""

    raw: bytes
    taken_ns: int | None = None
    channel: str = ""
    origin: Origin | None = None
    whole: bool = False


class LineSplitter:
    """Cuts chunks into lines. A line that is longer than ``limit`` is cut there; ``cut`` counts them."""

    def __init__(self, limit: int = LONGEST) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self.cut = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk completes, without their newlines."""
        first, *others = chunk.split(b"\n")
        self._keep(first)
        if not others:
            return []
        lines = [self._take()]
        lines += (line[: self._limit] for line in others[:-1])
        self.cut += sum(len(line) > self._limit for line in others[:-1])
        self._keep(others[-1])
        return lines

    def rest(self) -> bytes | None:
        """The last line where no newline ended it; None where nothing is left."""
        return self._take() if self._size else None

    def _keep(self, part: bytes) -> None:
        room = self._limit - self._size
        if part and room > 0:
            self._parts.append(part[:room])
        self._size += len(part)

    def _take(self) -> bytes:
        line = b"".join(self._parts)
        self.cut += self._size > self._limit
        self._parts.clear()
        self._size = 0
        return line


def stamped(line: bytes) -> tuple[int | None, bytes]:
    """The time in front of a line (ns since the epoch) and the line without it; None and the whole line where it
    bears no stamp."""
    found = STAMP.match(line)
    if found is None:
        return None, line
    seconds = _seconds(found[1], found[3])
    if seconds is None:
        return None, line
    return seconds * NS + int((found[2] or b"0").ljust(9, b"0")), line[found.end() :]


@lru_cache(maxsize=1024)
def _seconds(moment: bytes, zone: bytes) -> int | None:
    """Seconds since the epoch; lines of the same second come in crowds."""
    try:
        away = UTC if zone == b"Z" else _zone(zone)
        return int(datetime.fromisoformat(moment.decode("ascii")).replace(tzinfo=away).timestamp())
    except (ValueError, OverflowError):
        return None


def _zone(text: bytes) -> timezone:
    away = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(-away if text.startswith(b"-") else away)


def rfc3339(time_ns: int) -> str:
    """A time to the nanosecond, in UTC, as command lines take it."""
    seconds, fraction = divmod(time_ns, NS)
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{fraction:09d}Z" if fraction else f"{moment}Z"
