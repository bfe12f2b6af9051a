"""ICMP packets: the echo request that is sent, and what the answers say. RFC 792 and RFC 4443."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag.sources.probing.troubles import of_icmp

if TYPE_CHECKING:
    from meshdiag.sources.probing.answers import ProbeTrouble

HEADER = struct.Struct("!BBHHH")
"""Type, code, checksum, identifier, sequence number."""
PAYLOAD = 56
"""Bytes after the header, as ping sends them."""
ECHO_REQUEST, ECHO_REPLY = (8, 128), (0, 129)
"""The types for IPv4 and for IPv6."""
IPV6_HEADER = 40
ICMP_4, ICMP_6 = 1, 58


@dataclass(frozen=True, slots=True)
class Heard:
    """A packet about an echo request of ours: the address it went to (packed) where the packet names it, the
    sequence number, and the trouble where it is no reply."""

    sequence: int
    target: bytes | None = None
    trouble: ProbeTrouble | None = None


class Packets:
    """Makes and reads the packets of one sender: what carries another's identifier or token is not ours.

    ``framed``: what is received begins with the IPv4 header. ``own_ident``: the identifier is ours to choose (on a
    datagram socket the kernel sets it and sorts out others' answers)."""

    def __init__(self, *, six: bool, framed: bool, own_ident: bool) -> None:
        self._six, self._framed, self._own_ident = six, framed, own_ident
        self.ident = int.from_bytes(os.urandom(2)) or 1
        self._token = os.urandom(8)
        self._payload = self._token + bytes(range(8, PAYLOAD))

    def request(self, sequence: int) -> bytes:
        """An echo request."""
        bare = HEADER.pack(ECHO_REQUEST[self._six], 0, 0, self.ident, sequence) + self._payload
        if self._six:
            return bare  # the kernel computes the checksum, which covers the IP addresses
        return bare[:2] + struct.pack("!H", checksum(bare)) + bare[4:]

    def read(self, packet: bytes) -> Heard | None:
        """What a received packet says of our requests; None where it is not about them."""
        if self._framed:
            packet = _without_ipv4(packet)
        if len(packet) < HEADER.size:
            return None
        kind, code, _sum, ident, sequence = HEADER.unpack_from(packet)
        if kind == ECHO_REPLY[self._six]:
            ours = self._ours(ident) and packet[HEADER.size :].startswith(self._token)
            return Heard(sequence) if ours else None
        trouble = of_icmp(kind, code, six=self._six)
        return self._about(packet[HEADER.size :], trouble) if trouble else None

    def read_request(self, packet: bytes) -> int | None:
        """The sequence number of a request of ours that came back from the error queue."""
        if len(packet) < HEADER.size:
            return None
        kind, _code, _sum, _ident, sequence = HEADER.unpack_from(packet)
        return sequence if kind == ECHO_REQUEST[self._six] else None

    def _about(self, quoted: bytes, trouble: ProbeTrouble) -> Heard | None:
        """A router's message quotes the packet that it is about, from its IP header on, at least eight bytes more."""
        if self._six:
            protocol, target, inner = quoted[6:7], quoted[24:IPV6_HEADER], quoted[IPV6_HEADER:]
        else:
            protocol, target, inner = quoted[9:10], quoted[16:20], _without_ipv4(quoted)
        if len(inner) < HEADER.size or protocol != bytes([ICMP_6 if self._six else ICMP_4]):
            return None
        kind, _code, _sum, ident, sequence = HEADER.unpack_from(inner)
        if kind != ECHO_REQUEST[self._six] or not self._ours(ident):
            return None
        return Heard(sequence, target, trouble)

    def _ours(self, ident: int) -> bool:
        return ident == self.ident or not self._own_ident


def _without_ipv4(packet: bytes) -> bytes:
    return packet[(packet[0] & 15) * 4 :] if packet else b""


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total
