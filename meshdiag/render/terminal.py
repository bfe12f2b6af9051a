"""A report on a terminal: the verdict first, then what needs a person, then what does not.

Read at three in the morning at 80 columns: one headline, likely causes, failures before unknown before
warnings, each with its next step; what passed is a count. Words say everything that colours say.

On a page with an end a table is cut, so that a large mesh does not scroll the verdict away: 20 rows of a table that
stands above the findings of its checks (its worst, as views put them first), 40 of one that is itself the answer
(``query``). With -v, in a pipe and in every other format all rows are there. Lists that no mesh makes longer
(``checks``) are never cut.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.text import Text

from meshdiag.model import Verdict
from meshdiag.render.blocks import Blocks
from meshdiag.render.datatable import print_table
from meshdiag.render.look import DIM, STRONG, STYLES
from meshdiag.render.page import Page
from meshdiag.render.ranking import grounds, groups, one_sentence, the_answer
from meshdiag.units import clock, human, moment

if TYPE_CHECKING:
    from datetime import datetime

    from meshdiag.model import Report, Table

USUAL_WIDTH = 80
WIDEST_PROSE = 110
"""Lines longer than this are hard to read; tables may be wider."""
MOST_ROWS, MOST_ROWS_ALONE = 20, 40
"""Rows of a table above the findings of its checks, and of one that is the answer itself."""
ORDER = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN, Verdict.PASS, Verdict.SKIP)


def make_console(stream: TextIO, *, width: int | None = None) -> Console:
    """A console that respects NO_COLOR, FORCE_COLOR and COLUMNS and never interprets what it prints.

    The width is 80 where nobody knows it: a pipe, a file.
    """
    return Console(
        file=stream,
        width=width or _width_of(stream),
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
    )


def bounded(stream: TextIO) -> bool:
    """Whether lines on this stream have an end: on a terminal, or where COLUMNS says so. A pipe has none."""
    return stream.isatty() or os.environ.get("COLUMNS", "").isdecimal()


def render(
    report: Report,
    console: Console,
    *,
    verbose: int = 0,
    quiet: bool = False,
    explain: bool = False,
    utc: bool = False,
    whole_tables: bool = False,
) -> None:
    """Print the report. ``verbose``: 1 lists what passed and was skipped, 2 every finding. ``quiet``: the
    headline alone. ``explain``: the commands that show each answer again. ``whole_tables``: no column is folded
    or left out, however wide the table (for pipes)."""
    page = Page(console, min(console.width, WIDEST_PROSE))
    if report.results or report.data is None:
        _headline(page, report, utc=utc)
    if not quiet:
        _body(
            page, report, Blocks(page, report.moment, _end(report), verbose=verbose, explain=explain), utc, whole_tables
        )
    page.print()


def _end(report: Report) -> datetime:
    """When the run was over."""
    lasted = timedelta(seconds=report.duration_s) if 0 < report.duration_s < 1e6 else timedelta()
    return report.started + lasted


def _body(page: Page, report: Report, blocks: Blocks, utc: bool, whole_tables: bool) -> None:
    _causes(page, report)
    if report.data is not None and _has_something_to_show(report):
        page.gap()
        _table(page, report, blocks, report.data, utc, whole_tables)
    shown = groups(report)
    fine = [one for one in report.results if one.verdict is Verdict.PASS]
    blocks.align([*(one.result for one in shown), *(fine if blocks.verbose else ())])
    for group in shown:
        blocks.group(group)
    _the_rest(page, report, blocks)
    _notes(page, report.notes)


def _table(page: Page, report: Report, blocks: Blocks, table: Table, utc: bool, whole: bool) -> None:
    width, most = (None, None) if whole else (page.console.width, _most_rows(report, blocks.verbose))
    if table.shape == "matrix":
        from meshdiag.render.heatmap import print_heatmap

        print_heatmap(page, table, width=width, whole=whole or bool(blocks.verbose))
    else:
        print_table(page, table, width=width, most=most, utc=utc)


def _has_something_to_show(report: Report) -> bool:
    """Whether the table says what the headline does not: its rows, or that (and why) there are none."""
    table, passed = report.data, report.verdict is Verdict.PASS
    if table is None or table.rows:
        return table is not None
    said = bool(table.empty and report.results)  # by the headline, where all is well
    return passed != said


def _most_rows(report: Report, verbose: int) -> int | None:
    """How many rows of the table are shown: see the module's docstring."""
    if verbose or not report.results:
        return None
    return MOST_ROWS if the_answer(report) is None else MOST_ROWS_ALONE


def _headline(page: Page, report: Report, *, utc: bool) -> None:
    look = page.look
    badge = look.badge(report.verdict)
    page.prose(look.text(one_sentence(report), STRONG), lead=Text.assemble(badge, " "))
    indent = badge.cell_len + 1
    counts = Text()
    for verdict in ORDER:
        if count := report.counts[verdict]:
            counts.append(", " if counts else "", DIM)
            counts.append(f"{count:,} {verdict}", STYLES[verdict])
    place = look.text(report.context, DIM)
    when = clock(report.started, utc=utc) if report.at is None else f"at {moment(report.at, utc=utc)}"
    for part in (human(report.duration_s, "s"), when):
        place.append(look.dot + part, DIM)
    if counts:
        page.prose(counts, indent)
        page.follow(place, indent)
    else:
        page.prose(place, indent)


def _causes(page: Page, report: Report) -> None:
    if not report.causes:
        return
    look = page.look
    page.gap()
    page.add(Text("Likely cause" if len(report.causes) == 1 else "Likely causes", STRONG))
    for cause in report.causes:
        page.prose(look.text(cause.statement), 2)
        if cause.because:
            page.prose(look.text(f"because of {grounds(cause, report)}", DIM), 4)
        if cause.next:
            page.prose(look.text(cause.next), 4, Text(look.arrow + " "))


def _the_rest(page: Page, report: Report, blocks: Blocks) -> None:
    """What needs nobody: a count, or one line each with -v."""
    fine = [one for one in report.results if one.verdict is Verdict.PASS]
    skipped = [one for one in report.results if one.verdict is Verdict.SKIP]
    if not fine and not skipped:
        return
    page.gap()
    if blocks.explain and not blocks.verbose and (answer := the_answer(report)) in fine:
        blocks.evidence(answer)
        page.gap()
    if blocks.verbose:
        for one in fine:
            blocks.passed(one)
        blocks.skipped(skipped)
        return
    line = Text()
    for results, verdict, words in ((fine, Verdict.PASS, "pass"), (skipped, Verdict.SKIP, "skipped")):
        if results:
            line.append("  " if line else "")
            line.append(f"{page.look.symbol(verdict)} {len(results):,} {words}", STYLES[verdict])
    page.prose(line)
    page.follow(Text(f"({_offers(report, blocks.explain)})", DIM), 2, between="   ")


def _offers(report: Report, explained: bool) -> str:
    """Which flags would say more."""
    more = "-v lists them" if not explained else "-v lists them and their commands"
    if not explained and any(one.evidence for one in report.results):
        more += ", --explain shows the commands"
    return more


def _notes(page: Page, notes: tuple[str, ...]) -> None:
    if notes:
        page.gap()
    for note in notes:
        page.prose(page.look.text(note), lead=Text("Note: ", STYLES[Verdict.WARN]))


def _width_of(stream: TextIO) -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL_WIDTH
    except (OSError, ValueError, AttributeError):
        return USUAL_WIDTH
