"""The Alertmanager API, version 2: what is firing, who is told, what is silenced and until when.

Source: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml, and what servers really answer: a
bad filter is refused by a JSON string, an unknown silence by a 404 with an empty body, expired silences stay in
the list, silenced and inhibited alerts are both ``suppressed``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.model import Evidence
from meshdiag.sources.closing import Closing
from meshdiag.sources.http import HttpClient, excerpt, recognise_server
from meshdiag.sources.http.fields import moment, rows, text, text_map

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    import httpx

    from meshdiag.context import Endpoint
    from meshdiag.sources.http import Reply
    from meshdiag.sources.ownpage import OwnPage

T = TypeVar("T")
API: Final = "/api/v2"
FAILURES: Final = range(400, 600)
STRANGE: Final = frozenset({Trouble.NOT_FOUND, Trouble.MALFORMED, Trouble.REJECTED, Trouble.UNAUTHORIZED})


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert. ``state`` is ``active``, ``suppressed`` (see ``silenced_by``, ids of silences, and ``inhibited_by``,
    fingerprints of alerts) or ``unprocessed``. Times are UTC."""

    fingerprint: str
    state: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    receivers: tuple[str, ...] = ()
    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    updated_at: datetime | None = None
    generator_url: str = ""

    @property
    def name(self) -> str:
        """The ``alertname`` label."""
        return self.labels.get("alertname", "")


@dataclass(frozen=True, slots=True)
class AlertGroup:
    """Alerts that are sent to a receiver together; ``labels`` are those they are grouped by."""

    receiver: str
    labels: Mapping[str, str]
    alerts: tuple[Alert, ...]


@dataclass(frozen=True, slots=True)
class Matcher:
    """One matcher of a silence."""

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True

    def __str__(self) -> str:
        sign = ("=~" if self.is_equal else "!~") if self.is_regex else ("=" if self.is_equal else "!=")
        quoted = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{sign}"{quoted}"'


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence. ``state`` is ``active``, ``pending`` or ``expired``; times are UTC."""

    id: str
    state: str
    matchers: tuple[Matcher, ...]
    created_by: str = ""
    comment: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """The server itself. ``cluster`` is ``disabled`` (a single one), ``settling`` or ``ready``; ``peers`` are the
    addresses in its cluster; ``clock_skew_s`` how far its clock is ahead (None: it does not say); ``config`` is the
    configuration in force, as text, in which the server hides the secrets."""

    version: str
    started: datetime | None
    cluster: str
    peers: tuple[str, ...] = ()
    config: str = field(default="", repr=False)
    clock_skew_s: float | None = None


class Alertmanager(Closing):
    """One Alertmanager. Every method raises ``SourceError``; a filter that it refuses, ``QueryError``. Close it with
    ``aclose`` or ``async with``."""

    gate: Final = "stack.alertmanager"

    def __init__(self, endpoint: Endpoint, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.http = HttpClient(endpoint, name="Alertmanager", transport=transport)

    @property
    def name(self) -> str:
        """``Alertmanager http://…:9093``."""
        return f"Alertmanager {self.http.shown}"

    @property
    def url(self) -> str:
        """Its address, without credentials."""
        return self.http.shown

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def status(self) -> Status:
        """Version, cluster and configuration."""
        reply = await self._ask("/status", ())
        return _read(reply, lambda body: _status(body, reply.clock_skew_s))

    async def identify(self) -> Status:
        """``status``, made sure that it is an Alertmanager: raises ``SourceError`` (wrong server) that names what
        was found instead."""
        try:
            return await self.status()
        except SourceError as error:
            if error.trouble not in STRANGE:
                raise
            await self._wrong(error)

    async def alerts(
        self,
        filters: Sequence[str] = (),
        *,
        active: bool = True,
        silenced: bool = True,
        inhibited: bool = True,
        unprocessed: bool = True,
        receiver: str | None = None,
    ) -> tuple[Alert, ...]:
        """The alerts that all ``filters`` (``severity="critical"``) match. ``receiver`` is a regular expression."""
        params = [("filter", one) for one in filters]
        flags = {"active": active, "silenced": silenced, "inhibited": inhibited, "unprocessed": unprocessed}
        params += [(name, "false") for name, wanted in flags.items() if not wanted]
        if receiver is not None:
            params.append(("receiver", receiver))
        reply = await self._ask("/alerts", params)
        return _read(reply, lambda body: tuple(_alert(one) for one in rows(body)))

    async def groups(self, filters: Sequence[str] = (), *, receiver: str | None = None) -> tuple[AlertGroup, ...]:
        """The alerts as they are grouped for their receivers."""
        params = [("filter", one) for one in filters]
        if receiver is not None:
            params.append(("receiver", receiver))
        reply = await self._ask("/alerts/groups", params)
        return _read(reply, lambda body: tuple(_group(one) for one in rows(body)))

    async def silences(self, filters: Sequence[str] = (), *, expired: bool = False) -> tuple[Silence, ...]:
        """The silences in force or to come; with ``expired`` also the past ones that the server still lists."""
        reply = await self._ask("/silences", [("filter", one) for one in filters])
        found = _read(reply, lambda body: tuple(_silence(one) for one in rows(body)))
        return found if expired else tuple(one for one in found if one.state != "expired")

    async def silence(self, id_: str) -> Silence | None:
        """One silence; None when there is none of that id."""
        from urllib.parse import quote

        reply = await self.http.get(f"{API}/silence/{quote(id_, safe='')}", accept=FAILURES)
        if reply.status == 404 and not reply.content:
            return None
        return _read(_checked(reply), _silence)

    async def send(self, labels: Mapping[str, str], annotations: Mapping[str, str], ends_at: datetime) -> None:
        """Send an alert, as Prometheus does. It notifies whom its labels reach."""
        alert = {"labels": labels, "annotations": annotations, "endsAt": ends_at.isoformat()}
        _checked(await self.http.post_json(f"{API}/alerts", [alert], accept=FAILURES))

    async def receivers(self) -> tuple[str, ...]:
        """The names of the receivers, in the order of the configuration."""
        reply = await self._ask("/receivers", ())
        return _read(reply, lambda body: tuple(text(one, "name") for one in rows(body)))

    async def ready(self) -> bool:
        """Whether it says that it is ready."""
        return (await self.http.get("/-/ready", accept=(503,))).status == 200

    async def own_page(self, names: Iterable[str]) -> OwnPage:
        """What it tells of its own work on its metrics page: the samples of these names."""
        from meshdiag.sources.ownpage import read_own_page

        return await read_own_page(self.http, names)

    def page_evidence(self, part: str) -> Evidence:
        """The command that shows the lines of its metrics page with this text in their names."""
        return Evidence(self.name, f"{self.http.curl('/metrics')} | grep {part}")

    def evidence(self, path: str = "/alerts", params: Sequence[tuple[str, str]] = (), excerpt: str = "") -> Evidence:
        """The curl command that asks a path of the API again."""
        return Evidence(self.name, self.http.curl(API + path, params), excerpt)

    async def _ask(self, path: str, params: Sequence[tuple[str, str]]) -> Reply:
        return _checked(await self.http.get(API + path, params, accept=FAILURES))

    async def _wrong(self, error: SourceError) -> NoReturn:
        found = await recognise_server(self.http)
        if found is None or found.name == "Alertmanager":
            raise error
        raise self.http.where().error(
            Trouble.WRONG_SERVER,
            f"this is not Alertmanager: it is {found.phrase}",
            "set alertmanager.url to where Alertmanager listens (port 9093 by default)",
        ) from error


def _checked(reply: Reply) -> Reply:
    """The reply, if it is a success; else the error it stands for, in the server's own words where it has some."""
    if reply.status < 300:
        return reply
    if reply.status in (400, 422) and (said := _said(reply)):
        raise QueryError(
            f"{reply.where.source} at {reply.where.url}: the request is refused: {excerpt(said)}",
            source=reply.where.source,
            where=reply.where.url,
            hint='filters are written name="value", name!="value", name=~"regex" or name!~"regex"',
        )
    raise reply.error()


def _said(reply: Reply) -> str:
    """The text of a refusal: a JSON string, or an object with ``message``."""
    if reply.content_type != "application/json":
        return ""
    try:
        body = reply.json()
    except SourceError:
        return ""
    if isinstance(body, dict):
        body = body.get("message")
    return body if isinstance(body, str) else ""


def _read(reply: Reply, read: Callable[[Any], T]) -> T:
    """The body as a typed value; what does not fit raises ``SourceError`` (malformed)."""
    body = reply.json()
    try:
        return read(body)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise reply.misshapen(str(error)) from error


def _status(body: Any, skew: float | None) -> Status:
    cluster = body["cluster"]
    return Status(
        version=text(body["versionInfo"], "version"),
        started=moment(body.get("uptime")),
        cluster=text(cluster, "status"),
        peers=tuple(text(one, "address") for one in rows(cluster.get("peers"))),
        config=text(body.get("config") or {}, "original"),
        clock_skew_s=skew,
    )


def _alert(one: Any) -> Alert:
    status = one["status"]
    return Alert(
        fingerprint=text(one, "fingerprint"),
        state=text(status, "state"),
        labels=text_map(one["labels"]),
        annotations=text_map(one.get("annotations")),
        receivers=tuple(text(receiver, "name") for receiver in rows(one.get("receivers"))),
        silenced_by=tuple(map(str, rows(status.get("silencedBy")))),
        inhibited_by=tuple(map(str, rows(status.get("inhibitedBy")))),
        starts_at=moment(one.get("startsAt")),
        ends_at=moment(one.get("endsAt")),
        updated_at=moment(one.get("updatedAt")),
        generator_url=text(one, "generatorURL"),
    )


def _group(one: Any) -> AlertGroup:
    return AlertGroup(
        receiver=text(one["receiver"], "name"),
        labels=text_map(one.get("labels")),
        alerts=tuple(_alert(alert) for alert in rows(one.get("alerts"))),
    )


def _silence(one: Any) -> Silence:
    return Silence(
        id=text(one, "id"),
        state=text(one["status"], "state"),
        matchers=tuple(_matcher(matcher) for matcher in rows(one.get("matchers"))),
        created_by=text(one, "createdBy"),
        comment=text(one, "comment"),
        starts_at=moment(one.get("startsAt")),
        ends_at=moment(one.get("endsAt")),
    )


def _matcher(one: Any) -> Matcher:
    return Matcher(text(one, "name"), text(one, "value"), bool(one.get("isRegex")), one.get("isEqual") is not False)
