"""A run of a runbook on a terminal, as it goes: the prose, and beside each step its verdict."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from rich.markdown import Markdown
from rich.padding import Padding
from rich.text import Text

from meshdiag.model import Verdict
from meshdiag.render.look import DIM, STRONG, STYLES, Look
from meshdiag.render.safe import one_line
from meshdiag.render.terminal import make_console
from meshdiag.units import human

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from meshdiag.commands._runbook_run import Entry
    from meshdiag.model import Finding
    from meshdiag.runbook.steps import Prose, Section

MOST = 5
"""Findings of a step that are shown beside the prose; the end has more."""


def set_markdown(console: Console, text: str) -> None:
    """Markdown for a person's eyes, harmless."""
    harmless = "\n".join(one_line(line, None) if line.strip() else "" for line in text.split("\n"))
    console.print(Markdown(harmless, hyperlinks=False, code_theme="ansi_dark"))


class Quiet:
    """Tells nobody: the record is printed at the end."""

    def section(self, section: Section, left_out: str) -> None:
        """A section begins."""

    def prose(self, prose: Prose) -> None:
        """Text of it."""

    def entry(self, entry: Entry) -> None:
        """A step of it is done."""

    def ended(self, last: bool) -> None:
        """The section is over."""


class Terminal:
    """Prints each part as it comes; with ``pause`` it waits for a key between sections."""

    def __init__(self, pause: bool) -> None:
        self._pause = pause
        self._console = make_console(sys.stdout)
        self._look = Look.of(self._console)
        self._silent = False

    def section(self, section: Section, left_out: str) -> None:
        """The heading; a section that is left out is a line."""
        self._silent = bool(left_out)
        self._console.print()
        title = self._look.text(section.title, STRONG)
        if left_out:
            title.append(f"{self._look.dot}left out: {left_out}", DIM)
        self._console.print(title)

    def prose(self, prose: Prose) -> None:
        """The text of a section that is gone through."""
        if not self._silent:
            set_markdown(self._console, prose.text)

    def entry(self, entry: Entry) -> None:
        """What was run and what it says, the worst first."""
        if self._silent:
            return
        result, look = entry.result, self._look
        word = Text(f"{look.symbol(result.verdict)} {result.verdict.upper()} ", STYLES[result.verdict])
        took = Text(f"{look.dot}{human(result.duration_s, 's')}" if result.duration_s else "", DIM)
        self._console.print(Text.assemble(word, look.text(entry.text, STRONG), took))
        said = _lines(result.summary, result.findings)
        for line in said[:MOST]:
            self._console.print(Padding(look.text(line), (0, 0, 0, 2)))
        if len(said) > MOST:
            self._console.print(Text(f"  and {len(said) - MOST} more", DIM))
        if result.hint and result.verdict in (Verdict.FAIL, Verdict.WARN):
            self._console.print(Padding(look.text(f"{look.arrow} {result.hint}"), (0, 0, 0, 2)))

    def ended(self, last: bool) -> None:
        """Waits, where that was asked for. Raises ``KeyboardInterrupt`` where the reader has enough."""
        if self._pause and not last and not self._silent:
            click.echo("-- any key: the next section; Ctrl-C: the end --", err=True)
            try:
                click.getchar()
            except EOFError:
                raise KeyboardInterrupt from None


def _lines(summary: str, findings: Sequence[Finding]) -> list[str]:
    """What a step found, a line each; the summary alone where that says as much."""
    bad = [one for one in findings if one.verdict not in (Verdict.PASS, Verdict.SKIP)]
    if len(bad) < 2:
        return [summary]
    return [f"{one.subject}: {one.message}" for one in sorted(bad, key=lambda one: -one.verdict.severity)]
