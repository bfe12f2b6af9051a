"""Several probes of one target over connections: one after the other, each in its turn."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag.sources.probing.answers import Answer, Method, ProbeTrouble
from meshdiag.sources.probing.http import first_byte
from meshdiag.sources.probing.tcp import connect, stream
from meshdiag.sources.probing.tls import handshake
from meshdiag.sources.probing.troubles import ProbeFailed

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from meshdiag.sources.probing.answers import Plan
    from meshdiag.sources.probing.http import Asked
    from meshdiag.sources.probing.pace import Pace
    from meshdiag.sources.resolving import Place

PATIENCE = 3
"""Probes without any answer after which a port is given up."""
WORTH_AGAIN = frozenset({ProbeTrouble.TIMEOUT, ProbeTrouble.STALLED, ProbeTrouble.CLOSED, ProbeTrouble.ERROR})
"""Troubles that the next probe may not meet; what a host or a router says outright it says again."""


@dataclass(frozen=True, slots=True)
class Knock:
    """What one connection is for: by which method, the places of the host, its name for TLS, and what HTTP asks."""

    method: Method
    places: Sequence[Place]
    host: str
    asked: Asked | None = None


class Series:
    """Makes series of probes, all of them within one pace and ``at_once`` connections."""

    def __init__(self, plan: Plan, pace: Pace, at_once: int) -> None:
        self._plan, self._pace = plan, pace
        self._slots = asyncio.Semaphore(at_once)

    async def once(self, knock: Knock) -> Answer:
        """The first answer of any of the places, tried at most ``PATIENCE`` times."""
        return await self._several(knock, 1)

    async def all(self, knock: Knock) -> Answer:
        """As many probes as planned; fewer where the first ``PATIENCE`` bring nothing."""
        return await self._several(knock, self._plan.count)

    async def _several(self, knock: Knock, wanted: int) -> Answer:
        begun, sent = time.monotonic(), 0
        times: list[float] = []
        stages: list[dict[str, float]] = []
        place, trouble, said_by = None, None, ""
        while len(times) < wanted if wanted == 1 else sent < wanted:
            await asyncio.sleep(max(0.0, begun + sent * self._plan.interval_s - time.monotonic()))
            sent += 1
            try:
                place, took, staged = await self._first_of([place] if place else knock.places, knock)
            except ProbeFailed as failed:
                trouble, said_by = failed.trouble, failed.said_by
                if not times and (sent == min(PATIENCE, max(wanted, PATIENCE)) or trouble not in WORTH_AGAIN):
                    break
                continue
            times.append(took)
            stages.append(staged)
        if wanted == 1 and times:
            sent = 1
        ip = str((place or knock.places[0])[1][0])
        return Answer(knock.method, ip, sent, tuple(times), trouble, said_by, _medians(stages))

    async def _first_of(self, places: Sequence[Place], knock: Knock) -> tuple[Place, float, dict[str, float]]:
        """The first place that answers, the time and its stages. Raises ``ProbeFailed``: the trouble of the first."""
        first: ProbeFailed | None = None
        for place in places:
            try:
                return place, *await self._probe(place, knock)
            except ProbeFailed as failed:
                first = first or failed
        raise first or ProbeFailed(ProbeTrouble.UNKNOWN_HOST)

    async def _probe(self, place: Place, knock: Knock) -> tuple[float, dict[str, float]]:
        """One connection by the method: its time and its stages. Raises ``ProbeFailed``."""
        async with self._slots:
            await self._pace.turn()
            with stream(place) as plain:
                took = await connect(plain, place, self._plan.timeout_s)
                if knock.method is Method.TCP:
                    return took, {"connect": took}
                until = time.monotonic() + self._plan.timeout_s
                if knock.asked is None:
                    return await _tls(plain, knock, took, until)
                return await _http(plain, knock.asked, took, until)


async def _tls(plain: socket.socket, knock: Knock, connected: float, until: float) -> tuple[float, dict[str, float]]:
    secure, shook = await handshake(plain, knock.host, until)
    secure.close()
    return shook, {"connect": connected, "tls": shook}


async def _http(plain: socket.socket, asked: Asked, connected: float, until: float) -> tuple[float, dict[str, float]]:
    if not asked.secure:
        waited = await first_byte(plain, asked.request, until)
        return connected + waited, {"connect": connected, "first_byte": waited}
    secure, shook = await handshake(plain, asked.host, until)
    with secure:
        waited = await first_byte(secure, asked.request, until)
    return connected + shook + waited, {"connect": connected, "tls": shook, "first_byte": waited}


def _medians(stages: Sequence[dict[str, float]]) -> dict[str, float]:
    """The median of each stage, in the order in which they follow each other."""
    return {name: sorted(one[name] for one in stages)[len(stages) // 2] for name in (stages[0] if stages else ())}
