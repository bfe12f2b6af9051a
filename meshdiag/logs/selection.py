"""What a user asks of logs, as plain data, and the exact test of one record against it.

Prefilters and pushed-down queries may only skip records that ``Selection.wants`` would refuse: it has the last word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from meshdiag.logs.record import Level, Record


class Pattern(NamedTuple):
    """Text to look for in a record's raw bytes: a regular expression (RE2's syntax, no backtracking), or
    a fixed string. ``invert``: the record must not hold it."""

    text: str
    fixed: bool = False
    ignore_case: bool = False
    invert: bool = False


class Condition(Protocol):
    """A parsed ``--where`` expression."""

    @property
    def text(self) -> str:
        """As the user typed it."""

    def holds(self, record: Record) -> bool:
        """Whether a record meets it; a field that is missing or of another type meets no comparison."""


class Selection(NamedTuple):
    """Which records are wanted. Every part that is set must agree.

    ``since_ns`` and ``until_ns``: nanoseconds since the epoch, since included, until not; a record without a time of
    its own takes that of the record before it. ``levels``: None for any, else records without a level are
    refused. ``components`` and ``nodes``: one of these, compared without case. ``field``: a dotted path that
    must exist and not be null. ``head`` and ``tail`` bound how many come out, in all.
    """

    since_ns: int | None = None
    until_ns: int | None = None
    levels: frozenset[Level] | None = None
    components: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    where: Condition | None = None
    field: str | None = None
    head: int | None = None
    tail: int | None = None
    before: int = 0
    after: int = 0
