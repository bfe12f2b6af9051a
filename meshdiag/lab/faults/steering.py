"""How faults change a node: its metrics, its log, what is said of what follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag import catalog
from meshdiag.lab.faults.registry import Expectation
from meshdiag.lab.signals import Faster, Toward, Wave
from meshdiag.lab.simulation import Stream
from meshdiag.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from meshdiag.catalog import Metric
    from meshdiag.lab.signals import Signal
    from meshdiag.lab.simulation import Mesh, Node


def names_of(nodes: Iterable[Node]) -> tuple[str, ...]:
    return tuple(node.name for node in nodes)


def around(value: float, node: Node, swing: float = 0.01) -> Wave:
    """A signal around ``value`` that trembles a little, differently on each node."""
    return Wave(value, swing, node.index * 37, (61.0, 211.0))


def drive(node: Node, metric: Metric, target: Signal, onset: float, length_s: float = 30.0) -> None:
    """Move a metric from what it is to ``target``, beginning at ``onset``."""
    node.change(metric, lambda healthy: Toward(healthy, target, onset, length_s))


def hasten(node: Node, metric: Metric, extra: float, onset: float) -> None:
    """Let a counter grow by ``extra`` more a second from ``onset`` on."""
    node.change(metric, lambda healthy: Faster(healthy, extra, onset))


def log(mesh: Mesh, node: Node, what: str, every_s: float, onset: float, say: Callable[[float, int], str]) -> None:
    """Let a node write log records; ``what`` is level and component (``WARN network``)."""
    level, component = what.split()
    mesh.streams.append(Stream(node.name, level, component, every_s, say, onset))


def few_peers(mesh: Mesh, critical: Sequence[Node] = ()) -> list[Expectation]:
    """What is said of living nodes that have fewer than three peers left. An Alertmanager inhibits the warnings
    of those that have a ``critical`` alert as well."""
    few = [node for node in mesh.up if node.value(catalog.PEER_COUNT, mesh.origin) < 3]
    alone = [node for node in few if node.value(catalog.PEER_COUNT, mesh.origin) < 1]
    expects = [
        Expectation("peers.count", Verdict.FAIL if node in alone else Verdict.WARN, (node.name,)) for node in few
    ]
    warned = [(names_of(node for node in few if node not in critical), True)]
    warned += [(names_of(node for node in few if node in critical), False)]
    return [
        *expects,
        *(Expectation("alerts.warning", Verdict.WARN, names, "prometheus", sure) for names, sure in warned if names),
    ]


def lose_votes(node: Node, share: float, onset: float) -> None:
    drive(node, catalog.VOTE_SUCCESS, around(share, node), onset)


def failing_rounds(nodes: tuple[str, ...]) -> list[Expectation]:
    return [
        Expectation("consensus.failed-rounds", Verdict.FAIL, nodes),
        Expectation("consensus.failed-share", Verdict.FAIL, nodes),
        Expectation("consensus.vote-success", Verdict.FAIL, nodes),
        Expectation("alerts.critical", Verdict.FAIL, nodes, "prometheus"),
    ]
