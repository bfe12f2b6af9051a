"""Patterns as tests of bytes, in time that grows with the text alone: fixed text by search, regular expressions by RE2.

A pattern of plain ASCII works on bytes, so that a line that is not UTF-8 is searched like any other; one that holds
other letters works on UTF-8. ``^`` and ``$`` are the ends of the record, as in RE2 and Loki; ``(?m)`` makes them the
ends of each line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshdiag.errors import UsageError
from meshdiag.regexes import when_used

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshdiag.logs.selection import Pattern

MAX_PATTERN = 10_000
"""Characters of a pattern; RE2 bounds what it makes of it."""

_TOKEN = when_used(r"\\.|[^\\]", re.DOTALL)
_SPECIAL = frozenset(".^$*+?{}[]()\\")
_ESCAPABLE = frozenset(".^$*+?{}[]()\\|/-:\"'=@ ")
_GROUPED = when_used(r"\((?:\?:)?([^()\\]*)\)")


def tester(pattern: Pattern) -> Callable[[bytes], bool]:
    """A test whether a record's bytes hold a pattern; ``invert`` is not looked at.

    Raises ``UsageError`` for what is no regular expression, saying which and what is wrong.
    """
    words = alternatives(pattern)
    if words is None:
        return _re2(pattern)
    if pattern.ignore_case:
        return _one_of_ignoring_case(words)
    return _one_of(words)


def alternatives(pattern: Pattern) -> tuple[bytes, ...] | None:
    """The texts one of which a pattern looks for and nothing else (lower case where it ignores case): ``a|b`` and fixed
    text. None for a real regular expression, and where ignoring case takes more than ASCII."""
    if len(pattern.text) > MAX_PATTERN:
        raise UsageError(f"a pattern has {len(pattern.text)} characters, more than {MAX_PATTERN}")
    if pattern.fixed:
        parts: Sequence[str] | None = [pattern.text]
    else:
        parts = _branches(pattern.text)
    if parts is None or (pattern.ignore_case and not pattern.text.isascii()):
        return None
    return tuple(_encoded(part.lower() if pattern.ignore_case else part) for part in parts)


def _branches(text: str) -> list[str] | None:
    """The branches of an expression that is made of fixed texts, None for another."""
    whole = _GROUPED.fullmatch(text)
    branches = [""]
    for token in _TOKEN.findall(whole[1] if whole else text):
        if token == "|":
            branches.append("")
        elif token[0] == "\\" and token[-1] in _ESCAPABLE and len(token) == 2:
            branches[-1] += token[1]
        elif token in _SPECIAL or token[0] == "\\":
            return None
        else:
            branches[-1] += token
    return branches


def _one_of(words: tuple[bytes, ...]) -> Callable[[bytes], bool]:
    if len(words) == 1:
        (word,) = words
        return lambda raw: word in raw
    return lambda raw: any(word in raw for word in words)


def _one_of_ignoring_case(words: tuple[bytes, ...]) -> Callable[[bytes], bool]:
    def holds(raw: bytes) -> bool:
        lower = raw.lower()
        return any(word in lower for word in words)

    return holds


def _re2(pattern: Pattern) -> Callable[[bytes], bool]:
    import re2

    options = re2.Options()
    options.case_sensitive = not pattern.ignore_case
    options.literal = pattern.fixed
    options.log_errors = False
    options.never_capture = True
    if pattern.text.isascii():
        options.encoding = re2.Options.Encoding.LATIN1
    try:
        found = re2.compile(_encoded(pattern.text), options).search
    except re2.error as error:
        raise UsageError(_complaint(pattern.text, error)) from None
    return lambda raw: found(raw) is not None


def _complaint(text: str, error: Exception) -> str:
    reason = error.args[0] if error.args else error
    said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    message, colon, place = said.partition(": ")
    at = text.find(place) if colon else -1
    where = f" at character {at + 1} (…{place[:30]})" if at >= 0 and place else ""
    shown = text if len(text) <= 60 else text[:60] + "…"
    return f"{shown!r} is no regular expression (RE2's syntax): {message}{where}"


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
