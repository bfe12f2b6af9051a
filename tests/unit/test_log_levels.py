"""Levels in every spelling and number."""

from __future__ import annotations

import pytest

from meshdiag.logs.levels import EVERY_STYLE, WORDS, Scale, Style, level_of, level_of_number, numbers_of, spelled, stems
from meshdiag.logs.record import Level

T, D, I, W, E, F = Level  # noqa: E741


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("trace", T),
        ("VERBOSE", T),
        ("Finest", T),
        ("V", T),
        ("debug", D),
        ("DBG", D),
        ("DEBUG5", D),
        ("DEBUG-2", D),
        ("info", I),
        ("Information", I),
        ("notice", I),
        ("Note", I),
        ("LOG", I),
        ("INFO ", I),
        ("warn", W),
        ("WARNING", W),
        ("wrn", W),
        ("W", W),
        ("error", E),
        ("ERR", E),
        ("eror", E),
        ("ERRO", E),
        ("Severe", E),
        ("ERROR+2", E),
        ("E", E),
        ("fatal", F),
        ("CRITICAL", F),
        ("crit", F),
        ("panic", F),
        ("DPANIC", F),
        ("emerg", F),
        ("Alert", F),
        ("FTL", F),
        ("\x1b[31mERROR\x1b[0m", E),
        ("errors", None),
        ("", None),
        ("hit", None),
        (None, None),
        (True, None),
        ([], None),
        (3.5, None),
        (30, I),
        (55, E),
        ("50", E),
        (10, T),
        (400, E),
        (40_000, E),
        (250, I),
        (0, D),
        (4, F),
        (-1, None),
        (10**9, None),
        ("x" * 1000, None),
    ],
)
def test_every_spelling_has_its_level(value: object, level: Level | None) -> None:
    """Words in any case, letters, coloured or numbered words, and numbers by their size; anything else is none."""
    assert level_of(value) is level


@pytest.mark.parametrize(
    ("scale", "numbers"),
    [
        (Scale.BUNYAN, {10: T, 20: D, 30: I, 40: W, 50: E, 60: F, 100: None}),
        (Scale.PYTHON, {5: T, 10: D, 20: I, 30: W, 40: E, 50: F}),
        (Scale.SYSLOG, {0: F, 1: F, 2: F, 3: E, 4: W, 5: I, 6: I, 7: D, 8: None}),
        (Scale.MONOLOG, {100: D, 200: I, 250: I, 300: W, 400: E, 500: F, 550: F, 600: F, 50: None}),
        (Scale.LOGBACK, {5_000: T, 10_000: D, 20_000: I, 30_000: W, 40_000: E}),
        (Scale.OTEL, {1: T, 5: D, 9: I, 13: W, 17: E, 21: F, 24: F, 0: None}),
        (Scale.RISING, {0: D, 1: I, 2: W, 3: E, 4: F, 5: None}),
    ],
)
def test_every_scale_means_its_own(scale: Scale, numbers: dict[int, Level | None]) -> None:
    """A number means what the library that writes it says, and its list of numbers agrees."""
    for number, level in numbers.items():
        assert level_of_number(number, scale) is level
        assert level is None or number in numbers_of([level], scale)


def test_stems_begin_every_word_and_no_other_level() -> None:
    """Every word of a level begins with one of its stems, in every style."""
    for styles in (EVERY_STYLE, frozenset({Style.UPPER}), frozenset({Style.LOWER})):
        for level in Level:
            found = stems([level], styles)
            words = [word for word, meant in spelled(styles).items() if meant is level]
            assert all(word.startswith(found) for word in words)
    assert stems([Level.WARN], frozenset({Style.UPPER})) == ("WARN", "WRN")


def test_ordinary_words_in_lower_case_are_no_level() -> None:
    """``log``, ``note``, ``config`` begin sentences more often than records."""
    assert "log" not in spelled(EVERY_STYLE)
    assert WORDS["LOG"] is Level.INFO
