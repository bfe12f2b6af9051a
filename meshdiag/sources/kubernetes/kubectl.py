"""Runs of ``kubectl``: its arguments, its answers, and its many ways to say no."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from meshdiag.errors import SourceError, Trouble
from meshdiag.logs.record import NS
from meshdiag.sources.kubernetes.sayings import LOGGED, SAYINGS
from meshdiag.sources.streams.lines import rfc3339
from meshdiag.sources.streams.process import LineProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.sources.streams.window import Ask

LARGEST = 64 << 20
"""Bytes of a list of pods."""
TIMEOUT_S = 20.0
REQUEST_TIMEOUT = "--request-timeout=15s"


@dataclass(frozen=True, slots=True)
class Cluster:
    """Which cluster and namespace are asked, by which program; ``timeout_s`` bounds one answer."""

    namespace: str = ""
    context: str = ""
    program: str = "kubectl"
    timeout_s: float = TIMEOUT_S

    @property
    def flags(self) -> list[str]:
        """The flags that every command needs."""
        named = [f"--context={self.context}"] if self.context else []
        return [*named, f"--namespace={self.namespace}"] if self.namespace else named

    @property
    def shown(self) -> str:
        """The source for a person: ``Kubernetes (context prod, namespace mesh)``."""
        parts = [f"{what} {name}" for what, name in (("context", self.context), ("namespace", self.namespace)) if name]
        return f"Kubernetes ({', '.join(parts)})" if parts else "Kubernetes"

    def run(self, arguments: Sequence[str]) -> LineProcess:
        """A run of kubectl, to be entered with ``async with``."""
        return LineProcess(
            [self.program, *self.flags, *arguments],
            source=self.shown,
            hint="install kubectl, or read the logs where they are collected (Loki, files)",
            environment={"LC_ALL": "C"},
        )

    async def get(self, what: Sequence[str]) -> Any:
        """``kubectl get ... -o json``, read. Raises ``SourceError``."""
        async with self.run(["get", *what, "--output=json", REQUEST_TIMEOUT]) as process:
            answer = await process.output(LARGEST, self.timeout_s)
            code = await process.exit_code()
            if code != 0:
                raise self.failure(process.said, code)
        try:
            return orjson.loads(answer)
        except ValueError as error:
            raise self.error(
                Trouble.MALFORMED, "kubectl's answer is not JSON", f"look at kubectl get {' '.join(what)} -o json"
            ) from error

    def error(self, trouble: Trouble, what: str, hint: str) -> SourceError:
        """The error for this cluster."""
        return SourceError(f"{self.shown}: {what}", trouble=trouble, source=self.shown, hint=hint)

    def failure(self, said: Sequence[str], code: int) -> SourceError:
        """What a failed run says, in one sentence with advice."""
        # kubectl logs its retries first ("E1122 ... memcache.go:265] ..."); the last word tells why it failed.
        telling = [line for line in said if not LOGGED.match(line)] or list(said)
        line = telling[-1] if telling else ""
        for pattern, trouble, what, hint in SAYINGS:
            if re.search(pattern, line):
                return self.error(trouble, f"{what} ({line})", hint)
        how = f"kubectl was ended by signal {-code}" if code < 0 else f"kubectl failed with exit code {code}"
        return self.error(Trouble.OTHER, f"{how}{f' ({line})' if line else ''}", "try the same by hand")


def log_arguments(pod: str, container: str, ask: Ask, *, previous: bool = False) -> list[str]:
    """The arguments of ``kubectl logs`` for one container. ``--since-time`` goes by whole seconds, so it is rounded
    down; an end of the window kubectl does not know."""
    arguments = ["logs", pod, f"--container={container}", "--timestamps"]
    if ask.since_ns is not None:
        arguments.append(f"--since-time={rfc3339(max(ask.since_ns, 0) // NS * NS)}")
    if ask.tail is not None:
        arguments.append(f"--tail={ask.tail}")
    if previous:
        arguments.append("--previous")
    if ask.follow:
        arguments.append("--follow")
    return arguments
