"""``meshdiag peers --watch``: look after look until Ctrl-C, then what was seen in all.

On a terminal each look is drawn over the one before; piped, each is a block of its own. Other formats print the end
alone: what was seen in all, like any other answer.
"""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from meshdiag.model import ExitCode
from meshdiag.views.peers import joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshdiag.commands._options import Flags
    from meshdiag.model import Report
    from meshdiag.sources.probing import Probed, Target
    from meshdiag.views.peers import Peers

    Look = Callable[[Peers], tuple[Report, bool]]
    Draw = Callable[[Report, str], None]


LEAST_S = 1.0
"""From the beginning of a look to that of the next, at least, however few probes it takes."""


def watch_peers(flags: Flags, peers: Peers, look: Look) -> int:
    """Watch, print, and return the exit code. ``look`` makes one look a report."""
    from meshdiag.commands._run import show

    seen: dict[Target, Probed] = {}
    report, looks, since, started = None, 0, time.monotonic(), None
    with contextlib.suppress(KeyboardInterrupt), _screen(flags) as draw:
        while True:
            began = time.monotonic()
            now = replace(peers, notes=[])
            report, interrupted = look(now)
            started = started or report.started
            looks += 1
            for one in now.probes or now.cut_short:
                seen[one.target] = joined(seen.get(one.target), one)
            if interrupted:
                break
            draw(report, f"look {looks}, {peers.plan.count} probes each; Ctrl-C ends it")
            time.sleep(max(0.0, began + LEAST_S - time.monotonic()))
    if seen:
        report, _ = look(replace(peers, given=tuple(seen.values())))
        notes = (*report.notes, f"{looks} look{'s' if looks > 1 else ''} together")
        report = replace(report, started=started or report.started, duration_s=time.monotonic() - since, notes=notes)
    return show(report, flags, interrupted=True) if report else ExitCode.INTERRUPTED


@contextlib.contextmanager
def _screen(flags: Flags) -> Iterator[Draw]:
    """Where the looks go while the watch lasts."""
    if flags.format != "table" or flags.quiet:
        yield lambda _report, _status: None
    elif sys.stdout.isatty():
        from meshdiag.commands._live import LiveReport

        with LiveReport(flags) as place:
            yield place.draw
    else:
        yield lambda report, _status: _block(report, flags)


def _block(report: Report, flags: Flags) -> None:
    """One look, and a line that sets it apart from the next."""
    from meshdiag.commands._run import show

    show(report, flags)
    sys.stdout.write("\n")
    sys.stdout.flush()
