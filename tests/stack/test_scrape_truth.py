"""A scrape path that lies: each way in which Prometheus may have something else than the node's page, made for real.

Real nodes' pages, a real Prometheus that scrapes them every second, and between the two what goes wrong between them.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from meshdiag.lab import Lab, LabOptions
from meshdiag.lab.background import lab_in_background
from tests.binaries import need
from tests.program import run
from tests.servers import free_port, prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Running

JOB = "agent-mesh"
FAULTS = ("frozen", "wrong target", "dropped", "unread", "no target", "renamed", "none kept")
HEALTHY = 2
SAID = {
    "frozen": ("fail", "old copy"),
    "wrong target": ("fail", "reads another one under its name"),
    "dropped": ("warn", "drops mesh_peer_count"),
    "unread": ("fail", "could not read it at its last scrape"),
    "no target": ("fail", "has no target for it"),
    "renamed": ("fail", "knows a node of this name as other:1"),
    "none kept": ("fail", "keeps none of its metrics"),
}
"""The verdict, and words of the message."""


@contextlib.contextmanager
def static_copy(url: str) -> Iterator[str]:
    """A proxy that fetched a page once and serves it for ever; gives its address."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        body = answer.read()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def scraping(lab: Lab, nodes: dict[str, Any], proxy: str) -> dict[str, Any]:
    """The scrape job with all faults in it."""
    address = {
        "frozen": proxy,
        "wrong target": lab.nodes[0].instance,
        "unread": f"127.0.0.1:{free_port()}",
    }
    targets = []
    for node in lab.nodes:
        fault = next((name for name, one in nodes.items() if one is node), "")
        if fault == "no target":
            continue
        instance = "other:1" if fault == "renamed" else node.instance
        labels = {"instance": instance, "node": node.name, "role": node.role}
        targets.append({"targets": [address.get(fault, node.instance)], "labels": labels})
    lost = f"{nodes['dropped'].instance};(mesh_peer_count|process_start_time_seconds)|{nodes['none kept'].instance};.*"
    drop = {"source_labels": ["instance", "__name__"], "regex": lost, "action": "drop"}
    return {"job_name": JOB, "static_configs": targets, "metric_relabel_configs": [drop]}


def until(server: Running, query: str) -> None:
    """Wait until an instant query has an answer."""
    for _attempt in range(200):
        url = f"{server.url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            if json.load(answer)["data"]["result"]:
                return
        time.sleep(0.1)
    raise AssertionError(f"no answer to {query}")


@pytest.fixture(scope="module")
def faulty() -> Iterator[tuple[dict[str, str], dict[str, Any], dict[str, str]]]:
    """A lab with one node for each fault and healthy ones before them: where to look, the faulty nodes, by fault, and
    the healthy ones' instances."""
    need("prometheus")
    with lab_in_background(LabOptions(nodes=HEALTHY + len(FAULTS))) as lab:
        nodes = dict(zip(FAULTS, lab.nodes[HEALTHY:], strict=True))
        with static_copy(nodes["frozen"].url) as proxy, prometheus(scrapes=[scraping(lab, nodes, proxy)]) as server:
            until(server, f'count_over_time(up{{instance="{nodes["frozen"].instance}"}}[1m]) >= 5')
            environment = lab.environment | {"MESHDIAG_PROMETHEUS_URL": server.url}
            healthy = {node.instance: node.name for node in lab.nodes[:HEALTHY]}
            yield environment, nodes, healthy


def test_every_lie_is_told_from_a_sick_node(faulty: Any) -> None:
    """Each fault is named on its node, as the scrape path's; the healthy nodes agree."""
    environment, nodes, healthy = faulty
    ran = run("nodes", "--witness", "-o", "json", environment=environment)
    findings = {one["subject"]: one for one in ran.check("stack.scrape-truth")["findings"]}
    for fault, (verdict, words) in SAID.items():
        found = findings[nodes[fault].instance]
        assert (found["verdict"], words in found["message"]) == (verdict, True), (fault, found)
    assert {findings[instance]["verdict"] for instance in healthy} == {"pass"}
    rows = {row["instance"]: row for row in ran.report["data"]}
    assert rows[nodes["unread"].instance]["prometheus"] == "down"
    assert rows[nodes["unread"].instance]["page"] == "answers"
    assert rows[nodes["no target"].instance]["prometheus"] == "no target"
    assert ran.code == 2


def test_a_usual_terminal_has_room_for_what_is_wrong(faulty: Any) -> None:
    """At 80 columns the row of a node still says what is the matter with it, and no line is wider."""
    environment, _nodes, _healthy = faulty
    shown = run("nodes", "--witness", environment=environment | {"COLUMNS": "80"}).stdout.splitlines()
    head = next(line for line in shown if line.startswith("agree"))
    assert head.endswith("what is the matter")
    left_out = next(line for line in shown if line.startswith("no room for"))
    assert "matter" not in left_out
    assert any("Prometheus has no target for" in line[head.index("what") :] for line in shown)
    assert max(map(len, shown)) <= 80


def test_health_looks_where_it_looks_bad(faulty: Any) -> None:
    """The health check reads the pages of suspects and of a few others, and blames the way to them, not the nodes."""
    environment, nodes, _healthy = faulty
    ran = run("health", "-o", "json", environment=environment)
    findings = {one["subject"]: one for one in ran.check("stack.scrape-truth")["findings"]}
    for fault in ("frozen", "unread", "no target", "renamed"):
        assert SAID[fault][1] in findings[nodes[fault].instance]["message"]
    assert len(findings) == 4 + 3
    assert "scrape path" in ran.report["causes"][0]["statement"]


def test_without_pages_nothing_is_compared(faulty: Any) -> None:
    """--no-direct keeps away from the nodes' pages: the check is skipped and says so."""
    environment, _nodes, _healthy = faulty
    ran = run("health", "--no-direct", "--only", "stack.*", "-o", "json", environment=environment)
    found = ran.check("stack.scrape-truth")
    assert found["verdict"] == "skip"
    assert "--no-direct" in found["summary"]


def test_a_healthy_mesh_is_not_called_sick() -> None:
    """Over several scrapes of a healthy lab the two witnesses of every node agree, also right after the start."""
    need("prometheus")
    with lab_in_background(LabOptions(nodes=7, with_=("prometheus",))) as lab:
        for _round in range(3):
            ran = run("nodes", "--witness", "-o", "json", environment=lab.environment)
            findings = ran.check("stack.scrape-truth")["findings"]
            assert {one["message"] for one in findings} == {"Prometheus and the page agree"}, findings
            assert len(findings) == 7
            time.sleep(1)
