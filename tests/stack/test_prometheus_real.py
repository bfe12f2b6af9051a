"""The Prometheus source against a real Prometheus that holds a little past."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from meshdiag.context import Credentials, Endpoint, Secret, SecretKind
from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.metrics import AbsenceKind, Vector
from meshdiag.sources.prometheus import Prometheus
from meshdiag.sources.prometheus.batch import MAX_EXPRESSIONS, gives_vector
from tests.binaries import need
from tests.faulty import authority
from tests.servers import open_metrics, prometheus
from tests.stack.recorded_mesh import GONE_S, Past, past

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Running

BCRYPT = "$2b$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG"
"""Of the password "s3cret", at the lowest cost."""

VECTORS = (
    "up",
    'up{job="mesh"} == 0  # who is down',
    "# the peers\nmesh_peer_count\n",
    "sum by (instance) (rate(rounds_total[5m]))",
    "max by (instance) (mesh_peer_count offset 20m)",
    "histogram_quantile(0.95, sum by (instance, le) (rate(latency_seconds_bucket[5m]))) or mesh_peer_count",
    "model_accuracy",
    "-mesh_peer_count",
    "vector(3) > bool 2",
    "count(up) * 2",
    "never_there",
    "absent(never_there)",
    'label_replace(up, "who", "$1", "instance", "(.*):.*")',
    "max_over_time(mesh_peer_count[1h:1m])",
    "mesh_peer_count / on (instance) group_left rounds_total",
    'up{instance=~"a.*|b.*"} and on (instance) (mesh_peer_count > 5)',
    "mesh_peer_count{node='trainer-0'}",
    "(up)",
)
ALONE = ("1 + 1", "scalar(sum(up))", "time()", '"text"', "sort_desc(mesh_peer_count)", "topk(1, mesh_peer_count)")


@pytest.fixture(scope="module")
def history() -> Past:
    """What the server holds."""
    return past()


@pytest.fixture(scope="module")
def running(history: Past) -> Iterator[Running]:
    """A Prometheus with history and rules, one of which cannot be evaluated."""
    rules = [
        {"alert": "Down", "expr": "up == 0", "labels": {"severity": "critical"}},
        {"record": "broken", "expr": "up * on(job) mesh_peer_count"},
    ]
    with prometheus(open_metrics(history.series), rules={"groups": [{"name": "mesh", "rules": rules}]}) as server:
        yield server


@pytest.fixture
async def source(running: Running) -> Prometheus:
    """The source under test."""
    async with Prometheus(Endpoint(running.url)) as one:
        yield one


@pytest.fixture
def at(history: Past) -> datetime:
    """A moment at which the fresh series are fresh, however long the tests take."""
    return datetime.fromtimestamp(history.end, UTC)


def comparable(vector: Vector) -> list[tuple[list[tuple[str, str]], str]]:
    """Samples without order; NaN equals NaN."""
    return sorted((sorted(one.labels.items()), repr(one.value)) for one in vector.samples)


async def test_questions_asked_together_get_the_answers_they_get_alone(source: Prometheus, at: datetime) -> None:
    """Batching changes the number of requests and nothing else, comments and line breaks included."""
    together = await asyncio.gather(*(source.instant(query, at) for query in (*VECTORS, *ALONE)))
    joined = source.http.requests_sent
    for query, answer in zip((*VECTORS, *ALONE), together, strict=True):
        alone = await source.evaluate(query, at)
        assert isinstance(alone, Vector)
        assert comparable(answer) == comparable(alone), query
        assert (answer.scalar, answer.text) == (alone.scalar, alone.text)
    assert all(gives_vector(query) for query in VECTORS)
    assert not any(gives_vector(query) for query in ALONE)
    assert joined == math.ceil(len(VECTORS) / MAX_EXPRESSIONS) + len(ALONE)


async def test_the_order_of_sorted_answers_is_kept(source: Prometheus, at: datetime) -> None:
    """What sorts is not joined with others, for its order is part of the answer."""
    up, largest = await asyncio.gather(source.instant("up", at), source.instant("sort_desc(mesh_peer_count)", at))
    assert len(up.samples) == 3
    assert [one.value for one in largest.samples] == sorted((one.value for one in largest.samples), reverse=True)


async def test_the_same_question_is_asked_once(source: Prometheus, at: datetime) -> None:
    """Many checks may want the same series; one request fetches it."""
    answers = await asyncio.gather(*(source.instant("up", at) for _ in range(50)))
    assert source.http.requests_sent == 1
    assert all(answer == answers[0] for answer in answers)


async def test_one_bad_expression_does_not_spoil_the_others(source: Prometheus, at: datetime) -> None:
    """A refused batch is asked again one by one: the refusal goes to whom it belongs, in terms of their query."""
    many_to_many = "mesh_peer_count * on (job) rounds_total"
    answers = await asyncio.gather(
        source.instant("up", at), source.instant(many_to_many, at), source.instant("count(up)", at),
        source.instant("sum(", at), return_exceptions=True,
    )  # fmt: skip
    assert isinstance(answers[0], Vector) and len(answers[0].samples) == 3
    assert isinstance(answers[2], Vector) and answers[2].samples[0].value == 3
    assert isinstance(answers[1], QueryError) and "match" in answers[1].message
    assert isinstance(answers[3], QueryError) and "1:5" in answers[3].message


async def test_a_cancelled_question_leaves_the_others_alone(source: Prometheus, at: datetime) -> None:
    """Whoever gives up does not take the batch with them."""
    first, second = (asyncio.create_task(source.instant(query, at)) for query in ("up", "mesh_peer_count"))
    await asyncio.sleep(0)
    first.cancel()
    assert len((await second).samples) == 2


async def test_ranges_asked_together_get_the_answers_they_get_alone(source: Prometheus, at: datetime) -> None:
    """Range queries over the same span travel together as well."""
    queries = ("up", "sum(rate(rounds_total[5m]))", "mesh_peer_count > 7", "time()")
    span = (at - timedelta(minutes=30), at, timedelta(minutes=1))
    together = await asyncio.gather(*(source.range(query, *span) for query in queries))
    assert source.http.requests_sent == 2
    for query, answer in zip(queries, together, strict=True):
        alone = await source.range(query, *span)
        assert sorted(answer.series, key=lambda one: sorted(one.labels.items())) == sorted(
            alone.series, key=lambda one: sorted(one.labels.items())
        )
    assert len(together[0].series[0].times) == 31


async def test_a_range_selector_is_a_matrix_or_a_clear_refusal(source: Prometheus, at: datetime) -> None:
    """evaluate() gives raw samples; instant() says what to do instead."""
    matrix = await source.evaluate('up{instance="a:9091"}[5m]', at)
    assert len(matrix.series[0].values) in (20, 21)  # type: ignore[union-attr]
    with pytest.raises(QueryError, match="range of samples"):
        await source.instant("up[5m]", at)


async def test_a_long_query_goes_by_post(source: Prometheus, at: datetime) -> None:
    """A query that no proxy would take in a URL is answered all the same."""
    long = " or ".join(f'mesh_peer_count{{node="trainer-{place}"}}' for place in range(400))
    assert len((await source.instant(long, at)).samples) == 2


@pytest.mark.parametrize(
    ("query", "kind", "said"),
    [
        ("consensus_round_duration_seconds", AbsenceKind.NEVER_SEEN, "never seen here"),
        ("mesh_peer_cuont > 3", AbsenceKind.NEVER_SEEN, "did you mean mesh_peer_count"),
        ("latency_seconds", AbsenceKind.NEVER_SEEN, "exposed as a histogram: latency_seconds_bucket"),
        ('mesh_peer_count{job="agent-mesh"}', AbsenceKind.OTHER_LABELS, "(job is mesh)"),
        ('mesh_peer_count{job="mesh",node="x"}', AbsenceKind.OTHER_LABELS, "(node is trainer-0, trainer-1)"),
        ('mesh_peer_count{job="x",node="y"}', AbsenceKind.OTHER_LABELS, "labels together"),
        ("max by (instance) (stale_metric)", AbsenceKind.STALE, "went stale 14 min ago"),
        ("rate(stale_metric[5m]) > 0", AbsenceKind.STALE, "went stale"),
        ('dead_metric{job="mesh"}', AbsenceKind.TARGET_DOWN, "its target c:9091 is down"),
        ("mesh_peer_count > 100", AbsenceKind.FILTERED, "condition leaves none"),
        ("mesh_peer_count > 100 or never_there", AbsenceKind.FILTERED, "condition leaves none"),
        ("never_there or stale_metric", AbsenceKind.STALE, "went stale"),
        ("never_there / up", AbsenceKind.NEVER_SEEN, "never_there was never seen"),
        ("up == 5 unless never_there", AbsenceKind.FILTERED, "condition leaves none"),
        ("absent(up)", AbsenceKind.FILTERED, "absence was asked for"),
        ('{job="nowhere"}', AbsenceKind.NEVER_SEEN, "no series matches"),
    ],
)
async def test_an_empty_answer_is_classified(
    source: Prometheus, at: datetime, query: str, kind: AbsenceKind, said: str
) -> None:
    """Never seen, other labels, stale, target down, filtered: each is told apart, with a sentence that helps."""
    assert not (await source.instant(query, at)).samples
    asked = source.http.requests_sent
    absence = await source.why_empty(query, at)
    assert absence.kind is kind, absence
    assert said in absence.message
    assert source.http.requests_sent - asked <= 6
    if kind in (AbsenceKind.STALE, AbsenceKind.TARGET_DOWN):
        assert absence.last_seen is not None
        assert abs((at - absence.last_seen).total_seconds() - GONE_S) < 60


async def test_state_is_typed(source: Prometheus) -> None:
    """Rules tell errors, alerts their value, the store its size; nothing is scraped here."""
    until = time.monotonic() + 10
    while not (alerts := await source.alerts()) and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.1)  # rules are evaluated every second
    assert [(alert.name, alert.state, alert.value) for alert in alerts] == [("Down", "firing", 0.0)]
    rules = {rule.name: rule for rule in (await source.rules()).all}
    assert rules["broken"].health == "err" and rules["broken"].last_error
    assert rules["Down"].state == "firing" and rules["Down"].alerts[0].labels["instance"] == "c:9091"
    assert (await source.targets()).active == ()
    assert "mesh_peer_count" in await source.label_values("__name__")
    assert set(await source.label_values("node", ["mesh_peer_count"])) == {"trainer-0", "trainer-1"}
    assert (await source.runtimeinfo()).started is not None


async def test_identify_tells_version_and_clock(source: Prometheus) -> None:
    """Two requests say what it is, that it is ready, and that the clocks agree."""
    identity = await source.identify()
    assert source.http.requests_sent == 2
    assert identity.software == "Prometheus" and identity.version[0].isdigit() and identity.ready is True
    assert identity.clock_skew_s is not None and abs(identity.clock_skew_s) < 5
    assert await source.ready() and await source.healthy()


async def test_the_evidence_command_shows_the_same_again(source: Prometheus, at: datetime) -> None:
    """What --explain prints can be pasted into a shell and gives the same values."""
    need("curl")
    query = 'up{job="mesh", instance!="it\'s $HOME"} == 1'
    command = source.evidence(query, at).command
    printed = await asyncio.to_thread(
        lambda: subprocess.run(["sh", "-c", command], capture_output=True, timeout=20, check=True).stdout
    )
    shown = json.loads(printed)["data"]["result"]
    answer = await source.instant(query, at)
    assert len(shown) == 2
    assert [one["metric"] for one in shown] == [sample.labels for sample in answer.samples]


async def test_a_server_that_starts_is_refused_or_starting_until_it_answers() -> None:
    """From the start of the process to the first answer there is nothing but these two troubles."""
    with prometheus(wait=False) as server:
        async with Prometheus(Endpoint(server.url)) as source:
            until = time.monotonic() + 20
            while time.monotonic() < until:
                try:
                    identity = await source.identify()
                    assert (await source.instant("vector(1)")).samples[0].value == 1
                    break
                except SourceError as error:
                    assert error.trouble in (Trouble.REFUSED, Trouble.STARTING), error
                    await asyncio.sleep(0.01)
            assert identity.software == "Prometheus"


async def test_basic_auth_tls_and_base_path(tmp_path: Path) -> None:
    """A server behind TLS with a private CA, a password and a path of its own is reached with the right settings,
    and each missing setting is named."""
    password, ca = tmp_path / "password", tmp_path / "ca.pem"
    password.write_text("s3cret\n")
    authority().cert_pem.write_to_path(str(ca))
    issued = authority().issue_cert("127.0.0.1", "localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    pem = str(tmp_path / "server.pem")
    web = {"basic_auth_users": {"operator": BCRYPT}, "tls_server_config": {"cert_file": pem, "key_file": pem}}
    right = Credentials(Secret(SecretKind.FILE, str(password)), "operator")
    with prometheus(web=web, prefix="/metrics/prometheus") as server:
        bare = server.url.removesuffix("/metrics/prometheus")
        for endpoint, trouble in (
            (Endpoint(server.url, credentials=right), Trouble.TLS),
            (Endpoint(server.url, ca_file=ca), Trouble.UNAUTHORIZED),
            (Endpoint(bare, ca_file=ca, credentials=right), Trouble.NOT_FOUND),
            (Endpoint(bare.replace("https", "http"), ca_file=ca, credentials=right), Trouble.TLS),
        ):
            async with Prometheus(endpoint) as source:
                with pytest.raises(SourceError) as caught:
                    await source.instant("vector(1)")
                assert caught.value.trouble is trouble, caught.value
                assert "s3cret" not in str(caught.value)
        async with Prometheus(Endpoint(server.url, ca_file=ca, credentials=right, timeout_s=10)) as source:
            assert (await source.identify()).software == "Prometheus"
            assert (await source.instant("vector(1)")).samples[0].value == 1
            command = source.evidence("vector(1)").command
        printed = subprocess.run(["sh", "-c", command], capture_output=True, timeout=20, check=True).stdout  # noqa: ASYNC221
        assert json.loads(printed)["status"] == "success"
        assert "s3cret" not in command


async def test_a_name_that_is_spelt_right_is_not_proposed_for_itself(source: Prometheus, at: datetime) -> None:
    """Long before the first sample the name was not there; "did you mean" would only confuse."""
    absence = await source.why_empty("up", at - timedelta(days=400))
    assert absence.kind is AbsenceKind.NEVER_SEEN
    assert "up was never seen here in the day before" in absence.message
    assert "did you mean" not in absence.message
