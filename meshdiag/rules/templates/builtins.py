"""The functions of Go's text/template: comparisons, logic, index, len, slice, print and escaping.

Source: the documentation of Go's text/template, section Functions.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from meshdiag.rules.templates.formatting import Unsupported, show, sprintf, type_name
from meshdiag.rules.templates.lexing import TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "string"}


def truth(value: object) -> bool:
    """Whether a value counts as true: not zero, not empty. NaN does."""
    if isinstance(value, (bool, int, float, str, list, dict)):
        return bool(value)
    return value is not None


def _kind(value: object) -> str:
    for type_, kind in KINDS.items():
        if isinstance(value, type_):
            return kind
    raise TemplateError("invalid type for comparison" if value is not None else "missing argument for comparison")


def _equal(*values: object) -> bool:
    if len(values) < 2:
        raise TemplateError("missing argument for comparison")
    first, *others = values
    return any(_same(first, other) for other in others)


def _same(first: object, other: object) -> bool:
    if first is None or other is None:
        return first is other
    if _kind(first) != _kind(other):
        raise TemplateError("incompatible types for comparison")
    return first == other


def _less(first: Any, other: Any) -> bool:
    kind = _kind(first)
    if kind != _kind(other):
        raise TemplateError("incompatible types for comparison")
    if kind == "bool":
        raise TemplateError("invalid type for comparison")
    return bool(first < other)


def _greater(first: object, other: object) -> bool:
    # Go: gt is not le, le is lt or eq; NaN is therefore greater than everything
    return not (_less(first, other) or _same(first, other))


def _length(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, (list, dict)):
        return len(value)
    raise TemplateError(f"len of type {type_name(value)}")


def _index(value: Any, *places: Any) -> object:
    for place in places:
        if isinstance(value, dict):
            if not isinstance(place, str):
                raise TemplateError(f"value has type {type_name(place)}; should be string")
            value = value.get(place, "")
        elif isinstance(value, (list, str)):
            whole = isinstance(place, int) and not isinstance(place, bool)
            items: Any = value.encode() if isinstance(value, str) else value
            if not whole or not 0 <= place < len(items):
                raise TemplateError(f"index out of range: {show(place)}")
            value = items[place]
        else:
            raise TemplateError(f"can't index item of type {type_name(value)}")
    return value


def _slice(value: Any, *places: Any) -> object:
    if not isinstance(value, (str, list)):
        raise TemplateError(f"can't slice item of type {type_name(value)}")
    items: Any = value.encode() if isinstance(value, str) else value
    ends = [*places, *(0, len(items))[len(places) :]][:2]
    if not all(isinstance(one, int) for one in ends) or not 0 <= ends[0] <= ends[1] <= len(items):
        raise TemplateError("index out of range")
    cut = items[ends[0] : ends[1]]
    return cut.decode(errors="replace") if isinstance(value, str) else cut


def _print(*values: object) -> str:
    """As Go's Sprint: a space between two values when neither is a string."""
    text = ""
    for place, value in enumerate(values):
        if place and not isinstance(value, str) and not isinstance(values[place - 1], str):
            text += " "
        text += _printed(value)
    return text


def _println(*values: object) -> str:
    return " ".join(map(_printed, values)) + "\n"


def _printed(value: object) -> str:
    return "<nil>" if value is None else show(value)


def _printf(layout: object, *values: object) -> str:
    if not isinstance(layout, str):
        raise TemplateError(f"wrong type for value; expected string; got {type_name(layout)}")
    return sprintf(layout, values)


def _joined(values: tuple[object, ...]) -> str:
    return _print(*("<no value>" if value is None else value for value in values))


def _html(*values: object) -> str:
    escaped = html.escape(_joined(values))
    return escaped.replace("&quot;", "&#34;").replace("&#x27;", "&#39;").replace("\0", "\ufffd")


def _urlquery(*values: object) -> str:
    return quote_plus(_joined(values), safe="-_.~")


def _unsupported(name: str) -> Callable[..., object]:
    def refuse(*_values: object) -> object:
        raise Unsupported(f"the function {name}")

    return refuse


BUILTINS: dict[str, Callable[..., object]] = {
    "not": lambda value: not truth(value),
    "len": _length,
    "index": _index,
    "slice": _slice,
    "print": _print,
    "printf": _printf,
    "println": _println,
    "html": _html,
    "js": _unsupported("js"),
    "urlquery": _urlquery,
    "call": _unsupported("call"),
    "eq": _equal,
    "ne": lambda first, other: not _same(first, other),
    "lt": _less,
    "le": lambda first, other: _less(first, other) or _same(first, other),
    "gt": _greater,
    "ge": lambda first, other: not _less(first, other),
}
"""The functions by name; ``and`` and ``or`` are the executor's, which need not evaluate all they are given."""
