"""How the containers of an engine fare, and the last that they said."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from meshdiag.logs.tally import Tally
from meshdiag.model import Evidence
from meshdiag.sources.closing import Closing
from meshdiag.sources.docker.engine import Engine
from meshdiag.sources.http import excerpt
from meshdiag.sources.streams.window import Ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshdiag.sources.docker.address import EngineAddress
    from meshdiag.sources.docker.containers import Container
    from meshdiag.sources.docker.state import State

MOST: Final = 10
"""Containers that are inspected: each is a request."""


class Containers(Closing):
    """The containers of one engine. Every question raises ``SourceError``. Close it with ``aclose``."""

    def __init__(self, address: EngineAddress) -> None:
        self._engine = Engine(address)

    @property
    def name(self) -> str:
        """``Docker unix:///var/run/docker.sock``."""
        return f"Docker {self._engine.shown}"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._engine.aclose()

    async def states(self, wanted: Callable[[Container], bool]) -> tuple[State, ...]:
        """Those that are wanted, the stopped ones included."""
        chosen = [one for one in await self._engine.containers() if wanted(one)]
        return tuple([await self._engine.state(one) for one in chosen[:MOST]])

    async def last_lines(self, container: Container, most: int) -> tuple[str, ...]:
        """The last lines of a container's log, safe to be shown."""
        details = await self._engine.details(container)
        lines: list[str] = []
        async for some in self._engine.log(container, details, Ask(tail=most), Tally()):
            lines += [excerpt(one.raw.decode("utf-8", "replace"), 200) for one in some]
        return tuple(lines[-most:])

    def evidence(self, *command: str, shown: str = "") -> Evidence:
        """A docker command that shows the same again."""
        return Evidence(self.name, shlex.join(["docker", *self._engine.address.flags, *command]), shown)
