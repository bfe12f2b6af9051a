"""A lab with a network of its own: what ping, TCP and real exporters see there, and that nothing of it is left."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from meshdiag.lab import Lab, LabOptions, running
from meshdiag.lab.background import lab_in_background
from meshdiag.lab.network.links import OBSERVER
from meshdiag.lab.network.namespaces import TUN, may_make
from tests.binaries import need

MESHDIAG = (sys.executable, "-m", "meshdiag")
WAIT_S = 20.0


@pytest.fixture(autouse=True)
def namespaces() -> None:
    """These tests need a machine that lets them make network namespaces, and ping."""
    for program in ("ping", "nsenter"):
        need(program)
    if os.geteuid() != 0:
        pytest.skip("network namespaces take root here")
    if not may_make() or not os.access(TUN, os.W_OK):
        reason = "this machine lets nobody make network namespaces with TUN devices"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@contextmanager
def networked(*faults: str, **options: object) -> Iterator[Lab]:
    """A lab with a network of its own."""
    with lab_in_background(LabOptions(faults=faults, netns=True, **options)) as lab:  # type: ignore[arg-type]
        yield lab


def on(lab: Lab, name: str, *argv: str) -> str:
    """What a command prints on a machine of the lab."""
    assert lab.network is not None
    ran = subprocess.run([*lab.network.entering(name), *argv], capture_output=True, text=True, timeout=30)
    return ran.stdout + ran.stderr


def pinged(lab: Lab, name: str, target: str, count: int = 20) -> list[float]:
    """The round trips in seconds, of those that came back, from one machine to an address."""
    output = on(lab, name, "ping", "-n", "-c", str(count), "-i", "0.01", "-W", "1", target)
    return [float(found) / 1e3 for found in re.findall(r"time=([\d.]+) ms", output)]


def address(lab: Lab, name: str) -> str:
    """A machine's IPv4 address."""
    assert lab.network is not None
    return lab.network.machines[name].address


def test_ping_sees_the_delay_that_was_planted() -> None:
    """Between any two machines no echo is faster than the link allows, and the fastest are not slower by more than a
    tenth or 0.2 ms; only the two ends of the slow link are far from each other."""
    with networked("slow-consensus") as lab:
        slow, voter = lab.faulty["slow-consensus"]
        other = next(node.name for node in lab.nodes if node.name not in (slow, voter))
        for one, two in ((slow, voter), (slow, other), (OBSERVER, voter), (other, slow)):
            link = lab.mesh.link(one, two)
            took = pinged(lab, one, address(lab, two))
            assert len(took) == 20
            least = 2 * (link.delay_s - link.jitter_s)
            assert min(took) > least - 0.0002
            assert min(took) - 2 * link.delay_s < max(0.2 * link.delay_s, 0.0002), (one, two, took)
            assert (statistics.median(took) > 0.3) == ({one, two} == {slow, voter})


def test_the_kernel_s_own_clock_of_tcp_agrees() -> None:
    """A TCP handshake with a node that is far from everybody takes as long as the way there and back, by IPv4 and
    IPv6; others answer within milliseconds."""
    with networked("slow-peer") as lab:
        assert lab.network is not None
        (far,) = lab.faulty["slow-peer"]
        near = next(node.name for node in lab.nodes if node.name != far)
        link = lab.mesh.link(OBSERVER, far)
        for text in lab.network.machines[far].namespace.addresses:
            assert abs(handshake_s(lab, text) - 2 * link.delay_s) < 0.1 * link.delay_s + 2 * link.jitter_s
        assert handshake_s(lab, address(lab, near)) < 0.02


def handshake_s(lab: Lab, host: str) -> float:
    """The round trip that the kernel measured while it connected to a peer port from the observer's machine."""
    with lab.place.entered():
        plain = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    with plain:
        plain.settimeout(5)
        plain.connect((host, 4001))
        told = plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int.from_bytes(told[68:72], sys.byteorder) / 1e6


def test_a_partition_is_one_in_both_directions() -> None:
    """The two nodes that are cut off reach each other and are reached by the observer; neither side reaches the
    other."""
    with networked("partition") as lab:
        one, two = lab.faulty["partition"]
        rest = next(node.name for node in lab.nodes if node.name not in (one, two))
        assert len(pinged(lab, one, address(lab, two), 3)) == 3
        assert len(pinged(lab, OBSERVER, address(lab, one), 3)) == 3
        assert pinged(lab, one, address(lab, rest), 1) == []
        assert pinged(lab, rest, address(lab, two), 1) == []


def test_packets_are_really_lost() -> None:
    """Of echoes to a node that loses a quarter of its packets each way about 56 % come back, to others all."""
    with networked("lossy-peer") as lab:
        (ill,) = lab.faulty["lossy-peer"]
        well = next(node.name for node in lab.nodes if node.name != ill)
        back = len(pinged(lab, OBSERVER, address(lab, ill), 80))
        assert 38 <= back <= 52
        assert len(pinged(lab, OBSERVER, address(lab, well), 20)) == 20


def test_a_dead_node_s_machine_answers_and_its_ports_refuse() -> None:
    """The machine of a node that died still answers echoes; its ports refuse connections, as ports do that nobody
    listens on."""
    with networked("node-down") as lab:
        (dead,) = lab.faulty["node-down"]
        assert len(pinged(lab, OBSERVER, address(lab, dead), 2)) == 2
        for port in (9091, 4001):
            with lab.place.entered():
                plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            with plain, pytest.raises(ConnectionRefusedError):
                plain.settimeout(5)
                plain.connect((address(lab, dead), port))


def test_exporters_probe_from_where_they_are() -> None:
    """With blackbox-exporter each node has an exporter of its own, which the configuration names and which sees what
    that node sees: the partition from both of its sides."""
    need("blackbox-exporter")
    with networked("partition", with_=("blackbox-exporter",)) as lab:
        written = tomllib.loads(lab.config_file.read_text())["contexts"]["lab"]["nodes"]
        urls = {node["name"]: node["blackbox"] for node in written}
        assert len(set(urls.values())) == len(lab.nodes)
        one, two = lab.faulty["partition"]
        rest = next(node.name for node in lab.nodes if node.name not in (one, two))
        for viewpoint, target, reached in ((one, two, 1), (one, rest, 0), (rest, one, 0)):
            asked = f"{urls[viewpoint]}/probe?module=tcp_connect&target={lab.node(target).peer}"
            answer = on(lab, OBSERVER, "curl", "-s", "-H", "X-Prometheus-Scrape-Timeout-Seconds: 1", asked)
            assert f"\nprobe_success {reached}\n" in answer


@pytest.mark.parametrize("nodes", [7, 100])
def test_without_namespaces_one_exporter_serves_all(nodes: int) -> None:
    """On loopback the same exporter serves every node, at its entry or for all that stand in a file of their own, and
    it reaches their peer ports."""
    need("blackbox-exporter")
    import httpx

    with lab_in_background(LabOptions(nodes=nodes, with_=("blackbox-exporter",))) as lab:
        (url,) = {node.blackbox for node in lab.nodes}
        written = tomllib.loads(lab.config_file.read_text())["contexts"]["lab"]
        said = [one["blackbox"] for one in written.get("nodes", [written]) if one["blackbox"]]
        assert said == ([url] * nodes if nodes < 100 else [{"url": url}])
        asked = {"module": "tcp_connect", "target": lab.nodes[0].peer}
        assert "\nprobe_success 1\n" in httpx.get(f"{url}/probe", params=asked).text


def test_prometheus_scrapes_the_machines() -> None:
    """A real Prometheus in the lab's network has every node up, at the addresses and ports of the documentation, and
    COMMAND reaches both."""
    need("prometheus")
    script = (
        "since=$(date +%s); for attempt in 1 2 3 4 5 6 7 8 9; do sleep 1; "
        'found=$(promtool query instant "$PROMETHEUS_URL" "up and timestamp(up) > $since"); '
        '[ "$(echo "$found" | wc -l)" = 7 ] && break; done; echo "$found"; ip -o route'
    )
    argv = [*MESHDIAG, "lab", "run", "--netns", "--with", "prometheus", "--", "sh", "-c", script]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    for instance in ("198.18.1.1:9090", "198.18.2.4:9091", "198.18.3.2:9092"):
        assert f'instance="{instance}"' in ran.stdout
    assert ran.stdout.count(" => 1 @") == 7
    assert "default" not in ran.stdout


async def test_the_program_s_own_network_stays_as_it_is() -> None:
    """While a lab runs, and after, the process that runs it is in the network that it was in, and that one has the
    same devices and routes."""

    def seen() -> tuple[str, ...]:
        shown = (Path("/proc/thread-self/ns/net").readlink(), Path("/proc/self/net/dev").read_text().count(":"))
        return (*map(str, shown), Path("/proc/self/net/route").read_text())

    before = seen()
    async with running(LabOptions(netns=True)):
        assert seen() == before
    assert seen() == before


# What is left


class Begun:
    """A lab in a network of its own that runs with exporters and a command that waits."""

    def __init__(self, note: Path) -> None:
        script = 'echo "$$ $MESHDIAG_CONFIG" > "$0.part" && mv "$0.part" "$0"; sleep 60 & wait'
        argv = [*MESHDIAG, "lab", "run", "--netns", "--nodes", "4", "--with", "blackbox-exporter"]
        self.process = subprocess.Popen([*argv, "--", "sh", "-c", script, str(note)], stdin=subprocess.DEVNULL)
        assert until(note.exists)
        shell, config = note.read_text().split()
        self.shell, self.directory = int(shell), Path(config).parent
        self.namespaces = held_by(self.process.pid)


def until(happened: Callable[[], bool]) -> bool:
    """Wait for something to become true."""
    deadline = time.monotonic() + WAIT_S
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def held_by(pid: int) -> set[str]:
    """The network namespaces that a process holds open or is in, other than ours."""
    found = set()
    for entry in (Path(f"/proc/{pid}/ns/net"), *Path(f"/proc/{pid}/fd").iterdir()):
        with contextlib.suppress(OSError):
            found.add(str(entry.readlink()))
    return {one for one in found if one.startswith("net:")} - {str(Path("/proc/self/ns/net").readlink())}


def held_by_anybody() -> set[str]:
    """The same, of every process there is."""
    found: set[str] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                found |= held_by(int(entry.name))
    return found


@pytest.mark.parametrize("ending", [None, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_however_it_ends(tmp_path: Path, ending: signal.Signals | None) -> None:
    """After a normal end, SIGTERM or SIGKILL no process is in a namespace of the lab or holds one, so that they and
    their devices are gone, and so is the folder."""
    need("blackbox-exporter")
    begun = Begun(tmp_path / "note")
    try:
        assert len(begun.namespaces) == 5
        assert begun.namespaces <= held_by_anybody()
        if ending is None:
            os.kill(begun.shell, signal.SIGTERM)  # what it had started goes on
        else:
            begun.process.send_signal(ending)
        begun.process.wait(WAIT_S)
    finally:
        begun.process.kill()
        begun.process.wait()
    assert until(lambda: not begun.namespaces & held_by_anybody() and not begun.directory.exists())


# Without privileges

NO_ADMIN = ("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin")


def test_a_user_without_privileges_gets_a_network_in_a_world_of_their_own() -> None:
    """Who may not make network namespaces but may make user namespaces has the same network, and ping in it."""
    need("setpriv")
    if Path("/proc/sys/user/max_user_namespaces").read_text().strip() == "0":
        pytest.skip("this machine lets nobody make user namespaces")
    argv = [*NO_ADMIN, *MESHDIAG, "lab", "run", "--netns", "--", "ping", "-q", "-c", "2", "-i", "0.1", "198.18.2.1"]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert " 0% packet loss" in ran.stdout


def test_where_neither_is_allowed_it_is_said_in_a_sentence() -> None:
    """Without any way to a namespace the lab does not start, says why and what it takes, and leaves nothing."""
    need("setpriv")
    need("unshare")
    command = " ".join([*NO_ADMIN, *MESHDIAG, "lab", "run", "--netns", "--", "true"])
    script = f"echo 0 > /proc/sys/user/max_user_namespaces; exec {command}"
    ran = subprocess.run(["unshare", "-Ur", "sh", "-c", script], capture_output=True, text=True, timeout=30)
    assert (ran.returncode, ran.stdout) == (64, "")
    assert ran.stderr.startswith("meshdiag: --netns is not possible here: unshare: ")
    assert "it takes root, or a system that lets users have namespaces" in ran.stderr
    assert len(ran.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [(("--nodes", "100"), "at most 99 nodes, not 100"), (("--with", "nobody"), "no server called")],
)
def test_wrong_usage_is_refused_before_anything_is_made(flags: tuple[str, ...], sentence: str) -> None:
    """What cannot be is said with the exit code for wrong usage."""
    argv = [*MESHDIAG, "lab", "run", "--netns", *flags, "--", "true"]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    assert (ran.returncode, sentence in ran.stderr) == (64, True)


def test_up_says_how_to_get_in() -> None:
    """``lab up --netns`` prints a command that leads into its network from any shell, and that works."""
    with subprocess.Popen([*MESHDIAG, "lab", "up", "--netns"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            if line.startswith("Ctrl-C"):
                break
        (way,) = (line for line in lines if line.startswith("nsenter "))
        inside = subprocess.run([*way.split(), "ip", "-j", "address"], capture_output=True, text=True, timeout=10)
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 130
    shown = {one["local"] for device in json.loads(inside.stdout) for one in device["addr_info"]}
    assert {"198.18.0.1", "2001:2::1"} <= shown
