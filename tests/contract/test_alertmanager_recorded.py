"""Alertmanager 0.25 as it really answered: every recorded exchange through real sockets."""

from __future__ import annotations

from datetime import UTC

import pytest

from meshdiag.context import Endpoint
from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.sources.alertmanager import Alertmanager
from tests.replay import exchanges, replay, replay_one
from tests.serving import Asked

RECORDED = "alertmanager-0.25.0"


@pytest.mark.parametrize("name", exchanges(RECORDED))
async def test_no_recorded_answer_breaks_any_question(name: str) -> None:
    """Whatever answer is given to whatever question, it is a value or a SourceError."""
    with replay_one(RECORDED, name) as server:
        async with Alertmanager(Endpoint(server.url)) as source:
            questions = (source.status, source.identify, source.alerts, source.groups, source.silences)
            for question in (*questions, source.receivers, source.ready, lambda: source.silence("x")):
                try:
                    await question()
                except SourceError as error:
                    assert error.source == "Alertmanager" and error.where.startswith(server.url)


async def test_silenced_and_inhibited_alerts_say_by_what() -> None:
    """Both are "suppressed" unless filtered; the ids of silences and the fingerprints of inhibitors are kept."""
    with replay(RECORDED) as server:
        async with Alertmanager(Endpoint(server.url)) as source:
            alerts = await source.alerts()
            silences = {one.id: one for one in await source.silences()}
    assert {alert.state for alert in alerts} == {"active", "suppressed"}
    silenced = [alert for alert in alerts if alert.silenced_by]
    inhibited = [alert for alert in alerts if alert.inhibited_by]
    assert silenced and all(one.state == "suppressed" for one in (*silenced, *inhibited))
    assert silenced[0].silenced_by[0] in silences
    assert inhibited[0].inhibited_by[0] in {alert.fingerprint for alert in alerts}
    assert all(alert.starts_at and alert.starts_at.tzinfo is UTC for alert in alerts)


async def test_flags_and_filters_are_sent_as_the_server_takes_them() -> None:
    """Flags are true or false, for anything else would be taken as false; each filter is a parameter."""

    def choose(asked: Asked) -> str:
        return "alerts_only_silenced" if ("active", "false") in asked.params else "alerts_filter"

    with replay(RECORDED, choose) as server:
        async with Alertmanager(Endpoint(server.url)) as source:
            silenced = await source.alerts(active=False, inhibited=False)
            critical = await source.alerts(['severity="critical"'], receiver="on.*")
        assert server.asked[1].params == [("filter", 'severity="critical"'), ("receiver", "on.*")]
    assert [alert.state for alert in silenced] == ["suppressed"]
    assert critical[0].receivers == ("oncall",)


async def test_a_bad_filter_is_refused_in_the_servers_words() -> None:
    """The refusal is a JSON string; it is quoted, with how filters are written."""
    with replay_one(RECORDED, "alerts_error_bad_filter") as server:
        async with Alertmanager(Endpoint(server.url)) as source:
            with pytest.raises(QueryError, match="bad matcher format: severity~critical") as caught:
                await source.alerts(["severity~critical"])
    assert 'name="value"' in caught.value.hint


async def test_a_bad_silence_id_is_refused_and_an_unknown_one_is_none() -> None:
    """A bad UUID is {code, message}; an unknown one is 404 with an empty body."""
    with replay_one(RECORDED, "silence_error_bad_uuid") as server:
        async with Alertmanager(Endpoint(server.url)) as source:
            with pytest.raises(QueryError, match="must be of type uuid"):
                await source.silence("nope")
    with replay_one(RECORDED, "silence_not_found") as server:
        async with Alertmanager(Endpoint(server.url)) as source:
            assert await source.silence("00000000-0000-0000-0000-000000000000") is None


async def test_expired_silences_are_left_out_unless_asked_for() -> None:
    """Expired silences stay in the server's list; they silence nothing."""
    with replay_one(RECORDED, "silences") as server:
        async with Alertmanager(Endpoint(server.url)) as source:
            in_force = await source.silences()
            all_of_them = await source.silences(expired=True)
    assert "expired" not in {one.state for one in in_force}
    assert "expired" in {one.state for one in all_of_them}
    matchers = [str(matcher) for one in all_of_them for matcher in one.matchers]
    assert 'severity=~"warning|info"' in matchers and 'env!="prod"' in matchers


@pytest.mark.parametrize(
    ("name", "cluster", "peers"),
    [("status", "disabled", 0), ("status_cluster_settling", "settling", 2), ("status_cluster_two_peers", "ready", 2)],
)
async def test_status_tells_the_cluster(name: str, cluster: str, peers: int) -> None:
    """A single server is "disabled", one that joins "settling"."""
    with replay_one(RECORDED, name) as server:
        async with Alertmanager(Endpoint(server.url)) as source:
            status = await source.identify()
    assert (status.cluster, len(status.peers)) == (cluster, peers)
    assert status.version == "0.25.0" and "route:" in status.config


async def test_groups_and_receivers_are_typed() -> None:
    """Groups name their receiver and hold whole alerts."""
    with replay(RECORDED) as server:
        async with Alertmanager(Endpoint(server.url)) as source:
            groups = await source.groups()
            receivers = await source.receivers()
    assert receivers == ("default", "oncall", "blackhole")
    assert {group.receiver for group in groups} <= set(receivers)
    assert all(group.alerts and group.alerts[0].fingerprint for group in groups)


async def test_a_missing_path_is_not_found() -> None:
    """404 as {code, message} is a trouble of its own, not an empty list."""
    with replay_one(RECORDED, "api_not_found") as server:
        async with Alertmanager(Endpoint(server.url)) as source:
            with pytest.raises(SourceError) as caught:
                await source.alerts()
    assert caught.value.trouble is Trouble.NOT_FOUND


async def test_identify_names_a_prometheus_found_instead() -> None:
    """The wrong server on the port is named."""
    with replay("prometheus-2.42.0") as server:
        async with Alertmanager(Endpoint(server.url)) as source:
            with pytest.raises(SourceError, match="it is Prometheus") as caught:
                await source.identify()
    assert caught.value.trouble is Trouble.WRONG_SERVER
