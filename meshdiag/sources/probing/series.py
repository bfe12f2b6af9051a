"""Several probes of one target over connections: one after the other, each in its turn."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshdiag.sources.probing.answers import NEIGHBOUR_S, Answer, Method, ProbeTrouble
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


@dataclass(eq=False, slots=True)
class Tally:
    """What the probes of one series came to so far."""

    knock: Knock
    begun: float = field(default_factory=time.monotonic)
    sent: int = 0
    times: list[float] = field(default_factory=list)
    stages: list[dict[str, float]] = field(default_factory=list)
    place: Place | None = None
    trouble: ProbeTrouble | None = None
    said_by: str = ""

    @property
    def answer(self) -> Answer:
        """The same as a plain value."""
        ip = str((self.place or self.knock.places[0])[1][0])
        staged = _medians(self.stages)
        return Answer(self.knock.method, ip, self.sent, tuple(self.times), self.trouble, self.said_by, staged)

    @property
    def hopeless(self) -> bool:
        """Whether no further probe is worth its packet."""
        if self.times or self.trouble is None:
            return False
        return self.sent >= PATIENCE or self.trouble not in WORTH_AGAIN


class Series:
    """Makes series of probes, all of them within one pace and ``at_once`` connections."""

    def __init__(self, plan: Plan, pace: Pace, at_once: int) -> None:
        self._plan, self._pace = plan, pace
        self._slots = asyncio.Semaphore(at_once)

    async def once(self, knock: Knock) -> Answer:
        """The first answer of any of the places, tried at most ``PATIENCE`` times."""
        tally = Tally(knock)
        while not tally.times and not tally.hopeless:
            await self._one(tally)
        return tally.answer

    async def all(self, tally: Tally) -> Answer:
        """As many probes as planned; fewer where there is no hope."""
        while tally.sent < self._plan.count and not tally.hopeless:
            await asyncio.sleep(max(0.0, tally.begun + tally.sent * self._plan.interval_s - time.monotonic()))
            await self._one(tally)
        return tally.answer

    async def _one(self, tally: Tally) -> None:
        """One probe. An address that has answered is kept to."""
        places = [tally.place] if tally.place else tally.knock.places
        patience_s = self._plan.timeout_s
        if tally.sent + 1 == PATIENCE and not tally.times:  # somebody may still say why there is no answer
            patience_s = max(patience_s, tally.begun + NEIGHBOUR_S - time.monotonic())
        try:
            tally.place, took, staged = await self._first_of(places, tally.knock, patience_s)
        except ProbeFailed as failed:
            tally.trouble, tally.said_by = failed.trouble, failed.said_by
        else:
            tally.times.append(took)
            tally.stages.append(staged)
        tally.sent += 1

    async def _first_of(
        self, places: Sequence[Place], knock: Knock, patience_s: float
    ) -> tuple[Place, float, dict[str, float]]:
        """The first place that answers, the time and its stages. Raises ``ProbeFailed``: the trouble of the first."""
        first: ProbeFailed | None = None
        for place in places:
            try:
                return place, *await self._probe(place, knock, patience_s)
            except ProbeFailed as failed:
                first = first or failed
        raise first or ProbeFailed(ProbeTrouble.UNKNOWN_HOST)

    async def _probe(self, place: Place, knock: Knock, patience_s: float) -> tuple[float, dict[str, float]]:
        """One connection by the method: its time and its stages. Raises ``ProbeFailed``. It waits for ``patience_s`` to
        hear of an error; an answer later than the plan's timeout is none."""
        async with self._slots:
            await self._pace.turn()
            with stream(place) as plain:
                took = await connect(plain, place, patience_s)
                if took > self._plan.timeout_s:
                    raise ProbeFailed(ProbeTrouble.TIMEOUT)
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
