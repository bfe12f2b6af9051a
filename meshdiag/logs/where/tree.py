"""A parsed ``--where`` condition, as plain data: what a source translates when it pushes the condition down."""

from __future__ import annotations

from dataclasses import dataclass

BUILT_IN = ("level", "component", "node", "message", "ts")
"""Paths of one name that every format has: they mean the record's own attributes, whatever its fields are called."""

OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "=~", "!~", "contains")


@dataclass(frozen=True, slots=True)
class Seconds:
    """A duration as a value (``250ms`` is 0.25): it compares with durations in text (``1.5s``) and with numbers
    whose field's name ends in their unit (``_ms``, ``_s``, ``_seconds`` …)."""

    value: float


Value = str | float | bool | Seconds
"""``float`` for a number, in ``ts`` seconds since the epoch; for ``level`` a level's word or a number, which means the
number that stands in the record."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """``path op value``; ``op`` is one of ``OPERATORS``. Never met where the field is missing or of another type."""

    path: tuple[str, ...]
    op: str
    value: Value


@dataclass(frozen=True, slots=True)
class Present:
    """The field is there and not null (``path`` alone; ``path != null``; ``path = null`` is its ``Not``)."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Both:
    """``left and right``."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Either:
    """``left or right``."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Not:
    """``not part``."""

    part: Node


Node = Comparison | Present | Both | Either | Not
