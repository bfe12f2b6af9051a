"""Grafana Tempo's API: TraceQL searches, traces as OpenTelemetry writes them.

Source: https://grafana.com/docs/tempo/latest/api_docs/. A search tells of each trace only its root, so each is then
fetched whole, side by side.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from meshdiag.errors import QueryError
from meshdiag.model import Evidence
from meshdiag.sources.closing import Closing
from meshdiag.sources.http import HttpClient, excerpt
from meshdiag.sources.http.fields import rows, text
from meshdiag.sources.traces.otlp import read_trace
from meshdiag.sources.traces.trace import slowest_first

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from meshdiag.context import Endpoint
    from meshdiag.sources.http import Reply
    from meshdiag.sources.traces.trace import Found, Search, Trace

T = TypeVar("T")

FAILURES: Final = range(400, 600)
VALUES: Final = "/api/v2/search/tag"
JSON: Final = {"Accept": "application/json"}
"""Without it a trace comes as protocol buffers."""


class Tempo(Closing):
    """One Tempo. Every question raises ``SourceError``; a search that it refuses, ``QueryError``."""

    def __init__(self, endpoint: Endpoint, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.http = HttpClient(endpoint, name="Tempo", transport=transport)

    @property
    def name(self) -> str:
        """``Tempo http://…:3200``."""
        return f"Tempo {self.http.shown}"

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def services(self) -> tuple[str, ...]:
        """The services that have sent spans, sorted."""
        return await self._values("resource.service.name", ())

    async def operations(self, service: str) -> tuple[str, ...]:
        """The operations of a service, sorted; none where it is not known."""
        return await self._values("name", [("q", f"{{ resource.service.name = {_quoted(service)} }}")])

    async def search(self, search: Search) -> Found:
        """The traces that a search picks, the slowest first."""
        reply = await self._ask("/api/search", search_params(search))
        ids = _read(reply, lambda body: [text(one, "traceID") for one in rows(body["traces"])])
        traces = await asyncio.gather(*(self.trace(one) for one in ids if one))
        found = slowest_first([trace for trace in traces if trace], search.limit)
        return type(found)(found.traces, cut=len(ids) >= search.limit)

    async def trace(self, trace_id: str) -> Trace | None:
        """One trace whole; None where the store does not have it."""
        reply = await self._ask(f"/api/traces/{trace_id}", (), missing=True)
        return None if reply.status == 404 else _read(reply, lambda body: read_trace(trace_id, body))

    def evidence(self, search: Search | str) -> Evidence:
        """The command that asks the same again: a search, or a trace by its id."""
        if isinstance(search, str):
            return Evidence(self.name, self.http.curl(f"/api/traces/{search}"))
        return Evidence(self.name, self.http.curl("/api/search", search_params(search)))

    async def _values(self, tag: str, params: Sequence[tuple[str, str]]) -> tuple[str, ...]:
        reply = await self._ask(f"{VALUES}/{quote(tag)}/values", params)
        return _read(reply, lambda body: tuple(sorted(text(one, "value") for one in rows(body["tagValues"]))))

    async def _ask(self, path: str, params: Sequence[tuple[str, str]], *, missing: bool = False) -> Reply:
        reply = await self.http.get(path, params, accept=FAILURES, headers=JSON)
        if reply.status < 300 or (missing and reply.status == 404):
            return reply
        said = "" if b"<" in reply.content[:200] else excerpt(reply.text, 300)
        if reply.status != 400 or not said:
            raise reply.error()
        source, where = reply.where.source, reply.where.url
        raise QueryError(f"{source} at {where}: the question is refused: {said}", source=source, where=where)


def search_params(search: Search) -> list[tuple[str, str]]:
    """The parameters of a search; its times are whole seconds, so the window is rounded outwards."""
    return [
        ("q", trace_ql(search)),
        ("start", str(math.floor(search.start_s))),
        ("end", str(math.ceil(search.end_s))),
        ("limit", str(search.limit)),
    ]


def trace_ql(search: Search) -> str:
    """A search in TraceQL: all conditions on one span."""
    conditions = [f"resource.service.name = {_quoted(search.service)}"]
    if search.operation:
        conditions.append(f"name = {_quoted(search.operation)}")
    if search.at_least_s is not None:
        conditions.append(f"duration >= {round(search.at_least_s * 1e6)}us")
    if search.at_most_s is not None:
        conditions.append(f"duration <= {round(search.at_most_s * 1e6)}us")
    if search.error:
        conditions.append("status = error")
    conditions += [f".{_attribute(key)} = {_quoted(value)}" for key, value in search.tags.items()]
    return "{ " + " && ".join(conditions) + " }"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _attribute(key: str) -> str:
    """An attribute's name; one with other signs than words have is quoted."""
    return key if key.replace(".", "").replace("_", "").replace("-", "").isalnum() else _quoted(key)


def _read(reply: Reply, read: Callable[[Any], T]) -> T:
    """What an answer holds. Raises ``SourceError`` when it is not Tempo's."""
    body = reply.json()
    try:
        return read(body)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise reply.misshapen(f"not what Tempo answers: {type(error).__name__} {error}") from error
