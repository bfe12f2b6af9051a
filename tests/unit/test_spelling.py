"""A mistyped word is answered with what it was meant to be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshdiag.spelling import did_you_mean


def test_the_nearest_words_are_offered_the_best_first() -> None:
    """One letter off is found; what is not like anything gets the other advice."""
    assert did_you_mean("helth", ["query", "health"]) == "did you mean health?"
    assert did_you_mean("up", ["consensus"], "see --help") == "see --help"


@given(st.text(max_size=5000), st.lists(st.text(max_size=5000), max_size=5))
def test_any_text_is_answered_quickly(word: str, known: list[str]) -> None:
    """Words of any length and content cost next to nothing."""
    assert isinstance(did_you_mean(word, known), str)
