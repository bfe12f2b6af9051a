"""What a server is, told from one answer: used to say what was found where something else was expected."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag.sources.http.trouble import excerpt

if TYPE_CHECKING:
    from meshdiag.sources.http.client import Reply

_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_SAMPLE = re.compile(rb"^(# (HELP|TYPE|UNIT) [A-Za-z_:]|[A-Za-z_:][A-Za-z0-9_:]*(\{.*\})? [-+0-9.NI])", re.MULTILINE)
_HTML = re.compile(rb"^\s*(<!doctype html|<html|<head|<\?xml)", re.IGNORECASE)
_KNOWN = ("Grafana", "Alertmanager", "Prometheus", "Loki", "Jaeger", "VictoriaMetrics", "Thanos", "Mimir", "Cortex")


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
            return Software(name, f"{name} (a web page)")
        return Software("", f"a web page titled {title!r}" if title else "a web page")
    if _SAMPLE.search(body[:8192]):
        return _exposition(body)
    server = excerpt(reply.headers.get("server", ""), 40)
    return Software("", f"a server that calls itself {server}" if server else "another kind of server")


def _exposition(body: bytes) -> Software:
    """Whose metrics page it is, by the names on it."""
    owners = (
        (b"consensus_", "an Agent Mesh node's metrics page"),
        (b"mesh_peer_count", "an Agent Mesh node's metrics page"),
        (b"alertmanager_", "Alertmanager's metrics page"),
        (b"node_cpu_seconds", "node_exporter's metrics page"),
        (b"prometheus_tsdb", "Prometheus's own metrics page"),
    )
    for mark, phrase in owners:
        if mark in body:
            return Software("exposition", phrase)
    return Software("exposition", "a metrics page (a node or an exporter)")
