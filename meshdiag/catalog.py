"""Every metric that the mesh exposes: name, type, unit, meaning, who exposes it, default thresholds.

The one place that knows them: checks ask for values through it, the lab exposes what it lists, ``query
--metrics`` shows it. Thresholds come from the mesh's alert rules where those name one.
Source: the mesh's monitoring documentation (key metrics, alerting rules).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from meshdiag.model import Threshold, at_least, at_most


class Role(StrEnum):
    """What a node is for."""

    BOOTSTRAP = "bootstrap"
    TRAINER = "trainer"
    AGGREGATOR = "aggregator"


class Kind(StrEnum):
    """How a metric is exposed. A duration may be a gauge in one mesh and a histogram in the next."""

    GAUGE = "gauge"
    COUNTER = "counter"
    GAUGE_OR_HISTOGRAM = "gauge or histogram"


class Unit(StrEnum):
    """Units as they are inside; only renderers scale or translate them."""

    SECONDS = "s"
    MILLISECONDS = "ms"
    BYTES = "bytes"
    BYTES_PER_SECOND = "bytes/s"
    PER_SECOND = "1/s"
    PERCENT = "percent"
    RATIO = "ratio"
    DAYS = "days"
    COUNT = "count"


ALL = frozenset(Role)
LEARNERS = frozenset({Role.TRAINER, Role.AGGREGATOR})
WINDOW = "5m"
"""The rate window of the mesh's own alert rules."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. ``listed`` tells whether the documentation's metric list has it: what is not listed is
    optional, and its absence is no fault of a node. ``roles`` are the nodes that should expose it."""

    name: str
    kind: Kind
    unit: Unit
    help: str
    roles: frozenset[Role] = ALL
    threshold: Threshold | None = None
    alert: str | None = None
    listed: bool = True

    @property
    def series_names(self) -> tuple[str, ...]:
        """Every name under which samples may stand on a page, the histogram's parts included."""
        if self.kind is Kind.GAUGE_OR_HISTOGRAM:
            return (self.name, *(self.name + part for part in ("_bucket", "_sum", "_count")))
        return (self.name,)

    def selector(self, job: str, suffix: str = "", extra: str = "") -> str:
        """A PromQL selector of this metric in the mesh's scrape job; ``extra`` holds further matchers."""
        matchers = ",".join(part for part in (f'job="{_quote(job)}"', extra) if part)
        return f"{self.name}{suffix}{{{matchers}}}"

    def per_instance(self, job: str, window: str = WINDOW) -> str:
        """The PromQL expression of this metric's present value, one sample an instance, in ``unit``.

        Gauge: the largest of the instance's series. Counter: its summed rate over ``window``, per second.
        Gauge or histogram: the 95th percentile over ``window`` where there are buckets, else the gauge.
        """
        if self.kind is Kind.COUNTER:
            return f"sum by (instance) (rate({self.selector(job)}[{window}]))"
        gauge = f"max by (instance) ({self.selector(job)})"
        if self.kind is Kind.GAUGE_OR_HISTOGRAM:
            buckets = f"sum by (instance, le) (rate({self.selector(job, '_bucket')}[{window}]))"
            return f"histogram_quantile(0.95, {buckets}) or {gauge}"
        return gauge

    def increase(self, job: str, window: str) -> str:
        """The PromQL expression of a counter's growth over ``window``, one sample an instance."""
        return f"sum by (instance) (increase({self.selector(job)}[{window}]))"


def _quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


UP = Metric(
    "up", Kind.GAUGE, Unit.COUNT, "1 when the last scrape of the node succeeded.", alert="MeshNodeDown", listed=False
)

CPU = Metric(
    "system_cpu_usage_percent",
    Kind.GAUGE,
    Unit.PERCENT,
    "CPU in use.",
    threshold=Threshold(warn=at_most(85), fail=at_most(95)),
)
MEMORY = Metric("system_memory_usage_bytes", Kind.GAUGE, Unit.BYTES, "Memory in use.", alert="HighMemoryUsage")
MEMORY_TOTAL = Metric(
    "system_memory_total_bytes", Kind.GAUGE, Unit.BYTES, "Memory of the machine.", alert="HighMemoryUsage", listed=False
)
DISK = Metric("system_disk_usage_bytes", Kind.GAUGE, Unit.BYTES, "Disk space in use.")
DISK_TOTAL = Metric("system_disk_total_bytes", Kind.GAUGE, Unit.BYTES, "Size of the disk.", listed=False)
NETWORK = Metric(
    "system_network_bytes_total",
    Kind.COUNTER,
    Unit.BYTES,
    "Bytes sent and received (label direction, where there is one).",
)
START_TIME = Metric(
    "process_start_time_seconds",
    Kind.GAUGE,
    Unit.SECONDS,
    "When the node's process started, since the epoch.",
    listed=False,
)
CLOCK = Metric("node_time_seconds", Kind.GAUGE, Unit.SECONDS, "The node's own clock, since the epoch.", listed=False)

PEER_COUNT = Metric(
    "mesh_peer_count",
    Kind.GAUGE,
    Unit.COUNT,
    "Peers connected.",
    threshold=Threshold(warn=at_least(3), fail=at_least(1)),
    alert="LowPeerCount",
)
MESSAGES = Metric("mesh_messages_per_second", Kind.GAUGE, Unit.PER_SECOND, "Messages exchanged with peers.")
CONNECTION_DURATION = Metric(
    "mesh_connection_duration_seconds",
    Kind.GAUGE_OR_HISTOGRAM,
    Unit.SECONDS,
    "How long peer connections have lasted (label peer, where there is one).",
)
BANDWIDTH = Metric(
    "mesh_bandwidth_bytes_per_second", Kind.GAUGE, Unit.BYTES_PER_SECOND, "Bandwidth in use between peers."
)

ROUND_DURATION = Metric(
    "consensus_round_duration_seconds",
    Kind.GAUGE_OR_HISTOGRAM,
    Unit.SECONDS,
    "How long consensus rounds take.",
    threshold=Threshold(warn=at_most(10), fail=at_most(30)),
    alert="HighConsensusLatency",
)
VOTE_SUCCESS = Metric(
    "consensus_vote_success_rate",
    Kind.GAUGE,
    Unit.RATIO,
    "Share of votes that succeeded, 0 to 1.",
    threshold=Threshold(warn=at_least(0.95), fail=at_least(0.67)),
)
LEADER_ELECTIONS = Metric(
    "consensus_leader_elections_total", Kind.COUNTER, Unit.COUNT, "Leader elections seen by the node."
)
BYZANTINE = Metric(
    "consensus_byzantine_nodes_detected",
    Kind.GAUGE,
    Unit.COUNT,
    "Nodes that this node takes for Byzantine (label peer names one, where there is one).",
    threshold=Threshold(fail=at_most(0)),
)
FAILED_ROUNDS = Metric(
    "consensus_failed_rounds_total",
    Kind.COUNTER,
    Unit.COUNT,
    "Consensus rounds that failed.",
    threshold=Threshold(fail=at_most(0.1)),
    alert="ConsensusFailure",
    listed=False,
)
ROUNDS = Metric(
    "consensus_rounds_total", Kind.COUNTER, Unit.COUNT, "Consensus rounds begun, failed ones included.", listed=False
)

TRAINING_ROUNDS = Metric(
    "fl_training_rounds_total", Kind.COUNTER, Unit.COUNT, "Training rounds finished.", roles=LEARNERS
)
ACCURACY = Metric(
    "fl_model_accuracy",
    Kind.GAUGE,
    Unit.RATIO,
    "Accuracy of the model, 0 to 1.",
    roles=LEARNERS,
    threshold=Threshold(warn=at_least(0.8)),
    alert="ModelAccuracyDrop",
)
AGGREGATION_TIME = Metric(
    "fl_aggregation_duration_seconds",
    Kind.GAUGE_OR_HISTOGRAM,
    Unit.SECONDS,
    "How long aggregating a round takes.",
    roles=frozenset({Role.AGGREGATOR}),
    threshold=Threshold(warn=at_most(30), fail=at_most(120)),
)
PRIVACY_BUDGET = Metric(
    "fl_privacy_budget_consumed",
    Kind.GAUGE,
    Unit.RATIO,
    "Share of the differential privacy budget that is used up, 0 to 1.",
    roles=LEARNERS,
    threshold=Threshold(warn=at_most(0.9), fail=at_most(0.99)),
)

AUTH_FAILURES = Metric(
    "security_auth_failures_total",
    Kind.COUNTER,
    Unit.COUNT,
    "Authentications that failed.",
    threshold=Threshold(warn=at_most(0.2), fail=at_most(2)),
)
ENCRYPTION_OVERHEAD = Metric(
    "security_encryption_overhead_ms",
    Kind.GAUGE_OR_HISTOGRAM,
    Unit.MILLISECONDS,
    "Time that encryption adds to a message.",
    threshold=Threshold(warn=at_most(20), fail=at_most(100)),
)
CERT_EXPIRY = Metric(
    "security_cert_expiry_days",
    Kind.GAUGE,
    Unit.DAYS,
    "Days until the node's certificate expires.",
    threshold=Threshold(warn=at_least(30), fail=at_least(7)),
)
ATTACKS = Metric(
    "security_attacks_detected_total",
    Kind.COUNTER,
    Unit.COUNT,
    "Attacks that the node detected (label type, where there is one).",
)

METRICS: tuple[Metric, ...] = (
    UP, CPU, MEMORY, MEMORY_TOTAL, DISK, DISK_TOTAL, NETWORK, START_TIME, CLOCK,
    PEER_COUNT, MESSAGES, CONNECTION_DURATION, BANDWIDTH,
    ROUND_DURATION, VOTE_SUCCESS, LEADER_ELECTIONS, BYZANTINE, FAILED_ROUNDS, ROUNDS,
    TRAINING_ROUNDS, ACCURACY, AGGREGATION_TIME, PRIVACY_BUDGET,
    AUTH_FAILURES, ENCRYPTION_OVERHEAD, CERT_EXPIRY, ATTACKS,
)  # fmt: skip
BY_NAME = {metric.name: metric for metric in METRICS}
