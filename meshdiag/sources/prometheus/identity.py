"""Is it a Prometheus at all, and what else is it?

A node's own metrics page may sit on :9090 and answer every path with it; Grafana, Alertmanager and proxies
answer in ways of their own. What answers is made sure of before any answer is trusted.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from meshdiag.errors import SourceError, Trouble
from meshdiag.sources.http import recognise, recognise_server
from meshdiag.sources.prometheus import state
from meshdiag.sources.prometheus.api import FAILURES

if TYPE_CHECKING:
    from meshdiag.sources.http import Reply
    from meshdiag.sources.prometheus.api import Api

STRANGE: frozenset[Trouble] = frozenset(
    {Trouble.NOT_AVAILABLE, Trouble.NOT_FOUND, Trouble.MALFORMED, Trouble.REJECTED, Trouble.UNAUTHORIZED}
)
"""Troubles that another kind of server may be behind."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What answers: ``software`` ("Prometheus", "VictoriaMetrics", "Thanos" …) and its version ("" unknown), whether
    it says that it is ready (None where it does not say), and how far its clock is ahead of ours (s, to about a
    second; None where it sends no date)."""

    software: str
    version: str = ""
    ready: bool | None = None
    clock_skew_s: float | None = None

    def __str__(self) -> str:
        return f"{self.software} {self.version}".rstrip()


async def identify(api: Api) -> Identity:
    """Ask for the build and for readiness, side by side. Raises ``SourceError``: starting, wrong server, or
    whatever kept it from answering."""
    build, ready = await asyncio.gather(
        api.ask("/status/buildinfo"), api.http.get("/-/ready", accept=FAILURES), return_exceptions=True
    )
    if isinstance(build, BaseException):
        if not isinstance(build, SourceError):
            raise build
        if build.trouble not in STRANGE:
            raise build
        return await _without_build(api, build, ready)
    try:
        info = state.read_buildinfo(build.data)
    except (AttributeError, TypeError):
        await _wrong(api, build.reply.misshapen("no build information"), build.reply)
    return Identity(_software(info, ready), info.version, _is_ready(ready), build.reply.clock_skew_s)


async def _without_build(api: Api, error: SourceError, ready: Reply | BaseException) -> Identity:
    """A server that has no build information may still answer queries (Cortex, old Thanos, a proxy)."""
    if error.trouble is not Trouble.UNAUTHORIZED:
        try:
            answer = await api.evaluate("/query", (("query", "vector(1)"),))
        except SourceError as refused:
            error = refused  # about queries, which says more than about the build
        else:
            return Identity(_software(state.BuildInfo(), ready), "", _is_ready(ready), answer.reply.clock_skew_s)
    await _wrong(api, error, ready if not isinstance(ready, BaseException) else None)
    return None


async def _wrong(api: Api, error: SourceError, reply: Reply | None) -> NoReturn:
    """Say what was found instead; where nothing is recognised, the error as it was."""
    found = await recognise_server(api.http)
    if found is None and reply is not None and reply.status < 300 and reply.content:
        guess = recognise(reply)
        found = guess if guess.name else None
    if found is None or found.name == "Prometheus":
        raise error
    raise api.http.where().error(
        Trouble.WRONG_SERVER,
        f"this is not Prometheus: it is {found.phrase}",
        "set prometheus.url to where Prometheus listens; both may claim port 9090 by default",
    ) from error


def _software(info: state.BuildInfo, ready: Reply | BaseException) -> str:
    """Who it is, from the build information or from what the readiness page says."""
    said = info.application
    if not isinstance(ready, BaseException) and ready.status < 500:
        said = f"{said} {ready.text[:100]}"
    for name in ("VictoriaMetrics", "Mimir", "Cortex", "Thanos", "Prometheus"):
        if name.lower() in said.lower():
            return name
    return "Prometheus" if info.version else "a Prometheus-compatible server"


def _is_ready(ready: Reply | BaseException) -> bool | None:
    if isinstance(ready, BaseException) or ready.status in (401, 403, 404, 405):
        return None
    return ready.status == 200
