"""The nodes on their sockets: pages over HTTP, peer ports, and closed doors where a node is down."""

from __future__ import annotations

import asyncio
import gzip
import os
import resource
import ssl
import tomllib
from email.utils import parsedate_to_datetime

import httpx
import pytest

from meshdiag.lab import Lab, LabOptions, running
from meshdiag.lab.nodes import ServedNode


async def fetch(node: ServedNode, **headers: str) -> httpx.Response:
    """A node's page."""
    async with httpx.AsyncClient() as client:
        return await client.get(node.url, headers=headers)


async def test_a_page_is_served_as_the_client_asks_for_it() -> None:
    """Text by default, OpenMetrics and gzip when asked for; each says what it is."""
    async with running() as lab:
        text = await fetch(lab.nodes[0], accept="*/*", accept_encoding="identity")
        assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
        accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
        openmetrics = await fetch(lab.nodes[0], accept=accept, **{"accept-encoding": "gzip"})
        assert openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        assert openmetrics.headers["content-encoding"] == "gzip"
        assert openmetrics.text.endswith("# EOF\n")


async def test_one_connection_serves_many_requests() -> None:
    """Requests sent in one breath over one connection are answered in order; Connection: close ends it."""
    async with running() as lab:
        host, port = lab.nodes[0].instance.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        first = b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"
        writer.write(
            first
            + b"HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
            + b"GET /else HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert answer.count(b"HTTP/1.1 200 OK") == 2
        assert answer.count(b"HTTP/1.1 404 Not Found") == 1
        head, _, rest = answer.partition(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
        assert gzip.decompress(rest[:length]).startswith(b"# HELP")


@pytest.mark.parametrize(
    "rubbish", [b"POST /metrics HTTP/1.1\r\n\r\n", b"\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"a" * 20_000]
)
async def test_rubbish_is_refused_and_the_connection_closed(rubbish: bytes) -> None:
    """What is no GET is answered with an error, within bounds, and the node goes on serving others."""
    async with running() as lab:
        host, port = lab.nodes[0].instance.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(rubbish)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert answer.startswith(b"HTTP/1.1 4")
        assert (await fetch(lab.nodes[0])).status_code == 200


async def test_a_peer_port_greets_with_the_node_s_name() -> None:
    """Whoever speaks TLS to a peer port, and trusts the lab's authority, reads one line that names the node."""
    async with running() as lab:
        trusting = ssl.create_default_context(cafile=str(lab.ca_file))
        for node in lab.nodes:
            host, port = node.peer.split(":")
            reader, writer = await asyncio.open_connection(host, int(port), ssl=trusting)
            assert await asyncio.wait_for(reader.readline(), 5) == f"agent-mesh/1 {node.name}\n".encode()
            writer.close()
            await asyncio.wait_for(writer.wait_closed(), 5)


async def test_a_dead_node_refuses_on_both_ports() -> None:
    """Nothing answers at a node that is down, and nobody else can take its ports."""
    async with running(LabOptions(faults=("node-down",))) as lab:
        (dead,) = (lab.node(name) for name in lab.faulty["node-down"])
        assert not dead.up
        for address in (dead.instance, dead.peer):
            host, port = address.split(":")
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(host, int(port))
            with pytest.raises(OSError, match="in use"):
                await asyncio.start_server(lambda _r, _w: None, host, int(port))


async def test_a_wrong_clock_shows_in_the_date_header() -> None:
    """With clock-skew one node's Date is two minutes ahead of the others'."""
    async with running(LabOptions(faults=("clock-skew",))) as lab:
        dates = {node.name: parsedate_to_datetime((await fetch(node)).headers["date"]) for node in lab.nodes}
        skewed = dates.pop(lab.faulty["clock-skew"][0])
        for right in dates.values():
            assert 118 <= (skewed - right).total_seconds() <= 122


async def test_two_labs_run_beside_each_other_and_leave_nothing() -> None:
    """Labs do not share ports or folders, and their folders are gone when they end."""
    async with running(LabOptions(seed=1)) as one, running(LabOptions(seed=2)) as two:
        directories = [one.directory, two.directory]
        assert directories[0] != directories[1]
        assert not _addresses(one) & _addresses(two)
        assert all(map(os.path.isdir, directories))
    assert not any(map(os.path.exists, directories))


def _addresses(lab: Lab) -> set[str]:
    return {address for node in lab.nodes for address in (node.instance, node.peer)}


async def test_the_configuration_file_describes_the_lab() -> None:
    """The written configuration is TOML with every node, and switches off the sources that the lab lacks."""
    async with running() as lab:
        written = tomllib.loads(await asyncio.to_thread(lab.config_file.read_text))
        context = written["contexts"][written["default_context"]]
        assert [node["instance"] for node in context["nodes"]] == [node.instance for node in lab.nodes]
        assert [context[name] for name in ("prometheus", "alertmanager", "grafana", "loki", "jaeger")] == [False] * 5
        assert all(map(os.path.getsize, context["logs"]))
        assert lab.environment == {"MESHDIAG_CONFIG": str(lab.config_file), "MESHDIAG_CONTEXT": "lab"}


async def test_two_thousand_nodes_live_in_one_process() -> None:
    """The largest lab starts and serves; the sockets of all its nodes fit under the raised limit."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4_500:
        pytest.skip("this machine allows fewer than 4,500 open files")
    async with running(LabOptions(nodes=2_000, faults=("node-down",))) as lab:
        assert len(lab.nodes) == 2_000
        sample = [node for node in lab.nodes[::40] if node.up]
        pages = await asyncio.gather(*(fetch(node) for node in sample))
        assert all(page.status_code == 200 and len(page.text) > 6_000 for page in pages)
