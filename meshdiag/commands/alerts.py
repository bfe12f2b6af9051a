"""``meshdiag alerts``: what fires, what is about to, and who has silenced what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from meshdiag.commands._options import DATA_FORMATS, complete_matcher, shared_flags

if TYPE_CHECKING:
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags

SECTION = "Look at the mesh"


@click.command("alerts", short_help="What fires, what is pending, what is muted by whom.")
@click.argument("matchers", nargs=-1, metavar="[LABEL=VALUE]...", shell_complete=complete_matcher)
@shared_flags(formats=DATA_FORMATS)
@click.pass_obj
def command(invocation: Invocation, flags: Flags, matchers: tuple[str, ...]) -> int:
    """Every alert in one table: pending and firing in Prometheus, silenced or inhibited in Alertmanager.

    LABEL=VALUE narrows the table and the verdict; LABEL!=VALUE, LABEL=~RE and LABEL!~RE work too.

    \b
    Examples:
      meshdiag alerts
      meshdiag alerts severity=critical
      meshdiag alerts 'instance=~10\\.0\\..*' -o json
    """
    from meshdiag.commands._run import Question, answer
    from meshdiag.engine import View
    from meshdiag.views.alerts import alerts_view, parse_matchers

    view = View(alerts_view, needs=("prometheus|alertmanager",))
    question = Question("alerts", ("alerts.*",), view=view, wanted=parse_matchers(matchers))
    return answer(invocation, flags, question)
