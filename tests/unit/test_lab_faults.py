"""The faults: each changes what it says it does, on the node that it names, and little else."""

from __future__ import annotations

import math

import pytest

from meshdiag import catalog
from meshdiag.catalog import Metric
from meshdiag.errors import UsageError
from meshdiag.lab import LabOptions, simulate
from meshdiag.lab.alerting import CONDITIONS
from meshdiag.lab.faults import FAULTS, Injected
from meshdiag.lab.journals import records
from meshdiag.lab.simulation import Mesh, Node
from meshdiag.rules.builtin import mesh_rules

ORIGIN = 1_795_000_000.0
BEFORE = ORIGIN - 3_000
AFTER = ORIGIN + 5


def broken(name: str, nodes: int = 7, history_s: float = 3_600.0) -> tuple[Mesh, Injected, Node]:
    """A mesh with one fault, what was injected, and the first node that it hit."""
    mesh, (injected,) = simulate(LabOptions(nodes=nodes, faults=(name,), history_s=history_s), ORIGIN)
    return mesh, injected, mesh.node(injected.nodes[0])


def rate(node: Node, metric: Metric, moment: float = AFTER) -> float:
    """Growth a second over the five minutes before ``moment``."""
    return (node.value(metric, moment) - node.value(metric, moment - 300)) / 300


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("nodes", [4, 7, 40])
def test_every_fault_says_whom_it_hits_and_what_should_be_said(name: str, nodes: int) -> None:
    """Whatever the size of the mesh, a fault has nodes, a sentence, and expectations about nodes that exist."""
    mesh, injected, _node = broken(name, nodes)
    known = {node.name for node in mesh.nodes}
    assert set(injected.nodes) <= known
    assert injected.fault.description.endswith(".")
    assert any(one.certain for one in injected.expects)
    assert all(set(one.nodes) <= known for one in injected.expects)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_raises_the_alerts_that_it_expects_and_no_others(name: str) -> None:
    """The alert rules that hold in the broken mesh are those of the expected alert checks, on the same nodes."""
    mesh, injected, _node = broken(name)
    severities = {"alerts.critical": "critical", "alerts.warning": "warning"}
    expected = {
        (severities[one.check], node) for one in injected.expects if one.check in severities for node in one.nodes
    }
    raised = {
        (rule.labels["severity"], node.name)
        for rule in mesh_rules().rules
        for node in mesh.nodes
        if CONDITIONS[rule.name](node, ORIGIN)
    }
    assert raised == expected


@pytest.mark.parametrize(
    ("name", "metric", "low", "high"),
    [
        ("high-memory", catalog.MEMORY, 0.92 * 16 * 2**30, 0.96 * 16 * 2**30),
        ("memory-leak", catalog.MEMORY, 0.7 * 16 * 2**30, 0.8 * 16 * 2**30),
        ("disk-full", catalog.DISK, 0.98 * 200 * 2**30, 200 * 2**30),
        ("slow-consensus", catalog.ROUND_DURATION, 10.5, 17),
        ("accuracy-drop", catalog.ACCURACY, 0.69, 0.73),
        ("privacy-exhausted", catalog.PRIVACY_BUDGET, 0.995, 1.0),
        ("cert-expiring", catalog.CERT_EXPIRY, 4.0, 4.3),
        ("partition", catalog.PEER_COUNT, 1, 1),
        ("clock-skew", catalog.CLOCK, AFTER + 119, AFTER + 121),
    ],
)
def test_a_fault_moves_its_metric_on_its_node_alone(name: str, metric: Metric, low: float, high: float) -> None:
    """The value is where the fault says on the nodes it names, was not before it began, and is not elsewhere."""
    mesh, injected, node = broken(name)
    assert low <= node.value(metric, AFTER) <= high
    if name not in ("cert-expiring", "memory-leak"):
        assert not low <= node.value(metric, BEFORE) <= high
    for other in mesh.nodes:
        if other.name not in injected.nodes:
            assert not low <= other.value(metric, AFTER) <= high


@pytest.mark.parametrize(
    ("name", "metric", "low", "high"),
    [
        ("consensus-failures", catalog.FAILED_ROUNDS, 1.5, 1.6),
        ("leader-churn", catalog.LEADER_ELECTIONS, 0.1, 0.2),
        ("training-stalled", catalog.TRAINING_ROUNDS, 0, 0),
        ("auth-storm", catalog.AUTH_FAILURES, 7, 9),
    ],
)
def test_a_fault_moves_the_rate_of_its_counter(name: str, metric: Metric, low: float, high: float) -> None:
    """The counter grows at the pace that the fault says, and did not before it began."""
    _mesh, _injected, node = broken(name)
    assert low <= rate(node, metric) <= high
    assert not low <= rate(node, metric, BEFORE) <= high


def test_an_attack_is_of_one_type() -> None:
    """Of the attack counters only the Sybil one grows."""
    _mesh, _injected, node = broken("attack")
    growth = {
        dict(one.labels)["type"]: one.signal(AFTER) - one.signal(AFTER - 300)
        for one in node.family(catalog.ATTACKS).series
    }
    assert growth.pop("sybil") > 0
    assert set(growth.values()) == {0.0}


def test_the_accused_is_named_by_the_others() -> None:
    """With byzantine every other leader's page names the liar, and the liar's own names nobody."""
    mesh, _injected, liar = broken("byzantine")
    for node in mesh.nodes:
        present = [one for one in node.family(catalog.BYZANTINE).series if one.exists(AFTER)]
        named = [(dict(one.labels).get("peer"), one.signal(AFTER)) for one in present]
        assert named == ([(None, 0.0)] if node is liar else [(liar.name, 1.0)])


def test_a_slow_link_shows_at_both_ends_and_in_the_rounds_of_one_leader() -> None:
    """The connection between the two is young, all slow rounds have the same leader, and hers are all slow."""
    mesh, injected, leader = broken("slow-consensus")
    other = mesh.node(injected.nodes[1])
    for node, peer in ((leader, other), (other, leader)):
        (age,) = [
            one.signal(AFTER)
            for one in node.family(catalog.CONNECTION_DURATION).series
            if ("peer", peer.name) in one.labels
        ]
        assert 0 <= age <= 45
    rounds = [one.consensus for one in records(mesh, ORIGIN - 900, ORIGIN) if one.consensus]
    slow = {one["leader"] for one in rounds if one["duration_s"] > 10}
    assert slow == {leader.name}
    assert all(12 <= one["duration_s"] <= 16 for one in rounds if one["leader"] == leader.name)
    assert all(one["duration_s"] < 5 for one in rounds if one["leader"] != leader.name)


def test_a_dead_node_is_gone_from_everywhere() -> None:
    """It has no values any more, its peers have lost one, it leads no round and writes no log."""
    mesh, _injected, node = broken("node-down")
    assert math.isnan(node.value(catalog.CPU, AFTER))
    assert all(one.value(catalog.PEER_COUNT, AFTER) == len(mesh.nodes) - 2 for one in mesh.up)
    written = records(mesh, ORIGIN - 900, ORIGIN)
    assert written
    assert node.name not in {one.node for one in written}
    assert node.name not in {one.consensus["leader"] for one in written if one.consensus}


def test_a_leak_takes_as_long_as_there_is_history_for() -> None:
    """The longer the history, the slower the leak; it never gets past the machine's memory."""
    short, long = broken("memory-leak")[2], broken("memory-leak", history_s=6 * 3_600)[2]
    grown = [node.value(catalog.MEMORY, ORIGIN) - node.value(catalog.MEMORY, ORIGIN - 1_800) for node in (short, long)]
    assert grown[0] > 3 * grown[1] > 0
    assert short.value(catalog.MEMORY, ORIGIN + 1e6) < short.value(catalog.MEMORY_TOTAL, ORIGIN)


def test_errors_are_logged_by_the_broken_node_only() -> None:
    """A healthy mesh logs no error; with error-burst one node logs about two a second."""
    mesh, _injected, node = broken("error-burst")
    errors = [one for one in records(mesh, ORIGIN - 600, ORIGIN) if one.level == "ERROR"]
    assert {one.node for one in errors} == {node.name}
    assert 1_100 < len(errors) < 1_300
    healthy, _none = simulate(LabOptions(), ORIGIN)
    assert not [one for one in records(healthy, ORIGIN - 1_800, ORIGIN) if one.level == "ERROR"]


def test_faults_hit_different_nodes_whatever_their_order() -> None:
    """Several faults choose different nodes while there are enough, and the order of the flags does not matter."""
    names = ("high-memory", "cert-expiring", "accuracy-drop", "node-down")
    _mesh, injected = simulate(LabOptions(nodes=12, faults=names), ORIGIN)
    _mesh, turned = simulate(LabOptions(nodes=12, faults=names[::-1]), ORIGIN)
    hit = [node for one in injected for node in one.nodes]
    assert len(set(hit)) == len(hit) == 4
    assert [(one.fault.name, one.nodes) for one in injected] == [(one.fault.name, one.nodes) for one in turned]


def test_an_unknown_fault_is_refused_with_the_nearest_name() -> None:
    """A mistyped fault is wrong usage, and the sentence names what may have been meant."""
    with pytest.raises(UsageError, match="no fault is called 'byzantin'; did you mean byzantine"):
        simulate(LabOptions(faults=("byzantin",)), ORIGIN)
