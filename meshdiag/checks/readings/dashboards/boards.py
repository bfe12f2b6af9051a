"""All queries of all dashboards that are meant, asked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from meshdiag.checks.readings.dashboards.asking import Asking
from meshdiag.checks.readings.dashboards.naming import name_datasource
from meshdiag.checks.readings.dashboards.panels import read_board
from meshdiag.checks.readings.dashboards.resolving import values_of
from meshdiag.checks.readings.dashboards.variables import built_in, fill
from meshdiag.errors import SourceError, Trouble
from meshdiag.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.dashboards.asking import Answer
    from meshdiag.checks.readings.dashboards.naming import Named
    from meshdiag.checks.readings.dashboards.panels import Board, Panel, Query
    from meshdiag.checks.readings.dashboards.variables import Filled, Value
    from meshdiag.sources.grafana.client import Datasource

MOST_BOARDS: Final = 200
"""Dashboards that are fetched where all of Grafana's are meant: each is a request."""
FETCHED_AT_ONCE: Final = 8
NOT_PROMQL: Final = {
    "loki": "LogQL, a question for Loki",
    "dashboard": "what another panel has asked is shown again",
    "__expr__": "computed by Grafana from the panel's other queries",
    "grafana": "Grafana's own data",
}
"""Why a query is not asked here, by the type of its datasource."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What the user named: uids of Grafana's dashboards, and dashboards read from files. Nothing: all of Grafana's."""

    uids: tuple[str, ...] = ()
    boards: tuple[Board, ...] = ()

    @property
    def needs_grafana(self) -> bool:
        """Whether Grafana has to be asked for any of them."""
        return bool(self.uids) or not self.boards


EVERY_BOARD: Final = Targets()


@dataclass(frozen=True, slots=True)
class Asked:
    """A panel's query and what came of it: an answer, or why it was not asked (``left_out``: it is none for
    Prometheus; ``broken``: it cannot work). ``expression`` is what was asked, its variables put in; ``empty`` are
    those of its variables that have no value, with the reason."""

    board: Board
    panel: Panel
    query: Query
    datasource: Named
    expression: str
    answer: Answer | None = None
    left_out: str = ""
    broken: str = ""
    empty: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Looked:
    """A dashboard, its variables' values, and its queries asked."""

    board: Board
    asked: tuple[Asked, ...] = ()
    values: Mapping[str, Value] = field(default_factory=dict)


async def look(inputs: Inputs, targets: Targets) -> Sequence[Looked]:
    """Every dashboard that is meant, asked, once a run. Raises ``SourceError`` where Grafana or the source of metrics
    does not answer, or Grafana has no dashboard of a uid."""
    return await inputs.memo.once(("dashboards", id(targets)), lambda: _look(inputs, targets))


async def _look(inputs: Inputs, targets: Targets) -> Sequence[Looked]:
    known: Sequence[Datasource] | None = None
    boards = list(targets.boards)
    if targets.needs_grafana:
        fetched, known = await asyncio.gather(_fetch(inputs, targets.uids), _datasources(inputs))
        boards += fetched
    asking = Asking(inputs)
    return await asyncio.gather(*(_ask_board(asking, board, known) for board in boards))


async def _fetch(inputs: Inputs, uids: Sequence[str]) -> list[Board]:
    """The dashboards of these uids, or all."""
    grafana, turn = inputs.grafana, asyncio.Semaphore(FETCHED_AT_ONCE)
    wanted = uids or [one.uid for one in (await grafana.dashboards())[:MOST_BOARDS]]

    async def fetch(uid: str) -> Board | None:
        async with turn:
            body = await grafana.dashboard(uid)
        return None if body is None else read_board(body, uid)

    boards = await asyncio.gather(*map(fetch, wanted))
    missing = next((uid for uid, board in zip(wanted, boards, strict=True) if board is None), None)
    if uids and missing is not None:
        listed = [one.uid for one in await grafana.dashboards()]
        hint = did_you_mean(missing, listed, "'meshdiag dashboards list' lists them; a file is given by its path")
        said = f"{grafana.name} has no dashboard of the uid {missing!r}"
        raise SourceError(said, trouble=Trouble.NOT_FOUND, source="Grafana", where=grafana.url, hint=hint)
    return [board for board in boards if board is not None]


async def _datasources(inputs: Inputs) -> Sequence[Datasource] | None:
    """Grafana's datasources; None where these credentials may not list them: a viewer's may not."""
    try:
        return await inputs.grafana.datasources()
    except SourceError as error:
        if error.trouble is Trouble.FORBIDDEN:
            return None
        raise


async def _ask_board(asking: Asking, board: Board, known: Sequence[Datasource] | None) -> Looked:
    values = await values_of(asking, board, known)
    queries = [(panel, query) for panel in board.panels for query in panel.queries]
    prepared = [_prepare(asking.inputs, board, panel, query, values, known) for panel, query in queries]
    return Looked(board, tuple(await asyncio.gather(*(_ask(asking, one) for one in prepared))), values)


def _prepare(
    inputs: Inputs,
    board: Board,
    panel: Panel,
    query: Query,
    values: Mapping[str, Value],
    known: Sequence[Datasource] | None,
) -> Asked:
    """A query with its variables put in, and with the reason where it is not to be asked."""
    datasource = name_datasource(query.datasource, board, known)
    made = _filled(inputs, board, panel, query, values)
    why_empty = tuple(f"${name} has no value: {values[name].why_empty}" for name in made.empty if name in values)
    asked = Asked(board, panel, query, datasource, made.text, empty=why_empty)
    if datasource.trouble:
        return replace(asked, left_out=f"its datasource is unknown: {datasource.trouble}")
    if reason := _left_out(query, datasource):
        return replace(asked, left_out=reason)
    if made.unknown:
        names = ", ".join(f"${name}" for name in made.unknown)
        return replace(asked, broken=f"the dashboard has no variable {names}")
    return asked


async def _ask(asking: Asking, asked: Asked) -> Asked:
    if asked.left_out or asked.broken:
        return asked
    return replace(asked, answer=await asking.answer(asked.expression))


def _filled(inputs: Inputs, board: Board, panel: Panel, query: Query, values: Mapping[str, Value]) -> Filled:
    """The query's text with its variables put in; a repeated panel shows one value at a time."""
    window_s, end_s = inputs.window.total_seconds(), inputs.moment.timestamp()
    scope = {**built_in(window_s, end_s, fill(query.interval, values).text, board.title), **values}
    repeated = scope.get(panel.repeat)
    if repeated is not None and len(repeated.values) > 1:
        scope[panel.repeat] = replace(repeated, values=repeated.values[:1])
    return fill(query.text, scope)


def _left_out(query: Query, datasource: Named) -> str:
    """Why a query is none for Prometheus; "" where it is."""
    if datasource.type not in ("", "prometheus"):
        return NOT_PROMQL.get(datasource.type, f"a question for a datasource of the type {datasource.type}")
    if not query.prometheus:
        return "not a query for Prometheus, by where its text stands"
    return "hidden: Grafana does not ask it" if query.hidden else ""
