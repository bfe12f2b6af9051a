"""How long it takes to fetch the certificates of a thousand servers, beside a thousand plain TCP connects to the same
addresses, as many at once.

Two forked processes serve a thousand loopback addresses, with an elliptic key over TLS 1.3. On loopback a connect costs
next to nothing, so that the ratio is that of a handshake's work to none, both sides of it on this machine. Over a
network waiting counts: ``--delay`` is a round trip in seconds, which the servers wait before they answer, and which
each plain connect is charged as well.

Run: python tests/bench/certs.py [--delay 0.05]
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
    """What ``meshdiag certs`` does. The round trip of the connect, which loopback does not have, is added for each
    round of connections at once."""
    found = await fetch([Wanted(f"{host}:{port}") for host, port in addresses])
    assert all(len(one.chain) == 1 and not one.trouble for one in found), found[0]
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
