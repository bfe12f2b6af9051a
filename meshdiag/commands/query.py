"""``meshdiag query``: one PromQL expression, as a table, a plot or a verdict."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from meshdiag.commands._completions import complete_metric
from meshdiag.commands._options import DATA_FORMATS, shared_flags
from meshdiag.commands._params import DURATION, RANGE

if TYPE_CHECKING:
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags
    from meshdiag.model import Range
    from meshdiag.views.query import Query

SECTION = "Look at the mesh"


@click.command("query")
@click.argument("promql", required=False, shell_complete=complete_metric)
@click.option("--range", "span", type=DURATION, metavar="DURATION", help="Evaluate over this span, up to now or --at.")
@click.option("--step", type=DURATION, metavar="DURATION", help="The step of --range (default: about 120 points).")
@click.option("--plot", is_flag=True, help="Draw the series of --range in the terminal.")
@click.option("--warn", type=RANGE, metavar="RANGE", help="Warn outside this range: 10, 10:, ~:10, 10:20, @10:20.")
@click.option("--crit", type=RANGE, metavar="RANGE", help="Fail outside this range, written likewise.")
@click.option("--metrics", is_flag=True, help="List metric names instead (PROMQL is then a glob).")
@shared_flags(formats=DATA_FORMATS, checks=False)
@click.pass_obj
def command(
    invocation: Invocation,
    flags: Flags,
    promql: str | None,
    span: timedelta | None,
    step: timedelta | None,
    plot: bool,
    warn: Range | None,
    crit: Range | None,
    metrics: bool,
) -> int:
    """Ask PromQL, and say why when nothing comes back.

    An answer passes, an empty one is unknown; --warn and --crit turn values into a verdict.

    With --direct the nodes' pages are asked, which know the present alone: --range then reads them every --step (or
    every 2 s) from now on and answers when the span is over; Ctrl-C ends it with what there is.

    \b
    Examples:
      meshdiag query 'up{job="agent-mesh"}'
      meshdiag query --direct 'rate(consensus_failed_rounds_total[30s])' --range 1m --step 5s
      meshdiag query 'rate(consensus_failed_rounds_total[5m])' --range 1h --step 30s
      meshdiag query 'mesh_peer_count' --warn 3: --crit 1:
      meshdiag query --metrics 'consensus_*'
    """
    from meshdiag.commands._progress import saying
    from meshdiag.commands._run import Question, answer, look, show
    from meshdiag.engine import View
    from meshdiag.errors import UsageError
    from meshdiag.views.metric_names import MetricNames
    from meshdiag.views.query import Ask, Query

    if metrics:
        names = MetricNames(promql or "*")
        asked = Question("query --metrics", extra=(names.check,), view=View(names.table))
        return answer(invocation, flags, asked)
    if not promql:
        raise UsageError("an expression is missing", hint="meshdiag query 'up'")
    if (plot or step) and span is None:
        raise UsageError("--plot and --step need --range", hint="meshdiag query 'up' --range 1h --step 30s")
    ahead = bool(flags.direct and span)
    if ahead and flags.at:
        raise UsageError(
            "--direct with --range watches the nodes from now on, so it cannot look at another moment (--at)",
            hint="leave --at out, or ask Prometheus: without --direct",
        )
    with saying(flags.quiet or not ahead) as say:
        query = Query(
            Ask(promql, span, step, warn, crit, ahead),
            lambda done, total: say(f"look {done} of {total}; Ctrl-C ends with what there is"),
        )
        question = Question("query", extra=(query.check,), view=View(query.table))
        report, interrupted = look(invocation, _patient(flags, span) if ahead else flags, question)
    if query.refused:
        raise UsageError(query.refused.message, hint=query.refused.hint)
    code = show(report, flags, interrupted=interrupted)
    if plot and flags.format == "table":
        _plot(query)
    return code


def _patient(flags: Flags, span: timedelta | None) -> Flags:
    """The flags with a deadline that begins when the span is over: that long is what the user asked for."""
    return replace(flags, deadline=flags.deadline + (span or timedelta()))


def _plot(query: Query) -> None:
    from meshdiag.metrics import Matrix
    from meshdiag.render.plot import plot
    from meshdiag.render.terminal import make_console

    if isinstance(query.answer, Matrix) and query.answer.series:
        console = make_console(sys.stdout)
        colour, ascii_only = console.color_system is not None, console.options.ascii_only
        click.echo(plot(query.answer.series, query.names, width=console.width, colour=colour, ascii_only=ascii_only))
