"""Asks a lab's own servers over HTTP, from the machine that they run on."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from meshdiag.lab.network.namespaces import Place

READY_S = 60.0
POLL_S = 0.05


async def request(place: Place, method: str, url: str, body: bytes = b"") -> tuple[int, bytes]:
    """One plain request to a server of ours: status and body, status 0 where nobody answers."""
    parts = urlsplit(url)
    try:
        reader, writer = await _connect(place, parts.hostname or "", parts.port or 80)
    except OSError:
        return 0, b""
    try:
        target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        head = f"{method} {target} HTTP/1.0\r\nHost: {parts.netloc}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.read()
    except OSError:
        return 0, b""
    finally:
        writer.close()
    first, _, content = answer.partition(b"\r\n\r\n")
    words = first.split(maxsplit=2)
    return (int(words[1]) if len(words) > 1 else 0), content


async def _connect(place: Place, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    with place.entered():
        plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    plain.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(plain, (host, port))
    except OSError:
        plain.close()
        raise
    return await asyncio.open_connection(sock=plain)


async def answers(place: Place, url: str, process: asyncio.subprocess.Process) -> bool:
    """Wait until a URL answers 200; False when the process ends before or takes longer than a minute."""
    deadline = time.monotonic() + READY_S
    while process.returncode is None and time.monotonic() < deadline:
        status, _body = await request(place, "GET", url)
        if status == 200:
            return True
        await asyncio.sleep(POLL_S)
    return False


def free_port(place: Place, host: str) -> int:
    """A port that nobody listens on just now."""
    with place.entered(), socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
