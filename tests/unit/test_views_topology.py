"""The topology: connections that nodes report, joined with what they see of each other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from meshdiag.checks.inputs import Inputs
from meshdiag.context import Context
from meshdiag.model import Finding, Report, Result, Verdict
from meshdiag.sources import Sources
from meshdiag.views.topology import TopologyView
from tests.unit.links import TIMEOUT, Exporters, known_mesh, names
from tests.unit.memory_metrics import NOW, Memory

FAST, SLOW = 0.001, 0.090


def connected(count: int, *pairs: tuple[str, str], **more: Any) -> Memory:
    """A mesh whose nodes tell of these connections, each from its first end alone."""
    memory = known_mesh(count, **more)
    for place, (one, other) in enumerate(pairs):
        memory.add("mesh_connection_duration_seconds", f"{one}:9091", 1000 + place, None, peer=other)
    return memory


async def drawn(memory: Memory, exporters: Exporters | None = None) -> tuple[TopologyView, list[dict[str, Any]]]:
    """The view once it is drawn up, and its rows."""
    blackbox: Any = exporters
    inputs = Inputs(Context(), Sources(blackbox=blackbox), NOW, timedelta(hours=1), chosen_metrics=memory)
    view = TopologyView(probed=exporters is not None)
    try:
        return view, [dict(row) for row in (await view.table(inputs)).rows]
    finally:
        await inputs.memo.close()


def report(*findings: Finding) -> Report:
    """A report that found these things."""
    return Report("peers --graph", "lab", NOW, results=(Result("nodes.up", "", Verdict.FAIL, "", findings),))


async def test_connections_are_told_by_whichever_end_reports_them() -> None:
    """A peer may be named by its name, instance or peer address; one end is enough; strangers and oneself are none."""
    memory = connected(4, ("n1", "n2"), ("n2", "n1:4001"), ("n3", "n1:9091"), ("n3", "stranger"), ("n4", "n4"))
    _, rows = await drawn(memory)
    told = {(row["from"], row["to"]): row for row in rows}
    assert told.keys() == {("n1", "n2"), ("n1", "n3")} and {row["state"] for row in rows} == {"reported"}
    assert told["n1", "n2"]["connected_s"] == 1001


async def test_what_is_seen_goes_before_what_is_reported() -> None:
    """A slow link warns with its slower time, a broken one fails with the reason, one way alone points that way; links
    that work and carry no connection are none of the topology."""
    answers = {("n1", "n2"): SLOW, ("n3", "n1"): TIMEOUT, ("n4", "n2"): TIMEOUT, ("n2", "n4"): TIMEOUT}
    memory = connected(6, ("n1", "n2"), ("n1", "n3"), ("n5", "n6"))
    _, rows = await drawn(memory, Exporters(lambda one, other: answers.get((one, other), FAST)))
    told = {(row["from"], row["to"]): row for row in rows}
    assert told.keys() == {("n1", "n2"), ("n1", "n3"), ("n2", "n4"), ("n5", "n6")}
    slow = told["n1", "n2"]
    assert (slow["verdict"], slow["duration_s"], slow["told_by"]) == (Verdict.WARN, SLOW, "metrics, probes")
    assert (told["n1", "n3"]["state"], told["n1", "n3"]["trouble"]) == ("one-way", "timeout")
    assert (told["n2", "n4"]["state"], told["n2", "n4"]["verdict"]) == ("down", Verdict.FAIL)
    assert [row["verdict"] for row in rows][:3].count(Verdict.FAIL) == 2


async def test_the_graph_is_coloured_by_what_the_checks_found() -> None:
    """The worst finding of a node is its colour; members of a part that is cut off are red; parts stand apart."""
    island = {"n4", "n5"}
    exporters = Exporters(lambda one, other: FAST if (one in island) is (other in island) else TIMEOUT)
    view, _ = await drawn(connected(5, ("n1", "n2"), ("n1", "n3"), ("n4", "n5"), down=("n2",)), exporters)
    graph = view.graph(report(Finding("n1:9091", Verdict.PASS, "up"), Finding("n1:9091", Verdict.WARN, "few peers")))
    verdicts = {one.name: (one.verdict, one.trouble) for one in graph.vertices}
    assert verdicts["n1"] == (Verdict.WARN, "few peers")
    assert verdicts["n2"][0] is Verdict.FAIL and verdicts["n3"][0] is Verdict.PASS
    assert verdicts["n4"] == verdicts["n5"] == (Verdict.FAIL, "cut off from the larger part of the mesh")
    assert graph.parts == (("n1", "n2", "n3"), ("n4", "n5"))


async def test_a_mesh_that_tells_nothing_is_nodes_without_links() -> None:
    """No label peer, no exporters: every node stands for itself, and the table says why."""
    view, rows = await drawn(known_mesh(3))
    assert rows == []
    graph = view.graph(report())
    assert [one.name for one in graph.vertices] == list(names(3)) and graph.edges == ()
    assert graph.parts == ()
