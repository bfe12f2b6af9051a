"""One TCP connect, timed by the kernel's own clock where it tells."""

from __future__ import annotations

import errno
import socket
import struct
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from meshdiag.sources.probing.answers import ProbeTrouble
from meshdiag.sources.probing.troubles import ProbeFailed, keep_errors, next_error, of_error
from meshdiag.sources.probing.waiting import writable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshdiag.sources.resolving import Place

_TCP_INFO = struct.Struct("B67xI28xI")
"""Of Linux's ``struct tcp_info``: ``tcpi_state``, ``tcpi_rtt`` (microseconds) and ``tcpi_total_retrans``."""
_ESTABLISHED = 1


@contextmanager
def stream(place: Place) -> Iterator[socket.socket]:
    """A socket for one connection, closed at the end. Raises ``ProbeFailed``."""
    try:
        plain = socket.socket(place[0], socket.SOCK_STREAM)
    except OSError as error:
        raise ProbeFailed(of_error(error)) from error
    with plain:
        plain.setblocking(False)
        yield plain


async def connect(plain: socket.socket, place: Place, timeout_s: float) -> float:
    """Connect, and say how many seconds that took. Raises ``ProbeFailed``."""
    began = time.perf_counter()
    try:
        keep_errors(plain)
        number = plain.connect_ex(place[1])
        if number in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            await writable(plain, time.monotonic() + timeout_s)
            number = plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    except TimeoutError:
        if (seen := handshake_s(plain)) is not None:
            return seen
        raise _failed(plain, ProbeTrouble.TIMEOUT) from None
    except OSError as error:
        raise _failed(plain, of_error(error)) from error
    if number:
        raise _failed(plain, of_error(OSError(number, "")))
    took = time.perf_counter() - began
    return min(took, handshake_s(plain) or took)


def _failed(plain: socket.socket, trouble: ProbeTrouble) -> ProbeFailed:
    """The failure, in the words of the router that has spoken where one has."""
    kept = next_error(plain)
    return ProbeFailed(kept[2], kept[3]) if kept and kept[3] else ProbeFailed(trouble)


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
