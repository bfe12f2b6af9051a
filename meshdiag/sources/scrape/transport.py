"""The fast HTTP path of scraping: one GET a connection, over bare sockets or TLS.

A general client spends more time on a small page than the network does, and on being imported more than many
pages take. Proxies are not used: the nodes are asked directly.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from meshdiag.sources.http.failures import (
    ConnectError,
    ConnectTimeout,
    LocalProtocolError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
)
from meshdiag.sources.scrape.sockets import Exchanges
from meshdiag.sources.scrape.wire import ResponseReader

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

    from meshdiag.sources.scrape.wire import Answer

CONNECT_SHARE = 0.9
"""The part of the timeout that connecting may take, so that "no connection" and "no answer" can be told apart."""


class Target(Struct, frozen=True):
    """Where one GET goes: ``path`` with its query; ``tls`` for https."""

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None = None

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (80 if self.tls is None else 443) else f"{host}:{self.port}"

    @property
    def request_line(self) -> bytes:
        """The first lines of the request. Raises ``LocalProtocolError``."""
        return _lines([f"GET {self.path} HTTP/1.1", f"Host: {self.authority}"])


class _Exchange(asyncio.Protocol):
    """One request and its response over one TLS connection."""

    __slots__ = ("_reader", "_request", "_transport", "done")

    def __init__(self, request: bytes, limit: int, done: asyncio.Future[Answer]) -> None:
        self._request = request
        self._reader = ResponseReader(limit)
        self._transport: asyncio.Transport | None = None
        self.done = done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self.done.done():
            return
        try:
            if self._reader.feed(data):
                self._end(None)
        except RemoteProtocolError as error:
            self._end(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.done.done():
            return
        if exc is not None:
            error = ReadError(str(exc))
            error.__cause__ = exc
            self._end(error)
            return
        try:
            self._reader.finish()
        except RemoteProtocolError as problem:
            self._end(problem)
        else:
            self._end(None)

    def _end(self, error: Exception | None) -> None:
        if error is None:
            self.done.set_result(self._reader.answer)
        else:
            self.done.set_exception(error)
        if self._transport is not None:
            self._transport.abort()


class Fetcher:
    """Fetches pages. Host names are looked up once each."""

    def __init__(self) -> None:
        self._addresses: dict[str, asyncio.Task[list[str]]] = {}
        self._exchanges = Exchanges()

    async def fetch(self, target: Target, headers: bytes, *, limit: int, timeout_s: float) -> Answer:
        """GET one page with these header lines (see ``header_lines``). Raises ``ConnectError``, ``ConnectTimeout``,
        ``ReadTimeout``, ``ReadError`` or ``RemoteProtocolError`` (``TooLarge`` when the body exceeds ``limit`` bytes),
        ``LocalProtocolError`` when the path cannot be sent."""
        request = target.request_line + headers + b"\r\n"
        if target.tls is not None:
            return await self._over_tls(target, request, limit, timeout_s)
        if _numeric(target.host):
            address = (target.host, target.port)
            return await self._exchanges.get(address, request, limit=limit, timeout_s=timeout_s)
        return await self._by_name(target, request, limit, timeout_s)

    async def _by_name(self, target: Target, request: bytes, limit: int, timeout_s: float) -> Answer:
        """The answer of the first address of a host that takes the connection."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                *others, last = await self._resolve(target.host)
        except TimeoutError as error:
            raise _no_connection(timeout_s) from error
        except (OSError, ValueError) as error:
            raise ConnectError(str(error)) from error
        for host in others:
            with contextlib.suppress(ConnectError):
                return await self._exchanges.get(
                    (host, target.port), request, limit=limit, timeout_s=deadline - loop.time()
                )
        return await self._exchanges.get((last, target.port), request, limit=limit, timeout_s=deadline - loop.time())

    async def _over_tls(self, target: Target, request: bytes, limit: int, timeout_s: float) -> Answer:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        done: asyncio.Future[Answer] = loop.create_future()
        exchange = _Exchange(request, limit, done)
        try:
            transport = await self._connect(target, timeout_s, exchange)
        except ConnectError:
            done.cancel()
            raise
        timer = loop.call_at(deadline, _time_out, done, timeout_s)
        try:
            return await done
        finally:
            timer.cancel()
            transport.abort()

    async def _connect(self, target: Target, timeout_s: float, exchange: _Exchange) -> asyncio.Transport:
        """A TLS connection with its handshake behind it. Raises ``ConnectError``, ``ConnectTimeout``."""
        try:
            async with asyncio.timeout(timeout_s * CONNECT_SHARE):
                return await _handshake_any(exchange, target, await self._addresses_of(target.host))
        except TimeoutError as error:
            raise _no_connection(timeout_s * CONNECT_SHARE) from error
        except (OSError, ValueError) as error:
            raise ConnectError(str(error)) from error

    async def _addresses_of(self, host: str) -> list[str]:
        return [host] if _numeric(host) else await self._resolve(host)

    async def _resolve(self, host: str) -> list[str]:
        task = self._addresses.get(host)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._addresses[host] = asyncio.create_task(_lookup(host))
        return await asyncio.shield(task)


async def _handshake_any(exchange: _Exchange, target: Target, addresses: Sequence[str]) -> asyncio.Transport:
    """A TLS connection to the first address that takes one. Raises ``OSError``."""
    loop = asyncio.get_running_loop()
    for last, address in enumerate(addresses, 1 - len(addresses)):
        try:
            transport, _ = await loop.create_connection(
                lambda: exchange, address, target.port, ssl=target.tls, server_hostname=target.host
            )
        except OSError:
            if not last:
                raise
        else:
            return transport
    raise OSError(f"no address for {target.host}")


async def _lookup(host: str) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _numeric(host: str) -> bool:
    """Whether a host is an address in figures, which needs no looking up."""
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except (OSError, ValueError):
        return False
    return True


def _time_out(done: asyncio.Future[Answer], timeout_s: float) -> None:
    if not done.done():
        done.set_exception(_no_answer(timeout_s))


def _no_connection(timeout_s: float) -> ConnectTimeout:
    return ConnectTimeout(f"no connection within {timeout_s:g} s")


def _no_answer(timeout_s: float) -> ReadTimeout:
    return ReadTimeout(f"no whole answer within {timeout_s:g} s")


def header_lines(headers: Mapping[str, str]) -> bytes:
    """Headers as they are sent, those of every request among them. Raises ``LocalProtocolError``."""
    return _lines(["Connection: close", *(f"{name}: {value}" for name, value in headers.items())])


def _lines(lines: Sequence[str]) -> bytes:
    text = "".join([f"{line}\r\n" for line in lines])
    if text.count("\n") != len(lines) or text.count("\r") != len(lines):
        raise LocalProtocolError("a header or path holds a line break")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise LocalProtocolError("a header or path holds letters that HTTP does not take") from None
