"""Which of the mesh's alerts have been active since when in a simulated mesh.

What each of the mesh's rules means for a node is written here a second time, as a plain condition, because
history needs to know it before any Prometheus runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from meshdiag import catalog
from meshdiag.lab.history import target_labels
from meshdiag.rules.builtin import mesh_rules
from meshdiag.rules.templates import Data, expand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from meshdiag.lab.nodes import ServedNode
    from meshdiag.lab.simulation import Labels, Mesh, Node
    from meshdiag.rules.groups import Rule

STEP_S = 15.0
LONGEST_S = 24 * 3_600.0


@dataclass(frozen=True, slots=True)
class ActiveAlert:
    """An alert that is active while the lab begins. ``labels`` are all of them but the state; ``active_at`` is
    since when its condition holds, ``fires_at`` when it has held long enough."""

    rule: Rule
    labels: Labels
    active_at: float
    fires_at: float

    @property
    def instance(self) -> str:
        """The instance that it is about."""
        return dict(self.labels)["instance"]


def _failing(node: Node, moment: float) -> bool:
    grown = node.value(catalog.FAILED_ROUNDS, moment) - node.value(catalog.FAILED_ROUNDS, moment - 300)
    return grown / 300 > 0.1


def _short_of_memory(node: Node, moment: float) -> bool:
    return node.value(catalog.MEMORY, moment) / node.value(catalog.MEMORY_TOTAL, moment) > 0.9


def _slow(node: Node, moment: float) -> bool:
    return any(
        series.suffix == "" and series.exists(moment) and series.signal(moment) > 10
        for series in node.family(catalog.ROUND_DURATION).series
    )


CONDITIONS: dict[str, Callable[[Node, float], bool]] = {
    "MeshNodeDown": lambda node, moment: moment >= node.down_since,
    "ConsensusFailure": _failing,
    "HighMemoryUsage": _short_of_memory,
    "HighConsensusLatency": _slow,
    "LowPeerCount": lambda node, moment: node.value(catalog.PEER_COUNT, moment) < 3,
    "ModelAccuracyDrop": lambda node, moment: node.value(catalog.ACCURACY, moment) < 0.8,
}
"""Whether a rule's condition holds for a node at a moment. A metric that is absent is NaN, which holds nothing."""


def active_alerts(mesh: Mesh, nodes: Sequence[ServedNode], job: str, now: float) -> list[ActiveAlert]:
    """The alerts whose condition holds at ``now``."""
    found = []
    for rule in mesh_rules().rules:
        for node, served in zip(mesh.nodes, nodes, strict=True):
            since = _active_since(CONDITIONS[rule.name], node, now)
            if since is not None:
                labels = (("alertname", rule.name), *target_labels(served, job), ("severity", rule.labels["severity"]))
                found.append(ActiveAlert(rule, labels, since, since + rule.for_ms / 1000))
    return found


def _active_since(holds: Callable[[Node, float], bool], node: Node, now: float) -> float | None:
    """Since when a condition has held without a break, to the step; None when it does not hold now."""
    if not holds(node, now):
        return None
    moment = now
    while holds(node, moment - STEP_S) and now - moment < LONGEST_S:
        moment -= STEP_S
    return moment


def as_posted(alerts: Iterable[ActiveAlert], until: float) -> Iterator[dict[str, Any]]:
    """Firing alerts in the shape that Alertmanager's API takes, valid up to ``until``."""
    for alert in alerts:
        data = Data(dict(alert.labels), 1.0)
        filled = {name: expand(text, data).text for name, text in alert.rule.annotations.items()}
        yield {
            "labels": dict(alert.labels),
            "annotations": filled,
            "startsAt": datetime.fromtimestamp(alert.fires_at, UTC).isoformat(),
            "endsAt": datetime.fromtimestamp(until, UTC).isoformat(),
        }
