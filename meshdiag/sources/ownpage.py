"""The metrics page of a monitoring server itself: what it counts of its own work, whoever scrapes it or not.

Source: the server's own ``/metrics`` (Prometheus text format). Counters there count since the server's start.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from meshdiag.sources.exposition import Reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshdiag.sources.http import HttpClient

PATH: Final = "/metrics"
START: Final = "process_start_time_seconds"


@dataclass(frozen=True, slots=True)
class OwnPage:
    """The samples that were asked for, by name: labels and value each."""

    samples: Mapping[str, tuple[tuple[Mapping[str, str], float], ...]] = field(default_factory=dict)

    def total(self, *names: str) -> float | None:
        """The sum over all samples of these names; None where the page has none of them."""
        values = [value for name in names for _, value in self.samples.get(name, ())]
        return sum(values) if values else None

    def by(self, label: str, name: str) -> dict[str, float]:
        """The samples of a name summed by the value of a label."""
        sums: dict[str, float] = defaultdict(float)
        for labels, value in self.samples.get(name, ()):
            sums[labels.get(label, "")] += value
        return dict(sums)

    @property
    def started_s(self) -> float | None:
        """When the server began, in seconds since the epoch: since then its counters count."""
        return self.total(START)


async def read_own_page(http: HttpClient, names: Iterable[str]) -> OwnPage:
    """The page of a server, the named families alone. Raises ``SourceError``."""
    wanted = frozenset({*names, START})
    reply = await http.get(PATH)
    found: dict[str, list[tuple[Mapping[str, str], float]]] = defaultdict(list)
    for name, labels, value, _ in Reader(wanted).read(reply.content).samples:
        found[name].append((labels, value))
    return OwnPage({name: tuple(samples) for name, samples in found.items()})
