"""``--follow``: the tail, mended. After a break a query fetches the lines in between, and none is given out twice.

Where no websocket can be had, queries are asked again and again instead. A line that its agent sends late, more than
``OVERLAP_NS`` after its own time and during a break, is the one thing that can be missed.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from meshdiag.errors import SourceError, Trouble
from meshdiag.logs.matching import Matcher
from meshdiag.logs.record import NS
from meshdiag.sources.loki.fields import Lines
from meshdiag.sources.loki.reading import Reader
from meshdiag.sources.loki.seen import Seen
from meshdiag.sources.loki.tail import NoTail, open_tail
from meshdiag.sources.loki.translate import asks_for_fields, translate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from meshdiag.logs.record import Record
    from meshdiag.logs.selection import Selection
    from meshdiag.logs.tally import Tally
    from meshdiag.sources.loki.client import Loki
    from meshdiag.sources.loki.entries import Entry
    from meshdiag.sources.loki.logql import Query
    from meshdiag.sources.loki.tail import Tail

OVERLAP_NS: Final = 30 * NS
"""How far before the last line a query looks again: lines come in a little late and out of order."""
FEW: Final = 5000
"""Lines between two looks beyond which the tail is trusted: the look would cost more than the tail itself."""
AHEAD_NS: Final = 600 * NS
PASSING: Final = frozenset(
    {
        Trouble.REFUSED, Trouble.UNREACHABLE, Trouble.UNKNOWN_HOST, Trouble.TIMEOUT, Trouble.TRUNCATED,
        Trouble.SERVER_ERROR, Trouble.STARTING, Trouble.RATE_LIMITED, Trouble.OTHER,
    }
)  # fmt: skip
"""Troubles that may pass while one waits."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast to try (s): pauses before a new connection, between queries where there is no tail, how long to go on
    with queries before the tail is tried again, how long to wait for a server that is gone, and how often to look by a
    query whether the tail brought everything."""

    first_pause_s: float = 0.5
    longest_pause_s: float = 10.0
    poll_s: float = 2.0
    poll_for_s: float = 120.0
    give_up_s: float = 300.0
    look_s: float = 20.0


@dataclass(slots=True)
class _Follower:
    """One ``--follow`` under way."""

    loki: Loki
    selection: Selection
    tally: Tally
    pace: Pace
    query: Query
    newest_ns: int
    heard_ns: int
    seen: Seen = field(default_factory=Seen)
    said: set[str] = field(default_factory=set)
    reader: Reader = field(init=False)
    matcher: Matcher = field(init=False)
    good_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.reader = Reader(self.loki.names, self.loki.formats)
        self.matcher = Matcher(self.selection)
        self.good_at = time.monotonic()

    # what comes in ----------------------------------------------------------------------------------------------

    def wanted(self, entries: Sequence[Entry]) -> Iterator[Record]:
        """The wanted records among entries."""
        self.heard_ns = time.time_ns()
        for record in self.reader.records(entries, self.tally, parsed=self.query.parsed):
            self.newest_ns = max(self.newest_ns, record.time_ns or 0)
            if self.matcher.wants(record):
                yield record

    async def missed(self) -> AsyncGenerator[Record, None]:
        """What a query finds that was not given out yet."""
        start = max(min(self.newest_ns, self.heard_ns) - OVERLAP_NS, self.seen.floor_ns)
        end = time.time_ns() + AHEAD_NS
        look = self.seen.look()
        async with aclosing(self.loki.pager.forward(self.query.text, start, end, self.tally)) as pages:
            async for entries in pages:
                for record in self.wanted(entries):
                    if look.fresh(record):
                        yield record
        self.good_at = time.monotonic()

    async def live(self) -> AsyncGenerator[Record, None]:
        """Records as they are written, through breaks. Raises ``SourceError`` for a trouble that does not pass."""
        pause = self.pace.first_pause_s
        while True:
            begun = time.monotonic()
            try:
                async with aclosing(self.tailed()) as tailed:
                    async for record in tailed:
                        yield record
            except NoTail as error:
                self.say(f"{error.message}; it is asked every {self.pace.poll_s:g} s instead")
                async with aclosing(self.polled()) as polled:
                    async for record in polled:
                        yield record
            except SourceError as error:
                self.bear(error)
            if time.monotonic() - begun > self.pace.longest_pause_s:
                pause = self.pace.first_pause_s
            await asyncio.sleep(pause)
            pause = min(pause * 2, self.pace.longest_pause_s)

    async def tailed(self) -> AsyncGenerator[Record, None]:
        """One connection: first what was missed before it stood, then what it delivers."""
        async with open_tail(self.loki.http, self.query.text, time.time_ns()) as tail:
            self.seen.new_connection()
            async with aclosing(self.missed()) as missed:
                async for record in missed:
                    yield record
            async with aclosing(self.delivered(tail)) as delivered:
                async for record in delivered:
                    yield record
            self.good_at = time.monotonic()
            self.say(
                f"{self.loki.name}: the tail ended: {tail.ended}; opened anew, and a query asked for what lies between"
            )

    async def delivered(self, tail: Tail) -> AsyncGenerator[Record, None]:
        """What a connection delivers. Now and then a query looks whether it is all: what was dropped, or came to the
        server in a way that the tail does not see."""
        look_at, lines = time.monotonic() + self.pace.look_s, 0
        async with aclosing(tail.frames(self.pace.look_s)) as frames:
            async for frame in frames:
                for record in self.wanted(frame.entries):
                    if self.seen.delivered(record):
                        yield record
                lines += len(frame.entries)
                if frame.dropped_ns:
                    self._dropped(frame.dropped_ns)
                elif time.monotonic() < look_at:
                    continue
                if frame.dropped_ns or lines <= FEW:
                    async with aclosing(self.missed()) as missed:
                        async for record in missed:
                            yield record
                look_at, lines = time.monotonic() + self.pace.look_s, 0

    def _dropped(self, times_ns: tuple[int, ...]) -> None:
        """Say that the server could not send some lines in time; the query that follows begins with them."""
        self.tally.notes.append(f"{self.loki.name}: its tail dropped {len(times_ns)} lines, so a query asked for them")
        self.newest_ns = min(self.newest_ns, *(one or self.newest_ns for one in times_ns))

    async def polled(self) -> AsyncGenerator[Record, None]:
        """Queries, again and again, for a while."""
        until = time.monotonic() + self.pace.poll_for_s
        while time.monotonic() < until:
            try:
                async with aclosing(self.missed()) as missed:
                    async for record in missed:
                        yield record
            except SourceError as error:
                self.bear(error)
            await asyncio.sleep(self.pace.poll_s)

    def bear(self, error: SourceError) -> None:
        """Note a trouble that may pass; raise it where it does not, or has lasted too long."""
        if error.trouble not in PASSING or time.monotonic() - self.good_at > self.pace.give_up_s:
            raise error
        self.say(f"{error.message}; trying again")

    def say(self, note: str) -> None:
        """Note something, once."""
        if note not in self.said:
            self.said.add(note)
            self.tally.notes.append(note)


async def follow(loki: Loki, selection: Selection, tally: Tally, pace: Pace) -> AsyncGenerator[Record, None]:
    """Wanted records as they are written, after those that ``since_ns`` or ``tail`` asks for, until the caller stops or
    ``head`` are given out."""
    left = selection.head
    async with aclosing(_all(loki, selection, tally, pace)) as records:
        async for record in records:
            yield record
            if left is not None and (left := left - 1) <= 0:
                return


async def _all(loki: Loki, selection: Selection, tally: Tally, pace: Pace) -> AsyncGenerator[Record, None]:
    if selection.before or selection.after:
        tally.notes.append(f"{loki.name}: lines around the wanted ones are not shown while it is followed")
    wanted = selection._replace(head=None, before=0, after=0)
    to_come = wanted._replace(since_ns=None, tail=None)
    now = time.time_ns()
    follower = _Follower(loki, to_come, tally, pace, await _live_query(loki, to_come, now, tally), now, now)
    if wanted.since_ns is None or wanted.since_ns > now - OVERLAP_NS:
        await _know(follower, to_come._replace(since_ns=now - OVERLAP_NS, until_ns=wanted.since_ns))
    if wanted.since_ns is not None or wanted.tail is not None:
        look = follower.seen.look()
        async with aclosing(loki.records(wanted, tally)) as records:
            async for record in records:
                if (record.time_ns or 0) >= now - 2 * OVERLAP_NS:
                    look.fresh(record)
                yield record
    async with aclosing(follower.live()) as live:
        async for record in live:
            tally.matched += 1
            yield record


async def _know(follower: _Follower, recent: Selection) -> None:
    """Take what is there already as known: it was written before anybody followed."""
    look = follower.seen.look()
    async with aclosing(follower.loki.records(recent, follower.tally)) as records:
        async for record in records:
            look.fresh(record)
            follower.tally.matched -= 1


async def _live_query(loki: Loki, selection: Selection, now: int, tally: Tally) -> Query:
    """The query for what is to come: of streams that nobody knows yet, and of lines like those of the last hour."""
    lines = None
    if asks_for_fields(selection):
        sampled = translate(selection, loki.selector, loki.names)
        lines = await loki.sample(sampled, now - 3600 * NS, now + AHEAD_NS, tally)
        if lines is None:
            lines = Lines.UNKEYED if loki.formats else Lines.OTHER
    return loki.remember(selection, translate(selection, loki.selector, loki.names, lines=lines))
