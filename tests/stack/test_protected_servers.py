"""The whole program through what stands before a Prometheus: a tenant's path, TLS, passwords, client certificates."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshdiag.lab import JOB, Lab, LabOptions
from meshdiag.lab.background import lab_in_background
from tests.binaries import need
from tests.faulty import authority
from tests.program import Ran, run
from tests.servers import Running, prometheus
from tests.serving import Asked, Server, send

PREFIX = "/mimir/prometheus"
KEPT = ("/api/v1/query", "/api/v1/query_range", "/api/v1/label/__name__/values", "/api/v1/status/buildinfo")
PARTIAL = "partial response: store-2 did not answer"
PASSWORD = "s3cret"
BCRYPT = "$2b$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG"
"""Of the password, at the lowest cost."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A healthy mesh with a real Prometheus."""
    need("prometheus")
    with lab_in_background(LabOptions(nodes=4, with_=("prometheus",))) as running:
        yield running


def relay(target: str) -> Server:
    """A store for tenants before ``target``: below a path, with a header, without targets and rules, and with a
    warning beside every answer to a query."""

    def fetch(asked: Asked) -> tuple[int, bytes]:
        if asked.headers.get("x-scope-orgid") != "mesh":
            return 401, b"no org id\n"
        path = asked.path.removeprefix(PREFIX)
        if not asked.path.startswith(PREFIX) or path not in KEPT:
            return 404, b"404 page not found\n"
        kind = {"Content-Type": asked.headers.get("content-type", "")} if asked.body else {}
        request = urllib.request.Request(target + asked.target.removeprefix(PREFIX), asked.body or None, kind)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                body: dict[str, Any] = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        if path == "/api/v1/status/buildinfo":
            body["data"] = {"application": "Grafana Mimir", "version": "2.14.0"}
        elif path.startswith("/api/v1/query"):
            body["warnings"] = [PARTIAL]
        return 200, json.dumps(body).encode()

    async def handle(asked: Asked, writer: asyncio.StreamWriter) -> None:
        status, body = await asyncio.to_thread(fetch, asked)
        await send(writer, status, body, "application/json" if status == 200 else "text/plain")

    return Server(handle)


def configured(folder: Path, lab: Lab, url: str, settings: str) -> dict[str, str]:
    """An environment whose configuration reaches a Prometheus at ``url`` with these further settings."""
    text = f'[contexts.lab]\njob = "{JOB}"\nalertmanager = false\nlogs = []\n'
    text += f'[contexts.lab.prometheus]\nurl = "{url}"\n{settings}\n'
    for node in lab.nodes:
        text += f'[[contexts.lab.nodes]]\nurl = "{node.url}"\ninstance = "{node.instance}"\nname = "{node.name}"\n'
    (folder / "mesh.toml").write_text(text)
    return {"MESHDIAG_CONFIG": str(folder / "mesh.toml"), "MESHDIAG_CONTEXT": "lab"}


def health(environment: dict[str, str], *more: str) -> Ran:
    """``health`` that may not fall back to the nodes."""
    return run("health", "--no-direct", "-o", "json", *more, environment=environment)


def test_a_tenants_path_and_header_reach_the_mesh(lab: Lab, tmp_path: Path) -> None:
    """Mimir, Cortex and Thanos: a path, a tenant, fewer endpoints. What is not there is no fault, and that half of
    the answer is missing is said once."""
    with relay(str(lab.prometheus_url)) as server:
        tenant = 'headers = { X-Scope-OrgID = "mesh" }'
        ran = health(configured(tmp_path, lab, server.url + PREFIX, tenant))
        rounds = ran.check("consensus.round-duration")
        assert ran.check("stack.prometheus")["summary"] == "Mimir 2.14.0"
        assert (rounds["verdict"], len(rounds["findings"])) == ("pass", 4)
        assert [note for note in ran.report["notes"] if PARTIAL in note] == [
            f"Prometheus {server.url}{PREFIX}: {PARTIAL}"
        ]
        bad = {one["id"]: one["summary"] for one in ran.report["checks"] if one["verdict"] not in ("pass", "skip")}
        assert set(bad) <= {"alerts.critical", "alerts.warning"}, bad
        assert all("not available here" in said for said in bad.values())
        assert all(asked.headers["x-scope-orgid"] == "mesh" for asked in server.asked)
        stranger = health(configured(tmp_path, lab, server.url + PREFIX, ""))
    assert stranger.code == 3
    assert "401" in stranger.check("stack.prometheus")["summary"]


def test_a_warning_beside_a_query_is_on_the_screen(lab: Lab, tmp_path: Path) -> None:
    """Half an answer never looks like a whole one."""
    with relay(str(lab.prometheus_url)) as server:
        environment = configured(tmp_path, lab, server.url + PREFIX, 'headers = { X-Scope-OrgID = "mesh" }')
        shown = run("query", "up", environment={**environment, "COLUMNS": "200"}).stdout
        assert shown.count(PARTIAL) == 1


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    """A Prometheus with TLS of a private CA, which wants a password and a client certificate; the folder holds the
    CA, the certificate and the password."""
    folder = tmp_path_factory.mktemp("keys")
    authority().cert_pem.write_to_path(str(folder / "ca.pem"))
    for name, identity in (("server", "127.0.0.1"), ("client", "oncall@example.org")):
        issued = authority().issue_cert(identity)
        issued.private_key_and_cert_chain_pem.write_to_path(str(folder / f"{name}.pem"))
    (folder / "password").write_text(f"{PASSWORD}\n")
    tls = {
        "cert_file": str(folder / "server.pem"),
        "key_file": str(folder / "server.pem"),
        "client_ca_file": str(folder / "ca.pem"),
        "client_auth_type": "VerifyClientCertIfGiven",
    }
    web = {"basic_auth_users": {"oncall": BCRYPT}, "tls_server_config": tls}
    with prometheus(web=web) as server:
        yield server, folder


SECRETS = {
    "file": 'password_file = "{folder}/password"',
    "variable": 'password_env = "ON_CALL_PASSWORD"',
    "command": 'password_command = "cat {folder}/password"',
}


@pytest.mark.parametrize("way", SECRETS)
def test_a_password_comes_from_file_variable_or_command(
    guarded: tuple[Running, Path], lab: Lab, tmp_path: Path, way: str
) -> None:
    """With CA, certificate and password the server answers; the secret is nowhere in what is printed."""
    server, folder = guarded
    settings = f'ca_file = "{folder}/ca.pem"\ncert_file = "{folder}/client.pem"\nusername = "oncall"\n'
    environment = configured(tmp_path, lab, server.url, settings + SECRETS[way].format(folder=folder))
    environment["ON_CALL_PASSWORD"] = PASSWORD
    ran = health(environment, "--explain", "--only", "stack.prometheus")
    assert ran.verdicts == {"stack.prometheus": "pass"}, ran.stdout
    shown = run("config", "show", environment=environment)
    for printed in (ran.stdout, ran.stderr, shown.stdout, shown.stderr):
        assert PASSWORD not in printed


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("", "certificate"),
        ('ca_file = "{folder}/ca.pem"', "401"),
        ('ca_file = "{folder}/ca.pem"\nusername = "oncall"\npassword_env = "WRONG"', "401"),
        ('ca_file = "{folder}/ca.pem"\nusername = "oncall"\npassword_file = "{folder}/nothing"', "nothing"),
        ('ca_file = "{folder}/ca.pem"\nusername = "oncall"\npassword_command = "false"', "false"),
    ],
)
def test_what_is_missing_is_named(
    guarded: tuple[Running, Path], lab: Lab, tmp_path: Path, settings: str, words: str
) -> None:
    """No CA, no password, a wrong one, one that cannot be read: never a pass, one sentence, what to try."""
    server, folder = guarded
    environment = configured(tmp_path, lab, server.url, settings.format(folder=folder)) | {"WRONG": "hunter2"}
    ran = health(environment, "--only", "stack.prometheus")
    (check,) = ran.report["checks"]
    assert ran.code in (2, 3)
    assert words in check["summary"]
    assert check["hint"]
    assert "hunter2" not in ran.stdout


def test_every_source_has_a_variable_of_its_own(lab: Lab, tmp_path: Path) -> None:
    """Without any file, variables alone say which mesh is meant; 'off' leaves a source out."""
    environment = {
        "MESHDIAG_PROMETHEUS_URL": str(lab.prometheus_url),
        "MESHDIAG_ALERTMANAGER_URL": "off",
        "MESHDIAG_GRAFANA_URL": "http://127.0.0.1:1/grafana",
        "MESHDIAG_LOKI_URL": "http://127.0.0.1:1/loki",
        "MESHDIAG_JAEGER_URL": "off",
        "MESHDIAG_JOB": JOB,
        "MESHDIAG_NODES": ",".join(node.instance for node in lab.nodes),
        "MESHDIAG_LOGS": str(tmp_path / "none.log"),
    }
    ran = run("health", "-o", "json", environment=environment, cwd=tmp_path)
    assert (ran.check("stack.prometheus")["verdict"], ran.check("nodes.up")["verdict"]) == ("pass", "pass")
    assert ran.check("stack.alertmanager")["verdict"] == "skip"
    direct = run("nodes", "--direct", "-o", "json", environment=environment, cwd=tmp_path)
    assert len(direct.report["data"]) == 4
    shown = run("config", "show", "-o", "json", environment=environment, cwd=tmp_path)
    origins = {row["key"]: row["origin"] for row in shown.report["data"]}
    assert origins["prometheus.url"] == "MESHDIAG_PROMETHEUS_URL"
    assert origins["loki.url"] == "MESHDIAG_LOKI_URL"
    wins = run("health", "--only", "stack.prometheus", "--prometheus-url", "http://127.0.0.1:1", "-o", "json",
               environment=environment, cwd=tmp_path)  # fmt: skip
    assert wins.check("stack.prometheus")["verdict"] == "fail"
