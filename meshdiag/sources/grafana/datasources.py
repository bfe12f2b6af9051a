"""Whether a datasource works: by Grafana's own test, else a real query through Grafana, then asked from here.

So that "Grafana cannot reach it" and "it is down" are different answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from meshdiag.context import Endpoint
from meshdiag.errors import SourceError, Trouble
from meshdiag.sources.http import HttpClient, excerpt, recognise

if TYPE_CHECKING:
    from meshdiag.sources.grafana.client import Datasource, Grafana
    from meshdiag.sources.http import Reply

QUESTIONS: Final = {
    "prometheus": "/api/v1/query?query=1",
    "loki": "/loki/api/v1/labels",
    "jaeger": "/api/services",
    "tempo": "/api/echo",
    "elasticsearch": "/_cluster/health",
    "influxdb": "/ping",
    "graphite": "/version",
}
"""By type, a small question that every server of that kind answers. The Alertmanager type has no test in Grafana, and
its proxy hands nothing on to it."""
DIRECT: Final = {**QUESTIONS, "alertmanager": "/api/v2/status"}
"""The same asked of the backend itself."""

_SAYS_NOTHING: Final = frozenset({Trouble.UNKNOWN_HOST, Trouble.UNREACHABLE, Trouble.TLS})
"""Troubles that tell of this machine's view and not of the backend's health."""


class Way(StrEnum):
    """How a datasource was tried."""

    HEALTH = "Grafana's own test"
    PROXY = "a query through Grafana"
    NONE = "not testable"


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of trying a datasource. ``works`` is None where it cannot be tested through Grafana; ``said`` is why it
    does not, in Grafana's or the backend's words. ``direct`` is whether the backend answers from here, None where it
    was not asked or nothing can be said (its name is known to Grafana's machine alone); ``direct_said`` why not.
    """

    datasource: Datasource
    way: Way
    works: bool | None
    said: str = ""
    direct: bool | None = None
    direct_said: str = ""


async def try_datasource(grafana: Grafana, datasource: Datasource, timeout_s: float) -> Tried:
    """Try one. Raises ``SourceError`` where Grafana itself does not answer."""
    health = await grafana.own_health(datasource)
    if health is not None:
        way, works, said = Way.HEALTH, health[0], "" if health[0] else health[1]
    elif (path := QUESTIONS.get(datasource.type)) is not None and datasource.proxied:
        works, said = _judge(await grafana.through(datasource, path))
        way = Way.PROXY
    else:
        why = "its type has no test" if datasource.proxied else "the reader's browser asks it, not Grafana"
        way, works, said = Way.NONE, None, why
    if works:
        return Tried(datasource, way, works, said)
    direct, direct_said = await ask_backend(datasource, timeout_s)
    return Tried(datasource, way, works, said, direct, direct_said)


async def ask_backend(datasource: Datasource, timeout_s: float) -> tuple[bool | None, str]:
    """Whether the backend answers from here, without any credentials of ours; None where that cannot be told."""
    path = DIRECT.get(datasource.type)
    if path is None or not datasource.url.startswith(("http://", "https://")):
        return None, "it is not asked from here"
    async with HttpClient(Endpoint(datasource.url, timeout_s=timeout_s), name=datasource.name) as http:
        try:
            reply = await http.get(path, accept=range(400, 600))
        except SourceError as error:
            unknown = error.trouble in _SAYS_NOTHING
            return (None if unknown else False), error.message
    # A backend that wants a login is there: that it refuses us says nothing of Grafana's credentials.
    return reply.status < 500, "" if reply.status < 500 else f"HTTP status {reply.status}"


def _judge(reply: Reply) -> tuple[bool, str]:
    """Whether a query through Grafana worked, and what was said where it did not."""
    if reply.status < 300:
        if recognise(reply).name == "web page":
            return False, "a web page answers in its place"
        return True, ""
    said = excerpt(reply.text, 200)
    if reply.status == 502:
        return False, f"Grafana cannot reach it (502){f': {said}' if said else ''}"
    return False, f"HTTP status {reply.status}{f': {said}' if said else ''}"
