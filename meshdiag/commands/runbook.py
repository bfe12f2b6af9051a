"""``meshdiag runbook``: the procedures, found by their name, by a check or by an alert."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from meshdiag.commands._completions import complete_runbook

if TYPE_CHECKING:
    from meshdiag.runbook.library import Page

SECTION = "Look at the mesh"


@click.group(short_help="The procedures: list, read, check and run them.")
def command() -> None:
    """The procedures that checks and alerts point to. They come with meshdiag and need no network.

    \b
    meshdiag runbook list
    meshdiag runbook show HighConsensusLatency
    meshdiag runbook show consensus.round-duration
    meshdiag runbook check procedures/
    """


@command.command("list")
def listing() -> None:
    """Every page: its name, its title, the alerts that it answers."""
    from datetime import UTC, datetime

    from meshdiag.model import Column, Report, Table
    from meshdiag.render import render_report
    from meshdiag.runbook import library

    columns = (
        Column("name", "runbook"),
        Column("title", "title"),
        Column("alerts", "alerts"),
        Column("severity", "severity"),
        Column("checks", "checks"),
    )
    pages = [library.read(name) for name in library.names()]
    rows = tuple(
        {
            "name": page.name,
            "title": page.title,
            "alerts": ", ".join(page.alerts),
            "severity": page.severity,
            "checks": ", ".join(page.checks),
        }
        for page in pages
    )
    report = Report("runbook list", "", datetime.now(UTC), data=Table(columns, rows))
    render_report(report, "table", sys.stdout)


@command.command()
@click.argument("which", metavar="NAME|CHECK|ALERT", shell_complete=complete_runbook)
def show(which: str) -> None:
    """Read a page, on a terminal set for reading, elsewhere as its Markdown.

    It is named by itself, by the id of a check (consensus.round-duration) or by an alert (HighConsensusLatency).
    """
    from meshdiag.runbook import library

    page = library.find(which)
    if sys.stdout.isatty():
        _set(page)
    else:
        click.echo(page.text.strip())


@command.command("check")
@click.argument("places", metavar="[NAME|FILE|DIR]...", nargs=-1, shell_complete=complete_runbook)
@click.pass_context
def checking(ctx: click.Context, places: tuple[str, ...]) -> int:
    """What is wrong with pages: file, line and a sentence each. Nothing of a page is run.

    Dead links, checks, alerts and metrics that do not exist, queries and command lines that do not parse, steps that
    expect nothing or would never be run. Without arguments: all pages. Alerts are those of the context's rule files,
    or of the mesh's own rules.

    Exit codes: 0 nothing is wrong, 1 something is, 64 there is no such page.
    """
    from meshdiag.commands._runbook_check import check_pages

    return check_pages(ctx.find_root().command, ctx.obj, places)


def _set(page: Page) -> None:
    """A page for a person's eyes."""
    from rich.markdown import Markdown

    from meshdiag.render.safe import one_line
    from meshdiag.render.terminal import make_console

    console = make_console(sys.stdout)
    harmless = "\n".join(one_line(line, None) if line.strip() else "" for line in page.text.splitlines())
    console.print(Markdown(harmless, hyperlinks=False, code_theme="ansi_dark"))
    answers = [*page.alerts, *page.checks]
    owner = f" · owner {page.owner}" if page.owner else ""
    console.print(f"{page.name} · {page.severity}{owner} · answers {', '.join(answers)}", style="dim", markup=False)
