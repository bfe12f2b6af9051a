"""The exact test of one record against a selection: the last word after every prefilter and pushed-down query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.logs.scan.regexes import tester

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshdiag.logs.record import Record
    from meshdiag.logs.selection import Selection


BUILT_IN = frozenset({"level", "component", "node", "message", "ts"})
"""Fields that every record has, whatever its own."""


class Matcher:
    """Tests records. Stateless, so one serves any number of files.

    Raises ``UsageError`` when it is made with a pattern that is no regular expression.
    """

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self._tests = [(tester(pattern), pattern.invert) for pattern in selection.patterns]
        self._components = frozenset(name.casefold() for name in selection.components)
        self._nodes = frozenset(name.casefold() for name in selection.nodes)
        self._value = _reader(selection.field)
        self.asks_field_alone = bool(
            selection.field
            and selection.field not in BUILT_IN
            and not (self._components or self._nodes or selection.where)
        )
        """Whether a record's fields decide all that is asked of a parsed one."""
        self.windowed = selection.since_ns is not None or selection.until_ns is not None
        """Whether the time of a record matters."""
        self.reads_fields = bool(self._components or self._nodes or selection.where or selection.field)
        """Whether more than bytes, level and time matter, so that a record must be parsed."""

    def wants(self, record: Record, time_ns: int | None = None) -> bool:
        """Whether a record is wanted. ``time_ns``: its time where it states none, that of the record before it."""
        own = record.time_ns
        return (
            self.in_window(time_ns if own is None else own)
            and (self.selection.levels is None or record.level in self.selection.levels)
            and self.holds(record.raw)
            and self.fits(record)
        )

    def in_window(self, time_ns: int | None) -> bool:
        """Whether a time lies in the window; no time lies in none but the open one."""
        if not self.windowed:
            return True
        since, until = self.selection.since_ns, self.selection.until_ns
        return time_ns is not None and (since is None or time_ns >= since) and (until is None or time_ns < until)

    def holds(self, raw: bytes) -> bool:
        """Whether a record's bytes (without the last line's end) agree with every pattern."""
        if not self._tests:
            return True
        text = raw[:-1] if raw.endswith(b"\r") else raw
        return all(found(text) is not inverted for found, inverted in self._tests)

    def fits(self, record: Record) -> bool:
        """Whether a parsed record has the component, node and fields that are asked for."""
        selection = self.selection
        return (
            (not self._components or record.component.casefold() in self._components)
            and (not self._nodes or record.node.casefold() in self._nodes)
            and (self._value is None or self._value(record) is not None)
            and (selection.where is None or selection.where.holds(record))
        )


def _reader(field: str | None) -> Callable[[Record], object] | None:
    """What reads a field's value from a record."""
    if field is None:
        return None
    from meshdiag.logs.where import value_at

    path = tuple(field.split("."))
    return lambda record: value_at(record, path)
