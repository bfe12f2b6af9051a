"""Lines that begin with a time, a level or both: one class for every such format, told what to expect by a ``Header``.

A header is a regular expression for the beginning of a line, looked for in its first ``HEAD`` bytes only. The line
starts a record when the header's time is there; every other line continues the record before it. The level is
whatever stands in the header's place for it: a level word in the message is no level.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from meshdiag.logs.formats.anatomy import anatomy
from meshdiag.logs.formats.lines import ESCAPE, HEAD, bare, continues, text_of
from meshdiag.logs.levels import stems
from meshdiag.logs.record import Level, Record
from meshdiag.logs.timestamps import EPOCH, Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshdiag.logs.formats import Hints
    from meshdiag.logs.levels import Style
    from meshdiag.logs.timestamps import Shape

_DIGIT = re.compile(rb"\d")


class Header(NamedTuple):
    """How a record's first line begins.

    ``time`` is a bytes pattern with the groups of ``shape`` (none where ``shape`` is None); ``rest`` continues it:
    a pattern that matches always and may have the groups ``level``, ``component`` and ``node``, and any
    other for ``fields``. ``levels`` says what the level group's text means. A group ``further`` holds the word of a
    line that says more about the record before it, although it has a header of its own. ``marks`` are byte strings of
    which every line of a level holds one; None where they cannot be listed.
    """

    name: str
    time: bytes
    shape: Shape | None
    rest: bytes = b""
    levels: Mapping[bytes, Level] = MappingProxyType({})
    marks: Mapping[Level, tuple[bytes, ...]] | None = MappingProxyType({})
    fields: tuple[str, ...] = ()
    qualified: bool = True
    """Whether the message may begin with the name of a component."""


def word_marks(styles: frozenset[Style]) -> Mapping[Level, tuple[bytes, ...]]:
    """For each level the strings of which one stands in every line with such a level word."""
    return {level: tuple(stem.encode() for stem in stems([level], styles)) for level in Level}


class TextFormat:
    """A format whose records begin with a header. An answer depends on the line and the header alone."""

    def __init__(self, header: Header, hints: Hints) -> None:
        self.header = header
        self.name = header.name
        self.timed = header.shape is not None
        self._reader = Reader(header.shape, hints) if header.shape else None
        self._time = re.compile(header.time).match
        full = re.compile(header.time + header.rest)
        self._full = full.match
        self._has = full.groupindex
        self._levels = header.levels
        # Whether the header takes any digit for any other.
        self._digits_alike = header.shape is not EPOCH and not any(word.isdigit() for word in header.levels)
        self._joins = "further" in self._has
        self._groups = tuple(self._has[name] for name in ("stamp", "frac", "tail")) if self.timed else ()

    def owns(self, line: bytes) -> bool:
        """Whether a line has the header."""
        return self._time(bare(line), 0, HEAD) is not None

    def starts(self, line: bytes) -> bool:
        """A line with the header starts a record, unless it says that it continues one; where records have no time, any
        that does not look like the inside of one."""
        if self._joins:
            found = self._full(bare(line), 0, HEAD)
            return found is not None and found["further"] is None
        return self.owns(line) or not (self.timed or continues(line))

    def time_ns(self, line: bytes) -> int | None:
        """The time of the header."""
        if self._reader is None:
            return None
        found = self._time(bare(line), 0, HEAD)
        if found is None:
            return None
        return self._reader.ns(*found.group(*self._groups))

    def level(self, line: bytes) -> Level | None:
        """The level of the header."""
        found = self._full(bare(line), 0, HEAD)
        return None if found is None else self._level(found)

    def _level(self, found: re.Match[bytes]) -> Level | None:
        return self._levels.get(found["level"]) if "level" in self._has else None

    def parse(self, raw: bytes) -> Record:
        """Read a record: header, component and node as far as they can be told, and the message."""
        cleaned = bare(raw)
        found = self._full(cleaned, 0, HEAD)
        if found is None:
            return Record(raw, message=text_of(cleaned.rstrip(b"\r")))
        time_ns = self._reader.ns(*found.group(*self._groups)) if self._reader else None
        known = {name: text_of(found[name]) for name in ("component", "node") if name in self._has and found[name]}
        said = known.get("component", "")
        named = self.header.qualified
        fields = {name: _value(found[name]) for name in self.header.fields if found[name] not in (None, b"", b"-")}
        after = found.end("tail") if fields else found.end()
        said_so = self._joined(cleaned[after:]) if self._joins else cleaned[after:]
        parts = anatomy(said_so, said if named else "", named=named)
        return Record(
            raw,
            time_ns,
            self._level(found),
            parts.component if named else said,
            known.get("node", parts.node),
            parts.message,
            fields,
        )

    def _joined(self, text: bytes) -> bytes:
        """What follows a header, the headers before further lines taken off: ``… DETAIL:  …``."""
        lines = text.split(b"\n")
        for place in range(1, len(lines)):
            found = self._full(bare(lines[place]), 0, HEAD)
            if found is not None and found["further"]:
                lines[place] = bare(lines[place])[found.start("further") :]
        return b"\n".join(lines)

    def fields(self, raw: bytes) -> Mapping[str, Any]:
        """Those that the header has groups for: most have none."""
        return self.parse(raw).fields if self.header.fields else {}

    def field_test(self, _key: str, exact: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
        """Nothing is quicker."""
        return exact

    def field_words(self, _name: str) -> tuple[bytes, ...]:
        """None: fields stand without their names."""
        return ()

    def field_pattern(self, _name: str) -> bytes | None:
        """None: fields stand without their names."""
        return None

    def level_literals(self, levels: frozenset[Level]) -> tuple[bytes, ...] | None:
        """The header's marks of these levels; colours too, where they may stand within a mark."""
        marks = self.header.marks
        if marks is None:
            return None
        found = dict.fromkeys(mark for level in Level if level in levels for mark in marks.get(level, ()))
        fewest = tuple(mark for mark in found if not any(other in mark for other in found if other != mark))
        return fewest if all(mark.isalnum() for mark in fewest) else (*fewest, ESCAPE)

    def start_width(self, line: bytes) -> int | None:
        """The end of the time and the byte after it; where a word behind it tells that a line continues a record, that
        of the level."""
        if self._joins:
            return self.level_width(line)
        found = self._time(line, 0, HEAD) if self._digits_alike and bare(line) is line else None
        return None if found is None or found.end() >= min(len(line), HEAD - 1) else found.end() + 1

    def level_width(self, line: bytes) -> int | None:
        """The end of the level and the byte after it."""
        if not self._digits_alike or "level" not in self._has or bare(line) is not line:
            return None
        found = self._full(line, 0, HEAD)
        if found is None or found.end() >= min(len(line), HEAD - 1):
            return None
        told = found["level"] is not None or (self._joins and found["further"] is not None)
        return found.end() + 1 if told else None

    def second_width(self, line: bytes) -> int | None:
        """The end of the seconds, where no digit behind them but the fraction's changes the time."""
        found = self._time(line, 0, HEAD) if self._digits_alike and self.timed else None
        return None if found is None or _DIGIT.search(found["tail"]) else found.end("stamp")


def _value(raw: bytes) -> Any:
    """A field's text, or its number."""
    return int(raw) if raw.isdigit() and len(raw) < 19 else text_of(raw)
