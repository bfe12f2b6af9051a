"""What a server is, told from its answers: used to say what was found where something else was expected."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshdiag.errors import SourceError
from meshdiag.sources.http.trouble import excerpt

if TYPE_CHECKING:
    from meshdiag.sources.http.client import HttpClient
    from meshdiag.sources.http.reply import Reply

_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_SAMPLE = re.compile(rb"^(# (HELP|TYPE|UNIT) [A-Za-z_:]|[A-Za-z_:][A-Za-z0-9_:]*(\{.*\})? [-+0-9.NI])", re.MULTILINE)
_HTML = re.compile(rb"^\s*(<!doctype html|<html|<head|<\?xml)", re.IGNORECASE)
_KNOWN = ("Grafana", "Alertmanager", "Prometheus", "Loki", "Jaeger", "VictoriaMetrics", "Thanos", "Mimir", "Cortex")
_ANY = range(300, 600)
_PAGE_OF = (
    (b"prometheus_tsdb_head_series", "Prometheus", "Prometheus"),
    (b"alertmanager_alerts", "Alertmanager", "Alertmanager"),
    (b"grafana_build_info", "Grafana", "Grafana"),
    (b"loki_build_info", "Loki", "Loki"),
    (b"jaeger_", "Jaeger", "Jaeger"),
    (b"vm_app_version", "VictoriaMetrics", "VictoriaMetrics"),
    (b"node_cpu_seconds_total", "node_exporter", "node_exporter's metrics page"),
    (b"consensus_", "mesh node", "an Agent Mesh node's metrics page"),
    (b"mesh_peer_count", "mesh node", "an Agent Mesh node's metrics page"),
)


@dataclass(frozen=True, slots=True)
class Software:
    """What was recognised: ``name`` ("Grafana", or "" when unknown), and ``phrase``, which continues "it is "."""

    name: str
    phrase: str


def recognise(reply: Reply) -> Software:
    """What kind of server gives such an answer."""
    body = reply.content[:65536]
    if _HTML.match(body):
        match = _TITLE.search(body)
        title = excerpt(match[1], 60) if match else ""
        name = next((known for known in _KNOWN if known.lower() in title.lower()), "")
        if name:
            return Software(name, f"{name} (its web page)")
        return Software("web page", f"a web page titled {title!r}" if title else "a web page")
    if _SAMPLE.search(body[:8192]):
        return _page(reply.content)
    server = excerpt(reply.headers.get("server", ""), 40)
    return Software("", f"a server that calls itself {server}" if server else "another kind of server")


async def recognise_server(http: HttpClient) -> Software | None:
    """Ask a server that is not what was expected a few harmless questions, side by side; None when nothing is
    recognised. Never raises ``SourceError``."""
    paths = ("/api/v2/status", "/api/health", "/-/ready", "/metrics", "/")
    replies = await asyncio.gather(*(http.get(path, accept=_ANY) for path in paths), return_exceptions=True)
    answered = [None if isinstance(reply, BaseException) else reply for reply in replies]
    for reply in replies:
        if isinstance(reply, BaseException) and not isinstance(reply, SourceError):
            raise reply
    status, health, ready, *pages = answered
    if (body := _object(status)) is not None and {"cluster", "versionInfo"} <= body.keys():
        return Software("Alertmanager", "Alertmanager")
    if (body := _object(health)) is not None and "database" in body:
        return Software("Grafana", "Grafana")
    said = ready.text[:80] if ready is not None and ready.status < 300 else ""
    for name in ("Prometheus", "VictoriaMetrics"):
        if said.startswith(name):  # "Prometheus Server is Ready."
            return Software(name, name)
    found = [recognise(reply) for reply in pages if reply is not None and reply.status < 300 and reply.content]
    named = [one for one in found if one.name]
    return next((one for one in named if one.name != "web page"), named[0] if named else None)


def _object(reply: Reply | None) -> dict[str, Any] | None:
    if reply is None or reply.status >= 300:
        return None
    try:
        body = reply.json()
    except SourceError:
        return None
    return body if isinstance(body, dict) else None


def _page(body: bytes) -> Software:
    """Whose metrics page it is, by the names on it."""
    for mark, name, phrase in _PAGE_OF:
        if mark in body:
            return Software(name, phrase)
    return Software("metrics page", "a metrics page (of a node or an exporter)")
