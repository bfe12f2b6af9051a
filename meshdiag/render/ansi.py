"""Colours as escape sequences, for what is printed line by line: a console object would cost more than the lines."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN = "31", "32", "33", "34", "35", "36"
DIM, BOLD = "2", "1"
ALARM = "1;37;41"
"""White on red: nothing else looks like it."""
MATCH = "7"
"""Inverse, as pagers mark what is searched for: to be seen on any background, in any colour."""
OFF = "\x1b[0m"


def wanted(stream: TextIO) -> bool:
    """Whether a stream is to be coloured: a terminal that can, unless NO_COLOR; FORCE_COLOR colours pipes too."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def marked(text: str, spans: Sequence[tuple[int, int]], style: str = "") -> str:
    """Text in a style with parts of it marked, each from one character to before another, in order and apart."""
    if not spans:
        return paint(text, style)
    pieces: list[str] = []
    place = 0
    for begin, end in spans:
        pieces += (paint(text[place:begin], style), paint(text[begin:end], f"{style};{MATCH}" if style else MATCH))
        place = end
    return "".join((*pieces, paint(text[place:], style)))


def paint(text: str, style: str) -> str:
    """Text in a style, as it is where the style is empty."""
    return f"\x1b[{style}m{text}{OFF}" if style and text else text
