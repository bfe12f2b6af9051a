"""The monitoring itself, broken for real: each fault is made in a real Prometheus or Alertmanager, and told by name."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from meshdiag.context import Endpoint
from meshdiag.sources.prometheus import Prometheus
from tests.binaries import need
from tests.program import Ran, run
from tests.servers import Running, alertmanager, free_port, prometheus
from tests.serving import Asked, Server

DISCOVERED_S = 20.0
"""The longest that Prometheus may take to find its targets and Alertmanagers; five seconds as a rule."""

RULES = {
    "groups": [
        {
            "name": "well",
            "interval": "1s",
            "rules": [
                {"alert": "AlwaysFiring", "expr": "vector(1)", "labels": {"severity": "info"}},
                {"record": "mesh:one", "expr": "vector(1)"},
            ],
        },
        {
            "name": "broken",
            "interval": "1s",
            "rules": [{"record": "mesh:doubled", "expr": "up * on () up"}],
        },
    ]
}
ROUTE = {"route": {"receiver": "hook", "group_wait": "100ms"}, "receivers": [{"name": "hook"}]}


async def _never(_asked: Asked, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


def _job(name: str, *addresses: str, **more: Any) -> dict[str, Any]:
    return {"job_name": name, "static_configs": [{"targets": list(addresses)}], **more}


def _asks(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())["data"]


def _page(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as page:
        return str(page.read().decode())


def _until(ready: Any) -> None:
    until = time.monotonic() + DISCOVERED_S
    while not ready():
        assert time.monotonic() < until, "Prometheus did not discover its targets"
        time.sleep(0.2)


def _stack(running: Running, alertmanager_url: str = "off") -> Ran:
    environment = {"MESHDIAG_PROMETHEUS_URL": running.url, "MESHDIAG_ALERTMANAGER_URL": alertmanager_url}
    return run("stack", "-o", "json", "--since", "1h", environment=environment)


@pytest.fixture(scope="module")
def broken() -> Iterator[tuple[Running, str, Ran]]:
    """A Prometheus in which as much as possible is wrong, its first Alertmanager, and what ``stack`` says of both."""
    hook = f"http://127.0.0.1:{free_port()}/"
    refused = {**ROUTE, "receivers": [{"name": "hook", "webhook_configs": [{"url": hook}]}]}
    dead = f"127.0.0.1:{free_port()}"
    with alertmanager(refused) as first, alertmanager(ROUTE) as second, Server(_never) as silent:
        addresses = [one.url.removeprefix("http://") for one in (first, second)]
        scrapes = [
            _job("all-down", dead),
            _job("half-down", *addresses[:1], dead),
            _job("silent", silent.url.removeprefix("http://"), scrape_timeout="500ms"),
        ]
        sending = {"alerting": {"alertmanagers": [{"static_configs": [{"targets": [*addresses, dead]}]}]}}
        flags = ["--web.enable-lifecycle", "--rules.alert.resend-delay=1s"]
        with prometheus(rules=RULES, scrapes=scrapes, flags=flags, more=sending) as running:
            pools = f"{running.url}/api/v1/targets?state=active"
            _until(
                lambda: (found := _asks(pools)["activeTargets"]) and all(one["health"] != "unknown" for one in found)
            )
            _until(lambda: len(_asks(f"{running.url}/api/v1/alertmanagers")["activeAlertmanagers"]) == 3)
            errors = f'prometheus_notifications_errors_total{{alertmanager="http://{dead}/api/v2/alerts"}}'
            _until(lambda: any(f"{errors} {count}\n" in _page(running.url) for count in range(1, 9)))
            rules = f"{running.url}/api/v1/rules"
            _until(lambda: '"health": "err"' in json.dumps(_asks(rules)))
            (running.directory / "prometheus.yml").write_text("global: [this is no configuration]")
            with contextlib.suppress(urllib.error.HTTPError):
                running.post("/-/reload", b"")
            _silence(first, "alertname", ".+", timedelta(hours=1))
            yield running, first.url, _stack(running, first.url)


def _silence(running: Running, name: str, value: str, lasts: timedelta) -> None:
    now = datetime.now(UTC)
    silence = {
        "matchers": [{"name": name, "value": value, "isRegex": True, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + lasts).isoformat(),
        "createdBy": "operator",
        "comment": "test",
    }
    running.post("/api/v2/silences", json.dumps(silence).encode())


def _findings(ran: Ran, check: str) -> dict[str, tuple[str, str]]:
    return {one["subject"]: (one["verdict"], one["message"]) for one in ran.check(check)["findings"]}


def test_a_reload_that_failed_is_told(broken: tuple[Running, str, Ran]) -> None:
    """prometheus.configuration: it goes on with the older configuration."""
    assert broken[2].verdicts["prometheus.configuration"] == "fail"
    assert "the last reload failed" in broken[2].check("prometheus.configuration")["summary"]


def test_targets_are_told_by_pool_and_error(broken: tuple[Running, str, Ran]) -> None:
    """prometheus.targets: a pool that is wholly down fails, a part of one warns, with the error and who."""
    found = _findings(broken[2], "prometheus.targets")
    assert found["all-down"][0] == "fail" and "connection refused" in found["all-down"][1]
    assert found["half-down"][0] == "warn" and found["half-down"][1].startswith("1 of 2 down: connection refused")
    assert found["silent"][0] == "fail" and "deadline exceeded" in found["silent"][1]


def test_a_rule_that_fails_is_told_with_its_error(broken: tuple[Running, str, Ran]) -> None:
    """prometheus.rules: the rule by name and Prometheus's own words; the group beside it is well."""
    found = _findings(broken[2], "prometheus.rules")
    assert found["mesh:doubled"][0] == "fail" and "duplicate" in found["mesh:doubled"][1]
    assert found["well"][0] == "pass"


def test_an_alertmanager_that_cannot_be_reached_costs_notifications(broken: tuple[Running, str, Ran]) -> None:
    """prometheus.notifications: those known, and that sendings fail."""
    found = _findings(broken[2], "prometheus.notifications")
    assert found["alertmanagers"][0] == "pass"
    assert found["prometheus_notifications_errors_total"][0] == "warn"


def test_alertmanagers_that_disagree_are_told(broken: tuple[Running, str, Ran]) -> None:
    """alertmanager.configuration: another configuration fails, one that cannot be asked is unknown."""
    verdicts = sorted(verdict for verdict, _ in _findings(broken[2], "alertmanager.configuration").values())
    assert verdicts == ["fail", "pass", "unknown"]
    assert "another configuration" in broken[2].check("alertmanager.configuration")["summary"]


def test_notifications_that_fail_are_told_by_integration(broken: tuple[Running, str, Ran]) -> None:
    """alertmanager.notifications: nothing listens behind the webhook, and Alertmanager tries again and again."""
    running, address, _ = broken

    def failed() -> bool:
        text = _page(address)
        refused = 'alertmanager_notification_requests_failed_total{integration="webhook"}'
        return refused in text and f"{refused} 0\n" not in text

    alert = [{"labels": {"alertname": "Unsilenced", "severity": "critical"}}]
    _expire(address)
    request = urllib.request.Request(
        f"{address}/api/v2/alerts", json.dumps(alert).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10):
        pass
    _until(failed)
    verdict, message = _findings(_stack(running, address), "alertmanager.notifications").get("webhook", ("", ""))
    assert verdict == "fail" and "not told" in message


def _expire(address: str) -> None:
    with urllib.request.urlopen(f"{address}/api/v2/silences", timeout=10) as answer:
        silences = json.loads(answer.read())
    for silence in silences:
        request = urllib.request.Request(f"{address}/api/v2/silence/{silence['id']}", method="DELETE")
        with urllib.request.urlopen(request, timeout=10):
            pass


def test_a_silence_that_hides_everything_fails(broken: tuple[Running, str, Ran]) -> None:
    """alertmanager.silences: a matcher of .+ is told with who made it."""
    ((verdict, message),) = _findings(broken[2], "alertmanager.silences").values()
    assert verdict == "fail" and "hides whatever fires" in message and "operator" in message


def test_a_healthy_stack_passes() -> None:
    """Nothing is called sick that is well: one Prometheus that scrapes itself and an Alertmanager."""
    with alertmanager(ROUTE) as receiver:
        target = receiver.url.removeprefix("http://")
        sending = {"alerting": {"alertmanagers": [{"static_configs": [{"targets": [target]}]}]}}
        rules = {"groups": [{"name": "well", "rules": RULES["groups"][0]["rules"]}]}  # type: ignore[index]
        with prometheus(rules=rules, scrapes=[_job("stack", target)], more=sending) as running:
            _until(lambda: len(_asks(f"{running.url}/api/v1/alertmanagers")["activeAlertmanagers"]) == 1)
            pools = f"{running.url}/api/v1/targets?state=active"
            _until(lambda: all(one["health"] == "up" for one in _asks(pools)["activeTargets"]) and _asks(pools))
            ran = _stack(running, receiver.url)
    verdicts = {
        id_: verdict for id_, verdict in ran.verdicts.items() if id_.startswith(("prometheus.", "alertmanager."))
    }
    dropped = verdicts.pop("prometheus.notifications")
    assert dropped in ("pass", "warn"), "an alert may have been lost before the Alertmanager was discovered"
    assert set(verdicts.values()) <= {"pass", "skip"}, verdicts


def test_a_corrupted_write_ahead_log_is_told() -> None:
    """prometheus.store: bytes of a copy of the log are overwritten, and Prometheus repairs it at its start."""
    program = need("prometheus")
    with prometheus(rules=RULES) as running:
        query = f"{running.url}/api/v1/query?query=mesh:one"
        wal = running.directory / "data/wal"
        _until(lambda: _asks(query)["result"] and max(map(_written, wal.glob("0*"))) > 200)
        running.process.terminate()
        running.process.wait(10)
        _overwrite(max(wal.glob("0*"), key=_written))
        port = free_port()
        command = [
            program,
            f"--config.file={running.directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={running.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        url = f"http://127.0.0.1:{port}"
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as second:
            try:
                _until(lambda: _answers(f"{url}/-/ready"))
                ran = run(
                    "stack", "--only", "prometheus.store", "-o", "json", environment={"MESHDIAG_PROMETHEUS_URL": url}
                )
            finally:
                second.terminate()
    store = ran.check("prometheus.store")
    assert store["verdict"] == "warn" and "corrupt" in store["summary"], store


def _overwrite(segment: Path) -> None:
    """Bytes in the middle of what was written."""
    with segment.open("r+b") as file:
        file.seek(_written(segment) // 2)
        file.write(os.urandom(16))


def _written(segment: Path) -> int:
    return len(segment.read_bytes().rstrip(b"\0"))


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


async def test_who_a_prometheus_sends_to_is_told_without_the_path_of_the_api() -> None:
    """The addresses can be asked as they are."""
    with alertmanager(ROUTE) as receiver:
        target = receiver.url.removeprefix("http://")
        sending = {"alerting": {"alertmanagers": [{"static_configs": [{"targets": [target]}]}]}}
        with prometheus(more=sending) as running:
            _until(lambda: _asks(f"{running.url}/api/v1/alertmanagers")["activeAlertmanagers"])
            async with Prometheus(Endpoint(running.url)) as source:
                assert await source.alertmanagers() == (receiver.url,)


def test_a_test_alert_is_followed_to_its_receivers() -> None:
    """It takes the way that its labels take, says whom it reaches, and what hides it; it ends by itself."""
    config = {
        "route": {"receiver": "mesh-team", "routes": [{"matchers": ['severity="critical"'], "receiver": "on-call"}]},
        "receivers": [{"name": "mesh-team"}, {"name": "on-call"}],
    }

    def send(*more: str) -> tuple[str, str]:
        flags = ("--send-test-alert", "--alertmanager-url", receiver.url, "--prometheus-url", "http://127.0.0.1:9")
        found = run("stack", *flags, *more, "-o", "json").check("alertmanager.test-alert")["findings"][0]
        return found["verdict"], found["message"]

    with alertmanager(config) as receiver:
        verdict, message = send()
        assert verdict == "pass" and "goes to mesh-team" in message
        assert "goes to on-call" in send("--label", "severity=critical")[1]
        _silence(receiver, "alertname", "MeshdiagTest.+", timedelta(hours=1))
        verdict, message = send()
        assert verdict == "warn" and "silence hides it" in message
        with urllib.request.urlopen(f"{receiver.url}/api/v2/alerts", timeout=10) as answer:
            sent = json.loads(answer.read())
    assert all(one["labels"]["test"] == "true" for one in sent)
    assert all(datetime.fromisoformat(one["endsAt"]) < datetime.now(UTC) + timedelta(minutes=3) for one in sent)
    assert run("stack", "--label", "a=b").code == 64
