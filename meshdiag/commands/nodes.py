"""``meshdiag nodes``: one row per node."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from meshdiag.commands._options import DATA_FORMATS, shared_flags

if TYPE_CHECKING:
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags

SECTION = "Look at the mesh"


@click.command("nodes", short_help="One row per node: up, load, peers, rounds, restarts.")
@click.option(
    "--witness", is_flag=True, help="Hold what Prometheus says of each node against the node's own page instead."
)
@shared_flags(formats=DATA_FORMATS)
@click.pass_obj
def command(invocation: Invocation, flags: Flags, witness: bool) -> int:
    """Every node in a row: role, up, scrape age, CPU, memory, peers, round duration, last restart.

    With --witness: whether Prometheus and the node's page agree. It reads the pages, waits for Prometheus's next
    scrape where that is not far off, and compares: a contradiction is a fault of the scrape path, not of the mesh.

    \b
    Examples:
      meshdiag nodes
      meshdiag nodes --direct               # from the nodes' own pages
      meshdiag nodes --witness              # is what Prometheus says true?
      meshdiag nodes -o csv > nodes.csv
    """
    from meshdiag.commands._run import Question, answer
    from meshdiag.engine import View
    from meshdiag.views.nodes import nodes_view

    if witness:
        return _compare(invocation, flags)
    return answer(invocation, flags, Question("nodes", ("nodes.*",), view=View(nodes_view)))


def _compare(invocation: Invocation, flags: Flags) -> int:
    from meshdiag.commands._progress import saying
    from meshdiag.commands._run import Question, look, show
    from meshdiag.engine import View
    from meshdiag.errors import UsageError
    from meshdiag.views.witness import LONGEST_S, Witness

    if flags.direct is not None:
        spoilt = "Prometheus" if flags.direct else "the nodes' pages"
        raise UsageError(f"--witness compares two witnesses, and without {spoilt} there is one; leave the flag out")
    if flags.at:
        raise UsageError("--witness cannot look at another moment (--at): the nodes' pages tell the present alone")
    with saying(flags.quiet) as say:
        witness = Witness(say)
        question = Question("nodes --witness", extra=(witness.check,), view=View(witness.table, witness.check.needs))
        patient = replace(flags, deadline=flags.deadline + timedelta(seconds=LONGEST_S))  # the wait is not work
        report, interrupted = look(invocation, patient, question)
    return show(report, flags, interrupted=interrupted)
