"""A client, a router and a server in network namespaces of their own, for tests that need real routes and firewalls."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from tests.binaries import need
from tests.program import Ran, clean_environment

SERVER, SERVER_6 = "10.77.2.2", "fd77:2::2"
"""The server's addresses; the router is 10.77.1.1 to the client."""


@dataclass(frozen=True)
class Routed:
    """The three namespaces, by their names: ``client``, ``router``, ``server``."""

    names: dict[str, str]

    def run(self, where: str, *argv: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a command there and wait for it."""
        return subprocess.run(
            self.entering(where, *argv), capture_output=True, text=True, timeout=timeout, env=clean_environment()
        )

    def start(self, where: str, *argv: str) -> subprocess.Popen[str]:
        """Start a command there."""
        return subprocess.Popen(
            self.entering(where, *argv),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(),
        )  # fmt: skip

    def entering(self, where: str, *argv: str) -> list[str]:
        """The command line that runs a command there."""
        return ["ip", "netns", "exec", self.names[where], *argv]

    def must(self, where: str, line: str) -> None:
        """Run a line of words there that has to succeed."""
        done = self.run(where, *line.split())
        assert done.returncode == 0, f"{line}: {done.stderr}"

    def meshdiag(self, *arguments: str, before: Sequence[str] = ()) -> Ran:
        """Run the program at the client."""
        done = self.run("client", *before, sys.executable, "-m", "meshdiag", *arguments, timeout=60)
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def routed() -> Iterator[Routed]:
    """The three, connected: client, router, server. Skips where nobody may make namespaces; in CI that fails."""
    for program in ("ip", "iptables", "ping"):
        need(program)
    names = {name: f"meshdiag-{os.getpid()}-{name}" for name in ("client", "router", "server")}
    made: list[str] = []
    try:
        for name in names.values():
            done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
            if done.returncode:
                reason = f"this machine lets nobody make network namespaces: {done.stderr.strip()}"
                pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
            made.append(name)
        here = Routed(names)
        _connect(here)
        yield here
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _connect(here: Routed) -> None:
    """Wires, addresses, routes."""
    for name in here.names:
        here.must(name, "ip link set lo up")
    for end, number in (("client", 1), ("server", 2)):
        here.must("router", f"ip link add to-{end} type veth peer name wire netns {here.names[end]}")
        here.must("router", f"ip addr add 10.77.{number}.1/24 dev to-{end}")
        here.must("router", f"ip addr add fd77:{number}::1/64 dev to-{end} nodad")
        here.must("router", f"ip link set to-{end} up")
        here.must(end, f"ip addr add 10.77.{number}.2/24 dev wire")
        here.must(end, f"ip addr add fd77:{number}::2/64 dev wire nodad")
        here.must(end, "ip link set wire up")
    here.must("router", "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratemask=0")
    here.must("server", "ip route add default via 10.77.2.1")
    here.must("server", "ip -6 route add default via fd77:2::1")
    here.must("client", "ip route add 10.77.0.0/16 via 10.77.1.1")
    here.must("client", "ip -6 route add fd77::/16 via fd77:1::1")
    _wait_for_ipv6(here)


def _wait_for_ipv6(here: Routed) -> None:
    """IPv6 takes a second or two to come up on a new wire."""
    for _ in range(20):
        if not here.run("client", "ping", "-6", "-n", "-c", "1", "-W", "1", SERVER_6).returncode:
            return
    pytest.fail("IPv6 does not work between two namespaces")
