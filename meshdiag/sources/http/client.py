"""One HTTP server, asked within limits: of time, of size, of redirects, of retries.

Credentials and extra headers go to the server's own origin and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

if "httpx" not in sys.modules:
    # httpx brings a command line of its own, and with it rich and pygments: half of its import time, of no use here.
    # None is Python's documented way to say "this module is not there"; httpx then leaves its command line out.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    try:
        import httpx
    finally:
        del sys.modules["httpx._main"]
else:
    import httpx

import orjson

from meshdiag import __version__
from meshdiag.errors import SourceError, Trouble
from meshdiag.sources.closing import Closing
from meshdiag.sources.http.address import parse_address, shown
from meshdiag.sources.http.body import Body, BodyBroken, BodyTooLarge
from meshdiag.sources.http.credentials import auth_headers
from meshdiag.sources.http.curl import curl
from meshdiag.sources.http.reply import ERROR_BODY, Reply
from meshdiag.sources.http.tls import TlsFileError, ssl_context
from meshdiag.sources.http.trouble import Where, excerpt, from_exception, is_reset

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Collection

    from meshdiag.context import Endpoint
    from meshdiag.sources.http.address import Address

Params = Mapping[str, str] | Sequence[tuple[str, str]]
"""Query or form parameters; a sequence of pairs may name one several times."""

MIB: Final = 1024 * 1024
MAX_REDIRECTS: Final = 5
MAX_RETRIES: Final = 2
MAX_CONNECTIONS: Final = 16
PAUSE_S: Final = 0.2
"""How long to wait before asking again where the server does not say."""
CONNECT_SHARE: Final = 0.9
"""The part of the timeout that connecting may take, so that "no connection" and "no answer" can be told apart."""
PLAIN: Final = {"Accept-Encoding": "identity"}
"""Compression would hold back what a stream has to say."""
REDIRECTS: Final = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked. ``repeatable``: it may be sent again when the connection breaks. ``once``: it goes over the wire
    one single time, and is not taken to where a redirect points either."""

    method: str
    path: str
    params: tuple[tuple[str, str], ...]
    body: bytes | None
    headers: Mapping[str, str]
    repeatable: bool = True
    once: bool = False


@dataclass(slots=True)
class _Progress:
    """How far a request came, to say so when the time is up: the bytes of the body, None before the headers."""

    received: int | None = None


class HttpClient(Closing):
    """One server. ``name`` is the source as a person knows it ("Prometheus"); it opens every message. ``place`` is
    how messages tell its address, where the URL does not (a Unix socket).

    ``requests_sent`` counts what went over the wire, redirects and retries included. Close it with ``aclose``
    or ``async with``.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        name: str,
        transport: httpx.AsyncBaseTransport | None = None,
        max_bytes: int = 64 * MIB,
        place: str = "",
        connections: int = MAX_CONNECTIONS,
    ) -> None:
        self.endpoint = endpoint
        self.name = name
        self.place = place
        self.connections = connections
        self.max_bytes = max_bytes
        self.requests_sent = 0
        self._transport = transport
        self._address: Address | None = None
        self._client: httpx.AsyncClient | None = None
        self._auth: asyncio.Task[dict[str, str]] | None = None

    @property
    def shown(self) -> str:
        """The server's address without credentials."""
        return shown(self.endpoint.url)

    def where(self, path: str = "") -> Where:
        """This server (or a path of it), for messages."""
        return Where(self.name, self.place or self.shown + path)

    def curl(self, path: str = "", params: Params = (), *, form: bool = False) -> str:
        """The command that asks the same again; see ``curl``."""
        return curl(self.endpoint, path, _pairs(params), form=form)

    async def get(
        self,
        path: str = "",
        params: Params = (),
        *,
        accept: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> Reply:
        """GET a path below the endpoint's URL. Statuses outside 2xx raise, except those in ``accept``. ``once``: one
        request, whatever comes back: never again, and never on to where a redirect points."""
        return await self._ask(_Request("GET", path, _pairs(params), None, headers or {}, once=once), accept)

    async def post(
        self, path: str, form: Params = (), *, accept: Collection[int] = (), repeatable: bool = True
    ) -> Reply:
        """POST a form. ``repeatable``: it only asks, so that it may be sent again when the connection breaks."""
        body = urlencode(_pairs(form)).encode("ascii")
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self._ask(_Request("POST", path, (), body, headers, repeatable), accept)

    async def post_json(self, path: str, document: object, *, accept: Collection[int] = ()) -> Reply:
        """POST a JSON document, once: it may change something there."""
        headers = {"Content-Type": "application/json"}
        request = _Request("POST", path, (), orjson.dumps(document), headers, repeatable=False)
        return await self._ask(request, accept)

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, params: Params = (), *, silence_s: float | None = None
    ) -> AsyncIterator[tuple[Reply, AsyncIterator[bytes]]]:
        """GET what goes on and on: the reply's head (its content empty) and the body in pieces as they come, in no
        bounded amount. ``silence_s`` bounds the wait for one piece (None: for ever). Never retried or redirected.
        """
        where = self.where(path)
        client, address = self._open(where)
        request = _build(client, address, _Request("GET", path, _pairs(params), None, PLAIN), await self._credentials())
        timeout_s = self.endpoint.timeout_s
        request.extensions["timeout"] = {**httpx.Timeout(timeout_s).as_dict(), "read": silence_s}
        self.requests_sent += 1
        asked = datetime.now(UTC)
        try:
            async with asyncio.timeout(timeout_s):
                response = await client.send(request, stream=True, follow_redirects=False)
        except Exception as error:
            raise from_exception(error, where, timeout_s) from error
        try:
            answered = datetime.now(UTC)
            content = b"" if response.is_success else await self._read(response, where, _Progress())
            reply = Reply(response.status_code, response.headers, content, where, asked, answered)
            if not response.is_success:
                raise reply.error()
            yield reply, _pieces(response, where, silence_s or 0.0)
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._auth is not None:
            self._auth.cancel()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    # how a request is made -------------------------------------------------------------------------------

    async def _ask(self, request: _Request, accept: Collection[int]) -> Reply:
        where = self.where(request.path)
        client, address = self._open(where)
        auth = await self._credentials()
        timeout_s = self.endpoint.timeout_s
        progress = _Progress()
        try:
            async with asyncio.timeout(timeout_s) as limit:
                built = _build(client, address, request, auth)
                if request.once:
                    reply = await self._send(client, built, where, progress)
                else:
                    until = limit.when() or 0.0
                    reply = await self._with_retries(client, built, where, progress, until, request.repeatable)
        except SourceError:
            raise
        except Exception as error:  # httpx, sockets, TLS and the layers between them raise many kinds
            if isinstance(error, TimeoutError) and progress.received is not None:
                raise _incomplete(where, timeout_s, progress.received) from error
            raise from_exception(error, where, timeout_s) from error
        if not 200 <= reply.status < 300 and reply.status not in accept:
            raise reply.error()
        return reply

    def _open(self, where: Where) -> tuple[httpx.AsyncClient, Address]:
        """The connections, opened for the first request. Raises ``SourceError`` for a URL or file that is wrong."""
        if self._client is None or self._address is None:
            try:
                address = parse_address(self.endpoint.url)
            except ValueError as error:
                raise where.error(
                    Trouble.NOT_CONFIGURED, f"the address {error}", "write it as http://host:port or https://host/path"
                ) from error
            try:
                verify = ssl_context(self.endpoint) if address.scheme == "https" else False
            except TlsFileError as error:
                raise where.error(Trouble.TLS, str(error), "check the TLS files of this source") from error
            self._address = address
            self._client = self._new_client(address, verify)
        return self._client, self._address

    def _new_client(self, address: Address, verify: ssl.SSLContext | bool) -> httpx.AsyncClient:
        timeout_s = self.endpoint.timeout_s
        return httpx.AsyncClient(
            verify=verify,
            transport=self._transport,
            trust_env=not address.loopback,
            timeout=httpx.Timeout(timeout_s, connect=timeout_s * CONNECT_SHARE),
            limits=httpx.Limits(max_connections=self.connections, max_keepalive_connections=MAX_CONNECTIONS),
            headers={
                "User-Agent": f"meshdiag/{__version__}",
                # Within one machine compression costs both ends time and saves nothing.
                "Accept-Encoding": "identity" if address.loopback else "gzip",
                **self.endpoint.headers,
            },
        )

    async def _credentials(self) -> dict[str, str]:
        """The Authorization header, read at the first request and kept; a failure is kept as well."""
        if self._auth is None:
            self._auth = asyncio.ensure_future(auth_headers(self.endpoint, name=self.name))
        return await asyncio.shield(self._auth)

    async def _with_retries(
        self,
        client: httpx.AsyncClient,
        request: httpx.Request,
        where: Where,
        progress: _Progress,
        deadline: float,
        repeatable: bool,
    ) -> Reply:
        """Ask, and ask again where that is safe, may help and fits into the time left."""
        for attempt in range(1, MAX_RETRIES + 1):
            try:
                reply = await self._follow(client, request, where, progress)
            except httpx.TransportError as error:
                if not repeatable or not is_reset(error):
                    raise
                pause = PAUSE_S * attempt
            else:
                wait = _pause_asked(reply, attempt)
                if not repeatable or wait is None or wait >= deadline - asyncio.get_running_loop().time():
                    return reply
                pause = wait
            await asyncio.sleep(pause)
        return await self._follow(client, request, where, progress)

    async def _follow(
        self, client: httpx.AsyncClient, request: httpx.Request, where: Where, progress: _Progress
    ) -> Reply:
        """Send, following redirects within the origin."""
        seen = {str(request.url)}
        for _ in range(MAX_REDIRECTS + 1):
            reply = await self._send(client, request, where, progress)
            location = reply.headers.get("location")
            if reply.status not in REDIRECTS or not location:
                return reply
            request = _redirected(client, request, reply.status, location, where)
            if str(request.url) in seen:
                break
            seen.add(str(request.url))
        raise where.error(
            Trouble.REDIRECT, "it redirects in a circle", "check the base path of the URL, and any proxy in front of it"
        )

    async def _send(
        self, client: httpx.AsyncClient, request: httpx.Request, where: Where, progress: _Progress
    ) -> Reply:
        self.requests_sent += 1
        progress.received = None
        asked = datetime.now(UTC)
        response = await client.send(request, stream=True, follow_redirects=False)
        answered = datetime.now(UTC)
        progress.received = 0
        try:
            content = await self._read(response, where, progress)
        finally:
            await response.aclose()
        return Reply(response.status_code, response.headers, content, where, asked, answered)

    async def _read(self, response: httpx.Response, where: Where, progress: _Progress) -> bytes:
        """The body, decompressed. What an error says need not be whole; anything else too large is refused."""
        failed = response.status_code >= 300
        limit = ERROR_BODY if failed else self.max_bytes
        announced = response.headers.get("content-length", "")
        if not failed and announced.isdigit() and int(announced) > limit:
            raise _too_large(where, limit)
        try:
            body = Body(limit, response.headers.get("content-encoding", ""))
            async for chunk in response.aiter_raw():
                progress.received = (progress.received or 0) + len(chunk)
                try:
                    body.feed(chunk)
                except BodyTooLarge:
                    if failed:
                        break
                    raise _too_large(where, limit) from None
        except BodyBroken as error:
            raise where.error(Trouble.MALFORMED, f"its answer {error}", "a proxy in between may break it") from error
        if not failed and not body.whole:
            raise where.error(Trouble.TRUNCATED, "its compressed answer is cut short", "a proxy in between may cut it")
        return body.content


async def _pieces(response: httpx.Response, where: Where, silence_s: float) -> AsyncIterator[bytes]:
    """The body as it comes, every failure translated."""
    try:
        async for piece in response.aiter_raw():
            yield piece
    except Exception as error:
        raise from_exception(error, where, silence_s) from error


def _build(client: httpx.AsyncClient, address: Address, request: _Request, auth: Mapping[str, str]) -> httpx.Request:
    params = (*address.query, *request.params)
    return client.build_request(
        request.method,
        f"{address.base}{request.path}?{urlencode(params)}" if params else address.base + request.path,
        content=request.body,
        headers={**request.headers, **auth},
    )


def _redirected(
    client: httpx.AsyncClient, request: httpx.Request, status: int, location: str, where: Where
) -> httpx.Request:
    """The request that a redirect asks for. A query is sent again as it was, save for 303, which asks for GET."""
    try:
        url = str(request.url.join(location))
        same = parse_address(url).origin == parse_address(str(request.url)).origin
    except (ValueError, httpx.InvalidURL) as error:
        raise where.error(Trouble.REDIRECT, "it redirects to something that is no address", "check the URL") from error
    if not same:
        raise where.error(
            Trouble.REDIRECT,
            f"it redirects to another server, {excerpt(shown(url))}",
            "if that is the right address, configure it; a login page there means that credentials are missing",
        )
    get = status == 303
    headers = {
        name: value
        for name, value in request.headers.items()
        if name not in ("host", "content-length", "transfer-encoding") and not (get and name == "content-type")
    }
    return client.build_request(
        "GET" if get else request.method, url, content=None if get else request.content, headers=headers
    )


def _pause_asked(reply: Reply, attempt: int) -> float | None:
    """How long to wait before asking again (s); None where asking again is not called for."""
    retry_after = reply.headers.get("retry-after", "").strip()
    if reply.status in (429, 503) and retry_after:
        if retry_after.isdigit():
            return float(retry_after)
        try:
            return max(0.0, (parsedate_to_datetime(retry_after) - reply.answered).total_seconds())
        except (ValueError, TypeError):
            return None
    return PAUSE_S if reply.status == 502 and attempt == 1 else None


def _pairs(params: Params) -> tuple[tuple[str, str], ...]:
    return tuple(params.items() if isinstance(params, Mapping) else params)


def _too_large(where: Where, limit: int) -> SourceError:
    return where.error(
        Trouble.TOO_LARGE,
        f"its answer is larger than {limit / MIB:g} MiB",
        "ask for less: fewer series, a shorter range",
    )


def _incomplete(where: Where, timeout_s: float, received: int) -> SourceError:
    return where.error(
        Trouble.TIMEOUT,
        f"the answer was not complete within {timeout_s:g} s ({received} byte{'' if received == 1 else 's'} came)",
        "the server or the network is slow; ask for less, or raise this source's timeout",
    )
