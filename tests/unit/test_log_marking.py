"""Matches that are marked on a terminal: those that were searched for, and nothing else of the text changes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.errors import UsageError
from meshdiag.logs.marking import marker
from meshdiag.logs.record import Record
from meshdiag.logs.selection import Pattern
from meshdiag.render.ansi import marked
from meshdiag.render.log_gaps import Gaps
from meshdiag.render.log_lines import Dress, LogLines

CODES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize(
    ("patterns", "text", "parts"),
    [
        ([Pattern("b+")], "abbcb", ["bb", "b"]),
        ([Pattern("B.", fixed=True, ignore_case=True)], "ab. bx", ["b."]),
        ([Pattern("ü+")], "aüüb", ["üü"]),
        ([Pattern("ab"), Pattern("bc")], "abcd", ["abc"]),
        ([Pattern("x*")], "ab", []),
        ([Pattern("a"), Pattern("b", invert=True)], "ab", ["a"]),
    ],
)
def test_matches_are_found_as_they_are_searched(patterns, text, parts):
    """Characters, not bytes; what overlaps is one; nothing is not marked."""
    find = marker(patterns)
    assert find is not None
    assert [text[begin:end] for begin, end in find(text)] == parts


def test_what_nobody_searches_for_is_not_marked():
    """-v and no pattern at all leave nothing to mark; what is no pattern is said as elsewhere."""
    assert marker([]) is None
    assert marker([Pattern("a", invert=True)]) is None
    with pytest.raises(UsageError, match="is no regular expression"):
        marker([Pattern("(")])


@given(st.text("abc"), st.text("abc", min_size=1, max_size=2), st.sampled_from(["", "1"]))
def test_marks_change_no_character(text, word, style):
    """Without its colours a marked text is the text."""
    find = marker([Pattern(word)])
    assert find is not None
    assert CODES.sub("", marked(text, find(text), style)) == text


def test_a_match_is_marked_in_wanted_records_alone():
    """What was searched for stands out in the message and the fields; in the lines around it nothing does."""
    lines = LogLines(Dress(colour=True, spans=marker([Pattern("7")])))
    record = Record(b"", message="round 7", fields={"height": 17})
    assert lines.text(record).count("\x1b[7m7\x1b[0m") == 1
    assert "\x1b[2;7m7\x1b[0m" in lines.text(record)
    record.context = True
    assert ";7m" not in lines.text(record)
    assert "\x1b[7m" not in lines.text(record)
    assert "\x1b" not in LogLines(Dress(spans=marker([Pattern("7")]))).text(record)


def test_a_gap_is_told_once():
    """Not before the first record, and once where two logs leave something out at the same moment."""
    gaps = Gaps()
    told = [gaps.before(Record(b"", gap=gap)) for gap in (True, False, True, True, False, True)]
    assert told == [False, False, True, False, False, True]
