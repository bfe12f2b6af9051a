"""A server with a fault, on real sockets: everything that can be wrong with an HTTP source, one word each.

    with faulty("cut-short") as server:
        ...server.url...

``FAULTS`` lists them all; ``Fault.troubles`` says what a source must make of each (nothing named: it may give a
value). The content faults speak the Prometheus API, the Alertmanager API and the exposition format, by path.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import trustme

from meshdiag.errors import Trouble
from tests.serving import Asked, Server, send

HOSTILE = "evil\x1b[31m\x07\r\n[bold red]markup[/] \u202etxt.exe"
"""A text that would colour, ring, break lines, pass for markup and run backwards."""
BIG = 200 * 1024 * 1024
STEP = 64 * 1024


@dataclass(frozen=True)
class Fault:
    """One fault: its name, the troubles of which a source must report one, and whether a value is fine as well."""

    name: str
    troubles: frozenset[Trouble] = frozenset()

    @property
    def may_answer(self) -> bool:
        """Whether a source may make something of the answer."""
        return not self.troubles


@dataclass
class Faulty:
    """Where the faulty server is, and what it was asked (empty where there is none)."""

    url: str
    asked: list[Asked]


def _fault(name: str, *troubles: Trouble) -> Fault:
    return Fault(name, frozenset(troubles))


FAULTS = (
    _fault("refused", Trouble.REFUSED),
    _fault("unknown-host", Trouble.UNKNOWN_HOST),
    _fault("tls-not-trusted", Trouble.TLS),
    _fault("not-tls", Trouble.TLS),
    _fault("status-401", Trouble.UNAUTHORIZED),
    _fault("status-403", Trouble.FORBIDDEN),
    _fault("status-404", Trouble.NOT_FOUND, Trouble.NOT_AVAILABLE),
    _fault("status-429", Trouble.RATE_LIMITED),
    _fault("status-500", Trouble.SERVER_ERROR),
    _fault("status-502-empty", Trouble.SERVER_ERROR),
    _fault("status-503", Trouble.SERVER_ERROR, Trouble.STARTING),
    _fault("redirect-loop", Trouble.REDIRECT),
    _fault("redirect-away", Trouble.REDIRECT),
    _fault("never-answers", Trouble.TIMEOUT),
    _fault("byte-a-second", Trouble.TIMEOUT),
    _fault("closes-at-once", Trouble.TRUNCATED),
    _fault("cut-short", Trouble.TRUNCATED),
    _fault("cut-short-gzip", Trouble.TRUNCATED, Trouble.MALFORMED),
    _fault("not-http", Trouble.MALFORMED, Trouble.TRUNCATED),
    _fault("not-json", Trouble.MALFORMED, Trouble.WRONG_SERVER),
    _fault("html", Trouble.MALFORMED, Trouble.WRONG_SERVER),
    _fault("empty-body", Trouble.MALFORMED, Trouble.WRONG_SERVER),
    _fault("other-json", Trouble.MALFORMED, Trouble.WRONG_SERVER),
    _fault("big-body", Trouble.TOO_LARGE, Trouble.TIMEOUT),
    _fault("big-gzip", Trouble.TOO_LARGE, Trouble.TIMEOUT),
    _fault("nan-and-inf"),
    _fault("empty-result"),
    _fault("duplicated-series"),
    _fault("hostile-labels"),
)
BY_NAME = {fault.name: fault for fault in FAULTS}


@contextlib.contextmanager
def faulty(name: str) -> Iterator[Faulty]:
    """A server with the fault of that name, for as long as the block runs."""
    if name == "refused":
        with socket.socket() as held:  # bound, not listening: nobody else can take the port meanwhile
            held.bind(("127.0.0.1", 0))
            yield Faulty(f"http://127.0.0.1:{held.getsockname()[1]}", [])
        return
    if name == "unknown-host":
        yield Faulty("http://no-such-host.invalid:9090", [])
        return
    tls = certified("127.0.0.1") if name == "tls-not-trusted" else None
    with Server(HANDLERS.get(name, _send_content(name)), tls, RAW.get(name)) as server:
        url = server.url.replace("http://", "https://") if name == "not-tls" else server.url
        yield Faulty(url, server.asked)


@cache
def authority() -> trustme.CA:
    """The CA that the test servers' certificates come from; nobody trusts it by default."""
    return trustme.CA()


def certified(*names: str) -> ssl.SSLContext:
    """A server's TLS context with a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(*names).configure_cert(context)
    return context


def _status(
    code: int, body: bytes, content_type: str | None = "text/plain", **headers: str
) -> Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]:
    async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
        await send(writer, code, body, content_type, {name.replace("_", "-"): value for name, value in headers.items()})

    return answer


async def _redirect_loop(asked: Asked, writer: asyncio.StreamWriter) -> None:
    other = asked.path.removesuffix("/again") if asked.path.endswith("/again") else asked.path + "/again"
    await send(writer, 302, b"", None, {"Location": other})


async def _redirect_away(asked: Asked, writer: asyncio.StreamWriter) -> None:
    await send(writer, 302, b"", None, {"Location": f"http://login.invalid/sso?back={asked.path}&token=s3cret"})


async def _never(_: Asked, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def _slowly(asked: Asked, writer: asyncio.StreamWriter) -> None:
    body, content_type = content("good", asked.path)
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode())
    for place in range(len(body)):
        writer.write(body[place : place + 1])
        await writer.drain()
        await asyncio.sleep(1)


async def _closes(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _cut_short(asked: Asked, writer: asyncio.StreamWriter) -> None:
    body, content_type = content("good", asked.path)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body) + 1000}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    writer.close()


async def _cut_short_gzip(asked: Asked, writer: asyncio.StreamWriter) -> None:
    body, content_type = content("good", asked.path)
    packed = gzip.compress(body)
    await send(writer, 200, packed[: len(packed) // 2], content_type, {"Content-Encoding": "gzip"})


async def _big(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = f"{STEP:x}\r\n".encode() + b"# filler line\n" * (STEP // 14) + b"#" * (STEP % 14) + b"\r\n"
    for _place in range(BIG // STEP):
        writer.write(piece)
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


@cache
def _bomb() -> bytes:
    return gzip.compress(b"\n" * BIG, compresslevel=1)


async def _big_gzip(_: Asked, writer: asyncio.StreamWriter) -> None:
    await send(writer, 200, _bomb(), "application/json", {"Content-Encoding": "gzip"})


def _send_content(name: str) -> Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        body, content_type = content(name, asked.path)
        await send(writer, 200, body, content_type)

    return answer


RAW = {
    "not-http": b"-ERR unknown command\r\n\r\n",
    "not-tls": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
}
HTML = b"<!DOCTYPE html><html><head><title>Welcome to nginx!</title></head><body>It works</body></html>"

HANDLERS = {
    "status-401": _status(401, b"Unauthorized\n", WWW_Authenticate="Basic"),
    "status-403": _status(403, b"Forbidden\n"),
    "status-404": _status(404, b"404 page not found\n"),
    "status-429": _status(429, b"slow down\n", Retry_After="120"),
    "status-500": _status(500, b"panic: \x1b[31mnil map\n"),
    "status-502-empty": _status(502, b"", None),
    "status-503": _status(503, b"no server is available to handle this request\n"),
    "redirect-loop": _redirect_loop,
    "redirect-away": _redirect_away,
    "never-answers": _never,
    "byte-a-second": _slowly,
    "closes-at-once": _closes,
    "cut-short": _cut_short,
    "cut-short-gzip": _cut_short_gzip,
    "not-json": _status(200, b"pong \x00\xff\n"),
    "html": _status(200, HTML, "text/html"),
    "empty-body": _status(200, b"", "application/json"),
    "other-json": _status(200, b'{"status": "success", "data": [["unexpected"], 3]}', "application/json"),
    "big-body": _big,
    "big-gzip": _big_gzip,
}

NODE = {"__name__": "up", "instance": "10.0.0.3:9091", "job": "agent-mesh"}
ALERT = {
    "annotations": {"summary": "a node is down"},
    "endsAt": "2026-11-22T11:30:12.333Z",
    "fingerprint": "51c66de664980771",
    "receivers": [{"name": "default"}],
    "startsAt": "2026-11-22T11:25:12.333Z",
    "status": {"inhibitedBy": [], "silencedBy": [], "state": "active"},
    "updatedAt": "2026-11-22T11:25:12.333Z",
    "generatorURL": "http://127.0.0.1:9090/graph",
    "labels": {"alertname": "MeshNodeDown", "severity": "critical"},
}


def content(kind: str, path: str) -> tuple[bytes, str]:
    """Body and content type that suit a path: ``good``, or one of the content faults."""
    if "/loki/api/" in path:
        return json.dumps(_loki(kind, path)).encode(), "application/json"
    if "/api/v2/" in path:
        return json.dumps(_alertmanager(kind, path)).encode(), "application/json"
    if "/api/v1/" in path:
        return json.dumps({"status": "success", "data": _prometheus(kind, path)}).encode(), "application/json"
    if path.startswith("/-/"):
        return b"Prometheus Server is Ready.\n", "text/plain"
    return _page(kind).encode(), "text/plain; version=0.0.4"


def _loki(kind: str, path: str) -> Any:
    if path.endswith("buildinfo"):
        return {"version": HOSTILE if kind == "hostile-labels" else "3.7.6"}
    labels = {"job": "agent-mesh", "node": HOSTILE if kind == "hostile-labels" else "n1"}
    if path.endswith("/series"):
        return {"status": "success", "data": [labels]}
    line = HOSTILE if kind == "hostile-labels" else '{"level": "error", "loss": NaN}'
    stream = {"stream": labels, "values": [[str(time.time_ns()), line]]}
    many = {"good": 1, "empty-result": 0, "duplicated-series": 2}.get(kind, 1)
    return {"status": "success", "data": {"resultType": "streams", "result": [stream] * many}}


def _prometheus(kind: str, path: str) -> Any:
    if path.endswith("buildinfo"):
        return {"version": HOSTILE if kind == "hostile-labels" else "2.42.0"}
    if path.endswith(("/values", "/labels", "/series")):
        return []
    if path.endswith("query_range"):
        return {"resultType": "matrix", "result": [{"metric": m, "values": [[1.0, v]]} for m, v in _series(kind)]}
    if path.endswith("query"):
        return {"resultType": "vector", "result": [{"metric": m, "value": [1.0, v]} for m, v in _series(kind)]}
    return {}


def _series(kind: str) -> list[tuple[dict[str, str], str]]:
    if kind == "empty-result":
        return []
    if kind == "nan-and-inf":
        return [({**NODE, "instance": value}, value) for value in ("NaN", "+Inf", "-Inf")]
    if kind == "duplicated-series":
        return [(NODE, "1"), (NODE, "0")]
    if kind == "hostile-labels":
        return [({**NODE, "instance": HOSTILE, "node": HOSTILE}, "0")]
    return [(NODE, "1")]


def _alertmanager(kind: str, path: str) -> Any:
    if path.endswith("/status"):
        return {
            "cluster": {"peers": [], "status": HOSTILE if kind == "hostile-labels" else "disabled"},
            "versionInfo": {"version": "0.25.0"},
            "config": {"original": ""},
            "uptime": "2026-11-22T11:18:59.557Z",
        }
    if kind == "empty-result" or not path.endswith("/alerts"):
        return []
    if kind == "duplicated-series":
        return [ALERT, ALERT]
    if kind == "hostile-labels":
        return [{**ALERT, "labels": {"alertname": HOSTILE, "severity": HOSTILE}, "annotations": {"summary": HOSTILE}}]
    return [ALERT]


def _page(kind: str) -> str:
    head = "# HELP mesh_peer_count Peers connected.\n# TYPE mesh_peer_count gauge\n"
    if kind == "empty-result":
        return ""
    if kind == "nan-and-inf":
        return head + 'mesh_peer_count{a="1"} NaN\nmesh_peer_count{a="2"} +Inf\nmesh_peer_count{a="3"} -Inf\n'
    if kind == "duplicated-series":
        return head + "mesh_peer_count 1\nmesh_peer_count 2\n"
    if kind == "hostile-labels":
        escaped = HOSTILE.replace("\r\n", "\\n")
        return head + f'mesh_peer_count{{peer="{escaped}"}} 1\n'
    return head + "mesh_peer_count 5\n"
