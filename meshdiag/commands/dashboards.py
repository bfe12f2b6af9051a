"""``meshdiag dashboards``: why a dashboard does not load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from meshdiag.commands._options import DATA_FORMATS, shared_flags

if TYPE_CHECKING:
    from meshdiag.checks import Check
    from meshdiag.checks.readings.dashboards.boards import Targets
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags

SECTION = "Look at the mesh"
CHECKS = ("grafana.*",)
BOARD_CHECKS = ("dashboards.*",)


@click.command("dashboards", short_help="Why a dashboard does not load: Grafana, its datasources, their backends.")
@click.argument("action", required=False, type=click.Choice(["list", "open", "check"]), metavar="[list|open|check]")
@click.argument("named", nargs=-1, metavar="[UID|FILE|FOLDER]...")
@shared_flags(formats=DATA_FORMATS)
@click.pass_obj
def command(invocation: Invocation, flags: Flags, action: str | None, named: tuple[str, ...]) -> int:
    """Is it Grafana, a datasource, or the backend behind it.

    Each datasource is tried as its type allows: by Grafana's own test, else by a real query through Grafana; where
    that fails the backend is asked from here, so that "Grafana cannot reach it" and "it is down" are different
    answers. 'list' lists the dashboards, 'open UID' prints the address of one.

    'check' puts the variables into every panel's query, as Grafana would for the window (--since), and asks it of
    the context's Prometheus for one moment: which fail, which give no data and why, which are slow; which panels name
    a datasource that does not exist, or are of a type that Grafana gives up. Dashboards are named by uid, or as JSON
    files or folders of them, which need no Grafana; by default all of Grafana's are checked.

    \b
    Examples:
      meshdiag dashboards
      meshdiag dashboards list
      xdg-open "$(meshdiag dashboards open mesh-overview)"
      meshdiag dashboards check mesh-overview
      meshdiag dashboards check provisioning/dashboards/ -o json
    """
    from meshdiag.commands._run import Question, answer
    from meshdiag.engine import View
    from meshdiag.views.dashboards import dashboards_view, datasources_view

    if named and action not in ("open", "check"):
        raise click.UsageError("'open' and 'check' take dashboards, and nothing else does")
    if action == "open":
        if len(named) != 1:
            raise click.UsageError("'open' takes the uid of a dashboard")
        return _address(invocation, named[0])
    if action == "check":
        return _check(invocation, flags, named)
    if action == "list":
        view = View(dashboards_view, needs=("grafana",))
        return answer(invocation, flags, Question("dashboards list", ("grafana.health",), view=view))
    view = View(datasources_view, needs=("grafana",))
    return answer(invocation, flags, Question("dashboards", CHECKS, view=view))


def _check(invocation: Invocation, flags: Flags, named: tuple[str, ...]) -> int:
    """Ask the queries of the dashboards that were named."""
    from dataclasses import replace

    from meshdiag.checks import select
    from meshdiag.commands._run import Question, look, show
    from meshdiag.engine import View
    from meshdiag.views.dashboards import QueriesView

    targets = _targets(named)
    needs = ("metrics", "grafana") if targets.needs_grafana else ("metrics",)
    chosen = select(BOARD_CHECKS, flags.only, flags.skip)
    told = tuple(_told(one, targets, needs) if one.subject == "dashboards" else one for one in chosen)
    view = View(QueriesView(targets, whole=bool(flags.verbose) or flags.format != "table").draw, needs=needs)
    question = Question("dashboards check", extra=told, view=view)
    report, interrupted = look(invocation, replace(flags, only=(), skip=()), question)
    return show(report, flags, interrupted=interrupted)


def _targets(named: tuple[str, ...]) -> Targets:
    """What was named: a file or folder where there is one, or where it is written like one; else a uid. Raises
    ``UsageError`` for files that are not there."""
    from pathlib import Path

    from meshdiag.checks.readings.dashboards.boards import Targets
    from meshdiag.checks.readings.dashboards.panels import Board, read_board
    from meshdiag.sources.grafana.files import read_boards

    paths = [one for one in named if Path(one).exists() or "/" in one or one.endswith(".json")]
    found = [board for path in paths for board in read_boards(Path(path))]
    boards = (
        Board(one.place, trouble=one.trouble) if one.body is None else read_board(one.body, one.place) for one in found
    )
    return Targets(tuple(one for one in named if one not in paths), tuple(boards))


def _told(check: Check, targets: Targets, needs: tuple[str, ...]) -> Check:
    """A check of dashboards that looks at those that are meant."""
    from dataclasses import replace
    from functools import partial

    run: Any = check.run  # each takes them, beside the inputs
    return replace(check, run=partial(run, targets=targets), needs=needs)


def _address(invocation: Invocation, uid: str) -> int:
    """Print where a dashboard is. Grafana leads from the uid to its title."""
    from urllib.parse import quote

    from meshdiag.errors import UsageError

    context = invocation.load().context
    if context.grafana is None:
        raise UsageError(f"context {context.name} has no Grafana", hint="set grafana.url in the configuration")
    click.echo(f"{context.grafana.url.rstrip('/')}/d/{quote(uid, safe='')}")
    return 0
