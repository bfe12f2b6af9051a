"""What is probed, by which method, and what came of it: plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Method(StrEnum):
    """How a target is asked, best first: what needs the least of it comes first."""

    ICMP = "icmp"
    TCP = "tcp"
    TLS = "tls"
    HTTP = "http"


class ProbeTrouble(StrEnum):
    """Why a probe brought no answer. Each is told apart where the network tells it apart; ``TIMEOUT`` is what a
    firewall that drops packets looks like, and a machine that is gone."""

    REFUSED = "refused"
    """The host answers that nothing listens there."""
    TIMEOUT = "timeout"
    UNKNOWN_HOST = "unknown-host"
    NO_RESOLVER = "no-resolver"
    """Nobody says whether there is such a name."""
    UNREACHABLE = "unreachable"
    """No route to the network, says this machine or a router on the way."""
    HOST_UNREACHABLE = "host-unreachable"
    """The network is there, and nobody in it has the address."""
    PROHIBITED = "prohibited"
    """A firewall says that it forbids it."""
    TTL_EXCEEDED = "ttl-exceeded"
    """The packet went in a circle, or too far."""
    STALLED = "stalled"
    """The port accepts, and then nothing comes."""
    CLOSED = "closed"
    """The port accepts, and then hangs up."""
    NO_TLS = "no-tls"
    """What answers does not speak TLS."""
    NO_HTTP = "no-http"
    """What answers does not speak HTTP."""
    CERTIFICATE_WANTED = "certificate-wanted"
    """The server wants a client's certificate before it answers."""
    NOT_ALLOWED = "not-allowed"
    """This process may not send such packets."""
    NO_PORT = "no-port"
    """The method needs a port, and the target names none."""
    BAD_ADDRESS = "bad-address"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Target:
    """What to probe: ``address`` is ``host:port`` or a bare host. ``url`` is what HTTP asks (the root of the address
    where it is empty). ``name``, ``role`` and ``instance`` are what else is known of it."""

    address: str
    name: str = ""
    role: str = ""
    instance: str = ""
    url: str = ""


_NO_STAGES: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one method brought: ``times_s`` of the probes that were answered, in the order of sending, of ``sent``.
    ``trouble`` is why the last one that failed did; ``said_by`` is the router that said so. ``stages_s``: the
    medians of name, connect, tls and first_byte, in seconds."""

    method: Method
    ip: str = ""
    sent: int = 0
    times_s: tuple[float, ...] = ()
    trouble: ProbeTrouble | None = None
    said_by: str = ""
    stages_s: Mapping[str, float] = field(default_factory=lambda: _NO_STAGES)


@dataclass(frozen=True, slots=True)
class Probed:
    """What is known of a target. ``method`` is the one that answered, None when none did; ``trouble`` is then that
    of the last, else why single probes failed. ``tried`` names the methods that did not work and why, in order.
    ``port`` is what a TCP connect to the port brought where another method gave the times."""

    target: Target
    method: Method | None = None
    ip: str = ""
    sent: int = 0
    times_s: tuple[float, ...] = ()
    trouble: ProbeTrouble | None = None
    tried: tuple[tuple[Method, str], ...] = ()
    stages_s: Mapping[str, float] = field(default_factory=lambda: _NO_STAGES)
    said_by: str = ""
    port: Answer | None = None

    @property
    def received(self) -> int:
        """How many probes were answered."""
        return len(self.times_s)

    @property
    def loss(self) -> float | None:
        """The share of probes without an answer; None where none was sent."""
        return 1 - self.received / self.sent if self.sent else None


NEIGHBOUR_S = 3.3
"""After so long Linux, having asked a network three times who has an address, says that nobody has."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to probe: each target ``count`` times, ``interval_s`` apart, each time waiting ``timeout_s`` seconds at
    most, by the first of ``methods`` that answers. No methods: what fits the target (see ``Prober``)."""

    methods: tuple[Method, ...] = ()
    count: int = 10
    interval_s: float = 0.2
    timeout_s: float = 1.0

    @property
    def lasts_s(self) -> float:
        """Seconds that it takes where one method after the other waits in vain."""
        once = self.count * self.interval_s + max(self.timeout_s, NEIGHBOUR_S)
        return once * max(2, len(self.methods)) + 4 * self.timeout_s
