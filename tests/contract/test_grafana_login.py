"""The documented default password against Grafana 6.5 as it really answered, and what may stand in its place."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from pathlib import Path

import pytest

from meshdiag.context import Credentials, Endpoint, Secret, SecretKind
from meshdiag.errors import SourceError, Trouble
from meshdiag.sources.grafana.login import GrafanaLogin
from tests.replay import exchanges, replay_one
from tests.serving import Asked, Server, send

RECORDED = "grafana-6.5.1"
BASIC = "Basic " + b64encode(b"admin:admin123").decode()


async def tried(endpoint: Endpoint) -> bool:
    """Whether the documented password is taken."""
    async with GrafanaLogin(endpoint) as login:
        return await login.takes_documented_password()


def answering(status: int, body: object, **headers: str) -> Server:
    """A server that gives one answer."""

    async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        await send(writer, status, content, "application/json", headers)

    return Server(answer)


async def test_a_grafana_that_lets_the_password_in_is_told_from_one_that_does_not() -> None:
    """200 with the user is let in, 401 about name and password is refused; one request, with that login, each."""
    for name, taken in (
        ("user", True),
        ("unauthorized_401_bad_password", False),
        ("unauthorized_401_unknown_user", False),
    ):
        with replay_one(RECORDED, name) as server:
            assert await tried(Endpoint(server.url)) is taken
        (asked,) = server.asked
        assert (asked.method, asked.target, asked.headers["authorization"]) == ("GET", "/api/user", BASIC)


@pytest.mark.parametrize("name", exchanges(RECORDED))
async def test_no_recorded_answer_breaks_the_question(name: str) -> None:
    """Whatever it answers: a yes only for its user, a no only for a wrong password, else a SourceError."""
    with replay_one(RECORDED, name) as server:
        try:
            assert await tried(Endpoint(server.url)) is (name == "user")
        except SourceError as error:
            assert error.source == "Grafana" and error.hint
            assert "admin123" not in str(error)
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "body", "trouble"),
    [
        (401, {"message": "Unauthorized"}, Trouble.NOT_AVAILABLE),
        (401, b"<html>proxy</html>", Trouble.UNAUTHORIZED),
        (403, {"message": "account locked"}, Trouble.FORBIDDEN),
        (404, {"message": "Not found"}, Trouble.NOT_FOUND),
        (429, {"message": "too many"}, Trouble.RATE_LIMITED),
        (502, b"", Trouble.SERVER_ERROR),
        (200, {"login": "anonymous"}, Trouble.NOT_AVAILABLE),
        (200, {"status": "success"}, Trouble.WRONG_SERVER),
        (200, [], Trouble.WRONG_SERVER),
        (200, b"<html><title>Portal</title>", Trouble.WRONG_SERVER),
    ],
)
async def test_what_is_neither_yes_nor_no_is_unknown(status: int, body: object, trouble: Trouble) -> None:
    """A lock, a proxy, a server of another kind, basic authentication switched off: nobody looked at the password; and
    it is not tried a second time."""
    with answering(status, body) as server:
        with pytest.raises(SourceError) as caught:
            await tried(Endpoint(server.url))
        assert caught.value.trouble is trouble
        assert len(server.asked) == 1


async def test_the_password_follows_no_redirect() -> None:
    """Neither to another host nor to another path of its own: it goes to the address that is configured, once."""
    with replay_one(RECORDED, "user") as other:
        for target in (f"{other.url}/api/user", "/login", ""):
            with answering(302, b"", Location=target) as server, pytest.raises(SourceError) as caught:
                await tried(Endpoint(server.url))
            assert caught.value.trouble is Trouble.REDIRECT
            assert len(server.asked) == 1
        assert other.asked == []


async def test_a_connection_that_breaks_is_not_tried_again() -> None:
    """A second try would count towards the lock of the account."""

    async def hang_up(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.close()

    with Server(hang_up) as server:
        with pytest.raises(SourceError):
            await tried(Endpoint(server.url))
        assert len(server.asked) == 1


async def test_the_contexts_own_credentials_are_not_sent(tmp_path: Path) -> None:
    """They would open the door that the question is about."""
    secret = tmp_path / "password"
    secret.write_text("geheim")
    with replay_one(RECORDED, "unauthorized_401_bad_password") as server:
        url = server.url.replace("://", "://operator:s3cret@")
        mine = Credentials(Secret(SecretKind.FILE, str(secret)), "operator")
        headers = {"Cookie": "grafana_session=1", "X-Tenant": "a"}
        assert await tried(Endpoint(url, credentials=mine, headers=headers)) is False
        (asked,) = server.asked
    assert asked.headers["authorization"] == BASIC
    assert "cookie" not in asked.headers
    assert asked.headers["x-tenant"] == "a"


def test_the_evidence_can_be_pasted_and_holds_no_secret_of_the_user() -> None:
    """It names the documented login, which is no secret, and prints the status alone."""
    endpoint = Endpoint("https://operator:s3cret@grafana.example/base", ca_file=Path("/etc/ca.pem"))
    command = GrafanaLogin(endpoint).evidence().command
    assert command == (
        "curl -s -o /dev/null -w '%{http_code}\\n' -u admin:admin123 --cacert /etc/ca.pem "
        "https://grafana.example/base/api/user"
    )
