"""A window of a query, page by page, so that no line is lost: each page begins where the one before became uncertain.

A page that is full may end in the midst of a nanosecond, in any of several streams. So the lines of its last nanosecond
are put aside and asked for again, with the next page. (To go on from the last time of *any* stream, as is tempting,
loses what the others have before it; to go on behind it loses the rest of that nanosecond.)
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from meshdiag.errors import SourceError, Trouble
from meshdiag.logs.record import NS
from meshdiag.sources.loki.api import LimitTooHigh, RangeTooLong

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from meshdiag.logs.tally import Tally
    from meshdiag.sources.loki.api import Api, Page
    from meshdiag.sources.loki.entries import Entry

CAP: Final = 5000
"""The most lines in one answer, unless the server says less; Loki's own default."""
LONGEST_NS: Final = 30 * 86_400 * NS
"""The longest window in one query, unless the server says less; Loki's own default is an hour more."""

SHORTEST_NS: Final = 60 * NS
SHORTER: Final = 8
"""A window that a living server does not manage in time is asked in parts: an eighth of it, down to a minute."""
PAUSES_S: Final = (1.0, 0.3)
"""How long to wait before a page is asked for again that a busy server refused; the last first."""


@dataclass(slots=True)
class Pager:
    """Asks page by page. What it learns of the server's bounds it keeps: ``cap`` lines, ``longest_ns`` of window."""

    api: Api
    cap: int = CAP
    longest_ns: int = LONGEST_NS

    def forward(
        self, query: str, start_ns: int, end_ns: int, tally: Tally, want: int | None = None
    ) -> AsyncGenerator[list[Entry], None]:
        """Every line of the window, oldest first. ``want``: how many the caller hopes to need, so that no more are
        fetched than that at once."""
        return self._pages(query, start_ns, end_ns, tally, want, newest_first=False)

    def backward(
        self, query: str, start_ns: int, end_ns: int, tally: Tally, want: int | None = None
    ) -> AsyncGenerator[list[Entry], None]:
        """The same from the end of the window: each list oldest first, each before the one given last."""
        return self._pages(query, start_ns, end_ns, tally, want, newest_first=True)

    async def _pages(
        self, query: str, start: int, end: int, tally: Tally, want: int | None, *, newest_first: bool
    ) -> AsyncGenerator[list[Entry], None]:
        while start < end:
            begin = max(start, end - self.longest_ns) if newest_first else start
            until = end if newest_first else min(end, start + self.longest_ns)
            try:
                page, full = await self._ask(query, begin, until, self._limit(want), tally, newest_first=newest_first)
            except SourceError as error:
                self._shorten(error, until - begin, tally)
                continue
            entries, edge = page.entries, begin if newest_first else until
            if full:
                last = entries[0 if newest_first else -1].time_ns
                alone = entries[0].time_ns == entries[-1].time_ns
                if alone:
                    entries = await self._nanosecond(query, last, tally)
                else:
                    entries = [one for one in entries if one.time_ns != last]
                # A window's beginning belongs to it, its end does not: whether this nanosecond is still to come.
                edge = last + (alone is not newest_first)
            yield entries
            start, end = (start, edge) if newest_first else (edge, end)

    def _limit(self, want: int | None) -> int:
        """One more than wanted, because the lines of the last nanosecond are put aside."""
        return self.cap if want is None else max(1, min(self.cap, want + 1))

    async def _nanosecond(self, query: str, time_ns: int, tally: Tally) -> list[Entry]:
        """All lines of one nanosecond. No question can tell them apart where they are more than the server gives."""
        page, full = await self._ask(query, time_ns, time_ns + 1, self.cap, tally, newest_first=False)
        if full:
            seconds, rest = divmod(time_ns, NS)
            tally.skipped.append(
                f"{self.api.http.name}: more than {len(page.entries)} lines bear the same time ({seconds}.{rest:09d}), "
                "which is all that it gives at once: the others could not be asked for"
            )
        return page.entries

    async def _ask(
        self, query: str, start: int, end: int, limit: int, tally: Tally, *, newest_first: bool
    ) -> tuple[Page, bool]:
        """A page, and whether it is full; with fewer lines where the server gives no more, or they are too large."""
        pauses = list(PAUSES_S)
        while True:
            try:
                page = await self.api.query_range(query, start, end, limit, newest_first=newest_first)
            except LimitTooHigh as error:
                if not 0 < error.cap < limit:
                    raise
                self.cap = limit = error.cap
            except SourceError as error:
                if error.trouble is Trouble.TOO_LARGE and limit > 1:
                    self.cap = limit = max(1, limit // 4)
                elif error.trouble is Trouble.RATE_LIMITED and pauses:
                    await asyncio.sleep(pauses.pop())
                else:
                    raise
            else:
                tally.bytes_read += page.size
                return page, page.full(limit)

    def _shorten(self, error: SourceError, asked_ns: int, tally: Tally) -> None:
        """Ask for a shorter window from now on, where that was the trouble; else raise it."""
        longest = 0
        if isinstance(error, RangeTooLong):
            longest = error.longest_ns
        elif error.trouble is Trouble.TIMEOUT and not self.api.hangs and asked_ns > SHORTEST_NS:
            longest = max(asked_ns // SHORTER, SHORTEST_NS)
            note = f"{self.api.http.name}: too slow for the whole window, so it is asked in parts"
            if note not in tally.notes:
                tally.notes.append(note)
        if not NS <= longest < asked_ns:
            raise error
        self.longest_ns = longest
