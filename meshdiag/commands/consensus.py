"""``meshdiag consensus``: the consensus overview, and the slow-consensus procedure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from meshdiag.commands._options import DATA_FORMATS, shared_flags

if TYPE_CHECKING:
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags

SECTION = "Look at the mesh"

OVERVIEW = ("consensus.*", "nodes.up", "peers.count")
SLOW = ("consensus.*", "nodes.up", "nodes.clock", "capacity.*", "peers.*", "logs.*", "traces.*")
SLOW_WITHOUT = ("peers.jitter",)
"""What a few connects cannot tell."""


@click.command("consensus", short_help="Do the nodes agree, and fast enough; --slow finds out why not.")
@click.option("--slow", is_flag=True, help="Find out why rounds are slow: leaders, links, load, logs.")
@shared_flags(formats=DATA_FORMATS)
@click.pass_obj
def command(invocation: Invocation, flags: Flags, slow: bool) -> int:
    """Does the mesh agree, and fast enough: rounds, votes, leaders, Byzantine nodes.

    \b
    Examples:
      meshdiag consensus
      meshdiag consensus --slow --since 6h
      meshdiag consensus --slow --explain
    """
    from meshdiag.commands._run import Question, answer
    from meshdiag.engine import View
    from meshdiag.views.consensus import consensus_view, slow_view

    if slow:
        view = View(slow_view, needs=("metrics", "probe"))
        return answer(invocation, flags, Question("consensus --slow", SLOW, without=SLOW_WITHOUT, view=view))
    question = Question("consensus", OVERVIEW, without=("consensus.slow-leaders",), view=View(consensus_view))
    return answer(invocation, flags, question)
