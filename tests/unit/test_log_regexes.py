"""Patterns mean what RE2 means by them, and what is looked for in blocks is never narrower."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshdiag.errors import UsageError
from meshdiag.logs.scan.blocks import Block
from meshdiag.logs.scan.necessary import expression
from meshdiag.logs.scan.prefilter import _expression_finder
from meshdiag.logs.scan.regexes import alternatives
from meshdiag.logs.scan.regexes import tester as holds
from meshdiag.logs.selection import Pattern

PIECES = (
    *("a", "b", "ab", "ERR", ".", "x*", "b+", "a?", "[ab]", "[^a]", r"\d", r"\D", r"\s", r"\S", r"\w", r"\W", r"\."),
    *(r"\bb", "$", "^", "(a|b)", "(?:ab|c)", "(?P<n>x|y)", "a{2}", "b{1,3}", "c{2,}", r"\n", "é", "[a-c]", "|", r"\Bx"),
    *("(?i)", "a*?", r'[^\d"]', "{,2}"),
)
expressions = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join)
texts = st.text(st.sampled_from('abcxyABE.\n\r\t 07é"{,}K\x0b'), max_size=24).map(str.encode)


def whole(records: list[bytes]) -> Block:
    buffer = bytearray(b"".join(record + b"\n" for record in records))
    return Block(buffer, memoryview(buffer), len(buffer), 0)


@settings(max_examples=300, deadline=None)
@given(text=expressions, ignore_case=st.booleans(), record=texts)
def test_what_is_looked_for_is_never_narrower(text: str, ignore_case: bool, record: bytes) -> None:
    """Wherever RE2 finds an expression in a record, the scanner finds the expression made for blocks."""
    pattern = Pattern(text, ignore_case=ignore_case)
    try:
        found = holds(pattern)(record)
    except UsageError:
        return
    written = expression(pattern)
    finder = None if written is None else _expression_finder(written[0], ignore_case=written[1])
    if finder is not None and found:
        assert finder.places(whole([b"zzz", record, b"zzz"]))


@settings(max_examples=200, deadline=None)
@given(text=expressions, ignore_case=st.booleans(), record=texts)
def test_alternatives_are_the_expression(text: str, ignore_case: bool, record: bytes) -> None:
    """An expression that is taken for a choice of texts finds what RE2 finds."""
    pattern = Pattern(text, ignore_case=ignore_case)
    words = alternatives(pattern)
    if words is None:
        return
    # A group that matches always keeps RE2 from being passed by.
    same = Pattern(f"(?:(?:{text})|z{{9}}z)", ignore_case=ignore_case)
    assert alternatives(same) is None
    assert holds(pattern)(record) is holds(same)(record)


@pytest.mark.parametrize(
    ("text", "record", "found"),
    [
        ("consensus|network", b"the network", True),
        ("(ERROR|WARN)", b"WARN", True),
        (r"10\.0", b"1000", False),
        (r"a\|b", b"a|b", True),
        ("a|", b"anything", True),
        ("é+", "créé".encode(), True),
        ("a.c", b"a\xffc", True),
        ("(?i)error", b"ERROR", True),
    ],
)
def test_expressions_mean_what_they_say(text: str, record: bytes, found: bool) -> None:
    """Choices, escapes, letters beyond ASCII, bytes that are no UTF-8."""
    assert holds(Pattern(text))(record) is found


def test_fixed_text_is_no_expression() -> None:
    """``-F`` takes signs as they are, in any case with ``-i``."""
    assert holds(Pattern("a.*(b", fixed=True))(b"xa.*(by")
    assert not holds(Pattern("a.c", fixed=True))(b"abc")
    assert holds(Pattern("A.C", fixed=True, ignore_case=True))(b"xa.cx")
    assert holds(Pattern("É", fixed=True, ignore_case=True))("é".encode())


@pytest.mark.parametrize("text", ["a(b", "[z", "*", "a**", r"\1", "(?=a)", "x{3,1}"])
def test_a_wrong_expression_is_told(text: str) -> None:
    """What is no regular expression is quoted, with what is wrong and where."""
    with pytest.raises(UsageError, match=r"is no regular expression .*: .* at character \d"):
        holds(Pattern(text))


def test_no_expression_takes_for_ever() -> None:
    """Expressions that make others backtrack for ever take as long as the text is."""
    bait = b"a" * 50_000 + b"!"
    began = time.process_time()
    for text in ("(a+)+$", "(a|aa)+$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$"):
        assert not holds(Pattern(text))(bait)
    assert time.process_time() - began < 30
