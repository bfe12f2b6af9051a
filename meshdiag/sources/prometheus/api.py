"""One request to the API: how it is sent, and what its answer means before anyone looks at the data.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/ (format overview), and what VictoriaMetrics,
Thanos, Cortex and Mimir answer instead.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.sources.http import excerpt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.sources.http import HttpClient, Reply

API: Final = "/api/v1"
LONG_QUERY: Final = 1000
"""Queries above this many bytes go by POST: proxies cut long URLs."""
FAILURES: Final = range(400, 600)
STARTING: Final = b"Service Unavailable"
"""The whole answer to every question while Prometheus reads its log."""
REFUSED: Final = frozenset({"bad_data", "execution", "bad_request", "422", "400"})
"""The ``errorType`` values that put the blame on the question."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A success: the data, the warnings and infos beside it, and the reply they came in."""

    data: Any
    warnings: tuple[str, ...]
    reply: Reply


class EvaluationTimeout(SourceError):
    """The server itself gave the query up: a smaller one may do."""

    def __init__(self, message: str, *, source: str, where: str) -> None:
        super().__init__(
            message,
            trouble=Trouble.TIMEOUT,
            source=source,
            where=where,
            hint="ask for less: a narrower selector, a shorter range; or raise this source's timeout",
        )


class Api:
    """The API of one server."""

    def __init__(self, http: HttpClient) -> None:
        self.http = http
        self.warned: dict[str, None] = {}
        """The warnings and infos of all answers so far, each once."""
        self._post_works = True
        self._starting: asyncio.Task[bool] | None = None

    async def ask(self, path: str, params: Sequence[tuple[str, str]] = ()) -> Answer:
        """GET ``/api/v1`` + ``path``. Raises ``SourceError``; an endpoint that this server lacks is NOT_AVAILABLE."""
        reply = await self.http.get(API + path, params, accept=FAILURES)
        return await self._open(reply, path, query=False)

    async def evaluate(self, path: str, params: Sequence[tuple[str, str]]) -> Answer:
        """Ask a query endpoint: by GET while the query is short, else by POST. Raises ``QueryError`` too."""
        if self._post_works and sum(len(value) for _, value in params) > LONG_QUERY:
            reply = await self.http.post(API + path, params, accept=FAILURES)
            if reply.status != 405:
                return await self._open(reply, path, query=True)
            self._post_works = False
        reply = await self.http.get(API + path, params, accept=FAILURES)
        return await self._open(reply, path, query=True)

    async def _open(self, reply: Reply, path: str, *, query: bool) -> Answer:
        """The data in the envelope, or the error that the reply stands for."""
        if reply.status < 300:
            answer = _success(reply)
            self.warned.update(dict.fromkeys(answer.warnings))
            return answer
        if reply.content_type == "application/json":
            refusal = _refusal(reply, query=query)
            if refusal is not None:
                raise refusal
        if reply.status == 503 and reply.content.strip() == STARTING and await self._is_starting():
            raise reply.where.error(
                Trouble.STARTING, "it is starting: alive, but not ready to answer", "ask again in a few seconds"
            )
        if not query and _lacks(reply):
            raise reply.where.error(Trouble.NOT_AVAILABLE, f"{path.strip('/')} is not available here")
        raise reply.error()

    async def _is_starting(self) -> bool:
        """Whether the server is alive but not ready. Asked once for all requests that meet it."""
        if self._starting is None or self._starting.done():
            self._starting = asyncio.create_task(self._look_alive())
        return await asyncio.shield(self._starting)

    async def _look_alive(self) -> bool:
        try:
            alive, ready = await asyncio.gather(
                self.http.get("/-/healthy", accept=FAILURES), self.http.get("/-/ready", accept=FAILURES)
            )
        except SourceError:
            return False
        return alive.status == 200 and ready.status in (200, 503)  # 200: it has become ready meanwhile


def _success(reply: Reply) -> Answer:
    body = reply.json()
    if not isinstance(body, dict):
        raise reply.misshapen("not an object with status and data")
    if body.get("status") == "error":
        raise _refusal(reply, query=True) or reply.misshapen("an error without a text")
    if body.get("status") != "success":
        raise reply.misshapen("no status")
    return Answer(body.get("data"), _notes(body, reply), reply)


def _notes(body: dict[str, Any], reply: Reply) -> tuple[str, ...]:
    """Warnings and infos, as text on one line each."""
    notes: list[str] = []
    for key in ("warnings", "infos"):
        said = body.get(key) or []
        if not isinstance(said, list):
            raise reply.misshapen(f"{key} is not a list")
        notes += [excerpt(str(one), 300) for one in said]
    if body.get("isPartial") is True:  # VictoriaMetrics cluster
        notes.append("the answer is partial: some storage nodes did not answer")
    return tuple(notes)


def _refusal(reply: Reply, *, query: bool) -> SourceError | None:
    """The error in a JSON envelope; None when the body is no such envelope."""
    try:
        body = reply.json()
    except SourceError:
        return None
    if not isinstance(body, dict) or body.get("status") != "error":
        return None
    kind, said, where = str(body.get("errorType", "")), excerpt(str(body.get("error", "")), 400), reply.where
    source, url = where.source, where.url
    if kind in ("timeout", "canceled"):
        return EvaluationTimeout(f"{source} at {url}: it gave the query up: {said}", source=source, where=url)
    if kind in REFUSED:
        what = "the query is refused" if query else "the request is refused"
        return QueryError(f"{source} at {url}: {what}: {said}", source=source, where=url)
    if not query and (kind == "not_found" or reply.status in (404, 501)):
        return where.error(Trouble.NOT_AVAILABLE, f"not available here: {said}")
    return None


def _lacks(reply: Reply) -> bool:
    """Whether the server says that it has no such endpoint."""
    return reply.status in (404, 405, 501) or (reply.status == 400 and b"unsupported path" in reply.content)
