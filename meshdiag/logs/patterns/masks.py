"""What varies from one log message to the next by its look alone: numbers, addresses, identifiers, times, durations.

``masked`` writes a placeholder for each (``<num>``, ``<ip>``, ``<uuid>``, ...); ``words`` cuts a masked message into
words and what stands between them, a quoted string being one word.
"""

from __future__ import annotations

import re

LONGEST = 2000
"""Characters of a message that are looked at: what lies beyond tells no pattern from another."""

_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_HEX = "[0-9a-fA-F]"
_MASKS = re.compile(
    rf"""
    (?P<uuid>(?<![0-9a-zA-Z]){_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}(?![0-9a-zA-Z]))
    |(?P<time>\b\d{{4}}-\d\d-\d\d(?:[T\ ]\d\d:\d\d(?::\d\d(?:[.,]\d{{1,9}})?)?(?:Z|[+-]\d\d:?\d\d)?)?\b
        |(?:\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?\ )?\b(?:{_MONTH}\ {{1,2}}\d\d?|\d\d?[\ -]{_MONTH})\b,?
            (?:[\ -]\d{{4}})?(?:\ {{1,2}}\d\d?:\d\d(?::\d\d)?)?(?:\ [A-Z]{{3,4}}\b)?(?:\ \d{{4}}\b)?
        |\b\d\d?:\d\d:\d\d(?:[.,]\d{{1,9}})?\b)
    |(?P<mac>\b(?:{_HEX}{{2}}:){{5}}{_HEX}{{2}}\b)
    |(?P<ip>(?<![\w.])\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?![\w.]*\w)
        |(?<![\w:])(?:{_HEX}{{1,4}}:){{7}}{_HEX}{{1,4}}(?![\w:])
        |(?<![\w:])(?:{_HEX}{{1,4}}:){{1,6}}(?::{_HEX}{{1,4}}){{1,6}}(?![\w:]))
    |(?P<hex>\b0[xX]{_HEX}+\b|\b(?=\d*[a-fA-F])(?=[a-fA-F]*\d){_HEX}{{7,}}\b)
    |(?P<duration>(?<![\w.])(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|min|[smhd]))+\b)
    |(?P<id>\b(?=[A-Za-z]*\d+[A-Za-z]+\d|\d*[A-Za-z]+\d+[A-Za-z])[A-Za-z0-9]{{12,}}\b)
    |(?P<num>(?:(?<![^\s=:,;()\[\]{{}}"'|/_-])[-+])?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?:(?<=\d)(?:,\d{{3}})+(?!\d))?)
    """,
    re.VERBOSE,
)
_WORDS = re.compile(r'"[^"]*"|[^\s=:,;()\[\]{}"|]+|[=:,;()\[\]{}"|]|\s+')
_EMPTY = frozenset({("(", ")"), ("=", " "), ("=", ","), ("[", "]")})
_BETWEEN = frozenset('=:,;()[]{}"|')


def masked(message: str) -> str:
    """The message with a placeholder for all that varies by its look."""
    return _MASKS.sub(_placeholder, message[:LONGEST])


def _placeholder(found: re.Match[str]) -> str:
    return f"<{found.lastgroup}>"


def words(message: str) -> tuple[str, ...]:
    """A masked message as words, punctuation and spaces (each run of them one space). Of a list of numbers or the
    like, whatever its length, one is left."""
    parts: list[str] = []
    for part in _WORDS.findall(message.strip()):
        if parts and (parts[-1], part) in _EMPTY:
            parts.append("")  # a value that may be there in another message
        parts.append(" " if part.isspace() else part)
    return tuple(_without_lists(parts)) if message.count("<") >= 3 else tuple(parts)


def _without_lists(parts: list[str]) -> list[str]:
    kept: list[str] = []
    place = 0
    while place < len(parts):
        kept.append(parts[place])
        end = _end_of_list(parts, place) if varies(parts[place]) else place
        if end > place:
            kept.append("...")
        place = end + 1
    return kept


def _end_of_list(parts: list[str], begin: int) -> int:
    """Where the last of three or more equal parts with spaces or commas between them is; ``begin`` if it is no list."""
    last, count, place = begin, 1, begin + 1
    while place < len(parts) and parts[place] in (" ", ",", parts[begin]):
        if parts[place] == parts[begin]:
            last, count = place, count + 1
        place += 1
    return last if count >= 3 else begin


def is_word(part: str) -> bool:
    """Whether a part is a word, rather than what stands between words."""
    return part != " " and part not in _BETWEEN


def varies(word: str) -> bool:
    """Whether a word is, or holds, a placeholder."""
    return "<" in word and ">" in word
