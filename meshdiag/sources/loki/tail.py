"""The tail: lines as they come in, over a websocket.

Source: https://grafana.com/docs/loki/latest/reference/loki-http-api/#stream-logs, and what servers really do: bad LogQL
is a 400 before the upgrade in Loki 3 and a close with a reason (1011) in Loki 2; a frame may hold one line or a
thousand; lines that a slow reader missed are named in ``dropped_entries``; after an hour the server closes.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from meshdiag import __version__
from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.sources.http import auth_headers, excerpt, ssl_context
from meshdiag.sources.http.address import parse_address
from meshdiag.sources.http.trouble import from_exception, from_status
from meshdiag.sources.loki.api import API, NEEDS_TENANT
from meshdiag.sources.loki.entries import CATEGORIZE, read_streams

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from websockets.asyncio.client import ClientConnection

    from meshdiag.sources.http import HttpClient
    from meshdiag.sources.loki.entries import Entry

LARGEST_FRAME: Final = 16 * 1024 * 1024
PING_S: Final = 20.0
CLOSE_S: Final = 0.5
_QUIET: Final = logging.getLogger("meshdiag.loki.tail")
"""What the websocket's library has to say of a connection is said here, in one sentence."""
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False
_ABOUT_THE_QUERY: Final = ("parse error", "only log selector", "queries require")
BROKEN: Final = 1011
"""The close code of a server that cannot go on, with its reason."""


class NoTail(SourceError):
    """The websocket cannot be had although the server may answer queries: a proxy in between, a bound."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What came at once: lines, and the times of lines that the server dropped."""

    entries: list[Entry]
    dropped_ns: tuple[int, ...] = ()


class Tail:
    """An open tail. ``frames`` ends when the server closes; ``ended`` then says why, in its words."""

    def __init__(self, connection: ClientConnection, http: HttpClient) -> None:
        self._connection = connection
        self._http = http
        self.ended = ""

    async def frames(self, idle_s: float) -> AsyncGenerator[Frame, None]:
        """Every frame as it comes, and an empty one when none came for ``idle_s``. Raises ``SourceError`` (malformed)
        for one that cannot be read, ``QueryError`` when the server closes because of the query."""
        from websockets.exceptions import ConnectionClosed

        while True:
            try:
                async with asyncio.timeout(idle_s):
                    text = await self._connection.recv()
            except TimeoutError:
                yield Frame([])
                continue
            except ConnectionClosed as closed:
                self.ended = self._reason(closed)
                return
            yield self._read(text)

    def _read(self, text: str | bytes) -> Frame:
        try:
            return read_frame(text)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise self._http.where(f"{API}/tail").error(
                Trouble.MALFORMED,
                f"its tail sent something else than lines ({excerpt(text, 60)!r})",
                "check that the URL points to the right server",
            ) from error

    def _reason(self, closed: Any) -> str:
        """Why it ended. Raises ``QueryError`` where the query is the reason."""
        frame = closed.rcvd or closed.sent
        if frame is None:
            return "the connection broke"
        said = excerpt(frame.reason, 200)
        if frame.code == BROKEN and any(words in frame.reason for words in _ABOUT_THE_QUERY):
            where = self._http.where(f"{API}/tail")
            raise QueryError(
                f"{where.source} at {where.url}: the query is refused: {said}", source=where.source, where=where.url
            )
        return f"it closed ({frame.code}{': ' + said if said else ''})"


def read_frame(text: str | bytes) -> Frame:
    """A frame from its JSON. Raises what ``read_streams`` raises."""
    body = json.loads(text)
    dropped = body.get("dropped_entries") or []
    entries = read_streams(body.get("streams") or [], body.get("encodingFlags"))
    return Frame(entries, tuple(_dropped_ns(one) for one in dropped))


def _dropped_ns(one: dict[str, Any]) -> int:
    """When a dropped line was written: nanoseconds in text, or RFC 3339."""
    stated = one.get("timestamp", "0")
    if isinstance(stated, int) or str(stated).isdigit():
        return int(stated)
    from meshdiag.sources.http.fields import moment

    time = moment(stated)
    return 0 if time is None else int(time.timestamp() * 1e9)


@asynccontextmanager
async def open_tail(http: HttpClient, query: str, start_ns: int) -> AsyncIterator[Tail]:
    """A tail of what comes in from now on. Raises ``NoTail`` where the websocket is refused, ``QueryError``, and
    ``SourceError`` where the server cannot be reached at all."""
    try:
        connection = await _connect(http, query, start_ns)
    except SourceError:
        raise
    except Exception as error:  # websockets, sockets and TLS raise many kinds
        raise _translated(error, http) from error
    try:
        yield Tail(connection, http)
    finally:
        await connection.close()


async def _connect(http: HttpClient, query: str, start_ns: int) -> ClientConnection:
    from websockets.asyncio.client import connect

    address = parse_address(http.endpoint.url)
    params = (*address.query, ("query", query), ("start", str(start_ns)), ("limit", "1000"))
    url = f"{address.base}{API}/tail?{urlencode(params)}".replace("http", "ws", 1)
    headers = {**http.endpoint.headers, **CATEGORIZE, **await auth_headers(http.endpoint, name=http.name)}

    class Direct(connect):
        """Follows no redirect: what belongs to this server goes to no other."""

        def process_redirect(self, exc: Exception) -> Exception | str:
            return exc

    return await Direct(
        url,
        additional_headers=headers,
        user_agent_header=f"meshdiag/{__version__}",
        ssl=ssl_context(http.endpoint) if address.scheme == "https" else None,
        proxy=None if address.loopback else True,
        open_timeout=http.endpoint.timeout_s,
        ping_interval=PING_S,
        ping_timeout=PING_S,
        close_timeout=CLOSE_S,
        max_size=LARGEST_FRAME,
        logger=_QUIET,
    )


def _translated(error: Exception, http: HttpClient) -> SourceError:
    """What kept the websocket from opening."""
    from websockets.exceptions import InvalidHandshake, InvalidStatus

    where = http.where(f"{API}/tail")
    if isinstance(error, InvalidStatus):
        return _refused(error.response.status_code, bytes(error.response.body or b""), http)
    if isinstance(error, InvalidHandshake | TimeoutError):
        why = "no answer" if isinstance(error, TimeoutError) else excerpt(str(error), 80)
        return _no_tail(http, f"the websocket does not open ({why})")
    return from_exception(error, where, http.endpoint.timeout_s)


def _refused(status: int, body: bytes, http: HttpClient) -> SourceError:
    where, said = http.where(f"{API}/tail"), body.decode("utf-8", "replace")
    if status == 401 and "no org id" in said:
        return where.error(Trouble.UNAUTHORIZED, "it serves several tenants and was not told which", NEEDS_TENANT)
    if status in (401, 403):
        return from_status(status, body, where)
    if status == 400 and any(words in said for words in _ABOUT_THE_QUERY):
        text = f"{where.source} at {where.url}: the query is refused: {excerpt(said, 300)}"
        return QueryError(text, source=where.source, where=where.url)
    return _no_tail(http, f"the websocket is refused (HTTP {status}{': ' + excerpt(said, 80) if said.strip() else ''})")


def _no_tail(http: HttpClient, what: str) -> NoTail:
    where = http.where(f"{API}/tail")
    return NoTail(
        f"{where.source} at {where.url}: {what}",
        trouble=Trouble.NOT_AVAILABLE,
        source=where.source,
        where=where.url,
        hint="a proxy in between may not pass websockets on",
    )
