"""Says on stderr how far a run is, on a terminal only and only when it takes a moment."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshdiag.model import Result

PATIENCE_S = 0.4
"""Before this, a line that comes and goes only flickers."""


@contextlib.contextmanager
def progress(total: int, *, quiet: bool = False) -> Iterator[Callable[[Result], None]]:
    """Gives a function to call with each result; wipes its line at the end."""
    if quiet or total < 2 or not sys.stderr.isatty():
        yield lambda _result: None
        return
    began, done, shown = time.monotonic(), 0, False

    def tell(result: Result) -> None:
        nonlocal done, shown
        done += 1
        if time.monotonic() - began > PATIENCE_S:
            shown = True
            sys.stderr.write(f"\r\x1b[2K{done} of {total} checks, {result.id}"[:78])
            sys.stderr.flush()

    try:
        yield tell
    finally:
        if shown:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
