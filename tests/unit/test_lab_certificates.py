"""The certificates that the lab's nodes serve: what a TLS client sees, and how it agrees with the metric."""

from __future__ import annotations

import asyncio
import re
import ssl
import stat
import time

import httpx
import pytest
from cryptography import x509

from meshdiag.lab import Lab, LabOptions, running
from meshdiag.lab.nodes import ServedNode

DAY_S = 86_400.0


async def served(node: ServedNode) -> x509.Certificate:
    """The certificate that a node's peer port shows, whatever it is worth."""
    host, port = node.peer.split(":")
    looking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    looking.check_hostname, looking.verify_mode = False, ssl.CERT_NONE
    _reader, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port), ssl=looking), 5)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(der)


def days_left(certificate: x509.Certificate) -> float:
    """How many days it is valid still."""
    return (certificate.not_valid_after_utc.timestamp() - time.time()) / DAY_S


async def told(node: ServedNode) -> float:
    """What the node's page says of its certificate, in days."""
    async with httpx.AsyncClient() as client:
        page = (await client.get(node.url)).text
    found = re.search(r"^security_cert_expiry_days (\S+)$", page, re.MULTILINE)
    assert found
    return float(found[1])


def names(certificate: x509.Certificate) -> list[str]:
    """The names that it is for."""
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return [str(name.value) for name in extension.value]


def hit(lab: Lab, fault: str) -> ServedNode:
    """The node that a fault hit."""
    return lab.node(lab.faulty[fault][0])


async def verified(lab: Lab, node: ServedNode) -> str:
    """What OpenSSL, trusting the lab's authority, has against a node's certificate; nothing where it is fine."""
    host, port = node.peer.split(":")
    trusting = ssl.create_default_context(cafile=str(lab.ca_file))
    try:
        _reader, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port), ssl=trusting), 5)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    writer.close()
    return ""


async def test_every_healthy_node_serves_what_its_metric_says() -> None:
    """Each node has a certificate of its own, for its name and address, whose end is the metric's to the minute, and
    that the lab's authority vouches for."""
    async with running() as lab:
        shown = {node.name: await served(node) for node in lab.nodes}
        assert len({one.serial_number for one in shown.values()}) == len(lab.nodes)
        for node in lab.nodes:
            assert names(shown[node.name]) == [node.name, "127.0.0.1"]
            assert abs(days_left(shown[node.name]) - await told(node)) < 60 / DAY_S
            assert await verified(lab, node) == ""


@pytest.mark.parametrize(
    ("fault", "metric", "wire", "complaint"),
    [
        ("cert-expiring", 4.2, 4.2, ""),
        ("cert-expired", -2.3, -2.3, "certificate has expired"),
        ("cert-not-reloaded", 41, 3, ""),
        ("cert-wrong-host", None, None, "IP address mismatch, certificate is not valid for '127.0.0.1'."),
    ],
)
async def test_a_fault_of_certificates_is_there_on_the_wire(
    fault: str, metric: float | None, wire: float | None, complaint: str
) -> None:
    """The metric and the peer port of the node that was hit say what the fault describes; all others are fine."""
    async with running(LabOptions(faults=(fault,))) as lab:
        ill = hit(lab, fault)
        assert [await verified(lab, node) for node in lab.nodes if node is not ill] == [""] * 6
        assert await verified(lab, ill) == complaint
        said, left = await told(ill), days_left(await served(ill))
        if metric is None or wire is None:
            assert names(await served(ill)) == ["retired-node.mesh.example"]
            assert abs(said - left) < 60 / DAY_S
        else:
            assert (said, left) == (pytest.approx(metric, abs=0.01), pytest.approx(wire, abs=0.01))


async def test_a_plain_connect_to_a_peer_port_succeeds_and_hears_nothing() -> None:
    """Who connects without speaking TLS is let in; what is no TLS is answered by an alert, and the port serves on."""
    async with running() as lab:
        node = lab.nodes[0]
        host, port = node.peer.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        assert not answer or answer[0] == 21  # a TLS record of type alert
        writer.close()
        assert await verified(lab, node) == ""


async def test_a_handshake_in_pieces_is_a_handshake() -> None:
    """A client whose bytes arrive one by one gets its greeting all the same."""
    async with running() as lab:
        host, port = lab.nodes[0].peer.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        trusting = ssl.create_default_context(cafile=str(lab.ca_file))
        client = trusting.wrap_bio(incoming, outgoing, server_hostname=lab.nodes[0].name)
        greeting = b""
        while not greeting:
            try:
                client.do_handshake()
                greeting = client.read(100)
            except ssl.SSLWantReadError:
                for byte in outgoing.read():
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0)
                incoming.write(await asyncio.wait_for(reader.read(7), 5))
        writer.close()
        assert greeting == f"agent-mesh/1 {lab.nodes[0].name}\n".encode()


async def test_without_a_network_a_slow_peer_shakes_hands_late() -> None:
    """On loopback, where no link can be slow, the peer port of slow-peer's node answers a handshake no sooner than a
    far one could, with everything else as it should be."""
    async with running(LabOptions(faults=("slow-peer",))) as lab:
        began = time.monotonic()
        assert await verified(lab, hit(lab, "slow-peer")) == ""
        assert time.monotonic() - began >= 0.12


async def test_keys_are_for_their_owner_alone_and_gone_with_the_lab() -> None:
    """The folder of keys and each key in it are closed to others, and nothing of it is left."""
    async with running() as lab:
        await served(lab.nodes[0])
        key = lab.directory / "tls" / f"{lab.nodes[0].name}.pem"
        assert [stat.S_IMODE(path.stat().st_mode) for path in (key, key.parent)] == [0o600, 0o700]
    assert not key.parent.exists()
