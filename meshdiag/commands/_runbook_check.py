"""``meshdiag runbook check``: finds the pages, holds each against what there is, prints what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from meshdiag.commands._runbook_lines import read_line
from meshdiag.commands._runbook_teams import team_folders
from meshdiag.errors import ConfigError, UsageError
from meshdiag.render.safe import one_line
from meshdiag.rules.builtin import mesh_rules
from meshdiag.rules.loading import load_rules
from meshdiag.runbook import library
from meshdiag.runbook.linting import Slip, known_of, lint
from meshdiag.verdict import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.commands._invocation import Invocation
    from meshdiag.runbook.linting import Known


def check_pages(root: click.Command, invocation: Invocation, places: Sequence[str]) -> int:
    """Check the pages that were named, or all. Raises ``UsageError`` for one that is not there."""
    teams = team_folders(invocation)
    files = [file for place in places for file in _files(place, teams)] or list(library.shelf(teams).values())
    known = _known(root, invocation)
    wrong = 0
    for file in files:
        for slip in _slips(file, known):
            where = f"{file}:{slip.line}: " if slip.line else ""
            click.echo(one_line(f"{where}{slip.sentence}", None))
            wrong += 1
    pages = f"{len(files)} page{'s' if len(files) != 1 else ''}"
    click.echo(f"{pages}: {f'{wrong} wrong' if wrong else 'nothing is wrong'}", err=True)
    return ExitCode.WARN if wrong else ExitCode.PASS


def _files(place: str, teams: Sequence[Path]) -> list[Path]:
    path = Path(place)
    if path.is_dir():
        return _folder(path)
    if path.is_file():
        return [path]
    return [library.find(place, teams).path]


def _folder(path: Path) -> list[Path]:
    """The pages of a folder; other files in it (README.md) are none."""
    found = [path / f"{name}.md" for name in library.names(path)]
    if not found:
        raise UsageError(f"there is no page in {path}", hint="a page is NAME.md, in lower case")
    return found


def _slips(file: Path, known: Known) -> Sequence[Slip]:
    try:
        return lint(library.open_file(file), known)
    except ConfigError as error:  # its sentence names the file and the line
        return (Slip(0, str(error)),)


def _known(root: click.Command, invocation: Invocation) -> Known:
    files = load_rules(invocation.load().context.rules)

    def refusal(words: Sequence[str], shown: bool) -> str:
        try:
            never = read_line(root, words).never
        except UsageError as error:
            return str(error)
        return "" if shown else never

    rules = [rule for file in (mesh_rules(), *files) for rule in file.rules]
    return known_of(rules, refusal)
