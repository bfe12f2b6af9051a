"""The mesh's nodes: who is known, who is up, when each was last read.

The metrics source knows them by its ``up`` series; the operator's own list, where there is one, adds what the
source has never heard of.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from meshdiag.catalog import UP
from meshdiag.errors import SourceError, Trouble
from meshdiag.metrics import AbsenceKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshdiag.checks.inputs import Inputs
    from meshdiag.context import Context, NodeAddress
    from meshdiag.metrics import Absence, Sample


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the mesh. ``instance`` is Prometheus' label for it, ``scraped`` when it was last read (UTC),
    ``peer`` its peer-to-peer address, ``known`` whether the metrics source has a target for it at all."""

    instance: str
    name: str = ""
    role: str = ""
    up: bool = True
    scraped: datetime | None = None
    peer: str = ""
    known: bool = True

    @property
    def shown(self) -> str:
        """How a sentence names it: by its name where it has one."""
        return self.name or self.instance


@dataclass(frozen=True)
class Roster:
    """The nodes by instance, in the order of their names."""

    nodes: Mapping[str, Node]

    @classmethod
    def of(cls, nodes: Iterable[Node]) -> Roster:
        """A roster in the order of instances."""
        return cls({node.instance: node for node in sorted(nodes, key=lambda node: node.instance)})

    @cached_property
    def up(self) -> tuple[Node, ...]:
        """The nodes whose last scrape succeeded."""
        return tuple(node for node in self.nodes.values() if node.up)

    @cached_property
    def down(self) -> tuple[Node, ...]:
        """The nodes that could not be read, unknown ones included."""
        return tuple(node for node in self.nodes.values() if not node.up)

    def of_role(self, role: str) -> tuple[Node, ...]:
        """The nodes of one role."""
        return tuple(node for node in self.nodes.values() if node.role == role)

    def label(self, instance: str) -> Mapping[str, str]:
        """The labels of a finding about this instance (``node``, ``role``); one shared mapping a node."""
        return self._labels.get(instance, _NO_LABELS)

    def shown(self, instance: str) -> str:
        """How a sentence names this instance."""
        node = self.nodes.get(instance)
        return node.shown if node else instance

    def find(self, text: str) -> Node | None:
        """The node that a label value of some other series means: by instance, name or peer address."""
        return self.nodes.get(text) or self._by_other_names.get(text)

    @cached_property
    def _by_other_names(self) -> dict[str, Node]:
        return {text: node for node in self.nodes.values() for text in (node.peer, node.name) if text}

    @cached_property
    def _labels(self) -> dict[str, Mapping[str, str]]:
        return {
            node.instance: {key: text for key, text in (("node", node.name), ("role", node.role)) if text}
            for node in self.nodes.values()
        }


_NO_LABELS: Mapping[str, str] = {}


def some_up(roster: Roster, source: str) -> Roster:
    """The same roster. Raises ``SourceError`` when none of its nodes is up: what they were like cannot be told, and
    ``nodes.up`` says so for all."""
    if roster.nodes and not roster.up:
        raise SourceError("no node is up", trouble=Trouble.NOT_AVAILABLE, source=source, because="nodes.up")
    return roster


async def read_roster(inputs: Inputs) -> Roster:
    """The roster from ``up`` of the mesh's job, and when each sample was taken.

    Raises ``SourceError`` when there is no ``up`` series at all, with the reason: without a roster nothing can
    be said of any node.
    """
    query = UP.selector(inputs.context.job)
    up, taken = await asyncio.gather(
        inputs.metrics.instant(query, inputs.at),
        inputs.metrics.instant(f"max by (instance) (timestamp({query}))", inputs.at),
    )
    if not up.samples:
        raise no_nodes(await inputs.metrics.why_empty(query, inputs.at), inputs)
    times = {sample.labels.get("instance", ""): sample.value for sample in taken.samples}
    return join_roster(up.samples, times, inputs.context)


def no_nodes(absence: Absence, inputs: Inputs) -> SourceError:
    """The error that stands for a mesh without nodes."""
    wrong = absence.kind is AbsenceKind.WRONG_SERVER
    return SourceError(
        f"no node is known: {absence.message}",
        trouble=Trouble.WRONG_SERVER if wrong else Trouble.NOT_AVAILABLE,
        source=inputs.metrics.name,
        hint=f"check that job {inputs.context.job!r} is the mesh's scrape job (key job of the context)",
    )


def join_roster(up: Iterable[Sample], times: Mapping[str, float], context: Context) -> Roster:
    """Join ``up`` samples, scrape times by instance and the configured nodes into a roster.

    Where several series claim one instance (two replicas scrape it), one that is up decides.
    """
    listed = {address.instance: address for address in context.nodes}
    nodes: dict[str, Node] = {}
    for sample in up:
        node = _node(sample, times, listed, context)
        earlier = nodes.get(node.instance)
        if earlier is None or (node.up and not earlier.up):
            nodes[node.instance] = node
    if context.nodes_expected:
        for instance, address in listed.items():
            if instance not in nodes:
                nodes[instance] = Node(
                    instance, address.name, address.role.lower(), up=False, peer=address.peer, known=False
                )
    return Roster.of(nodes.values())


def _node(sample: Sample, times: Mapping[str, float], listed: Mapping[str, NodeAddress], context: Context) -> Node:
    labels = sample.labels
    instance = labels.get("instance", "")
    address = listed.get(instance)
    taken = times.get(instance)
    return Node(
        instance=instance,
        name=labels.get(context.node_label, "") or (address.name if address else ""),
        role=(labels.get(context.role_label, "") or (address.role if address else "")).lower(),
        up=sample.value == 1,
        scraped=datetime.fromtimestamp(taken, UTC) if taken is not None and taken > 0 else None,
        peer=labels.get(context.peer_label, "") or (address.peer if address else ""),
    )
