"""``meshdiag certs`` and ``meshdiag security`` as they are typed: on a lab whose nodes serve real certificates."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from meshdiag.lab import Lab, LabOptions
from meshdiag.lab.background import lab_in_background
from meshdiag.lab.faults import FAULTS
from tests.binaries import need
from tests.minting import authority
from tests.program import Ran, run
from tests.replay import replay_one
from tests.servers import free_port
from tests.tlsserver import server_context, tls_server

ROW = {
    "source", "position", "subject", "issuer", "sans", "serial", "sha256", "key_type", "key_bits",
    "signature_algorithm", "is_ca", "not_before", "not_after", "days_left", "verdict", "problems",
}  # fmt: skip
"""What scripts read of a row."""
CERTIFICATE_FAULTS = [name for name in FAULTS if name.startswith("cert-")]
FINE = ("pass", "skip")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A mesh in which one certificate was not reloaded and one is for another host."""
    with lab_in_background(LabOptions(faults=("cert-not-reloaded", "cert-wrong-host"))) as running:
        yield running


def certs(lab: Lab, *arguments: str) -> Ran:
    """The command on a lab."""
    return run("certs", *arguments, environment=lab.environment)


@pytest.mark.parametrize("fault", [*CERTIFICATE_FAULTS, None])
@pytest.mark.parametrize("way", ["direct", "prometheus"])
def test_each_fault_of_certificates_is_found_on_its_node_and_nothing_else(way: str, fault: str | None) -> None:
    """The expected checks answer as the fault says, on its node; every other finding is fine."""
    if way == "prometheus":
        need("prometheus")
    options = LabOptions(faults=(fault,) if fault else (), with_=("prometheus",) if way == "prometheus" else ())
    with lab_in_background(options) as lab:
        ran = certs(lab, "-o", "json", *(("--direct", "--gap", "0") if way == "direct" else ()))
    expected = {(one.check, node): str(one.verdict) for one in lab.expects for node in one.nodes}
    found = {
        (check["id"], finding["labels"].get("node", finding["subject"])): finding["verdict"]
        for check in ran.report["checks"]
        for finding in check["findings"]
        if finding["verdict"] not in FINE
    }
    assert found == expected
    assert ran.code == (2 if fault else 0)


def test_a_row_bears_what_scripts_read(lab: Lab) -> None:
    """One row a certificate, most urgent first, with the agreed keys; the table of the same says where."""
    ran = certs(lab, "-o", "json")
    rows = ran.report["data"]
    assert len(rows) == len(lab.nodes)
    assert all(set(row) >= ROW for row in rows)
    assert [row["verdict"] for row in rows[:3]] == ["fail", "fail", "pass"]
    worst = rows[0]
    assert worst["source"] in worst["places"]
    assert worst["problems"] == ["expires-soon"] and 2.9 < worst["days_left"] <= 3
    assert worst["sans"] and worst["key_bits"] and worst["sha256"].count(":") == 31
    table = certs(lab)
    assert worst["source"] in table.stdout and "ends soon" in table.stdout
    assert "still serves the certificate from before the renewal" in table.stdout


def test_the_answer_fits_every_format_with_one_exit_code(lab: Lab) -> None:
    """CSV has all columns, JUnit a failure, the short line the worst; the code is the verdict's."""
    ran = {fmt: certs(lab, "-o", fmt) for fmt in ("csv", "junit", "short", "openmetrics")}
    assert {one.code for one in ran.values()} == {2}
    (first, *_) = csv.DictReader(io.StringIO(ran["csv"].stdout))
    assert set(first) >= ROW
    assert "<failure" in ran["junit"].stdout
    assert ran["short"].stdout.startswith("FAIL - ")
    names = {family.name for family in text_string_to_metric_families(ran["openmetrics"].stdout)}
    assert {"meshdiag_cert_not_after_timestamp_seconds", "meshdiag_cert_verdict", "meshdiag_check_verdict"} <= names


def test_node_exporters_textfile_collector_takes_the_metrics(lab: Lab, tmp_path: Path) -> None:
    """The file is read without an error, and what expires when is there to be scraped."""
    program = need("node-exporter")
    (tmp_path / "certs.prom").write_text(certs(lab, "-o", "openmetrics").stdout)
    address = f"127.0.0.1:{free_port()}"
    command = [
        program, "--collector.disable-defaults", "--collector.textfile", f"--collector.textfile.directory={tmp_path}",
        f"--web.listen-address={address}",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            page = page_of(f"http://{address}/metrics")
        finally:
            process.terminate()
    assert "node_textfile_scrape_error 0" in page
    assert page.count("\nmeshdiag_cert_not_after_timestamp_seconds{") == len(lab.nodes)


def page_of(url: str) -> str:
    """The page, as soon as somebody serves it."""
    until = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def test_the_moment_may_lie_ahead(lab: Lab) -> None:
    """In ten years nothing is valid any more; now most of it is. What is asked is asked now all the same."""
    ahead = certs(lab, "--at", "in 3650d", "-o", "json").report
    assert {row["verdict"] for row in ahead["data"]} == {"fail"}
    then = datetime.fromisoformat(ahead["at"])
    assert then > datetime.now(UTC) + timedelta(days=3600)
    truth = next(one for one in ahead["checks"] if one["id"] == "certs.metric-truth")
    assert truth["verdict"] == "fail" and len([f for f in truth["findings"] if f["verdict"] == "pass"]) == 6


def test_the_commands_of_explain_show_the_same_certificate(lab: Lab) -> None:
    """What is pasted into a shell prints the fingerprint that was reported."""
    need("openssl")
    report = certs(lab, "-o", "json", "--only", "certs.expiry").report
    worst = report["data"][0]
    (check,) = [one for one in report["checks"] if one["id"] == "certs.expiry"]
    assert check["evidence"][0]["source"] == worst["source"]
    command = check["evidence"][0]["command"]
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=20)
    assert worst["sha256"] in done.stdout


def test_named_targets_are_all_that_is_looked_at(tmp_path: Path) -> None:
    """A server and a file by name: no node, no metric, no Prometheus is asked; --ca-file and --server-name count."""
    root = authority("mesh root", now=datetime.now(UTC))
    leaf = root.issue("node", sans=["node-7.mesh"], now=datetime.now(UTC))
    roots, held = tmp_path / "ca.pem", tmp_path / "held.pem"
    roots.write_bytes(root.pem)
    held.write_bytes(leaf.pem)
    with tls_server(server_context([leaf])) as address:
        named = ("certs", address, str(held), "--ca-file", str(roots))
        wrong = run(*named, "-o", "json")
        right = run(*named, "--server-name", "node-7.mesh", "-o", "json")
    assert (wrong.code, right.code) == (2, 0), right.stdout
    (row,) = right.report["data"]
    assert row["places"] == [address, str(held)] and row["tls_version"].startswith("TLSv1")
    assert wrong.report["data"][0]["problems"] == ["hostname-mismatch"]
    assert set(right.verdicts) == {"certs.readable", "certs.expiry", "certs.host", "certs.chain", "certs.strength"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("http://x",), "not encrypted"),
        (("gopher://x",), "not known here"),
        (("x:99999",), "not host:port"),
        (("--ca-file", "/nonexistent.pem"), "no root can be read"),
        (("--client-key", "k.pem", "x:1"), "--client-cert"),
        (("--client-cert", "/nonexistent.pem", "x:1"), "there is no file"),
        (("--client-cert", __file__, "x:1"), "no PEM certificate with its key"),
        (("--password-file", "/nonexistent/file", "x.p12"), "cannot be read"),
        (("--server-name", "x"), "none is named"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments: tuple[str, ...], said: str) -> None:
    """What cannot be meant is refused before anything is asked."""
    ran = run("certs", *arguments)
    assert (ran.code, ran.stdout) == (64, "")
    assert said in ran.stderr


def test_hostile_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    """A certificate is written by anybody: what its subject holds is neutralised in every format."""
    evil = authority("evil\x1b[31m\u202e[bold]x", now=datetime.now(UTC))
    (tmp_path / "evil.pem").write_bytes(evil.pem)
    for fmt in ("table", "csv", "short", "junit", "openmetrics", "json"):
        ran = run("certs", str(tmp_path), "-o", fmt)
        assert "\x1b" not in ran.stdout and "\u202e" not in ran.stdout, fmt


def test_security_is_one_table_and_does_not_knock_unasked(lab: Lab, tmp_path: Path) -> None:
    """By default Grafana is asked nothing, and a row says so; with the flag it is asked once, and letting in fails."""
    with replay_one("grafana-6.5.1", "user") as grafana:
        environment = lab.environment | {"MESHDIAG_GRAFANA_URL": grafana.url}
        plain = run("security", "--gap", "0", "-o", "json", environment=environment)
        assert grafana.asked == []
        tried = run("security", "--gap", "0", "-o", "json", "--try-default-password", environment=environment)
        assert [one.target for one in grafana.asked] == ["/api/user"]
        alone = run(
            "security", "--gap", "0", "--only", "security.default-password", "-o", "json", environment=environment
        )
        assert (alone.code, {row["verdict"] for row in alone.report["data"]}) == (3, {"skip"})
        unasked = run("health", "--only", "security.default-password", "-o", "json", environment=environment)
        assert len(grafana.asked) == 1
    assert plain.verdicts["security.default-password"] == unasked.verdicts["security.default-password"] == "skip"
    assert tried.verdicts["security.default-password"] == "fail"
    rows = {row["name"]: row for row in plain.report["data"]}
    assert set(rows) == {node.name for node in lab.nodes} | {"Grafana"}
    assert rows["Grafana"]["matter"] == "default password not tried"
    stale = lab.faulty["cert-not-reloaded"][0]
    assert 2.9 < rows[stale]["cert_days"] <= 3 and 40 < rows[stale]["cert_days_told"] < 42
    assert rows[stale]["verdict"] == "fail"
    assert "metric not true" in rows[stale]["matter"]


def test_security_tells_who_is_attacked_and_whose_logins_fail() -> None:
    """The security procedure's numbers, by node."""
    with lab_in_background(LabOptions(faults=("auth-storm", "attack"))) as lab:
        ran = run("security", "--direct", "-o", "json", environment=lab.environment)
        explained = run("security", "--direct", "--explain", environment=lab.environment)
    rows = {row["name"]: row for row in ran.report["data"]}
    stormed, attacked = lab.faulty["auth-storm"][0], lab.faulty["attack"][0]
    assert rows[stormed]["auth_failures"] > 2 and rows[stormed]["matter"] == "logins fail"
    assert rows[attacked]["matter"] == "attacked"
    assert [row["verdict"] for row in ran.report["data"][:2]] == ["fail", "fail"]
    assert "security_auth_failures_total" in explained.stdout
    assert json.dumps(rows).count("nan") == 0
