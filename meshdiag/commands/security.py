"""``meshdiag security``: failed authentications, attacks, encryption, certificates, the documented password."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from meshdiag.commands._options import DATA_FORMATS, shared_flags

if TYPE_CHECKING:
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags

SECTION = "Look at the mesh"

CHECKS = ("security.*", "certs.*")


@click.command("security", short_help="Failed logins, attacks, encryption, certificates, the default password.")
@click.option(
    "--try-default-password",
    "try_password",
    is_flag=True,
    help="Try the documented login (admin/admin123) at Grafana: once, with one request, following no redirect. "
    "Without it nothing is tried.",
)
@shared_flags(formats=DATA_FORMATS, since="1h")
@click.pass_obj
def command(invocation: Invocation, flags: Flags, try_password: bool) -> int:
    """The security procedure in one table: authentications that fail, now and the day before, attacks detected, what
    encryption costs, how long each node's certificate lasts, by its metric and on the wire.

    \b
    Examples:
      meshdiag security
      meshdiag security --since 6h -v
      meshdiag security --try-default-password
      meshdiag security -o openmetrics > /var/lib/node_exporter/mesh_security.prom
    """
    from dataclasses import replace

    from meshdiag.commands._run import Question, look, show
    from meshdiag.engine import View
    from meshdiag.views.security import security_view, with_verdicts

    question = Question(
        "security", CHECKS, view=View(security_view), on_request=("grafana_login",) if try_password else ()
    )
    report, interrupted = look(invocation, flags, question)
    if report.data is not None:
        report = replace(report, data=with_verdicts(report.data, report.results))
    return show(report, flags, interrupted=interrupted)
