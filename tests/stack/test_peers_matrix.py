"""Real blackbox_exporters beside real listeners: what each says becomes the right cell, and none makes it hang."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from meshdiag.lab import LabOptions
from meshdiag.lab.background import lab_in_background
from meshdiag.lab.network.links import OBSERVER
from tests.binaries import need, need_namespaces
from tests.program import Ran, clean_environment, run
from tests.servers import free_port
from tests.serving import Asked, Server, send

NODES = ("bootstrap-1", "trainer-1", "trainer-2")
MODULES = {
    "modules": {
        "tcp_connect": {"prober": "tcp", "timeout": "5s"},
        "http_2xx": {"prober": "http", "timeout": "5s"},
        "wants_a_banner": {"prober": "tcp", "tcp": {"query_response": [{"expect": "^220"}]}},
    }
}


@dataclass
class Planted:
    """A mesh of three nodes on loopback: pages, peer ports and an exporter each."""

    config: Path
    exporters: dict[str, subprocess.Popen[bytes]]
    urls: dict[str, str]
    peers: dict[str, str]
    pages: str

    def meshdiag(self, *arguments: str, **more: Any) -> Ran:
        """``meshdiag peers`` on it."""
        return run("--config", str(self.config), "peers", *arguments, "--direct", "--gap", "0", **more)

    def rows(self, *arguments: str) -> dict[tuple[str, str], dict[str, Any]]:
        """The directions that it tells of."""
        report = self.meshdiag("--matrix", *arguments, "-o", "json").report
        return {(row["from"], row["to"]): row for row in report["data"]}

    def configure(self, **blackbox: str) -> None:
        """Write the configuration; ``blackbox`` are other addresses of exporters, by node."""
        lines = ['default_context = "planted"', "[contexts.planted]", "prometheus = false", "alertmanager = false"]
        for name in NODES:
            lines += [
                "[[contexts.planted.nodes]]",
                f'url = "{self.pages}/{name}"\nname = "{name}"\nrole = "{name.partition("-")[0]}"',
                f'instance = "{name}:9091"\npeer = "{self.peers[name]}"',
                f'blackbox = "{blackbox.get(name.replace("-", "_"), self.urls[name])}"',
            ]
        self.config.write_text("\n".join(lines) + "\n")


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Planted]:
    """The mesh, all well."""
    program = need("blackbox-exporter")
    (tmp_path / "blackbox.yml").write_text(json.dumps(MODULES))  # JSON is YAML

    async def page(_asked: Asked, writer: Any) -> None:
        await send(writer, 200, b"mesh_peer_count 2\n", "text/plain; version=0.0.4")

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(page))
        exporters, urls, peers = {}, {}, {}
        for name in NODES:
            peers[name] = f"127.0.0.1:{stack.enter_context(listening())}"
            exporters[name], urls[name] = stack.enter_context(exporter(program, tmp_path))
        mesh = Planted(tmp_path / "mesh.toml", exporters, urls, peers, server.url)
        mesh.configure()
        yield mesh


@contextlib.contextmanager
def listening() -> Iterator[int]:
    """A peer port that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        over = threading.Event()

        def accept() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    server.accept()[0].close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            thread.join(5)


@contextlib.contextmanager
def exporter(program: str, directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """An exporter on a free port."""
    port = free_port()
    command = [program, f"--config.file={directory / 'blackbox.yml'}", f"--web.listen-address=127.0.0.1:{port}"]
    with (directory / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/-/healthy", timeout=1):
                break
            time.sleep(0.02)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(10)


def test_exporters_tell_of_every_direction(planted: Planted) -> None:
    """All six, each from its own exporter, and what the exporter counts is what was stated: three probes a link."""
    rows = planted.rows()
    assert len(rows) == 6 and all(row["ok"] and 0 < row["duration_s"] < 1 for row in rows.values())
    assert {row["target"] for (_, other), row in rows.items() if other == "trainer-1"} == {planted.peers["trainer-1"]}
    for url in planted.urls.values():
        recent = urllib.request.urlopen(url, timeout=5).read().decode()
        assert recent.count("<td>tcp_connect</td>") == 2 * 3


def test_every_kind_of_failure_is_told_apart(planted: Planted) -> None:
    """Refused, unknown, unanswered in time, a bad address, a module's own failure: each has a word of its own."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: nobody else takes the port
        planted.peers["trainer-1"] = f"127.0.0.1:{closed.getsockname()[1]}"
        planted.peers["trainer-2"] = "no-such-host.invalid:4001"
        planted.configure()
        rows = planted.rows()
        assert rows["bootstrap-1", "trainer-1"]["trouble"] == "refused"
        assert rows["bootstrap-1", "trainer-2"]["trouble"] == "unknown-host"
        assert rows["trainer-1", "bootstrap-1"]["ok"]
    silent = planted.rows("--module", "wants_a_banner", "--timeout", "0.3s", "--from", "trainer-1")
    assert silent["trainer-1", "bootstrap-1"]["ok"] is False
    pages = planted.rows("--module", "http_2xx")
    assert all(
        row["ok"] and row["target"].startswith("http://") and row["phases"]["processing"] for row in pages.values()
    )


def test_a_port_without_a_listener_is_the_node_s_own_fault(planted: Planted) -> None:
    """Nobody reaches it, it reaches all: that node is named, once, and what to look at."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        planted.peers["trainer-2"] = f"127.0.0.1:{closed.getsockname()[1]}"
        planted.configure()
        ran = planted.meshdiag("--matrix", "-o", "json")
    assert ran.code == 2
    bad = [one for one in ran.check("links.reachability")["findings"] if one["verdict"] != "pass"]
    assert [one["labels"]["node"] for one in bad] == ["trainer-2"]
    assert "connection refused" in bad[0]["message"]
    shown = ran.check("links.reachability")["evidence"][0]
    again = subprocess.run(["sh", "-c", shown["command"]], capture_output=True, text=True, timeout=20, check=True)
    assert "connection refused" in again.stdout and "probe_success 0" in again.stdout


@pytest.mark.parametrize("how", ["hangs", "gone", "another-server", "its-own-metrics"])
def test_an_exporter_in_trouble_costs_its_own_row_alone(planted: Planted, how: str) -> None:
    """Stopped, dead, or something else at its address: UNKNOWN with the reason, the other rows as ever, no hang."""
    process = planted.exporters["trainer-1"]
    if how == "hangs":
        process.send_signal(signal.SIGSTOP)
    elif how == "gone":
        process.terminate()
        process.wait(10)
    else:
        elsewhere = planted.pages if how == "another-server" else f"{planted.urls['trainer-1']}/metrics"
        planted.configure(trainer_1=elsewhere)
    ran = planted.meshdiag("--matrix", "--timeout", "0.2s", "-o", "json", timeout=30)
    assert ran.code == 3
    rows = {(row["from"], row["to"]): row for row in ran.report["data"]}
    assert {row["ok"] for (one, _), row in rows.items() if one == "trainer-1"} == {None}
    assert {row["ok"] for (one, _), row in rows.items() if one != "trainer-1"} == {True}
    (finding,) = [one for one in ran.check("links.reachability")["findings"] if one["verdict"] == "unknown"]
    said = {
        "hangs": "no answer within",
        "gone": "connection refused",
        "another-server": "does not answer like a blackbox_exporter",
        "its-own-metrics": "it has no /probe|does not answer like a blackbox_exporter",
    }
    assert re.search(said[how], finding["message"]), finding


def test_the_graph_of_what_they_see_is_one_that_graphviz_takes(planted: Planted) -> None:
    """``-o dot`` through the real program, with a node that is cut off."""
    dot = need("dot")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        planted.peers["trainer-2"] = f"127.0.0.1:{closed.getsockname()[1]}"
        planted.configure()
        text = planted.meshdiag("--graph", "--matrix", "-o", "dot").stdout
    drawn = subprocess.run([dot, "-Tplain"], input=text, capture_output=True, text=True, timeout=30, check=True)
    assert sorted(re.findall(r"^node (\S+)", drawn.stdout, re.M)) == sorted(f'"{name}"' for name in NODES)


def test_the_times_are_those_of_the_wire() -> None:
    """In a network where one node is far from everybody by so much, each direction takes the way there and back, from
    whichever end it is seen."""
    need_namespaces()
    need("blackbox-exporter")
    options = LabOptions(nodes=4, faults=("slow-peer",), with_=("blackbox-exporter",), netns=True)
    with lab_in_background(options) as lab:
        (far,) = lab.faulty["slow-peer"]
        assert lab.network is not None
        ran = subprocess.run(
            [*lab.network.entering(OBSERVER), sys.executable, "-m", "meshdiag", "peers", "--matrix", "-o", "json"],
            env=clean_environment(**lab.environment), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        rows = json.loads(ran.stdout)["data"]
        assert len(rows) == 12 and all(row["ok"] for row in rows)
        for row in rows:
            wire = lab.mesh.link(row["from"], row["to"])
            least = 2 * (wire.delay_s - wire.jitter_s)
            assert row["duration_s"] > 0.9 * least, row
            assert (row["duration_s"] > 0.1) == (far in (row["from"], row["to"])), row
