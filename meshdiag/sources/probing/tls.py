"""A TLS handshake, timed and not verified: how long a server takes, not whom it is.

A server that demands a certificate of us, or that no longer likes what we offer, answers with an alert: that is an
answer, and its time counts.
"""

from __future__ import annotations

import contextlib
import ssl
import time
import warnings
from functools import cache
from typing import TYPE_CHECKING

from meshdiag.sources.probing.answers import ProbeTrouble
from meshdiag.sources.probing.troubles import ProbeFailed, of_error
from meshdiag.sources.probing.waiting import answered, writable

if TYPE_CHECKING:
    import socket


@cache
def _context() -> ssl.SSLContext:
    """Speaks with any server, however old: what is too old is for ``meshdiag certs`` to say."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(ssl.SSLError), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.set_ciphers("ALL:@SECLEVEL=0")
    return context


async def handshake(plain: socket.socket, host: str, until: float) -> tuple[ssl.SSLSocket, float]:
    """Shake hands on a connected socket: the wrapped socket, and how many seconds it took. ``host`` is told to the
    server (SNI) where it is a name. Raises ``ProbeFailed``; the socket is then closed."""
    began = time.perf_counter()
    try:
        secure = _wrapped(plain, host)
    except OSError as error:  # hung up at once
        raise ProbeFailed(ProbeTrouble.CLOSED) from error
    try:
        await _shake(secure, until)
    except ssl.SSLError as error:
        took = time.perf_counter() - began
        if "ALERT" not in (error.reason or ""):
            secure.close()
            closed = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
            raise ProbeFailed(ProbeTrouble.CLOSED if closed else ProbeTrouble.NO_TLS) from error
        return secure, took
    except TimeoutError:
        secure.close()
        raise ProbeFailed(ProbeTrouble.STALLED) from None
    except OSError as error:
        secure.close()
        raise ProbeFailed(of_error(error)) from error
    except BaseException:
        secure.close()
        raise
    return secure, time.perf_counter() - began


def _wrapped(plain: socket.socket, host: str) -> ssl.SSLSocket:
    try:
        return _context().wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
    except ValueError:  # no name that could be told to a server
        return _context().wrap_socket(plain, do_handshake_on_connect=False)


async def _shake(secure: ssl.SSLSocket, until: float) -> None:
    while True:
        try:
            secure.do_handshake()
        except ssl.SSLWantReadError:
            await answered(secure, until)
        except ssl.SSLWantWriteError:
            await writable(secure, until)
        else:
            return
