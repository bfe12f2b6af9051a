"""Sends echo requests to many addresses and keeps the answers: one socket a family, one task that sends.

icmplib, the kept library, has a socket and a thread or task of its own for each host, takes one answer at a time and
times by the clock of the process; a thousand hosts at once need the one socket and the kernel's clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import heapq
import ipaddress
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshdiag.sources.probing.answers import NEIGHBOUR_S, Answer, Method, ProbeTrouble
from meshdiag.sources.probing.icmp.sockets import EchoSocket, NotAllowed, open_socket, receive
from meshdiag.sources.probing.troubles import next_error, of_error

if TYPE_CHECKING:
    from meshdiag.sources.probing.answers import Plan
    from meshdiag.sources.probing.pace import Pace
    from meshdiag.sources.resolving import Place

READ_AT_ONCE = 256
"""Packets read before the loop gets its turn."""
CLOCK_STEP_S = 0.05
"""When the wall clock and the steady one have gone differently by more since a request, the wall clock was set."""


@dataclass(eq=False, slots=True)
class Line:
    """The echo requests to one address, each waited for ``timeout_s``. ``spoke`` is settled at the first sign: True for
    a reply, False for an error or for silence as long as the timeout; ``done`` when nothing is awaited any more."""

    place: Place
    timeout_s: float
    spoke: asyncio.Future[bool]
    done: asyncio.Future[None]
    sent: list[tuple[int, float]] = field(default_factory=list)
    """When each request went out: wall clock in ns, steady clock in s."""
    times: dict[int, float] = field(default_factory=dict)
    trouble: ProbeTrouble | None = None
    said_by: str = ""

    @property
    def answer(self) -> Answer:
        """What came of it so far; of a request that may still be answered nothing is said."""
        times = tuple(self.times[number] for number in sorted(self.times))
        sent = len(self.sent) if self.done.done() else len(self.sent) - self._awaited()
        trouble = self.trouble
        if trouble is None and len(times) < sent:
            trouble = ProbeTrouble.TIMEOUT
        return Answer(Method.ICMP, str(self.place[1][0]), sent, times, trouble, self.said_by)

    def _awaited(self) -> int:
        since = time.monotonic() - self.timeout_s
        return sum(steady > since and number not in self.times for number, (_wall, steady) in enumerate(self.sent))

    def spoken(self, sign: bool) -> None:
        """Settle ``spoke``, once."""
        if not self.spoke.done():
            self.spoke.set_result(sign)

    def finish(self) -> None:
        """Nothing is awaited any more."""
        self.spoken(bool(self.times))
        if not self.done.done():
            self.done.set_result(None)


class Pinger:
    """Echo requests by a plan. An address is asked once however often it is given. Close it at the end."""

    def __init__(self, plan: Plan, pace: Pace) -> None:
        self._plan, self._pace = plan, pace
        self._sockets: dict[socket.AddressFamily, EchoSocket | ProbeTrouble] = {}
        self._lines: dict[bytes, Line] = {}
        self._due: list[tuple[float, int, Line]] = []
        self._begun = 0
        self._wake = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None
        self._requests: dict[tuple[bool, int], bytes] = {}

    def ping(self, place: Place) -> Line:
        """Begin with an address; the line fills by itself."""
        family, target = place
        packed = ipaddress.ip_address(str(target[0]).partition("%")[0]).packed
        if (known := self._lines.get(packed)) is not None:
            return known
        loop = asyncio.get_running_loop()
        spoke, done = loop.create_future(), loop.create_future()
        line = self._lines[packed] = Line(place, self._plan.timeout_s, spoke, done)
        opened = self._socket(family)
        if isinstance(opened, ProbeTrouble):
            line.trouble = opened
            line.finish()
            return line
        self._begun += 1
        heapq.heappush(self._due, (time.monotonic(), self._begun, line))
        self._wake.set()
        self._sender = self._sender or asyncio.create_task(self._send_all())
        return line

    async def aclose(self) -> None:
        """Stop sending and close the sockets."""
        if self._sender is not None:
            self._sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sender
        for one in self._sockets.values():
            if isinstance(one, EchoSocket):
                asyncio.get_running_loop().remove_reader(one.plain)
                one.plain.close()
        for line in self._lines.values():
            line.finish()

    def _socket(self, family: socket.AddressFamily) -> EchoSocket | ProbeTrouble:
        if family not in self._sockets:
            try:
                opened = open_socket(family)
            except NotAllowed:
                self._sockets[family] = ProbeTrouble.NOT_ALLOWED
            except OSError as error:
                self._sockets[family] = of_error(error)
            else:
                self._sockets[family] = opened
                asyncio.get_running_loop().add_reader(opened.plain, self._read, opened)
        return self._sockets[family]

    async def _send_all(self) -> None:
        """Send what is due, in its order, for as long as there are lines."""
        while True:
            while not self._due:
                self._wake.clear()
                await self._wake.wait()
            due, number, line = self._due[0]
            if (ahead := due - time.monotonic()) > 0:
                self._wake.clear()
                alarm = asyncio.get_running_loop().call_later(ahead, self._wake.set)
                await self._wake.wait()
                alarm.cancel()
                continue
            heapq.heappop(self._due)
            await self._pace.turn()
            await self._send(line)
            if len(line.sent) < self._plan.count:
                heapq.heappush(self._due, (max(due + self._plan.interval_s, time.monotonic()), number, line))

    async def _send(self, line: Line) -> None:
        opened = self._sockets[line.place[0]]
        assert isinstance(opened, EchoSocket)
        number = len(line.sent)
        line.sent.append((time.time_ns(), time.monotonic()))
        loop, timeout_s = asyncio.get_running_loop(), self._plan.timeout_s
        try:
            await self._write(opened, self._request(opened, number + 1), line)
        except OSError as error:
            line.trouble, line.said_by = of_error(error), ""
            line.spoken(False)
        if number == 0:
            loop.call_later(timeout_s, line.spoken, False)
        if number + 1 == self._plan.count:
            loop.call_later(timeout_s, self._finish, line)

    def _finish(self, line: Line) -> None:
        """The end of a line's patience; of silence a little later, for somebody may still say why."""
        rest = line.sent[0][1] + NEIGHBOUR_S - time.monotonic()
        if rest > 0 and not line.times and line.trouble is None:
            asyncio.get_running_loop().call_later(rest, line.finish)
        else:
            line.finish()

    def _request(self, opened: EchoSocket, sequence: int) -> bytes:
        """The packet of that number: the same for all addresses of a family."""
        key = (opened.plain.family == socket.AF_INET6, sequence)
        if key not in self._requests:
            self._requests[key] = opened.packets.request(sequence)
        return self._requests[key]

    async def _write(self, opened: EchoSocket, packet: bytes, line: Line) -> None:
        """Send one packet. Raises ``OSError``. An error that an earlier packet left on the socket comes first, once."""
        target = (line.place[1][0], 0, *line.place[1][2:])
        for patience in (3, 2, 1, 0):
            line.sent[-1] = (time.time_ns(), time.monotonic())
            try:
                opened.plain.sendto(packet, target)
            except (BlockingIOError, InterruptedError):
                await asyncio.sleep(0.002)
            except OSError as error:
                if not patience or (opened.raw and error.errno != errno.ENOBUFS):
                    raise
                self._read_errors(opened)
                await asyncio.sleep(0.002 if error.errno == errno.ENOBUFS else 0)
            else:
                return

    def _read(self, opened: EchoSocket) -> None:
        """Take what has arrived."""
        if not opened.raw:
            self._read_errors(opened)
        for _ in range(READ_AT_ONCE):
            received = receive(opened.plain)
            if received is None:
                return
            packet, sender, arrived_ns = received
            heard = opened.packets.read(packet)
            if heard is not None:
                source = _packed(sender)
                line = self._lines.get(heard.target or source)
                if line is not None:
                    self._note(line, heard.sequence - 1, arrived_ns, heard.trouble, str(sender[0]))

    def _read_errors(self, opened: EchoSocket) -> None:
        """Take the words of routers that the system has kept."""
        for _ in range(READ_AT_ONCE):
            kept = next_error(opened.plain)
            if kept is None:
                return
            packet, target, trouble, said_by = kept
            sequence = opened.packets.read_request(packet)
            line = self._lines.get(_packed(target))
            if line is not None and sequence is not None:
                self._note(line, sequence - 1, time.time_ns(), trouble, said_by)

    def _note(self, line: Line, number: int, arrived_ns: int, trouble: ProbeTrouble | None, said_by: str) -> None:
        """Keep what is heard of one request."""
        if not 0 <= number < len(line.sent) or number in line.times or line.done.done():
            return
        if trouble is not None:
            line.trouble, line.said_by = trouble, said_by
            line.spoken(False)
            return
        took = _took(line.sent[number], arrived_ns)
        if took > self._plan.timeout_s:
            return
        line.times[number] = took
        line.spoken(True)
        if len(line.times) == self._plan.count:
            line.finish()


def _took(sent: tuple[int, float], arrived_ns: int) -> float:
    """Seconds from sending to arrival by the kernel's clock; by the steady clock where the other was set meanwhile."""
    wall, steady = (time.time_ns() - sent[0]) / 1e9, time.monotonic() - sent[1]
    took = (arrived_ns - sent[0]) / 1e9
    return took if abs(wall - steady) < CLOCK_STEP_S and took > 0 else steady


def _packed(address: Any) -> bytes:
    try:
        return ipaddress.ip_address(str(address[0]).partition("%")[0]).packed
    except (ValueError, IndexError):
        return b""
