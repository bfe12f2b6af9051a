"""``meshdiag health``: the daily health check in one look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from meshdiag.commands._options import shared_flags

if TYPE_CHECKING:
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags
    from meshdiag.model import Report

SECTION = "Look at the mesh"

SUBJECTS = ("stack", "nodes", "alerts", "consensus", "peers", "learning", "capacity", "security", "logs")
CHECKS = tuple(f"{subject}.*" for subject in SUBJECTS)
SLOW = (
    "peers.latency",
    "peers.loss",
    "peers.jitter",
    "consensus.slow-leaders",
    "security.auth-rise",
    "security.default-password",
)
"""What takes a look from here at every node, or belongs to one procedure alone."""
RULES_HERE = "what would fire, by the alert rules over the nodes' own pages: meshdiag alerts --direct"


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
    from dataclasses import replace

    from meshdiag.commands._run import Question, look, show

    report, interrupted = look(invocation, flags, Question("health", CHECKS, without=SLOW))
    if _alerts_left_out(report, flags) and invocation.load().context.nodes:
        report = replace(report, notes=(*report.notes, RULES_HERE))
    return show(report, flags, interrupted=interrupted)


def _alerts_left_out(report: Report, flags: Flags) -> bool:
    """Whether what fires could not be asked, and the nodes' pages may be read instead."""
    if flags.direct is False or flags.at:
        return False
    return any(
        one.id.startswith("alerts.") and (one.because == "stack.prometheus" or flags.direct) for one in report.results
    )
