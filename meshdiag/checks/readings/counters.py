"""Events that a monitoring server counts of itself: how many within the window, where somebody scrapes it, else
since its start."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from meshdiag.errors import SourceError
from meshdiag.units import rough

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshdiag.checks.inputs import Inputs
    from meshdiag.sources.ownpage import OwnPage


class Counted(NamedTuple):
    """So many events since a moment, which ``since`` tells in words: ``within 1 h``, ``since its start 3 d ago``."""

    number: float
    since: str

    def __str__(self) -> str:
        return f"{self.number:,.0f} {self.since}"


async def count_events(inputs: Inputs, page: OwnPage, names: Iterable[str], url: str) -> dict[str, Counted]:
    """By name, the counters of the server at ``url`` that have counted anything lately. What is 0 since the start needs
    no question; of the others Prometheus is asked what they were before, where it scrapes that server."""
    totals = {name: total for name in names if (total := page.total(name))}
    before = await asyncio.gather(*(_least(inputs, name, url) for name in totals))
    counted = {}
    for (name, total), least in zip(totals.items(), before, strict=True):
        if least is None:
            counted[name] = Counted(total, _since_start(inputs, page))
        elif total - least >= 1:
            counted[name] = Counted(total - least, f"within {rough(inputs.window.total_seconds())}")
    return counted


async def _least(inputs: Inputs, name: str, url: str) -> float | None:
    """The least value of a server's counter within the window (a restart sets it to 0); None where nobody scrapes
    the server by that address, or it cannot be asked."""
    prometheus = inputs.sources.prometheus
    if prometheus is None:
        return None
    window = int(inputs.window.total_seconds())
    query = f"sum(min_over_time({name}{{instance={_quoted(urlsplit(url).netloc)}}}[{window}s]))"
    try:
        vector = await prometheus.instant(query, inputs.at)
    except SourceError:
        return None
    return vector.samples[0].value if vector.samples else None


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _since_start(inputs: Inputs, page: OwnPage) -> str:
    started = page.started_s
    return f"since its start {rough(inputs.moment.timestamp() - started)} ago" if started else "since its start"
