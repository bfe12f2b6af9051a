"""``meshdiag logs``: find lines in logs by level, time, text and field; say what is new, and whether it is too much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from meshdiag.commands._logs_flags import GroupedHelp, log_flags

if TYPE_CHECKING:
    from pathlib import Path

    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._logs_flags import LogFlags

SECTION = "Look at the mesh"


@click.command("logs", cls=GroupedHelp, short_help="Lines of logs by level, time, text, field; what is new; a verdict.")
@click.argument("paths", nargs=-1, metavar="[PATH]...", shell_complete=lambda _ctx, _param, _text: [_files()])
@click.pass_obj
@log_flags
def command(
    invocation: Invocation, flags: LogFlags, paths: tuple[str, ...], context: str | None, config: Path | None
) -> int:
    """Find lines in logs, read levels and times where they stand, and say what is new.

    PATH is a file, a glob, a folder or - for stdin; rotated and compressed siblings join by themselves. Without one,
    the logs of the context. With --source: containers or compose services (docker), pods or KIND/NAME (kubernetes),
    units or journal files (journal).

    Exit codes: 0, also when nothing matches; with --errors the verdict's: 0 pass, 1 warn, 2 fail, 3 unknown.

    \b
    Examples:
      meshdiag logs --errors --since 15m
      meshdiag logs /var/log/app/ --level error+ --at 03:12 --window 5m
      meshdiag logs app.json --where 'consensus.round > 5 and duration_ms >= 100' | jq .message
      meshdiag logs --new-since 1h              # patterns that the day before had not
      meshdiag logs -f --component consensus -e 'timeout|refused'
      meshdiag logs --errors -q || page-someone # the verdict alone
    """
    from meshdiag.commands._logs_run import run

    invocation.context = context or invocation.context
    invocation.config_file = config or invocation.config_file
    return run(invocation, paths, flags)


def _files() -> object:
    """Paths complete as the shell completes files."""
    from click.shell_completion import CompletionItem

    return CompletionItem("", type="file")
