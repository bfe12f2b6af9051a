"""``Kubernetes``: the logs of pods' containers, merged by time, followed through restarts and roll-outs."""

from __future__ import annotations

import asyncio
import shlex
from datetime import UTC
from typing import TYPE_CHECKING

from meshdiag.errors import Trouble, UsageError
from meshdiag.logs.assembling import Origin
from meshdiag.logs.record import NS
from meshdiag.model import Evidence
from meshdiag.sources.kubernetes.kubectl import TIMEOUT_S, Cluster, log_arguments
from meshdiag.sources.kubernetes.pods import named, near, read_pods, selector_of
from meshdiag.sources.streams.evidence import piped_through_grep
from meshdiag.sources.streams.following import Following
from meshdiag.sources.streams.lines import Line, rfc3339, stamped
from meshdiag.sources.streams.window import Log, Reader, window
from meshdiag.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import tzinfo

    from meshdiag.errors import SourceError
    from meshdiag.logs.formats import Format
    from meshdiag.logs.record import Record
    from meshdiag.logs.selection import Selection
    from meshdiag.logs.tally import Tally
    from meshdiag.sources.kubernetes.pods import PodContainer
    from meshdiag.sources.streams.window import Ask

MAX_REQUESTS = 20
PAUSE_S = 0.5
"""Changes of pods come in crowds: one look at the list answers for all within this time."""


class Kubernetes:
    """Pods' logs. See the package for the arguments; ``program`` is the kubectl to run, ``timeout_s`` how long a list
    may take. Raises ``UsageError`` for a name that cannot be one."""

    def __init__(
        self,
        pods: Sequence[str] = (),
        *,
        selector: str = "",
        namespace: str = "",
        context: str = "",
        container: str = "",
        previous: bool = False,
        max_requests: int = MAX_REQUESTS,
        program: str = "kubectl",
        timeout_s: float = TIMEOUT_S,
        formats: Sequence[Format] = (),
        zone: tzinfo = UTC,
    ) -> None:
        for word in pods:
            if word.startswith("-"):
                raise UsageError(f"{word!r} is no name of a pod", hint="names begin with a letter or a digit")
        self._cluster = Cluster(namespace, context, program, timeout_s)
        self._wanted = _Wanted(self._cluster, tuple(pods), selector, container)
        self._keeper = _Pods(self._cluster, self._wanted, previous=previous, max_requests=max_requests)
        self._previous = previous
        self._max_requests = max_requests
        self._reader = Reader(self._keeper, tuple(formats), zone)

    @property
    def name(self) -> str:
        """``Kubernetes``, with context and namespace where they were given."""
        return self._cluster.shown

    async def aclose(self) -> None:
        """Nothing is held between calls."""

    def records(self, selection: Selection, tally: Tally) -> AsyncGenerator[Record, None]:
        """The wanted records, oldest first."""
        return window(self._reader, selection, tally)

    def follow(self, selection: Selection, tally: Tally) -> AsyncGenerator[Record, None]:
        """Wanted records as they are written; pods that come to fit are followed as well."""
        return Following(self._reader, selection, tally).records()

    def evidence(self, selection: Selection) -> tuple[Evidence, ...]:
        """One ``kubectl logs`` for a selector; else one for each pod or owner that was named."""
        words = self._wanted.pods or ("",)
        return tuple(Evidence(self.name, self._command(word, selection)) for word in words)

    def _command(self, word: str, selection: Selection) -> str:
        words = ["kubectl", *self._cluster.flags, "logs"]
        if word:
            words.append(word)
        elif self._wanted.selector:
            words.append(f"--selector={self._wanted.selector}")
        words.append(f"--container={self._wanted.container}" if self._wanted.container else "--all-containers")
        words += ["--prefix", "--timestamps", "--tail=-1", f"--max-log-requests={self._max_requests}"]
        if selection.since_ns is not None:
            words.append(f"--since-time={rfc3339(selection.since_ns // NS * NS)}")
        if self._previous:
            words.append("--previous")
        return piped_through_grep(shlex.join(words), selection)


class _Wanted:
    """Finds the containers that are meant."""

    def __init__(self, cluster: Cluster, pods: tuple[str, ...], selector: str, container: str) -> None:
        self.pods = pods
        self.selector = selector
        self.container = container
        self._cluster = cluster

    async def find(self, tally: Tally | None) -> list[PodContainer]:
        """The containers, each once. A name that means none is an error when it is the only one, and told else."""
        words = [word.removeprefix("pod/").removeprefix("pods/") for word in self.pods]
        listed = await self._listed(self.selector) if not words or any("/" not in word for word in words) else []
        found: dict[tuple[str, str], PodContainer] = {}
        missing: list[SourceError] = []
        for word in words or [""]:
            of_word = await self._of(word, listed)
            if not of_word:
                missing.append(self._none(word, listed))
            found |= {(one.uid or one.pod, one.name): one for one in of_word}
        chosen = [one for one in found.values() if self.container in ("", one.name)]
        if missing and not found:
            raise missing[0]
        if not chosen:
            names = sorted({one.name for one in found.values()})
            raise self._cluster.error(
                Trouble.NOT_FOUND,
                f"no container is called {self.container}",
                did_you_mean(self.container, names, f"there are {', '.join(names)}"),
            )
        if tally is not None:
            tally.skipped += map(str, missing)
        return chosen

    async def _of(self, word: str, listed: list[PodContainer]) -> list[PodContainer]:
        if not word:
            return listed
        if "/" not in word:
            return named(word, listed)
        kind, _, name = word.partition("/")
        owner = await self._cluster.get([kind, name])
        try:
            selector = selector_of(owner)
        except (AttributeError, KeyError, TypeError) as error:
            raise self._misshapen(word) from error
        return await self._listed(selector) if selector else []

    async def _listed(self, selector: str) -> list[PodContainer]:
        body = await self._cluster.get(["pods", *([f"--selector={selector}"] if selector else [])])
        try:
            return read_pods(body)
        except (AttributeError, KeyError, TypeError) as error:
            raise self._misshapen("pods") from error

    def _misshapen(self, what: str) -> SourceError:
        return self._cluster.error(
            Trouble.MALFORMED, f"kubectl's answer has another shape than expected ({what!r})", "check kubectl's version"
        )

    def _none(self, word: str, listed: list[PodContainer]) -> SourceError:
        if "/" in word:
            return self._cluster.error(Trouble.NOT_FOUND, f"{word} has no pods", f"see kubectl describe {word}")
        if word:
            return self._cluster.error(Trouble.NOT_FOUND, f"no pod is called {word}", near(word, listed))
        what = f"no pod bears {self.selector}" if self.selector else "there are no pods"
        return self._cluster.error(Trouble.NOT_FOUND, what, "is this the right namespace? see kubectl get pods -A")


class _Pods:
    """The containers as keeper of their logs."""

    repeats = True

    def __init__(self, cluster: Cluster, wanted: _Wanted, *, previous: bool, max_requests: int) -> None:
        self._cluster = cluster
        self._wanted = wanted
        self._previous = previous
        self._max_requests = max_requests
        self._known: dict[str, PodContainer] = {}

    async def logs(self, tally: Tally) -> list[Log]:
        """The containers that have something to read."""
        found = await self._wanted.find(tally)
        ready = [one for one in found if (one.before if self._previous else not one.waiting)]
        errors = [self._not_ready(one) for one in found if one not in ready]
        if not ready:
            raise errors[0]
        if len(ready) > self._max_requests:
            raise self._cluster.error(
                Trouble.TOO_LARGE,
                f"{len(ready)} containers fit, more than the {self._max_requests} that are read at the same time",
                "narrow them by a selector, a name or a container, or allow more",
            )
        if not self._previous:
            tally.skipped += map(str, errors)
        return [self._log(one) for one in ready]

    async def changes(self) -> AsyncGenerator[list[Log], None]:
        """The containers again whenever a pod changes."""
        selector = [f"--selector={self._wanted.selector}"] if self._wanted.selector else []
        while True:
            async with self._cluster.run(["get", "pods", *selector, "--watch", "--output=name"]) as process:
                async for _ in process.batches():
                    await asyncio.sleep(PAUSE_S)
                    found = await self._wanted.find(None)
                    ready = [one for one in found if not one.waiting]
                    yield [self._log(one) for one in ready[: self._max_requests]]
                code = await process.exit_code()
                if code != 0:
                    raise self._cluster.failure(process.said, code)
            await asyncio.sleep(PAUSE_S)  # a watch ends by itself after a while

    async def lines(self, log: Log, ask: Ask, tally: Tally) -> AsyncGenerator[list[Line], None]:
        """The lines of one container."""
        one = self._known[log.key]
        arguments = log_arguments(one.pod, one.name, ask, previous=self._previous)
        async with self._cluster.run(arguments) as process:
            async for batch in process.batches():
                lines = [_line(raw) for raw in batch]
                if ask.until_ns is not None and (lines[-1].taken_ns or 0) >= ask.until_ns:
                    yield [line for line in lines if (line.taken_ns or 0) < ask.until_ns]
                    return
                yield lines
            tally.cut += process.cut
            code = await process.exit_code()
            if code != 0:
                raise self._of(one, self._cluster.failure(process.said, code))

    def _log(self, one: PodContainer) -> Log:
        key = f"{one.uid or one.pod}/{one.name}"
        self._known[key] = one
        origin = Origin(one.shown, node=one.pod, component=one.name)
        return Log(key, origin, life=one.instance, running=one.running and not self._previous)

    def _of(self, one: PodContainer, error: SourceError) -> SourceError:
        return self._cluster.error(error.trouble, f"{one.shown}: {error.message.partition(': ')[2]}", error.hint)

    def _not_ready(self, one: PodContainer) -> SourceError:
        if self._previous:
            return self._cluster.error(Trouble.NOT_FOUND, f"{one.shown} has not been restarted", "leave out previous")
        return self._cluster.error(
            Trouble.STARTING, f"{one.shown} has not started ({one.waiting})", f"see kubectl describe pod {one.pod}"
        )


def _line(raw: bytes) -> Line:
    taken_ns, content = stamped(raw)
    return Line(content, taken_ns)
