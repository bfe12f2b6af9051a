"""The links between nodes, each seen from both of its ends by the exporters that stand there."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from meshdiag.checks.inputs import everything
from meshdiag.checks.readings.reachability import Seen
from meshdiag.config.addresses import clean_url
from meshdiag.context import Blackbox as Settings
from meshdiag.errors import SourceError, Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.reachability import Answers, Pair
    from meshdiag.checks.readings.roster import Node
    from meshdiag.context import NodeAddress
    from meshdiag.sources.blackbox import Row, View, Viewpoint

MOST_PAIRS = 1600
"""Directions that are all probed: those of 40 nodes. Of more a sample is."""
SAMPLED = 2400
"""Directions that a sample holds, about."""
INSTALL = (
    "put a prometheus-blackbox-exporter beside each node, or say where they are (blackbox in the context); "
    "meshdiag peers shows the links from here"
)


@dataclass(frozen=True)
class Links:
    """What was seen of the links of a mesh. Nodes go by their names here, which differ from each other.

    ``rows`` are the viewpoints' answers, ``silent`` those of them that did not tell (all), with the reason;
    ``addressless`` are the nodes that could not be a target; ``chosen`` the directions that were to be probed, of
    ``pairs`` that there are.
    """

    nodes: Mapping[str, Node]
    module: str
    rows: tuple[Row, ...] = ()
    targets: Mapping[str, str] = field(default_factory=dict)
    addressless: tuple[str, ...] = ()
    chosen: frozenset[Pair] = frozenset()
    pairs: int = 0

    @cached_property
    def silent(self) -> dict[str, SourceError]:
        """The viewpoints that did not tell all, by name."""
        return {row.viewpoint.name: row.error for row in self.rows if row.error is not None}

    @property
    def sampled(self) -> bool:
        """Whether there are more directions than were to be probed."""
        return len(self.chosen) < self.pairs

    @property
    def shared(self) -> int:
        """How many viewpoints have their exporter in common with another: their rows are one and the same view."""
        users = Counter(row.viewpoint.url for row in self.rows)
        return sum(count for count in users.values() if count > 1)

    @cached_property
    def views(self) -> dict[Pair, View]:
        """Every view, by the names of its ends."""
        behind: dict[str, list[str]] = {}
        for name, target in self.targets.items():
            behind.setdefault(target, []).append(name)
        return {
            (row.viewpoint.name, name): view
            for row in self.rows
            for view in row.views
            for name in behind[view.target]
            if name != row.viewpoint.name
        }

    @cached_property
    def answers(self) -> Answers:
        """The same as plain data to judge."""
        return {pair: Seen(view.ok, view.duration_s, view.trouble) for pair, view in self.views.items()}


async def read_links(inputs: Inputs) -> Links:
    """Let the nodes look at each other, once a run. Raises ``SourceError`` when there is nobody to ask."""
    return await inputs.memo.once("links", lambda: _read(inputs))


async def _read(inputs: Inputs) -> Links:
    settings = inputs.context.blackbox or Settings()
    roster = await inputs.roster()
    nodes = by_name(tuple(roster.nodes.values()))
    listed = {address.instance: address for address in inputs.context.nodes}
    targets = {name: target for name, node in nodes.items() if (target := target_of(node, listed, settings.module))}
    addressless = tuple(name for name in nodes if name not in targets)
    if not targets:
        raise SourceError(
            "no node's peer address is known, so there is nothing to probe",
            trouble=Trouble.NOT_CONFIGURED,
            hint=f"give the nodes a label {inputs.context.peer_label!r} (host:port), or peer in the configuration",
        )
    wanted = {(one, other) for one in nodes for other in targets if one != other}
    if inputs.wanted is not everything:
        wanted = {pair for pair in wanted if inputs.wanted(_labels(nodes, pair))}
    if not wanted:
        raise SourceError(
            "no link is between the nodes that were chosen",
            trouble=Trouble.NOT_AVAILABLE,
            hint="meshdiag nodes lists the names, roles and instances that --from and --to go by",
        )
    chosen = wanted if len(wanted) <= MOST_PAIRS else wanted & ring(tuple(nodes))
    viewpoints = _viewpoints(nodes, targets, chosen, listed, settings)
    rows = await inputs.blackbox.look(viewpoints, settings.module, count=settings.count, timeout_s=settings.timeout_s)
    if rows and all(row.error is not None and not row.views for row in rows):
        raise _nobody(rows)
    return Links(nodes, settings.module, rows, targets, addressless, frozenset(chosen), len(wanted))


def by_name(nodes: Sequence[Node]) -> dict[str, Node]:
    """The nodes by how they are shown, in the order of their roles and names; by instance where two share a name."""
    names = Counter(node.shown for node in nodes)
    ordered = sorted(nodes, key=lambda node: (node.role, _natural(node.shown), node.instance))
    return {node.shown if names[node.shown] == 1 else node.instance: node for node in ordered}


def _natural(name: str) -> tuple[str, int, str]:
    """A key that sorts trainer-2 before trainer-10."""
    head = name.rstrip("0123456789")
    number = name[len(head) :]
    return head, int(number[:18] or 0), name


def target_of(node: Node, listed: Mapping[str, NodeAddress], module: str) -> str:
    """What a module is to probe of a node, by the module's name: its host (``icmp``), its page (``http…``), else its
    peer address. "" where that is not known."""
    if "http" in module:
        address = listed.get(node.instance)
        return address.url if address else f"http://{node.instance}/metrics"
    if "icmp" in module or "ping" in module:
        return urlsplit(f"//{node.peer}").hostname or "" if node.peer else host_of(node, listed)
    return node.peer


def host_of(node: Node, listed: Mapping[str, NodeAddress]) -> str:
    """The host of a node's page: where its exporter stands as well. "" where it cannot be told."""
    address = listed.get(node.instance)
    try:
        return urlsplit(address.url if address else f"//{node.instance}").hostname or ""
    except ValueError:
        return ""


def exporter_of(node: Node, listed: Mapping[str, NodeAddress], pattern: str) -> str:
    """The URL of the exporter beside a node: its own, or by the pattern. "" where that gives none."""
    address = listed.get(node.instance)
    if address and address.blackbox:
        return address.blackbox
    host = host_of(node, listed)
    try:
        return clean_url(pattern.replace("{host}", f"[{host}]" if ":" in host else host)) if host else ""
    except ValueError:
        return ""


def ring(names: Sequence[str]) -> set[Pair]:
    """A sample of the directions between many nodes, both directions of each link: each node with its neighbours in a
    ring and with some ever farther ones, so that the sample hangs together and is the same every time."""
    count = len(names)
    steps = max(1, SAMPLED // (2 * max(count, 1)))
    far = {max(1, round((count / 2) ** (step / max(steps - 1, 1)))) for step in range(steps)}
    links = {(names[place], names[(place + step) % count]) for place in range(count) for step in far}
    return {pair for one, other in links if one != other for pair in ((one, other), (other, one))}


def _viewpoints(
    nodes: Mapping[str, Node],
    targets: Mapping[str, str],
    chosen: set[Pair],
    listed: Mapping[str, NodeAddress],
    settings: Settings,
) -> list[Viewpoint]:
    """Each node that is to look, with what it is to look at; all begin with different targets."""
    from meshdiag.sources.blackbox import Viewpoint  # only a run that probes needs the source

    names = list(nodes)
    found = []
    for place, name in enumerate(names):
        others = [other for other in (*names[place + 1 :], *names[:place]) if (name, other) in chosen]
        if others:
            url = exporter_of(nodes[name], listed, settings.url)
            found.append(Viewpoint(name, url, tuple(targets[other] for other in others)))
    return found


def _labels(nodes: Mapping[str, Node], pair: Pair) -> dict[str, str]:
    """What a command may narrow by."""
    one, other = nodes[pair[0]], nodes[pair[1]]
    return {
        "from": pair[0], "from_role": one.role, "from_instance": one.instance,
        "to": pair[1], "to_role": other.role, "to_instance": other.instance,
    }  # fmt: skip


def _nobody(rows: Sequence[Row]) -> SourceError:
    """The error when no viewpoint told anything."""
    errors = [row.error for row in rows if row.error is not None]
    first = errors[0]
    alike = all(error.trouble is first.trouble for error in errors)
    own = alike and first.trouble in (Trouble.REJECTED, Trouble.TLS, Trouble.UNAUTHORIZED)
    asked = "" if len(rows) == 1 else f" (asked {len(rows)})"
    return SourceError(
        f"no node could be asked for its view{asked}: {first.message}",
        trouble=first.trouble,
        source=first.source,
        where=first.where,
        hint=first.hint if own else INSTALL,
    )
