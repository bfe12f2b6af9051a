"""Checks of the nodes themselves, and the roster they rest on."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

from meshdiag.checks import all_checks
from meshdiag.checks.inputs import Inputs
from meshdiag.checks.readings.roster import Node, Roster, join_roster, read_roster
from meshdiag.context import Context, NodeAddress
from meshdiag.engine import Run, run_checks
from meshdiag.errors import SourceError, Trouble
from meshdiag.metrics import Sample
from meshdiag.model import Verdict
from meshdiag.sources import Sources
from meshdiag.sources.prometheus import Target, Targets
from tests.unit.memory_metrics import NOW, Memory, ask, mesh

ONE, TWO, THREE = ALL = ("trainer-1:9091", "trainer-2:9091", "trainer-3:9091")
ASKED_OF_NODES = [
    "nodes.up", "nodes.roles", "nodes.restarted", "nodes.scrape-age", "nodes.clock",
    "capacity.cpu", "capacity.memory", "capacity.memory-trend", "capacity.disk", "capacity.network",
    "peers.count", "peers.messages", "peers.connection-duration", "peers.bandwidth",
    "consensus.round-duration", "consensus.failed-rounds", "consensus.failed-share", "consensus.vote-success",
    "consensus.leader-elections", "consensus.byzantine",
]  # fmt: skip


def by_subject(outcome):
    return {finding.subject: finding for finding in outcome.findings}


def verdicts(outcome):
    return {finding.subject: finding.verdict for finding in outcome.findings}


class Broken(Memory):
    """A source that cannot be asked."""

    async def instant(self, query, at=None):
        raise SourceError("memory: connection refused", trouble=Trouble.REFUSED)

    async def range(self, query, start, end, step):
        return await self.instant(query)


@pytest.mark.parametrize("id_", ASKED_OF_NODES)
async def test_a_source_that_fails_makes_every_check_unknown(id_):
    """Who could not look must not say that all is well."""
    run = Run(Context(), Sources(metrics=(Broken(),)), NOW, timedelta(hours=1))
    (result,) = (await run_checks([all_checks()[id_]], run)).results
    assert result.verdict is Verdict.UNKNOWN
    assert "connection refused" in result.summary


@pytest.mark.parametrize("id_", ASKED_OF_NODES)
async def test_a_mesh_without_any_target_makes_every_check_unknown(id_):
    """No `up` series at all is no healthy mesh: the reason is told."""
    run = Run(Context(), Sources(metrics=(Memory(),)), NOW, timedelta(hours=1))
    (result,) = (await run_checks([all_checks()[id_]], run)).results
    assert result.verdict is Verdict.UNKNOWN
    assert "no node is known" in result.summary


async def test_nodes_up_names_the_node_that_is_down():
    """A node whose last scrape failed fails, by its name; the others pass."""
    memory = mesh((ONE, TWO))
    memory.node(THREE, up=False)
    outcome = await ask("nodes.up", memory)
    assert verdicts(outcome) == {ONE: Verdict.PASS, TWO: Verdict.PASS, THREE: Verdict.FAIL}
    assert outcome.summary == "1 of 3 nodes down: trainer-3"
    down = by_subject(outcome)[THREE]
    assert (down.value, down.observed, down.labels) == (0.0, NOW, {"node": "trainer-3", "role": "trainer"})


async def test_nodes_up_says_why_a_page_could_not_be_read():
    """From the nodes' own pages the reason of each failure is known, and stands in the finding."""
    memory = mesh((ONE,), direct=True)
    memory.node(TWO, up=False)
    scrape = SimpleNamespace(name=memory.name, problems={TWO: "connection refused"})
    outcome = await ask("nodes.up", memory, sources=Sources(metrics=(memory,), scrape=scrape))
    assert by_subject(outcome)[TWO].message == "the node is down: connection refused"


@pytest.mark.parametrize("lacks", [False, True])
async def test_nodes_up_asks_prometheus_why_a_scrape_failed(lacks):
    """Prometheus keeps the error of each target; a server that lacks the page leaves the reason out."""
    memory = mesh((ONE,))
    memory.node(TWO, up=False)

    async def targets():
        if lacks:
            raise SourceError("not available here", trouble=Trouble.NOT_AVAILABLE)
        error = "dial tcp: connection refused"
        return Targets((Target("agent-mesh", "", "down", {"instance": TWO, "job": "agent-mesh"}, last_error=error),))

    outcome = await ask("nodes.up", memory, sources=Sources(prometheus=SimpleNamespace(targets=targets)))
    reason = "" if lacks else ": dial tcp: connection refused"
    assert by_subject(outcome)[TWO].message == f"the node is down{reason}"


async def test_nodes_up_fails_for_a_configured_node_that_has_no_target():
    """A node of the operator's list that nobody scrapes is a fault, not a gap."""
    context = Context(nodes=(NodeAddress("http://x/metrics", "x:9091", "trainer-x"),), nodes_expected=True)
    memory = mesh((ONE,))
    inputs = Inputs(
        context, Sources(), NOW, timedelta(hours=1), threshold=all_checks()["nodes.up"].threshold, chosen_metrics=memory
    )
    outcome = await all_checks()["nodes.up"].run(inputs)
    assert verdicts(outcome) == {ONE: Verdict.PASS, "x:9091": Verdict.FAIL}
    assert "no target" in by_subject(outcome)["x:9091"].message
    assert outcome.summary == "1 of 2 nodes down: trainer-x"


def test_the_roster_prefers_the_replica_that_is_up():
    """Two scrapers of one node that disagree: it answered one of them, so it is up."""
    samples = [Sample({"instance": ONE, "replica": replica}, value, 0.0) for replica, value in (("a", 0), ("b", 1))]
    roster = join_roster(samples, {ONE: NOW.timestamp()}, Context())
    assert roster.nodes[ONE].up
    assert roster.nodes[ONE].scraped == NOW


def test_the_roster_finds_a_node_by_what_others_call_it():
    """A label of another series may hold instance, name or peer address."""
    node = Node(ONE, "trainer-1", "trainer", peer="10.0.0.1:4001")
    roster = Roster.of([node])
    assert all(roster.find(text) is node for text in (ONE, "trainer-1", "10.0.0.1:4001"))
    assert roster.find("") is None
    assert roster.of_role("trainer") == (node,)


async def test_the_roster_is_fetched_once_a_run():
    """Thirty checks share one look at who is there."""
    memory = mesh()
    inputs = Inputs(Context(), Sources(), NOW, timedelta(hours=1), chosen_metrics=memory)
    first, second = await inputs.roster(), await inputs.roster()
    assert first is second
    assert len(memory.asked) == 2
    assert (await read_roster(inputs)).up == first.up


async def test_nodes_roles_fail_when_a_role_has_nobody_left():
    """A mesh whose only aggregator is down fails by the name of the role."""
    memory = mesh()
    memory.node("aggregator-1:9092", "aggregator", up=False)
    outcome = await ask("nodes.roles", memory)
    assert verdicts(outcome) == {"trainer": Verdict.PASS, "aggregator": Verdict.FAIL}
    assert outcome.summary == "no aggregator node is up"
    for instance in (ONE, TWO, THREE):
        memory.node(instance, up=False)
    assert (await ask("nodes.roles", memory)).summary == "no aggregator or trainer node is up"


async def test_nodes_roles_are_skipped_where_no_target_tells_a_role():
    """Without role labels there is nothing to judge; that is said, and is no pass."""
    memory = Memory()
    memory.add("up", ONE, 1)
    outcome = await ask("nodes.roles", memory)
    assert outcome.verdict is Verdict.SKIP
    assert "'role'" in outcome.summary


async def test_nodes_restarted_warns_of_a_young_process():
    """A process younger than the window warns; one that is down is skipped."""
    memory = mesh((ONE, TWO))
    memory.node(THREE, up=False)
    memory.add("process_start_time_seconds", ONE, NOW.timestamp() - 90_000)
    memory.add("process_start_time_seconds", TWO, NOW.timestamp() - 240)
    memory.add("process_start_time_seconds", THREE, NOW.timestamp() - 240)
    outcome = await ask("nodes.restarted", memory)
    assert verdicts(outcome) == {ONE: Verdict.PASS, TWO: Verdict.WARN, THREE: Verdict.SKIP}
    assert outcome.summary == "restarted: trainer-2; the last 4 m ago"


async def test_nodes_restarted_is_skipped_where_nobody_tells():
    """The start time is optional: its absence is no fault."""
    outcome = await ask("nodes.restarted", mesh())
    assert outcome.verdict is Verdict.SKIP
    assert "never seen" in outcome.summary


async def test_nodes_scrape_age_tells_old_answers():
    """Two minutes old warns, though the last sample still says that the node is up."""
    memory = mesh((ONE,))
    old = memory.store.series({"__name__": "up", "instance": TWO, "job": "agent-mesh"})
    old.append(int((NOW.timestamp() - 120) * 1000), 1.0)
    outcome = await ask("nodes.scrape-age", memory)
    assert verdicts(outcome) == {ONE: Verdict.PASS, TWO: Verdict.WARN}
    assert by_subject(outcome)[TWO].value == 120


async def test_nodes_clock_tells_ahead_from_behind():
    """Six seconds warn, two minutes fail, of any job's instances."""
    memory = mesh((ONE, TWO))
    for instance, ahead, job in ((ONE, 0.2, "agent-mesh"), (TWO, 120, "agent-mesh"), ("host-3:9100", -6, "node")):
        series = memory.store.series({"__name__": "node_time_seconds", "instance": instance, "job": job})
        series.append(int((NOW.timestamp() - 20) * 1000), NOW.timestamp() - 20 + ahead)
    outcome = await ask("nodes.clock", memory)
    assert verdicts(outcome) == {ONE: Verdict.PASS, TWO: Verdict.FAIL, "host-3:9100": Verdict.WARN}
    found = by_subject(outcome)
    assert (found[TWO].message, found["host-3:9100"].message) == ("the clock is ahead", "the clock is behind")
    assert found["host-3:9100"].labels == {"job": "node"}


async def test_nodes_clock_suspects_the_scraper_when_all_are_wrong_alike():
    """Twenty clocks do not go wrong by the same: the one that compares does."""
    memory = mesh()
    for instance in ALL:
        memory.add("node_time_seconds", instance, lambda age: NOW.timestamp() - age + 40)
    outcome = await ask("nodes.clock", memory)
    assert set(verdicts(outcome).values()) == {Verdict.FAIL}
    assert "all 3 clocks are ahead by the same" in outcome.summary


async def test_nodes_clock_is_skipped_where_nobody_tells():
    """No clock exposed: skipped, with the reason."""
    assert (await ask("nodes.clock", mesh())).verdict is Verdict.SKIP
