"""Some nodes' pages, read once and handed over as they are: for whoever compares them with what others say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from meshdiag.sources.exposition import TWICE, Page, Reader
from meshdiag.sources.scrape.pages import PageFetcher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.context import Endpoint, NodeAddress
    from meshdiag.sources.exposition import Sample


@dataclass(frozen=True, slots=True)
class Reading:
    """One node's page. ``asked`` and ``answered``: epoch seconds. ``samples``: those of the wanted names, with the
    page's own labels. ``error`` says why there are none, "" where the page answers. ``broken``: the first line of the
    page that cannot be read, for which Prometheus refuses all of it; "" where there is none."""

    asked: float
    answered: float
    samples: tuple[Sample, ...] = ()
    error: str = ""
    broken: str = ""


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
    reader = Reader()
    readings = {}
    for node, page in zip(nodes, pages, strict=True):
        error = page.error.message if page.error else ""
        read = Page() if error else reader.read(page.body, openmetrics=page.openmetrics)
        samples = tuple(sample for sample in read.samples if sample[0] in names)
        broken = next((problem for problem in read.problems if TWICE not in problem), "")
        readings[node.instance] = Reading(page.asked, page.answered, samples, error, broken)
    return readings
