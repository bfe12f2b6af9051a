"""``meshdiag peers --matrix`` and ``--graph``: what each node sees of the others, and the mesh drawn."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshdiag.checks.inputs import Wanted
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags
    from meshdiag.commands._run import Question
    from meshdiag.context import Context
    from meshdiag.model import Report

F = TypeVar("F", bound="Callable[..., Any]")

DRAWN = ("dot", "svg", "html")
"""Formats of --graph alone."""
CHECKS = ("links.*",)
GRAPH_CHECKS = ("nodes.up", "peers.count")
FROM_HERE = {"methods": "--method", "interval": "--interval", "watch": "--watch"}
"""Flags of ``peers`` that mean nothing to the exporters."""


@dataclass(frozen=True, slots=True)
class LinkFlags:
    """The flags of ``peers`` about the links between nodes; see their help."""

    matrix: bool
    graph: bool
    module: str | None
    from_: tuple[str, ...]
    to: tuple[str, ...]

    @property
    def given(self) -> tuple[str, ...]:
        """Those that need --matrix, as they were typed."""
        named = {"--module": self.module, "--from": self.from_, "--to": self.to}
        return tuple(flag for flag, value in named.items() if value)


def link_flags(command: F) -> F:
    """Add the flags to a command, which receives them as ``links: LinkFlags``."""

    @functools.wraps(command)
    @click.pass_context
    def call(ctx: click.Context, /, **given: Any) -> Any:
        values = {one.name: given.pop(one.name) for one in fields(LinkFlags)}
        return ctx.invoke(command, links=LinkFlags(**values), **given)

    wrapped: Any = call
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


_OPTIONS = (
    click.option(
        "--matrix",
        is_flag=True,
        help="Let every node look at every other, through the blackbox_exporter beside it: a heat map, partitions, "
        "links that are slow or work one way only. At most 400 probes a second in all, 16 at once by one exporter.",
    ),
    click.option(
        "--graph",
        is_flag=True,
        help="Draw the mesh's topology (-o dot, svg, html) from the connections that the nodes report; with --matrix "
        "from what they see of each other as well.",
    ),
    click.option(
        "--module",
        metavar="NAME",
        help="The exporters' module for --matrix: tcp_connect probes peer addresses, icmp… hosts, http… metrics pages. "
        "[default: the configuration's, tcp_connect]",
    ),
    click.option(
        "--from",
        "from_",
        multiple=True,
        metavar="NODE",
        help="With --matrix: only the views of these nodes (name, instance, role or glob; may be repeated).",
    ),
    click.option("--to", multiple=True, metavar="NODE", help="With --matrix: only what they see of these nodes."),
)


def refuse_link_flags(flags: Flags, links: LinkFlags, *, targets: bool) -> None:
    """Raises ``UsageError`` for flags that do not go together."""
    from meshdiag.errors import UsageError

    if links.given and not links.matrix:
        raise UsageError(f"{links.given[0]} is for --matrix", hint=f"meshdiag peers --matrix {links.given[0]} …")
    if flags.format in DRAWN and not links.graph:
        raise UsageError(f"-o {flags.format} draws the topology", hint=f"meshdiag peers --graph -o {flags.format}")
    if not (links.matrix or links.graph):
        return
    if targets:
        raise UsageError(
            "--matrix and --graph look at the links between the mesh's own nodes, so they take no TARGET",
            hint="--from and --to choose among the nodes",
        )
    for name, flag in FROM_HERE.items():
        if _typed(click.get_current_context(), name):
            raise UsageError(f"{flag} is for probing from here, which --matrix and --graph do not")
    if flags.at and links.matrix:
        raise UsageError("a probe shows the present, so --matrix goes without --at")


def look_at_links(invocation: Invocation, flags: Flags, links: LinkFlags) -> int:
    """Ask, print, and return the exit code."""
    from meshdiag.commands._run import look, show
    from meshdiag.engine import View
    from meshdiag.views.matrix import NEEDS, MatrixView
    from meshdiag.views.topology import TopologyView

    if links.matrix:
        _need_exporters(invocation.load().context)
    context = click.get_current_context()
    count = context.params.get("count") if _typed(context, "count") else None
    if not _typed(context, "deadline"):
        flags = replace(flags, deadline=flags.deadline + _patience(count))
    view = TopologyView(probed=links.matrix) if links.graph else MatrixView()
    needs = NEEDS if links.matrix else ("metrics",)
    question = _question(links, View(view.table, needs), lambda context: _adjusted(context, links.module, count))
    report, interrupted = look(invocation, flags, question)
    report = replace(report, notes=(*report.notes, *view.notes))
    if isinstance(view, TopologyView) and flags.format in DRAWN:
        return _draw(report, view, flags.format, flags.fail_on)
    return show(report, flags, interrupted=interrupted)


def _need_exporters(context: Context) -> None:
    from meshdiag.errors import UsageError

    if context.blackbox is None:
        raise UsageError(
            f"context {context.name} has no blackbox_exporters (blackbox = false), which --matrix asks",
            hint="say where they are (blackbox in the context); meshdiag peers shows the links from here",
        )


def _question(links: LinkFlags, view: Any, adjust: Callable[[Context], Context]) -> Question:
    from meshdiag.commands._run import Question

    checks = (*(GRAPH_CHECKS if links.graph else ()), *(CHECKS if links.matrix else ()))
    words = " ".join(word for word, given in (("--matrix", links.matrix), ("--graph", links.graph)) if given)
    return Question(f"peers {words}", checks, view=view, wanted=_narrowed(links), adjust=adjust)


def _typed(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _patience(count: int | None) -> timedelta:
    """How long the probes of the largest sample take: that long is no fault."""
    from meshdiag.checks.readings.links import SAMPLED
    from meshdiag.context import Blackbox as Settings
    from meshdiag.sources.blackbox import PER_SECOND

    return timedelta(seconds=SAMPLED * (count or Settings().count) / PER_SECOND)


def _adjusted(context: Context, module: str | None, count: int | None) -> Context:
    """The context with what the flags say of the exporters."""
    if context.blackbox is None:
        return context
    given = {"module": module, "count": count}
    return replace(context, blackbox=replace(context.blackbox, **{key: one for key, one in given.items() if one}))  # type: ignore[arg-type]


def _narrowed(links: LinkFlags) -> Wanted:
    """Which directions are meant."""
    from meshdiag.checks.inputs import everything

    if not links.from_ and not links.to:
        return everything

    def wanted(labels: Mapping[str, str]) -> bool:
        return _fits(labels, "from", links.from_) and _fits(labels, "to", links.to)

    return wanted


def _fits(labels: Mapping[str, str], end: str, patterns: tuple[str, ...]) -> bool:
    names = [labels.get(key, "") for key in (end, f"{end}_role", f"{end}_instance")]
    return not patterns or any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _draw(report: Report, view: Any, fmt: str, fail_on: str) -> int:
    """Print the drawing; the verdict is the exit code. What was found goes to stderr, for the drawing stands alone."""
    from meshdiag.model import ExitCode, Verdict
    from meshdiag.render.graph import draw
    from meshdiag.render.ranking import BAD
    from meshdiag.render.safe import encodable, one_line

    graph = view.graph(report)
    sys.stdout.write(encodable(draw(graph, fmt), sys.stdout.encoding or "utf-8"))
    bad = [f"{one.verdict.upper()} {one.id}: {one.summary}" for one in report.results if one.verdict in BAD]
    for said in (*bad, *report.notes):
        click.echo(f"meshdiag: {one_line(said)}", err=True)
    return ExitCode.of(report.verdict, Verdict(fail_on))
