"""Grafana's dashboards: does each panel's query work, does its datasource exist, is its panel of a type that stays."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from meshdiag.catalog import Unit
from meshdiag.checks import Outcome, check
from meshdiag.checks.grafana import left_out
from meshdiag.checks.readings.dashboards.boards import EVERY_BOARD, look
from meshdiag.checks.readings.dashboards.panels import ANGULAR
from meshdiag.checks.readings.worst import worst_of
from meshdiag.errors import SourceError
from meshdiag.metrics import AbsenceKind
from meshdiag.model import Finding, Threshold, Verdict, at_most
from meshdiag.units import human

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.dashboards.boards import Asked, Looked, Targets

RUNBOOK: Final = "dashboard-not-loading"
NEEDS: Final = ("metrics", "grafana")
SLOW_S: Final = 2.0
"""A query that takes so long for one moment takes far longer for a graph."""
MOST_EVIDENCE: Final = 3


@check(
    "dashboards.queries",
    title="every query of a dashboard gives data, and soon",
    needs=NEEDS,
    runbook=RUNBOOK,
    hint="'meshdiag dashboards check DASHBOARD -v' lists the queries; correct them, or the metric's name",
    threshold=Threshold(warn=at_most(SLOW_S)),
    unit=Unit.SECONDS,
)
async def queries(inputs: Inputs, targets: Targets = EVERY_BOARD) -> Outcome:
    """Each query asked for the moment of the run, its variables put in. One that is refused fails; one without data
    or that is slow warns; one that is none for Prometheus is not asked."""
    looked = await _look(inputs, targets)
    if not looked:
        return Outcome(verdict=Verdict.SKIP, summary="there are no dashboards to look at")
    findings = tuple(judge_queries(one, inputs.threshold) for one in looked)
    asked = [query for one in looked for query in one.asked]
    bad = sorted((one for one in asked if one.answer), key=lambda one: -judge_query(one, inputs.threshold)[0].severity)
    evidence = tuple(inputs.metrics.evidence(one.expression, inputs.at) for one in bad[:MOST_EVIDENCE])
    fine = f"{_told(asked, inputs.threshold)} of {_boards(len(looked))}"
    return Outcome(findings, worst_of(findings, fine), evidence)


async def _look(inputs: Inputs, targets: Targets) -> Sequence[Looked]:
    try:
        return await look(inputs, targets)
    except SourceError as error:
        if error.source == "Grafana":
            left_out(inputs, error)
        raise


def judge_query(asked: Asked, threshold: Threshold) -> tuple[Verdict, str]:
    """The verdict on one query, and what is the matter with it."""
    if asked.broken:
        return Verdict.FAIL, asked.broken
    answer = asked.answer
    if answer is None:
        return Verdict.SKIP, asked.left_out
    if answer.error:
        return Verdict.FAIL, "; ".join((answer.error, *asked.empty))
    if answer.absence is not None:
        if asked.empty:
            return Verdict.WARN, f"no data: {'; '.join(asked.empty)}"
        verdict = Verdict.PASS if answer.absence.kind is AbsenceKind.FILTERED else Verdict.WARN
        return verdict, f"no data: {answer.absence.message}"
    slow = threshold.judge(answer.took_s)
    return slow, "" if slow is Verdict.PASS else f"slow: it took {human(answer.took_s, Unit.SECONDS)}"


def judge_queries(looked: Looked, threshold: Threshold) -> Finding:
    """The finding for a dashboard: how many of its queries fare how, and the worst of them in words."""
    board = looked.board
    labels = {"uid": board.uid} if board.uid else {}
    if board.trouble:
        return Finding(board.title, Verdict.UNKNOWN, f"not read: {board.trouble}", labels=labels)
    judged = [(one, *judge_query(one, threshold)) for one in looked.asked]
    if not judged:
        return Finding(board.title, Verdict.SKIP, f"it asks nothing{_libraries(looked)}", labels=labels)
    told = _told(looked.asked, threshold) + _libraries(looked)
    worst, verdict, said = max(judged, key=lambda one: one[1].severity)
    if verdict in (Verdict.PASS, Verdict.SKIP):
        verdict = Verdict.PASS if any(one[1] is Verdict.PASS for one in judged) else Verdict.SKIP
        return Finding(board.title, verdict, told, labels=labels)
    message = f"{told}; {worst.panel.title} ({worst.query.ref}): {said}"
    return Finding(board.title, verdict, message, labels=labels)


def _told(asked: Sequence[Asked], threshold: Threshold) -> str:
    """``2 of 31 queries fail, 5 give no data, 3 are not asked``."""
    counts = Counter(_kind(one, threshold) for one in asked)
    words = [
        ("failed", "fails", "fail"),
        ("empty", "gives no data", "give no data"),
        ("slow", "is slow", "are slow"),
        ("left out", "is not asked", "are not asked"),
    ]
    said = [f"{counts[kind]} {one if counts[kind] == 1 else many}" for kind, one, many in words if counts[kind]]
    if not said:
        return f"all {len(asked)} queries work" if len(asked) != 1 else "its one query works"
    return f"of {len(asked)} queries {', '.join(said)}"


def _kind(asked: Asked, threshold: Threshold) -> str:
    verdict, said = judge_query(asked, threshold)
    if verdict is Verdict.SKIP:
        return "left out"
    if verdict is Verdict.FAIL and not said.startswith("slow"):
        return "failed"
    if said.startswith("no data"):
        return "empty" if verdict is not Verdict.PASS else "fine"
    return "slow" if said else "fine"


def _libraries(looked: Looked) -> str:
    names = [panel.library for panel in looked.board.panels if panel.library]
    if not names:
        return ""
    return f"; library panels, whose queries are kept apart and not looked at: {', '.join(names)}"


def _boards(count: int) -> str:
    return "1 dashboard" if count == 1 else f"{count} dashboards"


@check(
    "dashboards.datasources",
    title="every datasource that a panel names exists",
    needs=NEEDS,
    runbook=RUNBOOK,
    hint="give the panel a datasource that exists, or create one of that name (meshdiag dashboards lists them)",
)
async def datasources(inputs: Inputs, targets: Targets = EVERY_BOARD) -> Outcome:
    """Each panel's datasource by name, uid or variable; names are compared with Grafana's own where it is asked."""
    looked = [one for one in await _look(inputs, targets) if one.asked]
    findings = tuple(judge_datasources(one) for one in looked)
    if not findings:
        return Outcome(verdict=Verdict.SKIP, summary="there are no queries to look at")
    return Outcome(findings, worst_of(findings, f"every datasource of {_boards(len(findings))} is known"))


def judge_datasources(looked: Looked) -> Finding:
    """The finding for a dashboard: which unknown datasources its panels name."""
    unknown: dict[str, list[str]] = {}
    for one in looked.asked:
        if one.datasource.trouble:
            unknown.setdefault(one.datasource.trouble, []).append(one.panel.title)
    if not unknown:
        return Finding(looked.board.title, Verdict.PASS, "every datasource is known")
    said = "; ".join(f"{_some(panels)}: {trouble}" for trouble, panels in unknown.items())
    return Finding(looked.board.title, Verdict.FAIL, said)


@check(
    "dashboards.panel-types",
    title="no panel is of a type that Grafana gives up",
    needs=NEEDS,
    runbook=RUNBOOK,
    hint="open the dashboard, let Grafana migrate it (or choose the new type in the panel's editor), and save it",
)
async def panel_types(inputs: Inputs, targets: Targets = EVERY_BOARD) -> Outcome:
    """Panels written with AngularJS: Grafana 11 switches them off, Grafana 12 has none of them."""
    looked = [one for one in await _look(inputs, targets) if one.board.panels]
    findings = tuple(judge_panel_types(one) for one in looked)
    if not findings:
        return Outcome(verdict=Verdict.SKIP, summary="there are no panels to look at")
    return Outcome(findings, worst_of(findings, f"no panel of {_boards(len(findings))} is of an old type"))


def judge_panel_types(looked: Looked) -> Finding:
    """The finding for a dashboard: how many of its panels are of which old type, and what takes its place."""
    counts = Counter(panel.type for panel in looked.board.panels if panel.type in ANGULAR)
    if not counts:
        return Finding(looked.board.title, Verdict.PASS, "no panel is of an old type")
    said = ", ".join(f"{count} {type_} (now {ANGULAR[type_]})" for type_, count in counts.most_common())
    return Finding(looked.board.title, Verdict.WARN, f"panels that Grafana 11 switches off: {said}")


def _some(names: Sequence[str], most: int = 3) -> str:
    """The first few, and how many more."""
    distinct = list(dict.fromkeys(names))
    more = len(distinct) - most
    return ", ".join(distinct[:most]) + (f" and {more} more" if more > 0 else "")
