"""What an exchange over a bare socket raises, without a library in between: named and meant like httpx's errors,
which ``trouble.py`` tells in the same words, and there without httpx, whose import a look at the nodes need not pay.
"""

from __future__ import annotations


class ConnectError(Exception):
    """No connection; the cause says why."""


class ConnectTimeout(ConnectError, TimeoutError):
    """No connection within its time."""


class ReadError(Exception):
    """The connection was cut while the answer was read."""


class ReadTimeout(TimeoutError):
    """No whole answer within its time."""


class RemoteProtocolError(Exception):
    """What came is no whole HTTP answer."""


class LocalProtocolError(ValueError):
    """The request cannot be sent as HTTP."""
