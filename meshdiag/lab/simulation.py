"""The simulated mesh: its nodes and what each of them exposes, as functions of time.

Everything follows from the number of nodes, the seed and the moment the lab began; the same three give the
same mesh in every process. Faults (``faults.py``) change a mesh after it was built. No I/O.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import TYPE_CHECKING

from meshdiag import catalog
from meshdiag.catalog import Kind, Role
from meshdiag.lab.network.links import OBSERVER, Link, Links
from meshdiag.lab.rounds import FAILING, PERIOD_S, Rounds
from meshdiag.lab.signals import Count, Line, Share, Steady, Wave, mix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshdiag.catalog import Metric
    from meshdiag.lab.signals import Signal

DAY_S = 86_400.0
GIB = 2.0**30
FEWEST_NODES = 4
MOST_NODES = 2_000
FULL_MESH = 12
"""Up to so many nodes, each is connected with every other; beyond, with its ten neighbours on a ring."""
LABELLED_PEERS = 6
"""Of how many of its connections a node tells the age."""
COMMITTEE = 10
TRAINING_ROUND_S = 15.0
ROUND_BUCKETS = (0.5, 1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 10.0, 15.0, 20.0, 30.0)

RPC_SHARES = {
    0.001: 0.02, 0.005: 0.31, 0.01: 0.62, 0.025: 0.91, 0.05: 0.97, 0.1: 0.99, 0.25: 0.998, 0.5: 0.9995, 1.0: 1.0,
}  # fmt: skip
"""What share of remote calls takes at most so many seconds."""

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Series:
    """One series of a family: ``suffix`` is a histogram's part. It exists from ``since`` (included) up to
    ``until``."""

    signal: Signal
    labels: Labels = ()
    suffix: str = ""
    since: float = -math.inf
    until: float = math.inf

    def exists(self, moment: float) -> bool:
        """Whether a page served at that moment has it."""
        return self.since <= moment < self.until


@dataclass(slots=True)
class Family:
    """A metric family on a page. ``form`` is how its values are written; ``filler`` are the ordinary metrics
    of a process, which history leaves out."""

    name: str
    type: str
    help: str
    series: list[Series]
    form: str = "%.6g"
    filler: bool = False

    def sole(self) -> Series:
        """Its first series, for families that have one."""
        return self.series[0]


class Watching(Enum):
    """What is broken in the servers that watch a mesh."""

    BLIND = "Prometheus reads no node"
    NO_ALERTMANAGER = "no Alertmanager listens"
    BROKEN_RULE = "a rule cannot be evaluated"
    BROKEN_DATASOURCE = "Grafana's datasource names a port where nobody listens"


@dataclass(slots=True)
class Node:
    """One node. ``down_since`` is when it died; ``clock_ahead_s`` is how far its clock is wrong; ``lost`` tells
    since when a peer is no longer connected. The certificate that it serves is for it and for as long as its metric
    says, unless ``served_days`` (left when the lab begins) or ``served_host`` say otherwise. ``answers_late_s`` is
    how much later its peer port answers where no network of the lab's own makes it late."""

    index: int
    name: str
    role: Role
    start: float
    peers: tuple[str, ...] = ()
    families: dict[str, Family] = field(default_factory=dict)
    down_since: float = math.inf
    clock_ahead_s: float = 0.0
    clock_wrong_since: float = math.inf
    lost: dict[str, float] = field(default_factory=dict)
    served_days: float | None = None
    served_host: str = ""
    answers_late_s: float = 0.0

    @property
    def is_down(self) -> bool:
        """Whether it is dead while the lab runs."""
        return self.down_since < math.inf

    def family(self, metric: Metric) -> Family:
        """The family of a catalogued metric on this node's page."""
        return self.families[metric.name]

    def change(self, metric: Metric, wrap: Callable[[Signal], Signal]) -> None:
        """Replace the signals of a metric by what ``wrap`` makes of them."""
        for series in self.family(metric).series:
            series.signal = wrap(series.signal)

    def value(self, metric: Metric, moment: float) -> float:
        """The largest value of a metric's series at that moment; NaN where it has none."""
        family = self.families.get(metric.name)
        values = [one.signal(moment) for one in family.series if one.exists(moment)] if family else []
        return max(values, default=math.nan)


@dataclass(slots=True)
class Stream:
    """Log records that a node writes over and over, one every ``every_s`` seconds on average, from ``since`` up to
    ``until``. ``say`` makes the message from the moment and the record's number."""

    node: str
    level: str
    component: str
    every_s: float
    say: Callable[[float, int], str]
    since: float = -math.inf
    until: float = math.inf


@dataclass(slots=True)
class Mesh:
    """The whole mesh. ``origin`` is when the lab began: pages are live from then on, history lies before."""

    nodes: list[Node]
    seed: int
    origin: float
    history_s: float
    rounds: Rounds
    links: Links
    streams: list[Stream] = field(default_factory=list)
    watching: set[Watching] = field(default_factory=set)
    _by_name: dict[str, Node] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._by_name = {node.name: node for node in self.nodes}

    def node(self, name: str) -> Node:
        """The node of that name."""
        return self._by_name[name]

    def link(self, one: str, other: str) -> Link:
        """What happens to packets from one machine to another: nodes by name, or the observer's."""
        indexes = (-1 if name == OBSERVER else self.node(name).index for name in (one, other))
        return self.links.unlike.get((one, other)) or Link(sum(map(self.links.distance_s, indexes)))

    @property
    def up(self) -> list[Node]:
        """The nodes that live."""
        return [node for node in self.nodes if not node.is_down]

    def cut(self, one: Node, other: Node, onset: float) -> None:
        """End the connection between two nodes at ``onset``, if they have one."""
        for node, peer in ((one, other), (other, one)):
            if peer.name not in node.peers or peer.name in node.lost:
                continue
            node.lost[peer.name] = onset
            for series in node.family(catalog.CONNECTION_DURATION).series:
                if ("peer", peer.name) in series.labels:
                    series.until = onset


def build_mesh(nodes: int, seed: int, origin: float, history_s: float) -> Mesh:
    """A healthy mesh of so many nodes."""
    starts_before = origin - history_s - DAY_S
    members = [
        Node(index, name, role, start=starts_before - mix(seed, index) % (12 * 86_400))
        for index, (name, role) in enumerate(_names(nodes))
    ]
    rounds = Rounds(seed, origin - history_s - 40 * DAY_S, tuple(_committee(members)))
    mesh = Mesh(members, seed, origin, history_s, rounds, Links(seed))
    for node in members:
        node.peers = tuple(_peers(members, node))
        node.families = {family.name: family for family in _families(mesh, node)}
    return mesh


def _names(nodes: int) -> Iterator[tuple[str, Role]]:
    bootstraps = max(1, nodes // 50)
    aggregators = max(1, round(nodes / 4))
    counts = {
        Role.BOOTSTRAP: bootstraps,
        Role.TRAINER: nodes - bootstraps - aggregators,
        Role.AGGREGATOR: aggregators,
    }
    for role, count in counts.items():
        for number in range(1, count + 1):
            yield f"{role}-{number}", role


def _committee(nodes: list[Node]) -> list[str]:
    """Up to ten nodes that lead rounds, spread over the roles."""
    step = max(1, len(nodes) // COMMITTEE)
    return [node.name for node in nodes[::step]][:COMMITTEE]


def _peers(nodes: list[Node], node: Node) -> list[str]:
    """The names of a node's peers, the nearest on the ring first."""
    furthest = len(nodes) // 2 if len(nodes) <= FULL_MESH else 5
    steps = [step for distance in range(1, furthest + 1) for step in (distance, -distance)]
    near = [nodes[(node.index + step) % len(nodes)].name for step in steps]
    return list(dict.fromkeys(near))  # in a ring of an even number both ways lead to the one opposite


@dataclass(frozen=True, slots=True)
class _PeersLeft:
    """How many peers a node has: all of them less those it has lost by then."""

    node: Node

    def __call__(self, moment: float) -> float:
        return len(self.node.peers) - sum(moment >= onset for onset in self.node.lost.values())


class _Maker:
    """Makes one node's families; each metric draws its own luck from the seed."""

    def __init__(self, mesh: Mesh, node: Node) -> None:
        self.mesh, self.node = mesh, node
        self.start = node.start
        self._random = Random(mix(mesh.seed, node.index, 1))

    def luck(self, low: float, high: float) -> float:
        """A number from ``low`` to ``high`` that belongs to this node."""
        return low + (high - low) * self._random.random()

    def wave(self, low: float, high: float, swing: float, periods: tuple[float, float] = (97.0, 1013.0)) -> Wave:
        """A wave around a level drawn from ``low`` to ``high``."""
        return Wave(self.luck(low, high), swing, int(self.luck(0, 1e6)), periods)

    def count(self, per_second: float) -> Count:
        """A counter of about that rate."""
        return Count(self.wave(0.9 * per_second, 1.1 * per_second, 0.3), self.start)

    def family(self, metric: Metric, *series: Series, form: str = "%.6g") -> Family:
        """A family under its name, type and help in the catalog."""
        kind = "counter" if metric.kind is Kind.COUNTER else "gauge"
        return Family(metric.name, kind, metric.help, list(series), "%d" if kind == "counter" else form)

    def one(self, metric: Metric, signal: Signal, form: str = "%.6g") -> Family:
        """A family of one series without labels."""
        return self.family(metric, Series(signal), form=form)


def _families(mesh: Mesh, node: Node) -> Iterator[Family]:
    make = _Maker(mesh, node)
    for part in (_system, _network, _consensus, _learning, _security, _filler):
        for family in part(make):
            metric = catalog.BY_NAME.get(family.name)
            if metric is None or node.role in metric.roles:
                yield family


def _system(make: _Maker) -> Iterator[Family]:
    memory, disk = 16 * GIB, 200 * GIB
    origin = make.mesh.origin
    # Short periods: a trend over half an hour sees a flat line, not a piece of a slow wave.
    used = Wave(make.luck(0.42, 0.58) * memory, 0.012, int(make.luck(0, 1e6)), (61.0, 211.0))
    yield make.one(catalog.CPU, make.wave(22, 48, 0.25))
    yield make.one(catalog.MEMORY, used, "%d")
    yield make.one(catalog.MEMORY_TOTAL, Steady(memory), "%d")
    yield make.one(catalog.DISK, Line(make.luck(0.35, 0.6) * disk, origin, make.luck(800, 3_000), 0, disk), "%d")
    yield make.one(catalog.DISK_TOTAL, Steady(disk), "%d")
    yield make.family(
        catalog.NETWORK,
        Series(make.count(make.luck(1.6e6, 2.6e6)), (("direction", "in"),)),
        Series(make.count(make.luck(1.4e6, 2.4e6)), (("direction", "out"),)),
    )
    yield make.one(catalog.START_TIME, Steady(make.start), "%.3f")
    yield make.one(catalog.CLOCK, Line(0, 0, 1), "%.3f")


def _network(make: _Maker) -> Iterator[Family]:
    node = make.node
    earliest = make.mesh.origin - make.mesh.history_s - DAY_S
    ages = [
        Series(Line(0, max(node.start, earliest + make.luck(0.1, 0.9) * DAY_S), 1), (("peer", peer),))
        for peer in node.peers[:LABELLED_PEERS]
    ]
    yield make.one(catalog.PEER_COUNT, _PeersLeft(node), "%d")
    yield make.one(catalog.MESSAGES, make.wave(6.5 * len(node.peers), 7.5 * len(node.peers), 0.08))
    yield make.family(catalog.CONNECTION_DURATION, *ages, form="%.3f")
    yield make.one(catalog.BANDWIDTH, make.wave(3.2e6, 4.6e6, 0.12), "%d")


def _consensus(make: _Maker) -> Iterator[Family]:
    yield make.one(catalog.ROUND_DURATION, make.wave(2.4, 3.4, 0.18))
    yield make.one(catalog.VOTE_SUCCESS, make.wave(0.985, 0.99, 0.006))
    yield make.one(catalog.LEADER_ELECTIONS, make.count(1 / 900))
    yield make.one(catalog.BYZANTINE, Steady(0), "%d")
    yield make.one(catalog.FAILED_ROUNDS, make.count(FAILING / PERIOD_S))
    yield make.one(catalog.ROUNDS, Line(0, make.start, 1 / PERIOD_S, low=0), "%d")


def _learning(make: _Maker) -> Iterator[Family]:
    yield make.one(catalog.TRAINING_ROUNDS, make.count(1 / TRAINING_ROUND_S))
    yield make.one(catalog.ACCURACY, make.wave(0.905, 0.925, 0.006))
    yield make.one(catalog.AGGREGATION_TIME, make.wave(3.5, 6.0, 0.2))
    spent = Line(make.luck(0.30, 0.45), make.mesh.origin, 0.004 / DAY_S, 0, 1)
    yield make.one(catalog.PRIVACY_BUDGET, spent, "%.9g")


def _security(make: _Maker) -> Iterator[Family]:
    expiry_days = make.luck(120, 330)
    yield make.one(catalog.AUTH_FAILURES, make.count(1 / 700))
    yield make.one(catalog.ENCRYPTION_OVERHEAD, make.wave(1.6, 3.2, 0.2))
    yield make.one(catalog.CERT_EXPIRY, Line(expiry_days, make.mesh.origin, -1 / DAY_S), "%.5f")
    yield make.family(
        catalog.ATTACKS,
        *(Series(Steady(0), (("type", kind),)) for kind in ("eclipse", "poisoning", "replay", "sybil")),
    )


def _filler(make: _Maker) -> Iterator[Family]:
    """What an ordinary process exposes besides: nobody asks for it, but a real page has it."""
    gauges: dict[str, tuple[str, str, Signal, str]] = {
        "process_cpu_seconds_total": ("counter", "User and system CPU time spent in seconds.", make.count(0.4), "%.2f"),
        "process_resident_memory_bytes": ("gauge", "Resident memory size.", make.wave(6e8, 9e8, 0.02), "%d"),
        "process_virtual_memory_bytes": ("gauge", "Virtual memory size.", Steady(2.1e9), "%d"),
        "process_open_fds": ("gauge", "Open file descriptors.", make.wave(70, 110, 0.1), "%d"),
        "process_max_fds": ("gauge", "Most file descriptors that may be open.", Steady(65_536), "%d"),
        "go_goroutines": ("gauge", "Goroutines that exist now.", make.wave(80, 140, 0.2), "%d"),
        "go_threads": ("gauge", "OS threads created.", Steady(14), "%d"),
        "go_memstats_alloc_bytes": ("gauge", "Bytes allocated and still in use.", make.wave(2e8, 3e8, 0.1), "%d"),
        "go_memstats_heap_objects": ("gauge", "Allocated objects.", make.wave(8e5, 1.1e6, 0.1), "%d"),
        "mesh_gossip_queue_length": ("gauge", "Messages that wait to be sent.", make.wave(8, 20, 0.4), "%d"),
    }
    for name, (kind, text, signal, form) in gauges.items():
        yield Family(name, kind, text, [Series(signal)], form, filler=True)
    build = (("go_version", "go1.22.5"), ("version", "1.8.3"))
    yield Family("mesh_build_info", "gauge", "The build that runs here.", [Series(Steady(1), build)], "%d", filler=True)
    calls = [
        part
        for method in ("Gossip", "Propose", "Vote")
        for part in histogram(make.count(make.luck(4, 9)), RPC_SHARES, 0.012, (("method", method),))
    ]
    yield Family("mesh_rpc_duration_seconds", "histogram", "How long remote calls take.", calls, "%.6g", filler=True)


@dataclass(frozen=True, slots=True)
class _Times:
    """A counter times a factor: the sum of a histogram whose mean is ``factor``."""

    total: Signal
    factor: float

    def __call__(self, moment: float) -> float:
        return self.total(moment) * self.factor


def histogram(total: Signal, shares: dict[float, float], mean: float, labels: Labels = ()) -> Iterator[Series]:
    """The series of a histogram of ``total`` observations, ``shares`` of them (cumulative) up to each bound."""
    for bound, share in (*shares.items(), (math.inf, 1.0)):
        edge = "+Inf" if bound == math.inf else repr(float(bound))
        yield Series(Share(total, share), (*labels, ("le", edge)), "_bucket")
    yield Series(_Times(total, mean), labels, "_sum")
    yield Series(Share(total, 1.0), labels, "_count")
