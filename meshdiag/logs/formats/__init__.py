"""How log lines of each kind are read: one module a family, found by looking at a file's first records.

``detect`` chooses a ``Format``; the engine keeps it for the file and asks again when the lines no longer fit.

    detecting.py   which format a sample is
    text.py        lines that begin with a time, a level or both, told by a header
    learning.py    the header of lines that nobody knows, from a sample
    known.py       the headers that documents or programs fix: syslog, access logs, glog, Redis
    anatomy.py     component, node and message of what follows a header
    jsonlines.py   JSON; jsonkeys.py knows the libraries' keys, jsonreading.py the parsers
    logfmt.py      pairs
    wrapped.py     what runtimes and shippers write around lines: CRI, Docker, compose, kubectl, syslog
    mixed.py       several formats in one file
    changing.py    notices that a log's lines stop being of its format; joining.py makes one of both
    custom.py      a user's own expression
    lines.py       what all share: marks, colours, lines that continue a record
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, tzinfo

    from meshdiag.logs.record import Level, Record


class Hints(NamedTuple):
    """What a line does not say itself. ``newest``: when the file was last written (aware), which gives the year to
    formats without one (the latest year that puts the line not after it) and the date to those without a date;
    ``zone`` for times that name none."""

    newest: datetime
    zone: tzinfo


class Format(Protocol):
    """How records of one kind look. Stateless for whoever calls it: an answer depends on the line alone."""

    @property
    def name(self) -> str:
        """As a person would call it: ``logfmt``, ``JSON (bunyan)``, ``glog``."""

    @property
    def timed(self) -> bool:
        """Whether its records carry a time, so that a window can be looked for."""

    def starts(self, line: bytes) -> bool:
        """Whether a line begins a record; one that does not continues the record before it."""

    def parse(self, raw: bytes) -> Record:
        """Read a record (its continuation lines included). Never raises: what cannot be read leaves time and level
        None and the whole as the message."""

    def time_ns(self, line: bytes) -> int | None:
        """The time alone, as cheaply as it can be had: for bisection. None for a continuation or a broken line."""

    def level(self, line: bytes) -> Level | None:
        """The level alone, as ``parse`` would give it."""

    def level_literals(self, levels: frozenset[Level]) -> tuple[bytes, ...] | None:
        """Byte strings of which every record of one of these levels holds at least one (case matters), so that
        lines without any can be skipped unread. None where there is no such set."""

    def start_width(self, line: bytes) -> int | None:
        """How many of a line's first bytes decide what ``starts`` says of it: another line with the same bytes there,
        whatever its digits (``0`` for ``7``), gets the same answer. None where that cannot be promised. The engine
        then remembers answers by a line's masked beginning instead of asking for each of a million lines. Give the
        same small number for lines of one kind: the end of the time, 2 for ``{"``."""
        return None

    def level_width(self, line: bytes) -> int | None:
        """The same for ``starts`` and ``level`` together: how many bytes decide both, digits being alike. None where
        that cannot be promised: JSON, a numeric level."""
        return None


@runtime_checkable
class Fielded(Protocol):
    """What a format may have besides, so that records with a field are found without parsing each."""

    def fields(self, raw: bytes) -> Mapping[str, Any]:
        """The fields alone, as ``parse`` would give them."""

    def field_test(self, key: str, exact: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
        """For a great many records, a quicker test whether one has a field under a key (of ASCII) and not null; it
        asks the ``exact`` test where it cannot tell."""

    def field_words(self, name: str) -> tuple[bytes, ...]:
        """Byte strings of which every record that has a field at the path ``name`` holds at least one; none where there
        is no such set."""

    def field_pattern(self, name: str) -> bytes | None:
        """A regular expression, of syntax that all engines share, that is found in every record that has a field at
        the path ``name``. None where there is none."""


@runtime_checkable
class Clocked(Protocol):
    """What a format may have besides, so that the times of a second's lines need not all be read."""

    def second_width(self, line: bytes) -> int | None:
        """How many of a line's first bytes tell its time to the second: another line with the same bytes there, and
        alike up to its ``start_width``, whatever the digits, has a time within the same second. None where that
        cannot be promised."""
