"""``meshdiag peers --matrix`` and ``--graph``: the whole program against exporters that answer as planted."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.program import Ran, run
from tests.serving import Asked, Server, send

NODES = ("bootstrap-1", "trainer-1", "trainer-2", "trainer-3", "trainer-4")
ISLAND = {"trainer-3", "trainer-4"}

Answer = float | str
"""Seconds, or what the exporter's log says went wrong."""
Mesh = Callable[..., Ran]


def partition(one: str, other: str) -> Answer:
    """Two trainers see each other and nobody else."""
    return 0.0004 if (one in ISLAND) is (other in ISLAND) else "dial tcp4: i/o timeout"


def healthy(_one: str, _other: str) -> Answer:
    """All is well."""
    return 0.0004


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Callable[[Callable[[str, str], Answer]], Mesh]]:
    """Starts a mesh whose exporters answer as a function says, and runs meshdiag on it."""
    servers: list[Server] = []

    def start(answer: Callable[[str, str], Answer], silent: str = "", blackbox: bool = True) -> Mesh:
        async def handle(asked: Asked, writer: asyncio.StreamWriter) -> None:
            _, name, what = asked.path.split("/", 2)
            if what == "metrics":
                await send(writer, 200, page_of(name), "text/plain; version=0.0.4")
            elif name == silent:
                await send(writer, 500, b"panic")
            elif what == "-/healthy":
                await send(writer, 200, b"Healthy", "text/plain")
            else:
                await send(writer, 200, probed(answer(name, NODES[port_of(asked) - 4001])), "text/plain")

        server = Server(handle)
        server.__enter__()
        servers.append(server)
        config = tmp_path / "mesh.toml"
        config.write_text(configured(server.url, blackbox))
        return lambda *arguments, **more: run(
            "--config", str(config), "peers", *arguments, "--direct", "--gap", "0", **more
        )

    yield start
    for server in servers:
        server.__exit__()


def port_of(asked: Asked) -> int:
    """The port of the target, which says which node is meant."""
    return int((asked.param("target") or "").rpartition(":")[2])


def page_of(name: str) -> bytes:
    """A node's page: it is connected to the first node."""
    peer = f'mesh_connection_duration_seconds{{peer="{NODES[0]}"}} 4000\n' if name != NODES[0] else ""
    return f"mesh_peer_count 4\n{peer}".encode()


def probed(answer: Answer) -> bytes:
    """An exporter's answer."""
    if isinstance(answer, float):
        return f"probe_success 1\nprobe_duration_seconds {answer}\n".encode()
    return f'ts=1 level=error msg="Error dialing TCP" err="{answer}"\nprobe_success 0\n'.encode()


def configured(url: str, blackbox: bool) -> str:
    """The configuration of that mesh: every node has an exporter of its own."""
    lines = ['default_context = "planted"', "[contexts.planted]", "prometheus = false", "alertmanager = false"]
    lines += [] if blackbox else ["blackbox = false"]
    for place, name in enumerate(NODES):
        lines += [
            "[[contexts.planted.nodes]]",
            f'url = "{url}/{name}/metrics"',
            f'name = "{name}"\nrole = "{name.partition("-")[0]}"\ninstance = "{name}:9091"',
            f'peer = "10.0.0.{place + 1}:{4001 + place}"\nblackbox = "{url}/{name}"',
        ]
    return "\n".join(lines) + "\n"


def test_a_partition_is_drawn_and_named(mesh: Callable[..., Mesh]) -> None:
    """The verdict first, then the map in which the part that is cut off stands together, then what to do."""
    ran = mesh(partition)("--matrix")
    assert ran.code == 2
    lines = ran.stdout.splitlines()
    assert lines[0].startswith(" FAIL  trainer-3 and trainer-4: see each other and nobody else")
    assert "4 trainer-3      ✗    ✗    ✗    . 0.40" in lines
    assert "1 bootstrap-1    . 0.40 0.40    ✗    ✗" in lines
    assert "runbook partition" in ran.stdout
    assert max(map(len, lines)) <= 80


def test_the_data_is_a_row_a_direction(mesh: Callable[..., Mesh]) -> None:
    """As JSON, valid by the schema, and as CSV: who, whom, what was probed, whether it works, how long, why not."""
    ask = mesh(partition)
    ran = ask("--matrix", "-o", "json")
    rows = {(row["from"], row["to"]): row for row in ran.report["data"]}
    assert len(rows) == 20
    down = rows["trainer-1", "trainer-3"]
    assert (down["ok"], down["duration_s"], down["trouble"]) == (False, None, "timeout")
    up = rows["trainer-4", "trainer-3"]
    assert (up["ok"], up["duration_s"], up["target"], up["module"]) == (True, 0.0004, "10.0.0.4:4004", "tcp_connect")
    finding = ran.check("links.reachability")["findings"][0]
    assert finding["subject"] == "trainer-3 and trainer-4" and finding["labels"]["nodes"] == "trainer-3, trainer-4"
    table = list(csv.DictReader(io.StringIO(ask("--matrix", "-o", "csv").stdout)))
    assert {(row["from"], row["to"]) for row in table} == rows.keys()


def test_an_exporter_that_fails_is_unknown(mesh: Callable[..., Mesh]) -> None:
    """Its row is question marks, its finding says what happened, and the exit code is that of unknown."""
    ran = mesh(healthy, silent="trainer-2")("--matrix")
    assert ran.code == 3
    assert "3 trainer-2      ?    ?    .    ?    ?" in ran.stdout
    assert "what it reaches is unknown" in ran.stdout and "500" in ran.stdout


def test_views_and_targets_can_be_chosen(mesh: Callable[..., Mesh]) -> None:
    """By name, role or glob; what was not chosen is not asked and not drawn."""
    ask = mesh(healthy)
    rows = ask("--matrix", "--from", "bootstrap", "--to", "trainer-[12]", "--count", "1", "-o", "json").report["data"]
    assert {(row["from"], row["to"]) for row in rows} == {("bootstrap-1", "trainer-1"), ("bootstrap-1", "trainer-2")}
    assert {row["sent"] for row in rows} == {1}
    assert {row["sent"] for row in ask("--matrix", "-o", "json").report["data"]} == {3}
    nothing = ask("--matrix", "--from", "no-such-node")
    assert nothing.code == 3
    assert "no link is between the nodes that were chosen" in nothing.stdout and "meshdiag nodes" in nothing.stdout


def test_a_mesh_without_exporters_says_so(mesh: Callable[..., Mesh]) -> None:
    """``blackbox = false`` leaves nobody to ask: what to write, and which command looks from here."""
    ran = mesh(healthy, blackbox=False)("--matrix")
    assert ran.code == 64
    assert "no blackbox_exporters (blackbox = false)" in ran.stderr and "meshdiag peers shows" in ran.stderr


def test_the_topology_is_drawn_for_each_reader(mesh: Callable[..., Mesh]) -> None:
    """A table for people, dot for graphviz, SVG and a page; stdout is the drawing alone, the verdict the exit code."""
    ask = mesh(partition)
    shown = ask("--graph")
    assert shown.code == 0 and "bootstrap-1  trainer-1  reported" in shown.stdout
    dot = ask("--graph", "--matrix", "-o", "dot")
    assert dot.code == 2 and dot.stdout.startswith("graph mesh {") and dot.stdout.endswith("}\n")
    assert "subgraph cluster_2" in dot.stdout and "FAIL links.reachability" in dot.stderr
    picture = ElementTree.fromstring(ask("--graph", "-o", "svg").stdout)
    assert "5 nodes" in (picture.findtext("{http://www.w3.org/2000/svg}title") or "")
    page = ask("--graph", "--matrix", "-o", "html").stdout
    assert page.startswith("<!DOCTYPE html>") and "cut off from the larger part" in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "x"), "--from is for --matrix"),
        (("--module", "icmp"), "--module is for --matrix"),
        (("-o", "dot"), "meshdiag peers --graph -o dot"),
        (("--matrix", "10.0.0.1:1"), "take no TARGET"),
        (("--matrix", "--at", "1h ago"), "--matrix goes without --at"),
        (("--matrix", "--watch"), "--watch is for probing from here"),
        (("--graph", "--method", "tcp"), "--method is for probing from here"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(arguments: tuple[str, ...], said: str) -> None:
    """One sentence and a way out, before anything is asked."""
    ran = run("peers", *arguments)
    assert ran.code == 64 and said in ran.stderr


def test_the_pace_is_stated_where_one_looks() -> None:
    """Whoever runs N times N probes may read how many that are at once."""
    text = " ".join(run("peers", "--help").stdout.split())
    assert "400 probes a second in all, 16 at once by one exporter" in text
