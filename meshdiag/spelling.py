"""Guesses what a mistyped word was meant to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 80
"""Comparing costs the square of the length, and nobody mistypes a word as long as this."""


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "", *, most: int = 2, cutoff: float = 0.6) -> str:
    """``did you mean A or B?`` with the nearest of the known words, at most ``most``; ``otherwise`` when none is
    near. ``cutoff`` is how much alike they must be (difflib's ratio, 0 to 1)."""
    from difflib import get_close_matches

    close = get_close_matches(word[:LONGEST], [one[:LONGEST] for one in known], n=most, cutoff=cutoff)
    return f"did you mean {' or '.join(close)}?" if close else otherwise
