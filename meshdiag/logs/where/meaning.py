"""What a ``--where`` condition means for a record: its tree made into a test, once, and run on each record."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshdiag.logs.record import NS, Level
from meshdiag.logs.scan.regexes import tester
from meshdiag.logs.selection import Pattern
from meshdiag.logs.where.parsing import duration, number, parse
from meshdiag.logs.where.tree import Both, Comparison, Either, Not, Present, Seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshdiag.logs.record import Record
    from meshdiag.logs.where.tree import Node, Value

_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_UNIT = re.compile(r"(?:^|_)(nanoseconds|nanos|ns|micros|us|millis|milliseconds|ms|seconds|secs|sec|s|minutes|hours)$")
_SCALES = {
    "nanoseconds": 1e-9, "nanos": 1e-9, "ns": 1e-9, "micros": 1e-6, "us": 1e-6,
    "millis": 1e-3, "milliseconds": 1e-3, "ms": 1e-3,
    "seconds": 1.0, "secs": 1.0, "sec": 1.0, "s": 1.0, "minutes": 60.0, "hours": 3600.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Where:
    """A parsed condition: a ``Condition`` of ``meshdiag.logs.selection``."""

    text: str
    root: Node
    _test: Callable[[Record], bool] = field(repr=False, compare=False)

    def holds(self, record: Record) -> bool:
        """Whether a record meets it. Never raises."""
        return self._test(record)


def parse_where(text: str) -> Where:
    """Read a condition. Raises ``UsageError`` that shows the place."""
    root = parse(text)
    return Where(text, root, _tested(root))


def value_at(record: Record, path: tuple[str, ...]) -> Any:
    """What a record holds at a path: its own field, nested or under the path's name with dots in it; else, for
    a path of one name, the attribute that every record has (``level`` as its word, ``ts`` in seconds since the epoch).
    None where there is nothing, or null."""
    found: Any = record.fields
    for part in path:
        if not isinstance(found, dict) or part not in found:
            break
        found = found[part]
    else:
        return found
    if len(path) > 1:
        return record.fields.get(".".join(path))
    return _built_in(record, path[0])


def searcher(pattern: str) -> Callable[[str], bool]:
    """A test whether a pattern is found in a text. Raises ``UsageError`` for a pattern that is none."""
    test = tester(Pattern(pattern))
    return lambda text: test(text.encode("utf-8", "surrogateescape"))


def _built_in(record: Record, name: str) -> Any:
    if name == "level":
        return None if record.level is None else record.level.word
    if name == "ts":
        return None if record.time_ns is None else record.time_ns / NS
    return getattr(record, name) or None if name in ("component", "node", "message") else None


def _tested(node: Node) -> Callable[[Record], bool]:
    """The test of a part of the tree."""
    if isinstance(node, Both):
        left, right = _tested(node.left), _tested(node.right)
        return lambda record: left(record) and right(record)
    if isinstance(node, Either):
        left, right = _tested(node.left), _tested(node.right)
        return lambda record: left(record) or right(record)
    if isinstance(node, Not):
        part = _tested(node.part)
        return lambda record: not part(record)
    get = _getter(node.path)
    if isinstance(node, Present):
        return lambda record: get(record) is not None
    return _compared(node, get)


def _getter(path: tuple[str, ...]) -> Callable[[Record], Any]:
    """What a path means: the attribute of a record where it has that name, else its field."""
    if path in (("level",), ("component",), ("node",), ("message",), ("ts",)):
        name = path[0]

        def attribute(record: Record) -> Any:
            found = _built_in(record, name)
            return value_at(record, path) if found is None else found

        return attribute
    return lambda record: value_at(record, path)


def _compared(node: Comparison, get: Callable[[Record], Any]) -> Callable[[Record], bool]:
    if node.path == ("level",) and isinstance(node.value, str) and node.op in _COMPARED:
        return _by_gravity(node.op, Level[node.value.upper()])
    if node.path == ("level",) and isinstance(node.value, float):
        return _by_value(node, lambda record: record.fields.get("level"))
    if node.path in (("component",), ("node",)) and isinstance(node.value, str) and node.op in ("=", "!="):
        folded = Comparison(node.path, node.op, node.value.casefold())
        return _by_value(folded, lambda record: _folded(get(record)))
    return _by_value(node, get)


def _by_gravity(op: str, level: Level) -> Callable[[Record], bool]:
    compare = _COMPARED[op]
    return lambda record: record.level is not None and compare(record.level, level)


def _by_value(node: Comparison, get: Callable[[Record], Any]) -> Callable[[Record], bool]:
    """Read the value, bring it to the kind that is compared with, compare; what is of no such kind fails."""
    read = _reading(node)
    test = _value_test(node.op, node.value)

    def holds(record: Record) -> bool:
        found = get(record)
        if found is None:
            return False
        value = read(found)
        return value is not None and test(value)

    return holds


def _reading(node: Comparison) -> Callable[[Any], Any]:
    """How a field's value becomes of the kind of the value it is compared with; None where it is none."""
    if node.op not in _COMPARED or isinstance(node.value, str):
        return _text
    if isinstance(node.value, Seconds):
        unit = _UNIT.search(node.path[-1].lower())
        scale = _SCALES[unit[1]] if unit else None
        return lambda found: _seconds(found, scale)
    return _truth if isinstance(node.value, bool) else _number


def _value_test(op: str, value: Value) -> Callable[[Any], bool]:
    if op in ("=~", "!~"):
        search = searcher(str(value))
        return search if op == "=~" else lambda text: not search(text)
    if op == "contains":
        part = str(value)
        return lambda text: part in text
    compare = _COMPARED[op]
    other = value.value if isinstance(value, Seconds) else value
    return lambda found: compare(found, other)


def _folded(found: Any) -> Any:
    return found.casefold() if isinstance(found, str) else found


def _text(found: Any) -> str | None:
    """A value as text, None for a list or an object."""
    if isinstance(found, str):
        return found
    if isinstance(found, bool):
        return "true" if found else "false"
    try:
        return str(found) if isinstance(found, int | float) else None
    except ValueError:  # thousands of digits
        return None


def _number(found: Any) -> float | int | None:
    if isinstance(found, bool):
        return None
    if isinstance(found, int | float):
        return found
    return number(found) if isinstance(found, str) else None


def _truth(found: Any) -> bool | None:
    if isinstance(found, bool):
        return found
    return {"true": True, "false": False}.get(found.lower()) if isinstance(found, str) else None


def _seconds(found: Any, scale: float | None) -> float | None:
    """A duration in seconds: a text with units, or a number whose field's name says what it counts."""
    amount = _number(found)
    if amount is None:
        return duration(found) if isinstance(found, str) else None
    try:
        return None if scale is None else amount * scale
    except OverflowError:
        return None
