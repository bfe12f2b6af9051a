"""The wire of a lab: when packets arrive, which never do, and that none is changed."""

from __future__ import annotations

import json
import math
import os
import socket
import threading
from ipaddress import ip_address
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.lab import LabOptions, simulate
from meshdiag.lab.network.links import CUT, OBSERVER, Link
from meshdiag.lab.network.wire import MOST_WAITING, Way, Wire, carry, destination, read_setup

ADDRESSES = ("198.18.2.1", "198.18.2.2", "198.18.2.3", "2001:2:0:2::2")
OWNERS = {ip_address(text).packed: number for text, number in zip(ADDRESSES, (0, 1, 2, 1), strict=True)}


def packet(to: str, content: bytes = b"") -> bytes:
    """An IP packet as far as a wire looks at it."""
    packed = ip_address(to).packed
    if len(packed) == 4:
        return b"\x45" + bytes(15) + packed + content
    return b"\x60" + bytes(23) + packed + content


def wire(unlike: dict[tuple[int, int], Way] | None = None, seed: int = 1) -> Wire:
    """Three machines that are 1, 2 and 3 ms from the middle."""
    return Wire(OWNERS, [0.001, 0.002, 0.003], unlike or {}, Random(seed))


@pytest.mark.parametrize(("to", "target", "delay_s"), [(1, 1, 0.003), (2, 2, 0.004), (3, 1, 0.003)])
def test_a_packet_arrives_after_the_way_to_its_owner(to: int, target: int, delay_s: float) -> None:
    """IPv4 or IPv6, it is handed to the machine whose address it bears, when both distances are behind it and not
    before, and as it was."""
    carried = wire()
    sent = packet(ADDRESSES[to], b"checksum and all")
    carried.take(sent, 0, 10.0)
    assert carried.next_due == 10.0 + delay_s
    assert carried.due(10.0 + delay_s - 1e-6) == []
    assert carried.due(10.0 + delay_s) == [(target, sent)]
    assert carried.next_due == math.inf


@pytest.mark.parametrize(
    "stray",
    [
        *(packet(to) for to in ("198.18.9.9", "2001:2::77", "ff02::2", "198.18.2.1")),
        *(b"", b"\x45", b"\x60\x00", b"?"),
    ],
)
def test_what_is_nobody_s_goes_nowhere(stray: bytes) -> None:
    """Packets to unknown addresses, to their sender, or that are no packets at all are dropped."""
    carried = wire()
    carried.take(stray, 0, 0.0)
    assert carried.due(math.inf) == []
    assert len(destination(stray)) in (0, 4, 16)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.floats(0, 0.01)), max_size=60),
    st.integers(0, 1000),
)
def test_a_wire_does_not_change_the_order(sent: list[tuple[int, int, float]], seed: int) -> None:
    """However much the delay trembles, packets of one pair arrive in the order they were sent, none before its time
    and none twice."""
    trembling = {(one, other): Way(0.02, 0.02) for one in range(3) for other in range(3)}
    carried, now, expected = wire(trembling, seed), 0.0, {}
    for number, (source, target, pause_s) in enumerate(sent):
        now += pause_s
        carried.take(packet(ADDRESSES[target], bytes([source, number])), source, now)
        if source != target:
            expected.setdefault((source, target), []).append(number)
    arrived: dict[tuple[int, int], list[int]] = {}
    for target, content in carried.due(now + 0.04 + 1e-9):
        arrived.setdefault((content[20], target), []).append(content[21])
    assert arrived == expected


@pytest.mark.parametrize("one_in", [2, 4, 20])
def test_a_share_is_lost_in_one_direction_only(one_in: int) -> None:
    """One of every so many packets is lost that way, not always the same one, and none on the way back; the same seed
    loses the same."""
    runs = []
    for _ in range(2):
        carried = wire({(0, 1): Way(0.001, loses_one_in=one_in)})
        for number in range(40 * one_in):
            carried.take(packet(ADDRESSES[1], number.to_bytes(2)), 0, number)
            carried.take(packet(ADDRESSES[0], number.to_bytes(2)), 1, number)
        runs.append([(target, int.from_bytes(content[20:])) for target, content in carried.due(math.inf)])
    assert runs[0] == runs[1]
    assert [number for target, number in runs[0] if target == 0] == list(range(40 * one_in))
    lost = sorted(set(range(40 * one_in)) - {number for target, number in runs[0] if target == 1})
    assert [number // one_in for number in lost] == list(range(40))
    assert len({number % one_in for number in lost}) > 1


def test_a_cut_link_carries_nothing() -> None:
    """All of what is sent over a link that loses everything is lost; other links go on."""
    carried = wire({(0, 1): Way(0.0, loses_one_in=1), (1, 0): Way(0.0, loses_one_in=1)})
    for number in range(100):
        for source, target in ((0, 1), (1, 0), (0, 2)):
            carried.take(packet(ADDRESSES[target]), source, number)
    assert [target for target, _packet in carried.due(math.inf)] == [2] * 100


def test_a_flood_is_bounded() -> None:
    """No more packets wait than a full queue holds; the rest is dropped, and afterwards all is as before."""
    carried = wire()
    for _ in range(MOST_WAITING + 500):
        carried.take(packet(ADDRESSES[1]), 0, 0.0)
    assert len(carried.due(1.0)) == MOST_WAITING
    carried.take(packet(ADDRESSES[1]), 0, 2.0)
    assert len(carried.due(3.0)) == 1


def test_bytes_go_through_unchanged_and_the_end_of_the_pipe_ends_it() -> None:
    """Between real descriptors every packet comes out as it went in; the carrier ends when the lab's pipe does."""
    here = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(3)]
    control, held = os.pipe()
    setup = {
        "ports": [
            {"descriptor": far.fileno(), "addresses": [address], "distance_s": 0.0005}
            for (_near, far), address in zip(here, ADDRESSES, strict=False)
        ],
        "unlike": [[0, 2, 0.0, 0.0, 1]],
        "seed": 1,
    }
    descriptors, carried = read_setup(json.dumps(setup))
    for _near, far in here:
        far.setblocking(False)
    carrier = threading.Thread(target=carry, args=(descriptors, carried, control), daemon=True)
    carrier.start()
    sent = [packet(ADDRESSES[1], bytes([number]) * 1_000) for number in range(50)]
    for one in sent:
        here[0][0].send(packet(ADDRESSES[2]))
        here[0][0].send(one)
    here[1][0].settimeout(5)
    assert [here[1][0].recv(65_536) for _ in sent] == sent
    here[2][0].setblocking(False)
    with pytest.raises(BlockingIOError):
        here[2][0].recv(100)
    os.close(held)
    carrier.join(5)
    assert not carrier.is_alive()
    os.close(control)
    for pair in here:
        for one in pair:
            one.close()


@pytest.mark.parametrize("name", ["slow-consensus", "partition", "slow-peer", "lossy-peer"])
def test_a_fault_of_links_is_in_the_links_of_its_nodes(name: str) -> None:
    """What the fault says of packets is true of the links of the nodes that it hit, and of no other link."""
    mesh, (injected,) = simulate(LabOptions(nodes=8, faults=(name,)), 1.795e9)
    ill = set(injected.nodes)
    machines = [OBSERVER, *(node.name for node in mesh.nodes)]
    unlike = {}
    for one in machines:
        for other in machines:
            link = mesh.link(one, other)
            assert link == mesh.link(other, one)
            if one != other and not (link == Link(link.delay_s) and link.delay_s < 0.003):
                unlike[one, other] = link
    touched = {
        "slow-consensus": lambda one, other: {one, other} == ill,
        "partition": lambda one, other: len({one, other} & ill) == 1 and OBSERVER not in (one, other),
    }.get(name, lambda one, other: len({one, other} & ill) == 1)
    pairs = [(one, other) for one in machines for other in machines if one != other]
    assert set(unlike) == {pair for pair in pairs if touched(*pair)}
    assert len(set(unlike.values())) == 1 or name == "lossy-peer"
    assert (CUT in unlike.values()) == (name == "partition")
