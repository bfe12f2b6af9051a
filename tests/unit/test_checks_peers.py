"""Checks of peers: counts, messages against an hour ago, links that flap, ports that answer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meshdiag.checks.peers import judge_connects
from meshdiag.checks.readings.roster import Node, Roster
from meshdiag.model import Threshold, Verdict, at_most
from meshdiag.sources import Sources
from meshdiag.sources.tcp import Connect
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
    """Connects with known answers."""

    def __init__(self, **answers):
        self.answers = {f"{name}:4001": Connect(f"{name}:4001", *answer) for name, answer in answers.items()}

    async def measure(self, addresses, *, count=3, timeout_s=1.0):
        return {address: self.answers[address] for address in addresses}


async def test_peers_latency_says_nothing_of_the_past():
    """A port that is closed now was not necessarily closed then: with --at it is not tried."""
    outcome = await ask("peers.latency", mesh((ONE,)), at=NOW - timedelta(hours=4))
    assert outcome.verdict is Verdict.SKIP
    assert "not the moment that was asked about" in outcome.summary


async def test_peers_latency_tries_every_peer_port():
    """Quick passes, slow warns, refused fails; a node without address and one that is down are skipped."""
    memory = mesh(())
    for name, up in (("one", 1), ("two", 1), ("three", 1), ("down", 0)):
        memory.add("up", f"{name}:9091", up, peer_address=f"{name}:4001", node=name)
    memory.add("up", "bare:9091", 1)
    ports = Ports(one=((0.001, 0.002),), two=((0.2, 0.3, 0.25),), three=((), "refused"))
    outcome = await ask("peers.latency", memory, sources=Sources(connect=ports))
    assert verdicts(outcome) == {
        "one:9091": Verdict.PASS,
        "two:9091": Verdict.WARN,
        "three:9091": Verdict.FAIL,
        "down:9091": Verdict.SKIP,
        "bare:9091": Verdict.SKIP,
    }
    assert by_subject(outcome)["two:9091"].value == 0.25
    assert "nc -zvw 1 three 4001" in outcome.evidence[0].command


def roster_of(*names):
    return Roster.of(Node(f"{name}:9091", name, peer=f"{name}:4001") for name in names)


@pytest.mark.parametrize(
    ("trouble", "word"), [("timeout", "firewall"), ("unreachable", "route"), ("refused", "listens")]
)
def test_a_port_that_does_not_answer_fails_when_others_do(trouble, word):
    """Each way of not answering is told apart."""
    connects = {"a:4001": Connect("a:4001", (0.01,)), "b:4001": Connect("b:4001", (), trouble)}
    findings = judge_connects(roster_of("a", "b"), connects, LIMITS)
    assert [finding.verdict for finding in findings] == [Verdict.PASS, Verdict.FAIL]
    assert word in findings[1].message


def test_ports_that_all_time_out_say_that_this_machine_is_outside():
    """When nothing can be reached from here, nothing is known of the links."""
    connects = {f"{name}:4001": Connect(f"{name}:4001", (), "timeout") for name in "ab"}
    findings = judge_connects(roster_of("a", "b"), connects, LIMITS)
    assert {finding.verdict for finding in findings} == {Verdict.UNKNOWN}


def test_a_name_that_is_unknown_here_is_unknown():
    """A peer address that this machine cannot look up says nothing of the node."""
    connects = {"a:4001": Connect("a:4001", (0.01,)), "b:4001": Connect("b:4001", (), "unknown-host")}
    assert judge_connects(roster_of("a", "b"), connects, LIMITS)[1].verdict is Verdict.UNKNOWN


def test_a_port_that_answers_now_and_then_warns():
    """Some connects that fail are a warning, however quick the others are."""
    (finding,) = judge_connects(roster_of("a"), {"a:4001": Connect("a:4001", (0.01,), "timeout")}, LIMITS)
    assert finding.verdict is Verdict.WARN


def test_a_hostile_peer_address_is_quoted():
    """A label value with shell syntax in it stays a word of the printed command."""
    from meshdiag.checks.peers import connect_evidence

    node = Node("x:9091", "x", peer="$(reboot):4001; true")
    findings = judge_connects(Roster.of([node]), {node.peer: Connect(node.peer, (), "bad-address")}, LIMITS)
    (evidence,) = connect_evidence(findings)
    assert evidence.command == "nc -zvw 1 '$(reboot)' '4001; true'"


def test_fakes_keep_to_the_real_signature():
    """The fake connects as the real one is called."""
    from inspect import signature

    from meshdiag.sources.tcp import TcpConnect

    assert signature(Ports.measure).parameters.keys() == signature(TcpConnect.measure).parameters.keys()


async def test_of_several_nodes_the_summary_names_the_worst_and_counts_the_others():
    """One headline for many: who, how much, and how many more."""
    memory = mesh()
    for instance, peers in zip(ALL, (2, 1, 8), strict=True):
        memory.add("mesh_peer_count", instance, peers)
    assert (await ask("peers.count", memory)).summary == "trainer-2: the node has too few peers (1), and 1 more"
