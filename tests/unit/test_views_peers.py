"""The table of peers: who is probed, what a row says, how looks add up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from meshdiag.checks import select
from meshdiag.checks.inputs import Inputs
from meshdiag.context import CheckSettings, Context, NodeAddress
from meshdiag.errors import SourceError, Trouble
from meshdiag.model import Verdict
from meshdiag.sources import Sources
from meshdiag.sources.probing import Answer, Method, Plan, Probed, ProbeTrouble, Target
from meshdiag.views.peers import COLUMNS, Peers, joined, row_of, trouble_text
from tests.unit.memory_metrics import NOW, mesh

CHECKS = select(("peers.latency", "peers.loss", "peers.jitter"))


class Probes:
    """Probes that all answer in a millisecond, one that is told apart."""

    def __init__(self, **slow_s: float) -> None:
        self.slow_s, self.asked = slow_s, []

    async def probe(self, targets: Any, plan: Any = None, on_answer: Any = None) -> tuple[Probed, ...]:
        """The answers."""
        self.asked.append(tuple(targets))
        return tuple(
            Probed(one, Method.ICMP, "10.0.0.1", 10, (self.slow_s.get(one.name, 0.001),) * 10) for one in targets
        )


def inputs(probes: Any, *, prometheus: Any = None, **context: Any) -> Inputs:
    """What the view is handed."""
    sources = Sources(probe=probes, prometheus=prometheus)
    return Inputs(replace(Context(), **context), sources, NOW, timedelta(hours=1))


LISTED = (NodeAddress("http://a:9091/metrics", "a:9091", "a", "Trainer", peer="a:4001"),)


async def test_prometheus_names_the_peers_up_or_not() -> None:
    """A node that is down is the one to be probed; its labels and the configuration's go with it."""
    memory = mesh(())
    memory.add("up", "one:9091", 1, peer_address="one:4001", node="one", role="trainer")
    memory.add("up", "two:9091", 0, peer_address="two:4001", node="two", role="trainer")
    probes, peers = Probes(), Peers(Plan(), CHECKS)
    table = await peers.table(inputs(probes, prometheus=memory))
    (targets,) = probes.asked
    assert targets == (
        Target("one:4001", "one", "trainer", "one:9091", "http://one:9091/metrics"),
        Target("two:4001", "two", "trainer", "two:9091", "http://two:9091/metrics"),
    )  # fmt: skip
    assert [row["peer"] for row in table.rows] == ["one", "two"]
    assert peers.notes == []


async def test_without_a_peer_address_the_page_s_port_is_probed_and_that_is_said() -> None:
    """Something is known of such a node: where its page is."""
    memory = mesh(("bare:9091",))
    probes, peers = Probes(), Peers(Plan(), CHECKS)
    await peers.table(inputs(probes, prometheus=memory))
    assert [(one.address, one.url) for one in probes.asked[0]] == [("bare:9091", "")]
    assert "no peer address is known" in peers.notes[0]


class Broken:
    """A Prometheus that does not answer."""

    async def instant(self, *_asked: object) -> Any:
        """Fail."""
        raise SourceError("Prometheus: connection refused", trouble=Trouble.REFUSED)


@pytest.mark.parametrize("prometheus", [Broken(), mesh(()), None])
async def test_without_prometheus_the_configuration_names_the_peers(prometheus: Any) -> None:
    """It works when the monitoring does not, and says whom it asked."""
    probes, peers = Probes(), Peers(Plan(), CHECKS)
    await peers.table(inputs(probes, prometheus=prometheus, nodes=LISTED))
    assert probes.asked == [(Target("a:4001", "a", "trainer", "a:9091", "http://a:9091/metrics"),)]
    assert bool(peers.notes) is (prometheus is not None)


async def test_nobody_to_probe_is_an_error_with_advice() -> None:
    """No peers is not the same as no trouble."""
    with pytest.raises(SourceError, match="no peer is known"):
        await Peers(Plan(), CHECKS).table(inputs(Probes(), nodes=()))


async def test_rows_are_worst_first_and_judged_by_the_configuration() -> None:
    """The verdict of a row is the worst that any check says, with the thresholds in force."""
    targets = tuple(Target(f"{name}:4001", name) for name in "abc")
    probes = Probes(b=0.08, c=0.2)
    asked = inputs(probes, checks={"peers.latency": CheckSettings(warn=0.05, fail=0.1)})
    peers = Peers(Plan(), CHECKS, targets)
    table = await peers.table(asked)
    assert [(row["peer"], row["verdict"]) for row in table.rows] == [
        ("c", Verdict.FAIL), ("b", Verdict.WARN), ("a", Verdict.PASS),
    ]  # fmt: skip
    outcomes = [await check.run(asked) for check in peers.checks]
    assert len(probes.asked) == 1, "probed once for all checks and the table"
    assert [len(outcome.findings) for outcome in outcomes] == [3, 3, 3]


def test_a_row_has_every_promised_key() -> None:
    """What scripts read: raw seconds and shares, the stages by name."""
    target = Target("10.0.0.1:4001", "trainer-1", "trainer", "10.0.0.1:9091")
    row = row_of(
        Probed(target, Method.TLS, "10.0.0.1", 4, (0.01, 0.03), None, (), {"connect": 0.002, "tls": 0.01}), Verdict.WARN
    )
    assert {
        "peer", "node", "role", "address", "ip", "method", "sent", "received", "loss", "min_s", "median_s", "p95_s",
        "max_s", "jitter_s", "verdict", "trouble", "stages",
    } <= set(row)  # fmt: skip
    assert (row["sent"], row["received"], row["loss"], row["median_s"]) == (4, 2, 0.5, 0.02)
    assert (row["stages"], row["tls_s"], row["connect_s"]) == ({"connect": 0.002, "tls": 0.01}, 0.01, 0.002)
    assert {one.key for one in COLUMNS} <= set(row)


def test_troubles_are_words_of_method_and_reason() -> None:
    """``port refused``, ``icmp timeout``: short, and always the same."""
    target = Target("h:1")
    closed = Answer(Method.TCP, trouble=ProbeTrouble.REFUSED)
    assert trouble_text(Probed(target, Method.ICMP, sent=1, times_s=(0.1,), port=closed)) == "port refused"
    tried = ((Method.ICMP, "timeout"), (Method.TCP, "refused"))
    assert trouble_text(Probed(target, trouble=ProbeTrouble.REFUSED, tried=tried)) == "icmp timeout, tcp refused"
    assert trouble_text(Probed(target, trouble=ProbeTrouble.UNKNOWN_HOST)) == "unknown-host"
    assert trouble_text(Probed(target, Method.TCP, sent=1, times_s=(0.1,))) == ""


def test_looks_add_up() -> None:
    """Probes of a watch are counted together; silence counts as loss; times of two methods are never mixed."""
    target = Target("h:1")
    good = Probed(target, Method.ICMP, "10.0.0.1", 3, (0.1, 0.2, 0.3))
    silent = Probed(target, None, "10.0.0.1", 3, (), ProbeTrouble.TIMEOUT, ((Method.ICMP, "timeout"),))
    by_tcp = Probed(target, Method.TCP, "10.0.0.1", 3, (0.5,))
    assert joined(None, good) is good
    assert (joined(good, good).sent, joined(good, good).received) == (6, 6)
    for both in (joined(good, silent), joined(silent, good)):
        assert (both.sent, both.received, both.method) == (6, 3, Method.ICMP)
    assert joined(good, by_tcp) is by_tcp


@pytest.mark.parametrize(
    ("typed", "probed"),
    [
        ("a", Target("a:4001", "a", "trainer", "a:9091", "http://a:9091/metrics")),
        ("?", Target("a:4001", "a", "trainer", "a:9091", "http://a:9091/metrics")),
        ("a:22", Target("a:22", "a", "trainer", "a:9091")),
        ("a:4001", Target("a:4001", "a", "trainer", "a:9091", "http://a:9091/metrics")),
        ("stranger", Target("stranger")),
    ],
)
async def test_a_node_is_known_by_its_name(typed: str, probed: Target) -> None:
    """A name, a glob or an address of the configuration is that node, with its role and instance; what is none stays
    as it was typed, whether or not Prometheus answers."""
    probes, peers = Probes(), Peers(Plan(), CHECKS, (Target(typed),))
    await peers.table(inputs(probes, prometheus=Broken(), nodes=LISTED))
    assert probes.asked == [(probed,)]
    assert peers.notes == []


async def test_prometheus_knows_names_that_the_configuration_does_not() -> None:
    """A glob is each node of which the name fits, once."""
    memory = mesh(())
    for name in ("one", "other"):
        memory.add("up", f"{name}:9091", 1, peer_address=f"{name}:4001", node=name, role="trainer")
    probes, peers = Probes(), Peers(Plan(), CHECKS, (Target("o*"), Target("one"), Target("10.0.0.9:1")))
    await peers.table(inputs(probes, prometheus=memory, nodes=()))
    assert [one.address for one in probes.asked[0]] == ["one:4001", "other:4001", "10.0.0.9:1"]
