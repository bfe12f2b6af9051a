"""Grafana: whether it opens to the password that the mesh's documentation prints.

One request, ``GET /api/user`` with basic authentication, once, without following it anywhere: a second wrong try would
count towards the lock that Grafana puts on an account after five. Source:
https://grafana.com/docs/grafana/latest/developers/http_api/user/, and what servers really answer: a wrong password
is 401 ``{"message": "Invalid username or password"}``, no login at all 401 ``{"message": "Unauthorized"}``, which
is also what a password gets where basic authentication is switched off.
"""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

import orjson

from meshdiag.errors import Trouble
from meshdiag.model import Evidence
from meshdiag.sources.closing import Closing
from meshdiag.sources.http import HttpClient, excerpt, recognise
from meshdiag.sources.http.address import shown
from meshdiag.sources.http.client import REDIRECTS

if TYPE_CHECKING:
    import httpx

    from meshdiag.context import Endpoint
    from meshdiag.errors import SourceError
    from meshdiag.sources.http import Reply

USER: Final = "admin"
DOCUMENTED_PASSWORD: Final = "admin123"
"""It stands in the documentation of the mesh for everybody to read: no secret."""
PATH: Final = "/api/user"
NO_LOGIN: Final = "unauthorized"
"""What Grafana says where it did not look at a password at all."""
LOGIN_HEADERS: Final = frozenset({"authorization", "cookie", "x-webauth-user", "x-grafana-org-id"})


class GrafanaLogin(Closing):
    """The one question. Nothing of the context's own credentials is sent with it. Close it with ``aclose`` or ``async
    with``."""

    def __init__(self, endpoint: Endpoint, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.http = HttpClient(anonymous(endpoint), name="Grafana", transport=transport)

    @property
    def name(self) -> str:
        """``Grafana http://…:3000``."""
        return f"Grafana {self.http.shown}"

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def takes_documented_password(self) -> bool:
        """Whether ``admin`` with the documented password is let in. Raises ``SourceError`` where that was not said:
        it does not answer, refuses for another reason, or is no Grafana."""
        login = b64encode(f"{USER}:{DOCUMENTED_PASSWORD}".encode()).decode("ascii")
        headers = {"Authorization": f"Basic {login}", "Accept": "application/json"}
        reply = await self.http.get(PATH, headers=headers, accept=(401, *REDIRECTS), once=True)
        if reply.status in REDIRECTS:
            raise _redirected(reply)
        said = _object(reply)
        if reply.status == 401:
            return _refused(reply, said)
        if said is None or not isinstance(said.get("login"), str):
            raise _no_grafana(reply)
        if said["login"] != USER:
            raise reply.where.error(
                Trouble.NOT_AVAILABLE,
                f"it lets everybody in as {excerpt(said['login'], 40)}, whatever the password is",
                "see who signs people in there: a proxy in front of it, or its auth.proxy",
            )
        return True

    def evidence(self) -> Evidence:
        """The command that tries the same again: 200 is let in, 401 refused."""
        try_it = f"curl -s -o /dev/null -w '%{{http_code}}\\n' -u {USER}:{DOCUMENTED_PASSWORD}"
        return Evidence(self.name, self.http.curl(PATH).replace("curl -s", try_it, 1))


def anonymous(endpoint: Endpoint) -> Endpoint:
    """The endpoint without anything that tells who asks: credentials, a login in the URL, a client certificate."""
    headers = {name: value for name, value in endpoint.headers.items() if name.lower() not in LOGIN_HEADERS}
    url = endpoint.url
    with suppress(ValueError):  # no address at all: the client says so
        parts = urlsplit(url)
        url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return replace(endpoint, url=url, credentials=None, headers=headers, cert_file=None, key_file=None)


def _refused(reply: Reply, said: dict[str, Any] | None) -> bool:
    """False: the password was looked at, and refused. Raises ``SourceError`` where nobody looked at it."""
    message = said.get("message") if said is not None else None
    if not isinstance(message, str):
        raise reply.where.error(
            Trouble.UNAUTHORIZED,
            "something before it asks for credentials, so its own password was not tried",
            "ask it behind the proxy, on the machine where it runs",
        )
    if message.strip().lower() == NO_LOGIN:
        raise reply.where.error(
            Trouble.NOT_AVAILABLE,
            "it did not look at the password: basic authentication is switched off",
            "try it on its login page",
        )
    return False


def _no_grafana(reply: Reply) -> SourceError:
    found = recognise(reply)
    what = f"it is {found.phrase}" if found.name else "its answer is not that of a Grafana"
    return reply.where.error(Trouble.WRONG_SERVER, what, "set grafana.url to the address of Grafana")


def _redirected(reply: Reply) -> SourceError:
    target = excerpt(shown(reply.headers.get("location", "")) or "nowhere", 120)
    return reply.where.error(
        Trouble.REDIRECT,
        f"it redirects to {target}, where the password was not taken",
        "set grafana.url to the address that it is really at",
    )


def _object(reply: Reply) -> dict[str, Any] | None:
    """The answer, where it is an object in JSON."""
    with suppress(orjson.JSONDecodeError):
        said = orjson.loads(reply.content)
        return said if isinstance(said, dict) else None
    return None
