"""What a person types, and the nodes of the mesh that are meant by it: a name, or a glob of names."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from meshdiag.sources.resolving import join_address, split_address

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshdiag.checks.readings.roster import Node

GLOB = "*?["


def is_word(host: str) -> bool:
    """Whether a host may well be a node's name: one word or a glob, neither a number nor this machine."""
    return host != "localhost" and ":" not in host and ("." not in host or any(sign in host for sign in GLOB))


def nodes_meant(host: str, nodes: Iterable[Node]) -> tuple[Node, ...]:
    """The nodes of which the name is ``host``, or fits it where it is a glob."""
    if any(sign in host for sign in GLOB):
        return tuple(node for node in nodes if node.name and fnmatchcase(node.name, host))
    return tuple(node for node in nodes if node.name == host)[:1]


def address_of(node: Node, port: int = 0) -> str:
    """A node's peer address (its page's where that is not known), or another port of the same host."""
    address = node.peer or node.instance
    if not port:
        return address
    try:
        return join_address(split_address(address)[0], port)
    except ValueError:  # an address without a port
        return join_address(address, port)
