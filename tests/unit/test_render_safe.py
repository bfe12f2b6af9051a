"""Outside text before it reaches a terminal."""

from __future__ import annotations

import shlex
import subprocess
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshdiag.render.safe import LIMIT, encodable, few_lines, json_escapes, one_line, pasteable, well_formed

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def hidden(text: str) -> set[str]:
    """The characters of a text that a terminal must not see."""
    return {char for char in text if unicodedata.category(char) in HIDDEN}


@pytest.mark.parametrize(
    ("outside", "shown"),
    [
        ("trainer-3", "trainer-3"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("two\nlines\r\nand\ttab", "two lines and tab"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("c1\x9b31m", r"c1\x9b31m"),
        ("line\u2028separator", "line separator"),
        ("lone\ud800", r"lone\ud800"),
        ("[bold]not markup[/]", "[bold]not markup[/]"),
        ("節点 é 😀", "節点 é 😀"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("", ""),
    ],
)
def test_what_cannot_be_seen_is_written_out(outside: str, shown: str) -> None:
    """A hostile character is shown, and harmless text is left alone."""
    assert one_line(outside) == shown


def test_a_long_text_is_cut_and_says_so() -> None:
    """A body of a megabyte does not fill the screen, and nobody takes the rest for the whole."""
    assert one_line("x" * (LIMIT + 2000)) == "x" * LIMIT + "... (2,000 more characters)"
    assert one_line("x" * (LIMIT + 2000), None) == "x" * (LIMIT + 2000)


def test_towers_of_combining_marks_are_taken_down() -> None:
    """A letter may bear accents, and not a column of them through the lines above."""
    assert one_line("e\u0301") == "e\u0301"
    assert one_line("e" + "\u0301" * 50).count("\\u0301") == 47


@given(st.text())
def test_no_text_stays_dangerous(text: str) -> None:
    """Whatever comes in, what goes out has no control character, on one line."""
    assert not hidden(one_line(text))
    assert not any(hidden(line) for line in few_lines(text, 3))


def test_an_excerpt_is_a_few_lines() -> None:
    """The part of an answer that matters, and how much is missing."""
    assert few_lines("a\n\nb\r\nc\nd\n", 2) == ["a", "b", "... (2 more lines)"]


def test_a_stream_gets_what_it_can_carry() -> None:
    """What an encoding lacks is written out instead of raising."""
    assert encodable("é 節", "latin-1") == "é \\u7bc0"
    assert encodable("é", "no-such-encoding") == "\\xe9"


def test_harmless_commands_are_left_alone() -> None:
    """An ordinary command is pasted as it was made."""
    command = "curl -sG http://localhost:9090/api/v1/query --data-urlencode 'query=up{job=\"agent-mesh\"} == 0'"
    assert pasteable(command) == command


@settings(max_examples=60, deadline=None)
@given(
    st.text(
        st.characters(codec="utf-8", exclude_characters="\0").filter(
            lambda char: unicodedata.category(char) not in ("Cn", "Co")
        ),
        max_size=20,
    )
)
def test_a_quoted_word_keeps_its_meaning_without_its_control_characters(word: str) -> None:
    """What bash receives after pasting is what the command meant, though nothing hidden was pasted."""
    command = pasteable(f"printf %s {shlex.quote(word)}")
    assert not hidden(command)
    told = subprocess.run(
        ["bash", "-c", command], capture_output=True, timeout=10, env={"LC_ALL": "C.UTF-8"}, check=True
    )
    assert told.stdout.decode() == word


def test_a_hidden_character_outside_quotes_is_written_out() -> None:
    """It meant nothing good there."""
    assert pasteable("curl x\ncurl y\x1b") == "curl x curl y\\x1b"


def test_json_is_escaped_not_changed() -> None:
    """Invisible characters become escapes of the same text; beyond the basic plane as a pair."""
    assert json_escapes('"\u202e\U000e0041é"') == '"\\u202e\\udb40\\udc41é"'
    assert json_escapes('"é😀"', ascii_only=True) == '"\\u00e9\\ud83d\\ude00"'


def test_lone_surrogates_do_not_survive() -> None:
    """They are no text, and no encoder takes them."""
    assert well_formed("a\ud800b") == "a?b"
