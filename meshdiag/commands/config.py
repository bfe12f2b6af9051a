"""``meshdiag config``: write, show, check and find the configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from meshdiag.commands._invocation import Invocation
    from meshdiag.config import Loaded
    from meshdiag.model import Column

SECTION = "Set it up"


@click.group("config")
def command() -> None:
    """Write, show, check and find the configuration.

    Flags go before MESHDIAG_… variables, those before one file (--config, MESHDIAG_CONFIG or ./meshdiag.toml),
    that before the user's own file, and that before the built-in defaults.
    """


@command.command("init")
@click.option("--path", type=click.Path(path_type=Path, dir_okay=False), help="Write here, not to the user's folder.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def init(path: Path | None, force: bool) -> None:
    """Write a starter file in which every setting stands as a comment."""
    import os

    from meshdiag.config.files import user_path
    from meshdiag.config.starter import write_starter
    from meshdiag.errors import UsageError

    target = path or user_path(os.environ)
    if target is None:
        raise UsageError("there is no home folder to write to", hint="name a file with --path")
    write_starter(target, force=force)
    click.echo(_safe(str(target)))


@command.command("show")
@click.option(
    "-o",
    "--output",
    "fmt",
    type=click.Choice(["table", "json", "toml"]),
    default="table",
    show_default=True,
    help="How to print the answer.",
)
@click.pass_obj
def show(invocation: Invocation, fmt: str) -> None:
    """Show the settings in force, and where each value came from.

    Of a secret only the place where it is kept is shown.
    """
    from meshdiag.config.effective import as_toml, settings

    loaded = invocation.load()
    if fmt == "toml":
        click.echo(as_toml(loaded), nl=False)
        _say_notes(loaded)
        return
    rows = [{"key": one.key, "text": one.text, "value": one.value, "origin": one.origin} for one in settings(loaded)]
    columns = {"key": "setting", "text": "value", "origin": "from"}
    _print("config show", loaded.context.name, columns, rows, fmt, loaded.notes)


@command.command("check")
@click.pass_context
def check(ctx: click.Context) -> None:
    """Check every file and every context: keys, types, check ids, files and secrets that are named.

    Prints each problem on a line. Exit code 0 when there is none, else 64.
    """
    from meshdiag.checks import all_checks
    from meshdiag.config import Place
    from meshdiag.config.examining import examine
    from meshdiag.model import ExitCode

    invocation: Invocation = ctx.obj
    examined = examine(Place(invocation.config_file), all_checks(), invocation.context)
    for problem in examined.problems:
        click.echo(_safe(problem))
    for note in examined.notes:
        click.echo(_safe(f"note: {note}"), err=True)
    if examined.problems:
        ctx.exit(ExitCode.USAGE)
    files = ", ".join(one.shown for one in examined.files) or "no file"
    click.echo(_safe(f"fine: {files}; contexts: {', '.join(examined.context_names)}"))


@command.command("path")
@click.option(
    "-o",
    "--output",
    "fmt",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to print the answer.",
)
@click.pass_obj
def path(invocation: Invocation, fmt: str) -> None:
    """Show where files are looked for, the strongest first, and which of them exist."""
    from meshdiag.config import Place

    words = {"user": "the user's own", "found": "the working directory's", "given": "given by name"}
    rows = [
        {"path": str(one.path), "what": words[one.standing], "exists": one.exists, "there": _yes_no(one.exists)}
        for one in reversed(Place(invocation.config_file).candidates())
    ]
    _print("config path", "", {"path": "file", "what": "which", "there": "exists"}, rows, fmt)


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


def _print(
    name: str,
    context: str,
    titles: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]],
    fmt: str,
    notes: Sequence[str] = (),
) -> None:
    from datetime import UTC, datetime

    from meshdiag.model import Column, Report, Table
    from meshdiag.render import render_report

    columns: tuple[Column, ...] = tuple(Column(key, title) for key, title in titles.items())
    report = Report(
        command=name,
        context=context,
        started=datetime.now(UTC),
        data=Table(columns, tuple(rows)),
        notes=tuple(notes),
    )
    render_report(report, fmt, sys.stdout)


def _say_notes(loaded: Loaded) -> None:
    for note in loaded.notes:
        click.echo(_safe(f"note: {note}"), err=True)


def _safe(text: str) -> str:
    from meshdiag.render.safe import one_line

    return one_line(text)
