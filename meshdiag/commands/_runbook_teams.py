"""The folders of a team's own runbooks, as the configuration names them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from meshdiag.errors import ConfigError
from meshdiag.render.safe import one_line

if TYPE_CHECKING:
    from meshdiag.commands._invocation import Invocation


def team_folders(invocation: Invocation) -> tuple[Path, ...]:
    """Those that are there. A configuration that cannot be used, or a folder that is missing, is told on stderr and
    keeps nobody from the pages that come with meshdiag."""
    try:
        context = invocation.load().context
    except ConfigError as error:
        _say(f"only the pages that come with meshdiag: {error}")
        return ()
    folders = tuple(map(Path, context.runbook_paths))
    for missing in (one for one in folders if not one.is_dir()):
        _say(f"runbook_paths: {missing} is no folder")
    return tuple(one for one in folders if one.is_dir())


def _say(text: str) -> None:
    click.echo(f"meshdiag: {one_line(text)}", err=True)
