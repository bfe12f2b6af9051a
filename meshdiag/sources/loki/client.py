"""``Loki``: the logs of the mesh, as a Loki keeps them; implements ``meshdiag.logs.source.LogSource``."""

from __future__ import annotations

import time
from collections import deque
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from meshdiag.errors import ConfigError, QueryError, SourceError, Trouble
from meshdiag.logs.matching import Matcher
from meshdiag.logs.record import NS
from meshdiag.model import Evidence
from meshdiag.sources.closing import Closing
from meshdiag.sources.http import HttpClient
from meshdiag.sources.loki.api import API, Api, LimitTooHigh, RangeTooLong, range_params
from meshdiag.sources.loki.fields import Lines
from meshdiag.sources.loki.identity import blame, identify
from meshdiag.sources.loki.labels import LabelNames, Names, Streams
from meshdiag.sources.loki.logcli import logcli
from meshdiag.sources.loki.logql import is_selector, quoted, with_matchers
from meshdiag.sources.loki.paging import CAP, Pager
from meshdiag.sources.loki.reading import Reader
from meshdiag.sources.loki.surroundings import with_context
from meshdiag.sources.loki.translate import asks_for_fields, translate, unfiltered

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    import httpx

    from meshdiag.context import Endpoint
    from meshdiag.logs.formats import Format
    from meshdiag.logs.record import Record
    from meshdiag.logs.selection import Selection
    from meshdiag.logs.tally import Tally
    from meshdiag.sources.loki.api import Member
    from meshdiag.sources.loki.entries import Entry
    from meshdiag.sources.loki.following import Pace
    from meshdiag.sources.loki.identity import Identity
    from meshdiag.sources.loki.logql import Query

MIB: Final = 1024 * 1024
GRACE_NS: Final = 600 * NS
"""How far ahead of our clock the newest line may lie: what Loki itself accepts (``creation_grace_period``)."""
HOUR_NS: Final = 3600 * NS
LOOKBACK_NS: Final = HOUR_NS
"""How far a question without a beginning looks back: Loki's own default."""
WIDENING_NS: Final = (HOUR_NS, 24 * HOUR_NS, 7 * 24 * HOUR_NS, 30 * 24 * HOUR_NS)
"""How far a question for the last lines looks back, step by step, until they are found."""
GONE: Final = frozenset({Trouble.REFUSED, Trouble.UNKNOWN_HOST, Trouble.UNREACHABLE, Trouble.TLS, Trouble.STARTING})
"""Troubles that the next question would only meet again."""
SAMPLE: Final = 100
"""Lines that are looked at before conditions on their fields are sent."""


class Loki(Closing):
    """One Loki, and the streams in it that belong to the mesh.

    ``selector`` picks them (``{job="agent-mesh"}``); ``node_label`` is the label that names a node; ``formats`` are
    the user's own, tried first on each stream's lines. Close it with ``aclose`` or ``async with``.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        selector: str,
        *,
        node_label: str = "node",
        formats: Sequence[Format] = (),
        pace: Pace | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if not is_selector(selector):
            raise ConfigError(
                f"the stream selector of Loki, {selector[:60]!r}, is none",
                hint='write it as LogQL does: {job="agent-mesh"}',
            )
        defaults = LabelNames()
        others = tuple(name for name in (defaults.node.first, *defaults.node.after) if name != node_label)
        self.http = HttpClient(endpoint, name="Loki", transport=transport, max_bytes=16 * MIB)
        self.names = replace(defaults, node=Names(node_label, others))
        self.selector = selector.strip()
        self.formats = tuple(formats)
        self.api = Api(self.http)
        self.pager = Pager(self.api)
        self._pace = pace
        self._sent: tuple[Selection, Query] | None = None

    @property
    def name(self) -> str:
        """``Loki http://…:3100``."""
        return f"Loki {self.http.shown}"

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def identify(self) -> Identity:
        """What answers. Raises ``SourceError`` (wrong server) that names what was found instead."""
        return await identify(self.api)

    async def not_ready(self) -> str:
        """In which words it says that it is not ready; "" where it is, or says nothing of it."""
        said = await self.api.ready() or ""
        return "" if "<" in said else said

    async def ring(self) -> tuple[Member, ...] | None:
        """The members of the ring of ingesters; None where it is not shown."""
        return await self.api.ring()

    async def streams(self, start_s: float, end_s: float) -> tuple[dict[str, str], ...]:
        """The labels of the mesh's streams that had lines in a window (s since the epoch)."""
        return await self.api.series(self.selector, round(start_s * NS), round(end_s * NS))

    async def newest(
        self, start_s: float, end_s: float, limit: int, labels: Mapping[str, str] | None = None
    ) -> list[Entry]:
        """The newest lines of a window, the newest first, of the mesh's streams that have these labels."""
        query = with_matchers(self.selector, (f"{name}={quoted(value)}" for name, value in (labels or {}).items()))
        page = await self.api.query_range(query, round(start_s * NS), round(end_s * NS), limit, newest_first=True)
        return page.entries[::-1]

    def page_evidence(self, path: str) -> Evidence:
        """The curl command that asks a path of it again."""
        return Evidence(self.name, self.http.curl(path))

    def newest_evidence(self, start_s: float, end_s: float) -> Evidence:
        """The curl command that asks for the newest lines again."""
        params = range_params(self.selector, round(start_s * NS), round(end_s * NS), 10, newest_first=True)
        return Evidence(self.name, self.http.curl(f"{API}/query_range", params))

    def evidence(self, selection: Selection) -> tuple[Evidence, ...]:
        """The LogQL for a selection, as curl and logcli ask it: that which was sent, where it was asked already."""
        query = self._query_sent(selection).text
        newest_first = selection.tail is not None
        bound = selection.tail if newest_first else selection.head
        limit = max(1, min(bound or CAP, CAP))
        window = (selection.since_ns, selection.until_ns)
        params = range_params(query, *window, limit, newest_first=newest_first)
        command = logcli(self.http.endpoint, query, *window, limit, newest_first=newest_first)
        return (
            Evidence(self.name, self.http.curl(f"{API}/query_range", params)),
            Evidence(self.name, command),
        )

    async def records(self, selection: Selection, tally: Tally) -> AsyncGenerator[Record, None]:
        """The wanted records, oldest first. Without ``since_ns`` the last hour is read, or for ``tail`` as much as it
        takes to find them, up to 30 days; the tally says so. Raises ``SourceError``."""
        if self.name not in tally.files:
            tally.files.append(self.name)
        if selection.head == 0 or selection.tail == 0:
            return
        try:
            if selection.tail is not None and not _surrounded(selection):
                for record in await self._last(selection, tally):
                    yield record
                return
            async with aclosing(self._bounded(selection, tally)) as records:
                async for record in records:
                    yield record
        except SourceError as error:
            await blame(self.api, error)

    def follow(self, selection: Selection, tally: Tally) -> AsyncGenerator[Record, None]:
        """Wanted records as they are written, after those that ``since_ns`` or ``tail`` asks for. Raises
        ``SourceError`` where Loki cannot be asked at all; a connection that breaks is mended."""
        from meshdiag.sources.loki.following import Pace, follow

        return follow(self, selection, tally, self._pace or Pace())

    # how a selection is asked ----------------------------------------------------------------------------------

    async def query_for(self, selection: Selection, start_ns: int, end_ns: int, tally: Tally) -> Query | None:
        """The query for a selection in a window, made with a look at the streams and, for fields, at a few lines. None
        where that look shows that there is nothing to find."""
        if _surrounded(selection):
            return self.remember(selection, unfiltered(self.selector))
        streams = await self._streams(selection, start_ns, end_ns)
        lines = None
        if asks_for_fields(selection):
            lines = await self.sample(
                translate(selection, self.selector, self.names, streams=streams), start_ns, end_ns, tally
            )
            if lines is None:
                return None
        return self.remember(selection, translate(selection, self.selector, self.names, streams=streams, lines=lines))

    async def _streams(self, selection: Selection, start_ns: int, end_ns: int) -> Streams:
        """The labels of the streams, where they decide how to ask. A refusal is left to the query to meet."""
        if not (selection.levels is not None or selection.components or selection.nodes):
            return Streams()
        try:
            series = await self.api.series(self.selector, start_ns, end_ns)
        except SourceError as error:
            if error.trouble in GONE or self.api.hangs:
                raise
            return Streams()
        labels = (self.names.level.first, self.names.component.first, self.names.node.first)
        return Streams({label: frozenset(one.get(label, "") for one in series) or frozenset({""}) for label in labels})

    async def sample(self, query: Query, start_ns: int, end_ns: int, tally: Tally) -> Lines | None:
        """What the newest lines of a query are; None where there are none."""
        reader = Reader(self.names, self.formats)
        async for entries in self.pager.backward(query.text, start_ns, end_ns, tally, SAMPLE):
            if entries:
                return reader.lines_of(entries)
        return None

    def remember(self, selection: Selection, query: Query) -> Query:
        self._sent = (selection, query)
        return query

    def _query_sent(self, selection: Selection) -> Query:
        if self._sent is not None and self._sent[0] == selection:
            return self._sent[1]
        if _surrounded(selection):
            return unfiltered(self.selector)
        lines = Lines.JSON if asks_for_fields(selection) else None
        return translate(selection, self.selector, self.names, lines=lines)

    # records ------------------------------------------------------------------------------------------------------

    async def _bounded(self, selection: Selection, tally: Tally) -> AsyncGenerator[Record, None]:
        """The records in the order of time, up to ``head``; with their surroundings where those are asked for."""
        start, end = self._window(selection, tally)
        query = await self.query_for(selection, start, end, tally)
        if query is None:
            return
        if _surrounded(selection):
            tally.notes.append(
                f"{self.name}: context lines take every line of its streams, so nothing is filtered there"
            )
            async with aclosing(with_context(self._read(query, start, end, tally), selection, tally)) as records:
                async for record in records:
                    yield record
            return
        matcher = Matcher(selection)
        left = selection.head
        async with aclosing(self._read(query, start, end, tally, left if query.exact else None)) as records:
            async for record in records:
                if matcher.wants(record):
                    tally.matched += 1
                    yield record
                    if left is not None and (left := left - 1) <= 0:
                        return

    async def _read(
        self, query: Query, start: int, end: int, tally: Tally, want: int | None = None
    ) -> AsyncGenerator[Record, None]:
        """All records of a query, oldest first."""
        reader = Reader(self.names, self.formats)
        begun = False
        try:
            async for entries in self.pager.forward(query.text, start, end, tally, want):
                begun = True
                for record in reader.records(entries, tally, parsed=query.parsed):
                    yield record
        except QueryError as error:
            if begun or not query.stages:
                raise
            async for record in self._read(self._simpler(error, tally), start, end, tally):
                yield record

    async def _last(self, selection: Selection, tally: Tally) -> deque[Record]:
        """The last ``tail`` records, oldest first."""
        wanted = selection.tail or 0
        found: deque[Record] = deque()
        for start, end in self._steps(selection):
            query = await self.query_for(selection, start, end, tally)
            if query is not None:
                await self._collect(selection, query, (start, end), found, tally)
            if len(found) >= wanted:
                break
        if len(found) < wanted and selection.since_ns is None:
            tally.notes.append(
                f"{self.name}: fewer than {wanted} records in the last 30 days, which is as far as was looked"
            )
        tally.matched += len(found)
        return found

    async def _collect(
        self, selection: Selection, query: Query, window: tuple[int, int], found: deque[Record], tally: Tally
    ) -> None:
        """Put wanted records of a window before those found already, the newest first, until they are enough."""
        wanted = selection.tail or 0
        reader, matcher = Reader(self.names, self.formats), Matcher(selection)
        want = wanted - len(found) if query.exact else None
        try:
            async for entries in self.pager.backward(query.text, *window, tally, want):
                page = [one for one in reader.records(entries, tally, parsed=query.parsed) if matcher.wants(one)]
                for record in reversed(page):
                    found.appendleft(record)
                    if len(found) >= wanted:
                        return
        except QueryError as error:
            if not query.stages or found:
                raise
            await self._collect(selection, self._simpler(error, tally), window, found, tally)

    def _simpler(self, error: QueryError, tally: Tally) -> Query:
        """The question to ask when the server refuses the filters (an older or stricter dialect of LogQL)."""
        if isinstance(error, LimitTooHigh | RangeTooLong):
            raise error
        tally.notes.append(f"{error.message}; every line is asked for instead and filtered here")
        simpler = unfiltered(self.selector)
        if self._sent is not None:
            self._sent = (self._sent[0], simpler)
        return simpler

    def _window(self, selection: Selection, tally: Tally) -> tuple[int, int]:
        """The window, its open sides closed."""
        now = time.time_ns()
        end = now + GRACE_NS if selection.until_ns is None else selection.until_ns
        if selection.since_ns is not None:
            return selection.since_ns, end
        tally.notes.append(
            f"{self.name}: no beginning was given, so the hour before the end was read; give --since for more"
        )
        return min(end, now) - LOOKBACK_NS, end

    def _steps(self, selection: Selection) -> list[tuple[int, int]]:
        """The windows to look for the last records in, newest first."""
        now = time.time_ns()
        end = now + GRACE_NS if selection.until_ns is None else selection.until_ns
        if selection.since_ns is not None:
            return [(selection.since_ns, end)]
        begins = [min(end, now) - back for back in WIDENING_NS]
        return list(zip(begins, [end, *begins], strict=False))


def _surrounded(selection: Selection) -> bool:
    return selection.before > 0 or selection.after > 0
