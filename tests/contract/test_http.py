"""The shared HTTP client over real sockets: limits, redirects, retries, credentials, trust, and the curl command."""

from __future__ import annotations

import asyncio
import gzip
import json
import shlex
import ssl
import subprocess
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme

from meshdiag.context import Credentials, Endpoint, Secret, SecretKind
from meshdiag.errors import SourceError, Trouble
from meshdiag.sources.http import HttpClient, auth_headers, curl
from meshdiag.sources.http.body import Body, BodyTooLarge
from tests.faulty import authority, certified
from tests.serving import Asked, Handler, Server, send


def client(endpoint: Endpoint | str, **options: int) -> HttpClient:
    """A client as the sources make it."""
    return HttpClient(Endpoint(endpoint) if isinstance(endpoint, str) else endpoint, name="Prometheus", **options)


def answering(status: int = 200, body: bytes = b"{}", **headers: str) -> Handler:
    """Always the same answer."""

    async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
        await send(writer, status, body, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


def in_turn(*answers: Handler) -> Handler:
    """One answer after the other; the last for ever."""
    left = list(answers)

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(asked, writer)

    return answer


async def _hang_up(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def trouble_of(endpoint: Endpoint | str, **options: int) -> SourceError:
    """The error that a GET gives."""
    async with client(endpoint, **options) as one:
        with pytest.raises(SourceError) as caught:
            await one.get("/path", {"query": "up"})
    return caught.value


async def test_the_base_path_parameters_and_headers_are_sent() -> None:
    """A base path is kept, parameters are encoded, extra headers go along."""
    with Server(answering()) as server:
        endpoint = Endpoint(f"{server.url}/prom/?key=k1", headers={"X-Scope-OrgID": "tenant"})
        async with client(endpoint) as one:
            await one.get("/api", [("match[]", 'up{a="ü&b"}'), ("match[]", "x")])
            await one.post("/api", {"query": "up + 1"})
        got, posted = server.asked
    assert got.path == "/prom/api" and got.headers["x-scope-orgid"] == "tenant"
    assert got.params == [("key", "k1"), ("match[]", 'up{a="ü&b"}'), ("match[]", "x")]
    assert posted.method == "POST" and ("query", "up + 1") in posted.params


async def test_redirects_within_the_origin_are_followed_with_credentials() -> None:
    """A redirect to another path of the same server is followed, a POST as a POST."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.path == "/path":
            await send(writer, 307, headers={"Location": "/moved?query=up"})
        else:
            await send(writer, 200, b"{}")

    with Server(answer) as server:
        endpoint = Endpoint(server.url.replace("://", "://operator:s3cret@"))
        async with client(endpoint) as one:
            assert (await one.get("/path")).status == 200
            assert (await one.post("/path", {"query": "up"})).status == 200
        first, second, third, fourth = server.asked
    assert first.headers["authorization"] == second.headers["authorization"]
    assert (third.method, fourth.method, fourth.body) == ("POST", "POST", b"query=up")


async def test_credentials_never_leave_the_origin() -> None:
    """A redirect to another port, host or scheme is refused and nothing is sent there."""
    with Server(answering()) as other, Server(answering(302, Location=f"{other.url}/x?token=t0ken")) as server:
        error = await trouble_of(server.url.replace("://", "://operator:s3cret@"))
        assert other.asked == []
    assert error.trouble is Trouble.REDIRECT
    assert other.url in error.message and "t0ken" not in str(error) and "s3cret" not in str(error)


async def test_a_broken_connection_is_tried_again() -> None:
    """A connection that breaks before the answer costs a second try, and the tries are counted."""
    with Server(in_turn(_hang_up, answering())) as server:
        async with client(server.url) as one:
            assert (await one.get("/path")).status == 200
            assert one.requests_sent == 2


async def test_what_changes_something_is_not_sent_again() -> None:
    """A POST that is not repeatable is sent once, whatever happens."""
    with Server(_hang_up) as server:
        async with client(server.url) as one:
            with pytest.raises(SourceError):
                await one.post("/path", {"a": "b"}, repeatable=False)
            assert one.requests_sent == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured_within_the_time_left(status: int) -> None:
    """What the server asks to wait is waited for, if the time allows it; else it is said."""
    soon = format_datetime(datetime.now(UTC), usegmt=True)
    with Server(
        in_turn(answering(status, Retry_After="0"), answering(status, Retry_After=soon), answering())
    ) as server:
        async with client(server.url) as one:
            assert (await one.get("/path")).status == 200
            assert one.requests_sent == 3
    with Server(answering(status, Retry_After="3600")) as server:
        error = await trouble_of(server.url)
        assert len(server.asked) == 1
    assert "wait 3600 s" in error.hint


async def test_nothing_is_tried_again_without_cause() -> None:
    """A refused connection, a 500 and a 503 that names no time are final."""
    for status in (500, 503, 404):
        with Server(answering(status)) as server:
            await trouble_of(server.url)
            assert len(server.asked) == 1


async def test_sizes_are_bounded_before_and_after_decompression() -> None:
    """An announced, a streamed and an unfolding body are all cut off at the limit."""
    unfolding = gzip.compress(b" " * 5_000_000)
    assert len(unfolding) < 10_000
    for handler in (answering(body=b" " * 20_000), answering(body=unfolding, Content_Encoding="gzip")):
        with Server(handler) as server:
            assert (await trouble_of(server.url, max_bytes=10_000)).trouble is Trouble.TOO_LARGE


def test_a_body_that_unfolds_never_takes_the_memory_it_asks_for() -> None:
    """A megabyte that unfolds to a thousand is cut off on the way, not afterwards."""
    unfolding = gzip.compress(b" " * 50_000_000)
    body = Body(10_000, "gzip")
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            body.feed(unfolding)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert len(body.content) == 10_000


async def test_gzip_in_several_members_is_read_whole() -> None:
    """A gzip body may have several members."""
    body = gzip.compress(b'{"a": ') + gzip.compress(b"1}")
    with Server(answering(body=body, Content_Encoding="gzip")) as server:
        async with client(server.url) as one:
            assert (await one.get("/path")).json() == {"a": 1}


async def test_broken_or_unwanted_compression_is_said() -> None:
    """A body that does not decompress is malformed."""
    for encoding in ("gzip", "br"):
        with Server(answering(body=b"no gzip at all", Content_Encoding=encoding)) as server:
            assert (await trouble_of(server.url)).trouble is Trouble.MALFORMED


@pytest.mark.parametrize(
    "url",
    ["localhost:9090", "ftp://host", "http://", "http://host:99999", "http://ho st", "http://[::1", "http://a\nb"],
)
async def test_an_address_that_is_none_is_named_with_how_to_write_it(url: str) -> None:
    """A wrong address is one sentence, and nothing is sent."""
    error = await trouble_of(url)
    assert error.trouble is Trouble.NOT_CONFIGURED
    assert "http://host:port" in error.hint and error.message.isprintable()


async def test_header_values_that_cannot_be_sent_are_said() -> None:
    """A line break in a configured header is no way to smuggle another one."""
    with Server(answering()) as server:
        error = await trouble_of(Endpoint(server.url, headers={"X-A": "a\r\nX-B: b"}))
        assert server.asked == []
    assert error.trouble is Trouble.NOT_CONFIGURED


async def test_a_proxy_in_the_environment_does_not_get_loopback_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy can reach this machine for us."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with Server(answering()) as server:
        async with client(server.url) as one:
            assert (await one.get("/path")).status == 200


async def test_clock_skew_is_told_to_a_second() -> None:
    """The server's Date, against the moments before and after; a server without one tells nothing."""
    ahead = format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)
    with Server(in_turn(answering(Date=ahead), answering())) as server:
        async with client(server.url) as one:
            skew = (await one.get("/path")).clock_skew_s
            assert skew is not None and 290 < skew < 301
            assert (await one.get("/path")).clock_skew_s is None


# trust ------------------------------------------------------------------------------------------------------


def ca_file(folder: Path) -> Path:
    """The test CA, as a file."""
    path = folder / "ca.pem"
    authority().cert_pem.write_to_path(str(path))
    return path


async def test_a_private_ca_is_trusted_when_it_is_named(tmp_path: Path) -> None:
    """ca_file makes the difference, and only for certificates of that CA that hold the host."""
    with Server(answering(), certified("127.0.0.1")) as server:
        assert "set ca_file" in (await trouble_of(server.url)).hint
        async with client(Endpoint(server.url, ca_file=ca_file(tmp_path))) as one:
            assert (await one.get("/path")).status == 200
    with Server(answering(), certified("mesh.example.org")) as server:
        error = await trouble_of(Endpoint(server.url, ca_file=ca_file(tmp_path)))
    assert error.trouble is Trouble.TLS and "another host name" in error.message


async def test_an_expired_certificate_is_called_expired(tmp_path: Path) -> None:
    """Expiry is told apart from a CA that is not known."""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    past = datetime.now(UTC) - timedelta(days=1)
    authority().issue_cert("127.0.0.1", not_after=past, not_before=past - timedelta(days=9)).configure_cert(old)
    with Server(answering(), old) as server:
        error = await trouble_of(Endpoint(server.url, ca_file=ca_file(tmp_path)))
    assert error.trouble is Trouble.TLS and "period of validity" in error.message


async def test_a_client_certificate_is_shown_to_a_server_that_asks(tmp_path: Path) -> None:
    """Without the certificate the trouble names it; with it the server answers."""
    asking = certified("127.0.0.1")
    asking.verify_mode = ssl.CERT_REQUIRED
    authority().configure_trust(asking)
    pem = tmp_path / "client.pem"
    authority().issue_cert("operator@example.org").private_key_and_cert_chain_pem.write_to_path(str(pem))
    with Server(answering(), asking) as server:
        refused = await trouble_of(Endpoint(server.url, ca_file=ca_file(tmp_path)))
        async with client(Endpoint(server.url, ca_file=ca_file(tmp_path), cert_file=pem)) as one:
            assert (await one.get("/path")).status == 200
    assert refused.trouble in (Trouble.TLS, Trouble.TRUNCATED), refused


async def test_tls_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    """A missing file, a file without certificates, a key without certificate: one sentence with the file's name."""
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("no certificate")
    missing = tmp_path / "missing.pem"
    url = "https://127.0.0.1:1"
    for endpoint, name in (
        (Endpoint(url, ca_file=missing), "missing.pem"),
        (Endpoint(url, ca_file=nonsense), "nonsense.pem"),
        (Endpoint(url, cert_file=nonsense), "nonsense.pem"),
        (Endpoint(url, cert_file=missing), "missing.pem"),
        (Endpoint(url, key_file=missing), "missing.pem"),
    ):
        error = await trouble_of(endpoint)
        assert error.trouble is Trouble.TLS and name in error.message, error


async def test_an_encrypted_key_is_no_reason_to_ask_on_the_terminal(tmp_path: Path) -> None:
    """An encrypted key is refused at once instead of waiting for a passphrase."""
    from cryptography.hazmat.primitives import serialization

    issued = trustme.CA().issue_cert("operator@example.org")
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"pass"),
    )
    pem = tmp_path / "client.pem"
    pem.write_bytes(encrypted + issued.cert_chain_pems[0].bytes())
    error = await trouble_of(Endpoint("https://127.0.0.1:1", cert_file=pem))
    assert "encrypted" in error.message


# credentials ------------------------------------------------------------------------------------------------


async def test_secrets_come_from_file_variable_and_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of secret is read without the line break at its end."""
    (tmp_path / "token").write_text("t0ken\n")
    monkeypatch.setenv("MESH_TOKEN", "t0ken")
    for secret in (
        Secret(SecretKind.FILE, str(tmp_path / "token")),
        Secret(SecretKind.ENV, "MESH_TOKEN"),
        Secret(SecretKind.COMMAND, "printf 't0ken\\n'"),
    ):
        bearer = Endpoint("http://h", credentials=Credentials(secret))
        assert await auth_headers(bearer, name="Prometheus") == {"Authorization": "Bearer t0ken"}
        basic = Endpoint("http://h", credentials=Credentials(secret, "operator"))
        assert (await auth_headers(basic))["Authorization"].startswith("Basic ")


async def test_a_secret_is_read_once_and_only_when_it_is_needed(tmp_path: Path) -> None:
    """A command that asks a password manager runs once, at the first request."""
    counted = f"echo x >> {shlex.quote(str(tmp_path / 'calls'))}; echo t0ken"
    with Server(answering()) as server:
        endpoint = Endpoint(server.url, credentials=Credentials(Secret(SecretKind.COMMAND, counted)))
        async with client(endpoint) as one:
            assert not (tmp_path / "calls").exists()
            await asyncio.gather(*(one.get("/path") for _ in range(5)))
        assert {asked.headers["authorization"] for asked in server.asked} == {"Bearer t0ken"}
    assert (tmp_path / "calls").read_text() == "x\n"


@pytest.mark.parametrize(
    ("kind", "reference", "said"),
    [
        (SecretKind.FILE, "{folder}/missing", "does not exist"),
        (SecretKind.FILE, "{folder}", "not a regular file"),
        (SecretKind.FILE, "{folder}/empty", "is empty"),
        (SecretKind.FILE, "{folder}/two", "more than one line"),
        (SecretKind.ENV, "MESHDIAG_NO_SUCH_VARIABLE", "not set or empty"),
        (SecretKind.COMMAND, "echo broken >&2; exit 3", "ended with 3: broken"),
        (SecretKind.COMMAND, "true", "is empty"),
    ],
)
async def test_a_secret_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, kind: SecretKind, reference: str, said: str
) -> None:
    """What is wrong, with which source, and nothing is sent."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "two").write_text("t0ken\nanother\n")
    with Server(answering()) as server:
        secret = Secret(kind, reference.format(folder=tmp_path))
        error = await trouble_of(Endpoint(server.url, credentials=Credentials(secret)))
        assert server.asked == []
    assert error.trouble is Trouble.NOT_CONFIGURED and error.source == "Prometheus"
    assert said in error.message and "t0ken" not in error.message


async def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password manager that waits for somebody does not hold the run up, nor stay behind."""
    monkeypatch.setattr("meshdiag.sources.http.credentials.COMMAND_TIMEOUT_S", 0.3)
    command = f"sleep 600 & echo $! > {tmp_path / 'child'}; wait"
    error = await trouble_of(Endpoint("http://h", credentials=Credentials(Secret(SecretKind.COMMAND, command))))
    assert "did not end" in error.message
    assert await asyncio.to_thread(_ended, int((tmp_path / "child").read_text()))


def _ended(process: int) -> bool:
    """Whether a process that is not ours ends within a moment."""
    status = Path(f"/proc/{process}/stat")
    for _ in range(100):
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] in "ZX":
            return True
        time.sleep(0.05)
    return False


# evidence ---------------------------------------------------------------------------------------------------


def test_the_curl_command_has_no_secret_in_it(tmp_path: Path) -> None:
    """Secrets appear as where they come from, or not at all."""
    token = Credentials(Secret(SecretKind.FILE, "/run/my secrets/token"))
    endpoint = Endpoint(
        "https://operator:s3cret@host/prom?key=k1",
        ca_file=Path("/etc/my ca.pem"),
        headers={"X-Scope-OrgID": "tenant a", "X-Api-Key": "abc123", "Cookie": "session=1"},
        credentials=token,
    )
    command = curl(endpoint, "/api/v1/query", [("query", "up{a='b'}")])
    for hidden in ("s3cret", "abc123", "session=1", "k1"):
        assert hidden not in command
    assert "\"Authorization: Bearer $(cat '/run/my secrets/token')\"" in command
    assert "--cacert '/etc/my ca.pem'" in command and "'X-Scope-OrgID: tenant a'" in command
    assert shlex.split(command)[-1] == "query=up{a='b'}"


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        (Secret(SecretKind.ENV, "MESH_TOKEN"), "operator:from the environment"),
        (Secret(SecretKind.COMMAND, "echo 'from a command'"), "operator:from a command"),
    ],
)
def test_the_curl_command_reads_the_secret_where_it_is_kept(secret: Secret, expected: str) -> None:
    """A shell that runs the command hands curl the secret."""
    command = curl(Endpoint("http://h", credentials=Credentials(secret, "operator")), "/x")
    shell = ["sh", "-c", 'curl() { printf "%s\\n" "$@"; }; ' + command]
    ran = subprocess.run(shell, env={"MESH_TOKEN": "from the environment"}, capture_output=True, text=True, check=True)
    assert expected in ran.stdout.splitlines()


async def test_json_that_is_none_says_what_it_is_instead() -> None:
    """HTML where JSON was expected is named by its title."""
    page = b"<html><head><title>Grafana\x1b[31m</title></head></html>"
    with Server(answering(body=page)) as server:
        async with client(server.url) as one:
            with pytest.raises(SourceError, match="Grafana") as caught:
                (await one.get("/path")).json()
    assert caught.value.message.isprintable()
    assert json.dumps(str(caught.value))
