"""Waiting for one socket: until it can be written or read, or a moment has passed."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from meshdiag.sources.probing.answers import ProbeTrouble
from meshdiag.sources.probing.troubles import ProbeFailed

if TYPE_CHECKING:
    import socket


async def writable(plain: socket.socket, until: float) -> None:
    """Wait until the socket can be written. Raises ``TimeoutError`` at ``until`` (``time.monotonic``)."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(plain, _settle, ready)
    try:
        await _in_time(ready, until)
    finally:
        loop.remove_writer(plain)


async def readable(plain: socket.socket, until: float) -> None:
    """Wait until the socket can be read. Raises ``TimeoutError`` at ``until`` (``time.monotonic``)."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(plain, _settle, ready)
    try:
        await _in_time(ready, until)
    finally:
        loop.remove_reader(plain)


async def answered(plain: socket.socket, until: float) -> None:
    """Wait until a connected peer says something. Raises ``ProbeFailed`` (stalled) at ``until``."""
    try:
        await readable(plain, until)
    except TimeoutError:
        raise ProbeFailed(ProbeTrouble.STALLED) from None


async def _in_time(ready: asyncio.Future[None], until: float) -> None:
    loop = asyncio.get_running_loop()
    alarm = loop.call_later(max(0.0, until - time.monotonic()), _late, ready)
    try:
        await ready
    finally:
        alarm.cancel()


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _late(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_exception(TimeoutError())
