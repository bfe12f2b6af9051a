"""Sockets for ICMP echo: without privileges where the system allows it, raw where we may; timed by the kernel."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any

from meshdiag.sources.probing.icmp.packets import ECHO_REPLY, Packets
from meshdiag.sources.probing.troubles import keep_errors

BUFFER = 4 << 20
"""Bytes of answers that may wait while the loop is busy: those of thousands of targets."""
SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
SOL_RAW, ICMP_FILTER, ICMPV6_FILTER = 255, 1, 1
"""Linux's numbers: <asm-generic/socket.h>, <linux/icmp.h>, <linux/icmpv6.h>."""
_TIMESPEC = struct.Struct("@ll")
_WANTED_4, _WANTED_6 = (ECHO_REPLY[False], 3, 11), (ECHO_REPLY[True], 1, 3)
"""Echo replies, destination unreachable, time exceeded."""
_REFUSALS = (errno.EACCES, errno.EPERM)


class NotAllowed(Exception):
    """This process may open no socket for ICMP."""


@dataclass(frozen=True, slots=True)
class EchoSocket:
    """An open socket, and how to read and write its packets."""

    plain: socket.socket
    packets: Packets
    raw: bool


def open_socket(family: socket.AddressFamily) -> EchoSocket:
    """A socket for echo requests. Raises ``NotAllowed``, or ``OSError`` where the system has no such family."""
    six = family == socket.AF_INET6
    protocol = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            plain = socket.socket(family, kind, protocol)
        except OSError as error:
            if error.errno not in (*_REFUSALS, errno.EPROTONOSUPPORT):
                raise
            continue
        raw = kind == socket.SOCK_RAW
        _set_up(plain, six=six, raw=raw)
        return EchoSocket(plain, Packets(six=six, framed=raw and not six, own_ident=raw), raw)
    raise NotAllowed


def _set_up(plain: socket.socket, *, six: bool, raw: bool) -> None:
    plain.setblocking(False)
    with contextlib.suppress(OSError):
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    with contextlib.suppress(OSError):
        plain.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    with contextlib.suppress(OSError):
        plain.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    if not raw:
        with contextlib.suppress(OSError):
            keep_errors(plain)
        return
    with contextlib.suppress(OSError):  # where it cannot filter, what is not ours is passed over when it is read
        if six:
            plain.setsockopt(socket.IPPROTO_ICMPV6, ICMPV6_FILTER, _blocked(_WANTED_6, 256))
        else:
            plain.setsockopt(SOL_RAW, ICMP_FILTER, _blocked(_WANTED_4, 32))


def _blocked(wanted: tuple[int, ...], types: int) -> bytes:
    """The filter's bits: one for each type that is not wanted, in words of 32 bits in the machine's order."""
    words = [0xFFFFFFFF] * (types // 32)
    for kind in wanted:
        words[kind // 32] &= ~(1 << kind % 32)
    return struct.pack(f"={len(words)}I", *words)


def receive(plain: socket.socket) -> tuple[bytes, Any, int] | None:
    """The next packet, who sent it, and when it arrived (ns since the epoch, by the kernel where it tells). None
    where there is none now."""
    try:
        packet, words, _flags, sender = plain.recvmsg(1024, 128)
    except OSError:  # nothing there; or an error of an earlier send, which the error queue tells
        return None
    for level, kind, data in words:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return packet, sender, seconds * 1_000_000_000 + nanoseconds
    return packet, sender, time.time_ns()
