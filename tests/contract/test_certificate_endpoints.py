"""Certificates over real sockets: what a server sends is shown whatever else is wrong with it, and nothing hangs."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl

import pytest

from meshdiag.checks.readings.certificates.judging import judge
from meshdiag.sources.certificates.certificate import Certificate, Found, Trust
from meshdiag.sources.certificates.endpoints import Wanted, fetch
from tests.faulty import FAULTS, faulty
from tests.minting import authority, by_openssl, new_key
from tests.tlsserver import DIALOGUES, context_of_files, listening, server_context, talk, tls_server

ROOT = authority("mesh root")
MIDDLE = ROOT.authority("mesh issuing CA")
NODE = MIDDLE.issue("node-1", sans=["localhost", "127.0.0.1", "node-1.mesh"])
NOW = datetime.datetime.now(datetime.UTC)


async def ask(address: str, *, timeout_s: float = 5.0, **more) -> Found:
    """One server's answer."""
    (found,) = await fetch([Wanted(address, **more)], timeout_s=timeout_s)
    return found


def subjects(found: Found) -> list[str]:
    """The subjects of what was sent, in order."""
    return [one.subject if isinstance(one, Certificate) else one.reason for one in found.chain]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
async def test_the_chain_as_it_was_sent(version):
    """Every certificate byte for byte and in the order of sending, with version and cipher, in TLS 1.3 and 1.2."""
    context = server_context([NODE, ROOT, MIDDLE])
    context.maximum_version = version
    with tls_server(context) as address:
        found = await ask(address)
    assert [one.der for one in found.chain] == [NODE.der, ROOT.der, MIDDLE.der]
    assert found.tls_version == version.name.replace("_", ".")
    assert (found.kind, found.host, found.trouble) == ("tls", "127.0.0.1", "")
    assert "AES" in found.cipher or "CHACHA" in found.cipher


async def test_the_name_asked_for_and_the_protocol():
    """The server is told the name (SNI) and offered protocols (ALPN); an IP address is never told as a name."""
    names = []
    context = server_context([NODE])
    context.set_alpn_protocols(["h2", "mesh/1"])
    context.sni_callback = lambda _tls, name, _context: names.append(name)
    with tls_server(context) as address:
        port = address.rpartition(":")[2]
        named = await ask(address, server_name="node-1.mesh", alpn=("mesh/1",))
        await ask(f"localhost:{port}")
        bare = await ask(address)
    assert names == ["node-1.mesh", "localhost", None]
    assert (named.host, named.alpn, bare.alpn) == ("node-1.mesh", "mesh/1", "")


async def test_an_ipv6_address():
    """A server on IPv6 is asked by its address in brackets."""
    with tls_server(server_context([NODE]), family=socket.AF_INET6) as address:
        found = await ask(address)
    assert (found.host, subjects(found)) == ("::1", ["CN=node-1"])


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
async def test_a_server_that_demands_a_client_certificate_shows_its_own(version, tmp_path):
    """Without a certificate of ours the server's is seen all the same; with one the handshake goes through."""
    context = server_context([NODE, MIDDLE])
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    context.load_verify_locations(tmp_path / "ca.pem")
    client = ROOT.issue("operator", now=NOW)
    (tmp_path / "client.pem").write_bytes(client.pem)
    (tmp_path / "client.key").write_bytes(client.key_pem)
    files = (str(tmp_path / "client.pem"), str(tmp_path / "client.key"))
    with tls_server(context) as address:
        without, with_one = await ask(address), await ask(address, client_cert=files)
        wrong = await ask(address, client_cert=(files[0], files[0]))
    for found in (without, with_one):
        assert (subjects(found)[0], found.trouble) == ("CN=node-1", "")
        assert found.tls_version == version.name.replace("_", ".")
    assert "client certificate" in wrong.trouble


@pytest.mark.parametrize(
    "arguments",
    [("-newkey", "rsa:512", "-sha256"), ("-newkey", "rsa:1024", "-md5"), ("-newkey", "rsa:2048", "-sha1")],
    ids=["rsa-512", "rsa-1024-md5", "sha1"],
)
async def test_weak_certificates_are_still_shown(tmp_path, arguments):
    """Keys and signatures that no client takes any more are shown, so that they can be named."""
    context = context_of_files(*by_openssl(tmp_path, *arguments), weak=True)
    with tls_server(context) as address:
        found = await ask(address)
    assert (subjects(found), found.trouble) == (["CN=localhost,O=mesh"], "")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_servers_of_old_tls_are_still_shown(version):
    """A server of TLS 1.0 or 1.1 alone shows its certificate, and its version is told and judged."""
    context = server_context([NODE, MIDDLE], weak=True)
    context.minimum_version = context.maximum_version = version
    with tls_server(context) as address:
        found = await ask(address)
    assert (subjects(found), found.trouble) == (["CN=node-1", "CN=mesh issuing CA"], "")
    assert found.tls_version == version.name.replace("_", ".").removesuffix(".0")
    rows = judge([found], at=NODE.x509.not_valid_before_utc, trust=Trust((ROOT.read,), "ca.pem"))
    assert "old-tls" in [problem.code for problem in rows[0].problems]


def until_closed(connection: socket.socket) -> None:
    """Say nothing until the other side hangs up."""
    while connection.recv(65536):
        pass


async def test_one_that_listens_only():
    """A port that accepts and says nothing is told as such after the time is over."""
    with listening(until_closed) as address:
        found = await ask(address, timeout_s=0.3)
    assert "says nothing within 0.3 s" in found.trouble


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_handshake_that_stalls_half_way(version):
    """Some bytes and then silence: a stall, with what was sent by then."""
    context = server_context([NODE])
    context.maximum_version = version

    def stall(connection: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(connection.recv(65536))
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        connection.sendall(outgoing.read()[:60])
        until_closed(connection)

    with listening(stall) as address:
        found = await ask(address, timeout_s=0.3)
    assert "stalls in the middle of the handshake: 60 bytes" in found.trouble
    assert not found.chain


async def test_a_server_that_stalls_after_its_certificate():
    """What a server has shown before it stalled is kept, with the trouble beside it."""
    context = server_context([NODE, MIDDLE])
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def stall(connection: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(connection.recv(65536))
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        connection.sendall(outgoing.read())
        until_closed(connection)

    with listening(stall) as address:
        found = await ask(address, timeout_s=0.3)
    assert subjects(found) == ["CN=node-1", "CN=mesh issuing CA"]
    assert found.tls_version == "TLSv1.2"
    assert "stalls" in found.trouble


async def test_a_server_that_hangs_up_after_its_certificate():
    """A server that shows its certificate and hangs up, as one that wants ours may, has shown it: no trouble."""
    context = server_context([NODE, MIDDLE])
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def leave(connection: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(connection.recv(65536))
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        connection.sendall(outgoing.read())
        connection.shutdown(socket.SHUT_WR)
        until_closed(connection)

    with listening(leave) as address:
        found = await ask(address)
    assert (subjects(found), found.trouble) == (["CN=node-1", "CN=mesh issuing CA"], "")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
async def test_the_server_is_told_goodbye(version):
    """The connection ends as TLS has it, so that no server logs a broken one for our look."""
    context, ends = server_context([NODE]), []
    context.maximum_version = version

    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False) as wrapped:
            try:
                ends.append(wrapped.recv(1))
            except ssl.SSLError as error:
                ends.append(error)

    with listening(handle) as address:
        await ask(address)
    assert ends == [b""]


@pytest.mark.parametrize(
    ("says", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "plain HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"220 mail ESMTP\r\n", "STARTTLS"),
        (b"* OK IMAP4rev1\r\n", "STARTTLS"),
        (b"\x1b[31m\x07evil\xff", "does not speak TLS"),
        (b"", "hangs up"),
        (b"\x15\x03\x03\x00\x02\x02\x28", "refuses the handshake"),
        (b"\x15\x03\x03\x00\x02\x02\x70", "no certificate for the name"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "no TLS version in common"),
    ],
)
async def test_what_does_not_speak_tls_is_named(says, said):
    """A server of something else, one that hangs up and one that refuses: each is told by what it says."""

    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(says)

    with listening(answer) as address:
        found = await ask(address)
    assert said in found.trouble
    assert found.trouble.isprintable()


async def test_no_connection():
    """Refused, an unknown name and what is no address are three sentences."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        refused = await ask(f"127.0.0.1:{held.getsockname()[1]}")
    assert "refused" in refused.trouble
    assert "unknown" in (await ask("no-such-host.invalid:443")).trouble
    assert "host:port" in (await ask("no-port")).trouble
    with listening(until_closed) as address:
        assert "cannot be the name of a server" in (await ask(address, server_name="a..b")).trouble
    assert "STARTTLS is not known" in (await ask("127.0.0.1:1", starttls="gopher")).trouble


async def test_a_chain_that_is_longer_than_clients_take():
    """A server that sends five hundred certificates is refused in one sentence, as every client refuses it."""
    with tls_server(server_context([NODE, *([MIDDLE] * 499)])) as address:
        found = await ask(address)
    assert "more than 100 kB" in found.trouble


@pytest.mark.parametrize("protocol", DIALOGUES)
async def test_starttls(protocol):
    """Each protocol's few words are said, and the certificate behind them is shown."""
    with tls_server(server_context([NODE, MIDDLE]), before=DIALOGUES[protocol]) as address:
        found = await ask(address, starttls=protocol)
    assert (found.kind, subjects(found), found.trouble) == ("starttls", ["CN=node-1", "CN=mesh issuing CA"], "")


@pytest.mark.parametrize(
    ("protocol", "dialogue", "said"),
    [
        ("smtp", talk((b"", b"220 ESMTP\r\n"), (b"EHLO", b"250 SIZE\r\n")), "does not offer STARTTLS"),
        ("smtp", talk((b"", b"554 no service\r\n")), "554 no service"),
        ("imap", talk((b"", b"* OK\r\n"), (b"a1", b"a1 NO\r\n")), "declines"),
        ("pop3", talk((b"", b"-ERR\r\n")), "does not greet"),
        ("ldap", talk((b"1466", bytes.fromhex("300c02010178070a010204000400"))), "declines StartTLS (result 2)"),
        ("postgres", talk((b"\x16\x2f", b"N")), "switched off"),
        ("postgres", talk((b"\x16\x2f", b"HTTP/1.1 400")), "not answer as a PostgreSQL"),
        ("smtp", talk((b"", b"x" * 100_000)), "talks on and on"),
        ("smtp", talk(), "hung up"),
    ],
)
async def test_servers_that_decline_starttls(protocol, dialogue, said):
    """A server that does not offer TLS, declines it, talks on or hangs up: each is one sentence."""
    with listening(dialogue) as address:
        found = await ask(address, starttls=protocol)
    assert said in found.trouble


async def test_many_at_once_each_in_its_place(tmp_path):
    """Two hundred servers, good and dead, are asked at once; the answers stand in the order asked, each told once."""
    with tls_server(server_context([NODE])) as good, socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = good.rpartition(":")[2]
        dead = f"127.0.0.1:{held.getsockname()[1]}"
        wanted = [Wanted(f"127.0.0.{n + 1}:{port}" if n == 0 else good if n % 3 else dead) for n in range(200)]
        seen: list[Found] = []
        founds = await fetch(wanted, timeout_s=10, at_once=50, on_answer=seen.append)
    assert [found.source for found in founds] == [one.address for one in wanted]
    assert all(bool(found.chain) == (found.source != dead) for found in founds)
    assert len(seen) == 200


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_every_fault_of_a_server_costs_one_sentence(fault):
    """Whatever is wrong with a server, its answer is a certificate or one printable sentence, inside the time."""
    with faulty(fault.name) as server:
        address = server.url.partition("://")[2]
        async with asyncio.timeout(10):
            found = await ask(address, timeout_s=5.0 if fault.name == "tls-not-trusted" else 0.2)
    assert bool(found.chain) == (fault.name == "tls-not-trusted")
    assert bool(found.trouble) != bool(found.chain)
    assert found.trouble.isprintable()


async def test_ed25519_servers():
    """A server with a key that the web does not use shows its certificate."""
    node = ROOT.issue("node-1", sans=["127.0.0.1"], key=new_key("Ed25519"))
    with tls_server(server_context([node])) as address:
        found = await ask(address)
    assert [one.key_type for one in found.chain] == ["Ed25519"]
