"""Where in a text the patterns of a selection are, for whoever shows the matches."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshdiag.logs.selection import Pattern

MOST = 100
"""Matches that are marked in one text."""

Spans = list[tuple[int, int]]
"""Parts of a text, from one character to before another, in order and apart."""


def marker(patterns: Sequence[Pattern]) -> Callable[[str], Spans] | None:
    """What finds the parts of a text that the patterns match; None where none of them is to be found in it (``-v``).

    Raises ``UsageError`` for what is no regular expression."""
    searched = [_finder(one) for one in patterns if one.text and not one.invert]
    if not searched:
        return None

    def spans(text: str) -> Spans:
        found: Spans = []
        for search in searched:
            found += search(text)
        return _apart(sorted(found)) if len(found) > 1 else found

    return spans


def _finder(pattern: Pattern) -> Callable[[str], Spans]:
    from itertools import islice

    import re2

    from meshdiag.logs.scan.regexes import tester

    tester(pattern)  # which says what is wrong with it
    options = re2.Options()
    options.case_sensitive = not pattern.ignore_case
    options.literal = pattern.fixed
    options.log_errors = False
    options.never_capture = True
    search = re2.compile(pattern.text, options).finditer

    def spans(text: str) -> Spans:
        return [one.span() for one in islice(search(text), MOST) if one.end() > one.start()]

    return spans


def _apart(spans: Spans) -> Spans:
    """Spans in order, those that overlap put together."""
    found = spans[:1]
    for begin, end in spans[1:]:
        if begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found
