"""``Docker``: the logs of containers, of several merged by time, followed through restarts."""

from __future__ import annotations

import asyncio
import shlex
from contextlib import aclosing
from datetime import UTC
from typing import TYPE_CHECKING

from meshdiag.errors import SourceError, Trouble
from meshdiag.logs.assembling import Origin
from meshdiag.model import Evidence
from meshdiag.sources.closing import Closing
from meshdiag.sources.docker.address import engine_address
from meshdiag.sources.docker.containers import Wanted, near
from meshdiag.sources.docker.engine import Engine
from meshdiag.sources.streams.evidence import piped_through_grep
from meshdiag.sources.streams.following import Following
from meshdiag.sources.streams.lines import rfc3339
from meshdiag.sources.streams.window import Log, Reader, window

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import tzinfo

    from meshdiag.logs.formats import Format
    from meshdiag.logs.record import Record
    from meshdiag.logs.selection import Selection
    from meshdiag.logs.tally import Tally
    from meshdiag.sources.docker.address import EngineAddress
    from meshdiag.sources.docker.containers import Container
    from meshdiag.sources.docker.engine import Details
    from meshdiag.sources.streams.lines import Line
    from meshdiag.sources.streams.window import Ask

MOST = 200
"""Containers whose logs are read at the same time."""
AT_ONCE = 16
PAUSE_S = 0.1
"""Events come in crowds: one look at the list answers for all within this time."""


class Docker(Closing):
    """Containers' logs. See the package for the arguments; ``address`` is for who found the engine already. Raises
    ``UsageError`` or ``ConfigError`` for an address that is none. Close it with ``aclose`` or ``async with``."""

    def __init__(
        self,
        containers: Sequence[str] = (),
        *,
        labels: Sequence[str] = (),
        services: Sequence[str] = (),
        host: str = "",
        address: EngineAddress | None = None,
        formats: Sequence[Format] = (),
        zone: tzinfo = UTC,
    ) -> None:
        self._wanted = Wanted(tuple(containers), tuple(labels), tuple(services))
        self._engine = Engine(address or engine_address(host))
        self._keeper = _Containers(self._engine, self._wanted)
        self._reader = Reader(self._keeper, tuple(formats), zone)

    @property
    def name(self) -> str:
        """``Docker unix:///var/run/docker.sock``."""
        return f"Docker {self._engine.shown}"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._engine.aclose()

    def records(self, selection: Selection, tally: Tally) -> AsyncGenerator[Record, None]:
        """The wanted records, oldest first."""
        return window(self._reader, selection, tally)

    def follow(self, selection: Selection, tally: Tally) -> AsyncGenerator[Record, None]:
        """Wanted records as they are written; containers that come to fit are followed as well."""
        return Following(self._reader, selection, tally).records()

    def evidence(self, selection: Selection) -> tuple[Evidence, ...]:
        """``docker logs`` for each container that was read; before that, for each that was named."""
        names = self._keeper.names or list(self._wanted.words)
        if not names:
            return (Evidence(self.name, self._evidence_for_all(selection)),)
        return tuple(Evidence(self.name, self._command(shlex.quote(name), selection)) for name in names)

    def _evidence_for_all(self, selection: Selection) -> str:
        filters = [f"label={label}" for label in self._wanted.labels]
        filters += [f"label=com.docker.compose.service={service}" for service in self._wanted.services]
        words = [
            "docker",
            *self._engine.address.flags,
            "ps",
            "-aq",
            *(word for one in filters for word in ("--filter", one)),
        ]
        each = self._command('"$c"', selection)
        return f"for c in $({shlex.join(words)}); do {each}; done"

    def _command(self, name: str, selection: Selection) -> str:
        words = ["docker", *self._engine.address.flags, "logs", "--timestamps"]
        if selection.since_ns is not None:
            words += ["--since", rfc3339(selection.since_ns)]
        if selection.until_ns is not None:
            words += ["--until", rfc3339(selection.until_ns)]
        return piped_through_grep(f"{shlex.join(words)} {name} 2>&1", selection)


class _Containers:
    """The containers that are meant, as keeper of their logs. ``names`` are those of the last look."""

    repeats = True

    def __init__(self, engine: Engine, wanted: Wanted) -> None:
        self.names: list[str] = []
        self._engine = engine
        self._wanted = wanted
        self._known: dict[str, tuple[Container, Details]] = {}

    async def logs(self, tally: Tally) -> list[Log]:
        """The containers; a word that names none is an error when it is the only one."""
        listed = await self._engine.containers()
        chosen = self._wanted.choose(listed)
        missing = self._wanted.missing(listed)
        if not chosen:
            raise self._none(missing[0] if missing else "", listed)
        if len(chosen) > MOST:
            raise self._error(
                Trouble.TOO_LARGE,
                f"{len(chosen)} containers fit, more than the {MOST} that are read at once",
                "name fewer, by a glob, a label or a compose service",
            )
        for word in missing:
            tally.skipped.append(f"{self._where}: no container is called {word}; {near(word, listed)}")
        return await self._described(chosen)

    async def changes(self) -> AsyncGenerator[list[Log], None]:
        """The containers again whenever one starts, ends or changes its name."""
        async with aclosing(self._engine.events()) as events:
            async for _ in events:
                await asyncio.sleep(PAUSE_S)
                chosen = self._wanted.choose(await self._engine.containers())
                yield await self._described(chosen[:MOST])

    def lines(self, log: Log, ask: Ask, tally: Tally) -> AsyncGenerator[list[Line], None]:
        """The lines of one container."""
        container, details = self._known[log.key]
        return self._engine.log(container, details, ask, tally)

    async def _described(self, containers: Sequence[Container]) -> list[Log]:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(container: Container) -> Log | None:
            async with slots:
                return await self._describe(container)

        logs = [log for log in await asyncio.gather(*map(one, containers)) if log is not None]
        self.names = [log.origin.file for log in logs]
        return logs

    async def _describe(self, container: Container) -> Log | None:
        """The log of a container; None when it has gone meanwhile."""
        try:
            details = await self._engine.details(container)
        except SourceError as error:
            if error.trouble is Trouble.NOT_FOUND:
                return None
            raise
        self._known[container.id] = (container, details)
        origin = Origin(container.name, node=container.name, component=container.service)
        return Log(container.id, origin, life=details.started, running=details.running)

    @property
    def _where(self) -> str:
        return f"Docker at {self._engine.shown}"

    def _none(self, word: str, listed: Sequence[Container]) -> SourceError:
        if word:
            return self._error(Trouble.NOT_FOUND, f"no container is called {word}", near(word, listed))
        wanted = self._wanted.phrase
        what = f"no container fits {wanted}" if wanted else "there is no container"
        return self._error(
            Trouble.NOT_FOUND, what, "see docker ps -a" if listed else "is this the right engine? see docker context ls"
        )

    def _error(self, trouble: Trouble, what: str, hint: str) -> SourceError:
        return SourceError(
            f"{self._where}: {what}", trouble=trouble, source="Docker", where=self._engine.shown, hint=hint
        )
