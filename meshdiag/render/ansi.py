"""Colours as escape sequences, for what is printed line by line: a console object would cost more than the lines."""

from __future__ import annotations

import os
from typing import TextIO

RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN = "31", "32", "33", "34", "35", "36"
DIM, BOLD = "2", "1"
ALARM = "1;37;41"
"""White on red: nothing else looks like it."""
OFF = "\x1b[0m"


def wanted(stream: TextIO) -> bool:
    """Whether a stream is to be coloured: a terminal that can, unless NO_COLOR; FORCE_COLOR colours pipes too."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def paint(text: str, style: str) -> str:
    """Text in a style, as it is where the style is empty."""
    return f"\x1b[{style}m{text}{OFF}" if style and text else text
