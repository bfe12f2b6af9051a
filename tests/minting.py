"""Mints certificates for tests: authorities and what they issue, right or wrong in any way that is asked for.

    root = authority("mesh root")
    node = root.issue("node-1", sans=["node-1.mesh", "127.0.0.1"], days=(-1, 5))

What the library refuses to mint (keys of 512 bits, MD5 and SHA-1) the program ``openssl`` mints: ``by_openssl``.
"""

from __future__ import annotations

import datetime
import ipaddress
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from meshdiag.sources.certificates.certificate import Certificate
from meshdiag.sources.certificates.decoding import read_certificate
from tests.binaries import need

NOW = datetime.datetime(2026, 3, 9, 3, 0, tzinfo=datetime.UTC)
"""The moment at which the tests judge."""


def new_key(kind: str = "P-256") -> Any:
    """A private key: ``P-256``, ``P-521`` …, ``RSA-2048`` …, ``Ed25519``, ``Ed448``."""
    match kind.split("-"):
        case ["RSA", bits]:
            return rsa.generate_private_key(65537, int(bits))
        case ["Ed25519"]:
            return ed25519.Ed25519PrivateKey.generate()
        case ["Ed448"]:
            return ed448.Ed448PrivateKey.generate()
        case _:
            curves = {"P-192": ec.SECP192R1, "P-224": ec.SECP224R1, "P-256": ec.SECP256R1, "P-384": ec.SECP384R1,
                      "P-521": ec.SECP521R1, "K-256": ec.SECP256K1}  # fmt: skip
            return ec.generate_private_key(curves[kind]())


@dataclass(frozen=True)
class Minted:
    """A certificate with its key."""

    x509: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        return self.x509.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.x509.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def read(self) -> Certificate:
        """As the program reads it."""
        certificate = read_certificate(self.der)
        assert isinstance(certificate, Certificate), certificate
        return certificate

    def issue(
        self,
        name: str,
        *,
        sans: Sequence[str] = (),
        days: tuple[float, float] = (-1, 90),
        key: Any = None,
        ca: bool | None = False,
        purposes: Sequence[x509.ObjectIdentifier] = (),
        extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
        now: datetime.datetime = NOW,
    ) -> Minted:
        """A certificate of this authority, valid from and until so many days from ``now``. ``ca=None`` leaves the
        basic constraints away."""
        return _mint(name, self, sans, days, key, ca, purposes, extensions, now)

    def authority(self, name: str, **more: Any) -> Minted:
        """An authority below this one."""
        return self.issue(name, ca=True, **{"days": (-100, 1000), **more})


def authority(name: str, **more: Any) -> Minted:
    """A root."""
    options = {"sans": (), "days": (-200, 3000), "key": None, "ca": True, "purposes": (), "extensions": (), "now": NOW}
    return _mint(name, None, **{**options, **more})


def self_signed(name: str, **more: Any) -> Minted:
    """A server's certificate that nobody but itself has signed."""
    return authority(name, **{"ca": False, "days": (-1, 90), **more})


def _mint(
    name: str,
    issuer: Minted | None,
    sans: Sequence[str],
    days: tuple[float, float],
    key: Any,
    ca: bool | None,
    purposes: Sequence[x509.ObjectIdentifier],
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
    now: datetime.datetime,
) -> Minted:
    key = key or new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.x509.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(map(general_name, sans))), critical=False)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    signer = issuer.key if issuer else key
    unhashed = isinstance(signer, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
    return Minted(builder.sign(signer, None if unhashed else hashes.SHA256()), key)


def general_name(text: str) -> x509.GeneralName:
    """A host name, an IP address, or a URI."""
    if "://" in text:
        return x509.UniformResourceIdentifier(text)
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def by_openssl(folder: Path, *arguments: str, name: str = "odd") -> tuple[Path, Path]:
    """A self-signed certificate for localhost that ``openssl req`` mints with these arguments; its file and its
    key's."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    # As little of a configuration as it takes, and security level 0: what is minted is meant to be weak.
    config = folder / "openssl.cnf"
    config.write_text("[req]\ndistinguished_name=dn\n[dn]\n")
    command = [need("openssl"), "req", "-x509", "-nodes", "-config", str(config), "-subj", "/O=mesh/CN=localhost"]
    command += ["-days", "60", "-keyout", str(key), "-out", str(certificate), *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return certificate, key
