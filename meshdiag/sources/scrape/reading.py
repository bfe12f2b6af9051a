"""Some nodes' pages, read once and handed over as they are: for whoever compares them with what others say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from meshdiag.sources.scrape.exposition import Reader
from meshdiag.sources.scrape.pages import PageFetcher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.context import Endpoint, NodeAddress
    from meshdiag.sources.scrape.exposition import Sample


@dataclass(frozen=True, slots=True)
class Reading:
    """One node's page. ``asked`` and ``answered``: epoch seconds. ``samples``: those of the wanted names, with the
    page's own labels. ``error`` says why there are none, "" where the page answers."""

    asked: float
    answered: float
    samples: tuple[Sample, ...] = ()
    error: str = ""


async def read_pages(
    nodes: Sequence[NodeAddress],
    endpoint: Endpoint,
    names: frozenset[str],
    *,
    concurrency: int,
    max_page_bytes: int,
    patience_s: float | None = None,
) -> Mapping[str, Reading]:
    """The samples of these names on the nodes' pages, by instance, fetched side by side; no longer waited for than
    ``patience_s`` or the endpoint's timeout. Raises ``SourceError`` for credentials that cannot be read."""
    limit = endpoint.timeout_s if patience_s is None else min(patience_s, endpoint.timeout_s)
    fetcher = PageFetcher(replace(endpoint, timeout_s=limit), concurrency=concurrency, max_page_bytes=max_page_bytes)
    pages = await fetcher.fetch_all(nodes)
    reader = Reader(names)
    readings = {}
    for node, page in zip(nodes, pages, strict=True):
        samples = () if page.error else tuple(reader.read(page.body, openmetrics=page.openmetrics).samples)
        error = page.error.message if page.error else ""
        readings[node.instance] = Reading(page.asked, page.answered, samples, error)
    return readings
