"""Reading certificates: every field as OpenSSL prints it, and as much as possible of what is not right."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from meshdiag.sources.certificates.certificate import Certificate, Malformed
from meshdiag.sources.certificates.decoding import read_certificate, read_certificates
from meshdiag.sources.certificates.files import read_paths
from meshdiag.sources.certificates.tolerant import read_partly
from tests.certtruth import need_certificates, truth
from tests.minting import NOW, authority, new_key, self_signed

KEY_TYPES = {"rsaEncryption": "RSA", "id-ecPublicKey": "EC"}


def row(certificate: Certificate) -> dict[str, object]:
    """A certificate in the words of the ground truth."""
    return {
        "is_ca": certificate.is_ca,
        "issuer": certificate.issuer,
        "key_bits": certificate.key_bits,
        "not_after": f"{certificate.not_after:%Y-%m-%d %H:%M:%SZ}",
        "not_before": f"{certificate.not_before:%Y-%m-%d %H:%M:%SZ}",
        "serial": certificate.serial,
        "sha256_fingerprint": certificate.sha256,
        "signature_algorithm": certificate.signature_algorithm,
        "subject": certificate.subject,
        "subject_alt_names": [name.replace("IP:", "IP Address:") for name in certificate.sans],
        "key_type": certificate.key_type,
    }


def in_our_words(known: dict[str, object]) -> dict[str, object]:
    """The ground truth, with our name for the key's type."""
    rest = {name: value for name, value in known.items() if name != "key_algorithm"}
    return {**rest, "key_type": KEY_TYPES[str(known["key_algorithm"])]}


def test_every_field_of_real_certificates_is_as_openssl_prints_it():
    """41 certificates of real projects and sites: each field is exactly the ground truth's."""
    folder, count = need_certificates(), 0
    for name, known in truth().items():
        (found,) = read_paths([str(folder / name)])
        assert [row(one) for one in found.chain] == list(map(in_our_words, known)), name
        count += len(known)
    assert count == 41


def test_what_the_library_refuses_is_read_field_by_field():
    """The reader of last resort, which needs no library, comes to the same fields of the same certificates."""
    folder = need_certificates()
    for name, known in truth().items():
        text = (folder / name).read_bytes()
        blocks = re.findall(rb"-----BEGIN CERTIFICATE-----(.*?)-----END", text, re.DOTALL)
        read = [read_partly(base64.b64decode(block), "refused") for block in blocks]
        assert [row(one) for one in read] == list(map(in_our_words, known)), name
        assert all(one.flaws == ("refused",) for one in read)


def test_a_negative_serial_number_is_a_flaw_and_not_the_end():
    """A certificate of 2007 with a negative serial number is read, and its flaw is named."""
    (found,) = read_paths([str(need_certificates() / "cryptography" / "alternate-rsa-sha1-oid.pem")])
    (certificate,) = found.chain
    assert certificate.serial.startswith("-70988")
    assert "negative" in certificate.flaws[0]


@pytest.mark.parametrize("year", [1950, 1961, 1999, 2049, 2050, 2101])
def test_dates_of_both_encodings_are_read_alike(year):
    """Two-digit years mean 1950 to 2049, and the reader of last resort knows it as the library does."""
    minted = self_signed("node", now=datetime(year, 6, 1, 12, 30, 5, tzinfo=UTC), days=(0, 1))
    known, partly = minted.read, read_partly(minted.der, "refused")
    assert (known.not_before.year, known.not_before, known.not_after) == (year, partly.not_before, partly.not_after)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("RSA-2048", ("RSA", 2048, "")),
        ("RSA-1024", ("RSA", 1024, "")),
        ("P-192", ("EC", 192, "prime192v1")),
        ("P-224", ("EC", 224, "secp224r1")),
        ("P-256", ("EC", 256, "prime256v1")),
        ("P-384", ("EC", 384, "secp384r1")),
        ("P-521", ("EC", 521, "secp521r1")),
        ("K-256", ("EC", 256, "secp256k1")),
        ("Ed25519", ("Ed25519", 256, "")),
        ("Ed448", ("Ed448", 456, "")),
    ],
)
def test_keys_of_every_kind_are_named(kind, expected):
    """Type, bits and curve of a key, also of one that is too weak to be used."""
    certificate = self_signed("node", key=new_key(kind)).read
    assert (certificate.key_type, certificate.key_bits, certificate.curve) == expected


def test_alternative_names_of_every_kind():
    """DNS names, IPv4 and IPv6 addresses and URIs (SPIFFE) each keep their kind."""
    names = ["node-1.mesh", "10.0.0.1", "fe80::1", "spiffe://mesh/node-1"]
    assert self_signed("node", sans=names).read.sans == (
        "DNS:node-1.mesh",
        "IP:10.0.0.1",
        "IP:fe80::1",
        "URI:spiffe://mesh/node-1",
    )


def test_dates_after_2050_and_for_ever():
    """The encoding of dates changes in 2050; 9999 stands for no end."""
    certificate = self_signed("node", days=(0, (datetime(9999, 12, 31, tzinfo=UTC) - NOW).days)).read
    assert certificate.not_after.year == 9999


def test_an_extension_that_does_not_parse_costs_only_itself():
    """Subject, dates and key are read where the alternative names are garbage, and the garbage is a flaw."""
    garbage = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\x30\x03\x82\x7fx")
    certificate = self_signed("node", extensions=[(garbage, False)]).read
    assert certificate.subject == "CN=node"
    assert certificate.sans == ()
    assert certificate.flaws


def test_a_version_that_does_not_exist():
    """A certificate that says it is of version 9 is read, with the library's refusal as its flaw."""
    der = self_signed("node").der
    assert b"\xa0\x03\x02\x01\x02" in der[:32]
    certificate = read_certificate(der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x08", 1))
    assert isinstance(certificate, Certificate)
    assert certificate.subject == "CN=node"
    assert "version" in certificate.flaws[0].lower()


@pytest.mark.parametrize(
    "der", [b"", b"\x30", b"\x30\x82\xff\xff", b"\x30\x03\x02\x01\x01", b"hello, world", b"\0" * 99]
)
def test_what_is_no_certificate_has_a_reason(der):
    """Bytes that are no certificate give the parser's reason, in one line."""
    read = read_certificate(der)
    assert isinstance(read, Malformed)
    assert read.reason
    assert read.reason.isprintable()


MINTED = authority("mesh root").issue("node-1", sans=["node-1.mesh", "127.0.0.1"]).der


@given(st.integers(0, len(MINTED) - 1), st.binary(min_size=0, max_size=3))
@settings(deadline=None, max_examples=300)
def test_no_damage_raises(at, bytes_):
    """A certificate damaged anywhere is read, read in part, or malformed with a reason: never an exception."""
    damaged = MINTED[:at] + bytes_ + MINTED[at + len(bytes_) + 1 :]
    (read,) = read_certificates([damaged])
    assert isinstance(read, (Certificate, Malformed))
    if isinstance(read, Malformed):
        assert read.reason
