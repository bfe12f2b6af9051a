"""A dashboard's JSON as its panels, their queries and its variables: of every schema but the newest.

Source: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/, and dashboards
as they are published: panels lie in ``rows`` (schema 14 and before), in collapsed panels of the type ``row``, or side
by side; a datasource is a name, an object with type and uid, a variable, or left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from meshdiag.checks.readings.dashboards.variables import read_variable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshdiag.checks.readings.dashboards.variables import Variable

ANGULAR: Final = {
    "graph": "timeseries",
    "singlestat": "stat",
    "table-old": "table",
    "grafana-singlestat-panel": "stat",
    "grafana-piechart-panel": "piechart",
    "grafana-worldmap-panel": "geomap",
}
"""Panel types written with AngularJS, which Grafana 11 switches off and 12 has removed, and what took their place.
Source: https://grafana.com/docs/grafana/latest/developers/angular_deprecation/angular-plugins/"""
TEXTS: Final = ("expr", "query", "rawSql", "target", "expression", "rawQuery")
"""Where a query's text is, by kind of datasource."""
DEEPEST: Final = 8


@dataclass(frozen=True, slots=True)
class Reference:
    """The datasource that a panel or query names: ``type`` and ``name`` (a uid or a name) as they are written, ""
    where they are not. Both empty means Grafana's default one."""

    type: str = ""
    name: str = ""

    def __bool__(self) -> bool:
        return bool(self.type or self.name)


@dataclass(frozen=True, slots=True)
class Query:
    """A panel's query. ``ref`` is its letter; ``prometheus`` whether its text stands where PromQL does."""

    ref: str
    text: str
    datasource: Reference
    prometheus: bool = True
    hidden: bool = False
    interval: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel. ``repeat`` is the variable for each of whose values it, or its row, stands once; ``library`` the name
    of the library panel whose queries are kept apart from the dashboard."""

    title: str
    type: str
    queries: tuple[Query, ...] = ()
    row: str = ""
    repeat: str = ""
    library: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard. ``inputs`` are the datasources that are chosen when it is imported: their type by name. ``trouble``
    is why its panels cannot be read."""

    title: str
    uid: str = ""
    panels: tuple[Panel, ...] = ()
    variables: tuple[Variable, ...] = ()
    inputs: Mapping[str, str] | None = None
    trouble: str = ""


def read_board(body: Mapping[str, Any], name: str = "") -> Board:
    """A dashboard of any JSON object; ``name`` where it has no title."""
    spec = body.get("spec")
    if "elements" in body or (isinstance(spec, dict) and "elements" in spec):
        trouble = (
            "it is written in the schema of Grafana 12 (elements), which is not read; export it in the classic one"
        )
        title = body.get("title") or (spec.get("title") if isinstance(spec, dict) else "")
        return Board(_text(title) or name, trouble=trouble)
    templating = body.get("templating")
    variables = _objects(templating.get("list")) if isinstance(templating, dict) else ()
    return Board(
        title=_text(body.get("title")) or name,
        uid=_text(body.get("uid")),
        panels=tuple(_panels(body)),
        variables=tuple(read_variable(one) for one in variables if _text(one.get("name"))),
        inputs={_text(one.get("name")): _text(one.get("pluginId")) for one in _objects(body.get("__inputs"))},
    )


def read_reference(written: Any) -> Reference:
    """A datasource as a panel, query or variable names it."""
    if isinstance(written, dict):
        return Reference(_text(written.get("type")), _text(written.get("uid")))
    return Reference("", _text(written))


def _panels(body: Mapping[str, Any], row: str = "", repeat: str = "", depth: int = 0) -> Iterator[Panel]:
    """Every panel, those in rows too, in their order."""
    if depth > DEEPEST:
        return
    for one in _objects(body.get("rows")):
        yield from _panels(one, _text(one.get("title")), _text(one.get("repeat")) or repeat, depth + 1)
    for one in _objects(body.get("panels")):
        if _text(one.get("type")) == "row":
            # Of an open row the panels follow it side by side; those of a collapsed one are within.
            row, repeat = _text(one.get("title")), _text(one.get("repeat"))
            yield from _panels(one, row, repeat, depth + 1)
        else:
            yield _panel(one, row, repeat)


def _panel(one: Mapping[str, Any], row: str, repeat: str) -> Panel:
    library = one.get("libraryPanel")
    own = read_reference(one.get("datasource"))
    queries = tuple(query for target in _objects(one.get("targets")) if (query := _query(target, own)))
    kept_apart = isinstance(library, dict) and not queries
    return Panel(
        title=_text(one.get("title")) or "untitled",
        type=_text(one.get("type")),
        queries=queries,
        row=row,
        repeat=_text(one.get("repeat")) or repeat,
        library=(_text(library.get("name")) or "unnamed") if kept_apart and isinstance(library, dict) else "",
    )


def _query(target: Mapping[str, Any], panels: Reference) -> Query | None:
    """A target that asks something; a Mixed panel's queries name their own datasources."""
    key = next((key for key in TEXTS if _text(target.get(key)).strip()), None)
    own = read_reference(target.get("datasource"))
    if key is None and not (own.type and own.type != "prometheus"):
        return None
    return Query(
        ref=_text(target.get("refId")) or "?",
        text=_text(target.get(key)).strip() if key else "",
        datasource=own or (Reference() if panels.name == "-- Mixed --" else panels),
        prometheus=key == "expr",
        hidden=bool(target.get("hide")),
        interval=_text(target.get("interval")),
    )


def _objects(value: Any) -> tuple[Mapping[str, Any], ...]:
    return tuple(one for one in value if isinstance(one, dict)) if isinstance(value, list) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
