"""``Prometheus``: the questions that can be asked of a Prometheus HTTP API, and their typed answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from meshdiag.errors import QueryError, SourceError
from meshdiag.metrics import Described, Matrix, Vector
from meshdiag.model import Evidence
from meshdiag.sources.closing import Closing
from meshdiag.sources.http import HttpClient, excerpt
from meshdiag.sources.http.fields import rows, text_map
from meshdiag.sources.prometheus import answers, state
from meshdiag.sources.prometheus.api import Api
from meshdiag.sources.prometheus.batch import Batcher, split_matrix, split_vector, without_place

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    import httpx

    from meshdiag.context import Endpoint
    from meshdiag.metrics import Absence
    from meshdiag.sources.ownpage import OwnPage
    from meshdiag.sources.prometheus.api import Answer
    from meshdiag.sources.prometheus.identity import Identity

T = TypeVar("T")
Pairs = tuple[tuple[str, str], ...]

SERVER_SHARE: Final = 0.9
"""The part of our timeout that the server may spend on a query: it gives up before we do, and says so."""
MAX_RULE_PAGES: Final = 50


class Prometheus(Closing):
    """A server that speaks the Prometheus HTTP API; implements ``meshdiag.metrics.Metrics``.

    Every method raises ``SourceError``; an endpoint that this kind of server lacks is ``NOT_AVAILABLE``. A moment
    ``at`` is timezone-aware; None is the server's now. Close it with ``aclose`` or ``async with``.
    """

    gate: Final = "stack.prometheus"
    history: Final = True

    def __init__(
        self, endpoint: Endpoint, *, transport: httpx.AsyncBaseTransport | None = None, http: HttpClient | None = None
    ) -> None:
        self.http = http or HttpClient(endpoint, name="Prometheus", transport=transport)
        self._api = Api(self.http)
        self._instants: Batcher[Vector] = Batcher(self._evaluate_instant, split_vector)
        self._ranges: Batcher[Matrix] = Batcher(self._evaluate_range, split_matrix)

    @property
    def name(self) -> str:
        """``Prometheus http://…:9090``."""
        return f"Prometheus {self.http.shown}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings and infos of all answers so far; a remark on an expression without its place, which counts
        in the joined text."""
        return tuple(dict.fromkeys(map(without_place, self._api.warned)))

    @property
    def url(self) -> str:
        """Its address, without credentials."""
        return self.http.shown

    async def aclose(self) -> None:
        """Stop what is under way and close the connections."""
        await self._instants.close()
        await self._ranges.close()
        await self.http.aclose()

    # queries ---------------------------------------------------------------------------------------------

    async def instant(self, query: str, at: datetime | None = None) -> Vector:
        """Evaluate an expression at one moment. Questions asked side by side share a request.

        A range selector (``up[5m]``) is refused here: ``evaluate`` takes it.
        """
        return await self._instants.ask(query, self._moment(at))

    async def range(self, query: str, start: datetime, end: datetime, step: timedelta) -> Matrix:
        """Evaluate an expression at every ``step`` from ``start`` to ``end``, both included."""
        span = (
            ("start", _seconds(start)),
            ("end", _seconds(end)),
            ("step", f"{max(step.total_seconds(), 0.001):.3f}"),
        )
        return await self._ranges.ask(query, span)

    async def evaluate(self, query: str, at: datetime | None = None) -> Vector | Matrix:
        """Evaluate an expression of any type at one moment, in a request of its own."""
        return await self._query(query, self._moment(at))

    async def why_empty(self, query: str, at: datetime | None = None) -> Absence:
        """Why ``query`` gives nothing."""
        from meshdiag.sources.prometheus.absence import why_empty

        return await why_empty(self, query, at)

    def evidence(self, query: str, at: datetime | None = None, excerpt: str = "") -> Evidence:
        """The curl command that asks the same again."""
        params = (("query", query), *self._moment(at))
        return Evidence(self.name, self.http.curl("/api/v1/query", params), excerpt)

    def range_evidence(
        self, query: str, start: datetime, end: datetime, step: timedelta, excerpt: str = ""
    ) -> Evidence:
        """The curl command that asks a range query again."""
        params = (
            ("query", query),
            ("start", _seconds(start)),
            ("end", _seconds(end)),
            ("step", f"{step.total_seconds():g}"),
        )
        return Evidence(self.name, self.http.curl("/api/v1/query_range", params), excerpt)

    # what the store holds --------------------------------------------------------------------------------

    async def series(
        self, match: Sequence[str], start: datetime | None = None, end: datetime | None = None
    ) -> tuple[dict[str, str], ...]:
        """The label sets of the series that the selectors pick."""
        params = (*(("match[]", one) for one in match), *_span(start, end))
        return await self._read("/series", params, lambda data: tuple(text_map(one) for one in rows(data)))

    async def labels(self, match: Sequence[str] = ()) -> tuple[str, ...]:
        """The names of all labels (of the series that the selectors pick)."""
        return await self._read("/labels", tuple(("match[]", one) for one in match), _texts)

    async def label_values(self, label: str, match: Sequence[str] = ()) -> tuple[str, ...]:
        """The values of a label; ``__name__`` gives the metric names."""
        from urllib.parse import quote

        path = f"/label/{quote(label, safe='')}/values"
        return await self._read(path, tuple(("match[]", one) for one in match), _texts)

    async def metadata(self, metric: str | None = None) -> dict[str, state.MetricMetadata]:
        """Type, help and unit by metric name."""
        return await self._read("/metadata", (("metric", metric),) if metric else (), state.read_metadata)

    async def names(self) -> Mapping[str, Described]:
        """Every metric name, with type and help where the server keeps metadata."""
        names, metadata = await asyncio.gather(self.label_values("__name__"), self._metadata_if_kept())
        return {
            name: Described(known.type, known.help) if (known := metadata.get(name)) else Described() for name in names
        }

    async def _metadata_if_kept(self) -> dict[str, state.MetricMetadata]:
        try:
            return await self.metadata()
        except SourceError:  # Thanos, Cortex and VictoriaMetrics may keep none, and the names are the answer
            return {}

    # what the server does --------------------------------------------------------------------------------

    async def targets(self, which: str = "active") -> state.Targets:
        """The scrape targets: ``active``, ``dropped`` or ``any``."""
        return await self._read("/targets", (("state", which),), state.read_targets)

    async def rules(self, kind: str | None = None) -> state.Rules:
        """The rules (``alert``, ``record`` or both), every page of them."""
        fixed: Pairs = (("type", kind),) if kind else ()
        groups: list[state.RuleGroup] = []
        token = ""
        for _ in range(MAX_RULE_PAGES):
            page: Pairs = (("group_next_token", token),) if token else ()
            more, token = await self._read("/rules", (*fixed, *page), state.read_rules)
            groups += more
            if not token:
                break
        return state.Rules(tuple(groups))

    async def alerts(self) -> tuple[state.ActiveAlert, ...]:
        """The pending and firing alerts."""
        return await self._read("/alerts", (), state.read_alerts)

    async def buildinfo(self) -> state.BuildInfo:
        """Version and build."""
        return await self._read("/status/buildinfo", (), state.read_buildinfo)

    async def runtimeinfo(self) -> state.RuntimeInfo:
        """Since when it runs, and whether its configuration is loaded."""
        return await self._read("/status/runtimeinfo", (), state.read_runtimeinfo)

    async def tsdb(self) -> state.TsdbStatus:
        """How much the store holds."""
        return await self._read("/status/tsdb", (), state.read_tsdb)

    async def alertmanagers(self) -> tuple[str, ...]:
        """The addresses of the Alertmanagers that it sends to at present, as it knows them."""
        return await self._read("/alertmanagers", (), state.read_alertmanagers)

    async def own_page(self, names: Iterable[str]) -> OwnPage:
        """What it tells of its own work on its metrics page: the samples of these names."""
        from meshdiag.sources.ownpage import read_own_page

        return await read_own_page(self.http, names)

    def api_evidence(self, path: str, params: Pairs = (), excerpt: str = "") -> Evidence:
        """The curl command that asks a path of the server again."""
        return Evidence(self.name, self.http.curl(path, params), excerpt)

    async def ready(self) -> bool:
        """Whether it answers queries. False while it starts; raises when it cannot be asked at all."""
        return (await self.http.get("/-/ready", accept=(503,))).status == 200

    async def healthy(self) -> bool:
        """Whether the process is alive."""
        return (await self.http.get("/-/healthy", accept=(503,))).status == 200

    async def identify(self) -> Identity:
        """What answers. Raises ``SourceError`` (wrong server) that names what was found instead."""
        from meshdiag.sources.prometheus.identity import identify

        return await identify(self._api)

    # ------------------------------------------------------------------------------------------------------

    async def _query(self, query: str, moment: Pairs) -> Vector | Matrix:
        params = (("query", query), *moment, ("timeout", self._server_timeout))
        return answers.evaluated(await self._api.evaluate("/query", params))

    async def _evaluate_instant(self, query: str, key: Hashable) -> Vector:
        result = await self._query(query, cast("Pairs", key))
        if isinstance(result, Matrix):
            raise QueryError(
                f"{self.name}: {excerpt(query, 80)!r} gives a range of samples, and one moment was asked for",
                source=self.http.name,
                where=self.http.shown,
                hint="wrap it, in last_over_time(…) or rate(…) say",
            )
        return result

    async def _evaluate_range(self, query: str, key: Hashable) -> Matrix:
        params = (("query", query), *cast("Pairs", key), ("timeout", self._server_timeout))
        answer = await self._api.evaluate("/query_range", params)
        result = answers.evaluated(answer)
        if isinstance(result, Vector):
            raise answer.reply.misshapen("a vector for a range query")
        return result

    @property
    def _server_timeout(self) -> str:
        return f"{self.http.endpoint.timeout_s * SERVER_SHARE:.3g}"

    @staticmethod
    def _moment(at: datetime | None) -> Pairs:
        return () if at is None else (("time", _seconds(at)),)

    async def _read(self, path: str, params: Pairs, read: Callable[[Any], T]) -> T:
        """Ask an endpoint and read its data; a shape that cannot be read is a ``SourceError`` (malformed)."""
        answer = await self._api.ask(path, params)
        return read_data(answer, read)


def read_data(answer: Answer, read: Callable[[Any], T]) -> T:
    """``read`` applied to the data of an answer; what does not fit raises ``SourceError`` (malformed)."""
    try:
        return read(answer.data)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise answer.reply.misshapen(str(error)) from error


def _texts(data: Any) -> tuple[str, ...]:
    values = rows(data)
    "".join(values)
    return tuple(values)


def _span(start: datetime | None, end: datetime | None) -> Pairs:
    ends = (("start", start), ("end", end))
    return tuple((name, _seconds(moment)) for name, moment in ends if moment is not None)


def _seconds(moment: datetime) -> str:
    return f"{moment.timestamp():.3f}"
