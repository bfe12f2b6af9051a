"""Addresses as people write them, and the places that their names stand for."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from typing import Any

LOOKUPS_AT_ONCE = 64
"""Host names looked up at the same time, one thread each."""

PLACES = 4
"""How many addresses of one host name are of use."""

Place = tuple[socket.AddressFamily, Any]
"""An address family and what ``connect`` takes for it: IP address, port, and for IPv6 flow and scope."""


def split_address(address: str) -> tuple[str, int]:
    """Host and port of ``host:port`` or ``[::1]:port``. Raises ``ValueError`` with one sentence."""
    host, colon, port = address.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    number = int(port) if port.isascii() and port.isdecimal() and len(port) <= 5 else 0
    if not colon or not host or (":" in host and not bracketed) or not 0 < number < 65536:
        raise ValueError(f"{address!r} is not host:port (an IPv6 address stands in brackets, as in [::1]:4001)")
    return host, number


def join_address(host: str, port: int) -> str:
    """``host:port`` with an IPv6 address in brackets; the bare host where there is no port (0)."""
    if not port:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Resolver:
    """Looks up host names, each once as long as it lives. ``at_once`` bounds the look-ups under way."""

    def __init__(self, *, at_once: int = LOOKUPS_AT_ONCE) -> None:
        self._at_once = at_once
        self._slots: asyncio.Semaphore | None = None
        self._known: dict[str, asyncio.Future[list[Place]]] = {}

    async def resolve(self, host: str, port: int, timeout_s: float) -> tuple[Place, ...]:
        """The places of a host, IPv4 and IPv6, in the order that the system prefers, at most ``PLACES``.

        Raises ``OSError`` (``gaierror``; ``TimeoutError`` after ``timeout_s`` seconds) or ``ValueError`` for a name
        that cannot be one. A failure is remembered as well.
        """
        if (place := _numeric(host)) is not None:
            return (_with_port(place, port),)
        known = self._known.get(host)
        if known is None:
            known = self._known[host] = asyncio.ensure_future(self._look_up(host, timeout_s))
        async with asyncio.timeout(timeout_s):  # who asks later waits no longer than who asked first
            places = await asyncio.shield(known)
        return tuple(_with_port(place, port) for place in places[:PLACES])

    async def _look_up(self, host: str, timeout_s: float) -> list[Place]:
        self._slots = self._slots or asyncio.Semaphore(self._at_once)
        async with self._slots, asyncio.timeout(timeout_s):
            return await _look_up(host)


def _numeric(host: str) -> Place | None:
    """The place of an IP address; None for a name, and for an address with a scope, whose number the system knows."""
    with contextlib.suppress(ValueError):
        number = ipaddress.ip_address(host)
        if number.version == 4:
            return socket.AF_INET, (host, 0)
        if not number.scope_id:
            return socket.AF_INET6, (host, 0)
    return None


def _with_port(place: Place, port: int) -> Place:
    family, target = place
    return family, (target[0], port, *target[2:])


async def _look_up(host: str) -> list[Place]:
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
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            places = [(family, target) for family, _type, _protocol, _name, target in found]
        except (OSError, ValueError) as error:  # a name that cannot be encoded is a ValueError
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop has gone: nobody waits any more
            loop.call_soon_threadsafe(settle, places, failed)

    threading.Thread(target=resolve, name="meshdiag-look-up", daemon=True).start()
    return await answer
