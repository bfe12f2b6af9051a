"""Side by side with openssl on the same targets: every field of a certificate, every chain, every verdict."""

from __future__ import annotations

import asyncio
import datetime
import re
import socket
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from meshdiag.checks.readings.certificates.judging import judge
from meshdiag.sources.certificates.certificate import Certificate, Found
from meshdiag.sources.certificates.endpoints import Wanted, fetch
from meshdiag.sources.certificates.files import read_paths
from meshdiag.sources.certificates.trust import load_trust
from tests.binaries import need
from tests.certtruth import need_certificates
from tests.minting import authority, by_openssl, new_key
from tests.tlsserver import DIALOGUES, server_context, tls_server

NOW = datetime.datetime.now(datetime.UTC)
ROOT = authority("mesh root", now=NOW)
MIDDLE = ROOT.authority("mesh issuing CA", now=NOW)


def openssl(*arguments: str, stdin: bytes = b"") -> str:
    """What openssl prints, on both channels."""
    run = subprocess.run([need("openssl"), *arguments], input=stdin, capture_output=True, timeout=20, check=False)
    return (run.stdout + run.stderr).decode("utf-8", "replace")


def printed(path: Path) -> dict[str, str]:
    """The fields of the first certificate of a file as ``openssl x509`` prints them."""
    name = ["-nameopt", "RFC2253,-esc_msb,utf8"]
    said = openssl("x509", "-in", str(path), "-noout", "-subject", "-issuer", "-serial", "-fingerprint", "-sha256",
                   "-startdate", "-enddate", "-dateopt", "iso_8601", *name)  # fmt: skip
    fields = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    text = openssl("x509", "-in", str(path), "-noout", "-text", *name)
    fields["signature"] = re.search(r"Signature Algorithm: (\S+)", text)[1]
    fields["bits"] = (re.search(r"Public-Key: \((\d+) bit", text) or re.search(r"(ED25519) Public-Key", text))[1]
    sans = re.search(r"X509v3 Subject Alternative Name:[^\n]*\n\s+(.*)", text)
    fields["sans"] = sans[1] if sans else ""
    fields["ca"] = str("CA:TRUE" in text)
    return fields


def ours(certificate: Certificate) -> dict[str, str]:
    """The same fields as we read them."""
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": certificate.serial,
        "sha256 Fingerprint": certificate.sha256,
        "notBefore": f"{certificate.not_before:%Y-%m-%d %H:%M:%SZ}",
        "notAfter": f"{certificate.not_after:%Y-%m-%d %H:%M:%SZ}",
        "signature": certificate.signature_algorithm,
        "bits": "ED25519" if certificate.key_type == "Ed25519" else str(certificate.key_bits),
        "sans": ", ".join(certificate.sans).replace("IP:", "IP Address:"),
        "ca": str(certificate.is_ca),
    }


ODD_SUBJECT = "/C=DE/O=Müller, Söhne + Co. <x>/OU=a\\/b/emailAddress=o@m/CN=n 1"
MINTED = {
    "ec": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
    "ec-112": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp112r1"),
    "brainpool": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"),
    "rsa-512": ("-newkey", "rsa:512"),
    "rsa-md5": ("-newkey", "rsa:1024", "-md5"),
    "rsa-sha1": ("-newkey", "rsa:1024", "-sha1"),
    "rsa-sha512": ("-newkey", "rsa:2048", "-sha512"),
    "rsa-pss": ("-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"),
    "ed25519": ("-newkey", "ed25519"),
    "names": ("-newkey", "ed25519", "-addext", "subjectAltName=DNS:a.mesh,DNS:*.b.mesh,IP:10.0.0.1,URI:spiffe://m/n,email:o@m"),
    "odd-subject": ("-newkey", "ed25519", "-utf8", "-subj", ODD_SUBJECT),
    "big-serial": ("-newkey", "ed25519", "-set_serial", "0x7fffffffffffffffffffffffffffffffffffffff"),
    "negative-serial": ("-newkey", "ed25519", "-set_serial", "-5"),
    "ca": ("-newkey", "ed25519", "-addext", "basicConstraints=critical,CA:TRUE"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MINTED)
def test_every_field_as_openssl_prints_it(tmp_path, kind):
    """What openssl mints in many kinds, it and we read alike: names, serial, dates, key, signature, fingerprint."""
    path, _key = by_openssl(tmp_path, *MINTED[kind])
    (found,) = read_paths([str(path)])
    (certificate,) = found.chain
    assert isinstance(certificate, Certificate), certificate
    known = printed(path)
    assert {name: known[name] for name in ours(certificate)} == ours(certificate)


def test_the_roots_of_the_system_as_openssl_prints_them():
    """A sample of the system's roots, with all their oddities, is read as openssl reads it."""
    files = sorted(Path("/etc/ssl/certs").glob("*.pem"))[::20]
    if not files:
        pytest.skip("the system keeps no roots in /etc/ssl/certs")
    for path in files:
        (found,) = read_paths([str(path)])
        known = printed(path)
        mine = ours(found.chain[0])
        assert {name: known[name] for name in mine} == mine, path


@pytest.mark.parametrize("flags", [("-tls1_3",), ("-tls1_2",)])
def test_the_chain_of_a_server_as_s_client_shows_it(tmp_path, flags):
    """``openssl s_server`` serves a chain; ``openssl s_client -showcerts`` and we see the same certificates in the
    same order, and the same protocol and cipher."""
    node = MIDDLE.issue("node-1", sans=["localhost"], now=NOW)
    (tmp_path / "chain.pem").write_bytes(MIDDLE.pem + ROOT.pem)
    (tmp_path / "node.pem").write_bytes(node.pem)
    (tmp_path / "node.key").write_bytes(node.key_pem)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [need("openssl"), "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(tmp_path / "node.pem"), "-key",
         str(tmp_path / "node.key"), "-cert_chain", str(tmp_path / "chain.pem"), "-quiet", *flags],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        found = answered(port)
        said = openssl("s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", "-showcerts")
    finally:
        server.kill()
        server.wait()
    shown = x509.load_pem_x509_certificates(
        "\n".join(re.findall(r"-----BEGIN.*?-----END CERTIFICATE-----", said, re.S)).encode()
    )
    assert [one.public_bytes(Encoding.DER) for one in shown[:3]] == [one.der for one in found.chain]
    assert len(found.chain) == 3
    protocol, cipher = re.search(r"New, (TLS\S+), Cipher is (\S+)", said).groups()
    assert (found.tls_version, found.cipher) == (protocol, cipher)


def answered(port: int) -> Found:
    """The certificates of a server that is about to start."""
    until = time.monotonic() + 10
    while True:
        (found,) = asyncio.run(fetch([Wanted(f"127.0.0.1:{port}", server_name="localhost")]))
        if found.chain or time.monotonic() > until:
            assert not found.trouble, found
            return found
        time.sleep(0.05)


@pytest.mark.parametrize("protocol", ["smtp", "pop3", "ldap", "postgres"])
def test_starttls_as_s_client_does_it(protocol):
    """``openssl s_client -starttls`` and we are answered by the same server, and are shown the same certificate."""
    node = MIDDLE.issue("node-1", sans=["localhost"], now=NOW)
    with tls_server(server_context([node]), before=DIALOGUES[protocol]) as address:
        (found,) = asyncio.run(fetch([Wanted(address, starttls=protocol)]))
        said = openssl("s_client", "-connect", address, "-starttls", protocol)
    assert [one.der for one in found.chain] == [node.der]
    assert node.pem.decode().strip() in said


def verdicts(chain, host: str, tmp_path: Path) -> tuple[set[str], str]:
    """Our codes for a server of this chain, and what ``s_client`` says of it with the same root."""
    (tmp_path / "root.pem").write_bytes(ROOT.pem)
    with tls_server(server_context(chain)) as address:
        (found,) = asyncio.run(fetch([Wanted(address, server_name=host)]))
        said = openssl("s_client", "-connect", address, "-servername", host, "-verify_hostname", host, "-CAfile",
                       str(tmp_path / "root.pem"), "-no-CApath", "-no-CAstore")  # fmt: skip
    (row, *_) = judge([found], at=NOW, trust=load_trust(tmp_path / "root.pem"))
    return {str(problem.code) for problem in row.problems}, re.search(r"Verify return code: (.*)", said)[1]


def test_verdicts_as_s_client_comes_to_them(tmp_path):
    """Right, expired, not yet valid, another host, an intermediate missing, signed by itself, by an impostor: openssl
    refuses and accepts the same servers, for the same reason."""
    host, sans = "node-1.mesh", {"sans": ["node-1.mesh"], "now": NOW}
    impostor = authority("mesh root", now=NOW)
    alone = authority(host, ca=False, days=(-1, 90), **sans)
    cases = {
        "right": ([MIDDLE.issue("n", **sans), MIDDLE], host, set(), "ok"),
        "ed25519": ([MIDDLE.issue("n", key=new_key("Ed25519"), **sans), MIDDLE], host, set(), "ok"),
        "expired": ([MIDDLE.issue("n", days=(-9, -1), **sans), MIDDLE], host, {"expired"}, "expired"),
        "early": ([MIDDLE.issue("n", days=(1, 90), **sans), MIDDLE], host, {"not-yet-valid"}, "not yet valid"),
        "host": ([MIDDLE.issue("n", **sans), MIDDLE], "other.mesh", {"hostname-mismatch"}, "hostname mismatch"),
        "alone": (
            [MIDDLE.issue("n", **sans)],
            host,
            {"missing-intermediate"},
            "unable to verify the first certificate",
        ),
        "self": ([alone], host, {"self-signed"}, "self-signed certificate"),
        "impostor": ([impostor.issue("n", **sans)], host, {"untrusted-chain"}, "signature failure"),
    }
    for name, (chain, asked, codes, reason) in cases.items():
        mine, theirs = verdicts(chain, asked, tmp_path)
        assert mine == codes, name
        assert reason in theirs, (name, theirs)


@pytest.mark.parametrize("host", ["akamai.com", "bing.com", "fastly.com", "stackoverflow.com"])
def test_real_chains_verify_as_openssl_verifies_them(host):
    """At a moment within its life and at one long after, ``openssl verify`` and we agree on a recorded chain."""
    folder = need_certificates() / "online-chains"
    chain, root = folder / f"{host}.pem", folder / f"{host}.root.pem"
    (found,) = read_paths([str(chain)])
    leaf = found.chain[0]
    for moment in (leaf.not_before + datetime.timedelta(days=1), leaf.not_after + datetime.timedelta(days=1)):
        said = openssl("verify", "-attime", f"{moment.timestamp():.0f}", "-CAfile", str(root), "-untrusted", str(chain),
                       "-verify_hostname", host, str(chain))  # fmt: skip
        place = Found(f"{host}:443", "tls", found.chain, host, "TLSv1.3")
        rows = judge([place], at=moment, trust=load_trust(root), warn_days=0, fail_days=0)
        assert (not rows[0].problems) == (": OK" in said), said
