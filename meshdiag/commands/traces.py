"""``meshdiag traces``: where the time of slow requests went."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from meshdiag.commands._options import DATA_FORMATS, shared_flags
from meshdiag.commands._params import DURATION

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from meshdiag.checks.readings.spans import Work
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags
    from meshdiag.sources.traces.trace import Trace
    from meshdiag.views.traces import Comparison, Services, Wanted

SECTION = "Look at the mesh"
MOST = 1000


@click.command("traces", short_help="Slow requests, span by span: where their time went.")
@click.argument("trace_id", required=False, metavar="[TRACE]")
@click.option("--service", metavar="NAME", help="Search the traces of this service; without, services are listed.")
@click.option("--operation", metavar="NAME", help="Only traces with this operation of the service.")
@click.option("--slow", type=DURATION, metavar="DURATION", help="Only traces with a span that took so long: 500ms.")
@click.option("--error", is_flag=True, help="Only traces in which something failed.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Only traces with this tag (may be repeated).")
@click.option("--limit", type=click.IntRange(1, MOST), default=20, show_default=True, help="How many traces at most.")
@click.option(
    "--compare", nargs=2, metavar="OPERATION OPERATION", help="Two operations side by side, service by service."
)
@shared_flags(formats=DATA_FORMATS, checks=False)
@click.pass_obj
def command(
    invocation: Invocation,
    flags: Flags,
    trace_id: str | None,
    service: str | None,
    operation: str | None,
    slow: timedelta | None,
    error: bool,
    tags: tuple[str, ...],
    limit: int,
    compare: tuple[str, str] | None,
) -> int:
    """Ask Jaeger (or Tempo, where the context has one) for traces.

    Without anything it lists services and operations; with --service the traces of a service, the slowest first,
    and that one as a waterfall; with the id of a trace that one alone. The critical path is what the end of the
    request waited for: making anything else faster would change nothing.

    \b
    Examples:
      meshdiag traces
      meshdiag traces --service trainer --slow 500ms --since 1h
      meshdiag traces --service trainer --error --tag http.status_code=500
      meshdiag traces 6ed0a4a673cf256d
      meshdiag traces --service gateway --compare 'POST /v1/tasks' 'GET /v1/tasks'
    """
    from meshdiag.views.traces import Comparison, Services

    wanted = _wanted(service, operation, slow, error, tags, limit)
    if trace_id:
        if wanted or compare:
            raise click.UsageError("the id of a trace says which one is meant; leave --service and the others out")
        return _one(invocation, flags, trace_id)
    if wanted is None:
        if compare or operation or slow or error or tags:
            raise click.UsageError("--service is missing: 'meshdiag traces' lists the services")
        return _show(invocation, flags, Services())
    if compare:
        return _show(invocation, flags, Comparison(wanted, compare))
    return _search(invocation, flags, wanted)


def _wanted(
    service: str | None,
    operation: str | None,
    slow: timedelta | None,
    error: bool,
    tags: tuple[str, ...],
    limit: int,
) -> Wanted | None:
    """The search that the flags name; None without a service."""
    if not service:
        return None
    from meshdiag.views.traces import Wanted

    pairs = dict(_pair(tag) for tag in tags)
    return Wanted(service, operation or "", slow.total_seconds() if slow else None, pairs, error, limit)


def _pair(tag: str) -> tuple[str, str]:
    key, equals, value = tag.partition("=")
    if not key or not equals:
        raise click.BadParameter(f"{tag!r} is not KEY=VALUE", param_hint="'--tag'")
    return key, value


def _show(invocation: Invocation, flags: Flags, question: Services | Comparison) -> int:
    from meshdiag.commands._run import Question, answer
    from meshdiag.engine import View

    view = View(question.table, question.check.needs)
    return answer(invocation, flags, Question("traces", extra=(question.check,), view=view))


def _search(invocation: Invocation, flags: Flags, wanted: Wanted) -> int:
    from meshdiag.checks.readings.spans import work_of
    from meshdiag.commands._run import Question, look, show
    from meshdiag.engine import View
    from meshdiag.views.traces import Traces

    traces = Traces(wanted)
    view = View(traces.table, traces.check.needs)
    report, interrupted = look(invocation, flags, Question("traces", extra=(traces.check,), view=view))
    code = show(report, flags, interrupted=interrupted)
    if traces.slowest and flags.format == "table" and not flags.quiet:
        click.echo(f"\nThe slowest, {traces.slowest.id}:\n")
        _draw(traces.slowest, work_of(traces.slowest))
    return code


def _one(invocation: Invocation, flags: Flags, trace_id: str) -> int:
    from meshdiag.commands._run import Question, look, show
    from meshdiag.engine import View
    from meshdiag.sources.traces.trace import is_trace_id
    from meshdiag.views.traces import OneTrace

    if not is_trace_id(trace_id):
        raise click.UsageError(f"{trace_id!r} is not the id of a trace: up to 32 hexadecimal digits")
    one = OneTrace(trace_id.lower())
    drawn = flags.format == "table"
    view = None if drawn else View(one.table, one.check.needs)
    report, interrupted = look(invocation, flags, Question("traces", extra=(one.check,), view=view))
    code = show(report, flags, interrupted=interrupted)
    if one.found and drawn and not flags.quiet:
        click.echo()
        _draw(one.found, one.work)
    return code


def _draw(trace: Trace, work: Sequence[Work]) -> None:
    from meshdiag.render.terminal import make_console
    from meshdiag.render.waterfall import waterfall

    console = make_console(sys.stdout)
    colour, ascii_only = console.color_system is not None, console.options.ascii_only
    click.echo(waterfall(trace, work, width=console.width, colour=colour, ascii_only=ascii_only), nl=False)
