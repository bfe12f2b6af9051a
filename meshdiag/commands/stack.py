"""``meshdiag stack``: who watches the watchers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from meshdiag.commands._options import shared_flags

if TYPE_CHECKING:
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags

SECTION = "Look at the mesh"
SERVERS = ("stack.*", "prometheus.*", "alertmanager.*", "exporters.*", "grafana.*", "loki.*", "jaeger.*")
CHECKS = (*SERVERS, "alerts.watchdog", "alerts.blind-rules")


@click.command("stack", short_help="Is the monitoring itself well: all other verdicts rest on it.")
@click.option(
    "--send-test-alert", is_flag=True, help="Send an alert that is labelled as a test, and follow it to its receivers."
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="A label of the test alert, so that it takes the way of another (may be repeated).",
)
@shared_flags()
@click.pass_obj
def command(invocation: Invocation, flags: Flags, send_test_alert: bool, labels: tuple[str, ...]) -> int:
    """Is the monitoring itself well: Prometheus, Alertmanager, the exporters, the way of an alert to a person; and
    Grafana, Loki and Jaeger where the context names them or they listen at their usual places.

    Every other verdict rests on it. Counters of events are told for the window (--since) where Prometheus scrapes
    the server in question, else since that server's start.

    \b
    Examples:
      meshdiag stack
      meshdiag stack -v --explain
      meshdiag stack --only 'prometheus.*' -o json
      meshdiag stack --send-test-alert --label severity=critical
    """
    from meshdiag.commands._run import Question, answer

    if labels and not send_test_alert:
        raise click.UsageError("--label is of the test alert: --send-test-alert is missing")
    if not send_test_alert:
        return answer(invocation, flags, Question("stack", CHECKS))
    from meshdiag.views.sample_alert import SampleAlert

    sample = SampleAlert(dict(map(_label, labels)))
    return answer(
        invocation, flags, Question("stack --send-test-alert", ("stack.alertmanager",), extra=(sample.check,))
    )


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="'--label'")
    return name, value
