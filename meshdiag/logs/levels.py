"""Every way in which logs say how grave a record is: words, abbreviations, letters and numbers, as one ``Level``.

Words are those of syslog, log4j, java.util.logging, Python, Go (zap, logrus, slog, glog), .NET, Rust, Node, Ruby,
PHP's Monolog, PostgreSQL and MySQL. Numbers mean different things to different libraries: ``Scale`` tells which.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

from meshdiag.logs.record import Level
from meshdiag.regexes import when_used

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SPELLINGS = {
    Level.TRACE: "TRACE TRC TRAC VERBOSE VRB FINEST FINER SILLY",
    Level.DEBUG: "DEBUG DBG DEBU FINE CONFIG",
    Level.INFO: "INFO INF INFORMATION INFORMATIONAL NOTICE NOTE NTC LOG SUCCESS SYSTEM",
    Level.WARN: "WARN WARNING WRN",
    Level.ERROR: "ERROR ERR ERRO EROR SEVERE",
    Level.FATAL: "FATAL FTL FATA CRITICAL CRIT CRT PANIC PANI PNC DPANIC EMERG EMERGENCY ALERT",
}
WORDS: Mapping[str, Level] = {word: level for level, words in _SPELLINGS.items() for word in words.split()}
"""Upper-case word to level."""

LETTERS: Mapping[str, Level] = {
    "V": Level.TRACE, "T": Level.TRACE, "D": Level.DEBUG, "I": Level.INFO, "N": Level.INFO,
    "W": Level.WARN, "E": Level.ERROR, "A": Level.FATAL, "C": Level.FATAL, "F": Level.FATAL,
    "D1": Level.DEBUG, "D2": Level.DEBUG, "D3": Level.DEBUG, "D4": Level.DEBUG, "D5": Level.DEBUG,
}  # fmt: skip
"""Single letters: Android, glog, CUPS, Ruby; MongoDB numbers its debug levels."""

_ENGLISH = frozenset(["FINE", "CONFIG", "NOTE", "LOG", "SUCCESS", "SYSTEM"])
"""Words that begin ordinary sentences: no level when written in lower case."""


class Style(Enum):
    """How the words of one file are spelled: one writer keeps to one style."""

    UPPER = "ERROR"
    LOWER = "error"
    CAPITAL = "Error"

    def spell(self, word: str) -> str:
        """An upper-case word in this style."""
        return word if self is Style.UPPER else word.lower() if self is Style.LOWER else word.capitalize()


EVERY_STYLE = frozenset(Style)


def style_of(word: str) -> Style | None:
    """The style in which a level word is spelled, None when it is none of a level word's spellings."""
    return next((style for style in Style if word.upper() in WORDS and style.spell(word.upper()) == word), None)


@lru_cache(maxsize=16)
def spelled(styles: frozenset[Style]) -> Mapping[str, Level]:
    """Each word as it is spelled in these styles, with its level."""
    return {
        style.spell(word): level
        for style in Style
        if style in styles
        for word, level in WORDS.items()
        if not (style is Style.LOWER and word in _ENGLISH)
    }


def stems(levels: Iterable[Level], styles: frozenset[Style]) -> tuple[str, ...]:
    """The fewest strings of which every word of these levels begins with one: ``ERR`` stands for ``ERROR`` too."""
    wanted = frozenset(levels)
    words = sorted(word for word, level in spelled(styles).items() if level in wanted)
    found: list[str] = []
    for word in words:
        if not (found and word.startswith(found[-1])):
            found.append(word)
    return tuple(found)


class Scale(Enum):
    """What a level's number means."""

    BUNYAN = "bunyan and pino: 10 trace to 60 fatal"
    PYTHON = "Python: 10 debug to 50 critical"
    MONOLOG = "Monolog: 100 debug to 600 emergency"
    LOGBACK = "logback: 5000 trace to 40000 error"
    OTEL = "OpenTelemetry: 1 trace to 24 fatal"
    RISING = "0 debug to 4 fatal"
    SYSLOG = "syslog: 0 emergency to 7 debug"


_REACH = {
    Scale.BUNYAN: range(1, 100),
    Scale.PYTHON: range(1, 100),
    Scale.MONOLOG: range(100, 601, 50),
    Scale.LOGBACK: range(5_000, 50_001, 5_000),
    Scale.OTEL: range(1, 25),
    Scale.RISING: range(5),
    Scale.SYSLOG: range(8),
}
"""The numbers that each scale knows."""

_FROM = {
    Scale.BUNYAN: (1, 20, 30, 40, 50, 60),
    Scale.PYTHON: (1, 10, 20, 30, 40, 50),
    Scale.MONOLOG: (0, 100, 200, 300, 400, 500),
    Scale.LOGBACK: (1, 10_000, 20_000, 30_000, 40_000, 50_000),
    Scale.OTEL: (1, 5, 9, 13, 17, 21),
    Scale.RISING: (-1, 0, 1, 2, 3, 4),
}
"""From which number on each level holds, mildest first."""

_SEVERITIES = (*[Level.FATAL] * 3, Level.ERROR, Level.WARN, Level.INFO, Level.INFO, Level.DEBUG)
"""Syslog's, 0 to 7."""


def level_of_number(number: int, scale: Scale) -> Level | None:
    """The level of a number on a scale, None where it lies outside."""
    if number not in _REACH[scale]:
        return None
    if scale is Scale.SYSLOG:
        return _SEVERITIES[number]
    return max(level for level, least in zip(Level, _FROM[scale], strict=True) if number >= least)


def numbers_of(levels: Iterable[Level], scale: Scale) -> tuple[int, ...]:
    """The numbers that mean one of these levels."""
    wanted = frozenset(levels)
    return tuple(number for number in _REACH[scale] if level_of_number(number, scale) in wanted)


def scale_of(number: int) -> Scale:
    """The scale that a number most likely belongs to when nothing else tells: by its size."""
    if number >= 1_000:
        return Scale.LOGBACK
    if number >= 100:
        return Scale.MONOLOG
    return Scale.BUNYAN if number >= 10 else Scale.RISING


_COLOUR = when_used(r"\x1b\[[0-9;]{0,20}m")
_WORD = when_used(r"([A-Za-z]{1,16})(?:[+-]?[0-9]{1,3})?\s*\Z")


def level_of(value: object, scale: Scale | None = None) -> Level | None:
    """The level that a value states: a word or letter in any spelling (``warn``, ``WARNING``, ``DEBUG-2``, coloured
    or not), or a whole number (or its digits) on a scale, guessed by its size when none is given."""
    if isinstance(value, str):
        word = _word_in(value)
        if word is not None:
            known = WORDS.get(word.upper())
            return LETTERS.get(word.upper()) if known is None else known
        value = int(value) if re.fullmatch("[0-9]{1,6}", value) else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return level_of_number(value, scale or scale_of(value))


def _word_in(value: str) -> str | None:
    """The word of a level's text, None where it is no word."""
    if len(value) > 64:
        return None
    match = _WORD.match(_COLOUR.sub("", value) if "\x1b" in value else value)
    return match[1] if match else None


def word_level(value: str, styles: frozenset[Style]) -> Level | None:
    """The level that a text states in words of these styles, from its first letter on."""
    level = spelled(styles).get(value)
    if level is not None:
        return level
    word = _word_in(value)
    return None if word is None else spelled(styles).get(word)
