"""How keys and values are written in messages: as TOML writes them, and harmless to a terminal."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from meshdiag.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable


def suggestion(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """A hint: the nearest of the known words, or all of them."""
    words = sorted(known)
    return did_you_mean(word, words, f"known here: {', '.join(words)}", most=1, cutoff=cutoff)


def key_text(path: tuple[str | int, ...], longest: int | None = None) -> str:
    """A key's path as TOML writes it: ``contexts.lab.checks."capacity.cpu".warn``, ``contexts.lab.nodes[2].url``.
    Parts with more than ``longest`` characters are cut."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part + 1}]"
            continue
        short = part if longest is None or len(part) <= longest else part[:longest] + "…"
        bare = re.fullmatch(r"[A-Za-z0-9_-]+", short)
        text += ("." if text else "") + (short if bare else quoted(short))
    return text


def quoted(text: str) -> str:
    """A text as TOML (and JSON) writes it, with everything that cannot be seen as an escape."""
    escaped = json.dumps(text, ensure_ascii=False)
    return "".join(
        sign if sign.isprintable() else f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"
        for sign in escaped
    )


def printable(text: str) -> str:
    """The text with whatever a terminal might obey written as an escape."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
