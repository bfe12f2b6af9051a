"""Breaks of what is followed: borne for a while, waited out in growing pauses, told when they are over."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from meshdiag.errors import Trouble

if TYPE_CHECKING:
    from meshdiag.errors import SourceError

PATIENCE_S = 60.0
"""How long a break may last before it is an error."""
PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
LASTING = frozenset(
    {Trouble.FORBIDDEN, Trouble.UNAUTHORIZED, Trouble.NOT_AVAILABLE, Trouble.NOT_CONFIGURED, Trouble.REJECTED}
)
"""Troubles that do not go away by waiting."""


class Break:
    """A break, how long it has lasted, how long to wait before the next try. ``patience_s``: how long it may last."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._pause_s = PAUSE_S
        self._began: float | None = None
        self._error: SourceError | None = None

    async def bear(self, error: SourceError) -> bool:
        """Wait a little; False when it has lasted too long, or waiting does not help."""
        now = time.monotonic()
        self._error = error
        if self._began is None:
            self._began = now
        if error.trouble in LASTING or now - self._began > self._patience_s:
            return False
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        return True

    def over(self) -> str:
        """It works again: the sentence to tell about the break; empty where there was none."""
        if self._began is None:
            return ""
        told = f"read on after a break of {time.monotonic() - self._began:.1f} s ({self._error})"
        self._began = None
        self._pause_s = PAUSE_S
        return told
