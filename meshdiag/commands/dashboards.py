"""``meshdiag dashboards``: why a dashboard does not load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from meshdiag.commands._options import DATA_FORMATS, shared_flags

if TYPE_CHECKING:
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags

SECTION = "Look at the mesh"
CHECKS = ("grafana.*",)


@click.command("dashboards", short_help="Why a dashboard does not load: Grafana, its datasources, their backends.")
@click.argument("action", required=False, type=click.Choice(["list", "open"]), metavar="[list|open]")
@click.argument("uid", required=False, metavar="[UID]")
@shared_flags(formats=DATA_FORMATS)
@click.pass_obj
def command(invocation: Invocation, flags: Flags, action: str | None, uid: str | None) -> int:
    """Is it Grafana, a datasource, or the backend behind it.

    Each datasource is tried as its type allows: by Grafana's own test, else by a real query through Grafana; where
    that fails the backend is asked from here, so that "Grafana cannot reach it" and "it is down" are different
    answers. 'list' lists the dashboards, 'open UID' prints the address of one.

    \b
    Examples:
      meshdiag dashboards
      meshdiag dashboards list
      xdg-open "$(meshdiag dashboards open mesh-overview)"
    """
    from meshdiag.commands._run import Question, answer
    from meshdiag.engine import View
    from meshdiag.views.dashboards import dashboards_view, datasources_view

    if (action == "open") != (uid is not None):
        raise click.UsageError("'open' takes the uid of a dashboard, and nothing else does")
    if uid is not None:
        return _address(invocation, uid)
    if action == "list":
        view = View(dashboards_view, needs=("grafana",))
        return answer(invocation, flags, Question("dashboards list", ("grafana.health",), view=view))
    view = View(datasources_view, needs=("grafana",))
    return answer(invocation, flags, Question("dashboards", CHECKS, view=view))


def _address(invocation: Invocation, uid: str) -> int:
    """Print where a dashboard is. Grafana leads from the uid to its title."""
    from urllib.parse import quote

    from meshdiag.errors import UsageError

    context = invocation.load().context
    if context.grafana is None:
        raise UsageError(f"context {context.name} has no Grafana", hint="set grafana.url in the configuration")
    click.echo(f"{context.grafana.url.rstrip('/')}/d/{quote(uid, safe='')}")
    return 0
