"""Answers with recorded exchanges of real servers (tests/contract/recordings), through real sockets."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from tests.serving import Asked, Server, send

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

NOT_FOUND = ("api_not_found", "unknown_api_path_is_html_200", "not_found")
"""How a server answers a path that it does not know."""
RECORDINGS = Path(__file__).parent / "contract" / "recordings"


@dataclass(frozen=True)
class Exchange:
    """One recorded exchange of a server; ``name`` is its file's."""

    server: str
    name: str
    method: str
    path: str
    params: tuple[tuple[str, str], ...]
    status: int
    content_type: str | None
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, as JSON."""
        return json.loads(self.body)


@cache
def exchanges(server: str) -> dict[str, Exchange]:
    """All recorded exchanges of a server, by name."""
    return {file.stem: _load(server, file) for file in sorted((RECORDINGS / server).glob("*.json"))}


def _load(server: str, file: Path) -> Exchange:
    recorded = json.loads(file.read_text())
    request, response = recorded["request"], recorded["response"]
    method, target, _ = request["line"].split(" ", 2)
    if "body" in response:
        body = json.dumps(response["body"]).encode()
    elif "body_base64" in response:
        body = base64.b64decode(response["body_base64"])
    else:
        body = response.get("body_text", "").encode()
    headers = dict(response["headers"])
    kept = {name: value for name, value in headers.items() if name in ("Location", "Content-Encoding")}
    if kept.get("Content-Encoding") == "gzip" and not body.startswith(b"\x1f\x8b"):
        body = gzip.compress(body)
    return Exchange(
        server=server,
        name=file.stem,
        method=method,
        path=urlsplit(target).path,
        params=tuple(parse_qsl(urlsplit(target).query, keep_blank_values=True)),
        status=response["status"],
        content_type=headers.get("Content-Type"),
        headers=kept,
        body=body,
    )


def replay(server: str, choose: Callable[[Asked], str | None] | None = None) -> Server:
    """A server that answers as ``server`` did. ``choose`` names the exchange for a request; without it, or where
    it gives None, the first exchange with the same method and path answers, the recorded 404 otherwise."""
    recorded = exchanges(server)

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        name = choose(asked) if choose else None
        found = recorded[name] if name else _same(recorded, asked)
        await send(writer, found.status, found.body, found.content_type, found.headers)

    return Server(answer)


def replay_one(server: str, name: str) -> Server:
    """A server that answers every request with one exchange."""
    return replay(server, lambda _asked: name)


def _same(recorded: dict[str, Exchange], asked: Asked) -> Exchange:
    same = [one for one in recorded.values() if one.method == asked.method and one.path == asked.path]
    usual = [one for one in same if not one.name.startswith(("starting_", "auth_"))]
    exact = [one for one in usual if set(one.params) == set(asked.params)]
    found = exact or usual
    return found[0] if found else recorded[next(name for name in NOT_FOUND if name in recorded)]
