"""The Alertmanager source against a real Alertmanager."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from meshdiag.context import Endpoint
from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.sources.alertmanager import Alertmanager
from meshdiag.sources.prometheus import Prometheus
from tests.servers import alertmanager

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Running

CONFIG = {
    "route": {
        "receiver": "mesh-team",
        "group_by": ["alertname"],
        "group_wait": "100ms",
        "routes": [{"matchers": ['severity="critical"'], "receiver": "on-call"}],
    },
    "inhibit_rules": [
        {"source_matchers": ['severity="critical"'], "target_matchers": ['severity="warning"'], "equal": ["instance"]}
    ],
    "receivers": [{"name": "mesh-team"}, {"name": "on-call"}],
}


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """An Alertmanager below a path, holding one critical alert, one that it inhibits and one that is silenced."""
    with alertmanager(CONFIG, prefix="/am") as server:
        alerts = [
            {"labels": {"alertname": "NodeDown", "severity": "critical", "instance": "a:9091"}},
            {"labels": {"alertname": "LowPeers", "severity": "warning", "instance": "a:9091"}},
            {"labels": {"alertname": "LowPeers", "severity": "warning", "instance": "b:9091"}},
        ]
        now = datetime.now(UTC)
        silence = {
            "matchers": [{"name": "instance", "value": "b:.*", "isRegex": True, "isEqual": True}],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=1)).isoformat(),
            "createdBy": "operator",
            "comment": "planned",
        }
        server.post("/api/v2/silences", json.dumps(silence).encode())
        server.post("/api/v2/alerts", json.dumps(alerts).encode())
        yield server


@pytest.fixture
async def source(running: Running) -> Alertmanager:
    """The source under test."""
    async with Alertmanager(Endpoint(running.url)) as one:
        yield one


async def test_alerts_tell_who_silenced_and_inhibited_them(source: Alertmanager) -> None:
    """Active, silenced and inhibited alerts are told apart, with the silence and the inhibiting alert."""
    alerts = {(one.name, one.labels["instance"]): one for one in await source.alerts()}
    (silence,) = await source.silences()
    down, low, silenced = alerts["NodeDown", "a:9091"], alerts["LowPeers", "a:9091"], alerts["LowPeers", "b:9091"]
    assert (down.state, down.receivers) == ("active", ("on-call",))
    assert low.inhibited_by == (down.fingerprint,)
    assert silenced.silenced_by == (silence.id,)
    assert str(silence.matchers[0]) == 'instance=~"b:.*"' and silence.comment == "planned"
    assert await source.silence(silence.id) == silence
    assert await source.silence("00000000-0000-0000-0000-000000000000") is None


async def test_filters_are_the_servers_own(source: Alertmanager) -> None:
    """Filters, flags and receivers narrow the list; a bad filter is a refusal."""
    assert [one.name for one in await source.alerts(['severity="critical"'])] == ["NodeDown"]
    assert [one.name for one in await source.alerts(silenced=False, inhibited=False)] == ["NodeDown"]
    assert [one.name for one in await source.alerts(receiver="on-call")] == ["NodeDown"]
    with pytest.raises(QueryError):
        await source.alerts(["severity~critical"])


async def test_identify_and_status(source: Alertmanager) -> None:
    """It is an Alertmanager, ready, alone, with its clock beside ours."""
    status = await source.identify()
    assert status.cluster == "disabled" and status.version[0].isdigit()
    assert status.clock_skew_s is not None and abs(status.clock_skew_s) < 5
    assert await source.ready()
    assert set(await source.receivers()) == {"mesh-team", "on-call"}
    assert {group.receiver for group in await source.groups()} == {"mesh-team", "on-call"}


async def test_prometheus_says_that_it_found_an_alertmanager(running: Running) -> None:
    """The wrong server on the configured address is named."""
    async with Prometheus(Endpoint(running.url)) as wrong:
        with pytest.raises(SourceError, match="Alertmanager") as caught:
            await wrong.identify()
    assert caught.value.trouble is Trouble.WRONG_SERVER
