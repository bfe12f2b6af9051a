"""One request to Loki: how it is sent, and what its answer or refusal means.

Source: https://grafana.com/docs/loki/latest/reference/loki-http-api/, and what servers really answer: every error is
plain text; a pattern that does not compile is a 500 in Loki 2; while it starts, a query hangs and ``/ready`` is 503.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from meshdiag.durations import parse_duration
from meshdiag.errors import QueryError, SourceError, Trouble, UsageError
from meshdiag.logs.record import NS
from meshdiag.sources.http import excerpt
from meshdiag.sources.http.fields import rows, text, text_map
from meshdiag.sources.loki.entries import CATEGORIZE, read_streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.sources.http import HttpClient, Reply
    from meshdiag.sources.loki.entries import Entry

API: Final = "/loki/api/v1"
FAILURES: Final = range(400, 600)
LONG_QUERY: Final = 4000
"""Queries above this many characters go by POST: proxies cut long URLs."""
NEEDS_TENANT: Final = "set X-Scope-OrgID under this source's headers in the configuration"
_TOO_MUCH: Final = ("deadline exceeded", "read too many bytes")
"""What a server says that would have had to look at too much."""
_LIMIT = re.compile(r"limit > max_entries_limit\w* \(\d+ > (\d+)\)")
_RANGE = re.compile(r"time range exceeds the limit \(query length: [^,]+, limit: ([0-9a-z.]+)\)")


class LimitTooHigh(QueryError):
    """More lines were asked for than this server gives at once; ``cap`` is how many it gives."""

    cap = 0


class RangeTooLong(QueryError):
    """A longer window was asked for than this server looks at in one query; ``longest_ns`` is what it looks at."""

    longest_ns = 0


@dataclass(frozen=True, slots=True)
class Page:
    """The entries of one answer that lie in the window, oldest first; its size in bytes."""

    entries: list[Entry]
    count: int
    size: int

    def full(self, limit: int) -> bool:
        """Whether there may be more than came."""
        return bool(self.entries) and self.count >= limit


@dataclass(frozen=True, slots=True)
class Member:
    """An ingester in the ring. ``state`` is ACTIVE, UNHEALTHY, JOINING, LEAVING, PENDING or LEFT."""

    id: str
    state: str


class Api:
    """The API of one server."""

    def __init__(self, http: HttpClient) -> None:
        self.http = http
        self.hangs = False
        """Whether it answered nothing at all, not even whether it is ready."""

    async def query_range(self, query: str, start_ns: int, end_ns: int, limit: int, *, newest_first: bool) -> Page:
        """The oldest, or newest, ``limit`` lines of a window, its end not included. Raises ``SourceError``,
        ``LimitTooHigh``, ``RangeTooLong``."""
        params = range_params(query, start_ns, end_ns, limit, newest_first=newest_first)
        reply = await self._send(f"{API}/query_range", params, long=len(query) > LONG_QUERY)
        data = _data(reply)
        if not isinstance(data, dict) or data.get("resultType") != "streams":
            raise reply.misshapen("the result is not of type streams")
        try:
            entries = read_streams(data.get("result"), data.get("encodingFlags"), newest_first=newest_first)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise reply.misshapen(f"streams that cannot be read: {type(error).__name__} {error}") from error
        inside = [one for one in entries if start_ns <= one.time_ns < end_ns]
        return Page(inside, len(entries), len(reply.content))

    async def series(self, selector: str, start_ns: int, end_ns: int) -> tuple[dict[str, str], ...]:
        """The labels of the streams that a selector picks in a window."""
        params = (("match[]", selector), ("start", str(start_ns)), ("end", str(end_ns)))
        reply = await self._send(f"{API}/series", params)
        try:
            return tuple(text_map(one) for one in rows(_data(reply)))
        except (TypeError, ValueError, AttributeError) as error:
            raise reply.misshapen(f"series that cannot be read: {error}") from error

    async def ring(self) -> tuple[Member, ...] | None:
        """The members of the ring; None where it is not shown (a gateway, a tenant's login)."""
        reply = await self.http.get("/ring", accept=FAILURES, headers={"Accept": "application/json"})
        if reply.status >= 300 or reply.content_type != "application/json":
            return None
        body = reply.json()
        try:
            return tuple(Member(text(one, "id"), text(one, "state")) for one in rows(body["shards"]))
        except (TypeError, ValueError, KeyError, AttributeError):
            return None

    async def ready(self) -> str | None:
        """None when it says that it is ready, or says nothing of it (a gateway); else its words."""
        reply = await self.http.get("/ready", accept=FAILURES)
        return excerpt(reply.text) if reply.status == 503 else None

    async def _send(self, path: str, params: Sequence[tuple[str, str]], *, long: bool = False) -> Reply:
        try:
            if long:
                reply = await self.http.post(path, params, accept=FAILURES)
            else:
                reply = await self.http.get(path, params, accept=FAILURES, headers=CATEGORIZE)
        except SourceError as error:
            if error.trouble is Trouble.TIMEOUT:
                await self._if_starting(error)
            raise
        if reply.status >= 300:
            await self._refused(reply)
        return reply

    async def _refused(self, reply: Reply) -> NoReturn:
        if reply.status == 503:
            await self._if_starting(reply.error())
        raise refusal(reply.status, reply.text, reply) or reply.error()

    async def _if_starting(self, error: SourceError) -> None:
        """Raise that it is starting, where it says so; a query asked meanwhile gets no answer."""
        self.hangs = False
        try:
            said = await self.ready()
        except SourceError as silent:
            self.hangs = silent.trouble is Trouble.TIMEOUT
            return
        if said is not None and "<" not in said:
            raise self.http.where().error(
                Trouble.STARTING, f"it is not ready yet: {said}", "ask again in a few seconds"
            ) from error


def range_params(
    query: str, start_ns: int | None, end_ns: int | None, limit: int, *, newest_first: bool
) -> list[tuple[str, str]]:
    """The parameters of a range query; an end that is None is left to the server's clock."""
    params = [("query", query)]
    params += [(name, str(value)) for name, value in (("start", start_ns), ("end", end_ns)) if value is not None]
    return [*params, ("limit", str(limit)), ("direction", "backward" if newest_first else "forward")]


def refusal(status: int, said: str, reply: Reply) -> SourceError | None:
    """What a refusal in Loki's own words means; None where the status says enough."""
    source, url, shown = reply.where.source, reply.where.url, excerpt(said, 300)
    if status == 401 and "no org id" in said:
        return reply.where.error(Trouble.UNAUTHORIZED, "it serves several tenants and was not told which", NEEDS_TENANT)
    if reply.content_type not in ("text/plain", "") or not said.strip():
        return None
    if (found := _LIMIT.search(said)) is not None:
        high = LimitTooHigh(f"{source} at {url}: {shown}", source=source, where=url)
        high.cap = int(found[1])
        return high
    if (found := _RANGE.search(said)) is not None and (longest := _longest(found[1])):
        long = RangeTooLong(f"{source} at {url}: {shown}", source=source, where=url, hint="ask for a shorter window")
        long.longest_ns = longest
        return long
    if any(words in said for words in _TOO_MUCH):
        return reply.where.error(Trouble.TIMEOUT, f"it gave the query up: {shown}", "ask for a shorter window")
    if status == 400 or (status == 500 and "parse error" in said):
        return QueryError(f"{source} at {url}: the query is refused: {shown}", source=source, where=url)
    return None


def _longest(text: str) -> int:
    try:
        return int(parse_duration(text).total_seconds() * NS)
    except UsageError:
        return 0


def _data(reply: Reply) -> Any:
    body = reply.json()
    if not isinstance(body, dict) or body.get("status") != "success":
        raise reply.misshapen("not an object with status success")
    return body.get("data")
