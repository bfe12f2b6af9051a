"""``meshdiag runbook``: the procedures, found by their name, by a check or by an alert."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from meshdiag.commands._completions import complete_runbook
from meshdiag.commands._options import shared_flags

if TYPE_CHECKING:
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags
    from meshdiag.commands._runbook_run import Record
    from meshdiag.runbook.library import Page

SECTION = "Look at the mesh"


@click.group(short_help="The procedures: list, read, check and run them.")
def command() -> None:
    """The procedures that checks and alerts point to. They come with meshdiag and need no network.

    \b
    meshdiag runbook list
    meshdiag runbook show HighConsensusLatency
    meshdiag runbook show consensus.round-duration
    meshdiag runbook run slow-consensus
    meshdiag runbook new disk-full
    meshdiag runbook check procedures/
    """


@command.command("list")
@click.pass_obj
def listing(invocation: Invocation) -> None:
    """Every page: its name, its title, the alerts that it answers."""
    from datetime import UTC, datetime

    from meshdiag.commands._runbook_teams import team_folders
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
    found = library.shelf(team_folders(invocation))
    pages = sorted(library.readable(found.values()), key=lambda page: page.name)
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
@click.pass_obj
def show(invocation: Invocation, which: str) -> None:
    """Read a page, on a terminal set for reading, elsewhere as its Markdown.

    It is named by itself, by the id of a check (consensus.round-duration) or by an alert (HighConsensusLatency).
    """
    from meshdiag.commands._runbook_teams import team_folders
    from meshdiag.runbook import library

    page = library.find(which, team_folders(invocation))
    if sys.stdout.isatty():
        _set(page)
    else:
        click.echo(page.text.strip())


@command.command("run")
@click.argument("which", metavar="NAME|CHECK|ALERT|FILE", shell_complete=complete_runbook)
@click.option("--pause", is_flag=True, help="Wait for a key between sections.")
@shared_flags(formats=("table", "md", "json"), checks=False)
@click.pass_context
def running(ctx: click.Context, flags: Flags, which: str, pause: bool) -> int:
    """Go through a page section by section: its prose, and beside each step the verdict of now.

    Steps only look. They are command lines of meshdiag, each in a process of its own and never in a shell, checks,
    queries with a range of what is fine, and searches of logs. What would try, send or change something, or go on for
    ever, is left to you; other blocks are shown and never run. --deadline is that of each step. The worst verdict is
    the run's, and its exit code.

    \b
    Examples:
      meshdiag runbook run slow-consensus
      meshdiag runbook run HighMemoryUsage --pause
      meshdiag runbook run node-down -o md > incident.md
    """
    from pathlib import Path

    from meshdiag.commands._runbook_run import Walk
    from meshdiag.commands._runbook_show import Quiet, Terminal
    from meshdiag.commands._runbook_teams import team_folders
    from meshdiag.errors import UsageError
    from meshdiag.runbook import library

    if pause and not (sys.stdin.isatty() and flags.format == "table"):
        raise UsageError("--pause waits for a key, so it needs a terminal and the format table")
    page = library.open_file(Path(which)) if which.endswith(".md") else library.find(which, team_folders(ctx.obj))
    screen = Terminal(pause) if flags.format == "table" and not flags.quiet else Quiet()
    record = Walk(ctx.find_root().command, ctx.obj, flags, page, screen).run()
    return _told(record, flags)


def _told(record: Record, flags: Flags) -> int:
    """Print what is left to print of a run, and give its exit code."""
    from meshdiag.commands._run import show

    if flags.format != "md":
        if flags.format == "table" and not flags.quiet:
            click.echo("\n" + "-" * 40)
        return show(record.report, flags, interrupted=record.interrupted)
    from meshdiag.commands._runbook_record import as_markdown
    from meshdiag.model import ExitCode, Verdict
    from meshdiag.render.safe import encodable

    click.echo(encodable(as_markdown(record), sys.stdout.encoding or "utf-8"), nl=False)
    return ExitCode.INTERRUPTED if record.interrupted else ExitCode.of(record.report.verdict, Verdict(flags.fail_on))


@command.command("new")
@click.argument("name")
def beginning(name: str) -> None:
    """Begin a page: NAME.md in this folder, with the parts that a page has and a step of each kind.

    A file that is there is never overwritten. 'meshdiag runbook check NAME.md' says what is wrong with it.
    """
    from pathlib import Path

    from meshdiag.runbook.skeleton import write_skeleton

    path = write_skeleton(name, Path())
    click.echo(f"{path} is written; 'meshdiag runbook check {path}' says what is wrong with it, 'run {path}' tries it")


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
    from meshdiag.commands._runbook_show import set_markdown
    from meshdiag.render.terminal import make_console

    console = make_console(sys.stdout)
    set_markdown(console, page.text)
    answers = [*page.alerts, *page.checks]
    owner = f" · owner {page.owner}" if page.owner else ""
    console.print(f"{page.name} · {page.severity}{owner} · answers {', '.join(answers)}", style="dim", markup=False)
