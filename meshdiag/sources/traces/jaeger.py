"""Jaeger's query API, as its web page uses it; VictoriaTraces speaks a part of it.

Source: https://www.jaegertracing.io/docs/latest/architecture/apis/ (HTTP JSON, internal), and what servers really
answer: errors are JSON sent as text/plain (plain text in VictoriaTraces), a path that it does not know is its web page
with status 200, an unknown service is an empty list, a trace that is not found is a 404 or an empty list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import orjson

from meshdiag.errors import QueryError
from meshdiag.model import Evidence
from meshdiag.sources.closing import Closing
from meshdiag.sources.http import HttpClient, excerpt
from meshdiag.sources.http.fields import number, rows, text
from meshdiag.sources.traces.trace import Span, Trace, node_of, slowest_first

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx

    from meshdiag.context import Endpoint
    from meshdiag.errors import SourceError
    from meshdiag.sources.http import Reply
    from meshdiag.sources.traces.trace import Found, Search

T = TypeVar("T")

FAILURES: Final = range(400, 600)
US: Final = 1e6
"""Jaeger's times are whole microseconds."""
ERROR_TAGS: Final = {"error": "true", "otel.status_code": "ERROR"}


class Jaeger(Closing):
    """One Jaeger query server. Every question raises ``SourceError``; a search that it refuses, ``QueryError``."""

    def __init__(self, endpoint: Endpoint, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.http = HttpClient(endpoint, name="Jaeger", transport=transport)

    @property
    def name(self) -> str:
        """``Jaeger http://…:16686``."""
        return f"Jaeger {self.http.shown}"

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def services(self) -> tuple[str, ...]:
        """The services that have sent spans, sorted."""
        reply = await self._ask("/api/services", ())
        return _read(reply, lambda data: tuple(sorted(str(name) for name in rows(data))))

    async def operations(self, service: str) -> tuple[str, ...]:
        """The operations of a service, sorted; none where it is not known."""
        reply = await self._ask(f"/api/services/{quote(service, safe='')}/operations", ())
        return _read(reply, lambda data: tuple(sorted(str(name) for name in rows(data))))

    async def search(self, search: Search) -> Found:
        """The traces that a search picks, the slowest first."""
        reply = await self._ask("/api/traces", search_params(search))
        traces = _read(reply, lambda data: [_trace(one) for one in rows(data) if one.get("spans")])
        return slowest_first(traces, search.limit)

    async def trace(self, trace_id: str) -> Trace | None:
        """One trace whole; None where the store does not have it."""
        reply = await self._ask(f"/api/traces/{trace_id}", (), missing=True)
        if reply.status == 404:
            return None
        traces = _read(reply, lambda data: [_trace(one) for one in rows(data) if one.get("spans")])
        return traces[0] if traces else None

    def evidence(self, search: Search | str) -> Evidence:
        """The command that asks the same again: a search, or a trace by its id."""
        if isinstance(search, str):
            return Evidence(self.name, self.http.curl(f"/api/traces/{search}"))
        return Evidence(self.name, self.http.curl("/api/traces", search_params(search)))

    async def _ask(self, path: str, params: Sequence[tuple[str, str]], *, missing: bool = False) -> Reply:
        reply = await self.http.get(path, params, accept=FAILURES)
        if reply.status < 300 or (missing and reply.status == 404 and _refusal(reply)):
            return reply
        raise self._refused(reply)

    def _refused(self, reply: Reply) -> SourceError:
        said = _refusal(reply)
        if reply.status != 400 or not said:
            return reply.error()
        source, where = reply.where.source, reply.where.url
        return QueryError(f"{source} at {where}: the question is refused: {said}", source=source, where=where)


def search_params(search: Search) -> list[tuple[str, str]]:
    """The parameters of a search. Times are whole microseconds since the epoch, durations as Go writes them."""
    tags = dict(search.tags) | ({"error": "true"} if search.error else {})
    params = [("service", search.service), ("operation", search.operation)]
    params += [("start", str(round(search.start_s * US))), ("end", str(round(search.end_s * US)))]
    params += [
        (name, f"{round(bound * US)}us")
        for name, bound in (("minDuration", search.at_least_s), ("maxDuration", search.at_most_s))
        if bound is not None
    ]
    params += [("tags", orjson.dumps(tags).decode() if tags else ""), ("limit", str(search.limit))]
    return [(name, value) for name, value in params if value]


def _refusal(reply: Reply) -> str:
    """What the server says of its refusal: JSON in Jaeger, plain text in others; "" for a page."""
    try:
        body = orjson.loads(reply.content)
        return "; ".join(excerpt(str(one["msg"]), 300) for one in body["errors"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "" if b"<" in reply.content[:200] else excerpt(reply.text, 300)


def _read(reply: Reply, read: Callable[[Any], T]) -> T:
    """The ``data`` of an answer. Raises ``SourceError`` when it is not Jaeger's."""
    body = reply.json()
    if not isinstance(body, dict) or "data" not in body or "errors" not in body:
        raise reply.misshapen("not an object with data and errors")
    try:
        return read(body["data"])
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise reply.misshapen(f"traces that cannot be read: {type(error).__name__} {error}") from error


def _trace(one: Mapping[str, Any]) -> Trace:
    processes = {key: _process(value) for key, value in (one.get("processes") or {}).items()}
    spans = [_span(span, processes) for span in rows(one.get("spans"))]
    return Trace(text(one, "traceID") or str(spans[0].id), tuple(sorted(spans, key=lambda span: span.start_s)))


def _process(one: Mapping[str, Any]) -> tuple[str, str]:
    """A process's service and node."""
    return text(one, "serviceName"), node_of(_tags(one))


def _span(one: Mapping[str, Any], processes: Mapping[str, tuple[str, str]]) -> Span:
    service, node = processes.get(text(one, "processID")) or _process(one.get("process") or {})
    tags = _tags(one)
    parent, follows = _parent(one)
    return Span(
        id=text(one, "spanID"),
        parent=parent,
        service=service,
        operation=text(one, "operationName"),
        start_s=number(one["startTime"]) / US,
        duration_s=max(number(one["duration"]), 0.0) / US,
        kind=tags.get("span.kind", ""),
        node=node,
        error=any(tags.get(key, "").casefold() == value.casefold() for key, value in ERROR_TAGS.items()),
        follows=follows,
        tags=tags,
        warnings=tuple(str(warning) for warning in rows(one.get("warnings"))),
    )


def _parent(one: Mapping[str, Any]) -> tuple[str, bool]:
    """The span's parent in the same trace, and whether it merely follows it."""
    own = [reference for reference in rows(one.get("references")) if reference.get("traceID") == one.get("traceID")]
    own.sort(key=lambda reference: reference.get("refType") != "CHILD_OF")
    if not own:
        return text(one, "parentSpanID"), False
    return text(own[0], "spanID"), own[0].get("refType") == "FOLLOWS_FROM"


def _tags(one: Mapping[str, Any]) -> dict[str, str]:
    """Tags as text: true and false as JSON writes them."""
    pairs = ((text(tag, "key"), tag.get("value")) for tag in rows(one.get("tags")))
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in pairs}
