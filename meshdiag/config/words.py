"""How keys and values are written in messages: as TOML writes them, and harmless to a terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def suggestion(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """A hint: the nearest of the known words, or all of them."""
    from difflib import get_close_matches

    words = sorted(known)
    close = get_close_matches(word[:80], words, n=1, cutoff=cutoff)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(words)}"


def key_text(path: tuple[str | int, ...]) -> str:
    """A key's path as TOML writes it: ``contexts.lab.checks."capacity.cpu".warn``, ``contexts.lab.nodes[2].url``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part + 1}]"
            continue
        bare = re.fullmatch(r"[A-Za-z0-9_-]+", part)
        short = part if len(part) <= 60 else part[:60] + "…"
        text += ("." if text else "") + (part if bare and short == part else f'"{printable(short)}"')
    return text


def printable(text: str) -> str:
    """The text with whatever a terminal might obey written as an escape."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
