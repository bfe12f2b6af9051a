"""``meshdiag health``: the daily health check in one look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from meshdiag.commands._options import shared_flags

if TYPE_CHECKING:
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags

SECTION = "Look at the mesh"

CHECKS = ("*",)
SLOW = ("peers.latency", "consensus.slow-leaders")
"""What takes a look from here at every node or belongs to one procedure; ``consensus --slow`` asks it."""


@click.command("health", short_help="Is the mesh healthy: nodes, alerts, performance, capacity.")
@shared_flags()
@click.pass_obj
def command(invocation: Invocation, flags: Flags) -> int:
    """Is the mesh healthy: nodes, alerts, key performance, capacity.

    Asks Prometheus and Alertmanager; when Prometheus does not answer, says so and reads the nodes directly.

    \b
    Examples:
      meshdiag health
      meshdiag health -v --explain
      meshdiag health --only 'consensus.*' -o json | jq .verdict
      meshdiag health -o short              # one line, for a pager or Nagios
    """
    from meshdiag.commands._run import Question, answer

    return answer(invocation, flags, Question("health", CHECKS, without=SLOW))
