"""What must stand in a record for a regular expression to match it, as an expression for the block scanner.

The scanner (Hyperscan) reads Perl's syntax over whole blocks, and differs from RE2 in small things: line ends, blanks,
anchors. So an expression is taken apart and written anew with nothing but bytes, sets, choices and
repetitions, each at least as wide as it was: it may find too much, which the exact test refuses, never too
little. What cannot be taken apart has no such expression.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from meshdiag.regexes import when_used

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshdiag.logs.selection import Pattern

MAX_REPEAT = 200
MAX_LENGTH = 4000

_UNLIKE = when_used(
    r"\{,|\[\[|\[\]|\[\^\]|&&|--|~~|\|\||\(\?(?!:|P<)|\\[^dDsSwWbBtnfra.^$*+?{}\[\]()|\\/:\"'=@ -]", re.ASCII
)
"""Where Python's reader of expressions and RE2 may not mean the same."""

_FLAGS = when_used(r"\(\?(i?m?)\)")
_SETS = {
    "DIGIT": rb"0-9",
    "SPACE": rb"\x09\x0a\x0c\x0d\x20",
    "WORD": rb"0-9A-Za-z_",
}


class _UnknownPartError(Exception):
    """A part of an expression that is not written anew."""


def expression(pattern: Pattern) -> tuple[bytes, bool] | None:
    """An expression found wherever a pattern is, and whether case is to be ignored; None where there is none."""
    flags = _FLAGS.match(pattern.text)
    text = pattern.text[flags.end() :] if flags else pattern.text
    if pattern.fixed or not text.isascii() or _UNLIKE.search(text):
        return None
    try:
        parser: Any = import_module("re._parser")
        written = _all(parser.parse(text))
    except (_UnknownPartError, re.error, ImportError, RecursionError, OverflowError):
        return None
    if not written or len(written) > MAX_LENGTH:
        return None
    return written, pattern.ignore_case or bool(flags and "i" in flags[1])


def of_words(words: Iterable[bytes]) -> bytes:
    """An expression for any one of several texts."""
    return b"(?:" + b"|".join(b"".join(map(_byte, word)) for word in words) + b")"


def _byte(value: int) -> bytes:
    return b"\\x%02x" % value


def _part(part: tuple[Any, Any]) -> bytes:
    """One part of an expression, written at least as wide."""
    name, value = str(part[0]), part[1]
    if name == "LITERAL":
        return _byte(value)
    if name == "NOT_LITERAL":
        return b"[^" + _byte(value) + b"]"
    if name == "ANY":
        return rb"[^\n]"
    if name == "IN":
        return _set(value)
    if name == "BRANCH":
        return b"(?:" + b"|".join(_all(branch) for branch in value[1]) + b")"
    if name == "SUBPATTERN":
        return b"(?:" + _all(value[3]) + b")"
    if name in ("MAX_REPEAT", "MIN_REPEAT"):
        return _repeated(*value)
    if name == "AT":
        return b""
    raise _UnknownPartError


def _all(parts: Iterable[tuple[Any, Any]]) -> bytes:
    return b"".join(map(_part, parts))


def _repeated(least: int, most: Any, parts: Iterable[tuple[Any, Any]]) -> bytes:
    least = min(least, MAX_REPEAT)
    upper = b"" if str(most) == "MAXREPEAT" or most > MAX_REPEAT else b"%d" % most
    return b"(?:" + _all(parts) + b"){%d,%s}" % (least, upper)


def _set(members: Sequence[tuple[Any, Any]]) -> bytes:
    """A set of bytes, or of all others."""
    if len(members) == 1 and str(members[0][1]).startswith("CATEGORY_NOT_"):
        return b"[^" + _SETS[str(members[0][1]).removeprefix("CATEGORY_NOT_")] + b"]"
    first = str(members[0][0]) == "NEGATE"
    return (b"[^" if first else b"[") + b"".join(map(_member, members[first:])) + b"]"


def _member(member: tuple[Any, Any]) -> bytes:
    name, value = str(member[0]), member[1]
    if name == "LITERAL":
        return _byte(value)
    if name == "RANGE":
        return _byte(value[0]) + b"-" + _byte(value[1])
    known = _SETS.get(str(value).removeprefix("CATEGORY_")) if name == "CATEGORY" else None
    if known is None:
        raise _UnknownPartError
    return known
