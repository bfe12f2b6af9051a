"""How long it takes to fetch the certificates of a thousand servers, beside a thousand plain TCP connects to the same
addresses, at the same bound of connections at once.

The servers are one forked process or two that shake hands over TLS 1.3 with an elliptic key, on a thousand loopback
addresses. On loopback a connect costs next to nothing and the sum is the work of both sides, handshakes included; over a
network, where an answer takes ``--delay`` seconds, waiting decides: the server then waits as long before it answers,
and the plain connect is charged the same wait.

Run: python tests/bench/certs.py [--delay 0.02]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import ssl
import statistics
import time

import trustme

from meshdiag.sources.certificates.endpoints import AT_ONCE, Wanted, fetch

ENDPOINTS = 1000
RUNS = 5


def serve(delay_s: float) -> tuple[int, list[int]]:
    """The port, and the processes that serve it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1", "localhost").configure_cert(context)
    listener = socket.create_server(("0.0.0.0", 0), backlog=2048)
    children = []
    for _ in range(min(2, os.cpu_count() or 1)):
        if (child := os.fork()) == 0:
            asyncio.run(_answer(listener, context, delay_s))
            os._exit(0)
        children.append(child)
    port = listener.getsockname()[1]
    listener.close()
    return port, children


async def _answer(listener: socket.socket, context: ssl.SSLContext, delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    listener.setblocking(False)
    tasks = set()

    async def one(plain: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        with plain:
            try:
                while True:
                    try:
                        tls.do_handshake()
                        done = True
                    except ssl.SSLWantReadError:
                        done = False
                    if outgoing.pending:
                        await asyncio.sleep(delay_s)
                        await loop.sock_sendall(plain, outgoing.read())
                    received = b"" if done else await loop.sock_recv(plain, 65536)
                    if not received:
                        return
                    incoming.write(received)
            except OSError:
                return

    while True:
        plain, _ = await loop.sock_accept(listener)
        plain.setblocking(False)
        task = asyncio.ensure_future(one(plain))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def connects(addresses: list[tuple[str, int]], delay_s: float) -> None:
    """Plain connects, as many at once."""
    slots, loop = asyncio.Semaphore(AT_ONCE), asyncio.get_running_loop()

    async def one(address: tuple[str, int]) -> None:
        async with slots:
            with socket.socket() as plain:
                plain.setblocking(False)
                async with asyncio.timeout(5):
                    await loop.sock_connect(plain, address)
                    await asyncio.sleep(delay_s)

    await asyncio.gather(*map(one, addresses))


async def handshakes(addresses: list[tuple[str, int]], delay_s: float) -> None:
    """What ``meshdiag certs`` does."""

    async def late(wanted: list[Wanted]) -> None:
        found = await fetch(wanted)
        assert all(len(one.chain) == 1 and not one.trouble for one in found), found[0]

    # The wait of the connect itself, which loopback does not have: one for every round of connections at once.
    await late([Wanted(f"{host}:{port}") for host, port in addresses])
    await asyncio.sleep(delay_s * len(addresses) / AT_ONCE)


def main() -> None:
    """Run both in turn and print the medians and their ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that each answer of the network takes")
    delay_s = parser.parse_args().delay
    port, children = serve(delay_s)
    addresses = [(f"127.0.{n // 250 + 1}.{n % 250 + 1}", port) for n in range(ENDPOINTS)]
    try:
        times: dict[str, list[float]] = {"connects": [], "handshakes": []}
        for _ in range(RUNS):
            for name, run in (("connects", connects), ("handshakes", handshakes)):
                began = time.perf_counter()
                asyncio.run(run(addresses, delay_s))
                times[name].append(time.perf_counter() - began)
        plain, tls = (statistics.median(times[name]) for name in ("connects", "handshakes"))
        print(f"{ENDPOINTS} plain connects       {plain:6.3f} s")
        print(f"{ENDPOINTS} certificates fetched {tls:6.3f} s")
        print(f"ratio {tls / plain:.2f} (limit 3)")
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


if __name__ == "__main__":
    main()
