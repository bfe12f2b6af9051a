"""A report on a terminal that is drawn anew in place, while a watch lasts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from meshdiag.commands._options import Flags
    from meshdiag.model import Report


class LiveReport:
    """The place on the terminal; a context manager. What is drawn there is wiped at the end."""

    def __init__(self, flags: Flags) -> None:
        from rich.live import Live

        from meshdiag.render.terminal import make_console

        self._flags = flags
        self._console = make_console(sys.stdout)
        self._live = Live(console=self._console, transient=True, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> LiveReport:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def draw(self, report: Report, status: str) -> None:
        """Show a report, cut to the height of the window, and a line of status below it."""
        from rich.text import Text

        from meshdiag.render.terminal import render

        flags, console = self._flags, self._console
        with console.capture() as captured:
            render(report, console, verbose=flags.verbose, quiet=flags.quiet, explain=flags.explain, utc=flags.utc)
        lines = captured.get().rstrip("\n").split("\n")
        room = max(1, console.height - 2)
        shown = lines if len(lines) <= room else [*lines[: room - 1], f"and {len(lines) - room + 1} more lines"]
        self._live.update(Text.from_ansi("\n".join((*shown, status))), refresh=True)
