"""One check on the page: what it asks, what it found, what to do, and how to see it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from meshdiag.model import Verdict
from meshdiag.render.findings import INDENT, Widths, print_rows, row_of
from meshdiag.render.look import DIM, STRONG, STYLES
from meshdiag.render.ranking import BAD, name_of, ranked
from meshdiag.render.safe import few_lines, pasteable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from meshdiag.model import Finding, Result
    from meshdiag.render.findings import Row
    from meshdiag.render.page import Page
    from meshdiag.render.ranking import Group

MOST = (5, 20)
"""Findings shown of one check, without and with -v; -vv shows all."""
EXCERPT_LINES = 3


class Blocks:
    """Prints results one under the other, their findings aligned with each other."""

    def __init__(self, page: Page, now: datetime, end: datetime, *, verbose: int, explain: bool) -> None:
        self.page = page
        self.look = page.look
        self.now = now
        self.end = end
        self.verbose = verbose
        self.explain = explain
        self.widths = Widths()
        self._chosen: dict[int, tuple[list[Finding], int]] = {}

    def align(self, results: Sequence[Result]) -> None:
        """Make the columns fit all that will be shown of these results."""
        self.widths = Widths.of(row for one in results for row in self._rows(one))

    def group(self, group: Group) -> None:
        """A result that needs a person, with what is folded into it."""
        self.page.gap()
        if group.alike:
            self._many(group)
        else:
            self.result(group.result)
        if group.waiting:
            count = len(group.waiting)
            could = "check could" if count == 1 else "checks could"
            self.page.prose(Text(f"{count} {could} not look because of this:"), 2)
            self.page.names([one.id for one in group.waiting], INDENT)
        if len({one.hint for one in (group.result, *group.alike)}) == 1:
            self._next_step(group.result)  # else it is one check's advice, and the trouble is another's
        for one in (group.result, *group.alike, *group.waiting):
            self.evidence(one)

    def passed(self, result: Result) -> None:
        """A result that needs nobody: one line; its findings with -vv."""
        self._title(result, strong=False)
        if self.verbose > 1:
            self.page.prose(self.look.text(result.summary, DIM), 2)
            self._findings(result)
        if self.explain:
            self.evidence(result)

    def result(self, result: Result) -> None:
        """Title, summary and findings."""
        self._title(result)
        if not self._row_says_it(result):
            self.page.prose(self.look.text(result.summary), 2)
        self._findings(result)

    def skipped(self, results: Sequence[Result]) -> None:
        """Skipped checks, under the reason that they share."""
        by_reason: dict[str, list[str]] = {}
        for one in results:
            by_reason.setdefault(one.summary, []).append(one.id)
        for reason, ids in by_reason.items():
            self.page.prose(self.look.text(reason), lead=Text.assemble(self.look.word(Verdict.SKIP), "  "))
            self.page.names(ids, INDENT)

    def _many(self, group: Group) -> None:
        results = (group.result, *group.alike)
        lead = Text.assemble(self.look.word(group.result.verdict), "  ")
        self.page.prose(Text(f"{len(results)} checks have no answer", STRONG), lead=lead)
        self.page.prose(self.look.text(group.result.summary), 2)
        self.page.names([one.id for one in results], INDENT)

    def _title(self, result: Result, *, strong: bool = True) -> None:
        word = self.look.word(result.verdict)
        if not strong:
            word = Text(word.plain, STYLES[result.verdict])
        left = Text.assemble(word, "  ", self.look.text(result.title, STRONG if strong else ""))
        self.page.spread(left, self.look.text(result.id, DIM))

    def _shown(self, result: Result) -> tuple[list[Finding], int]:
        """The findings to show, and how many further ones need a person too; chosen once a result."""
        chosen = self._chosen.get(id(result))
        if chosen is None:
            chosen = self._chosen[id(result)] = self._choose(result)
        return chosen

    def _choose(self, result: Result) -> tuple[list[Finding], int]:
        if self.verbose > 1:
            return ranked(result.findings), 0
        if result.verdict not in BAD:
            return [], 0
        bad = ranked(one for one in result.findings if one.verdict in BAD)
        most = MOST[self.verbose]
        return (bad, 0) if len(bad) <= most + 1 else (bad[:most], len(bad) - most)

    def _row_says_it(self, result: Result) -> bool:
        """Whether the summary only repeats the first finding, as those of checks without one of their own do."""
        shown = self._shown(result)[0]
        return bool(shown) and result.summary.startswith(
            (f"{shown[0].subject}: {shown[0].message}", f"{name_of(shown[0])}: {shown[0].message}")
        )

    def _rows(self, result: Result) -> list[Row]:
        return [row_of(one, self._as_of(one), self.look) for one in self._shown(result)[0]]

    def _as_of(self, finding: Finding) -> datetime:
        """The moment as of which its age is told: what was looked at during the run is new, and not still to come."""
        seen = finding.observed
        return seen if seen is not None and self.now < seen <= self.end else self.now

    def _findings(self, result: Result) -> None:
        rows = self._rows(result)
        if rows:
            said = "" if self._row_says_it(result) else f"{result.title} {result.summary}"
            print_rows(self.page, rows, self.widths, said=self.look.plain(said))
        if more := self._shown(result)[1]:
            self.page.prose(Text(f"and {more:,} more (-vv shows all)", DIM), INDENT)

    def _next_step(self, result: Result) -> None:
        page = self.page
        lead = Text(self.look.arrow + " ", STRONG)
        if result.hint:
            page.prose(self.look.text(result.hint), 2, lead)
        if not result.runbook:
            return
        runbook = self.look.text(f"runbook {result.runbook}", DIM)
        if result.hint:
            page.follow(runbook, 2 + lead.cell_len)
        else:
            page.prose(runbook, 2, lead)

    def evidence(self, result: Result) -> None:
        """The commands that show it again, each on a line of its own that can be pasted as it is."""
        if not self.explain:
            return
        for one in result.evidence:
            self.page.prose(self.look.text(f"# {one.source or 'shown again'}", DIM, 200), INDENT)
            self.page.add(Text(" " * INDENT + self.look.plain(pasteable(one.command), None)))
            for line in few_lines(one.excerpt, EXCERPT_LINES):
                self.page.prose(self.look.text(line, DIM), INDENT)
