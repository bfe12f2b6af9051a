"""Several formats in one file: JSON between lines of text, two programs that share an output.

The rule: a line belongs to the first of the formats, the commonest first, whose header it carries, and gets all its
answers from that one. A line that belongs to none is judged by the commonest alone. Nothing but the line decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from meshdiag.logs.formats import Format

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.logs.record import Level, Record


class Owning(Format, Protocol):
    """A format that knows its own lines."""

    def owns(self, line: bytes) -> bool:
        """Whether a line carries the format's header."""


class MixedFormat:
    """The formats of a file, the commonest first."""

    def __init__(self, formats: Sequence[Owning]) -> None:
        self.formats = tuple(formats)
        self.name = " and ".join(dict.fromkeys(one.name for one in self.formats))
        self.timed = any(one.timed for one in self.formats)

    def _of(self, line: bytes) -> Owning:
        return next((one for one in self.formats if one.owns(line)), self.formats[0])

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
        """That of the commonest format, on its lines."""
        return self.formats[0].start_width(line) if self.formats[0].owns(line) else None

    def level_width(self, line: bytes) -> int | None:
        """That of the commonest format, on its lines."""
        return self.formats[0].level_width(line) if self.formats[0].owns(line) else None
