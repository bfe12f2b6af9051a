"""A small stand-in for Grafana, which Debian does not package: it answers as Grafana 6.5 does.

Health, one datasource that is Prometheus, questions handed on to it (502 with an empty body where it does not answer),
one dashboard; a path that it does not know is a web page with status 200.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from meshdiag import catalog
from meshdiag.lab import asking
from meshdiag.lab.nodes import LOOPBACK, bound_socket
from meshdiag.lab.simulation import Watching

if TYPE_CHECKING:
    from meshdiag.lab.network.namespaces import Place
    from meshdiag.lab.simulation import Mesh

UID = "mesh-overview"
TITLE = "Agent Mesh / Overview"
JSON = "application/json"
PROXY = "/api/datasources/proxy/1"
PAGE = b'<!DOCTYPE html>\n<html lang="en"><head><title>Grafana</title></head><body></body></html>\n'
PANELS = (
    ("Nodes", "stat", 'sum(up{job="agent-mesh"})'),
    ("Peers", "timeseries", f'{catalog.PEER_COUNT.name}{{node=~"$node"}}'),
    ("Failed rounds", "timeseries", f'rate({catalog.FAILED_ROUNDS.name}{{node=~"$node"}}[$__rate_interval])'),
    ("Memory", "timeseries", f'{catalog.MEMORY.name}{{node=~"$node"}}'),
)
"""Title, type and query of the dashboard's panels."""


class GrafanaStandIn:
    """The server. ``prometheus_url`` is what its datasource names, unless the mesh has the fault of a broken one."""

    def __init__(self, mesh: Mesh, place: Place, prometheus_url: str) -> None:
        self.place = place
        broken = Watching.BROKEN_DATASOURCE in mesh.watching
        nowhere = f"http://{LOOPBACK}:{asking.free_port(place, LOOPBACK)}" if broken else ""
        self.backend = nowhere or prometheus_url
        self.url = ""
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on a port of its own."""
        bound = bound_socket(self.place, LOOPBACK, 0)
        self.url = f"http://{LOOPBACK}:{bound.getsockname()[1]}"
        self._server = await asyncio.start_server(self._serve, sock=bound)

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer, and the end of the connection."""
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), asking.READY_S)
            target = head.split(b" ", 2)[1].decode("latin-1")
            status, kind, body = await self._answer(target)
            lines = (
                f"HTTP/1.1 {status} X",
                f"Content-Type: {kind}",
                f"Content-Length: {len(body)}",
                "Connection: close",
            )
            writer.write("\r\n".join((*lines, "", "")).encode() + body)
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError):
            pass
        finally:
            writer.close()

    async def _answer(self, target: str) -> tuple[int, str, bytes]:
        """Status, content type and body of a GET."""
        path = urlsplit(target).path
        if target.startswith(f"{PROXY}/"):
            status, body = await asking.request(self.place, "GET", self.backend + target.removeprefix(PROXY))
            return (status, JSON, body) if status else (502, JSON, b"")
        known: dict[str, Any] = {
            "/api/health": {"commit": "lab", "database": "ok", "version": "6.5.1"},
            "/api/datasources": [self._datasource()],
            "/api/search": [_listed()],
            f"/api/dashboards/uid/{UID}": {"meta": {"type": "db"}, "dashboard": dashboard()},
        }
        if path in known:
            return 200, JSON, json.dumps(known[path]).encode()
        if path.startswith("/api/dashboards/uid/"):
            return 404, JSON, b'{"message":"Dashboard not found"}'
        return 200, "text/html; charset=UTF-8", PAGE

    def _datasource(self) -> dict[str, Any]:
        return {
            "id": 1,
            "orgId": 1,
            "name": "Prometheus",
            "type": "prometheus",
            "access": "proxy",
            "url": self.backend,
            "isDefault": True,
        }


def dashboard() -> dict[str, Any]:
    """The dashboard, in the JSON that Grafana keeps."""
    variable = {
        "name": "node",
        "type": "query",
        "datasource": "Prometheus",
        "query": f"label_values({catalog.PEER_COUNT.name}, node)",
        "includeAll": True,
        "multi": True,
    }
    panels = [
        {"id": number, "title": title, "type": kind, "datasource": None, "targets": [{"refId": "A", "expr": query}]}
        for number, (title, kind, query) in enumerate(PANELS, 1)
    ]
    return {"uid": UID, "title": TITLE, "panels": panels, "templating": {"list": [variable]}}


def _listed() -> dict[str, Any]:
    return {"id": 1, "uid": UID, "title": TITLE, "url": f"/d/{UID}/agent-mesh-overview", "type": "dash-db"}
