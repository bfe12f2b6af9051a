"""Every fault of the lab: what it does to the mesh, on which nodes, and what meshdiag should say of it.

A fault is a function marked with ``@fault``: it changes a freshly built mesh and returns its expectations, the
consequences that a real mesh would show included. Marking it is all that adding one takes. Which nodes are
hit follows from the seed; several faults choose different nodes as long as there are enough.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag import catalog
from meshdiag.catalog import Role
from meshdiag.errors import UsageError
from meshdiag.lab.signals import Both, Faster, Flapping, GrownSince, Line, Steady, Stopped, Toward, Wave, mix
from meshdiag.lab.simulation import DAY_S, LABELLED_PEERS, ROUND_BUCKETS, Family, Series, Stream, histogram
from meshdiag.model import Verdict
from meshdiag.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from meshdiag.catalog import Metric
    from meshdiag.lab.signals import Signal
    from meshdiag.lab.simulation import Mesh, Node

BEGAN_AGO_S = 25 * 60.0
"""Faults begin so long before the lab does: longer than any alert rule of the mesh waits (15 minutes)."""

SKEW_S = 120.0
SLOW_ROUND_S = 10.0
"""A node whose rounds take longer observes slow ones, as the rule HighConsensusLatency says."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a check should say: its verdict, on which nodes (names; none means the mesh as a whole).

    ``needs`` is what the check must be able to ask for it: ``metrics``, ``prometheus``, ``history`` (Prometheus
    with a past), ``logs`` or ``wire`` (a look at the nodes' peer ports). An expectation that is not ``certain`` may
    be said and need not.
    """

    check: str
    verdict: Verdict
    nodes: tuple[str, ...] = ()
    needs: str = "metrics"
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``hits`` is how many nodes it hits (none: the whole mesh), ``among`` the roles it picks from,
    ``leads`` whether they must be nodes that lead rounds, ``adjacent`` whether they must be neighbours."""

    name: str
    description: str
    change: Callable[[Mesh, Sequence[Node], float], list[Expectation]]
    hits: int = 1
    among: frozenset[Role] = frozenset({Role.TRAINER})
    leads: bool = False
    adjacent: bool = False


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault that was put into a mesh: the nodes it hit, and what should be said."""

    fault: Fault
    nodes: tuple[str, ...]
    expects: tuple[Expectation, ...]


FAULTS: dict[str, Fault] = {}


def fault(
    name: str,
    description: str,
    *,
    hits: int = 1,
    among: Iterable[Role] = (Role.TRAINER,),
    leads: bool = False,
    adjacent: bool = False,
) -> Callable[[Callable[[Mesh, Sequence[Node], float], list[Expectation]]], Fault]:
    """Mark a function as a fault; see ``Fault`` for the fields."""

    def mark(change: Callable[[Mesh, Sequence[Node], float], list[Expectation]]) -> Fault:
        made = Fault(name, description, change, hits, frozenset(among), leads, adjacent)
        FAULTS[name] = made
        return made

    return mark


def find_fault(name: str) -> Fault:
    """The fault of that name. Raises ``UsageError`` with the nearest names."""
    if name in FAULTS:
        return FAULTS[name]
    hint = did_you_mean(name, FAULTS, "'meshdiag lab faults' lists them", most=3, cutoff=0.5)
    raise UsageError(f"no fault is called {name!r}", hint=hint)


def inject(mesh: Mesh, names: Iterable[str]) -> list[Injected]:
    """Put faults into a freshly built mesh, in the order of ``FAULTS`` whatever the order of ``names``."""
    wanted = {find_fault(name).name for name in names}
    taken: set[str] = set()
    injected = []
    for one in FAULTS.values():
        if one.name in wanted:
            hit = _pick(mesh, one, taken)
            taken.update(node.name for node in hit)
            expects = one.change(mesh, hit, mesh.origin - BEGAN_AGO_S)
            injected.append(Injected(one, tuple(node.name for node in hit or mesh.nodes), tuple(expects)))
    return injected


def _pick(mesh: Mesh, fault_: Fault, taken: set[str]) -> list[Node]:
    """The nodes that a fault hits: settled by the seed and its name, nodes without a fault first."""
    draw = zlib.crc32(fault_.name.encode())
    fits = [
        node
        for node in mesh.up
        if node.role in fault_.among and (not fault_.leads or node.name in mesh.rounds.committee)
    ]
    fits.sort(key=lambda node: (node.name in taken, mix(mesh.seed, draw, node.index)))
    if fault_.adjacent:
        near = fits[0].peers[:LABELLED_PEERS]
        fits[1:] = sorted(fits[1:], key=lambda node: node.name not in near)
    return fits[: fault_.hits]


def _names(nodes: Iterable[Node]) -> tuple[str, ...]:
    return tuple(node.name for node in nodes)


def _level(value: float, node: Node, swing: float = 0.01) -> Wave:
    """A signal around ``value`` that trembles a little, differently on each node."""
    return Wave(value, swing, node.index * 37, (61.0, 211.0))


def _drive(node: Node, metric: Metric, target: Signal, onset: float, length_s: float = 30.0) -> None:
    """Move a metric from what it is to ``target``, beginning at ``onset``."""
    node.change(metric, lambda healthy: Toward(healthy, target, onset, length_s))


def _hasten(node: Node, metric: Metric, extra: float, onset: float) -> None:
    """Let a counter grow by ``extra`` more a second from ``onset`` on."""
    node.change(metric, lambda healthy: Faster(healthy, extra, onset))


def _log(mesh: Mesh, node: Node, what: str, every_s: float, onset: float, say: Callable[[float, int], str]) -> None:
    """Let a node write log records; ``what`` is level and component (``WARN network``)."""
    level, component = what.split()
    mesh.streams.append(Stream(node.name, level, component, every_s, say, onset))


# Nodes


@fault("node-down", "A trainer has died: its ports refuse connections.")
def node_down(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        node.down_since = onset
        mesh.rounds.out[node.name] = onset
        for peer in node.peers:
            mesh.cut(node, mesh.node(peer), onset)
        for family in node.families.values():
            for series in family.series:
                series.until = onset
    down = _names(hit)
    return [
        Expectation("nodes.up", Verdict.FAIL, down),
        Expectation("alerts.critical", Verdict.FAIL, down, "prometheus"),
        *_few_peers(mesh),
    ]


def _few_peers(mesh: Mesh, critical: Sequence[Node] = ()) -> list[Expectation]:
    """What is said of living nodes that have fewer than three peers left. An Alertmanager inhibits the warnings
    of those that have a ``critical`` alert as well."""
    few = [node for node in mesh.up if node.value(catalog.PEER_COUNT, mesh.origin) < 3]
    alone = [node for node in few if node.value(catalog.PEER_COUNT, mesh.origin) < 1]
    expects = [
        Expectation("peers.count", Verdict.FAIL if node in alone else Verdict.WARN, (node.name,)) for node in few
    ]
    warned = [(_names(node for node in few if node not in critical), True)]
    warned += [(_names(node for node in few if node in critical), False)]
    return [
        *expects,
        *(Expectation("alerts.warning", Verdict.WARN, names, "prometheus", sure) for names, sure in warned if names),
    ]


@fault("clock-skew", "A trainer's clock is two minutes ahead: on its page, in its Date header and in its log lines.")
def clock_skew(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        node.clock_ahead_s, node.clock_wrong_since = SKEW_S, onset
        _drive(node, catalog.CLOCK, Line(SKEW_S, 0, 1), onset, 1)
    return [Expectation("nodes.clock", Verdict.FAIL, _names(hit))]


@fault("metric-missing", "A trainer no longer exposes consensus_vote_success_rate.")
def metric_missing(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        for series in node.family(catalog.VOTE_SUCCESS).series:
            series.until = onset
    return [Expectation("consensus.vote-success", Verdict.UNKNOWN, _names(hit))]


# Capacity


@fault("high-memory", "A trainer uses 94 % of its memory.")
def high_memory(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        full = _level(0.94 * node.value(catalog.MEMORY_TOTAL, onset), node, 0.004)
        _drive(node, catalog.MEMORY, full, onset)
    return [
        Expectation("capacity.memory", Verdict.FAIL, _names(hit)),
        Expectation("alerts.critical", Verdict.FAIL, _names(hit), "prometheus"),
        Expectation("capacity.memory-trend", Verdict.WARN, _names(hit), "history", certain=False),
    ]


@fault("memory-leak", "A trainer's memory grows steadily: below the alert's threshold still, full within hours.")
def memory_leak(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    length_s = min(max(mesh.history_s, 3_600.0), 6 * 3_600.0)
    for node in hit:
        total = node.value(catalog.MEMORY_TOTAL, onset)
        grown = Line(0.76 * total, mesh.origin, 0.32 * total / length_s, 0.44 * total, 0.985 * total)
        _drive(node, catalog.MEMORY, grown, -math.inf)
    full_in_s = length_s * 0.24 / 0.32
    verdict = Verdict.FAIL if full_in_s < 4 * 3_600 else Verdict.WARN
    return [Expectation("capacity.memory-trend", verdict, _names(hit), "history")]


@fault("disk-full", "An aggregator's disk is 98.5 % full.", among=(Role.AGGREGATOR,))
def disk_full(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        full = Steady(0.985 * node.value(catalog.DISK_TOTAL, onset))
        _drive(node, catalog.DISK, full, onset)
    return [Expectation("capacity.disk", Verdict.FAIL, _names(hit))]


# Peers


@fault("partition", "Two nodes are cut off from the rest of the mesh and see only each other.", hits=2, adjacent=True)
def partition(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        mesh.rounds.out[node.name] = onset
        for peer in node.peers:
            if peer not in _names(hit):
                mesh.cut(node, mesh.node(peer), onset)
        left = max(0.15, node.value(catalog.PEER_COUNT, mesh.origin) / len(node.peers))
        for metric in (catalog.MESSAGES, catalog.BANDWIDTH):
            level = _level(left * node.value(metric, onset), node, 0.05)
            _drive(node, metric, level, onset)
        _lose_votes(node, 0.31, onset)
        _hasten(node, catalog.FAILED_ROUNDS, 1.9, onset)
    cut_off = _names(hit)
    return [
        *_few_peers(mesh, critical=hit),
        Expectation("peers.messages", Verdict.WARN, cut_off, "history", certain=False),
        Expectation("peers.bandwidth", Verdict.WARN, cut_off, "history", certain=False),
        *_failing_rounds(cut_off),
    ]


# Consensus


@fault("slow-consensus", "One slow link between two nodes: the rounds that one of them leads take 12 to 16 s.",
       hits=2, leads=True)  # fmt: skip
def slow_consensus(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    leader, voter = hit
    mesh.rounds.slow[leader.name] = onset
    for node, other in ((leader, voter), (voter, leader)):
        slow = _level(13.8 if node is leader else 13.1, node, 0.12)
        _drive(node, catalog.ROUND_DURATION, slow, onset)
        _flap(node, other, onset)
    _log(
        mesh, voter, "WARN network", 20, onset,
        lambda _t, k: f"link to {leader.name} is slow: {9 + k % 4}.{k % 10} s for a vote",
    )  # fmt: skip
    return [
        Expectation("consensus.round-duration", Verdict.WARN, _names(hit)),
        Expectation("alerts.warning", Verdict.WARN, _names(hit), "prometheus"),
        Expectation("peers.connection-duration", Verdict.WARN, _names(hit)),
        Expectation("consensus.slow-leaders", Verdict.WARN, (leader.name,), "logs"),
    ]


def _flap(node: Node, other: Node, onset: float) -> None:
    """Let the connection of ``node`` to ``other`` break every 45 seconds; it is among those it tells of."""
    series = node.family(catalog.CONNECTION_DURATION).series
    label = (("peer", other.name),)
    found = next((one for one in series if one.labels == label), None)
    if found is None:
        found = series[-1]
        found.labels = label
    found.signal = Flapping(found.signal, onset, 45.0)


@fault("consensus-failures", "Four of five consensus rounds fail, on every node.", hits=0)
def consensus_failures(mesh: Mesh, _hit: Sequence[Node], onset: float) -> list[Expectation]:
    mesh.rounds.failing = Toward(mesh.rounds.failing, Steady(0.78), onset, 1)
    for node in mesh.up:
        _hasten(node, catalog.FAILED_ROUNDS, 1.56, onset)
        _lose_votes(node, 0.52, onset)
    return _failing_rounds(_names(mesh.up))


def _lose_votes(node: Node, share: float, onset: float) -> None:
    _drive(node, catalog.VOTE_SUCCESS, _level(share, node), onset)


def _failing_rounds(nodes: tuple[str, ...]) -> list[Expectation]:
    return [
        Expectation("consensus.failed-rounds", Verdict.FAIL, nodes),
        Expectation("consensus.failed-share", Verdict.FAIL, nodes),
        Expectation("consensus.vote-success", Verdict.FAIL, nodes),
        Expectation("alerts.critical", Verdict.FAIL, nodes, "prometheus"),
    ]


@fault("leader-churn", "Leaders are elected anew every eight seconds, on every node.", hits=0)
def leader_churn(mesh: Mesh, _hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in mesh.up:
        _hasten(node, catalog.LEADER_ELECTIONS, 0.125, onset)
    committee = mesh.rounds.committee
    _log(
        mesh, mesh.node(committee[0]), "WARN consensus", 8, onset,
        lambda _t, k: f"leader {committee[k % len(committee)]} lost its lease, term {4_000 + k}",
    )  # fmt: skip
    return [Expectation("consensus.leader-elections", Verdict.FAIL, needs="history")]


@fault("byzantine", "A trainer votes both ways; the nodes that lead rounds flag it as Byzantine.", leads=True)
def byzantine(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    (liar,) = hit
    watchers = [mesh.node(name) for name in mesh.rounds.committee if name != liar.name]
    watchers = [node for node in watchers if not node.is_down]
    for place, node in enumerate(watchers):
        family = node.family(catalog.BYZANTINE)
        family.sole().until = onset
        family.series.append(Series(Steady(1), (("peer", liar.name),), since=onset))
        _log(
            mesh, node, "WARN consensus", 60 + place, onset,
            lambda t, _k: f"byzantine behaviour of {liar.name}: two votes in round {mesh.rounds.number_at(t)}",
        )  # fmt: skip
    return [
        Expectation("consensus.byzantine", Verdict.FAIL, (liar.name,)),
        Expectation("logs.byzantine", Verdict.WARN, (liar.name,), "logs"),
    ]


@fault(
    "histogram-shape",
    "Every node exposes consensus_round_duration_seconds as a histogram; the mesh itself is healthy.",
    hits=0,
)
def histogram_shape(mesh: Mesh, _hit: Sequence[Node], onset: float) -> list[Expectation]:
    name, text = catalog.ROUND_DURATION.name, catalog.ROUND_DURATION.help
    for node in mesh.nodes:
        slow = node.value(catalog.ROUND_DURATION, mesh.origin) > SLOW_ROUND_S
        series = _observed(node.family(catalog.ROUNDS).sole().signal, onset if slow else math.inf)
        for one in series:
            one.until = node.down_since
        node.families[name] = Family(name, "histogram", text, series)
    return [Expectation("alerts.blind-rules", Verdict.WARN, needs="prometheus")]


def _observed(rounds: Signal, slow_since: float) -> list[Series]:
    """The histogram of how long these rounds took; the ranges are those of ``Rounds.round``."""
    if slow_since == math.inf:
        return _spread(rounds, 2.0, 3.8)
    series = _spread(Stopped(rounds, slow_since), 2.0, 3.8)
    for one, slow in zip(series, _spread(GrownSince(rounds, slow_since), 12.0, 16.0), strict=True):
        one.signal = Both(one.signal, slow.signal)
    return series


def _spread(rounds: Signal, low: float, high: float) -> list[Series]:
    """The histogram of rounds whose durations are spread evenly from ``low`` to ``high`` seconds."""
    shares = {bound: min(1.0, max(0.0, (bound - low) / (high - low))) for bound in ROUND_BUCKETS}
    return list(histogram(rounds, shares, (low + high) / 2))


# Learning


@fault("accuracy-drop", "A trainer's model accuracy has fallen to 0.71.")
def accuracy_drop(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        low = _level(0.71, node)
        _drive(node, catalog.ACCURACY, low, onset, 60)
    return [
        Expectation("learning.accuracy", Verdict.WARN, _names(hit)),
        Expectation("learning.accuracy-spread", Verdict.WARN, _names(hit)),
        Expectation("learning.accuracy-drop", Verdict.FAIL, _names(hit), "history"),
        Expectation("alerts.warning", Verdict.WARN, _names(hit), "prometheus"),
    ]


@fault("training-stalled", "A trainer has finished no training round for 25 minutes.")
def training_stalled(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        node.change(catalog.TRAINING_ROUNDS, lambda healthy: Stopped(healthy, onset))
        for stream in mesh.streams:
            if stream.node == node.name and stream.component == "learning":
                stream.until = onset
    return [Expectation("learning.training-progress", Verdict.FAIL, _names(hit), "history")]


@fault("privacy-exhausted", "A trainer has used up 99.6 % of its privacy budget.")
def privacy_exhausted(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        spent = Line(0.996, mesh.origin, 0.004 / DAY_S, 0, 1)
        _drive(node, catalog.PRIVACY_BUDGET, spent, onset)
    return [
        Expectation("learning.privacy-budget", Verdict.FAIL, _names(hit)),
        Expectation("learning.privacy-pace", Verdict.FAIL, _names(hit), "history"),
    ]


# Security


@fault("auth-storm", "Eight authentications a second fail on an aggregator.", among=(Role.AGGREGATOR,))
def auth_storm(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        _hasten(node, catalog.AUTH_FAILURES, 8.0, onset)
        _log(
            mesh, node, "WARN security", 2.0, onset,
            lambda _t, k: f"authentication failed for 203.0.113.{k % 200}: bad token",
        )  # fmt: skip
    return [Expectation("security.auth-failures", Verdict.FAIL, _names(hit))]


@fault("attack", "A bootstrap node detects a Sybil attack.", among=(Role.BOOTSTRAP,))
def attack(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        for series in node.family(catalog.ATTACKS).series:
            if ("type", "sybil") in series.labels:
                series.signal = Faster(series.signal, 0.6, onset)
        _log(
            mesh, node, "WARN security", 5.0, onset,
            lambda _t, k: f"sybil attack suspected from 203.0.113.{k % 30}",
        )  # fmt: skip
    return [Expectation("security.attacks", Verdict.FAIL, _names(hit))]


@fault("cert-expiring", "A trainer's certificate expires in four days.")
def cert_expiring(mesh: Mesh, hit: Sequence[Node], _onset: float) -> list[Expectation]:
    for node in hit:
        _certify(mesh, node, 4.2)
    return [
        Expectation("security.certificates", Verdict.FAIL, _names(hit)),
        Expectation("certs.expiry", Verdict.FAIL, _names(hit), "wire"),
    ]


@fault("cert-expired", "A trainer's certificate expired two days ago, and it serves it still.")
def cert_expired(mesh: Mesh, hit: Sequence[Node], _onset: float) -> list[Expectation]:
    for node in hit:
        _certify(mesh, node, -2.3)
    return [
        Expectation("security.certificates", Verdict.FAIL, _names(hit)),
        Expectation("certs.expiry", Verdict.FAIL, _names(hit), "wire"),
    ]


@fault("cert-wrong-host", "A trainer serves the certificate of a host that is gone: it names no address of its own.")
def cert_wrong_host(mesh: Mesh, hit: Sequence[Node], _onset: float) -> list[Expectation]:
    for node in hit:
        node.served_host = "retired-node.mesh.example"
    return [Expectation("certs.host", Verdict.FAIL, _names(hit), "wire")]


@fault(
    "cert-not-reloaded",
    "A trainer's certificate was renewed and not reloaded: its metric says 41 days, its peer port serves 3.",
)
def cert_not_reloaded(mesh: Mesh, hit: Sequence[Node], _onset: float) -> list[Expectation]:
    for node in hit:
        _certify(mesh, node, 41.0, served_days=3.0)
    return [
        Expectation("certs.metric-truth", Verdict.FAIL, _names(hit), "wire"),
        Expectation("certs.expiry", Verdict.FAIL, _names(hit), "wire"),
    ]


def _certify(mesh: Mesh, node: Node, told_days: float, served_days: float | None = None) -> None:
    """Let a node tell of a certificate with so many days left when the lab begins, and serve it, or another one."""
    _drive(node, catalog.CERT_EXPIRY, Line(told_days, mesh.origin, -1 / DAY_S), -math.inf)
    node.served_days = served_days


# Logs


@fault("error-burst", "A trainer logs two errors a second: it cannot write its checkpoints.")
def error_burst(mesh: Mesh, hit: Sequence[Node], onset: float) -> list[Expectation]:
    for node in hit:
        _log(
            mesh, node, "ERROR storage", 0.5, onset,
            lambda _t, k: f"checkpoint {k} not written: disk i/o timeout after 30 s",
        )  # fmt: skip
    return [Expectation("logs.errors", Verdict.FAIL, _names(hit), "logs")]
