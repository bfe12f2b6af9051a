"""ICMP packets: what is sent is right, what is received is read, and nothing strange in them does harm."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.sources.probing import ProbeTrouble
from meshdiag.sources.probing.icmp.packets import Packets, checksum

HOST = socket.inet_aton("10.1.2.3")
HOST_6 = socket.inet_pton(socket.AF_INET6, "fd00::1")


def ipv4(payload: bytes, *, target: bytes = HOST, protocol: int = 1, options: bytes = b"") -> bytes:
    """An IPv4 packet as a raw socket gives it."""
    first = 0x40 | (5 + len(options) // 4)
    head = struct.pack("!BBHHHBBH4s4s", first, 0, 20 + len(payload), 1, 0, 64, protocol, 0, b"\1\2\3\4", target)
    return head + options + payload


def ipv6(payload: bytes, *, target: bytes = HOST_6, protocol: int = 58) -> bytes:
    """An IPv6 packet as an error message quotes it."""
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), protocol, 64, bytes(16), target) + payload


def reply(request: bytes, *, six: bool = False) -> bytes:
    """The echo reply to a request."""
    return bytes([129 if six else 0]) + request[1:]


def test_a_request_is_as_rfc_792_wants_it() -> None:
    """Type 8, code 0, a checksum that comes out even over the whole, 56 bytes of payload as ping sends them."""
    packets = Packets(six=False, framed=True, own_ident=True)
    request = packets.request(7)
    assert request[:2] == b"\x08\x00"
    assert checksum(request) == 0
    assert struct.unpack("!HH", request[4:8]) == (packets.ident, 7)
    assert len(request) == 64
    assert Packets(six=True, framed=False, own_ident=True).request(1)[:4] == b"\x80\x00\x00\x00"


def test_a_reply_is_ours_by_identifier_and_token() -> None:
    """The answer to somebody else's ping, even of the same identifier, is passed over."""
    packets, other = (Packets(six=False, framed=True, own_ident=True) for _ in range(2))
    other.ident = packets.ident
    heard = packets.read(ipv4(reply(packets.request(3))))
    assert heard is not None and (heard.sequence, heard.trouble, heard.target) == (3, None, None)
    assert packets.read(ipv4(reply(packets.request(3)), options=bytes(8))) is not None
    assert packets.read(ipv4(reply(other.request(3)))) is None
    assert packets.read(ipv4(packets.request(3))) is None


@pytest.mark.parametrize(
    ("kind", "code", "trouble"),
    [
        (3, 0, ProbeTrouble.UNREACHABLE),
        (3, 1, ProbeTrouble.HOST_UNREACHABLE),
        (3, 13, ProbeTrouble.PROHIBITED),
        (11, 0, ProbeTrouble.TTL_EXCEEDED),
    ],
)
def test_a_routers_word_is_about_the_packet_that_it_quotes(kind: int, code: int, trouble: ProbeTrouble) -> None:
    """It names the address that was meant, though a router sent it; eight quoted bytes are enough."""
    packets = Packets(six=False, framed=True, own_ident=True)
    quoted = ipv4(packets.request(9)[:8])
    heard = packets.read(ipv4(bytes([kind, code]) + bytes(6) + quoted))
    assert heard is not None and (heard.sequence, heard.target, heard.trouble) == (9, HOST, trouble)
    strange = ipv4(packets.request(9)[:8], protocol=17)
    assert packets.read(ipv4(bytes([kind, code]) + bytes(6) + strange)) is None
    packets.ident ^= 1
    assert packets.read(ipv4(bytes([kind, code]) + bytes(6) + quoted)) is None


def test_the_same_of_ipv6() -> None:
    """Echo reply 129, unreachable 1, time exceeded 3, and the quoted header is forty bytes."""
    packets = Packets(six=True, framed=False, own_ident=True)
    heard = packets.read(reply(packets.request(2), six=True))
    assert heard is not None and heard.sequence == 2
    heard = packets.read(bytes([1, 1]) + bytes(6) + ipv6(packets.request(5)))
    assert heard is not None and (heard.sequence, heard.target) == (5, HOST_6)
    assert heard.trouble is ProbeTrouble.PROHIBITED


@given(st.booleans(), st.booleans(), st.binary(max_size=200))
def test_no_packet_does_harm(six: bool, framed: bool, packet: bytes) -> None:
    """Whatever arrives is read or passed over, never an exception, never taken for an answer."""
    packets = Packets(six=six, framed=framed, own_ident=True)
    assert packets.read(packet) is None or packets.ident.to_bytes(2, "big") in packet
    packets.read_request(packet)


@given(st.integers(0, 120), st.booleans())
def test_no_packet_that_is_cut_short_does_harm(length: int, six: bool) -> None:
    """A true message that ends anywhere is read or passed over."""
    packets = Packets(six=six, framed=not six, own_ident=True)
    quoted = ipv6(packets.request(1)) if six else ipv4(packets.request(1))
    message = bytes([1 if six else 3, 0]) + bytes(6) + quoted
    heard = packets.read((message if six else ipv4(message))[:length])
    assert heard is None or heard.sequence == 1
