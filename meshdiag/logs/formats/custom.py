"""A user's own format: a regular expression with named groups, from the configuration.

``time``, ``level``, ``component``, ``node`` and ``message`` fill a record; other groups are its fields. The time may be
written in any way that ``meshdiag.logs.timestamps`` knows, or as seconds, ms, µs or ns; the level in any spelling or
number. A line that the expression matches from its start begins a record, all others continue it. The
expression sees the first 4096 bytes of a line, as UTF-8, and is a linear-time one (RE2's syntax).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from meshdiag.errors import ConfigError
from meshdiag.logs.formats import Hints
from meshdiag.logs.formats.lines import bare, text_of
from meshdiag.logs.levels import level_of
from meshdiag.logs.record import Record
from meshdiag.logs.timestamps import TextTimes

if TYPE_CHECKING:
    from meshdiag.logs.record import Level

LOOK = 4096
_OWN = frozenset(("time", "level", "component", "node", "message"))


class CustomFormat:
    """A user's format. ``hints`` are those of the file; without them times without a zone are in UTC."""

    def __init__(self, name: str, pattern: Any, hints: Hints) -> None:
        self.name = name
        self._pattern = pattern
        self._groups = {text_of(group): number for group, number in pattern.groupindex.items()}
        self.timed = "time" in self._groups
        self._times = TextTimes(hints)

    def bound(self, hints: Hints) -> CustomFormat:
        """The same format for a file with these hints."""
        return CustomFormat(self.name, self._pattern, hints)

    def _found(self, line: bytes) -> Any:
        return self._pattern.match(bare(line)[:LOOK].partition(b"\n")[0].rstrip(b"\r"))

    def owns(self, line: bytes) -> bool:
        """Whether the expression matches."""
        return self._found(line) is not None

    starts = owns

    def _value(self, found: Any, name: str) -> bytes:
        return (found.group(self._groups[name]) or b"") if name in self._groups else b""

    def _time(self, found: Any) -> int | None:
        text = self._value(found, "time")
        return self._times.text_ns(text) if text else None

    def _level(self, found: Any) -> Level | None:
        return level_of(text_of(self._value(found, "level")))

    def time_ns(self, line: bytes) -> int | None:
        """What the group ``time`` says."""
        found = self._found(line)
        return None if found is None else self._time(found)

    def level(self, line: bytes) -> Level | None:
        """What the group ``level`` says."""
        found = self._found(line)
        return None if found is None else self._level(found)

    def parse(self, raw: bytes) -> Record:
        """Read a record. Without a group ``message`` the message is the whole."""
        found = self._found(raw)
        if found is None:
            return Record(raw, message=text_of(raw.rstrip(b"\r")))
        message = text_of(self._value(found, "message")) if "message" in self._groups else ""
        more = raw.partition(b"\n")
        return Record(
            raw,
            self._time(found),
            self._level(found),
            text_of(self._value(found, "component")),
            text_of(self._value(found, "node")),
            message + text_of(more[1] + more[2]) if message else text_of(raw.rstrip(b"\r")),
            {name: text_of(self._value(found, name)) for name in self._groups if name not in _OWN},
        )

    def level_literals(self, _levels: frozenset[Level]) -> tuple[bytes, ...] | None:
        """None: nobody knows how the level is spelled."""
        return None

    def start_width(self, _line: bytes) -> int | None:
        """None: an expression may look at any part of a line."""
        return None

    level_width = start_width


def custom(name: str, regex: str) -> CustomFormat:
    """A format from a user's expression. Raises ``ConfigError`` where it is none or names no group."""
    import re2

    options = re2.Options()
    options.log_errors = False
    if regex.isascii():
        options.encoding = re2.Options.Encoding.LATIN1
    try:
        pattern = re2.compile(regex.encode("utf-8", "surrogateescape"), options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise ConfigError(f"the log format {name!r} is no regular expression (RE2's syntax): {reason}") from None
    if not pattern.groupindex:
        groups = ", ".join(f"(?P<{group}>…)" for group in ("time", "level", "component", "node", "message"))
        raise ConfigError(f"the log format {name!r} names no group; it needs some of {groups}")
    return CustomFormat(name, pattern, Hints(datetime.now(UTC), UTC))
