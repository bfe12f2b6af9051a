"""Long output on a terminal goes through the user's pager; what fits on the screen is printed as it is."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import subprocess

PATIENCE_S = 1.0
"""Output that takes longer than this to fill a screen is shown while it comes, in the pager."""
LESS = "FRX"
"""How less behaves where LESS says nothing: leave when one screen is enough, colours, no clearing."""


class Pager:
    """A place to write text: the terminal, and the pager from the screenful on. Ctrl-C and a pager that is left
    early end the writing with ``KeyboardInterrupt`` and ``BrokenPipeError``."""

    def __init__(self, command: list[str] | None) -> None:
        self._command = command
        self._held: list[str] = []
        self._lines = 0
        self._began = time.monotonic()
        self._height = shutil.get_terminal_size().lines
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, text: str) -> None:
        """Write whole lines."""
        if self._command is None:
            sys.stdout.write(text)
            return
        if self._process is not None:
            self._feed(text)
            return
        self._held.append(text)
        self._lines += text.count("\n")
        if self._lines >= self._height - 1 or time.monotonic() - self._began > PATIENCE_S:
            self._start(self._command)

    def flush(self) -> None:
        """Nothing is held back on a stream; a pager has its own mind."""
        if self._command is None:
            sys.stdout.flush()

    def close(self) -> None:
        """Show what is left, and wait until the person has seen enough."""
        held, self._held = self._held, []
        if self._process is None:
            sys.stdout.write("".join(held))
            return
        process, self._process, self._command = self._process, None, None
        with contextlib.suppress(OSError):
            assert process.stdin is not None
            process.stdin.close()
        while True:
            try:
                process.wait()
            except KeyboardInterrupt:  # it is the pager's, which shares the terminal
                continue
            return

    def _start(self, command: list[str]) -> None:
        import subprocess

        sys.stdout.flush()
        environment = {**os.environ, "LESS": os.environ.get("LESS", LESS)}
        encoding = sys.stdout.encoding or "utf-8"
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, text=True, encoding=encoding, errors="backslashreplace", env=environment
            )
        except OSError:  # no such program: the terminal has a way to scroll, too
            self._command = None
            held, self._held = self._held, []
            sys.stdout.write("".join(held))
            return
        held, self._held = self._held, []
        self._feed("".join(held))

    def _feed(self, text: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()


def pager_command(*, paging: bool) -> list[str] | None:
    """The command that pages: ``$PAGER``, else less; None where there is no terminal, or nobody wants one."""
    if not paging or not sys.stdout.isatty():
        return None
    said = os.environ.get("PAGER")
    if said is None:
        return ["less"] if shutil.which("less") else None
    try:
        words = shlex.split(said)
    except ValueError:
        return None
    return None if not words or words == ["cat"] else words
