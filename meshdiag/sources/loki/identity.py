"""Is it a Loki at all, and what else is it?

Prometheus, a node's page or Grafana may answer on its port; a gateway in front of it hides ``/ready``. Who answers is
made sure of before any trouble is blamed on Loki.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.sources.http import excerpt, recognise_server
from meshdiag.sources.loki.api import API, FAILURES, refusal

if TYPE_CHECKING:
    from meshdiag.sources.http import Reply
    from meshdiag.sources.loki.api import Api

STRANGE: frozenset[Trouble] = frozenset({Trouble.NOT_FOUND, Trouble.MALFORMED, Trouble.REJECTED, Trouble.UNAUTHORIZED})
"""Troubles that another kind of server may be behind."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What answers: its version ("" where a gateway hides it), whether it says that it is ready (None where it does not
    say), in which words it is not, and how far its clock is ahead of ours (s; None where it sends no date)."""

    version: str = ""
    ready: bool | None = None
    said: str = ""
    clock_skew_s: float | None = None

    def __str__(self) -> str:
        return f"Loki {self.version}".rstrip()


async def identify(api: Api) -> Identity:
    """Ask for the build and for readiness, side by side. Raises ``SourceError``: the wrong server, or whatever kept it
    from answering."""
    build, ready = await asyncio.gather(
        api.http.get(f"{API}/status/buildinfo", accept=FAILURES),
        api.http.get("/ready", accept=FAILURES),
        return_exceptions=True,
    )
    if isinstance(build, BaseException):
        if isinstance(build, SourceError):
            await blame(api, build)
        raise build
    version = await _version(api, build)
    if isinstance(ready, BaseException) or ready.status not in (200, 503):
        return Identity(version, clock_skew_s=build.clock_skew_s)
    return Identity(version, ready.status == 200, excerpt(ready.text), build.clock_skew_s)


async def _version(api: Api, build: Reply) -> str:
    """The version that the build information names. A gateway may hide it; then its labels are asked for."""
    if build.status >= 300:
        error = refusal(build.status, build.text, build) or build.error()
        if build.status != 404:
            await blame(api, error)
        labels = await api.http.get(f"{API}/labels", accept=FAILURES)
        if labels.status >= 300 or not labels.content.startswith(b'{"status":"success"'):
            await blame(api, error)
        return ""
    try:
        body = build.json()
    except SourceError as error:
        await blame(api, error)
    if not isinstance(body, dict) or not isinstance(body.get("version"), str):
        await blame(api, build.misshapen("no build information"))
    return excerpt(body["version"], 40)


async def blame(api: Api, error: SourceError) -> NoReturn:
    """Raise an error, or what was found instead of Loki where that is behind it."""
    if error.trouble not in STRANGE or isinstance(error, QueryError):
        raise error
    found = await recognise_server(api.http)
    if found is None or found.name == "Loki":
        raise error
    raise api.http.where().error(
        Trouble.WRONG_SERVER,
        f"this is not Loki: it is {found.phrase}",
        "set loki.url to where Loki listens (port 3100 by default)",
    ) from error
