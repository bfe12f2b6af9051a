"""The certificates of the mesh: an authority of the lab's own, and a leaf for each node, minted when it is asked for.

A node's metric and what it serves come from one number, the days that are left when the lab begins; faults make
them differ. Keys are EC P-256, as certificates of meshes are; they lie in the lab's folder and end with it.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshdiag import catalog

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from meshdiag.lab.simulation import Node

LEAF_LIFETIME = timedelta(days=365)
AUTHORITY_BEGAN_AGO = timedelta(days=3 * 365)
AUTHORITY_LIFETIME = timedelta(days=10 * 365)
ORGANISATION = "Agent Mesh Lab"


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a node's certificate should say: the names it is for (of hosts, or addresses) and until when it is valid."""

    names: tuple[str, ...]
    not_after: datetime


def leaf_of(node: Node, addresses: Sequence[str], origin: float) -> Leaf:
    """The certificate that a node serves: for its name and ``addresses``, valid for as long as its metric said at
    ``origin`` (seconds since the epoch), where no fault says otherwise."""
    left_days = node.value(catalog.CERT_EXPIRY, origin) if node.served_days is None else node.served_days
    not_after = datetime.fromtimestamp(origin, UTC) + timedelta(days=left_days)
    return Leaf((node.served_host,) if node.served_host else (node.name, *addresses), not_after)


class Authority:
    """A certificate authority whose certificate is in ``ca_file``, made at once; leaves follow on demand."""

    def __init__(self, directory: Path, origin: float) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(f"{ORGANISATION} CA")
        began = datetime.fromtimestamp(origin, UTC).replace(microsecond=0) - AUTHORITY_BEGAN_AGO
        self._certificate = self._sign_itself(began)
        self.ca_file = directory / "ca.pem"
        directory.mkdir(mode=0o700)
        self.ca_file.write_bytes(_pem(self._certificate))

    def context(self, leaf: Leaf, name: str) -> ssl.SSLContext:
        """What a node called ``name`` serves TLS with; its key and certificate lie in the folder from then on."""
        key = ec.generate_private_key(ec.SECP256R1())
        path = self._directory / f"{name}.pem"
        path.touch(mode=0o600)
        path.write_bytes(_key_pem(key) + _pem(self._sign(leaf, key.public_key())))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _sign(self, leaf: Leaf, key: ec.EllipticCurvePublicKey) -> x509.Certificate:
        issuer = self._key.public_key()
        not_after = leaf.not_after.replace(microsecond=0)
        return (
            _builder(_name(leaf.names[0]), self._name, key, not_after - LEAF_LIFETIME, not_after)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in leaf.names]), critical=False)
            .add_extension(_usage(signing=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _sign_itself(self, began: datetime) -> x509.Certificate:
        public = self._key.public_key()
        return (
            _builder(self._name, self._name, public, began, began + AUTHORITY_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signing=True), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, not_before: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signing: bool) -> x509.KeyUsage:
    """What the key may do: sign certificates, or sign handshakes."""
    return x509.KeyUsage(
        digital_signature=not signing,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signing,
        crl_sign=signing,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
