"""The evaluator against a real Prometheus: the same samples in both, the same queries, the same answers.

Prometheus here is version 2 or 3, whichever is installed; the evaluator is told which, for they treat the left
end of a range differently.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
import random
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from meshdiag.errors import QueryError
from meshdiag.metrics import Matrix, Vector
from meshdiag.promql.evaluator import instant, over_range
from meshdiag.promql.store import Store
from meshdiag.promql.values import Options
from tests.promqltest import close

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLES = int(os.environ.get("MESHDIAG_PROMQL_EXAMPLES", "420"))
"""How many generated queries a run compares; with the fixed ones 500."""
TOLERANCE = 1e-9
STEP_S = 15
SPAN_S = 3600


@dataclass(frozen=True)
class Both:
    """A running Prometheus and a store with the same samples, the last of them at ``end`` (epoch seconds)."""

    connection: http.client.HTTPConnection
    store: Store
    end: int
    options: Options

    def ask(self, path: str, **params: object) -> dict[str, Any]:
        """Prometheus's answer, errors included."""
        self.connection.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(params)}")
        return json.load(self.connection.getresponse())  # type: ignore[no-any-return]


def _samples(end: int) -> dict[str, list[tuple[int, float]]]:
    """Series in exposition form with their samples: counters that reset, gauges with holes, NaN and Inf, buckets."""
    chance = random.Random(7)
    times = range(end - SPAN_S, end + 1, STEP_S)
    series: dict[str, list[tuple[int, float]]] = {}
    for job in ("a", "b"):
        for instance in ("n1", "n2", "n3"):
            labels = f'job="{job}",instance="{instance}"'
            total, kept = 0.0, []
            for moment in times:
                total = 0.0 if chance.random() < 0.02 else total + chance.choice((0, 1, 2.5, 7))
                if chance.random() > 0.1:
                    kept.append((moment, total))
            series[f"requests_total{{{labels}}}"] = kept
            gauge = [(moment, round(chance.uniform(-50, 50), 3)) for moment in times if chance.random() > 0.15]
            series[f"level{{{labels}}}"] = gauge
            counts = [0.0, 0.0, 0.0, 0.0]
            buckets: list[list[tuple[int, float]]] = [[], [], [], []]
            for moment in times:
                for index in range(chance.randrange(4), 4):
                    counts[index] += 1
                for index in range(4):
                    buckets[index].append((moment, counts[index]))
            for bound, column in zip(("0.1", "1", "10", "+Inf"), buckets, strict=True):
                series[f'took_bucket{{{labels},le="{bound}"}}'] = column
    odd = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e300, 1e-300, -7.0]
    for index, value in enumerate(odd):
        series[f'odd{{kind="k{index}"}}'] = [(end - 60, value), (end - 30, value), (end, value)]
    series['info{job="a",instance="n1",version="1"}'] = [(end - 30, 1.0), (end, 1.0)]
    series['info{job="a",instance="n2",version="2"}'] = [(end - 30, 1.0), (end, 1.0)]
    series['gone{job="a"}'] = [(end - 400, 4.0), (end - 310, 5.0)]
    return series


def _fill(samples: dict[str, list[tuple[int, float]]]) -> Store:
    store = Store()
    for head, column in samples.items():
        name, _, block = head.partition("{")
        labels = dict(pair.replace('"', "").split("=", 1) for pair in block.rstrip("}").split(","))
        series = store.series({"__name__": name, **labels})
        for moment, value in column:
            series.append(moment * 1000, value)
    return store


def _write(samples: dict[str, list[tuple[int, float]]], path: Path) -> None:
    def text(value: float) -> str:
        return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf") if math.isinf(value) else repr(value)

    lines = []
    for head, column in samples.items():
        lines += [f"{head} {text(value)} {moment}" for moment, value in column]
    path.write_text("\n".join([*lines, "# EOF", ""]))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    config = folder / "prometheus.yml"
    config.write_text("global: {}\n")
    return subprocess.Popen(
        [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--storage.tsdb.retention.time=60d",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Prometheus with backfilled samples, and the store."""
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        if os.environ.get("CI"):
            pytest.fail("prometheus and promtool are not installed")
        pytest.skip("prometheus and promtool are not installed")
    folder = tmp_path_factory.mktemp("prometheus")
    end = int(time.time()) // 3600 * 3600 - 60  # a whole hour, so that every run sees the same steps and samples
    samples = _samples(end)
    _write(samples, folder / "samples.om")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=720h"]
    made = subprocess.run([*command, folder / "samples.om", folder / "data"], capture_output=True, timeout=60)
    assert made.returncode == 0, made.stderr.decode()
    port = _free_port()
    process = _start(folder, port)
    try:
        url = f"http://127.0.0.1:{port}"
        version = _await_ready(url)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(connection):
            yield Both(connection, _fill(samples), end, Options(prometheus2=version.startswith("2.")))
    finally:
        process.terminate()
        process.wait(timeout=20)


def _await_ready(url: str) -> str:
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=2):
                break
        except OSError:
            time.sleep(0.05)
    with urllib.request.urlopen(f"{url}/api/v1/status/buildinfo", timeout=5) as answer:
        return str(json.load(answer)["data"]["version"])


Rows = dict[frozenset[tuple[str, str]], list[tuple[float, float]]]


def _theirs(answer: dict[str, Any]) -> Rows:
    data = answer["data"]
    if data["resultType"] == "scalar":
        return {frozenset(): [(float(data["result"][0]), float(data["result"][1]))]}
    rows: Rows = {}
    for one in data["result"]:
        points = one.get("values") or [one["value"]]
        rows[frozenset(one["metric"].items())] = [(float(moment), float(value)) for moment, value in points]
    return rows


def _ours(answer: Vector | Matrix) -> Rows:
    if isinstance(answer, Vector):
        return {frozenset(one.labels.items()): [(one.time, one.value)] for one in answer.samples}
    return {frozenset(one.labels.items()): list(zip(one.times, one.values, strict=True)) for one in answer.series}


def compare(both: Both, query: str, at: int | None = None, span: tuple[int, int, int] | None = None) -> None:
    """Ask both; the answers must be the same, and so must refusals."""
    if span is None:
        theirs = both.ask("query", query=query, time=at)
    else:
        theirs = both.ask("query_range", query=query, start=span[0], end=span[1], step=span[2])
    try:
        if span is None:
            assert at is not None
            ours: Vector | Matrix = instant(both.store, query, at * 1000, both.options)
        else:
            ours = over_range(both.store, query, *(bound * 1000 for bound in span), both.options)
    except QueryError as error:
        assert theirs["status"] == "error", f"{query}: only here refused: {error}"
        return
    assert theirs["status"] == "success", f"{query}: only Prometheus refuses: {theirs}"
    expected, got = _theirs(theirs), _ours(ours)
    assert got.keys() == expected.keys(), query
    for labels, points in expected.items():
        mine = got[labels]
        assert [moment for moment, _ in mine] == [moment for moment, _ in points], (query, dict(labels))
        for (_, a), (_, b) in zip(mine, points, strict=True):
            assert close(a, b, TOLERANCE), (query, dict(labels), a, b)


FIXED = """
level
level{job="a"}
level{job!="a",instance=~"n[12]"}
{__name__=~"level|info"}
level offset 5m
level offset -1m
gone
odd
-odd
odd * 2
odd / 0
odd % 5
odd ^ 2
odd > 0
odd == bool odd
rate(requests_total[5m])
rate(requests_total[2m])
increase(requests_total[5m])
irate(requests_total[5m])
delta(level[5m])
idelta(level[5m])
deriv(level[10m])
predict_linear(level[10m], 3600)
changes(level[10m])
resets(requests_total[30m])
holt_winters(level[10m], 0.3, 0.6)
sum_over_time(level[5m])
avg_over_time(level[5m])
min_over_time(level[5m])
max_over_time(level[5m])
count_over_time(level[5m])
stddev_over_time(level[5m])
quantile_over_time(0.9, level[5m])
last_over_time(level[5m])
present_over_time(gone[30m])
sum by (job) (rate(requests_total[5m]))
sum without (instance) (level)
avg(level)
max by (instance) (level)
stddev by (job) (level)
quantile(0.25, level)
topk(2, level)
bottomk by (job) (1, level)
count_values("v", ceil(level / 20))
group by (job) (level)
histogram_quantile(0.95, sum by (instance, le) (rate(took_bucket[5m])))
histogram_quantile(0.5, took_bucket)
histogram_quantile(0.5, rate(took_bucket[5m])) or level
level + on (job, instance) requests_total
level / ignoring (version) group_left (version) info
info * on (job, instance) group_right (version) level
level + on (job) requests_total
level and on (job) info
level or info
level unless on (job, instance) info
level > 10
10 < level
level > bool 0
sum(level) > bool avg(level)
abs(level) + ceil(level) - floor(level) * round(level, 0.5)
clamp(level, -10, 10) + clamp_min(level, 0) + clamp_max(level, 0)
exp(level / 10) + sgn(level)
ln(level)
log2(abs(level)) + log10(abs(level))
sqrt(level)
timestamp(level)
timestamp(abs(level))
time()
scalar(sum(level))
vector(3)
absent(nothing{job="x"})
absent(level)
absent_over_time(nothing[5m])
label_replace(level, "short", "$1", "instance", "n(.*)")
label_join(level, "both", "-", "job", "instance")
hour() + minute() + day_of_week() + days_in_month() + month() + year() + day_of_month()
rate({__name__=~"level|requests_total"}[5m])
level[1m]
sum(level @ end()) - sum(level @ start())
max_over_time(rate(requests_total[1m])[10m:30s])
sum_over_time(level[10m:])
1 + 2 * 3 ^ 2 % 5
-2 ^ 2
sum(level) atan2 sum(odd > -8)
""".strip().splitlines()


@pytest.mark.parametrize("query", FIXED)
def test_the_same_answer_as_prometheus(both: Both, query: str) -> None:
    """What a person would type gives what Prometheus gives, at an instant and over a range."""
    compare(both, query, at=both.end)
    if query != "level[1m]":
        compare(both, query, span=(both.end - 900, both.end, 60))


@pytest.mark.parametrize(
    "query", ["rate(level)", "level + ", "sum(level", "nosuch(level)", "level{", "topk(level)", "1 < 2", 'level + "a"']
)
def test_refused_by_both(both: Both, query: str) -> None:
    """What Prometheus refuses is refused here, with the place."""
    compare(both, query, at=both.end)
    with pytest.raises(QueryError, match=r"at column \d+"):
        instant(both.store, query, both.end * 1000)


_metric = st.sampled_from(["level", "requests_total", "took_bucket", "odd", "info", "gone"])
_matcher = st.sampled_from(
    [
        "",
        '{job="a"}',
        '{job!="a"}',
        '{instance=~"n[12]"}',
        '{instance!~"n1"}',
        '{nolabel=""}',
        '{le="1"}',
        '{kind=~".+"}',
    ]
)
_duration = st.sampled_from(["15s", "1m", "5m", "7m30s", "20m"])
_offset = st.sampled_from(["", "", "", "", " offset 2m", " offset -30s", " @ start()", " @ end() offset 1m"])
_range_function = st.sampled_from(
    [
        "rate",
        "increase",
        "irate",
        "delta",
        "idelta",
        "deriv",
        "changes",
        "resets",
        "sum_over_time",
        "avg_over_time",
        "min_over_time",
        "max_over_time",
        "count_over_time",
        "stddev_over_time",
        "stdvar_over_time",
        "last_over_time",
        "present_over_time",
    ]
)
# not ceil, floor and round: they turn a difference in the last digit into a whole one
_function = st.sampled_from("abs exp sqrt ln sgn timestamp sort sort_desc".split())  # noqa: SIM905
# not stddev and stdvar: Prometheus 2 says 0 for a single NaN, Prometheus 3 NaN, as here
_aggregation = st.sampled_from(["sum", "avg", "min", "max", "count", "group"])
_grouping = st.sampled_from(["", " by (job)", " by (instance, job)", " without (instance)", " by (nolabel)"])
# not atan2: Prometheus 2 forgets to take the name off its result; not %: it blows up the last digit
_matching = st.sampled_from(
    [
        *("", " on (job, instance)", " ignoring (le)", " on (job)", " on ()"),
        *(" on (job, instance) group_left", " on (job) group_right (version)", " ignoring (le, version) group_left ()"),
    ]
)
_set_matching = st.sampled_from(["", " on (job, instance)", " ignoring (le)", " on (job)", " on ()"])
_arithmetic = st.sampled_from("+ - * / ^ == != < <= > >=".split())  # noqa: SIM905
_sets = st.sampled_from(["and", "or", "unless"])
_scalar = st.sampled_from(
    ["2", "-0.5", "0", "NaN", "Inf", "time()", "scalar(level)", 'scalar(info{instance="n1"})', "1e9"]
)
_wrapped = st.sampled_from(
    [
        *("absent({})", "count(absent({}))", "quantile(0.3, {})", "quantile by (job) (0.9, {})", "clamp({}, -5, 5)"),
        *("clamp_min({}, 3)", "clamp_max({}, 3)", "sum by (job) ({}) > bool 1", "histogram_quantile(0.9, {})"),
        *("-({})", "vector(scalar({}))", 'label_replace({}, "dst", "$1-x", "instance", "n(.)")', "({}) ^ 2"),
        *(
            'label_join({}, "dst", "/", "job", "instance")',
            'label_replace({}, "instance", "", "job", ".*")',
            "sort({})",
        ),
        *(
            'count_values("v", count by (job) ({}))',
            'count_values by (job) ("job", count by (job, instance) ({}))',
            "timestamp({})",
        ),
    ]
)
_ranged = st.sampled_from(
    [
        *(
            "quantile_over_time(0.4, {})",
            "holt_winters({}, 0.4, 0.3)",
            "absent_over_time({})",
        ),
        *(
            "delta({})",
            "max_over_time({})",
            "avg_over_time({})",
            "deriv({})",
        ),
        *("last_over_time({})", "count_over_time({})", "stdvar_over_time({})", "idelta({})"),
    ]
)
# over samples as they are, not over what was calculated: a difference in the last digit would count as a whole reset
_counting = st.sampled_from(["rate", "increase", "irate", "resets", "changes"])
_steps = st.sampled_from(["[5m:1m]", "[10m:30s]", "[2m:]", "[7m:45s] offset 1m", "[3m:20s] @ end()"])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{}({})".format, _function, inner),
        st.builds("{}{} ({})".format, _aggregation, _grouping, inner),
        st.builds("({}) {}{} ({})".format, inner, _arithmetic, _matching, inner),
        st.builds("({}) {}{} ({})".format, inner, _sets, _set_matching, inner),
        st.builds("({}) {} {}".format, inner, st.sampled_from(["+", "/", ">", "== bool", "^"]), _scalar),
        st.builds("{} {} ({})".format, _scalar, st.sampled_from(["-", "*", "<", ">= bool"]), inner),
        st.builds(lambda shape, expression: shape.replace("{}", expression), _wrapped, inner),
        # not with @: in a range query Prometheus lets the window of predict_linear run past what the subquery found
        st.builds("predict_linear(({})[5m:30s], 600)".format, inner),
        st.builds(
            lambda shape, expression, steps: shape.replace("{}", f"({expression}){steps}"), _ranged, inner, _steps
        ),
    )


_selector = st.builds("{}{}{}".format, _metric, _matcher, _offset)
_leaf = st.one_of(
    _selector,
    st.builds("{}({}{}[{}]{})".format, _range_function, _metric, _matcher, _duration, _offset),
    st.builds("{}({}{}{})".format, _counting, _metric, _matcher, _steps),
)
_query = st.recursive(_leaf, _grown, max_leaves=4)


def _misread(query: str) -> bool:
    """Whether Prometheus 2 gets it wrong by itself: a subquery with ``@`` over another ``@`` (of a constant it makes
    something else), and ``timestamp`` of a selector with ``@`` (it does not look back as far as for the selector)."""
    nested = re.search(r"\] @ (?:start|end)", query) is not None and query.count("@") > 1
    return nested or re.search(r"timestamp\(+[^()]*@", query) is not None


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="MESHDIAG_PROMQL_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(query=_query, back=st.integers(0, 1200), step=st.sampled_from([15, 37, 120]))
def test_generated_queries_agree(both: Both, query: str, back: int, step: int) -> None:
    """Whatever is put together from the supported parts, both give the same or both refuse."""
    assume(not _misread(query))
    end = both.end - back
    compare(both, query, at=end)
    # whole steps: Prometheus evaluates subqueries up to the end, and would refuse for what lies behind the last step
    compare(both, query, span=(end - 300 // step * step, end, step))
