"""Says on stderr how far a run is, on a terminal only and only when it takes a moment."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshdiag.model import Result

PATIENCE_S = 0.4
"""Before this, a line that comes and goes only flickers."""
WIPE = "\r\x1b[2K"


@contextlib.contextmanager
def progress(total: int, *, quiet: bool = False) -> Iterator[Callable[[Result], None]]:
    """Gives a function to call with each result; wipes its line at the end."""
    if quiet or total < 2 or not sys.stderr.isatty():
        yield lambda _result: None
        return
    line = _Line(total)
    try:
        yield line.count
    finally:
        line.wipe()


@contextlib.contextmanager
def saying(quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Gives a function that says what a long run is at; wipes its line at the end."""
    if quiet or not sys.stderr.isatty():
        yield lambda _text: None
        return
    try:
        yield lambda text: _draw(f"{WIPE}{text} ...")
    finally:
        _draw(WIPE)


def _draw(text: str) -> None:
    with contextlib.suppress(OSError, UnicodeEncodeError):
        sys.stderr.write(text)
        sys.stderr.flush()


class _Line:
    """The line: drawn once patience is over, also when nothing has answered yet, then with every result."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._shown = total, 0, False
        self._drawing = threading.Lock()
        self._timer = threading.Timer(PATIENCE_S, self._show)
        self._timer.daemon = True
        self._timer.start()

    def count(self, _result: Result) -> None:
        """One more result has come."""
        self._done += 1
        if self._shown:
            _draw(f"{WIPE}{self._done} of {self._total} checks have answered ...")

    def wipe(self) -> None:
        """Leave nothing of the line behind."""
        self._timer.cancel()
        with self._drawing:
            shown, self._shown = self._shown, False
        if shown:
            _draw(WIPE)

    def _show(self) -> None:
        with self._drawing:
            if self._timer.finished.is_set():  # wiped while the timer went off
                return
            self._shown = True
            _draw(f"{WIPE}{self._done} of {self._total} checks have answered ...")
