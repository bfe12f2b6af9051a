"""Probes targets side by side: by ICMP where a host answers that, else over connections, and says which it was."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from meshdiag.sources.probing.answers import Plan
from meshdiag.sources.probing.pace import PER_SECOND, Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshdiag.sources.probing.answers import Probed, Target

AT_ONCE = 800
"""Connections under way at the same time, at most."""
SPARE_FILES = 128
"""Files that the rest of the program may have open."""


def at_once() -> int:
    """How many connections may be under way: fewer where the process may open few files."""
    try:
        import resource

        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except (ImportError, OSError):
        return AT_ONCE
    return AT_ONCE if soft < 0 else max(16, min(AT_ONCE, soft - SPARE_FILES))


class Prober:
    """Probes. ``per_second`` bounds what goes out in any second, all targets and methods together."""

    name = "probes"

    def __init__(self, *, per_second: float = PER_SECOND, connections: int | None = None) -> None:
        self._per_second = per_second
        self._connections = connections
        self.cut_short: tuple[Probed, ...] = ()
        """What was known when the last call was cancelled."""

    async def probe(
        self, targets: Sequence[Target], plan: Plan | None = None, on_answer: Callable[[Probed], None] | None = None
    ) -> tuple[Probed, ...]:
        """Probe every target by the plan; the answers are in the order of the targets. Never raises for a target: see
        ``trouble``. ``on_answer`` is called with each as it comes.

        A plan with methods takes the first that answers. One without takes what fits: a target whose URL is at its
        address is asked by HTTP, then its port by TCP, then the host by ICMP; any other by ICMP, with a TCP connect to
        its port beside that, and where the host is silent by TCP, then by HTTP where it has a URL.
        """
        from meshdiag.sources.probing.looking import Round  # only here: most runs probe nothing

        plan = plan or Plan()
        round_ = Round(plan, Pace(self._per_second), self._connections or at_once())
        try:
            return tuple(await asyncio.gather(*(round_.probe(target, on_answer) for target in targets)))
        except asyncio.CancelledError:
            self.cut_short = round_.snapshot(targets)
            raise
        finally:
            await round_.aclose()
