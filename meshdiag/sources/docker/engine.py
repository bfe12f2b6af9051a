"""The calls of the Docker Engine API that reading logs takes, every failure explained.

The paths bear the version of the API that both sides know; these calls have been the same since 1.24 (2016).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

import httpx

from meshdiag.errors import SourceError, Trouble
from meshdiag.logs.record import NS
from meshdiag.sources.docker import wire
from meshdiag.sources.docker.containers import read_containers
from meshdiag.sources.docker.frames import Broken, cutter
from meshdiag.sources.docker.state import read_state
from meshdiag.sources.http import HttpClient, excerpt
from meshdiag.sources.streams.lines import LineSplitter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator

    from meshdiag.logs.tally import Tally
    from meshdiag.sources.docker.address import EngineAddress
    from meshdiag.sources.docker.containers import Container
    from meshdiag.sources.docker.state import State
    from meshdiag.sources.http import Reply
    from meshdiag.sources.streams.lines import Line
    from meshdiag.sources.streams.window import Ask

T = TypeVar("T")
KNOWN = (1, 44)
"""The version of the API that is asked for where the engine speaks it."""
SILENCE_S = 60.0
"""How long an engine may search a log before the next piece of it comes."""
CONNECTIONS = 256
"""One for each log that is read at the same time, and some to spare."""
DRIVERS_READ = "json-file, local and journald"


@dataclass(frozen=True, slots=True)
class Details:
    """What inspecting a container tells: whether it has a terminal, its logging driver, when it last began, and
    whether it runs."""

    tty: bool
    driver: str
    started: str
    running: bool


class Engine:
    """One engine. All of it raises ``SourceError``. Close it with ``aclose``."""

    def __init__(self, address: EngineAddress, *, silence_s: float = SILENCE_S) -> None:
        self.address = address
        self._http = HttpClient(
            address.endpoint,
            name="Docker",
            transport=_over_socket(address),
            place=address.shown,
            connections=CONNECTIONS,
        )
        self._silence_s = silence_s
        self._version: asyncio.Task[str] | None = None

    @property
    def shown(self) -> str:
        """The address for a person."""
        return self.address.shown or self._http.shown

    async def aclose(self) -> None:
        """Close the connections."""
        if self._version is not None:
            self._version.cancel()
        await self._http.aclose()

    async def containers(self) -> list[Container]:
        """All containers, the stopped ones included."""
        return self._read(await self._get("/containers/json", {"all": "1"}), read_containers)

    async def details(self, container: Container) -> Details:
        """What inspecting tells."""
        reply = await self._get(f"/containers/{container.id}/json", {}, container)
        return self._read(reply, _details)

    async def state(self, container: Container) -> State:
        """How a container fares, by the same."""
        reply = await self._get(f"/containers/{container.id}/json", {}, container)
        return self._read(reply, lambda body: read_state(container, body))

    async def log(
        self, container: Container, details: Details, ask: Ask, tally: Tally
    ) -> AsyncGenerator[list[Line], None]:
        """The lines of a container's log as they come."""
        silence_s = None if ask.follow else self._silence_s
        path = f"{await self._prefix()}/containers/{container.id}/logs"
        cut = cutter(details.tty)
        try:
            async with self._stream(path, _log_params(ask), silence_s) as pieces:
                async for piece in pieces:
                    if lines := cut.feed(piece):
                        yield lines
            if lines := cut.end():
                yield lines
        except Broken as error:
            raise self._http.where().error(
                Trouble.MALFORMED, f"the log of {container.name} {excerpt(str(error))}", "try docker logs"
            ) from error
        except SourceError as error:
            raise self._explained(error, container, details.driver) from error
        finally:
            tally.cut += cut.cut

    async def events(self) -> AsyncGenerator[None, None]:
        """Something happened to a container; the first at once, when listening has begun."""
        path = f"{await self._prefix()}/events"
        wanted = {"type": ["container"], "event": ["start", "die", "rename", "destroy", "create"]}
        splitter = LineSplitter()
        try:
            async with self._stream(path, {"filters": json.dumps(wanted)}, None) as pieces:
                yield None
                async for piece in pieces:
                    if splitter.feed(piece):
                        yield None
        except SourceError as error:
            raise self._explained(error) from error
        raise self._http.where().error(Trouble.TRUNCATED, "it stopped telling its events", "the engine may be stopping")

    # how it is asked -------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _stream(
        self, path: str, params: dict[str, str], silence_s: float | None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """An answer in pieces, as they come."""
        if self.address.socket is not None:
            target = f"{path}?{urlencode(params)}"
            timeout_s = self.address.endpoint.timeout_s
            where = self._http.where()
            async with wire.get(self.address.socket, target, where, timeout_s=timeout_s, silence_s=silence_s) as pieces:
                yield pieces
        else:
            async with self._http.stream(path, params, silence_s=silence_s) as (_, pieces):
                yield pieces

    async def _get(self, path: str, params: dict[str, str], container: Container | None = None) -> Reply:
        prefix = await self._prefix()
        try:
            return await self._http.get(prefix + path, params)
        except SourceError as error:
            raise self._explained(error, container) from error

    async def _prefix(self) -> str:
        """``/v1.41``: found out once, a failure included."""
        if self._version is None:
            self._version = asyncio.ensure_future(self._negotiate())
        return "/v" + await asyncio.shield(self._version)

    async def _negotiate(self) -> str:
        pinned = os.environ.get("DOCKER_API_VERSION", "")
        if re.fullmatch(r"\d{1,3}\.\d{1,3}", pinned):
            return pinned
        try:
            reply = await self._http.get("/version")
        except SourceError as error:
            raise self._explained(error) from error
        newest, oldest = self._read(
            reply, lambda body: (_version(body["ApiVersion"]), _version(body.get("MinAPIVersion") or "1.12"))
        )
        return "{}.{}".format(*max(min(KNOWN, newest), oldest))

    def _read(self, reply: Reply, read: Callable[[Any], T]) -> T:
        body = reply.json()
        try:
            return read(body)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise reply.misshapen(str(error)) from error

    def _explained(self, error: SourceError, container: Container | None = None, driver: str = "") -> SourceError:
        """The same failure in Docker's terms."""
        where = self._http.where()
        for number in _numbers(error):
            if number in _SOCKET:
                trouble, what, hint = _SOCKET[number]
                if self.address.socket is not None:
                    return where.error(trouble, what, hint)
        name = container.name if container is not None else ""
        if error.trouble is Trouble.NOT_FOUND and name:
            return where.error(Trouble.NOT_FOUND, f"there is no container {name} any more", "see docker ps -a")
        said = str(error)
        if "does not support reading" in said:
            return where.error(
                Trouble.NOT_AVAILABLE,
                f"the log of {name} cannot be read back: its logging driver {driver or 'in use'} keeps nothing to read",
                f"read it where the driver sends it; {DRIVERS_READ} can be read",
            )
        if "is dead or marked for removal" in said:
            return where.error(Trouble.NOT_FOUND, f"the container {name} is being removed", "see docker ps -a")
        if found := re.search(r"client version [0-9.]+ is too (new|old)[^\"]*", said):
            return where.error(
                Trouble.REJECTED,
                f"it does not speak the version of the API that is asked for ({excerpt(found[0])})",
                "unset DOCKER_API_VERSION",
            )
        return error


def _over_socket(address: EngineAddress) -> httpx.AsyncBaseTransport | None:
    if address.socket is None:
        return None
    return httpx.AsyncHTTPTransport(uds=str(address.socket), limits=httpx.Limits(max_connections=CONNECTIONS))


_SOCKET = {
    errno.ENOENT: (
        Trouble.REFUSED,
        "there is no such socket",
        "is Docker running here? its address goes into DOCKER_HOST, or docker context use",
    ),
    errno.ECONNREFUSED: (
        Trouble.REFUSED,
        "nothing listens on the socket: the daemon is down",
        "start it (systemctl start docker), and look at its log (journalctl -u docker)",
    ),
    errno.EACCES: (
        Trouble.FORBIDDEN,
        "permission denied on the socket",
        "use sudo, or join the group docker (usermod -aG docker YOU, then sign in anew)",
    ),
    errno.EPERM: (Trouble.FORBIDDEN, "permission denied on the socket", "use sudo, or join the group docker"),
}


def _numbers(error: BaseException | None) -> Iterator[int]:
    """The numbers of the system's errors underneath one."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            yield error.errno
        error = error.__cause__ or error.__context__


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def _details(body: Any) -> Details:
    return Details(
        tty=bool(body["Config"]["Tty"]),
        driver=str(body["HostConfig"]["LogConfig"]["Type"]),
        started=str(body["State"].get("StartedAt") or ""),
        running=bool(body["State"]["Running"]),
    )


def _log_params(ask: Ask) -> dict[str, str]:
    params = {"stdout": "1", "stderr": "1", "timestamps": "1"}
    if ask.since_ns is not None:
        params["since"] = _moment(ask.since_ns)
    if ask.until_ns is not None:
        params["until"] = _moment(ask.until_ns)
    if ask.tail is not None:
        params["tail"] = str(ask.tail)
    if ask.follow:
        params["follow"] = "1"
    return params


def _moment(time_ns: int) -> str:
    """Seconds since the epoch with nine digits after the point, as the API takes it."""
    seconds, fraction = divmod(max(time_ns, 0), NS)
    return f"{seconds}.{fraction:09d}"
