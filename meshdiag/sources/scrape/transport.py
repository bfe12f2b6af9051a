"""The fast HTTP path of scraping: one GET a connection, straight on asyncio's protocols.

A general client spends more time on a small page than the network does, and on being imported more than many
pages take. Proxies are not used: the nodes are asked directly.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from meshdiag.sources.http.failures import (
    ConnectError,
    ConnectTimeout,
    LocalProtocolError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
)
from meshdiag.sources.scrape.wire import ResponseReader

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from meshdiag.sources.scrape.wire import Answer

CONNECT_SHARE = 0.9
"""The part of the timeout that connecting may take, so that "no connection" and "no answer" can be told apart."""


@dataclass(frozen=True, slots=True)
class Target:
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


class _Exchange(asyncio.Protocol):
    """One request and its response over one connection."""

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

    async def fetch(self, target: Target, headers: Mapping[str, str], *, limit: int, timeout_s: float) -> Answer:
        """GET one page. Raises ``ConnectError``, ``ConnectTimeout``, ``ReadTimeout``, ``ReadError`` or
        ``RemoteProtocolError`` (``TooLarge`` when the body exceeds ``limit`` bytes)."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        done: asyncio.Future[Answer] = loop.create_future()
        exchange = _Exchange(_request(target, headers), limit, done)
        transport = await self._connect(target, exchange, timeout_s)
        timer = loop.call_at(deadline, _time_out, done, timeout_s)
        try:
            return await done
        finally:
            timer.cancel()
            transport.abort()

    async def _connect(self, target: Target, exchange: _Exchange, timeout_s: float) -> asyncio.Transport:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s * CONNECT_SHARE):
                addresses = [target.host] if _literal(target.host) else await self._resolve(target.host)
                for last, address in enumerate(addresses, 1 - len(addresses)):
                    try:
                        transport, _ = await loop.create_connection(
                            lambda: exchange,
                            address,
                            target.port,
                            ssl=target.tls,
                            server_hostname=target.host if target.tls is not None else None,
                        )
                    except OSError:
                        if not last:
                            raise
                    else:
                        return transport
                raise OSError(f"no address for {target.host}")
        except TimeoutError as error:
            raise ConnectTimeout(f"no connection within {timeout_s * CONNECT_SHARE:g} s") from error
        except (OSError, ValueError) as error:
            exchange.done.cancel()
            raise ConnectError(str(error)) from error

    async def _resolve(self, host: str) -> list[str]:
        task = self._addresses.get(host)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._addresses[host] = asyncio.create_task(_lookup(host))
        return await asyncio.shield(task)


async def _lookup(host: str) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _literal(host: str) -> bool:
    return ":" in host or (host[-1:].isdigit() and host.replace(".", "").isdigit())


def _time_out(done: asyncio.Future[Answer], timeout_s: float) -> None:
    if not done.done():
        done.set_exception(ReadTimeout(f"no whole answer within {timeout_s:g} s"))


def _request(target: Target, headers: Mapping[str, str]) -> bytes:
    lines = [f"GET {target.path} HTTP/1.1", f"Host: {target.authority}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if any("\r" in line or "\n" in line for line in lines):
        raise LocalProtocolError("a header or path holds a line break")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
