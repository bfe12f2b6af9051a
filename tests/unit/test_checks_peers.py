"""Checks of peers: counts, messages against an hour ago, links that flap, ports that answer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meshdiag.checks.readings.probed import Standout, judge_latency
from meshdiag.checks.readings.probing import FEW, probes_outcome
from meshdiag.checks.readings.roster import Node, Roster
from meshdiag.model import Threshold, Verdict, at_most
from meshdiag.sources import Sources
from meshdiag.sources.probing import Method, Probed, ProbeTrouble, Target
from tests.unit.memory_metrics import NOW, ask, mesh

ONE, TWO, THREE = ALL = ("trainer-1:9091", "trainer-2:9091", "trainer-3:9091")
LIMITS = Threshold(at_most(0.1), at_most(0.5))


def by_subject(outcome):
    return {finding.subject: finding for finding in outcome.findings}


def verdicts(outcome):
    return {finding.subject: finding.verdict for finding in outcome.findings}


async def test_peers_count_warns_below_three_and_fails_alone():
    """Below three warns as LowPeerCount does; no peer at all fails."""
    memory = mesh()
    for instance, peers in zip(ALL, (8, 2, 0), strict=True):
        memory.add("mesh_peer_count", instance, peers)
    assert verdicts(await ask("peers.count", memory)) == {ONE: Verdict.PASS, TWO: Verdict.WARN, THREE: Verdict.FAIL}


async def test_peers_count_is_unknown_where_the_series_has_vanished():
    """The rule stays silent when a series vanishes; meshdiag does not."""
    memory = mesh((ONE, TWO))
    memory.add("mesh_peer_count", ONE, 8)
    assert verdicts(await ask("peers.count", memory)) == {ONE: Verdict.PASS, TWO: Verdict.UNKNOWN}


async def test_peers_messages_are_held_against_an_hour_ago():
    """A third of the rate warns, a twentieth fails, none at all fails."""
    memory = mesh((*ALL, "trainer-4:9091"))
    for instance, now in zip((*ALL, "trainer-4:9091"), (40, 13, 2, 0), strict=True):
        memory.add("mesh_messages_per_second", instance, lambda age, now=now: 40 if age > 1200 else now)
    outcome = await ask("peers.messages", memory)
    expected = (Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.FAIL)
    assert verdicts(outcome) == dict(zip((*ALL, "trainer-4:9091"), expected, strict=True))
    assert by_subject(outcome)[TWO].value == pytest.approx(0.325)
    assert len(outcome.evidence) == 2


async def test_peers_messages_of_a_new_node_have_nothing_to_compare_with():
    """A node that has run for ten minutes passes with that reason."""
    memory = mesh((ONE,))
    memory.add("mesh_messages_per_second", ONE, 40, since=600)
    outcome = await ask("peers.messages", memory)
    assert verdicts(outcome) == {ONE: Verdict.PASS}
    assert "no rate of an hour ago" in outcome.findings[0].message


async def test_peers_messages_without_history_still_tell_silence():
    """From the nodes' pages alone, a silent node among talking ones fails."""
    memory = mesh((ONE, TWO), direct=True)
    memory.add("mesh_messages_per_second", ONE, 40)
    memory.add("mesh_messages_per_second", TWO, 0)
    assert verdicts(await ask("peers.messages", memory)) == {ONE: Verdict.PASS, TWO: Verdict.FAIL}
    assert not any("offset" in query for query in memory.asked)


async def test_peers_connection_duration_finds_the_link_that_flaps():
    """A connection of twenty seconds where two hours are usual warns at both ends, and each names the other."""
    memory = mesh()
    for instance in ALL:
        for other in ALL:
            name = other.partition(":")[0]
            young = {instance, other} == {ONE, TWO}
            if instance != other:
                memory.add("mesh_connection_duration_seconds", instance, 20 if young else 7200, peer=name)
    outcome = await ask("peers.connection-duration", memory)
    assert verdicts(outcome) == {ONE: Verdict.WARN, TWO: Verdict.WARN, THREE: Verdict.PASS}
    assert by_subject(outcome)[ONE].labels["peer"] == "trainer-2"
    assert "trainer-1" in by_subject(outcome)[TWO].message


async def test_peers_connection_duration_passes_a_mesh_that_has_just_started():
    """Where all connections are young none stands out."""
    memory = mesh()
    for instance, age in zip(ALL, (12, 15, 18), strict=True):
        memory.add("mesh_connection_duration_seconds", instance, age)
    assert set(verdicts(await ask("peers.connection-duration", memory)).values()) == {Verdict.PASS}


async def test_peers_connection_duration_reads_histograms_too():
    """In a mesh with buckets the fifth percentile of a node is held against the median of all."""
    memory = mesh()
    for instance, short in zip(ALL, (0.0, 0.0, 0.9), strict=True):
        for bound, share in (("5", short), ("3600", short), ("7200", 1.0), ("+Inf", 1.0)):
            grown = lambda age, share=share: int((10_800 - age) * share)  # noqa: E731
            memory.add("mesh_connection_duration_seconds_bucket", instance, grown, le=bound)
    assert verdicts(await ask("peers.connection-duration", memory)) == {
        ONE: Verdict.PASS,
        TWO: Verdict.PASS,
        THREE: Verdict.WARN,
    }


@pytest.mark.parametrize("direct", [False, True])
async def test_peers_connection_duration_of_a_histogram_in_which_nothing_ended_is_skipped(direct):
    """Connections are counted when they end: none in the window is what a healthy mesh looks like."""
    memory = mesh(direct=direct)
    for instance in ALL:
        for bound in ("60", "+Inf"):
            memory.add("mesh_connection_duration_seconds_bucket", instance, 100, le=bound)
    outcome = await ask("peers.connection-duration", memory)
    assert set(verdicts(outcome).values()) == {Verdict.SKIP}
    assert (outcome.verdict, outcome.summary) == (Verdict.SKIP, "not looked at: no connection has ended lately")


async def test_peers_bandwidth_warns_of_the_silent_node():
    """No traffic while the others have it."""
    memory = mesh()
    for instance, rate in zip(ALL, (4e6, 3e6, 0), strict=True):
        memory.add("mesh_bandwidth_bytes_per_second", instance, rate)
    outcome = await ask("peers.bandwidth", memory)
    assert verdicts(outcome) == {ONE: Verdict.PASS, TWO: Verdict.PASS, THREE: Verdict.WARN}


class Ports:
    """Probes with known answers, by the host of the address."""

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    async def probe(self, targets, plan=None, on_answer=None):
        self.asked.append((targets, plan))
        return tuple(probed(one, *self.answers[one.address.partition(":")[0]]) for one in targets)


def probed(target, times=(), trouble=None, **more):
    """What connects to a target came to: each time an answer, and a failure where there is a trouble."""
    sent = len(times) + (trouble is not None)
    return Probed(target, Method.TCP if times else None, "", sent, tuple(times), trouble, **more)


async def test_peers_latency_says_nothing_of_the_past():
    """A port that is closed now was not necessarily closed then: with --at it is not tried."""
    outcome = await ask("peers.latency", mesh((ONE,)), at=NOW - timedelta(hours=4))
    assert outcome.verdict is Verdict.SKIP
    assert "not the moment that was asked about" in outcome.summary


def four_ports_and_one_bare():
    memory = mesh(())
    for name, up in (("one", 1), ("two", 1), ("three", 1), ("down", 0)):
        memory.add("up", f"{name}:9091", up, peer_address=f"{name}:4001", node=name)
    memory.add("up", "bare:9091", 1)
    return memory


async def test_peers_latency_tries_every_peer_port():
    """Quick passes, slow warns, refused fails; a node without address and one that is down are skipped."""
    ports = Ports(one=((0.001, 0.002),), two=((0.2, 0.3, 0.25),), three=((), ProbeTrouble.REFUSED))
    outcome = await ask("peers.latency", four_ports_and_one_bare(), sources=Sources(probe=ports))
    assert verdicts(outcome) == {
        "one:9091": Verdict.PASS,
        "two:9091": Verdict.WARN,
        "three:9091": Verdict.FAIL,
        "down:9091": Verdict.SKIP,
        "bare:9091": Verdict.SKIP,
    }
    assert by_subject(outcome)["two:9091"].value == 0.25
    assert by_subject(outcome)["two:9091"].observed == NOW
    assert outcome.evidence[0].command == "nc -zvw 1 three 4001"
    assert "ss -tlnp" in outcome.hint
    ((targets, plan),) = ports.asked
    assert [one.address for one in targets] == ["one:4001", "three:4001", "two:4001"]
    assert plan.methods == (Method.TCP,)


async def test_peers_loss_warns_of_a_few_connects_and_fails_of_many():
    """One connect of three that fails is a warning: it is too few to fail by."""
    ports = Ports(one=((0.001, 0.002, 0.001),), two=((0.002, 0.001), ProbeTrouble.TIMEOUT), three=((), "timeout"))
    outcome = await ask("peers.loss", four_ports_and_one_bare(), sources=Sources(probe=ports))
    found = verdicts(outcome)
    assert [found[f"{name}:9091"] for name in ("one", "two", "three")] == [Verdict.PASS, Verdict.WARN, Verdict.SKIP]
    assert by_subject(outcome)["two:9091"].value == pytest.approx(1 / 3)
    assert "1 of 3 probes are lost" in by_subject(outcome)["two:9091"].message


async def test_peers_jitter_is_not_told_from_three_answers():
    """Three connects are too few, and that is no pass."""
    ports = Ports(**dict.fromkeys(("one", "two", "three"), ((0.001, 0.2, 0.001),)))
    outcome = await ask("peers.jitter", four_ports_and_one_bare(), sources=Sources(probe=ports))
    assert outcome.verdict is Verdict.SKIP


def roster_of(*names):
    return Roster.of(Node(f"{name}:9091", name, peer=f"{name}:4001") for name in names)


def test_a_hostile_peer_address_is_quoted():
    """A label value with shell syntax in it stays a word of the printed command."""
    hostile = probed(Target("$(reboot):4001; true", instance="x:9091"), (), ProbeTrouble.BAD_ADDRESS)
    outcome = probes_outcome([hostile], judge_latency([hostile], LIMITS, Standout(), fleet=True), roster_of(), FEW, NOW)
    assert outcome.evidence[0].command == "nc -zvw 1 '$(reboot)' '4001; true'"


def test_fakes_keep_to_the_real_signature():
    """The fake probes as the real one is called."""
    from inspect import signature

    from meshdiag.sources.probing import Prober

    assert signature(Ports.probe).parameters.keys() == signature(Prober.probe).parameters.keys()


async def test_of_several_nodes_the_summary_names_the_worst_and_counts_the_others():
    """One headline for many: who, how much, and how many more."""
    memory = mesh()
    for instance, peers in zip(ALL, (2, 1, 8), strict=True):
        memory.add("mesh_peer_count", instance, peers)
    assert (await ask("peers.count", memory)).summary == "trainer-2: the node has too few peers (1), and 1 more"
