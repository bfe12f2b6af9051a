"""The flags that commands share, and the object in which a command receives them."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

import click

from meshdiag.commands._completions import complete_check, complete_context
from meshdiag.commands._params import CONFIG, DURATION, GAP, MOMENT, MOMENT_AHEAD

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from meshdiag.commands._invocation import Invocation

F = TypeVar("F", bound="Callable[..., Any]")

REPORT_FORMATS = ("table", "json", "junit", "short", "openmetrics")
DATA_FORMATS = ("table", "json", "csv", "junit", "short", "openmetrics")
URL_FLAGS = ("prometheus", "alertmanager")


@dataclass(frozen=True, slots=True)
class Flags:
    """The shared flags of one call; see their help for what they mean. ``direct`` is True for --direct, False for
    --no-direct, None when neither was given. Times are aware (UTC), durations are ``timedelta``."""

    format: str
    explain: bool
    utc: bool
    verbose: int
    quiet: bool
    fail_on: str
    deadline: timedelta
    timeout: timedelta | None
    direct: bool | None
    gap: timedelta
    since: timedelta
    at: datetime | None
    only: tuple[str, ...]
    skip: tuple[str, ...]


def shared_flags(
    *, formats: tuple[str, ...] = REPORT_FORMATS, checks: bool = True, since: str = "1h", future: bool = False
) -> Callable[[F], F]:
    """Add the shared flags to a command, which receives them as ``flags: Flags``.

    ``checks``: whether it runs checks that ``--only`` and ``--skip`` may narrow. ``since``: the default window.
    ``future``: whether ``--at`` may lie ahead.
    """

    def decorate(command: F) -> F:
        @functools.wraps(command)
        @click.pass_context
        def call(ctx: click.Context, /, **given: Any) -> Any:
            _note_where(ctx.obj, given)
            values = {one.name: given.pop(one.name, ()) for one in fields(Flags)}
            return ctx.invoke(command, flags=Flags(**values), **given)

        wrapped: Any = call
        options = [
            *_look_options(since, MOMENT_AHEAD if future else MOMENT),
            *_answer_options(formats),
            *_where_options(),
        ]
        if checks:
            options = [*_check_options(), *options]
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped  # type: ignore[no-any-return]

    return decorate


def _note_where(invocation: Invocation, given: dict[str, Any]) -> None:
    """Flags that say which mesh is meant work before and after the command's name."""
    invocation.context = given.pop("context", None) or invocation.context
    invocation.config_file = given.pop("config", None) or invocation.config_file
    for name in URL_FLAGS:
        if url := given.pop(f"{name}_url", None):
            invocation.overrides[name] = url


def _look_options(since: str, moment: click.ParamType[datetime]) -> list[Callable[[Any], Any]]:
    return [
        click.option(
            "--direct/--no-direct",
            default=None,
            help="Read the nodes' own /metrics pages, not Prometheus; or never do. "
            "By default they are read when Prometheus fails.",
        ),
        click.option(
            "--gap",
            type=GAP,
            default="2s",
            show_default=True,
            metavar="DURATION",
            help="Between the two looks at a node's page that rates come from, with --direct; 0: one look, no rates.",
        ),
        click.option(
            "--since",
            type=DURATION,
            default=since,
            show_default=True,
            metavar="DURATION",
            help="How far back to look, where history is meant.",
        ),
        click.option(
            "--at",
            type=moment,
            metavar="TIME",
            help="Look at this moment, not now (RFC 3339, epoch, 03:12, 'yesterday 14:00').",
        ),
        click.option(
            "--deadline",
            type=DURATION,
            default="20s",
            show_default=True,
            metavar="DURATION",
            help="Print what there is after this long, whatever still hangs.",
        ),
        click.option(
            "--timeout",
            type=DURATION,
            metavar="DURATION",
            help="How long one request may take (default: the configuration's, 5s).",
        ),
    ]


def _check_options() -> list[Callable[[Any], Any]]:
    return [
        click.option(
            "--only",
            multiple=True,
            metavar="CHECK",
            shell_complete=complete_check,
            help="Only these checks (id or glob; may be repeated).",
        ),
        click.option(
            "--skip",
            multiple=True,
            metavar="CHECK",
            shell_complete=complete_check,
            help="All but these checks (id or glob; may be repeated).",
        ),
    ]


def _answer_options(formats: tuple[str, ...]) -> list[Callable[[Any], Any]]:
    return [
        click.option(
            "-o",
            "--output",
            "format",
            type=click.Choice(formats),
            default="table",
            show_default=True,
            help="How to print the answer.",
        ),
        click.option(
            "--fail-on",
            type=click.Choice(["warn", "fail"]),
            default="warn",
            show_default=True,
            help="The least verdict that makes the exit code non-zero.",
        ),
        click.option("--explain", is_flag=True, help="Print the commands that show each finding again."),
        click.option("--utc", is_flag=True, help="Print times in UTC instead of local time."),
        click.option("-v", "--verbose", count=True, help="Show what passed too; twice: every finding."),
        click.option("-q", "--quiet", is_flag=True, help="Print the headline alone."),
    ]


def _where_options() -> list[Callable[[Any], Any]]:
    urls = [
        click.option(f"--{name}-url", metavar="URL", help=f"Ask the {name.capitalize()} at this address.")
        for name in URL_FLAGS
    ]
    return [
        click.option(
            "--context",
            metavar="NAME",
            shell_complete=complete_context,
            help="The environment to look at, of those in the configuration.",
        ),
        click.option("--config", type=CONFIG, help="A configuration file to use and trust."),
        *urls,
    ]
