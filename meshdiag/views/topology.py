"""The mesh as a graph: who is connected to whom, from what nodes report and what they see of each other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import isfinite
from typing import TYPE_CHECKING

from meshdiag.catalog import CONNECTION_DURATION, Unit
from meshdiag.checks.links import latency_limit
from meshdiag.checks.readings.links import by_name, read_links
from meshdiag.checks.readings.reachability import Link, components, link, reach
from meshdiag.errors import SourceError
from meshdiag.model import Column, Table, Verdict
from meshdiag.units import human
from meshdiag.views.matrix import link_notes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.links import Links
    from meshdiag.checks.readings.roster import Roster
    from meshdiag.model import Report

COLUMNS = (
    Column("verdict", "link", "verdict"),
    Column("from", "from"),
    Column("to", "to"),
    Column("state", "works"),
    Column("duration_s", "takes", "number", Unit.SECONDS),
    Column("connected_s", "connected", "number", Unit.SECONDS),
    Column("trouble", "trouble"),
    Column("told_by", "told by"),
)
REPORTED = "reported"
"""The state of a link of which only a connection is known."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A link between two nodes, named in the order of the drawing.

    ``state`` is ``up``, ``one-way`` (from ``one`` to ``other`` alone), ``down``, or ``reported``: a connection that a
    node tells of. ``duration_s`` is the slower direction's, ``connected_s`` how long the connection has lasted.
    """

    one: str
    other: str
    state: str
    verdict: Verdict
    duration_s: float | None = None
    connected_s: float | None = None
    trouble: str = ""
    told_by: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What is written at the link: how long it takes, or why it does not work."""
        if self.trouble and self.verdict is Verdict.FAIL:
            return self.trouble
        return "" if self.duration_s is None else human(self.duration_s, Unit.SECONDS)


@dataclass(frozen=True, slots=True)
class Vertex:
    """A node of the mesh, and the worst that any check found of it."""

    name: str
    role: str
    instance: str
    verdict: Verdict = Verdict.PASS
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """The topology: vertices in the order of their names, edges, and the connected parts, the largest first (none where
    no link is known)."""

    title: str
    vertices: tuple[Vertex, ...]
    edges: tuple[Edge, ...]
    verdict: Verdict = Verdict.PASS
    parts: tuple[tuple[str, ...], ...] = field(default_factory=tuple)


class TopologyView:
    """The graph of one run. ``probed``: the nodes look at each other as well."""

    def __init__(self, *, probed: bool) -> None:
        self._probed = probed
        self._links: Links | None = None
        self._vertices: dict[str, Vertex] = {}
        self._edges: tuple[Edge, ...] = ()

    async def table(self, inputs: Inputs) -> Table:
        """A row a link, the worst first. Raises ``SourceError`` when the roster cannot be read."""
        roster = await inputs.roster()
        nodes = by_name(tuple(roster.nodes.values()))
        self._vertices = {
            name: Vertex(name, node.role, node.instance, Verdict.PASS if node.up else Verdict.FAIL)
            for name, node in nodes.items()
        }
        names = {node.instance: name for name, node in nodes.items()}
        connected = await _connections(inputs, roster, names)
        seen = await self._seen(inputs)
        self._edges = tuple(_merged(connected, seen))
        rows = sorted((_row(edge) for edge in self._edges), key=lambda row: -Verdict(str(row["verdict"])).severity)
        empty = f"no node tells who its peers are: no {CONNECTION_DURATION.name} has a label peer"
        return Table(COLUMNS, tuple(rows), empty=empty, noun="link", keys=("from", "to"))

    @property
    def notes(self) -> tuple[str, ...]:
        """What keeps the graph from being whole."""
        return () if self._links is None else link_notes(self._links)

    def graph(self, report: Report) -> Graph:
        """The graph with its vertices judged as the report judges them."""
        worst = _worst(report) | self._cut_off()
        vertices = tuple(
            replace(one, verdict=found[0], trouble=found[1]) if (found := worst.get(one.instance)) else one
            for one in self._vertices.values()
        )
        alive = [(edge.one, edge.other) for edge in self._edges if edge.state in (Link.UP, REPORTED)]
        title = f"Agent Mesh {report.context}: {len(vertices)} nodes, {len(self._edges)} links"
        parts = components(self._vertices, alive) if self._edges else ()
        return Graph(title, vertices, self._edges, report.verdict, parts)

    def _cut_off(self) -> dict[str, tuple[Verdict, str]]:
        """The nodes of parts that are cut off, by instance: their finding is about the part."""
        if self._links is None:
            return {}
        links = self._links
        return {
            links.nodes[name].instance: (Verdict.FAIL, "cut off from the larger part of the mesh")
            for cut in reach(tuple(links.nodes), links.answers).cuts
            if len(cut.nodes) > 1
            for name in cut.nodes
        }

    async def _seen(self, inputs: Inputs) -> dict[tuple[str, str], Edge]:
        """The links as the nodes see them, where they were let look."""
        if not self._probed:
            return {}
        try:
            self._links = links = await read_links(inputs)
        except SourceError:
            return {}  # the checks say why
        return dict(_edges(links, latency_limit(inputs, links)))


async def _connections(inputs: Inputs, roster: Roster, names: Mapping[str, str]) -> dict[tuple[str, str], float]:
    """How long the connections have lasted that the nodes tell of (seconds), by the names of both ends in order."""
    answer = await inputs.metrics.instant(CONNECTION_DURATION.selector(inputs.context.job), inputs.at)
    found: dict[tuple[str, str], float] = {}
    for sample in answer.samples:
        other = roster.find(sample.labels.get("peer", ""))
        one = names.get(sample.labels.get("instance", ""))
        if one is None or other is None or not isfinite(sample.value):
            continue
        pair = _ordered(one, names[other.instance])
        if pair[0] != pair[1]:
            found[pair] = max(found.get(pair, 0.0), sample.value)
    return found


def _ordered(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


def _edges(links: Links, limit_s: float) -> Iterable[tuple[tuple[str, str], Edge]]:
    """Every link of which a direction is known."""
    answers = links.answers
    for pair in sorted({_ordered(*pair) for pair in answers}):
        there, back = answers.get(pair), answers.get(pair[::-1])
        state = link(answers, *pair)
        known = [seen for seen in (there, back) if seen is not None]
        took = max((seen.duration_s for seen in known if seen.duration_s is not None), default=None)
        slow = took is not None and took > limit_s
        verdict = Verdict.FAIL if state is not Link.UP else Verdict.WARN if slow else Verdict.PASS
        trouble = next((seen.trouble for seen in known if not seen.ok), "")
        one, other = pair if state is not Link.ONE_WAY or (there is not None and there.ok) else pair[::-1]
        yield pair, Edge(one, other, state, verdict, took, None, trouble, ("probes",))


def _merged(connected: Mapping[tuple[str, str], float], seen: Mapping[tuple[str, str], Edge]) -> Iterable[Edge]:
    """The edges from both sources. Where nodes were let look, a link that works but carries no connection is none of
    the topology: it stays out."""
    for pair in sorted(connected.keys() | seen.keys()):
        edge, lasted = seen.get(pair), connected.get(pair)
        if edge is None:
            yield Edge(*pair, REPORTED, Verdict.PASS, None, lasted, "", ("metrics",))
        elif lasted is not None:
            yield replace(edge, connected_s=lasted, told_by=("metrics", "probes"))
        elif not connected or edge.state != Link.UP or edge.verdict is not Verdict.PASS:
            yield edge


def _row(edge: Edge) -> dict[str, object]:
    return {
        "verdict": edge.verdict,
        "from": edge.one,
        "to": edge.other,
        "state": str(edge.state),
        "duration_s": edge.duration_s,
        "connected_s": edge.connected_s,
        "trouble": edge.trouble,
        "told_by": ", ".join(edge.told_by),
    }


def _worst(report: Report) -> dict[str, tuple[Verdict, str]]:
    """The worst finding of each instance: its verdict and message."""
    worst: dict[str, tuple[Verdict, str]] = {}
    for result in report.results:
        for finding in result.findings:
            earlier = worst.get(finding.subject)
            if earlier is None or finding.verdict.severity > earlier[0].severity:
                worst[finding.subject] = (finding.verdict, finding.message)
    return worst
