"""``meshdiag peers`` over real routes and firewalls, beside ping and fping on the same targets."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from meshdiag.lab import Lab, LabOptions
from meshdiag.lab.background import lab_in_background
from tests.binaries import need
from tests.namespaces import SERVER, SERVER_6, Routed, routed
from tests.program import clean_environment

MESHDIAG = (sys.executable, "-m", "meshdiag")
LISTEN = """
import socket, sys, time
socks = [socket.create_server(("", int(port)), backlog=128) for port in sys.argv[1:]]
socks += [socket.create_server(("::", int(port)), family=socket.AF_INET6, backlog=128) for port in sys.argv[1:]]
print("listens", flush=True)
time.sleep(300)
"""
START_S = 0.5
"""About so long meshdiag takes to start, so that what it is compared with sends at the same time."""
OPEN, CLOSED, DROPPED, REJECTED, ADMIN = 4001, 4002, 4003, 4004, 4005
SILENT_HOST, NO_ICMP_HOST = "10.77.2.50", "10.77.2.51"


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    """Client, router and server; the server listens, drops and rejects, the router routes into nothing."""
    with routed() as here:
        for address in (SILENT_HOST, NO_ICMP_HOST):
            here.must("server", f"ip addr add {address}/24 dev wire")
        for rule in (
            f"-p tcp --dport {DROPPED} -j DROP",
            f"-p tcp --dport {REJECTED} -j REJECT",
            f"-p tcp --dport {ADMIN} -j REJECT --reject-with icmp-admin-prohibited",
            f"-d {SILENT_HOST} -j DROP",
            f"-p icmp -d {NO_ICMP_HOST} -j DROP",
        ):
            here.must("server", f"iptables -A INPUT {rule}")
        here.must("router", "sysctl -qw net.ipv4.neigh.to-server.retrans_time_ms=50")
        for route in (
            "unreachable 10.77.30.0/24", "prohibit 10.77.31.0/24", "blackhole 10.77.32.0/24",
            f"10.77.33.0/24 via {SERVER}",
        ):  # fmt: skip
            here.must("router", f"ip route add {route}")
        here.must("router", "ip -6 route add prohibit fd77:31::/64")
        here.must("server", "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratemask=0")
        for route in ("prohibit 10.88.1.0/24", "unreachable 10.88.2.0/24", "blackhole 10.88.3.0/24"):
            here.must("client", f"ip route add {route}")
        here.must("client", "ip route add 10.77.34.0/24 via 10.77.1.1")
        listening = here.start(
            "server", sys.executable, "-c", LISTEN, str(OPEN), str(DROPPED), str(REJECTED), str(ADMIN)
        )
        try:
            assert listening.stdout is not None and listening.stdout.readline()
            yield here
        finally:
            listening.kill()
            listening.communicate()


@pytest.fixture(scope="module")
def told(net: Routed) -> dict[str, dict[str, Any]]:
    """One look at everything that can be the matter, all at once: rows and findings by what was typed."""
    found: dict[str, dict[str, Any]] = {}
    for count, places in ((4, [place for place in PLACES if place not in SAID_SELDOM]), (1, SAID_SELDOM)):
        ran = net.meshdiag("peers", *places, "--count", str(count), "--timeout", "700ms", "-o", "json")
        latency = {one["subject"]: one for one in ran.check("peers.latency")["findings"]}
        found |= {row["peer"]: row | {"finding": latency[row["peer"]]} for row in ran.report["data"]}
    return found


SAID_SELDOM = ("10.77.30.1:4001", "10.77.31.1", "10.77.34.1")
"""Where Linux as a router says why at most five times, then once a second."""
PLACES = {
    # what is typed: the method that answers, the trouble that scripts read, words of the sentence, the verdict
    f"{SERVER}:{OPEN}": ("icmp", None, "answers", "pass"),
    f"[{SERVER_6}]:{OPEN}": ("icmp", None, "answers", "pass"),
    SERVER: ("icmp", None, "the host answers", "pass"),
    f"{SERVER}:{CLOSED}": ("icmp", "port refused", "answers ICMP, and nothing listens on port 4002", "fail"),
    f"[{SERVER_6}]:{CLOSED}": ("icmp", "port refused", "nothing listens on port 4002", "fail"),
    f"{SERVER}:{DROPPED}": ("icmp", "port timeout", "port 4003 stays silent: a firewall drops", "fail"),
    f"{SERVER}:{REJECTED}": ("icmp", "port prohibited", f"a firewall forbids it (says {SERVER})", "fail"),
    f"{SERVER}:{ADMIN}": ("icmp", "port prohibited", f"a firewall forbids it (says {SERVER})", "fail"),
    f"{NO_ICMP_HOST}:{OPEN}": ("tcp", "icmp timeout", "port 4001 answers", "pass"),
    f"{NO_ICMP_HOST}:{CLOSED}": (None, "icmp timeout, tcp refused", "nothing listens on port 4002", "fail"),
    f"{SILENT_HOST}:{OPEN}": (None, "icmp timeout, tcp timeout", "does not answer in time", "fail"),
    SILENT_HOST: (None, "icmp timeout", "the host does not answer in time", "fail"),
    "10.77.2.99:4001": (None, "icmp host-unreachable, tcp host-unreachable", "no machine there has the", "fail"),
    "10.77.30.1:4001": (None, "icmp host-unreachable, tcp host-unreachable", "(says 10.77.1.1)", "fail"),
    "10.77.31.1": (None, "icmp prohibited", "a firewall forbids it (says 10.77.1.1)", "fail"),
    "[fd77:31::1]:4001": (None, "icmp prohibited, tcp prohibited", "a firewall forbids it (says fd77:1::1)", "fail"),
    "10.77.32.1:4001": (None, "icmp timeout, tcp timeout", "does not answer in time", "fail"),
    "10.77.33.1:4001": (None, "icmp ttl-exceeded, tcp ttl-exceeded", "packets go in a circle", "fail"),
    "10.77.34.1": (None, "icmp unreachable", "no route to the host (says 10.77.1.1)", "fail"),
    "10.88.1.1:4001": (None, "icmp prohibited, tcp prohibited", "a firewall forbids it", "fail"),
    "10.88.2.1:4001": (None, "icmp host-unreachable, tcp host-unreachable", "no machine there", "fail"),
    "10.88.3.1:4001": (None, "icmp unreachable, tcp unreachable", "there is no route", "fail"),
    "10.99.0.1:4001": (None, "icmp unreachable, tcp unreachable", "there is no route", "fail"),
    "10.77.1.99:4001": (None, "icmp host-unreachable, tcp host-unreachable", "(says 10.77.1.2)", "fail"),
    "no-such-host.invalid:4001": (None, "unknown-host", "cannot be looked up", "unknown"),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_every_way_of_not_answering_is_told_apart(told: dict[str, dict[str, Any]], place: str) -> None:
    """Open, closed, dropped, rejected, unreachable by whose word, forbidden, in a circle, unknown: real ones, each with
    its own words."""
    method, trouble, words, verdict = PLACES[place]
    row = told[place]
    seen = "unknown-host" if row["trouble"] == "no-resolver" else row["trouble"]  # a namespace has none
    assert (row["method"], seen) == (method, trouble)
    assert words in row["finding"]["message"]
    assert row["finding"]["verdict"] == verdict


def test_a_machine_that_may_not_send_icmp_probes_by_tcp(net: Routed) -> None:
    """Without privilege it falls back, and says what it could not do; asked for ICMP alone it is unknown."""
    need("setpriv")
    drop = ("setpriv", "--bounding-set=-net_raw")
    ran = net.meshdiag("peers", f"{SERVER}:{OPEN}", "--count", "3", "-o", "json", before=drop)
    (row,) = ran.report["data"]
    assert (ran.code, row["method"], row["trouble"]) == (0, "tcp", "icmp not-allowed")
    ran = net.meshdiag("peers", SERVER, "--method", "icmp", "--count", "3", "-o", "json", before=drop)
    assert ran.code == 3
    assert "ping_group_range" in ran.check("peers.latency")["hint"]


def test_where_the_system_allows_it_no_privilege_is_needed(net: Routed) -> None:
    """A datagram socket does the same: replies are timed, and routers' words are told apart."""
    need("setpriv")
    net.run("client", "sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647").check_returncode()
    places = [SERVER, SERVER_6, "10.77.31.1", "10.77.30.1", "fd77:31::1", "10.99.0.1", "10.77.33.1"]
    try:
        drop = ("setpriv", "--bounding-set=-net_raw")
        ran = net.meshdiag(
            "peers", *places, "--method", "icmp", "--count", "1", "--timeout", "500ms", "-o", "json", before=drop
        )
    finally:
        net.run("client", "sysctl", "-qw", "net.ipv4.ping_group_range=1 0")
    rows = {row["peer"]: row for row in ran.report["data"]}
    assert {place: rows[place]["trouble"] for place in places} == {
        SERVER: None,
        SERVER_6: None,
        "10.77.31.1": "icmp prohibited",
        "10.77.30.1": "icmp host-unreachable",
        "fd77:31::1": "icmp prohibited",
        "10.99.0.1": "icmp unreachable",
        "10.77.33.1": "icmp ttl-exceeded",
    }
    assert rows[SERVER]["received"] == rows[SERVER_6]["received"] == 1
    assert 0 < rows[SERVER]["median_s"] < 0.05


def near(ours_s: float, theirs_s: float) -> bool:
    """Within a tenth, or 0.2 ms."""
    return abs(ours_s - theirs_s) <= max(0.1 * theirs_s, 0.0002)


@pytest.fixture(scope="module")
def lossy() -> Iterator[Lab]:
    """A lab whose links are really slow, and lose really, seen from a machine of its own."""
    need("fping")
    with lab_in_background(LabOptions(faults=("slow-peer", "lossy-peer"), netns=True)) as lab:
        yield lab


def fping(output: str) -> dict[str, list[float | None]]:
    """The answers of ``fping -C -q`` by target, in seconds; None for what was lost."""
    found = {}
    for line in output.strip().splitlines():
        target, _, values = line.partition(" : ")
        found[target.strip()] = [None if value == "-" else float(value) / 1e3 for value in values.split()]
    return found


def test_fping_sees_the_same_medians(lossy: Lab) -> None:
    """The same targets in the same run, near, far and lossy: the medians agree within a tenth or 0.2 ms. A process of
    the lab carries the packets; on a busy machine it is late at times, so a look that was disturbed is made again."""
    assert lossy.network is not None
    addresses = [node.peer.rpartition(":")[0] for node in lossy.nodes]
    enter = lossy.network.entering("observer")
    apart: dict[str, tuple[float, float]] = {}
    for _ in range(3):
        ours = subprocess.Popen(
            [*enter, *MESHDIAG, "peers", *addresses, "--method", "icmp", "--count", "30", "--interval", "0.05",
             "-o", "json"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(START_S)
        theirs = subprocess.run(
            [*enter, "fping", "-C", "30", "-p", "50", "-q", "-t", "1000", *addresses],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        rows = {row["address"]: row for row in json.loads(ours.communicate(timeout=60)[0])["data"]}
        seen = fping(theirs.stderr)
        assert sorted(rows) == sorted(seen) == sorted(addresses)
        medians = {host: statistics.median(one for one in times if one is not None) for host, times in seen.items()}
        apart = {host: (rows[host]["median_s"], took) for host, took in medians.items()}
        apart = {host: both for host, both in apart.items() if not near(*both)}
        lossiest = max(seen, key=lambda host: seen[host].count(None))
        assert rows[lossiest]["loss"] == max(row["loss"] for row in rows.values())
        if not apart:
            return
    assert not apart


def test_fping_and_ping_see_the_same_loss(net: Routed) -> None:
    """An outage in the middle costs all three the same share of what they send, within a tenth."""
    need("fping")
    count, rule = 40, f"INPUT -p icmp -d {SERVER} -j DROP"
    ours = net.start("client", *MESHDIAG, "peers", SERVER, "--count", str(count), "--interval", "0.05", "-o", "json")
    time.sleep(START_S)
    theirs = net.start("client", "fping", "-C", str(count), "-p", "50", "-q", "-t", "500", SERVER)
    ping = net.start("client", "ping", "-n", "-q", "-c", str(count), "-i", "0.05", SERVER)
    time.sleep(0.6)
    net.must("server", f"iptables -I {rule}")
    time.sleep(0.5)
    net.must("server", f"iptables -D {rule}")
    (row,) = json.loads(ours.communicate(timeout=30)[0])["data"]
    (times,) = fping(theirs.communicate(timeout=30)[1]).values()
    (percent,) = re.findall(r"([\d.]+)% packet loss", ping.communicate(timeout=30)[0])
    assert 0.1 < row["loss"] < 0.5
    assert abs(row["loss"] - times.count(None) / count) <= 0.1
    assert abs(row["loss"] - float(percent) / 100) <= 0.1


def test_the_slow_and_the_lossy_peer_are_named(lossy: Lab) -> None:
    """What the lab does to its links is what the table says: the fault's own expectations hold."""
    assert lossy.network is not None
    (slow,), (lost,) = lossy.faulty["slow-peer"], lossy.faulty["lossy-peer"]
    enter = lossy.network.entering("observer")
    done = subprocess.run(
        [*enter, *MESHDIAG, "peers", "--count", "20", "--interval", "0.05", "-o", "json"],
        capture_output=True, text=True, timeout=60, env=clean_environment(**lossy.environment),
    )  # fmt: skip
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    by_check = {
        one["id"]: {found["labels"]["node"] for found in one["findings"] if found["verdict"] in ("warn", "fail")}
        for one in report["checks"]
    }
    assert slow in by_check["peers.latency"]
    assert lost in by_check["peers.loss"]


def test_ping_on_a_quiet_wire_says_the_same(net: Routed) -> None:
    """Over a veth pair a round trip takes microseconds: ping and meshdiag agree within 0.2 ms."""
    ping = net.run("client", "ping", "-n", "-c", "10", "-i", "0.1", SERVER)
    theirs = [float(found) / 1e3 for found in re.findall(r"time=([\d.]+) ms", ping.stdout)]
    ran = net.meshdiag("peers", SERVER, "--interval", "0.1s", "-o", "json")
    (row,) = ran.report["data"]
    assert near(row["median_s"], statistics.median(theirs))
    assert row["loss"] == 0
