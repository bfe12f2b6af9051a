"""``meshdiag memory``: who runs out of memory, who leaks, whom the kernel killed."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from meshdiag.commands._options import DATA_FORMATS, shared_flags
from meshdiag.commands._params import DURATION

if TYPE_CHECKING:
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags
    from meshdiag.context import Context

SECTION = "Look at the mesh"
FLEET = ("capacity.memory", "memory.*", "nodes.restarted")
MACHINE = ("memory.*",)
CONTAINER = "memory.container"
PRICE = (
    "valgrind cannot look into a process that runs: it has to start it. Under it a process is 20 to 50 times slower\n"
    "and takes twice the memory, so rounds time out: never on a node in service. Run a node of its own, off the mesh:\n"
)


@click.command("memory", short_help="Who runs out of memory, who leaks, whom the kernel killed.")
@click.option("--here", is_flag=True, help="The processes of this machine instead of the nodes.")
@click.option("--process", "chosen", metavar="NAME|PID", help="With --here: this process too, whatever it holds.")
@click.option("--watch", type=DURATION, metavar="DURATION", help="With --here: look for so long, to see who grows.")
@click.option("--valgrind", is_flag=True, help="Print the command that finds a leak for certain, and what it costs.")
@shared_flags(formats=DATA_FORMATS, since="6h")
@click.pass_obj
def command(
    invocation: Invocation, flags: Flags, here: bool, chosen: str | None, watch: timedelta | None, valgrind: bool
) -> int:
    """Memory of every node: how full, whether it leaks, when it will be full; and of this machine.

    Growth is told with its 95 % bounds, apart from a cache that fills (levels off) and from garbage collection
    (a saw-tooth). --here looks at this machine's processes; with --watch for long enough to see who grows.

    \b
    Examples:
      meshdiag memory --since 24h
      meshdiag memory --here --watch 30s
      meshdiag memory --here --process agent-mesh --watch 10m
      meshdiag memory --valgrind
    """
    from meshdiag.commands._run import Question, answer
    from meshdiag.engine import View
    from meshdiag.views.memory import fleet_view

    if valgrind:
        click.echo(f"{PRICE}\n  {_valgrind(chosen)}\n\nCheaper: 'meshdiag memory --here --watch 10m' tells who grows.")
        return 0
    if here or chosen or watch:
        return _here(invocation, flags, chosen or "", watch or timedelta())
    return answer(invocation, flags, Question("memory", FLEET, view=View(fleet_view)))


def _here(invocation: Invocation, flags: Flags, chosen: str, watch: timedelta) -> int:
    from meshdiag.commands._progress import saying
    from meshdiag.commands._run import Question, look, show
    from meshdiag.engine import View
    from meshdiag.views.memory import Here

    with saying(flags.quiet or not watch) as say:
        here = Here(chosen, watch.total_seconds(), lambda done, of: say(f"look {done} of {of}"))
        view = View(here.table, ("host",))
        without = ("memory.leak", "memory.fleet-kills")
        question = Question(
            "memory --here", MACHINE, without, (here.check,), view, adjust=lambda context: _about(context, chosen)
        )
        patient = replace(flags, deadline=flags.deadline + watch)  # so long was asked for
        report, interrupted = look(invocation, patient, question)
    return show(report, flags, interrupted=interrupted)


def _about(context: Context, chosen: str) -> Context:
    """The context in which the limit that counts is that of the process which was named."""
    from meshdiag.context import CheckSettings

    if not chosen:
        return context
    settings = context.checks.get(CONTAINER, CheckSettings())
    about = replace(settings, options={**settings.options, "process": chosen})
    return replace(context, checks={**context.checks, CONTAINER: about})


def _valgrind(chosen: str | None) -> str:
    """The command, for the command line of a running process where one is named."""
    line = "NODE-COMMAND"
    if chosen:
        from meshdiag.sources.host.processes import read_processes

        named = [one for one in read_processes(1, chosen) if one.chosen]
        line = named[0].command if named else shlex.quote(chosen)
    return f"valgrind --tool=memcheck --leak-check=full --log-file=valgrind.%p.log {line}"
