"""Prometheus 2.42 and 3.12 and VictoriaMetrics as they really answered: every recorded exchange through real
sockets, none with a traceback, each with the right result or trouble."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from meshdiag.context import Endpoint
from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.metrics import Matrix, Vector
from meshdiag.sources.prometheus import Prometheus
from tests.replay import Exchange, exchanges, replay, replay_one
from tests.serving import Asked

OLD, NEW, VICTORIA = "prometheus-2.42.0", "prometheus-3.12.0", "victoriametrics-1.79.5"
SERVERS = (OLD, NEW, VICTORIA)
BOTH = (OLD, NEW)
START, END = datetime(2026, 11, 22, 11, 0, tzinfo=UTC), datetime(2026, 11, 22, 11, 10, tzinfo=UTC)
EVERY = [pytest.param(one, id=f"{server}/{name}") for server in SERVERS for name, one in exchanges(server).items()]


async def ask_everything(source: Prometheus) -> list[object]:
    """Every question there is; what each came to."""
    questions = (
        lambda: source.evaluate("up"),
        lambda: source.range("up", START, END, timedelta(minutes=1)),
        lambda: source.series(["up"]),
        source.labels,
        lambda: source.label_values("job"),
        source.metadata,
        source.targets,
        source.rules,
        source.alerts,
        source.buildinfo,
        source.runtimeinfo,
        source.tsdb,
        source.ready,
        source.healthy,
        source.identify,
    )
    answers: list[object] = []
    for question in questions:
        try:
            answers.append(await question())
        except SourceError as error:
            answers.append(error)
    return answers


@pytest.mark.parametrize("exchange", EVERY)
async def test_no_recorded_answer_breaks_any_question(exchange: Exchange) -> None:
    """Whatever answer is given to whatever question, it is a value or a SourceError."""
    with replay_one(exchange.server, exchange.name) as server:
        async with Prometheus(Endpoint(server.url)) as source:
            for answer in await ask_everything(source):
                assert not isinstance(answer, SourceError) or (answer.source and answer.where.startswith(server.url))


async def evaluated(server: str, name: str) -> Vector | Matrix:
    with replay_one(server, name) as replayed:
        async with Prometheus(Endpoint(replayed.url)) as source:
            return await source.evaluate("up")


@pytest.mark.parametrize("server", BOTH)
async def test_vectors_keep_labels_values_and_times(server: str) -> None:
    """A vector's samples are those on the wire."""
    vector = await evaluated(server, "query_vector")
    wire = exchanges(server)["query_vector"].json["data"]["result"]
    assert isinstance(vector, Vector)
    assert [(s.labels, s.value, s.time) for s in vector.samples] == [
        (one["metric"], float(one["value"][1]), one["value"][0]) for one in wire
    ]


@pytest.mark.parametrize("server", BOTH)
async def test_nan_and_infinities_are_numbers(server: str) -> None:
    """Values are strings on the wire, NaN, +Inf and -Inf among them."""
    vector = await evaluated(server, "query_nan_inf")
    assert isinstance(vector, Vector)
    values = {sample.labels["k"]: sample.value for sample in vector.samples}
    assert math.isnan(values["nan"])
    assert (values["posinf"], values["neginf"]) == (math.inf, -math.inf)


@pytest.mark.parametrize("server", BOTH)
async def test_scalars_strings_matrices_and_empties_are_told_apart(server: str) -> None:
    """Each result type has its own form; an empty vector is no scalar."""
    scalar = await evaluated(server, "query_scalar")
    string = await evaluated(server, "query_string")
    matrix = await evaluated(server, "query_matrix")
    empty = await evaluated(server, "query_empty")
    assert isinstance(scalar, Vector) and scalar.scalar and scalar.samples[0].labels == {}
    assert isinstance(string, Vector) and string.text == "hello" and not string.samples
    assert isinstance(matrix, Matrix) and len(matrix.series[0].times) == len(matrix.series[0].values) > 1
    assert empty == Vector(())


async def test_a_compressed_answer_is_the_same_answer() -> None:
    """gzip on the wire changes nothing."""
    packed = await evaluated(OLD, "query_gzip")
    assert isinstance(packed, Vector) and len(packed.samples) > 3


@pytest.mark.parametrize(
    ("server", "name", "said"),
    [
        (OLD, "query_error_parse", "unclosed left parenthesis"),
        (OLD, "query_error_unknown_function", "unknown function"),
        (OLD, "query_error_execution", "duplicate series"),
        (OLD, "query_error_bad_time", "cannot parse"),
        (OLD, "query_error_missing", "no expression"),
        (OLD, "query_range_error_resolution", "maximum resolution"),
        (OLD, "query_range_error_step_zero", "step"),
        (OLD, "query_range_error_end_before_start", "before start"),
        (NEW, "query_error_parse", "parse error"),
        (NEW, "query_error_execution", "duplicate series"),
        (VICTORIA, "query_error_parse", "unexpected token"),
        (VICTORIA, "query_error_missing", "missing"),
    ],
)
async def test_a_refused_question_is_a_query_error_in_the_servers_words(server: str, name: str, said: str) -> None:
    """400 bad_data, 422 execution and VictoriaMetrics's 422 put the blame on the question and quote the server."""
    with pytest.raises(QueryError, match=said) as caught:
        await evaluated(server, name)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("server", BOTH)
async def test_a_query_that_the_server_gave_up_is_a_timeout(server: str) -> None:
    """503 with errorType timeout is no outage and no bad question."""
    with pytest.raises(SourceError) as caught:
        await evaluated(server, "query_error_timeout")
    assert caught.value.trouble is Trouble.TIMEOUT
    assert "timed out" in caught.value.message


async def test_a_starting_server_is_starting_on_every_path() -> None:
    """While it starts, readiness and every API path answer 503 in plain text, and it is alive."""
    by_path = {"/-/healthy": "starting_healthy", "/-/ready": "starting_ready"}
    with replay(OLD, lambda asked: by_path.get(asked.path, "starting_query")) as server:
        async with Prometheus(Endpoint(server.url)) as source:
            for question in (lambda: source.instant("up"), source.targets, source.identify):
                with pytest.raises(SourceError) as caught:
                    await question()
                assert caught.value.trouble is Trouble.STARTING
            assert await source.healthy()
            assert not await source.ready()


@pytest.mark.parametrize("name", ["auth_401_none", "auth_401_bad", "auth_401_none_ready"])
async def test_401_covers_queries_and_readiness(name: str) -> None:
    """401 is plain text, also on /-/ready; it is said as such, with what to try."""
    with replay_one(OLD, name) as server:
        async with Prometheus(Endpoint(server.url)) as source:
            for question in (lambda: source.instant("up"), source.ready, source.identify):
                with pytest.raises(SourceError) as caught:
                    await question()
                assert caught.value.trouble is Trouble.UNAUTHORIZED
                assert "credentials" in caught.value.hint


@pytest.mark.parametrize("server", BOTH)
async def test_a_missing_endpoint_is_not_available_here(server: str) -> None:
    """404 in plain text from the API means that this server lacks the endpoint."""
    await _not_available(server, "api_not_found")


async def test_what_victoriametrics_lacks_is_not_available_here() -> None:
    """VictoriaMetrics refuses endpoints that it lacks with 400 in plain text."""
    await _not_available(VICTORIA, "api_not_found")
    await _not_available(VICTORIA, "status_runtimeinfo")


async def _not_available(server: str, name: str) -> None:
    with replay_one(server, name) as replayed:
        async with Prometheus(Endpoint(replayed.url)) as source:
            with pytest.raises(SourceError) as caught:
                await source.runtimeinfo()
    assert caught.value.trouble is Trouble.NOT_AVAILABLE
    assert "not available here" in caught.value.message


async def test_405_on_post_falls_back_to_get() -> None:
    """A proxy that forbids POST gets long queries by GET."""
    long = " or ".join(f"metric_number_{place}" for place in range(200))
    with replay(OLD, lambda asked: "quit_disabled_get" if asked.method == "POST" else "query_vector") as server:
        async with Prometheus(Endpoint(server.url)) as source:
            assert (await source.instant(long)).samples
            assert (await source.instant(long)).samples
        assert [asked.method for asked in server.asked] == ["POST", "GET", "GET"]


@pytest.mark.parametrize("server", BOTH)
async def test_targets_rules_and_alerts_are_typed(server: str) -> None:
    """Targets tell health and error, rules their state and evaluation errors, alerts their value and since when."""
    with replay(server) as replayed:
        async with Prometheus(Endpoint(replayed.url)) as source:
            targets = await source.targets("any")
            rules = await source.rules()
            alerts = await source.alerts()
    health = {target.job: target for target in targets.active}
    assert health["agent-mesh"].health == "up"
    assert "refused" in health["agent-mesh-dead"].last_error
    assert health["agent-mesh"].last_scrape is not None and health["agent-mesh"].last_scrape.tzinfo is UTC
    broken = [rule for rule in rules.all if rule.health == "err"]
    assert broken and all(rule.last_error for rule in broken)
    (down,) = [alert for alert in alerts if alert.name == "AgentMeshInstanceDown"]
    assert (down.state, down.value) == ("firing", 0.0)
    assert down.active_at is not None and down.active_at.year == 2026
    assert {rule.type for rule in rules.all} == {"alerting", "recording"}


async def test_a_target_not_yet_scraped_was_never_scraped() -> None:
    """health "unknown" comes with a last scrape in the year 1, which means never."""
    unknown = [
        target
        for server in BOTH
        for target in exchanges(server)["targets"].json["data"]["activeTargets"]
        if target["health"] == "unknown"
    ]
    from meshdiag.sources.prometheus.state import read_targets

    never = {**(unknown or [{}])[0], "health": "unknown", "lastScrape": "0001-01-01T00:00:00Z"}
    (target,) = read_targets({"activeTargets": [never]}).active
    assert (target.health, target.last_scrape) == ("unknown", None)


async def test_dropped_targets_are_counted_even_when_not_listed() -> None:
    """Prometheus 3 counts dropped targets by pool beside the list."""
    with replay_one(NEW, "targets_pool") as server:
        async with Prometheus(Endpoint(server.url)) as source:
            assert (await source.targets()).dropped_count == 1


async def test_rule_pages_are_followed_to_the_last() -> None:
    """groupNextToken leads to the next page, until there is none."""
    pages = {None: "rules_page_1"}

    def choose(asked: Asked) -> str:
        return pages.get(asked.param("group_next_token"), "rules_alert")

    with replay(NEW, choose) as server:
        async with Prometheus(Endpoint(server.url)) as source:
            groups = (await source.rules()).groups
        assert len(server.asked) == 2
        assert server.asked[1].param("group_next_token")
    assert len(groups) == 1 + len(exchanges(NEW)["rules_alert"].json["data"]["groups"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("query_info_annotation", "might not be a counter"),
        ("query_warning_annotation", "bucket label"),
        ("query_limited_results", "truncated"),
    ],
)
async def test_warnings_and_infos_beside_a_success_are_kept(name: str, said: str) -> None:
    """What the server remarks on an answer is part of the answer."""
    assert any(said in warning for warning in (await evaluated(NEW, name)).warnings)


async def test_an_odd_label_name_is_refused_by_one_and_empty_in_the_other() -> None:
    """Prometheus 2 answers 400, Prometheus 3 an empty list."""
    with replay_one(OLD, "label_values_error_bad_name") as server:
        async with Prometheus(Endpoint(server.url)) as source:
            with pytest.raises(QueryError, match="invalid label name"):
                await source.label_values("bad-name")
        assert server.asked[0].path == "/api/v1/label/bad-name/values"
    with replay_one(NEW, "label_values_error_bad_name") as server:
        async with Prometheus(Endpoint(server.url)) as source:
            assert await source.label_values("bad-name") == ()


@pytest.mark.parametrize(
    ("server", "software", "version"),
    [(OLD, "Prometheus", "2.42.0+ds"), (NEW, "Prometheus", "3."), (VICTORIA, "VictoriaMetrics", "")],
)
async def test_identify_names_software_and_version(server: str, software: str, version: str) -> None:
    """Each dialect is told by its own signs, VictoriaMetrics although its build information is empty."""
    with replay(server) as replayed:
        async with Prometheus(Endpoint(replayed.url)) as source:
            identity = await source.identify()
        assert len(replayed.asked) == 2
    assert identity.software == software
    assert identity.version.startswith(version)
    assert identity.ready is True


async def test_identify_names_an_alertmanager_found_instead() -> None:
    """The wrong server on the port is named."""
    with replay("alertmanager-0.25.0") as server:
        async with Prometheus(Endpoint(server.url)) as source:
            with pytest.raises(SourceError, match="it is Alertmanager") as caught:
                await source.identify()
    assert caught.value.trouble is Trouble.WRONG_SERVER


@pytest.mark.parametrize("server", SERVERS)
async def test_state_questions_have_typed_answers(server: str) -> None:
    """Runtime, store and metadata are read in every dialect, or are not available there."""
    with replay(server) as replayed:
        async with Prometheus(Endpoint(replayed.url)) as source:
            tsdb = await source.tsdb()
            metadata = await source.metadata()
            series = await source.series(["up"])
            labels = await source.labels()
    assert tsdb.series > 0 and tsdb.top_names
    assert all(one.type for one in metadata.values())
    assert series and "job" in labels


@pytest.mark.parametrize("server", BOTH)
async def test_ranges_have_gaps_where_the_server_has_none(server: str) -> None:
    """A range keeps the times it was given; a scalar expression is a series without labels."""
    with replay_one(server, "query_range_gaps") as replayed:
        async with Prometheus(Endpoint(replayed.url)) as source:
            matrix = await source.range("x", START, END, timedelta(seconds=5))
    times = matrix.series[0].times
    assert list(times) == sorted(times)
    with replay_one(server, "query_range_scalar") as replayed:
        async with Prometheus(Endpoint(replayed.url)) as source:
            scalar = await source.range("vector(1)", START, END, timedelta(seconds=30))
    assert scalar.series[0].labels == {} and scalar.series[0].values == [1.0, 1.0, 1.0]
