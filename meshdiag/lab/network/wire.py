"""The wire between the machines of a lab: reads packets from TUN devices and hands them over later, or never.

It runs as a process of its own, with nothing but the standard library, so that nothing else keeps packets
waiting. Its standard input is a pipe from the lab: a line of JSON says which descriptor is whose and how the links
are; when the pipe ends the lab is gone, in whatever way, and so are the devices. Packets are never changed.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import math
import os
import select
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any

LARGEST_PACKET = 65_536
AT_ONCE = 64
"""Packets that are read from one device before the others have their turn."""
MOST_WAITING = 20_000
"""Packets that are on their way at most; more are dropped, as a full queue does."""
HANDLING_S = 0.00008
"""What reading, waiting and writing add to each packet's way here: it is sent on so much earlier."""
MORE_OFTEN = -15
"""Niceness: a wire that waits for the processor is a slow wire."""


@dataclass(frozen=True, slots=True)
class Way:
    """What becomes of packets between two ports: seconds they take, give or take ``jitter_s``; one of each
    ``loses_one_in`` is lost (1: all, 0: none), so that a few packets lose about as large a share as many do."""

    delay_s: float
    jitter_s: float = 0.0
    loses_one_in: int = 0


@dataclass(slots=True)
class Wire:
    """Which packets are on their way, and when they arrive. ``owners`` maps the addresses as they stand in packets
    to ports; ``distances`` are how far (seconds) each port is from the middle, ``unlike`` the paths that are not
    the sum of two distances."""

    owners: dict[bytes, int]
    distances: list[float]
    unlike: dict[tuple[int, int], Way] = field(default_factory=dict)
    random: Random = field(default_factory=Random)
    _waiting: list[tuple[float, int, int, bytes]] = field(default_factory=list)
    _latest: dict[tuple[int, int], float] = field(default_factory=dict)
    _groups: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    _taken: int = 0

    def take(self, packet: bytes, source: int, now: float) -> None:
        """Take a packet that came from a port at ``now``. It is dropped when it is nobody's, lost, or one too many."""
        target = self.owners.get(destination(packet))
        if target is None or target == source or len(self._waiting) >= MOST_WAITING:
            return
        pair = (source, target)
        way = self.unlike.get(pair) or Way(self.distances[source] + self.distances[target])
        if way.loses_one_in and self._is_lost(pair, way.loses_one_in):
            return
        due = now + way.delay_s
        if way.jitter_s:
            due += way.jitter_s * (2 * self.random.random() - 1)
        due = self._latest[pair] = max(due, self._latest.get(pair, 0.0))  # a wire does not change the order
        self._taken += 1
        heapq.heappush(self._waiting, (due, self._taken, target, packet))

    def _is_lost(self, pair: tuple[int, int], one_in: int) -> bool:
        """Whether a pair's next packet is the one of its group that is lost; which one that is, is drawn anew."""
        number, unlucky = self._groups.get(pair, (0, 0))
        if number % one_in == 0:
            unlucky = number + self.random.randrange(one_in)
        self._groups[pair] = (number + 1, unlucky)
        return number == unlucky

    def due(self, now: float) -> list[tuple[int, bytes]]:
        """The packets that have arrived by ``now``, each with its port, in the order of arrival."""
        arrived = []
        while self._waiting and self._waiting[0][0] <= now:
            _due, _number, target, packet = heapq.heappop(self._waiting)
            arrived.append((target, packet))
        return arrived

    @property
    def next_due(self) -> float:
        """When the next packet arrives; infinity when none is on its way."""
        return self._waiting[0][0] if self._waiting else math.inf


def destination(packet: bytes) -> bytes:
    """The address that an IPv4 or IPv6 packet goes to, as it stands there; nothing for what is neither."""
    version = packet[0] >> 4 if packet else 0
    if version == 4:
        return packet[16:20]
    return packet[24:40] if version == 6 else b""


def read_setup(line: str) -> tuple[list[int], Wire]:
    """The ports' descriptors and the wire that a line of JSON describes: ``ports`` with ``descriptor``, ``addresses``
    and ``distance_s``, ``unlike`` as ``[from, to, delay_s, jitter_s, loses_one_in]``,
    ``seed``."""
    setup: dict[str, Any] = json.loads(line)
    ports = setup["ports"]
    owners = {_packed(text): number for number, port in enumerate(ports) for text in port["addresses"]}
    unlike = {(one, other): Way(*rest) for one, other, *rest in setup["unlike"]}
    wire = Wire(owners, [port["distance_s"] for port in ports], unlike, Random(setup["seed"]))
    return [port["descriptor"] for port in ports], wire


def _packed(address: str) -> bytes:
    return inet_pton(AF_INET6 if ":" in address else AF_INET, address)


def carry(descriptors: list[int], wire: Wire, control: int) -> None:
    """Carry packets until the control pipe ends."""
    places = {descriptor: number for number, descriptor in enumerate(descriptors)}
    while True:
        wait = None if wire.next_due == math.inf else max(0.0, wire.next_due - HANDLING_S - time.monotonic())
        # Unlike epoll and poll, select waits for fractions of a millisecond.
        readable, _, _ = select.select([control, *descriptors], [], [], wait)
        for descriptor in readable:
            if descriptor == control:
                if not os.read(control, 4096):
                    return
            else:
                _collect(descriptor, wire, places[descriptor])
        for target, packet in wire.due(time.monotonic() + HANDLING_S):
            with contextlib.suppress(OSError):  # a device that is down or full drops it
                os.write(descriptors[target], packet)


def _collect(descriptor: int, wire: Wire, place: int) -> None:
    for _ in range(AT_ONCE):
        try:
            packet = os.read(descriptor, LARGEST_PACKET)
        except OSError:
            return
        wire.take(packet, place, time.monotonic())


def main() -> None:
    """Read the setup, say that it is understood, and carry packets."""
    _wake_on_time()
    descriptors, wire = read_setup(sys.stdin.buffer.readline().decode())
    os.write(1, b"ready\n")
    carry(descriptors, wire, sys.stdin.fileno())


def _wake_on_time() -> None:
    """Ask the kernel to wake this process neither late nor after others, as far as it lets us."""
    with contextlib.suppress(OSError):
        Path("/proc/self/timerslack_ns").write_text("1000")
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, MORE_OFTEN)


if __name__ == "__main__":
    main()
