"""Verdicts on certificates: every problem has its code, the reason is the true one, and what is right is left alone."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from meshdiag.checks.readings.certificates.judging import judge
from meshdiag.sources.certificates.certificate import SYSTEM, Certificate, Found, Malformed, Trust
from meshdiag.sources.certificates.files import read_paths
from meshdiag.sources.certificates.trust import load_trust
from meshdiag.verdict import Verdict
from tests.certtruth import chains, need_certificates
from tests.minting import NOW, Minted, authority, by_openssl, new_key, self_signed

ROOT = authority("mesh root")
MIDDLE = ROOT.authority("mesh issuing CA")
NODE = MIDDLE.issue("node-1", sans=["node-1.mesh", "127.0.0.1", "*.pod.mesh", "trainer_1", "xn--mnchen-3ya.mesh"])
TRUST = Trust((ROOT.read,), "the roots in ca.pem")


def served(*chain: Minted | Certificate, host: str = "node-1.mesh", source: str = "node-1.mesh:4001", **more) -> Found:
    """What a server sends."""
    return Found(
        source, "tls", tuple(one.read if isinstance(one, Minted) else one for one in chain), host, "TLSv1.3", **more
    )


def filed(*chain: Minted | Certificate | Malformed, source: str = "node.pem") -> Found:
    """What a file holds."""
    return Found(source, "pem", tuple(one.read if isinstance(one, Minted) else one for one in chain))


def verdicts(*found: Found, trust: Trust = TRUST, at: datetime.datetime = NOW, **more):
    """What is said of each certificate: its subject's name, and the codes with their verdicts."""
    rows = judge(found, at=at, trust=trust, **more)
    return [[(str(problem.code), str(problem.verdict)) for problem in row.problems] for row in rows]


def first(*found: Found, **more):
    """The problems of the first certificate."""
    return verdicts(*found, **more)[0]


def message(*found: Found, trust: Trust = TRUST, at: datetime.datetime = NOW) -> str:
    """The worst problem of the first certificate in words."""
    return judge(found, at=at, trust=trust)[0].problems[0].message


def test_a_chain_as_it_should_be_has_no_problem():
    """Leaf and intermediate, served for the right name: nothing to say, and the days left are counted."""
    rows = judge([served(NODE, MIDDLE)], at=NOW, trust=TRUST)
    assert [(row.verdict, row.problems, row.position) for row in rows] == [(Verdict.PASS, (), 0), (Verdict.PASS, (), 1)]
    assert rows[0].days_left == pytest.approx(90)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ((-90, -1), [("expired", "fail")]),
        ((2, 90), [("not-yet-valid", "fail")]),
        ((-90, 6.9), [("expires-soon", "fail")]),
        ((-90, 29), [("expires-soon", "warn")]),
        ((-90, 31), []),
    ],
)
def test_dates(days, expected):
    """Expired, not yet valid, expires within a week, within a month: each alone, and the chain is not blamed for it."""
    assert first(served(MIDDLE.issue("node-1", sans=["node-1.mesh"], days=days), MIDDLE)) == expected


def test_the_bounds_and_the_clock_are_the_callers():
    """``warn_days``, ``fail_days`` and the moment of judging decide, not the clock of the machine."""
    place = served(NODE, MIDDLE)
    assert first(place, warn_days=100) == [("expires-soon", "warn")]
    assert first(place, fail_days=100) == [("expires-soon", "fail")]
    assert first(place, at=NOW + datetime.timedelta(days=91)) == [("expired", "fail")]
    assert first(place, at=NOW - datetime.timedelta(days=2)) == [("not-yet-valid", "fail")]


@pytest.mark.parametrize(
    "host", ["node-1.mesh", "NODE-1.mesh", "node-1.mesh.", "127.0.0.1", "a.pod.mesh", "trainer_1", "münchen.mesh"]
)
def test_names_that_match(host):
    """Names and addresses, in any case, wildcards of one label, and names that only containers have."""
    assert first(served(NODE, MIDDLE, host=host)) == []


@pytest.mark.parametrize(
    "host", ["node-2.mesh", "127.0.0.2", "a.b.pod.mesh", "pod.mesh", "::1", "trainer_2", "mesh", "a..b", "x" * 70]
)
def test_names_that_do_not_match(host):
    """Another name, another address, a wildcard stretched too far: one problem that names both sides."""
    place = served(NODE, MIDDLE, host=host)
    assert first(place) == [("hostname-mismatch", "fail")]
    assert host in message(place) and "node-1.mesh" in message(place)


def test_names_match_whatever_else_is_wrong():
    """An expired, weak, self-signed certificate is still known to be for the right host."""
    odd = self_signed("node-1", sans=["node-1.mesh"], key=new_key("RSA-1024"), days=(-90, -1))
    codes = {code for code, _ in first(served(odd))}
    assert codes == {"expired", "weak-key", "self-signed"}


def test_no_alternative_name():
    """A server's certificate with a common name alone fits no client; a client's own needs none."""
    assert first(served(MIDDLE.issue("node-1.mesh"), MIDDLE)) == [("no-san", "fail")]
    client = MIDDLE.issue("operator", purposes=[ExtendedKeyUsageOID.CLIENT_AUTH])
    assert first(filed(client, MIDDLE)) == []


def test_a_purpose_that_is_not_a_servers():
    """A client's certificate on a server's port is not meant for it."""
    client = MIDDLE.issue("node-1", sans=["node-1.mesh"], purposes=[ExtendedKeyUsageOID.CLIENT_AUTH])
    assert first(served(client, MIDDLE)) == [("wrong-purpose", "fail")]


def test_missing_intermediate_found_elsewhere():
    """The server sends its own certificate alone; the missing one is named, with where it lies."""
    place = served(NODE)
    assert first(place, filed(MIDDLE, source="issuing.pem")) == [("missing-intermediate", "fail")]
    assert "CN=mesh issuing CA" in message(place, filed(MIDDLE, source="issuing.pem"))
    assert "issuing.pem" in message(place, filed(MIDDLE, source="issuing.pem"))


def test_missing_intermediate_found_nowhere():
    """Where the user named the root, what is missing in between is the server's to send."""
    assert first(served(NODE)) == [("missing-intermediate", "fail")]
    assert "CN=mesh issuing CA" in message(served(NODE))


def test_unknown_root():
    """A chain to a root that nobody trusts is untrusted, and the root that is at hand is named."""
    system = Trust((authority("another root").read,), SYSTEM)
    assert first(served(NODE, MIDDLE), trust=system) == [("untrusted-chain", "fail")]
    assert first(served(ROOT.issue("n", sans=["node-1.mesh"])), trust=system) == [("untrusted-chain", "fail")]
    said = message(served(NODE, MIDDLE), filed(ROOT, source="root.pem"), trust=system)
    assert "CN=mesh root" in said and "root.pem" in said and "--ca-file" in said
    assert first(served(NODE, MIDDLE), trust=Trust((), SYSTEM)) == [("untrusted-chain", "fail")]


def test_a_root_is_not_the_servers_to_send():
    """Where intermediates are sent and their root is not among those that the user named, the root is unknown; nothing
    is missing on the server."""
    other = Trust((authority("another root").read,), "the roots in ca.pem")
    assert first(served(NODE, MIDDLE), trust=other) == [("untrusted-chain", "fail")]
    assert "CN=mesh root" in message(served(NODE, MIDDLE), trust=other)


def test_a_file_is_judged_more_mildly_than_a_server():
    """A file may be the half of something: what leads nowhere is a warning, and its neighbours complete it."""
    system = Trust((authority("another root").read,), SYSTEM)
    assert first(filed(NODE, MIDDLE), trust=system) == [("untrusted-chain", "warn")]
    assert first(filed(NODE), filed(MIDDLE, source="chain.pem")) == []


def test_an_impostor_root_of_the_same_name():
    """A CA with a trusted root's name and another key has not signed: the reason says so."""
    impostor = authority("mesh root")
    place = served(impostor.issue("node-1", sans=["node-1.mesh"]))
    assert first(place) == [("untrusted-chain", "fail")]
    assert "another key" in message(place)


def test_an_intermediate_that_has_expired():
    """The leaf is in order and the CA above it has expired: both rows say so, each its own part."""
    old = ROOT.authority("old CA", days=(-300, -3))
    place = served(old.issue("node-1", sans=["node-1.mesh"], days=(-50, 50)), old)
    assert verdicts(place) == [[("untrusted-chain", "fail")], [("expired", "fail")]]
    assert "CN=old CA expired on 2026-03-06" in message(place)


def test_a_ca_that_had_expired_before_it_signed():
    """The leaf is younger than the end of its CA: no moment suits both, and it is the CA that is named."""
    old = ROOT.authority("old CA", days=(-300, -3))
    place = served(old.issue("node-1", sans=["node-1.mesh"]), old)
    assert verdicts(place) == [[("untrusted-chain", "fail")], [("expired", "fail")]]
    assert "CN=old CA expired on 2026-03-06" in message(place)


def test_a_root_that_has_expired():
    """A trusted root that has expired breaks the chain, and is named."""
    old = authority("old root", days=(-300, -3))
    place = served(old.issue("node-1", sans=["node-1.mesh"], days=(-50, 50)))
    assert first(place, trust=Trust((old.read,), "the roots")) == [("untrusted-chain", "fail")]
    assert "CN=old root expired" in message(place, trust=Trust((old.read,), "the roots"))


def test_wrong_order():
    """Certificates sent in another order than each before its issuer are a warning, and the chain still builds."""
    lower = MIDDLE.authority("lower CA")
    leaf = lower.issue("node-1", sans=["node-1.mesh"])
    assert first(served(leaf, lower, MIDDLE)) == []
    assert first(served(leaf, MIDDLE, lower)) == [("wrong-order", "warn")]
    assert first(served(leaf, lower, MIDDLE, ROOT)) == []
    assert [("wrong-order", "warn")] in verdicts(filed(MIDDLE, NODE))


def test_certificates_of_no_use():
    """What is sent along and belongs to no part of the chain is named."""
    stranger = authority("strange root").authority("strange CA")
    assert first(served(NODE, MIDDLE, stranger)) == [("unneeded-certificate", "warn")]
    assert "CN=strange CA" in message(served(NODE, MIDDLE, stranger))


def test_self_signed():
    """A server's self-signed certificate is one problem; a root in a file, or one that is trusted itself, is none."""
    alone = self_signed("node-1", sans=["node-1.mesh"])
    assert first(served(alone)) == [("self-signed", "fail")]
    assert first(served(alone), trust=Trust((alone.read,), "the roots")) == []
    assert first(filed(alone)) == [("self-signed", "warn")]
    assert first(filed(ROOT), trust=Trust((), SYSTEM)) == []


def test_ca_flags():
    """A CA that does not say it is one, and a server that says it is."""
    flagless = ROOT.issue("flagless CA", ca=None)
    place = served(flagless.issue("node-1", sans=["node-1.mesh"]), flagless)
    assert verdicts(place) == [[("untrusted-chain", "fail")], [("ca-without-ca-flag", "fail")]]
    boastful = MIDDLE.issue("node-1", sans=["node-1.mesh"], ca=True)
    assert first(served(boastful, MIDDLE)) == [("leaf-with-ca-flag", "warn")]


def test_a_ca_whose_key_may_not_sign():
    """A CA with a key usage that does not allow signing certificates breaks the chain."""
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    mute = ROOT.authority("mute CA", extensions=[(usage, True)])
    place = served(mute.issue("node-1", sans=["node-1.mesh"]), mute)
    assert verdicts(place) == [[("untrusted-chain", "fail")], [("leaf-with-ca-flag", "warn")]]


def test_name_constraints_are_kept():
    """A CA that may only sign for one domain has signed for another: the chain does not hold."""
    only = x509.NameConstraints([x509.DNSName("elsewhere")], None)
    narrow = ROOT.authority("narrow CA", extensions=[(only, True)])
    place = served(narrow.issue("node-1", sans=["node-1.mesh"]), narrow)
    assert first(place) == [("untrusted-chain", "fail")]
    assert "name constraints" in message(place)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("RSA-1024", [("weak-key", "fail")]),
        ("RSA-2048", []),
        ("P-192", [("weak-key", "fail")]),
        ("P-224", [("weak-key", "warn")]),
        ("P-521", []),
        ("Ed25519", []),
    ],
)
def test_keys(kind, expected):
    """Short RSA keys and small curves are weak; kinds that the web does not use are none the weaker for it."""
    key = new_key(kind)
    assert first(served(MIDDLE.issue("node-1", sans=["node-1.mesh"], key=key), MIDDLE)) == expected


def test_a_mesh_of_ed25519_keys_is_trusted():
    """CAs with keys that the verifier for the web does not know are followed by their signatures."""
    root = authority("root", key=new_key("Ed25519"))
    middle = root.authority("middle", key=new_key("Ed25519"))
    leaf = middle.issue("node-1", sans=["node-1.mesh"], key=new_key("Ed25519"))
    trust = Trust((root.read,), "the roots")
    assert verdicts(served(leaf, middle), trust=trust) == [[], []]
    impostor = authority("root", key=new_key("Ed25519"))
    assert first(served(leaf, middle), trust=Trust((impostor.read,), "the roots")) == [("untrusted-chain", "fail")]


def test_in_a_mesh_of_ed25519_keys_cas_are_cas_and_valid():
    """Where signatures alone are followed, a CA still has to say that it is one, and to be valid."""
    root = authority("root", key=new_key("Ed25519"))
    trust = Trust((root.read,), "the roots")
    flagless = root.issue("flagless", ca=None, key=new_key("Ed25519"))
    place = served(flagless.issue("node-1", sans=["node-1.mesh"]), flagless)
    assert first(place, trust=trust) == [("untrusted-chain", "fail")]
    old = root.authority("old", days=(-300, -3), key=new_key("Ed25519"))
    place = served(old.issue("node-1", sans=["node-1.mesh"]), old)
    assert first(place, trust=trust) == [("untrusted-chain", "fail")]
    assert "CN=old expired" in message(place, trust=trust)


def test_a_weak_root():
    """A root with a short key is the leaf's problem too: clients refuse the chain for it."""
    root = authority("root", key=new_key("RSA-1024"))
    leaf = root.issue("node-1", sans=["node-1.mesh"])
    assert first(served(leaf), trust=Trust((root.read,), "the roots")) == [("weak-key", "fail")]


@pytest.mark.parametrize(("digest", "name"), [("-md5", "md5WithRSAEncryption"), ("-sha1", "sha1WithRSAEncryption")])
def test_weak_signatures(tmp_path, digest, name):
    """MD5 and SHA-1 are named, in a certificate that somebody else has signed; a root's own signature is no matter."""
    path, _key = by_openssl(tmp_path, "-newkey", "rsa:2048", digest)
    (found,) = read_paths([str(path)])
    (own,) = found.chain
    assert own.signature_algorithm == name
    assert "weak-signature" not in {code for code, _ in first(filed(own))}
    other = replace(own, issuer="CN=somebody else")
    assert ("weak-signature", "fail") in first(filed(other))


def test_lifetimes():
    """A server's certificate for twenty years is too long; a root's is not."""
    long = MIDDLE.issue("node-1", sans=["node-1.mesh"], days=(-1, 20 * 365))
    assert first(served(long, MIDDLE)) == [("lifetime-too-long", "warn")]
    assert first(filed(authority("root", days=(-1, 25 * 365)))) == []


def test_old_tls():
    """A server that speaks nothing newer than TLS 1.1 fails, its certificate being right."""
    for version, expected in (("TLSv1.1", [("old-tls", "fail")]), ("TLSv1", [("old-tls", "fail")]), ("TLSv1.2", [])):
        assert first(replace(served(NODE, MIDDLE), tls_version=version)) == expected


def test_malformed_and_incomplete_and_nothing():
    """What cannot be read fails; what is not all there, and what gave nothing, is unknown, never right."""
    assert first(filed(Malformed("a length that cannot be right"))) == [("malformed", "fail")]
    assert first(replace(filed(NODE, MIDDLE), trouble="it holds 2,000 certificates")) == [("incomplete", "unknown")]
    (row,) = judge([Found("node-2:4001", "tls", host="node-2", trouble="connection refused")], at=NOW, trust=TRUST)
    assert (row.certificate, row.verdict, row.problems[0].code, row.days_left) == (
        None,
        Verdict.UNKNOWN,
        "no-answer",
        None,
    )
    (row,) = judge([Found("/gone", "file", trouble="it does not exist")], at=NOW, trust=TRUST)
    assert (row.verdict, row.problems[0].code) == (Verdict.UNKNOWN, "unreadable")


def test_the_same_certificate_in_several_places_is_one_row():
    """One row with all its places; a problem that is so in one of them says where."""
    places = (
        served(NODE, MIDDLE),
        served(NODE, MIDDLE, host="node-2.mesh", source="node-2.mesh:4001"),
        filed(NODE, MIDDLE, source="/etc/mesh/tls.crt"),
    )
    leaf, middle = judge(places, at=NOW, trust=TRUST)
    assert leaf.places == ("node-1.mesh:4001", "node-2.mesh:4001", "/etc/mesh/tls.crt") == middle.places
    (problem,) = leaf.problems
    assert problem.code == "hostname-mismatch"
    assert problem.message.startswith("at node-2.mesh:4001: ")


def test_a_long_chain_is_judged_in_time():
    """Five hundred certificates of one name, which lead nowhere, are told as such and not followed for ever."""
    others = [authority("mesh root", days=(-200, 3000 + number % 3)) for number in range(60)]
    place = served(NODE, *(others * 8))
    assert first(place, trust=Trust((), SYSTEM))[0][0] in ("untrusted-chain", "missing-intermediate")


HOSTS = ("akamai.com", "apple.com", "bing.com", "docs.python.org", "fastly.com", "microsoft.com", "stackoverflow.com")


@pytest.mark.parametrize("host", HOSTS)
def test_chains_of_real_sites_then_and_now(host):
    """Each verified at its time for its host and root; years later it has expired and nothing else is wrong with it;
    for another host, and with another root, it fails with the right code."""
    folder = need_certificates() / "online-chains"
    (found,) = read_paths([str(folder / f"{host}.pem")])
    trust = load_trust(folder / f"{host}.root.pem")
    then = datetime.datetime.fromisoformat(chains()[host]["valid_at"])
    place = Found(f"{host}:443", "tls", found.chain, host, "TLSv1.3")
    assert first(place, trust=trust, at=then, warn_days=0, fail_days=0) == []
    assert first(place, trust=trust, at=then + datetime.timedelta(days=3000)) == [("expired", "fail")]
    assert first(place, trust=trust, at=then - datetime.timedelta(days=3000)) == [("not-yet-valid", "fail")]
    elsewhere = replace(place, host="example.org")
    assert first(elsewhere, trust=trust, at=then, warn_days=0, fail_days=0) == [("hostname-mismatch", "fail")]
    stranger = Trust((ROOT.read,), SYSTEM)
    codes = {code for code, _ in first(place, trust=stranger, at=then, warn_days=0, fail_days=0)}
    assert codes <= {"untrusted-chain", "missing-intermediate"} and codes
