"""A Loki in memory, over real sockets: it pages, limits, refuses and tails as the recorded ones do, and reads LogQL
with ``logqlreference``.

    with LokiServer(version="2.9.17") as loki:
        loki.push({"job": "agent-mesh"}, time_ns, "a line")
        ...loki.url...
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import ssl
import struct
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from tests.logqlreference import BadQuery, Line, LogQuery, read_query
from tests.serving import Asked, Server, send

NS = 1_000_000_000
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Stored:
    """A line as it was pushed."""

    labels: dict[str, str]
    time_ns: int
    line: str
    metadata: dict[str, str]


@dataclass
class TailPlan:
    """What one tail connection does: ``frames`` before it is cut (None: it stays), ``close`` a code and a reason for
    the end instead, ``raw`` bytes to send after the upgrade, ``drop`` lines that are named as dropped instead of being
    sent, ``swallow`` lines that are never sent, ``history`` lines to begin
    with that were there before, ``status`` to refuse the upgrade with, ``hang`` to never answer it."""

    frames: int | None = None
    close: tuple[int, str] | None = None
    raw: bytes | None = None
    drop: int = 0
    swallow: int = 0
    history: int = 0
    status: int | None = None
    hang: bool = False


@dataclass
class LokiServer:
    """The server. ``tails`` are the plans of the connections to come, the last of them for all that follow."""

    version: str = "3.7.6"
    cap: int = 5000
    longest_s: int = 30 * 86400 + 3600
    tenant: str = ""
    starting: bool = False
    slow_over_s: float = float("inf")
    """Windows longer than this get no answer in time."""
    tails: list[TailPlan] = field(default_factory=lambda: [TailPlan()])
    stored: list[Stored] = field(default_factory=list)
    tailed: int = 0
    """Tail connections that were opened."""
    tls: ssl.SSLContext | None = None

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._server = Server(self._answer, self.tls)
        self._server.__enter__()
        self._running = True
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Be gone, at once."""
        if self._running:
            self._running = False
            self._server.__exit__()

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._server.url

    @property
    def asked(self) -> list[Asked]:
        """The requests so far."""
        return self._server.asked

    @property
    def queries(self) -> list[str]:
        """The LogQL of the range queries so far."""
        return [one.param("query") or "" for one in self.asked if one.path.endswith("/query_range")]

    def push(self, labels: dict[str, str], time_ns: int, line: str, metadata: dict[str, str] | None = None) -> None:
        """Take in a line."""
        kept = dict(labels)
        if self.three and "service_name" not in kept:
            kept["service_name"] = kept.get("component", "unknown_service")
        with self._lock:
            self.stored.append(Stored(kept, time_ns, line, metadata or {} if self.three else {}))

    @property
    def three(self) -> bool:
        """Whether it is a Loki 3: structured metadata, detected levels."""
        return not self.version.startswith("2.")

    # answers ----------------------------------------------------------------------------------------------------

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.path == "/ready":
            body = b"Ingester not ready: waiting for 15s after being ready\n" if self.starting else b"ready\n"
            await send(writer, 503 if self.starting else 200, body, TEXT)
        elif self.starting:
            await asyncio.sleep(3600)
        elif self.tenant and asked.headers.get("x-scope-orgid") != self.tenant:
            await send(writer, 401, b"no org id\n", TEXT)
        elif asked.path == "/loki/api/v1/tail":
            await self._tail(asked, writer)
        else:
            if int(asked.param("end") or 0) - int(asked.param("start") or 0) > self.slow_over_s * NS:
                await asyncio.sleep(3600)
            status, body = self._look_up(asked)
            kind = TEXT if isinstance(body, str) else "application/json; charset=UTF-8"
            await send(writer, status, body.encode() if isinstance(body, str) else json.dumps(body).encode(), kind)

    def _look_up(self, asked: Asked) -> tuple[int, Any]:
        path = asked.path.removeprefix("/loki/api/v1")
        try:
            if path == "/status/buildinfo":
                return 200, {"version": self.version, "revision": f"v{self.version}", "branch": "HEAD"}
            if path == "/series":
                return 200, {"status": "success", "data": self._series(read_query(asked.param("match[]") or ""))}
            if path == "/query_range":
                return 200, {"status": "success", "data": self._query_range(asked)}
        except BadQuery as refused:
            return 400, str(refused)
        return 404, "404 page not found\n"

    def _series(self, query: LogQuery) -> list[dict[str, str]]:
        found = {tuple(sorted(one.labels.items())): one.labels for one in self._snapshot() if query.picks(one.labels)}
        return list(found.values())

    def _query_range(self, asked: Asked) -> dict[str, Any]:
        limit = int(asked.param("limit") or 100)
        start, end = int(asked.param("start") or 0), int(asked.param("end") or 0)
        if limit > self.cap:
            name = "max_entries_limit_per_query" if self.three else "max_entries_limit"
            raise BadQuery(f"max entries limit per query exceeded, limit > {name} ({limit} > {self.cap})")
        if end <= start:
            raise BadQuery("end timestamp must not be before or equal to start time")
        if end - start > self.longest_s * NS:
            asked_h = (end - start) // (3600 * NS)
            days, hours = divmod(self.longest_s // 3600, 24)
            raise BadQuery(
                f"the query time range exceeds the limit (query length: {asked_h}h0m2.019s, limit: {days}d{hours}h)"
            )
        newest_first = asked.param("direction") != "forward"
        lines = self._select(read_query(asked.param("query") or ""), start, end)
        lines.sort(key=lambda pair: pair[0], reverse=newest_first)
        categorized = self.three and "categorize-labels" in asked.headers.get("x-loki-response-encoding-flags", "")
        data: dict[str, Any] = {"resultType": "streams", "result": _streams(lines[:limit], categorized), "stats": {}}
        if categorized:
            data["encodingFlags"] = ["categorize-labels"]
        return data

    def _select(self, query: LogQuery, start: int, end: int) -> list[tuple[int, Line]]:
        """The lines that get through a query, with their times."""
        chosen = []
        for one in self._snapshot():
            if start <= one.time_ns < end and query.picks(one.labels):
                line = Line(one.line, one.labels, self._metadata(one))
                if query.keeps(line):
                    chosen.append((one.time_ns, line))
        return chosen

    def _metadata(self, one: Stored) -> dict[str, str]:
        return {**one.metadata, "detected_level": detected_level(one)} if self.three else {}

    def _snapshot(self) -> list[Stored]:
        with self._lock:
            return list(self.stored)

    # tail -------------------------------------------------------------------------------------------------------

    async def _tail(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        plan = self.tails[min(self.tailed, len(self.tails) - 1)]
        self.tailed += 1
        if plan.hang:
            await asyncio.sleep(3600)
        if plan.status is not None or "sec-websocket-key" not in asked.headers:
            await send(writer, plan.status or 400, b"Bad Request\n", TEXT)
            return
        try:
            query = read_query(asked.param("query") or "")
        except BadQuery as refused:
            if self.three:
                await send(writer, 400, str(refused).encode(), TEXT)
                return
            await _upgrade(asked, writer)
            writer.write(frame(struct.pack(">H", 1011) + str(refused).encode(), 8))
            writer.close()
            return
        known = max(0, len(self._snapshot()) - plan.history)
        await _upgrade(asked, writer)
        await self._pump(query, known, plan, writer)
        writer.close()

    async def _pump(self, query: LogQuery, known: int, plan: TailPlan, writer: asyncio.StreamWriter) -> None:
        """Send what is pushed from now on, until the plan says otherwise or the client is gone."""
        sent, swallowed, dropping = 0, 0, plan.drop
        if plan.raw is not None:
            writer.write(plan.raw)
            await writer.drain()
        while not writer.is_closing() and (plan.frames is None or sent < plan.frames):
            fresh = self._snapshot()[known:]
            known += len(fresh)
            for one in fresh:
                line = Line(one.line, one.labels, dict(one.metadata))  # a live line has no detected level yet
                if not (query.picks(one.labels) and query.keeps(line)):
                    continue
                if plan.swallow > swallowed:
                    swallowed += 1
                    continue
                body: dict[str, Any] = {"streams": [_stream(one.time_ns, line)]}
                if dropping:
                    dropping -= 1
                    body = {"streams": [], "dropped_entries": [{"labels": "{}", "timestamp": str(one.time_ns)}]}
                writer.write(frame(json.dumps(body).encode()))
                sent += 1
                if plan.frames is not None and sent >= plan.frames:
                    break
            await writer.drain()
            await asyncio.sleep(0.005)
        if plan.close is not None:
            writer.write(frame(struct.pack(">H", plan.close[0]) + plan.close[1].encode(), 8))


async def _upgrade(asked: Asked, writer: asyncio.StreamWriter) -> None:
    accept = base64.b64encode(hashlib.sha1((asked.headers["sec-websocket-key"] + GUID).encode()).digest()).decode()
    head = ("HTTP/1.1 101 X", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}", "", "")
    writer.write("\r\n".join(head).encode())
    await writer.drain()


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """A websocket frame of a server."""
    size = len(payload)
    if size < 126:
        head = struct.pack(">BB", 0x80 | opcode, size)
    elif size < 65536:
        head = struct.pack(">BBH", 0x80 | opcode, 126, size)
    else:
        head = struct.pack(">BBQ", 0x80 | opcode, 127, size)
    return head + payload


def _streams(lines: Iterable[tuple[int, Line]], categorized: bool) -> list[dict[str, Any]]:
    """Lines as an answer groups them: by all their labels, or by the stream's alone with the rest beside each."""
    streams: dict[str, dict[str, Any]] = {}
    for time_ns, line in lines:
        if categorized:
            one = streams.setdefault(json.dumps(line.labels, sort_keys=True), {"stream": line.labels, "values": []})
            beside = {"structuredMetadata": line.metadata, "parsed": line.parsed}
            one["values"].append([str(time_ns), line.text, {name: value for name, value in beside.items() if value}])
        else:
            stream = _stream(time_ns, line)
            key = json.dumps(stream["stream"], sort_keys=True)
            streams.setdefault(key, {"stream": stream["stream"], "values": []})["values"] += stream["values"]
    return [streams[key] for key in sorted(streams)]


def _stream(time_ns: int, line: Line) -> dict[str, Any]:
    error = {"__error__": line.error} if line.error else {}
    return {"stream": {**line.labels, **line.metadata, **line.parsed, **error}, "values": [[str(time_ns), line.text]]}


def detected_level(one: Stored) -> str:
    """The level that Loki 3 guesses: a label's, or a word of the line's, "info" first."""
    stated = one.metadata.get("level") or one.labels.get("level")
    if stated:
        return stated.lower()
    words = ("info", "error", "warn", "critical", "debug")
    return next((word for word in words if re.search(word, one.line)), "unknown")
