"""Colours, symbols and words: how a verdict looks, in colour and without, in Unicode and in plain ASCII."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from meshdiag.model import Verdict
from meshdiag.render.safe import LIMIT, encodable, one_line
from meshdiag.render.verdict_line import SYMBOLS

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {
    Verdict.FAIL: "red",
    Verdict.UNKNOWN: "magenta",
    Verdict.WARN: "yellow",
    Verdict.PASS: "green",
    Verdict.SKIP: "dim",
}
BADGES = {
    Verdict.FAIL: "bold white on red",
    Verdict.UNKNOWN: "bold white on magenta",
    Verdict.WARN: "bold black on yellow",
    Verdict.PASS: "bold black on green",
    Verdict.SKIP: "bold reverse",
}
"""Red says FAIL and nothing else; each verdict stands beside its word, so that no colour is needed to read it."""
DIM = "dim"
STRONG = "bold"

SIGNS = "✗✓·→…≤≥▁▂▃▄▅▆▇█"
"""What the stream must be able to carry, or ASCII takes its place."""
BARS = ("▁▂▃▄▅▆▇█", "_.-=*#")


@dataclass(frozen=True, slots=True)
class Look:
    """What a stream can show. Everything printed is made by ``text``, which makes it harmless."""

    encoding: str = "utf-8"
    ascii_only: bool = False

    @classmethod
    def of(cls, console: Console) -> Look:
        """The look for a console, by what its stream can encode."""
        encoding = console.encoding
        return cls(encoding, ascii_only=encodable(SIGNS, encoding) != SIGNS)

    def text(self, outside: str, style: str = "", limit: int | None = LIMIT) -> Text:
        """Outside text, harmless and without markup."""
        return Text(self.plain(outside, limit), style=style)

    def plain(self, outside: str, limit: int | None = LIMIT) -> str:
        """Outside text as a harmless string."""
        return encodable(one_line(outside, limit), self.encoding)

    def symbol(self, verdict: Verdict) -> str:
        """The verdict's sign: a cross, a tick."""
        return SYMBOLS[verdict][self.ascii_only]

    def word(self, verdict: Verdict) -> Text:
        """Sign and word, in colour: ``✗ FAIL``."""
        return Text(f"{self.symbol(verdict)} {verdict.upper()}", style=f"bold {STYLES[verdict]}")

    def badge(self, verdict: Verdict) -> Text:
        """The word as the headline bears it."""
        return Text(f" {verdict.upper()} ", style=BADGES[verdict])

    @property
    def dot(self) -> str:
        """Stands between two things on a line."""
        return " - " if self.ascii_only else " · "

    @property
    def arrow(self) -> str:
        """Points to the next step."""
        return "->" if self.ascii_only else "→"

    @property
    def bars(self) -> str:
        """The steps of a sparkline, lowest first."""
        return BARS[self.ascii_only]
