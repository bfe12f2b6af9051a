"""``meshdiag nodes``: one row per node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from meshdiag.commands._options import DATA_FORMATS, shared_flags

if TYPE_CHECKING:
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags

SECTION = "Look at the mesh"


@click.command("nodes", short_help="One row per node: up, load, peers, rounds, restarts.")
@shared_flags(formats=DATA_FORMATS)
@click.pass_obj
def command(invocation: Invocation, flags: Flags) -> int:
    """Every node in a row: role, up, scrape age, CPU, memory, peers, round duration, last restart.

    \b
    Examples:
      meshdiag nodes
      meshdiag nodes --direct               # from the nodes' own pages
      meshdiag nodes -o csv > nodes.csv
    """
    from meshdiag.commands._run import Question, answer
    from meshdiag.engine import View
    from meshdiag.views.nodes import nodes_view

    return answer(invocation, flags, Question("nodes", ("nodes.*",), view=View(nodes_view)))
