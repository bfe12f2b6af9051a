"""The end of a command that asks for logs again: its output narrowed as far as grep can."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshdiag.logs.selection import Pattern, Selection


def piped_through_grep(command: str, selection: Selection) -> str:
    """The command with a grep for each pattern of the selection (``-P`` knows what RE2 knows)."""
    return " | ".join((command, *(_grep(pattern) for pattern in selection.patterns)))


def _grep(pattern: Pattern) -> str:
    flags = ("F" if pattern.fixed else "P") + "i" * pattern.ignore_case + "v" * pattern.invert
    return f"grep -{flags} -e {shlex.quote(pattern.text)}"
