"""Plain HTTP exchanges on bare sockets, any number side by side on one event loop.

All sockets are watched by one selector, and the event loop watches that selector: whatever has arrived is taken in one
go. asyncio's own ways to wait for a socket (a task, some futures and a timer a page) cost more than the pages do.
"""

from __future__ import annotations

import asyncio
import errno
import os
import selectors
import socket
from typing import TYPE_CHECKING

from meshdiag.sources.http.failures import ConnectError, ConnectTimeout, ReadError, ReadTimeout
from meshdiag.sources.scrape.wire import ResponseReader

if TYPE_CHECKING:
    from meshdiag.sources.scrape.wire import Answer

READ_BYTES = 65_536
_UNDER_WAY = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN})


class _Exchange:
    """One request and its response. ``unsent`` is what is left of the request."""

    __slots__ = ("connected", "connection", "deadline", "done", "reader", "unsent")

    def __init__(
        self, connection: socket.socket, request: bytes, limit: int, deadline: float, done: asyncio.Future[Answer]
    ) -> None:
        self.connection = connection
        self.connected = False
        self.unsent = request
        self.reader = ResponseReader(limit)
        self.deadline = deadline
        self.done = done

    def send(self) -> bool:
        """Go on sending; whether the whole request is sent. Raises ``OSError``."""
        if not self.connected:
            if trouble := self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(trouble, os.strerror(trouble))
            self.connected = True
        self.unsent = self.unsent[self.connection.send(self.unsent) :]
        return not self.unsent

    def receive(self) -> bool:
        """Take what has arrived; whether the answer is whole. Raises ``RemoteProtocolError``, ``OSError``."""
        data = self.connection.recv(READ_BYTES)
        if data:
            return self.reader.feed(data)
        self.reader.finish()
        return True

    def fail(self, error: Exception) -> None:
        """End with an error."""
        if not self.done.done():
            self.done.set_exception(error)

    def told(self, error: Exception) -> Exception:
        """What went wrong with the socket, as an error of connecting or of reading; any other error as it is."""
        if not isinstance(error, OSError):
            return error
        told = ReadError(str(error)) if self.connected else ConnectError(str(error))
        told.__cause__ = error
        return told


class Exchanges:
    """The exchanges that are under way."""

    def __init__(self) -> None:
        self._open: set[_Exchange] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop
        self._selector: selectors.DefaultSelector

    async def get(self, address: tuple[str, int], request: bytes, *, limit: int, timeout_s: float) -> Answer:
        """The answer of a numeric address (IPv4 or IPv6) and port to a request. ``limit`` bounds the body in bytes.
        Raises ``ConnectError``, ``ConnectTimeout``, ``ReadError``, ``ReadTimeout`` or ``RemoteProtocolError``."""
        loop = asyncio.get_running_loop()
        exchange = _Exchange(_connecting(address), request, limit, loop.time() + timeout_s, loop.create_future())
        self._begin(exchange, loop)
        try:
            return await exchange.done
        finally:
            self._end(exchange)

    def _begin(self, exchange: _Exchange, loop: asyncio.AbstractEventLoop) -> None:
        if not self._open:
            self._loop, self._selector = loop, selectors.DefaultSelector()
            loop.add_reader(self._selector, self._take)
        self._open.add(exchange)
        self._selector.register(exchange.connection, selectors.EVENT_WRITE, exchange)
        if self._timer is None or exchange.deadline < self._timer.when():
            self._set_timer(exchange.deadline)

    def _end(self, exchange: _Exchange) -> None:
        """Let go of an exchange; the last one takes the selector with it."""
        if exchange in self._open:
            self._open.remove(exchange)
            self._selector.unregister(exchange.connection)
            if not self._open:
                self._loop.remove_reader(self._selector)
                self._selector.close()
                self._set_timer(None)
        exchange.connection.close()

    def _take(self) -> None:
        """Go on with every exchange whose socket is ready."""
        for key, _ in self._selector.select(0):
            exchange: _Exchange = key.data
            try:
                if exchange.unsent:
                    if exchange.send():
                        self._selector.modify(exchange.connection, selectors.EVENT_READ, exchange)
                    continue
                if not exchange.receive():
                    continue
            except BlockingIOError:
                continue
            except Exception as error:  # whatever it is, it is about this page alone
                exchange.fail(exchange.told(error))
            else:
                if not exchange.done.done():
                    exchange.done.set_result(exchange.reader.answer)
            self._end(exchange)

    def _set_timer(self, moment: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if moment is None else self._loop.call_at(moment, self._give_up)

    def _give_up(self) -> None:
        """End the exchanges whose time is over, and wait for the next."""
        now = self._loop.time()
        for exchange in [one for one in self._open if one.deadline <= now]:
            exchange.fail(ReadTimeout("no whole answer") if exchange.connected else ConnectTimeout("no connection"))
            self._end(exchange)
        self._timer = None
        if self._open:
            self._set_timer(min(exchange.deadline for exchange in self._open))


def _connecting(address: tuple[str, int]) -> socket.socket:
    """A socket that has begun to connect. Raises ``ConnectError``."""
    connection = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        trouble = connection.connect_ex(address)
        if trouble and trouble not in _UNDER_WAY:
            raise OSError(trouble, os.strerror(trouble))
    except (OSError, OverflowError) as error:
        connection.close()
        raise ConnectError(str(error)) from error
    return connection
