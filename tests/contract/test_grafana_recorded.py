"""Grafana 6.5.1 as it really answered, and what newer ones document: health, datasources, dashboards."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from meshdiag.checks.grafana import judge_datasource, judge_health
from meshdiag.context import Context, Credentials, Endpoint, Secret, SecretKind
from meshdiag.errors import SourceError, Trouble
from meshdiag.model import Verdict
from meshdiag.sources.grafana.client import Datasource, Grafana, Health
from meshdiag.sources.grafana.datasources import Tried, Way, try_datasource
from tests.program import run
from tests.replay import exchanges, replay, replay_one
from tests.serving import Asked, Server, send

RECORDED = "grafana-6.5.1"


def _choose(asked: Asked) -> str | None:
    if "/proxy/2/" in asked.path:
        return "datasource_proxy_dead"
    if "/proxy/" in asked.path:
        return "datasource_proxy_query"
    return {"/api/datasources": "datasources", "/api/search": "search", "/api/health": "health"}.get(asked.path)


@pytest.mark.parametrize("name", exchanges(RECORDED))
async def test_no_recorded_answer_breaks_any_question(name: str) -> None:
    """Whatever answer is given to whatever question, it is a value or a SourceError."""
    one = Datasource(1, "u", "x", "prometheus", "http://127.0.0.1:9")
    with replay_one(RECORDED, name) as server:
        async with Grafana(Endpoint(server.url)) as source:
            questions = (source.health, source.datasources, source.dashboards, lambda: source.dashboard("x"))
            for ask in (*questions, lambda: try_datasource(source, one, 1.0)):
                try:
                    await ask()
                except SourceError as error:
                    assert error.source == "Grafana" and error.where.startswith(server.url)


async def test_datasources_are_tried_through_the_proxy_and_from_here() -> None:
    """The old Grafana has no health by uid: a query goes through its proxy; the dead one answers from nowhere."""
    with replay(RECORDED, _choose) as server:
        async with Grafana(Endpoint(server.url)) as source:
            found = {one.name: one for one in await source.datasources()}
            dead = await try_datasource(source, found["Prometheus-dead"], 1.0)
            well = await try_datasource(source, found["Prometheus"], 1.0)
            listed = await source.dashboards()
            board = await source.dashboard("mesh-overview")
    assert (well.works, well.way) == (True, Way.PROXY)
    assert (dead.works, dead.direct) == (False, False) and "502" in dead.said and "refused" in dead.direct_said
    assert [one.title for one in listed] == ["Agent Mesh / Overview", "Node"]
    assert board is not None and board["panels"]


@pytest.mark.parametrize(
    ("name", "trouble", "words"),
    [
        ("viewer_datasources_403", Trouble.FORBIDDEN, "viewer"),
        ("unauthorized_401_none", Trouble.UNAUTHORIZED, "asks for a login"),
        ("unknown_api_path_is_html_200", Trouble.MALFORMED, "not JSON"),
    ],
)
async def test_credentials_tell_401_from_403(name: str, trouble: Trouble, words: str) -> None:
    """No login, a login that may not, and a web page in place of an answer are three things."""
    with replay_one(RECORDED, name) as server:
        async with Grafana(Endpoint(server.url)) as source:
            with pytest.raises(SourceError, match=words) as caught:
                await source.datasources()
    assert caught.value.trouble is trouble


async def test_credentials_that_are_refused_are_said_to_be() -> None:
    """With a token of the context's the sentence is another."""
    token = Credentials(Secret(SecretKind.COMMAND, "echo wrong"))
    with replay_one(RECORDED, "unauthorized_401_bad_token") as server:
        async with Grafana(Endpoint(server.url, credentials=token)) as source:
            with pytest.raises(SourceError, match="credentials are refused"):
                await source.datasources()


def _newer(health: dict[str, Any], status: int = 200) -> Server:
    """Grafana since 8.4, by its documentation: uids, and a test of each datasource by its uid."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.path == "/api/datasources":
            body: Any = [{"id": 7, "uid": "P1", "name": "Mesh", "type": "prometheus", "url": "http://127.0.0.1:9"}]
            await send(writer, 200, json.dumps(body).encode())
        elif asked.path == "/api/datasources/uid/P1/health":
            await send(writer, status, json.dumps(health).encode())
        elif asked.path.startswith("/api/datasources/proxy/uid/P1/"):
            await send(writer, 200, b'{"status": "success"}')
        else:
            await send(writer, 404, b"{}")

    return Server(answer)


async def test_newer_grafanas_test_their_datasources_themselves() -> None:
    """From the documentation: its own verdict and words are taken; a plugin without a test is asked by a query."""
    for health, status, expected in (
        ({"status": "OK", "message": "Successfully queried the Prometheus API."}, 200, (True, Way.HEALTH, "")),
        ({"status": "ERROR", "message": "dial tcp: refused"}, 400, (False, Way.HEALTH, "dial tcp: refused")),
        ({"message": "Plugin not found"}, 404, (True, Way.PROXY, "")),
    ):
        with _newer(health, status) as server:
            async with Grafana(Endpoint(server.url)) as source:
                (one,) = await source.datasources()
                tried = await try_datasource(source, one, 1.0)
        assert (tried.works, tried.way, tried.said) == expected


def test_who_is_at_fault_is_told() -> None:
    """``grafana.datasources``: Grafana, the backend, or not to be told."""
    one = Datasource(1, "", "Mesh", "prometheus", "http://prometheus:9090")
    cases = {
        (True, None): (Verdict.PASS, "works"),
        (False, True): (Verdict.FAIL, "Grafana cannot use it though it answers from here"),
        (False, False): (Verdict.FAIL, "it is down"),
        (False, None): (Verdict.FAIL, "from here that cannot be told"),
        (None, True): (Verdict.SKIP, "not testable"),
        (None, False): (Verdict.FAIL, "its backend does not answer"),
    }
    for (works, direct), (verdict, words) in cases.items():
        finding = judge_datasource(Tried(one, Way.PROXY, works, "why", direct, "because"))
        assert (finding.verdict, words in finding.message) == (verdict, True), finding.message
    assert judge_health(Health("9.0", "failing")).verdict is Verdict.FAIL


def test_the_whole_program_names_the_broken_datasource() -> None:
    """meshdiag dashboards: "grafana.health", "grafana.datasources", the table; list and open."""
    with replay(RECORDED, _choose) as server:
        environment = {"MESHDIAG_GRAFANA_URL": server.url}
        ran = run("dashboards", "-o", "json", environment=environment)
        listed = run("dashboards", "list", "-o", "json", environment=environment).report["data"]
        opened = run("dashboards", "open", "mesh overview", environment=environment)
    assert ran.code == 2 and ran.verdicts.items() >= {("grafana.health", "pass"), ("grafana.datasources", "fail")}
    first, *others = ran.report["data"]
    assert (first["name"], first["verdict"]) == ("Prometheus-dead", "fail")
    assert {row["verdict"] for row in others} == {"pass"}
    assert {row["uid"] for row in listed} == {"mesh-overview", "node-x"}
    assert opened.stdout == f"{server.url}/d/mesh%20overview\n"
    assert run("dashboards", "open").code == run("dashboards", "close").code == 64


def test_a_grafana_that_nobody_named_is_not_missed() -> None:
    """Nothing at the usual place is skipped; at an address that was given it fails."""
    assert Context().grafana is not None
    named = run("dashboards", "-o", "json", environment={"MESHDIAG_GRAFANA_URL": "http://127.0.0.1:9"})
    assert named.verdicts["grafana.health"] == "fail" and named.code == 2
