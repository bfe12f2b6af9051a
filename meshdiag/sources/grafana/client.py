"""Grafana's HTTP API: health, datasources, dashboards, and queries through its proxy.

Source: https://grafana.com/docs/grafana/latest/developers/http_api/, and what Grafana 6.5 really answers: an API path
that it does not know is its web page with status 200 for whoever is signed in, so a newer question asked of an older
server seems to succeed; the proxy to a dead datasource is 502 with an empty body; a viewer gets 403 for the list of
datasources. What newer versions answer (uids, health by uid) is built from the documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from meshdiag.errors import SourceError, Trouble
from meshdiag.model import Evidence
from meshdiag.sources.closing import Closing
from meshdiag.sources.http import HttpClient, excerpt, recognise, recognise_server
from meshdiag.sources.http.fields import rows, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from meshdiag.context import Endpoint
    from meshdiag.sources.http import Reply

T = TypeVar("T")
FAILURES: Final = range(400, 600)
MOST_DASHBOARDS: Final = 5000
SIGN_IN: Final = (
    "give meshdiag a service account's token (grafana.token_file, token_env or token_command in the configuration)"
)


@dataclass(frozen=True, slots=True)
class Health:
    """What ``/api/health`` says; it needs no login. ``database`` is "ok" when Grafana reaches its own."""

    version: str
    database: str


@dataclass(frozen=True, slots=True)
class Datasource:
    """A datasource. ``uid`` is "" before Grafana 7; ``proxied``: Grafana asks it itself, not the reader's browser."""

    id: int
    uid: str
    name: str
    type: str
    url: str
    proxied: bool = True
    is_default: bool = False

    @property
    def proxy(self) -> str:
        """The path below which Grafana hands questions on to it."""
        by = f"uid/{quote(self.uid, safe='')}" if self.uid else str(self.id)
        return f"/api/datasources/proxy/{by}"


@dataclass(frozen=True, slots=True)
class Listed:
    """A dashboard as the search lists it. ``url`` is its path."""

    uid: str
    title: str
    folder: str
    url: str


class Grafana(Closing):
    """One Grafana. Every question raises ``SourceError``. Close it with ``aclose`` or ``async with``."""

    def __init__(self, endpoint: Endpoint, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.http = HttpClient(endpoint, name="Grafana", transport=transport)

    @property
    def name(self) -> str:
        """``Grafana http://…:3000``."""
        return f"Grafana {self.http.shown}"

    @property
    def url(self) -> str:
        """Its address, without credentials."""
        return self.http.shown

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def health(self) -> Health:
        """Version and database. Raises ``SourceError`` (wrong server) that names what was found instead."""
        reply = await self.http.get("/api/health", accept=FAILURES)
        body = _object(reply)
        if body is None or "database" not in body:
            found = await recognise_server(self.http)
            if found is not None and found.name and found.name != "Grafana":
                raise self.http.where().error(
                    Trouble.WRONG_SERVER,
                    f"this is not Grafana: it is {found.phrase}",
                    "set grafana.url to where Grafana listens (port 3000 by default)",
                )
            raise reply.error() if reply.status >= 300 else reply.misshapen("no health")
        return Health(str(body.get("version") or ""), str(body["database"]))

    async def datasources(self) -> tuple[Datasource, ...]:
        """All datasources of the organisation that the credentials belong to, by name."""
        found = await self._read("/api/datasources", lambda body: [_datasource(one) for one in rows(body)])
        return tuple(sorted(found, key=lambda one: one.name))

    async def dashboards(self) -> tuple[Listed, ...]:
        """The dashboards that these credentials may see, folders left out."""
        listed = await self._read(
            f"/api/search?limit={MOST_DASHBOARDS}", lambda body: [_listed(one) for one in rows(body)]
        )
        return tuple(one for one in listed if one is not None)

    async def dashboard(self, uid: str) -> Mapping[str, Any] | None:
        """A dashboard's JSON; None where there is none of that uid."""
        reply = await self._ask(f"/api/dashboards/uid/{quote(uid, safe='')}", missing=True)
        body = _object(reply)
        if reply.status == 404 and body is not None and "message" in body:
            return None
        if reply.status == 404:
            raise reply.error()
        if body is None or not isinstance(body.get("dashboard"), dict):
            raise reply.misshapen("no dashboard")
        found: dict[str, Any] = body["dashboard"]
        return found

    async def own_health(self, datasource: Datasource) -> tuple[bool, str] | None:
        """What Grafana's own test of a datasource says, and its words; None where this Grafana or this type of
        datasource has no such test (Grafana before 8.4; plugins without a backend)."""
        if not datasource.uid:
            return None
        path = f"/api/datasources/uid/{quote(datasource.uid, safe='')}/health"
        reply = await self.http.get(path, accept=FAILURES)
        body = _object(reply)
        if body is None or "status" not in body:
            return None
        return str(body["status"]).upper() == "OK", excerpt(str(body.get("message") or ""), 200)

    async def through(self, datasource: Datasource, path: str) -> Reply:
        """A question of ours, handed on by Grafana: any status comes back as it is."""
        return await self.http.get(f"{datasource.proxy}{path}", accept=FAILURES)

    def evidence(self, path: str) -> Evidence:
        """The curl command that asks a path again."""
        return Evidence(self.name, self.http.curl(path))

    async def _read(self, path: str, read: Callable[[Any], T]) -> T:
        reply = await self._ask(path)
        body = reply.json()
        try:
            return read(body)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise reply.misshapen(f"{type(error).__name__} {error}") from error

    async def _ask(self, path: str, *, missing: bool = False) -> Reply:
        """A reply that is a success (or a 404 that was allowed for). A refusal says what would help."""
        reply = await self.http.get(path, accept=FAILURES)
        if reply.status < 300 or (missing and reply.status == 404):
            return reply
        if reply.status == 401:
            sent = self.http.endpoint.credentials is not None
            what = "the credentials are refused" if sent else "it asks for a login, and the context has none for it"
            raise reply.where.error(Trouble.UNAUTHORIZED, what, SIGN_IN)
        if reply.status == 403:
            raise reply.where.error(
                Trouble.FORBIDDEN,
                "these credentials may not read that: they are a viewer's",
                "an editor's or admin's token may, or one with the permission datasources:read",
            )
        raise reply.error()


def _object(reply: Reply) -> dict[str, Any] | None:
    """The JSON object of a reply; None where it is something else, such as the web page behind an unknown path."""
    if recognise(reply).name == "web page" or reply.content_type == "text/html":
        return None
    try:
        body = reply.json()
    except SourceError:
        return None
    return body if isinstance(body, dict) else None


def _datasource(one: Mapping[str, Any]) -> Datasource:
    return Datasource(
        id=int(one["id"]),
        uid=text(one, "uid"),
        name=text(one, "name"),
        type=text(one, "type"),
        url=text(one, "url"),
        proxied=text(one, "access") != "direct",
        is_default=bool(one.get("isDefault")),
    )


def _listed(one: Mapping[str, Any]) -> Listed | None:
    if text(one, "type") == "dash-folder":
        return None
    return Listed(text(one, "uid"), text(one, "title"), text(one, "folderTitle"), text(one, "url"))
