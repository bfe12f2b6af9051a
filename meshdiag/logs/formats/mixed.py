"""Several formats in one file: JSON between lines of text, two programs that share an output.

The rule: a line belongs to the first of the formats, the commonest first, whose header it carries, and gets all its
answers from that one. A line that belongs to none is judged by one of them alone, the commonest where nothing else is
said. Where two formats have the same times in different headers, a line belongs to the first that finds a level in it
(``by_level``). Nothing but the line decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from meshdiag.logs.formats import Format
from meshdiag.logs.formats.jsonlines import JsonFormat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.logs.record import Level, Record


class Owning(Format, Protocol):
    """A format that knows its own lines."""

    def owns(self, line: bytes) -> bool:
        """Whether a line carries the format's header."""


class MixedFormat:
    """The formats of a file, the commonest first."""

    def __init__(self, formats: Sequence[Owning], judge: Owning | None = None, *, by_level: bool = False) -> None:
        self.formats = tuple(formats)
        self._by_level = by_level
        self.judge = judge or self.formats[0]
        self.name = " and ".join(dict.fromkeys(one.name for one in self.formats))
        self.timed = any(one.timed for one in self.formats)

    def _of(self, line: bytes) -> Owning:
        owners = (one for one in self.formats if one.owns(line))
        first = next(owners, self.judge)
        if self._by_level and first.level(line) is None:
            return next((one for one in owners if one.level(line) is not None), first)
        return first

    def inside(self, line: bytes) -> tuple[Owning, bytes]:
        """Whose a line is, and the line."""
        return self._of(line), line

    def owns(self, line: bytes) -> bool:
        """Whether any of the formats does."""
        return any(one.owns(line) for one in self.formats)

    def starts(self, line: bytes) -> bool:
        """As the format says whose the line is."""
        return self._of(line).starts(line)

    def parse(self, raw: bytes) -> Record:
        """As the format reads it whose the first line is."""
        return self._of(raw).parse(raw)

    def time_ns(self, line: bytes) -> int | None:
        """As the format says whose the line is."""
        return self._of(line).time_ns(line)

    def level(self, line: bytes) -> Level | None:
        """As the format says whose the line is."""
        return self._of(line).level(line)

    def level_literals(self, levels: frozenset[Level]) -> tuple[bytes, ...] | None:
        """The literals of all of them, if all have some."""
        found: dict[bytes, None] = {}
        for one in self.formats:
            literals = one.level_literals(levels)
            if literals is None:
                return None
            found.update(dict.fromkeys(literals))
        return tuple(found)

    def start_width(self, line: bytes) -> int | None:
        """That of the format whose the line is, where the same bytes tell that it is."""
        one = self._told(line)
        return None if one is None else one.start_width(line)

    def level_width(self, line: bytes) -> int | None:
        """The same."""
        one = self._told(line)
        return None if one is None else one.level_width(line)

    def _told(self, line: bytes) -> Owning | None:
        """Whose a line is, where no other format can claim a line with the same beginning: it is the first, or those
        before it own by the first byte."""
        for one in self.formats:
            if one.owns(line):
                return one if not self._by_level or isinstance(one, JsonFormat) else None
            if not isinstance(one, JsonFormat):
                return None
        return None
