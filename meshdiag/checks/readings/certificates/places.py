"""Where a mesh's certificates are: its nodes' peer ports and pages, the servers that watch it, files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from meshdiag.checks.readings.roster import Node
    from meshdiag.context import Context, Endpoint
    from meshdiag.sources.certificates.endpoints import Wanted

SERVERS = ("prometheus", "alertmanager", "grafana", "loki", "jaeger", "tempo")
HTTPS = 443
PEER_PORT = "peer port"


@dataclass(frozen=True, slots=True)
class Place:
    """A server to be asked: ``what`` it is to the mesh (``peer port``, ``Grafana``), whose it is (``instance``,
    ``node``, ``role``; empty for what is no node), and the file of the roots that it is to be held against (None: the
    system's)."""

    wanted: Wanted
    what: str = ""
    instance: str = ""
    node: str = ""
    role: str = ""
    ca_file: Path | None = None


def places_of(context: Context, nodes: Iterable[Node]) -> tuple[Place, ...]:
    """Every server of a context that has a certificate, each address once. ``nodes`` are those that are known."""
    found: dict[str, Place] = {}
    for place in (*_peer_ports(context, nodes), *_pages(context), *_servers(context)):
        found.setdefault(place.wanted.address, place)
    return tuple(found.values())


def _peer_ports(context: Context, nodes: Iterable[Node]) -> Iterator[Place]:
    from meshdiag.sources.certificates.endpoints import Wanted

    for node in nodes:
        if node.peer:
            yield Place(Wanted(node.peer), PEER_PORT, node.instance, node.name, node.role, ca_file=context.peer_ca_file)


def _pages(context: Context) -> Iterator[Place]:
    """The nodes' own pages, where they are fetched by https."""
    for node in context.nodes:
        if (wanted := https_of(node.url, context.scrape)) is not None:
            yield Place(wanted, "metrics page", node.instance, node.name, node.role, context.scrape.ca_file)


def _servers(context: Context) -> Iterator[Place]:
    for name in SERVERS:
        endpoint: Endpoint | None = getattr(context, name, None)
        if endpoint is not None and (wanted := https_of(endpoint.url, endpoint)) is not None:
            yield Place(wanted, name.capitalize(), ca_file=endpoint.ca_file)


def https_of(url: str, endpoint: Endpoint | None = None) -> Wanted | None:
    """The server behind an https URL, asked with the client certificate of ``endpoint``; None for any other URL."""
    from meshdiag.sources.certificates.endpoints import Wanted
    from meshdiag.sources.resolving import join_address

    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or HTTPS
    except ValueError:
        return None
    if parts.scheme != "https" or not host:
        return None
    pair = None
    if endpoint is not None and endpoint.cert_file is not None:
        pair = (str(endpoint.cert_file), str(endpoint.key_file or endpoint.cert_file))
    return Wanted(join_address(host, port), client_cert=pair)
