"""``--grep`` as LogQL's line filters, never sharper than the exact test here.

Loki matches letters (UTF-8); the exact test matches the bytes of a plain ASCII pattern. The two differ only on lines
that are not ASCII, for expressions that count characters (``a.b``) or tell classes of letters apart (``\\W``): such a
positive filter lets every line through that is not ASCII, and such a negative one is not sent. The same goes for
``$`` and lines that end in a carriage return, which the exact test does not look at.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshdiag.logs.scan.regexes import alternatives
from meshdiag.sources.loki.logql import quoted, regex_quoted, sendable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshdiag.logs.selection import Pattern

READ_DIFFERENTLY = r"[^\x00-\x7f]|\r$"
_COUNTS_LETTERS = re.compile(r"(?:\.|\[\^[^\]]*\]|\\[WSD])(?![*+])|\\[pPxCQ]|\[:\^|\\[0-7]|\$|\\z")
PLAIN = "(?:^)?"
"""Matches anywhere. Loki has a shortcut for literals, stars and alternatives, which takes ``a.*(bb|cc)`` for ``abb`` or
``acc``; an expression that begins with this goes to the regular expression engine as it is."""
_ONLY_RE2 = re.compile(r"\\C")
_FOLDS_FURTHER = re.compile("[ks]")
"""Letters that have a third form in Unicode (the Kelvin sign, the long s), which ASCII's folding does not know."""


def line_filters(patterns: Iterable[Pattern]) -> tuple[list[str], bool]:
    """The stages for these patterns, and whether they say all that the patterns say."""
    stages: list[str] = []
    exact = True
    for pattern in patterns:
        stage, whole = _line_filter(pattern)
        exact = exact and whole
        if stage:
            stages.append(stage)
    return stages, exact


def _line_filter(pattern: Pattern) -> tuple[str, bool]:
    if not sendable(pattern.text) or not pattern.text:
        return "", not pattern.text and not pattern.invert
    words = alternatives(pattern)
    if words is not None:
        return _of_words([word.decode("utf-8", "replace") for word in words], pattern), True
    if pattern.fixed:  # ignoring case, of letters beyond ASCII: folded as RE2 folds them, which is Go's way
        return _stage(f"(?i:{regex_quoted(pattern.text)})", pattern), True
    return _of_regex(pattern)


def _of_words(words: Sequence[str], pattern: Pattern) -> str:
    if "" in words:
        return "" if not pattern.invert else '!~ ".*"'
    if len(words) == 1 and not pattern.ignore_case:
        return f"{'!=' if pattern.invert else '|='} {quoted(words[0])}"
    if not pattern.ignore_case:
        return _stage("|".join(regex_quoted(word) for word in words), pattern)
    folded = [_ascii_folded(word) if pattern.invert else regex_quoted(word) for word in words]
    return _stage(f"(?i:{'|'.join(folded)})", pattern)


def _ascii_folded(word: str) -> str:
    """A word within ``(?i:…)`` that folds as ASCII does."""
    return _FOLDS_FURTHER.sub(lambda found: f"(?-i:[{found[0]}{found[0].upper()}])", regex_quoted(word))


def _of_regex(pattern: Pattern) -> tuple[str, bool]:
    """A real expression: sent as it stands where both sides read it alike, else sent wider or not at all."""
    if _ONLY_RE2.search(pattern.text):
        return "", False
    text = f"(?i:{pattern.text})" if pattern.ignore_case else pattern.text
    if ".*" in text and "|" in text:
        text = f"{PLAIN}(?:{text})"
    wider = pattern.text.isascii() and (pattern.ignore_case or _COUNTS_LETTERS.search(pattern.text) is not None)
    if not wider:
        return _stage(text, pattern), True
    if pattern.invert:
        return "", False
    counts = _COUNTS_LETTERS.search(pattern.text) is not None
    return _stage(f"(?:{text})|{READ_DIFFERENTLY}" if counts else text, pattern), False


def _stage(regex: str, pattern: Pattern) -> str:
    return f"{'!~' if pattern.invert else '|~'} {quoted(regex)}"
