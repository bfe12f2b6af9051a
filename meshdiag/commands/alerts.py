"""``meshdiag alerts``: what fires, what is about to, and who has silenced what."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from meshdiag.commands._completions import complete_matcher
from meshdiag.commands._options import DATA_FORMATS, shared_flags
from meshdiag.commands._params import DURATION

if TYPE_CHECKING:
    from datetime import timedelta

    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags
    from meshdiag.model import Report
    from meshdiag.views.alerts import Matchers
    from meshdiag.views.direct_alerts import DirectAlerts

SECTION = "Look at the mesh"
SHORTEST_S = 0.1
"""Between two looks of a watch."""


@click.command("alerts", short_help="What fires, what is pending, what is muted by whom.")
@click.argument("matchers", nargs=-1, metavar="[LABEL=VALUE]...", shell_complete=complete_matcher)
@click.option(
    "--rules",
    multiple=True,
    type=click.Path(),
    metavar="FILE_OR_GLOB",
    help="Evaluate these rule files over the nodes' pages (may be repeated; implies --direct). "
    "Without it: those of the configuration, or else the mesh's own rules.",
)
@click.option("--watch", is_flag=True, help="Evaluate again and again, so that 'for' is kept (implies --direct).")
@click.option("--interval", type=DURATION, metavar="DURATION", help="Between two looks of --watch (default: 15s).")
@click.option("--for", "span", type=DURATION, metavar="DURATION", help="How long --watch goes on (default: to Ctrl-C).")
@shared_flags(formats=DATA_FORMATS)
@click.pass_obj
def command(
    invocation: Invocation,
    flags: Flags,
    matchers: tuple[str, ...],
    rules: tuple[str, ...],
    watch: bool,
    interval: timedelta | None,
    span: timedelta | None,
) -> int:
    """Every alert in one table: pending and firing in Prometheus, silenced or inhibited in Alertmanager.

    LABEL=VALUE narrows the table and the verdict; LABEL!=VALUE, LABEL=~RE and LABEL!~RE work too.
    'alerts route LABEL=VALUE…' says instead whom an alert with these labels would reach, by Alertmanager's routes.

    With --direct, and by itself when Prometheus does not answer, the alert rules are evaluated here, over the nodes'
    own pages: each alert would fire, is pending (its 'for' is longer than the look), quiet or unknown.

    \b
    Examples:
      meshdiag alerts
      meshdiag alerts severity=critical
      meshdiag alerts 'instance=~10\\.0\\..*' -o json
      meshdiag alerts --direct --rules 'monitoring/rules/*.yml'
      meshdiag alerts --watch --interval 5s --for 10m
      meshdiag alerts route alertname=MeshNodeDown severity=critical
    """
    from meshdiag.commands._run import Question, answer, look, show
    from meshdiag.engine import View
    from meshdiag.views.alerts import alerts_view, parse_matchers

    if matchers[:1] == ("route",):
        return _route(invocation, flags, matchers[1:])
    wanted = parse_matchers(matchers)
    if rules or watch or flags.direct or interval or span:
        _refuse(flags, watch, interval, span)
        direct = _direct(invocation, rules, wanted)
        if watch:
            from meshdiag.commands._alerts_watch import DEFAULT_EVERY, watch_alerts

            return watch_alerts(invocation, flags, direct, interval or DEFAULT_EVERY, span)
        return _look_directly(invocation, flags, direct)
    view = View(alerts_view, needs=("prometheus|alertmanager",))
    question = Question("alerts", ("alerts.*",), view=view, wanted=wanted)
    if flags.direct is False or flags.at or flags.only or flags.skip:
        return answer(invocation, flags, question)
    report, interrupted = look(invocation, flags, question)
    if not interrupted and not _prometheus_answers(report) and invocation.load().context.nodes:
        report, interrupted = _fall_back(invocation, flags, wanted, report)
    return show(report, flags, interrupted=interrupted)


def _route(invocation: Invocation, flags: Flags, pairs: tuple[str, ...]) -> int:
    """Whom an alert would reach."""
    from meshdiag.commands._run import Question, answer
    from meshdiag.engine import View
    from meshdiag.views.alert_route import AlertRoute, parse_labels

    route = AlertRoute(parse_labels(pairs))
    view = View(route.table, route.check.needs)
    return answer(invocation, flags, Question("alerts route", extra=(route.check,), view=view))


def _refuse(flags: Flags, watch: bool, interval: timedelta | None, span: timedelta | None) -> None:
    """Raises ``UsageError`` for flags that do not go together."""
    from meshdiag.errors import UsageError

    if (interval or span) and not watch:
        raise UsageError("--interval and --for are for --watch", hint="meshdiag alerts --watch --for 10m")
    if interval and interval.total_seconds() < SHORTEST_S:
        raise UsageError(f"--interval is shorter than {SHORTEST_S:g} s", hint="the nodes have other work to do")
    if flags.direct is False:
        raise UsageError(
            "--rules and --watch evaluate rules over the nodes' own pages, which --no-direct rules out",
            hint="leave one of them out",
        )
    if flags.at:
        raise UsageError(
            "the nodes' pages hold the present alone, so --direct cannot look at another moment (--at)",
            hint="leave --at out, or ask Prometheus: without --direct, --rules and --watch",
        )
    if flags.only or flags.skip:
        raise UsageError(
            "--only and --skip choose checks, and --direct runs a single one",
            hint="narrow the alerts by labels: meshdiag alerts --direct severity=critical",
        )


def _direct(invocation: Invocation, rules: tuple[str, ...], wanted: Matchers) -> DirectAlerts:
    """The rules to evaluate. Raises ``UsageError`` for files that cannot be used."""
    from meshdiag.rules.builtin import mesh_rules
    from meshdiag.rules.loading import load_rules
    from meshdiag.views.direct_alerts import DirectAlerts

    patterns = rules or invocation.load().context.rules
    return DirectAlerts(load_rules(patterns) if patterns else (mesh_rules(),), wanted)


def _look_directly(invocation: Invocation, flags: Flags, direct: DirectAlerts) -> int:
    from meshdiag.commands._run import show

    report, interrupted = _direct_report(invocation, flags, direct)
    return show(report, flags, interrupted=interrupted)


def _direct_report(invocation: Invocation, flags: Flags, direct: DirectAlerts) -> tuple[Report, bool]:
    from meshdiag.commands._run import Question, look
    from meshdiag.engine import View

    question = Question("alerts", extra=(direct.check,), view=View(direct.table, needs=("scrape",)))
    # the deadline begins when the second look is due: that long is what the user asked for
    report, interrupted = look(invocation, replace(flags, direct=True, deadline=flags.deadline + flags.gap), question)
    return replace(report, notes=(*report.notes, *direct.notes)), interrupted


def _prometheus_answers(report: Report) -> bool:
    from meshdiag.engine import OPEN

    return any(one.id == "stack.prometheus" and one.verdict in OPEN for one in report.results)


def _fall_back(invocation: Invocation, flags: Flags, wanted: Matchers, first: Report) -> tuple[Report, bool]:
    """What the nodes' pages say, beside what Alertmanager does, where Prometheus says nothing."""
    from meshdiag.errors import UsageError
    from meshdiag.views.direct_alerts import joined

    try:
        direct = _direct(invocation, (), wanted)
    except UsageError as error:  # nobody asked for these files just now: what there is is shown all the same
        said = error.message.splitlines()[0]
        return replace(first, notes=(*first.notes, f"the configured rule files cannot be used: {said}")), False
    report, interrupted = _direct_report(invocation, flags, direct)
    failed = next((one.summary for one in first.results if one.id == "stack.prometheus"), "no Prometheus is configured")
    notes = [one for one in (*first.notes, *report.notes) if report.data is None or not one.startswith("no table")]
    return replace(
        report,
        started=first.started,
        duration_s=first.duration_s + report.duration_s,
        results=(*first.results, *report.results),
        causes=first.causes if report.data is None else (),  # they say that nothing is known without Prometheus
        data=joined(report.data, first.data),
        notes=tuple(dict.fromkeys([f"{failed}; the rules were evaluated here, over the nodes' own pages", *notes])),
    ), interrupted
