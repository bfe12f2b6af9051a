"""What the system and the routers say of a probe that failed, as the trouble it is."""

from __future__ import annotations

import errno
import socket
import struct

from meshdiag.sources.probing.answers import ProbeTrouble

IP_RECVERR, IPV6_RECVERR = 11, 25
"""Linux's options that keep the routers' words: <linux/in.h>, <linux/in6.h>."""
MSG_ERRQUEUE = getattr(socket, "MSG_ERRQUEUE", 0)
_EXTENDED = struct.Struct("=IBBBBII")
"""``struct sock_extended_err``: errno, origin, type, code, padding, info, data; see ip(7)."""
_FROM_ICMP = (2, 3)
"""``SO_EE_ORIGIN_ICMP`` and ``SO_EE_ORIGIN_ICMP6``."""


class ProbeFailed(Exception):
    """One probe brought no answer: why, and which router said so (empty where nobody did)."""

    def __init__(self, trouble: ProbeTrouble, said_by: str = "") -> None:
        super().__init__(trouble)
        self.trouble = trouble
        self.said_by = said_by


_BY_NUMBER = {
    errno.ECONNREFUSED: ProbeTrouble.REFUSED,
    errno.ECONNRESET: ProbeTrouble.CLOSED,
    errno.EPIPE: ProbeTrouble.CLOSED,
    errno.ETIMEDOUT: ProbeTrouble.TIMEOUT,
    errno.EHOSTUNREACH: ProbeTrouble.HOST_UNREACHABLE,
    errno.EHOSTDOWN: ProbeTrouble.HOST_UNREACHABLE,
    errno.ENETUNREACH: ProbeTrouble.UNREACHABLE,
    errno.ENETDOWN: ProbeTrouble.UNREACHABLE,
    errno.EADDRNOTAVAIL: ProbeTrouble.UNREACHABLE,
    errno.EAFNOSUPPORT: ProbeTrouble.UNREACHABLE,
    errno.EINVAL: ProbeTrouble.UNREACHABLE,  # what Linux says of a blackhole route
    errno.EACCES: ProbeTrouble.PROHIBITED,
    errno.EPERM: ProbeTrouble.PROHIBITED,
}


def of_error(error: Exception) -> ProbeTrouble:
    """The trouble that an exception of a look-up or a socket stands for."""
    if isinstance(error, ProbeFailed):
        return error.trouble
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        return ProbeTrouble.NO_RESOLVER
    if isinstance(error, socket.gaierror | ValueError):
        return ProbeTrouble.UNKNOWN_HOST
    if isinstance(error, TimeoutError):
        return ProbeTrouble.TIMEOUT
    number = error.errno if isinstance(error, OSError) else None
    return _BY_NUMBER.get(number or 0, ProbeTrouble.ERROR)


_UNREACHABLE_4 = {
    0: ProbeTrouble.UNREACHABLE, 5: ProbeTrouble.UNREACHABLE, 6: ProbeTrouble.UNREACHABLE,
    11: ProbeTrouble.UNREACHABLE, 1: ProbeTrouble.HOST_UNREACHABLE, 7: ProbeTrouble.HOST_UNREACHABLE,
    8: ProbeTrouble.HOST_UNREACHABLE, 12: ProbeTrouble.HOST_UNREACHABLE, 9: ProbeTrouble.PROHIBITED,
    10: ProbeTrouble.PROHIBITED, 13: ProbeTrouble.PROHIBITED,
    2: ProbeTrouble.PROHIBITED, 3: ProbeTrouble.PROHIBITED,
}  # fmt: skip
"""RFC 792, RFC 1122 and RFC 1812, destination unreachable by code. Protocol and port unreachable in answer to an echo
request or a connect are a firewall's: a host would answer the one and refuse the other itself."""
_UNREACHABLE_6 = {
    0: ProbeTrouble.UNREACHABLE, 2: ProbeTrouble.UNREACHABLE, 3: ProbeTrouble.HOST_UNREACHABLE,
    1: ProbeTrouble.PROHIBITED, 4: ProbeTrouble.PROHIBITED, 5: ProbeTrouble.PROHIBITED, 6: ProbeTrouble.PROHIBITED,
}  # fmt: skip
"""RFC 4443, 3.1: reject route (6) and policy (5) are somebody's decision, too."""


def of_icmp(kind: int, code: int, *, six: bool) -> ProbeTrouble | None:
    """The trouble that a router's message stands for; None where it is no message about a failure."""
    if kind == (1 if six else 3):
        return (_UNREACHABLE_6 if six else _UNREACHABLE_4).get(code)
    return ProbeTrouble.TTL_EXCEEDED if kind == (3 if six else 11) else None


def keep_errors(plain: socket.socket) -> None:
    """Have the system keep the routers' words about what is sent from this socket, where it can (Linux)."""
    if MSG_ERRQUEUE:
        six = plain.family == socket.AF_INET6
        plain.setsockopt(socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP, IPV6_RECVERR if six else IP_RECVERR, 1)


def next_error(plain: socket.socket) -> tuple[bytes, tuple[object, ...], ProbeTrouble, str] | None:
    """The next kept word: the start of the packet it is about, where that went, the trouble, and who said it.
    None where there is none."""
    if not MSG_ERRQUEUE:
        return None
    try:
        packet, words, _flags, target = plain.recvmsg(256, 256, MSG_ERRQUEUE)
    except OSError:
        return None
    for level, kind, data in words:
        if (level, kind) in ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)):
            trouble, said_by = _word(data)
            return packet, target, trouble, said_by
    return packet, target, ProbeTrouble.ERROR, ""


def _word(data: bytes) -> tuple[ProbeTrouble, str]:
    if len(data) < _EXTENDED.size:
        return ProbeTrouble.ERROR, ""
    number, origin, kind, code, *_ = _EXTENDED.unpack_from(data)
    trouble = of_icmp(kind, code, six=origin == 3) if origin in _FROM_ICMP else None
    return trouble or _BY_NUMBER.get(number, ProbeTrouble.ERROR), _offender(data[_EXTENDED.size :])


def _offender(address: bytes) -> str:
    """The address of who said it: a ``sockaddr`` follows the words."""
    family = struct.unpack_from("=H", address)[0] if len(address) >= 2 else 0
    if family == socket.AF_INET and len(address) >= 8:
        return socket.inet_ntop(socket.AF_INET, address[4:8])
    if family == socket.AF_INET6 and len(address) >= 24:
        return socket.inet_ntop(socket.AF_INET6, address[8:24])
    return ""
