"""Plain TCP connects, timed: whether a peer port answers, and how far away it is.

A connect needs no privilege and passes where ICMP is dropped. Addresses are tried side by side, bounded in
number and in pace, so that a look at two thousand peers is no port scan.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
import struct
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

AT_ONCE = 200
"""Connects under way at the same time."""

PER_SECOND = 1000.0
"""Connects begun in a second, at most."""

LOOKUPS_AT_ONCE = 64
"""Host names looked up at the same time, one thread each."""

PLACES = 4
"""How many addresses of one host name are tried."""

_TCP_INFO = struct.Struct("B67xI28xI")
"""Of Linux's ``struct tcp_info``: ``tcpi_state``, ``tcpi_rtt`` (microseconds) and ``tcpi_total_retrans``."""
_ESTABLISHED = 1


class ConnectTrouble(StrEnum):
    """Why a connect did not come about. ``TIMEOUT`` is what a firewall that drops packets looks like."""

    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNKNOWN_HOST = "unknown-host"
    UNREACHABLE = "unreachable"
    BAD_ADDRESS = "bad-address"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Connect:
    """What the connects to one address came to: ``times_s`` of those that succeeded (seconds, name look-up not
    counted), and why the last one that failed did, None where none failed."""

    address: str
    times_s: tuple[float, ...]
    trouble: str | None = None


def split_address(address: str) -> tuple[str, int]:
    """Host and port of ``host:port`` or ``[::1]:port``. Raises ``ValueError`` with one sentence."""
    host, colon, port = address.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    number = int(port) if port.isascii() and port.isdecimal() and len(port) <= 5 else 0
    if not colon or not host or (":" in host and not bracketed) or not 0 < number < 65536:
        raise ValueError(f"{address!r} is not host:port (an IPv6 address stands in brackets, as in [::1]:4001)")
    return host, number


class TcpConnect:
    """Connects to many addresses, a few times each. ``at_once`` and ``per_second`` bound the whole."""

    name = "TCP connect"

    def __init__(self, *, at_once: int = AT_ONCE, per_second: float = PER_SECOND) -> None:
        self._at_once = at_once
        self._interval = 1.0 / per_second

    async def measure(self, addresses: Sequence[str], *, count: int = 3, timeout_s: float = 1.0) -> dict[str, Connect]:
        """Connect ``count`` times to each address, one after the other, each within ``timeout_s`` seconds.

        An address whose first connect fails is not tried again. Never raises for an address: see ``trouble``.
        """
        round_ = _Round(self._at_once, self._interval, count, timeout_s)
        distinct = list(dict.fromkeys(addresses))
        answers = await asyncio.gather(*(round_.measure(address) for address in distinct))
        return {answer.address: answer for answer in answers}


Place = tuple[socket.AddressFamily, Any]
"""An address family and what ``connect`` takes for it."""


class _Round:
    """One call of ``measure``: its bounds and the names it has looked up."""

    def __init__(self, at_once: int, interval: float, count: int, timeout_s: float) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._lookup_slots = asyncio.Semaphore(LOOKUPS_AT_ONCE)
        self._interval = interval
        self._next = time.monotonic()
        self._count = count
        self._timeout_s = timeout_s

    async def measure(self, address: str) -> Connect:
        try:
            host, port = split_address(address)
        except ValueError:
            return Connect(address, (), ConnectTrouble.BAD_ADDRESS)
        try:
            places = await self._places(host, port)
        except (OSError, ValueError) as error:
            return Connect(address, (), _trouble(error))
        return await self._several(address, places)

    async def _several(self, address: str, places: list[Place]) -> Connect:
        times: list[float] = []
        trouble: ConnectTrouble | None = None
        for _ in range(self._count):
            place, took, failed = await self._first_of(places)
            trouble = failed or trouble
            if place is None:
                if not times:
                    break
                continue
            times.append(took)
            places = [place]
        return Connect(address, tuple(times), trouble)

    async def _first_of(self, places: list[Place]) -> tuple[Place | None, float, ConnectTrouble | None]:
        """The first place that answers and how long it took; else the trouble of the first."""
        first_trouble: ConnectTrouble | None = None
        for place in places[:PLACES]:
            try:
                return place, await self._connect(place), None
            except OSError as error:
                first_trouble = first_trouble or _trouble(error)
        return None, 0.0, first_trouble or ConnectTrouble.UNKNOWN_HOST

    async def _connect(self, place: Place) -> float:
        """Seconds that one connect took. Raises ``OSError`` (``TimeoutError`` included)."""
        family, target = place
        async with self._slots:
            await self._pace()
            with socket.socket(family, socket.SOCK_STREAM) as plain:
                plain.setblocking(False)
                began = time.perf_counter()
                try:
                    async with asyncio.timeout(self._timeout_s):
                        await asyncio.get_running_loop().sock_connect(plain, target)
                except TimeoutError:
                    if (seen := handshake_s(plain)) is None:
                        raise
                    return seen
                took = time.perf_counter() - began
                return min(took, handshake_s(plain) or took)

    async def _pace(self) -> None:
        """Wait for this connect's turn."""
        now = time.monotonic()
        self._next = turn = max(now, self._next + self._interval)
        if turn > now:
            await asyncio.sleep(turn - now)

    async def _places(self, host: str, port: int) -> list[Place]:
        """The addresses of a host. Raises ``OSError`` or ``ValueError``."""
        with contextlib.suppress(ValueError):
            number = ipaddress.ip_address(host)
            if number.version == 4:
                return [(socket.AF_INET, (host, port))]
            if not number.scope_id:
                return [(socket.AF_INET6, (host, port))]
        async with self._lookup_slots, asyncio.timeout(self._timeout_s):
            return await _look_up(host, port)


def handshake_s(connected: socket.socket) -> float | None:
    """Seconds that the handshake of a connection took, by the kernel's own clock. None where the kernel does not
    tell, nothing is connected, or a packet was sent again: then the wait is the answer.

    A busy machine wakes this process late; what it measures itself would tell of its own load, not of the link.
    """
    try:
        told = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        state, rtt_us, resent = _TCP_INFO.unpack(told)
    except (AttributeError, OSError, struct.error):
        return None
    return rtt_us / 1e6 if state == _ESTABLISHED and rtt_us and not resent else None


async def _look_up(host: str, port: int) -> list[Place]:
    """Resolve a name in a daemon thread: a resolver that hangs then holds up neither the loop nor the exit of
    the program, which would wait for the threads of the loop's own pool."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Place]] = loop.create_future()

    def settle(places: list[Place], error: Exception | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(places)

    def resolve() -> None:
        places: list[Place] = []
        failed: Exception | None = None
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            places = [(family, target) for family, _type, _protocol, _name, target in found]
        except (OSError, ValueError) as error:  # a name that cannot be encoded is a ValueError
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop has gone: nobody waits any more
            loop.call_soon_threadsafe(settle, places, failed)

    threading.Thread(target=resolve, name="meshdiag-look-up", daemon=True).start()
    return await answer


_BY_NUMBER = {
    errno.ECONNREFUSED: ConnectTrouble.REFUSED,
    errno.ETIMEDOUT: ConnectTrouble.TIMEOUT,
    errno.EHOSTUNREACH: ConnectTrouble.UNREACHABLE,
    errno.ENETUNREACH: ConnectTrouble.UNREACHABLE,
    errno.EADDRNOTAVAIL: ConnectTrouble.UNREACHABLE,
    errno.EAFNOSUPPORT: ConnectTrouble.UNREACHABLE,
}


def _trouble(error: Exception) -> ConnectTrouble:
    """The word for what went wrong."""
    if isinstance(error, socket.gaierror | ValueError):
        return ConnectTrouble.UNKNOWN_HOST
    if isinstance(error, TimeoutError):
        return ConnectTrouble.TIMEOUT
    number = error.errno if isinstance(error, OSError) else None
    return _BY_NUMBER.get(number or 0, ConnectTrouble.ERROR)
