"""The flags of ``meshdiag logs``: their groups in the help, and the object in which the command receives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from meshdiag.commands._completions import complete_context
from meshdiag.commands._params import CONFIG, COUNT, DURATION

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from meshdiag.commands._invocation import Invocation
    from meshdiag.logs.rates import By

SOURCES = ("file", "loki", "docker", "journal", "kubernetes")
FORMATS = ("table", "raw", "json", "csv")


class LogFlags:
    """The flags of one call, as typed; see their help for what they mean. ``format`` is None where none was asked."""

    errors: bool
    level: tuple[str, ...]
    component: tuple[str, ...]
    node: tuple[str, ...]
    grep: tuple[str, ...]
    invert: bool
    ignore_case: bool
    fixed: bool
    where: str | None
    field: str | None
    jq: str | None
    since: str | None
    until: str | None
    at: str | None
    window: timedelta | None
    head: int | None
    tail: int | None
    before: int | None
    after: int | None
    context_lines: int | None
    follow: bool
    count: bool
    top: bool
    new_since: timedelta | None
    stats: bool
    by: By
    source: str
    unit: tuple[str, ...]
    identifier: tuple[str, ...]
    kernel: bool
    namespace: str | None
    kube_context: str | None
    selector: str | None
    container: str | None
    previous: bool
    format: str | None
    with_file: bool
    quiet: bool
    explain: bool
    utc: bool
    no_pager: bool
    fail_on: str

    def __init__(self, **given: Any) -> None:
        self.__dict__.update(given)


GROUPS: dict[str, tuple[str, ...]] = {
    "Which records": (
        "errors", "level", "component", "node", "grep", "invert", "ignore_case", "fixed", "where", "field", "jq",
    ),
    "From when": ("since", "until", "at", "window"),
    "How many": ("head", "tail", "before", "after", "context_lines", "follow"),
    "Summed up": ("count", "top", "new_since", "stats", "by"),
    "From where": (
        "source", "unit", "identifier", "kernel", "namespace", "kube_context", "selector", "container", "previous",
        "context", "config",
    ),
}  # fmt: skip
"""The sections of the help and the flags in them; what is in none stands under "Output"."""


class GroupedHelp(click.Command):
    """A command whose options stand in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections in their order, the rest last."""
        left = {one.name: one for one in self.get_params(ctx) if isinstance(one, click.Option)}
        for title, names in (*GROUPS.items(), ("Output", tuple(left))):
            rows = [left.pop(name).get_help_record(ctx) for name in tuple(names) if name in left]
            with formatter.section(title):
                formatter.write_dl([row for row in rows if row is not None])


def log_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags to the command, which receives them as ``flags: LogFlags``."""

    def call(invocation: Invocation, /, **given: Any) -> Any:
        values = {name: given.pop(name) for name in LogFlags.__annotations__}
        return command(invocation, flags=LogFlags(**values), **given)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    wrapped: Any = call
    for option in reversed((*_which(), *_when(), *_how_many(), *_summed_up(), *_from_where(), *_output())):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


Options = tuple[Any, ...]


def _which() -> Options:
    return (
        click.option("--errors", is_flag=True, help="Level warn and worse, and a verdict: see the exit codes above."),
        click.option(
            "-l", "--level", multiple=True, metavar="LEVEL[+]", shell_complete=_complete_level,
            help="These levels: error, warn+ (and worse), debug,info.",
        ),
        click.option("--component", multiple=True, metavar="NAME", help="These components: consensus,network."),
        click.option("--node", multiple=True, metavar="NAME", help="These nodes."),
        click.option(
            "-e", "--grep", multiple=True, metavar="RE",
            help="Whose text holds this pattern (RE2 syntax). Repeated: all of them.",
        ),
        click.option("-v", "--invert", is_flag=True, help="As in grep: whose text holds none of the patterns."),
        click.option("-i", "--ignore-case", is_flag=True, help="Patterns match in any case."),
        click.option("-F", "--fixed", is_flag=True, help="Patterns are plain text."),
        click.option(
            "--where", metavar="CONDITION",
            help="On fields: = != < <= > >= =~ !~ contains, and, or, not, ( ). See README.",
        ),
        click.option("--field", metavar="PATH", help="That have this field (JSON, logfmt): consensus, a.b."),
        click.option("--jq", metavar="EXPR", help="Print what jq makes of each record (needs meshdiag[jq])."),
    )  # fmt: skip


def _when() -> Options:
    return (
        click.option("--since", metavar="TIME", help="15m, 03:12, 'yesterday 14:00', RFC 3339, epoch. Included."),
        click.option("--until", metavar="TIME", help="The same. Not included."),
        click.option("--at", metavar="TIME", help="Around this moment, --window on both sides."),
        click.option("--window", type=DURATION, metavar="DURATION", help="With --at (default: 5m)."),
    )


def _how_many() -> Options:
    return (
        click.option("--head", type=COUNT, metavar="N", help="The first N."),
        click.option("--tail", type=COUNT, metavar="N", help="The last N; with --follow: before what is new."),
        click.option("-B", "before", type=COUNT, metavar="N", help="Records before each."),
        click.option("-A", "after", type=COUNT, metavar="N", help="Records after each."),
        click.option("-C", "context_lines", type=COUNT, metavar="N", help="Records before and after each."),
        click.option("-f", "--follow", is_flag=True, help="Go on with what is written, through rotation."),
    )


def _summed_up() -> Options:
    return (
        click.option("--count", is_flag=True, help="How many there are."),
        click.option("--top", is_flag=True, help="Recurring patterns: counts, first and last seen, an example."),
        click.option(
            "--new-since", type=DURATION, metavar="DURATION", help="Patterns that the day before had not: what is new?"
        ),
        click.option("--stats", is_flag=True, help="The rate over time, drawn."),
        click.option(
            "--by",
            type=click.Choice(["level", "component", "node"]),
            default="level",
            show_default=True,
            help="With --stats: a course for each of these.",
        ),
    )


def _from_where() -> Options:
    return (
        click.option("--source", type=click.Choice(SOURCES), default="file", show_default=True, help="Who has them."),
        click.option("--unit", multiple=True, metavar="UNIT", help="journal: units."),
        click.option("--identifier", multiple=True, metavar="NAME", help="journal: what programs call themselves."),
        click.option("--kernel", is_flag=True, help="journal: the kernel's messages."),
        click.option("--namespace", metavar="NAME", help="kubernetes: namespace."),
        click.option("--kube-context", metavar="NAME", help="kubernetes: context, where not the one in use."),
        click.option("--selector", metavar="SELECTOR", help="kubernetes, docker: labels; loki: the streams."),
        click.option("--container", metavar="NAME", help="kubernetes: one container of each pod."),
        click.option("--previous", is_flag=True, help="kubernetes: the containers before the restart."),
        click.option(
            "--context", metavar="NAME", shell_complete=complete_context, help="The environment, of the configuration."
        ),
        click.option(
            "--config", type=CONFIG, help="A configuration file to use and trust."
        ),
    )  # fmt: skip


def _output() -> Options:
    return (
        click.option(
            "-o", "--output", "format", type=click.Choice(FORMATS),
            help="Default: table on a terminal, the raw lines elsewhere.",
        ),
        click.option("-H", "--with-file", is_flag=True, help="Raw lines as grep names them: file:line:text."),
        click.option("-q", "--quiet", is_flag=True, help="No lines: with --errors the verdict alone."),
        click.option("--explain", is_flag=True, help="Print the commands that show it again (grep, jq, LogQL)."),
        click.option("--utc", is_flag=True, help="Read and print times in UTC; also those in lines that name no zone."),
        click.option("--no-pager", is_flag=True, help="No pager for long output on a terminal."),
        click.option(
            "--fail-on", type=click.Choice(["warn", "fail"]), default="warn", show_default=True,
            help="The least verdict that makes the exit code non-zero.",
        ),
    )  # fmt: skip


def _complete_level(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the last of a list of levels."""
    before, comma, last = incomplete.rpartition(",")
    words = ("trace", "debug", "info", "warn", "error", "fatal", "warn+", "error+")
    return [f"{before}{comma}{word}" for word in words if word.startswith(last)]
