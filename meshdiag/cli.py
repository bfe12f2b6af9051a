"""The root of the command line. Commands are the modules of ``meshdiag.commands``, found by looking there."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import click

from meshdiag import __version__, commands
from meshdiag.commands._completions import complete_context
from meshdiag.commands._invocation import Invocation
from meshdiag.commands._params import CONFIG
from meshdiag.spelling import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

SECTIONS = ("Look at the mesh", "Try it without a mesh", "Set it up")
"""The sections of ``--help``; a command module names its own in ``SECTION`` (the last one by default)."""


class Commands(click.Group):
    """A group whose commands are modules: each holds one click command called ``command``, imported when it is
    called or listed. Modules whose name begins with an underscore are no commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        import pkgutil

        return sorted(module.name for module in pkgutil.iter_modules(commands.__path__) if module.name[0] != "_")

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if not cmd_name.isidentifier() or cmd_name[0] == "_":
            return None
        name = f"{commands.__name__}.{cmd_name}"
        try:
            found = importlib.import_module(name).command
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            return None
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            guess = did_you_mean(args[0], self.list_commands(ctx))
            if not guess:
                raise
            raise click.UsageError(f"{error.message.rstrip('.')}; {guess}", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        by_section: dict[str, list[tuple[str, str]]] = {section: [] for section in SECTIONS}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            assert command is not None
            module = importlib.import_module(f"{commands.__name__}.{name}")
            rows = by_section[getattr(module, "SECTION", SECTIONS[-1])]
            rows.append((name, command.get_short_help_str(formatter.width)))
        for section, rows in by_section.items():
            with formatter.section(section):
                formatter.write_dl(rows)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="meshdiag", message="%(prog)s %(version)s")
@click.option(
    "--context", help="The environment to look at, of those in the configuration.", shell_complete=complete_context
)
@click.option("--config", type=CONFIG, help="A configuration file to use and trust.")
@click.pass_context
def root(ctx: click.Context, context: str | None, config: Path | None) -> None:
    """The first command to type when an alert of an Agent Mesh fires.

    Says PASS, WARN, FAIL or UNKNOWN for each question about the mesh, with the evidence, the likely cause and the
    next step. Start with 'meshdiag health'; without a mesh, 'meshdiag demo'.

    Exit codes: 0 pass, 1 warn, 2 fail, 3 unknown, 64 wrong usage or configuration, 70 a bug, 130 interrupted.
    """
    ctx.obj = Invocation(context=context, config_file=config)
