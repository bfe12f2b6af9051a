"""The metrics protocol over the nodes' own pages.

Queries that arrive together are answered from one look: the families that any of them names are read from pages
fetched side by side. Queries with a range selector wait for a second look, ``gap_s`` after the first; all others
are answered after the first. Later queries use the same pages while they are fresh.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from meshdiag.errors import LeftOut, QueryError, SourceError, Trouble
from meshdiag.metrics import AbsenceKind, Described, Matrix
from meshdiag.model import Evidence
from meshdiag.promql import evaluator
from meshdiag.promql.selectors import Needs, metric_names, needs, selectors
from meshdiag.promql.store import Store
from meshdiag.promql.values import Options
from meshdiag.sources.http import curl
from meshdiag.sources.scrape.absence import classify
from meshdiag.sources.scrape.observed import SYNTHETIC, Look, Observed
from meshdiag.sources.scrape.pages import PageFetcher
from meshdiag.sources.scrape.reading import read_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from meshdiag.context import Endpoint, NodeAddress
    from meshdiag.metrics import Absence, Vector
    from meshdiag.sources.scrape.reading import Reading

Answer = TypeVar("Answer", bound="Vector | Matrix")

FRESH_S = 10.0
"""How long a look answers queries before a new one is taken."""
PRESENT_S = 60.0
"""A moment asked for that is not further away than this counts as now."""
GATHER_TICKS = 3
"""How often the event loop goes round before a look begins, so that queries asked together are read together."""
OPTIONS = Options(observed_rates=True)


@dataclass(slots=True)
class _Batch:
    """Queries that wait for the same look."""

    names: set[str] = field(default_factory=set)
    any_name: bool = False
    task: asyncio.Task[None] | None = None

    def add(self, wanted: Needs) -> None:
        self.names |= wanted.names
        self.any_name = self.any_name or wanted.any_name


class Scrape:
    """The pages of ``nodes``, fetched with the settings of ``endpoint``; implements ``metrics.Metrics``.

    gap_s: between the two looks that rates come from. single_look: take no second one; rates are then left out.
    expected: the nodes are known to exist, so that when none answers they are down (``up`` is 0); otherwise it is as
    likely that the mesh is elsewhere, and every question raises ``SourceError``.
    ``increase`` and ``delta`` over a window are the observed pace times the window: see ``promql/rates.py``.
    """

    gate: str | None = None
    history = False

    def __init__(
        self,
        nodes: Sequence[NodeAddress],
        endpoint: Endpoint,
        *,
        job: str = "agent-mesh",
        node_label: str = "node",
        role_label: str = "role",
        peer_label: str = "peer_address",
        concurrency: int = 100,
        gap_s: float = 2.0,
        max_page_bytes: int = 16 * 1024 * 1024,
        single_look: bool = False,
        expected: bool = False,
    ) -> None:
        self.nodes = tuple(nodes)
        self.endpoint = endpoint
        self.peer_label = peer_label
        self._gap_s = gap_s
        self._single_look = single_look
        self._expected = expected
        self._observed = Observed(self.nodes, job, node_label, role_label)
        self._limits = {"concurrency": concurrency, "max_page_bytes": max_page_bytes}
        self._fetcher = PageFetcher(endpoint, **self._limits)
        self._batch: _Batch | None = None
        self._looking: asyncio.Task[None] | None = None
        self._warned: dict[str, None] = {}

    @property
    def name(self) -> str:
        """The source for a person."""
        return f"node pages ({len(self.nodes)} node{'' if len(self.nodes) == 1 else 's'})"

    @property
    def problems(self) -> Mapping[str, str]:
        """What was wrong with a node's page at the last look, by instance; empty before the first."""
        return self._observed.problems

    @property
    def gaps(self) -> str:
        """What the last look did not see of the mesh, for a person: nodes that do not answer, the first page with
        lines that cannot be read; "" where nothing is missing."""
        silent, broken = self._observed.silent, self._observed.broken
        said = []
        if silent:
            said.append(f"{len(silent)} of {len(self.nodes)} nodes {'does' if len(silent) == 1 else 'do'} not answer")
        if broken:
            first, *more = broken.items()
            said.append(": ".join(first) + (f"; {len(more)} more such" if more else ""))
        return "; ".join(said)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the evaluation remarked on so far."""
        return tuple(self._warned)

    def _heard(self, answer: Answer) -> Answer:
        self._warned.update(dict.fromkeys(answer.warnings))
        return answer

    async def look(self) -> Mapping[str, str]:
        """Make sure that the nodes have been looked at, and say what was wrong: see ``problems``. Raises
        ``SourceError`` when no node answers."""
        await self._prepare(Needs(frozenset(), False, False, None))
        self._refuse_silence()
        return self.problems

    async def metric_names(self) -> set[str]:
        """The names of all samples on the nodes' pages. Raises ``SourceError`` when no node answers."""
        await self.look()
        return self._observed.names_on_pages()

    async def names(self) -> Mapping[str, Described]:
        """Every name on the pages; what their metrics mean is left to the catalog."""
        return dict.fromkeys(await self.metric_names(), Described())

    async def evaluate(self, query: str, at: datetime | None = None) -> Vector | Matrix:
        """Evaluate an expression now. Raises ``SourceError`` (not available) for another moment, ``LeftOut`` where
        the answer lies in the second look that is not taken."""
        wanted = needs(query)
        self._refuse_past(wanted, at)
        await self._prepare(wanted)
        answer = evaluator.instant(self._observed.store, query, round(time.time() * 1000), OPTIONS)
        found = answer.series if isinstance(answer, Matrix) else answer.samples
        if not found and wanted.window and self._single_look:
            self._refuse_rate(query)
        return self._heard(answer)

    async def instant(self, query: str, at: datetime | None = None) -> Vector:
        """The same, for an expression with one value a series."""
        answer = await self.evaluate(query, at)
        if isinstance(answer, Matrix):
            raise QueryError(
                "a range selector alone gives many values a series",
                source=self.name,
                hint="wrap it in a function, such as rate(…)",
            )
        return answer

    async def range(self, query: str, start: datetime, end: datetime, step: timedelta) -> Matrix:
        """Evaluate over what has been observed so far; ``SourceError`` (not available) when that does not reach
        back to ``start``."""
        wanted = needs(query)
        self._refuse_past(wanted, None)
        looks = self._observed.looks
        if not looks or start.timestamp() < looks[0].began - FRESH_S:
            raise self._no_history("a range query", "--direct with --range watches them from now on; or ask Prometheus")
        await self._prepare(wanted)
        span = (round(start.timestamp() * 1000), round(end.timestamp() * 1000), round(step.total_seconds() * 1000))
        return self._heard(evaluator.over_range(self._observed.store, query, *span, OPTIONS))

    async def watch(
        self, query: str, span: timedelta, step: timedelta, on_look: Callable[[int, int], None] = lambda _n, _of: None
    ) -> Matrix:
        """Look at the pages every ``step`` for ``span``, from now on, and evaluate at each look.

        ``on_look`` is told how many looks there have been, and of how many. Raises what ``instant`` raises, before
        the first look where the query cannot be evaluated over a range.
        """
        wanted = needs(query)
        if wanted.reach_ms > span.total_seconds() * 1000:
            raise self._no_history(f"'{wanted.past}'")
        looks = int(span / step) + 1
        if looks > evaluator.MAX_STEPS:
            raise QueryError(f"more than {evaluator.MAX_STEPS} looks", hint="use a longer step or a shorter range")
        evaluator.over_range(Store(), query, 0, 0, 1, OPTIONS)  # what is wrong with the query is said at once
        began = time.time()
        for number in range(looks):
            left = began + number * step.total_seconds() - time.time()
            if left < 0 < number < looks - 1:  # the look before took longer than a step
                continue
            await asyncio.sleep(max(0.0, left))
            await self._look()
            self._load(_Batch(set(wanted.names), wanted.any_name))
            if not number and not self._expected:
                self._refuse_silence()
            on_look(number + 1, looks)
            if not number and self._nobody_has(query):
                break  # a mistyped name is said now, not when the span is over
        return self.seen(query, step)

    def _nobody_has(self, query: str) -> bool:
        """Whether all nodes answer, and none of them has anything that a query names."""
        found = selectors(query)
        answering = all(page.error is None for page in self._observed.looks[-1].pages)
        return answering and bool(found) and not any(map(self._observed.store.select, found))

    def seen(self, query: str, step: timedelta) -> Matrix:
        """Evaluate every ``step`` over the looks taken so far, each at the moment when all of its pages had come."""
        looks = self._observed.looks
        if not looks:
            raise SourceError("the nodes have not been looked at yet", trouble=Trouble.NOT_AVAILABLE, source=self.name)
        every = step.total_seconds()
        places = [round((look.began - looks[0].began) / every) for look in looks]
        late = max(look.ended - looks[0].began - place * every for look, place in zip(looks, places, strict=True))
        first = looks[0].began + late
        start, end = round(first * 1000), round((first + places[-1] * every) * 1000)
        return self._heard(evaluator.over_range(self._observed.store, query, start, end, round(every * 1000), OPTIONS))

    async def read(
        self, instances: Collection[str], names: frozenset[str], patience_s: float | None = None
    ) -> Mapping[str, Reading]:
        """The pages of these nodes, fetched anew: the samples of these names, by instance. Nodes that are not known
        are left out. ``patience_s`` may shorten the timeout. Raises ``SourceError`` for credentials alone."""
        nodes = [node for node in self.nodes if node.instance in instances]
        return await read_pages(nodes, self.endpoint, names, patience_s=patience_s, **self._limits)

    async def samples(self, queries: Iterable[str], *, afresh: bool = False) -> Store:
        """The store, once it holds what all these queries read: from the last looks while they are fresh, two of
        them where a query needs that; ``afresh``: from one more look. For evaluations that go on over several
        looks. Raises ``SourceError`` when no node answers and none is expected to."""
        wanted = [needs(query) for query in queries]
        names = frozenset(name for one in wanted for name in one.names)
        together = Needs(names, any(one.any_name for one in wanted), any(one.window for one in wanted), None)
        if not afresh:
            await self._prepare(together)
            return self._observed.store
        await self._look()
        self._load(_Batch(set(names), together.any_name))
        if not self._expected:
            self._refuse_silence()
        return self._observed.store

    @property
    def observed_s(self) -> float:
        """Seconds between the first look and the last; 0 where there was one at most."""
        looks = self._observed.looks
        return looks[-1].began - looks[0].began if looks else 0.0

    async def why_empty(self, query: str, at: datetime | None = None) -> Absence:
        """Why ``query`` had no answer, from the pages of the last look."""
        wanted = needs(query)
        self._refuse_past(wanted, at)
        await self._prepare(replace(wanted, window=False))
        return classify(query, self._observed, self.nodes)

    def evidence(
        self, query: str, at: datetime | None = None, excerpt: str = "", instance: str | None = None
    ) -> Evidence:
        """The command that shows the lines behind ``query`` on a node's page: of ``instance``, or the first."""
        del at  # a page shows the present
        node = next((one for one in self.nodes if one.instance == instance), self.nodes[0] if self.nodes else None)
        if node is None:
            return Evidence(self.name, "", excerpt)
        page = curl(replace(self.endpoint, url=node.url))
        try:
            names = sorted(metric_names(query) - SYNTHETIC)
        except QueryError:
            names = []
        if not names:
            return Evidence(self.name, f"{page} -o /dev/null -w '%{{http_code}}\\n'", excerpt)
        pattern = names[0] if len(names) == 1 else f"({'|'.join(map(re.escape, names))})"
        return Evidence(self.name, f"{page} | grep -E {shlex.quote(f'^{pattern}')}", excerpt)

    # how looks are taken ---------------------------------------------------------------------------------

    async def _prepare(self, wanted: Needs) -> None:
        """Wait until the store holds what a query needs."""
        batch = self._batch
        if batch is None:
            batch = self._batch = _Batch()
            batch.task = asyncio.create_task(self._first_look(batch))
        batch.add(wanted)
        assert batch.task is not None
        await asyncio.shield(batch.task)
        if not self._expected:
            self._refuse_silence()
        if wanted.window and not self._single_look and self._anybody_answered:
            await self._second_look()

    async def _first_look(self, batch: _Batch) -> None:
        """Gather queries, look at the nodes unless that was done just now, and read the families asked for."""
        try:
            for _ in range(GATHER_TICKS):
                await asyncio.sleep(0)
            looks = self._observed.looks
            if not looks or time.time() - looks[-1].began > FRESH_S:
                await self._look()
        finally:
            self._batch = None  # whoever asks from here on starts a new batch
        self._load(batch)

    def _load(self, batch: _Batch) -> None:
        if batch.any_name:
            self._observed.load_all()
        else:
            self._observed.load(batch.names)

    async def _second_look(self) -> None:
        """Wait for the look that rates need beside the first."""
        looks = self._observed.looks
        while len(looks) < 2:
            if self._looking is None:
                self._looking = asyncio.create_task(self._look_again(looks[-1].began + self._gap_s))
            await asyncio.shield(self._looking)

    async def _look_again(self, moment: float) -> None:
        """Look once more at the nodes that answered: the others have no rate in any case, and may take the whole
        timeout again to be silent."""
        try:
            await asyncio.sleep(max(0.0, moment - time.time()))
            await self._look(after=self._observed.looks[-1])
        finally:
            self._looking = None

    async def _look(self, *, after: Look | None = None) -> None:
        """Look at all nodes, or at those that answered in the look before."""
        began = time.time()
        if after is None:
            pages = await self._fetcher.fetch_all(self.nodes)
        else:
            answered = [node for node, page in zip(self.nodes, after.pages, strict=True) if page.error is None]
            fetched = iter(await self._fetcher.fetch_all(answered))
            pages = [page if page.error is not None else next(fetched) for page in after.pages]
        self._observed.add(Look(pages, began, ended=time.time()))

    @property
    def _anybody_answered(self) -> bool:
        """Whether any node answered at the last look."""
        return any(page.error is None for page in self._observed.looks[-1].pages)

    def _refuse_silence(self) -> None:
        """Raise when no node at all answered: then nothing can be said, not even that something is absent."""
        pages = self._observed.looks[-1].pages
        if not pages:
            raise SourceError(
                "node pages: no node is known",
                trouble=Trouble.NOT_CONFIGURED,
                source=self.name,
                hint="list the nodes in the configuration",
            )
        if self._anybody_answered:
            return
        first = next(page.error for page in pages if page.error is not None)
        others = f" (none of the {len(pages)} nodes answers)" if len(pages) > 1 else ""
        raise SourceError(
            f"{first.message}{others}",
            trouble=first.trouble,
            source=self.name,
            where=first.where,
            hint=first.hint or "check that the nodes run and their addresses are right",
            because="nodes.up",
        ) from first

    def _refuse_rate(self, query: str) -> None:
        """Raise when a query is empty for want of a second look, not for want of series."""
        if classify(query, self._observed, self.nodes).kind is AbsenceKind.FILTERED:
            raise LeftOut("a rate needs two looks at the pages, and only one was asked for", source=self.name)

    def _refuse_past(self, wanted: Needs, at: datetime | None) -> None:
        if wanted.past is not None:
            raise self._no_history(f"'{wanted.past}'")
        if at is not None and abs(at.timestamp() - time.time()) > PRESENT_S:
            raise self._no_history(f"the moment {at:%Y-%m-%d %H:%M:%S %Z}".rstrip())

    def _no_history(self, what: str, hint: str = "ask Prometheus, once it answers") -> SourceError:
        return SourceError(
            f"node pages hold no history, so {what} cannot be answered",
            trouble=Trouble.NOT_AVAILABLE,
            source=self.name,
            hint=hint,
        )
