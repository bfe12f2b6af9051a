"""A page of lines for a terminal: wrapped where they are prose, whole where they are to be pasted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from meshdiag.render.look import DIM, Look

if TYPE_CHECKING:
    from rich.console import Console

GAP = "  "
NARROWEST = 20
"""No column of prose is narrower, whatever the terminal says."""


class Page:
    """Gathers lines and prints them at once."""

    def __init__(self, console: Console, width: int) -> None:
        self.console = console
        self.look = Look.of(console)
        self.width = max(width, NARROWEST)
        self.lines: list[Text] = []

    def add(self, line: Text) -> None:
        """A line that fits, or that must stay whole."""
        self.lines.append(line)

    def gap(self) -> None:
        """An empty line, never two and never the first."""
        if self.lines and self.lines[-1].plain:
            self.lines.append(Text())

    def follow(self, text: Text, indent: int, between: str | None = None) -> None:
        """Text on the last line, after ``between`` (a dot), or below it where there is no room."""
        between = self.look.dot if between is None else between
        last = self.lines[-1] if self.lines else Text()
        if last.plain and last.cell_len + len(between) + text.cell_len <= self.width:
            self.lines[-1] = Text.assemble(last, (between, DIM), text)
            return
        self.prose(text, indent)

    def prose(self, text: Text, indent: int = 0, lead: Text | None = None) -> None:
        """Text wrapped to the page, after ``lead`` (an arrow, a badge) under whose end it hangs. Nothing, for
        no text and no lead."""
        if not text.plain and lead is None:
            return
        start = Text(" " * indent).append_text(lead) if lead is not None else Text(" " * indent)
        hang = start.cell_len
        for piece in self.wrapped(text, self.width - hang):
            self.add(start.append_text(piece))
            start = Text(" " * hang)

    def wrapped(self, text: Text, width: int) -> list[Text]:
        """The text in lines of at most ``width`` cells; a word that is longer is broken."""
        if text.cell_len <= width:
            return [text]
        lines = list(text.wrap(self.console, max(width, 1), overflow="fold"))
        for line in lines:
            line.rstrip()
        return lines

    def spread(self, left: Text, right: Text, indent: int = 0) -> None:
        """``left`` at the margin and ``right`` at the other, on one line if they fit."""
        room = self.width - indent - left.cell_len - right.cell_len
        if room >= len(GAP):
            self.add(Text.assemble(" " * indent, left, " " * room, right))
        else:
            self.prose(left, indent)
            self.prose(right, indent + 2)

    def names(self, names: list[str], indent: int, style: str = DIM) -> None:
        """Names, separated by commas and wrapped."""
        self.prose(Text(", ".join(self.look.plain(name, 200) for name in names), style=style), indent)

    def print(self) -> None:
        """Print every line as it is: nothing is wrapped, cut or padded any more."""
        if self.lines:
            self.console.print(Text("\n").join(self.lines), soft_wrap=True)
