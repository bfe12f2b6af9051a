"""Serves static metrics pages of about 8.6 kB, each node on a port of its own: ``python page_server.py NODES``.

Prints the ports on one line, then serves until its input ends. Made for benchmarks: it costs as little as it can.
"""

from __future__ import annotations

import asyncio
import resource
import sys

from meshdiag.catalog import METRICS, Kind

SIZE = 8600
PEERS = 5


def page(index: int) -> bytes:
    """A node's page: every metric of the catalog, peers among their labels, and others that make up the size."""
    lines: list[str] = []
    for metric in METRICS[1:]:
        kind = "counter" if metric.kind is Kind.COUNTER else "gauge"
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {kind}"]
        value = index * 0.37 + len(lines)
        if metric.name.startswith("mesh_connection"):
            peers = (f"10.0.{(index + n) % 250}.{index % 250}:7000" for n in range(PEERS))
            lines += [f'{metric.name}{{peer_address="{peer}"}} {value}' for peer in peers]
        else:
            lines.append(f"{metric.name} {value}")
    text = "\n".join(lines) + "\n"
    filler = 0
    while len(text) < SIZE:
        text += f'runtime_something_seconds_total{{kind="k{filler}",stage="second"}} {filler * 1.25}\n'
        filler += 1
    return text.encode()


class Node(asyncio.Protocol):
    """One connection to one node."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._request = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._request += data
        if self._request.endswith(b"\r\n\r\n"):
            self._request = b""
            self._transport.write(self._answer)  # type: ignore[attr-defined]


async def main(nodes: int) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    ports = []
    for index in range(nodes):
        body = page(index)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {len(body)}\r\n\r\n"
        answer = head.encode() + body
        server = await loop.create_server(lambda answer=answer: Node(answer), "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
    print(*ports, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    asyncio.run(main(int(sys.argv[1])))
