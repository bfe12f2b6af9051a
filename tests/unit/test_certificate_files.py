"""Certificates in files of every kind: told by their content, within bounds, and never a wait or a traceback."""

from __future__ import annotations

import base64
import datetime
import json
import os
import socket

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)

from meshdiag.errors import UsageError
from meshdiag.sources.certificates import containers, files
from meshdiag.sources.certificates.certificate import Certificate, Malformed
from meshdiag.sources.certificates.files import read_paths
from meshdiag.sources.certificates.trust import load_trust
from tests.minting import NOW, authority

ROOT = authority("mesh root")
NODE = ROOT.issue("node-1", sans=["node-1.mesh"])
SECRET_WORDS = base64.b64encode(NODE.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def read(*paths, password=None):
    """What these paths hold."""
    return list(read_paths([str(path) for path in paths], password))


def subjects(found):
    """The subjects of a place, in order."""
    return [one.subject if isinstance(one, Certificate) else one.reason for one in found.chain]


@pytest.mark.parametrize(
    "text",
    [
        NODE.pem + ROOT.pem,
        b"subject=CN = node-1\nissuer=CN = mesh root\n" + NODE.pem + b"\n# the root\n" + ROOT.pem,
        (NODE.pem + ROOT.pem).replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + NODE.key_pem + NODE.pem + ROOT.pem,
        NODE.pem + NODE.key_pem + ROOT.pem,
        (NODE.pem + ROOT.pem).replace(b"BEGIN CERTIFICATE", b"BEGIN X509 CERTIFICATE"),
        b'{"chain": "' + (NODE.pem + ROOT.pem).replace(b"\n", b"\\n") + b'"}',
        NODE.pem.rstrip() + ROOT.pem.rstrip(),
    ],
    ids=["plain", "text-between", "crlf", "key-first", "key-between", "old-label", "escaped-lines", "one-line"],
)
def test_pem_with_whatever_stands_around_it(tmp_path, text):
    """Blocks are found in order, whatever text, line ends, keys and labels surround them."""
    (tmp_path / "chain").write_bytes(text)
    (found,) = read(tmp_path / "chain")
    assert (found.kind, subjects(found), found.trouble) == ("pem", ["CN=node-1", "CN=mesh root"], "")


def test_a_private_key_leaves_no_trace(tmp_path):
    """Nothing of a key beside a certificate is in what was found, nor of one that stands alone."""
    for name, text in {"both": NODE.key_pem + NODE.pem, "alone": NODE.key_pem}.items():
        (tmp_path / name).write_bytes(text)
        (found,) = read(tmp_path / name)
        assert SECRET_WORDS[:40].decode() not in repr(found)
    assert "private key" in found.trouble


def test_der_told_by_content(tmp_path):
    """A certificate in DER is known as one whatever its name, also two in one file."""
    (tmp_path / "node.pem").write_bytes(NODE.der)
    (tmp_path / "two.bin").write_bytes(NODE.der + ROOT.der)
    one, two = read(tmp_path / "node.pem", tmp_path / "two.bin")
    assert (one.kind, subjects(one)) == ("der", ["CN=node-1"])
    assert subjects(two) == ["CN=node-1", "CN=mesh root"]


def test_der_that_is_something_else(tmp_path):
    """Keys, requests and revocation lists in DER are named when asked for, and passed over in a folder; so is text
    that begins with the same letter as DER."""
    (tmp_path / "key.der").write_bytes(NODE.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    builder = x509.CertificateSigningRequestBuilder().subject_name(NODE.x509.subject)
    (tmp_path / "node.csr").write_bytes(builder.sign(NODE.key, hashes.SHA256()).public_bytes(Encoding.DER))
    lists = x509.CertificateRevocationListBuilder().issuer_name(ROOT.x509.subject)
    dated = lists.last_update(NOW).next_update(NOW + datetime.timedelta(days=1))
    (tmp_path / "ca.crl").write_bytes(dated.sign(ROOT.key, hashes.SHA256()).public_bytes(Encoding.DER))
    (tmp_path / "numbers").write_bytes(b"0\n1\n2\n" * 100)
    assert read(tmp_path) == []
    troubles = [found.trouble for found in read(*sorted(tmp_path.iterdir()))]
    assert [trouble.partition(", but ")[2] for trouble in troubles] == [
        "a revocation list",
        "a private key",
        "a certificate request",
        "",
    ]


def test_pkcs7_in_both_forms(tmp_path):
    """A PKCS#7 bundle gives its certificates, in DER and in PEM."""
    for name, encoding in (("der", Encoding.DER), ("pem", Encoding.PEM)):
        path = tmp_path / name
        path.write_bytes(pkcs7.serialize_certificates([NODE.x509, ROOT.x509], encoding))
        (found,) = read(path)
        assert sorted(subjects(found)) == ["CN=mesh root", "CN=node-1"]


def test_pkcs12_and_its_password(tmp_path):
    """The right password opens it; a wrong one and none at all are two different sentences."""
    path = tmp_path / "node.p12"
    sealed = BestAvailableEncryption(b"correct horse")
    path.write_bytes(pkcs12.serialize_key_and_certificates(b"node", NODE.key, NODE.x509, [ROOT.x509], sealed))
    (right,) = read(path, password=b"correct horse")
    (wrong,) = read(path, password=b"battery staple")
    (none,) = read(path)
    assert (right.kind, subjects(right)) == ("pkcs12", ["CN=node-1", "CN=mesh root"])
    assert "wrong" in wrong.trouble
    assert "needs a password" in none.trouble
    assert "staple" not in repr(wrong)


def test_pkcs12_without_a_password(tmp_path):
    """A PKCS#12 file that is not sealed needs no password."""
    path = tmp_path / "open"
    path.write_bytes(pkcs12.serialize_key_and_certificates(b"node", NODE.key, NODE.x509, [], NoEncryption()))
    (found,) = read(path)
    assert subjects(found) == ["CN=node-1"]


def test_a_pkcs12_file_that_would_take_hours_is_not_tried(tmp_path, monkeypatch):
    """A file that asks for two thousand million rounds of hashing is refused before the first."""
    sealed = BestAvailableEncryption(b"pw")
    data = pkcs12.serialize_key_and_certificates(b"n", NODE.key, NODE.x509, None, sealed)
    assert data.endswith(b"\x02\x02\x08\x00")  # the rounds of its MAC, 2,048
    (tmp_path / "slow.p12").write_bytes(data)
    assert read(tmp_path / "slow.p12", password=b"pw")[0].chain
    (tmp_path / "slow.p12").write_bytes(lengthened(data[:-4] + b"\x02\x04\x7f\xff\xff\xff", 2))
    (found,) = read(tmp_path / "slow.p12", password=b"pw")
    assert "2,147,483,647 times: not tried" in found.trouble
    monkeypatch.setattr(containers, "MOST_ROUNDS", 10_000)  # those of the key and the certificates are 20,000
    (tmp_path / "slow.p12").write_bytes(data)
    assert "20,000 times: not tried" in read(tmp_path / "slow.p12", password=b"pw")[0].trouble


def lengthened(der, by):
    """A DER value whose last inner value has grown by so many bytes: the lengths around it, put right."""
    length = int.from_bytes(der[2:4]) + by
    whole = der[:2] + length.to_bytes(2) + der[4:]
    first = 7 + 4 + int.from_bytes(whole[9:11])  # behind the version and the contents: the MAC's data
    assert whole[first] == 0x30
    return whole[: first + 1] + bytes([whole[first + 1] + by]) + whole[first + 2 :]


def test_a_java_keystore_is_named(tmp_path):
    """What cannot be read is named, with what turns it into something that can."""
    (tmp_path / "cacerts").write_bytes(bytes.fromhex("feedfeed00000002") + bytes(100))
    (found,) = read(tmp_path / "cacerts")
    assert "keytool" in found.trouble


def secret(name="peer-tls", **more):
    """A Secret manifest."""
    data = {
        "tls.crt": base64.b64encode(NODE.pem + ROOT.pem).decode(),
        "tls.key": base64.b64encode(NODE.key_pem).decode(),
    }
    metadata = {"name": name, "namespace": "mesh"}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": metadata,
        "data": data,
        **more,
    }


@pytest.mark.parametrize(
    "text",
    [
        yaml.safe_dump(secret()),
        json.dumps(secret()),
        json.dumps(secret(), indent=4),
        yaml.safe_dump_all([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mesh"}}, secret()]),
        yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [secret()]}),
        "# comment\n---\n" + yaml.safe_dump(secret()),
        json.dumps(dict(reversed(secret().items()))),
    ],
    ids=["yaml", "json", "json-lines", "documents", "list", "comment", "json-reversed"],
)
def test_secret_manifests(tmp_path, text):
    """A Secret's certificate is found in YAML and JSON, alone, in a list and among other documents; its key is not."""
    (tmp_path / "secret").write_text(text)
    (found,) = read(tmp_path / "secret")
    assert found.source == f"{tmp_path / 'secret'}#mesh/peer-tls/tls.crt"
    assert (found.kind, subjects(found), found.trouble) == ("secret", ["CN=node-1", "CN=mesh root"], "")
    assert SECRET_WORDS[:40].decode() not in repr(found)


def test_string_data_config_maps_and_stores_in_secrets(tmp_path):
    """Plain values, ConfigMaps and PKCS#12 files within Secrets are read as well."""
    sealed = BestAvailableEncryption(b"pw")
    store = pkcs12.serialize_key_and_certificates(b"n", NODE.key, NODE.x509, None, sealed)
    documents = [
        secret(
            type="Opaque",
            data={"store.p12": base64.b64encode(store).decode()},
            stringData={"ca.crt": ROOT.pem.decode()},
        ),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "roots"}, "data": {"ca.crt": ROOT.pem.decode()}},
    ]
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(documents))
    founds = read(tmp_path / "all.yaml", password=b"pw")
    places = {found.source.partition("#")[2]: (found.kind, subjects(found)) for found in founds}
    assert places == {
        "mesh/peer-tls/store.p12": ("secret", ["CN=node-1"]),
        "mesh/peer-tls/ca.crt": ("secret", ["CN=mesh root"]),
        "default/roots/ca.crt": ("configmap", ["CN=mesh root"]),
    }


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "without tls.crt"),
        ({"tls.crt": "%%%"}, "not base64"),
        ({"tls.crt": base64.b64encode(b"hello").decode()}, "no certificate"),
    ],
)
def test_secrets_that_hold_no_certificate_say_so(tmp_path, data, said):
    """A TLS secret without a certificate is a trouble, each kind with a sentence of its own."""
    (tmp_path / "secret.yaml").write_text(yaml.safe_dump(secret(data=data)))
    (found,) = read(tmp_path / "secret.yaml")
    assert said in found.trouble


def test_kubeconfig_with_data_and_with_files(tmp_path):
    """Authorities and client certificates are found, given as data or as files relative to the kubeconfig."""
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "client.crt").write_bytes(NODE.pem)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "prod", "cluster": {"certificate-authority-data": base64.b64encode(ROOT.pem).decode()}},
            {"name": "gone", "cluster": {"certificate-authority": "pki/gone.crt"}},
        ],
        "users": [{"name": "admin", "user": {"client-certificate": "pki/client.crt", "client-key": "pki/client.key"}}],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    prod, gone, admin = read(tmp_path / "config")
    assert (prod.source, subjects(prod)) == (f"{tmp_path / 'config'}#clusters/prod", ["CN=mesh root"])
    assert "does not exist" in gone.trouble
    assert (admin.kind, subjects(admin)) == ("kubeconfig", ["CN=node-1"])


def test_blank_lines_are_gone_over_once(tmp_path):
    """A file of a million blank lines or spaces is looked at and passed, however its content is guessed at."""
    for name, text in {"lines": "\n" * 1_000_000, "spaces": " " * 1_000_000, "dashes": "-----\n" * 100_000}.items():
        (tmp_path / name).write_text(text)
    assert [found.trouble for found in read(*sorted(tmp_path.iterdir()))] == ["it holds no certificate"] * 3


def test_yaml_bombs_and_depths_end(tmp_path):
    """Aliases that multiply and endless nesting cost a sentence, not the machine."""
    bomb = "apiVersion: v1\nkind: List\nitems: &a [x]\n" + "".join(
        f"b{n}: &b{n} [{', '.join([f'*b{n - 1}' if n else '*a'] * 9)}]\n" for n in range(30)
    )
    (tmp_path / "bomb.yaml").write_text(bomb)
    (tmp_path / "deep.yaml").write_text("kind: " + "[" * 100_000)
    bomb_found, deep_found = read(tmp_path / "bomb.yaml", tmp_path / "deep.yaml")
    assert bomb_found.trouble
    assert "deep" in deep_found.trouble


def test_folders_and_patterns(tmp_path):
    """A folder is walked, files without certificates are passed over there, and a file behind a link counts once."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "node.crt").write_bytes(NODE.pem)
    (tmp_path / "root.pem").write_bytes(ROOT.pem)
    (tmp_path / "README").write_text("nothing here")
    (tmp_path / "key.pem").write_bytes(NODE.key_pem)
    (tmp_path / "again.pem").symlink_to("root.pem")
    (tmp_path / "loop").symlink_to(".")
    assert [found.source for found in read(tmp_path)] == [
        str(tmp_path / "root.pem"),
        str(tmp_path / "sub" / "node.crt"),
    ]
    assert [found.source for found in read(f"{tmp_path}/**/*.crt")] == [str(tmp_path / "sub" / "node.crt")]
    (none,) = read(f"{tmp_path}/*.nope")
    assert "no file matches" in none.trouble


def test_a_mounted_secret_counts_once(tmp_path):
    """Kubernetes mounts a secret as links through a folder ``..data``: each file is read once, by its own name."""
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "tls.crt").write_bytes(NODE.pem)
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "tls.crt").symlink_to("..data/tls.crt")
    assert [found.source for found in read(tmp_path)] == [str(tmp_path / "tls.crt")]


def test_pipes_devices_and_sockets_are_not_waited_for(tmp_path):
    """What is no regular file is named, not opened and waited for; in a folder likewise."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        troubles = [
            found.trouble for found in read(tmp_path / "pipe", "/dev/zero", tmp_path / "socket", tmp_path / "gone")
        ]
        (folder,) = read(tmp_path)
    assert "pipe" in troubles[0] and "device" in troubles[1]
    assert "cannot be read" in troubles[2] and "does not exist" in troubles[3]
    assert folder.kind == "directory"
    assert "pipe" in folder.trouble


def test_a_file_that_may_not_be_read_is_told(tmp_path):
    """A file without permission costs a sentence. (Root may read everything: a folder in its place then.)"""
    path = tmp_path / "node.pem"
    path.write_bytes(NODE.pem)
    path.chmod(0)
    (found,) = read(path)
    assert found.chain or "cannot be read" in found.trouble


def test_fifty_megabytes_of_pem(tmp_path):
    """A huge file is read up to a bound that is said, in little memory."""
    path = tmp_path / "huge.pem"
    with path.open("wb") as file:
        for _ in range(50):
            file.write((b"# text\n" * 20 + NODE.pem) * (1024 * 1024 // (len(NODE.pem) + 140)))
    (found,) = read(path)
    assert len(found.chain) == 1000
    assert "the first 1,000 were read" in found.trouble


def test_a_chain_of_five_hundred(tmp_path):
    """Five hundred certificates in one file are all read."""
    (tmp_path / "long.pem").write_bytes(NODE.pem + ROOT.pem * 499)
    (found,) = read(tmp_path / "long.pem")
    assert (len(found.chain), found.trouble) == (500, "")


def test_blocks_that_do_not_end_or_are_not_base64(tmp_path):
    """A broken block is malformed with its reason, and the blocks around it are read."""
    broken = NODE.pem.partition(b"-----END")[0]
    cases = {
        "endless": (broken + ROOT.pem, "does not end"),
        "last": (ROOT.pem + broken, "does not end"),
        "letters": (ROOT.pem + b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", "not base64"),
        "short": (ROOT.pem + b"-----BEGIN CERTIFICATE-----\nMIIBMA==\n-----END CERTIFICATE-----\n", "missing"),
    }
    for name, (text, said) in cases.items():
        (tmp_path / name).write_bytes(text)
        (found,) = read(tmp_path / name)
        malformed = [one.reason for one in found.chain if isinstance(one, Malformed)]
        assert len(malformed) == 1 and said in malformed[0], name
        assert "CN=mesh root" in subjects(found), name


def test_a_hundred_thousand_beginnings_are_gone_over_once(tmp_path):
    """Blocks that begin and never end cost no more than their bytes, and each is counted."""
    (tmp_path / "file").write_bytes(b"-----BEGIN CERTIFICATE-----\n" * 100_000)
    (found,) = read(tmp_path / "file")
    assert "it holds 100,000 certificates" in found.trouble
    assert set(subjects(found)) == {"a block begins and does not end (no -----END line)"}


def test_endless_key_blocks_take_no_memory(tmp_path, monkeypatch):
    """A block of another kind is passed over piece by piece, however long, and what follows is found."""
    from meshdiag.sources.certificates import pem

    monkeypatch.setattr(pem, "PIECE", 128)
    monkeypatch.setattr(pem, "LONGEST_BLOCK", 4096)
    text = b"-----BEGIN PRIVATE KEY-----\n" + b"A" * 100_000 + b"\n-----END PRIVATE KEY-----\n" + NODE.pem
    (tmp_path / "file").write_bytes(text)
    (found,) = read(tmp_path / "file")
    assert subjects(found) == ["CN=node-1"]


def test_too_many_files_and_too_deep_folders_are_said(tmp_path, monkeypatch):
    """What a folder holds beyond the bounds is said, not silently left out."""
    monkeypatch.setattr(files, "MOST_FILES", 3)
    monkeypatch.setattr(files, "DEEPEST", 1)
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    for number in range(3):
        (tmp_path / f"{number}.pem").write_bytes(NODE.pem)
    deep = read(tmp_path)[-1]
    assert "levels deep" in deep.trouble
    (tmp_path / "3.pem").write_bytes(ROOT.pem)
    assert "more than 3 files" in read(tmp_path)[-1].trouble
    assert "more than 3 files match" in read(f"{tmp_path}/*.pem")[-1].trouble


def test_roots_of_the_system_of_a_file_and_of_nothing(tmp_path):
    """Roots come from the system or from a named file; a file without any is one sentence."""
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    assert [root.subject for root in load_trust(tmp_path / "ca.pem").roots] == ["CN=mesh root"]
    assert len(load_trust().roots) > 20
    (tmp_path / "empty").write_text("")
    with pytest.raises(UsageError, match="no certificate"):
        load_trust(tmp_path / "empty")
