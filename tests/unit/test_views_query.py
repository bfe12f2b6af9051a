"""What a query and the list of metric names say in one line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from meshdiag.checks.inputs import Inputs
from meshdiag.context import Context, Endpoint
from meshdiag.metrics import Described, Matrix, Series, Vector
from meshdiag.model import Threshold, Verdict, at_most
from meshdiag.sources import Sources
from meshdiag.sources.prometheus import Prometheus
from meshdiag.views.metric_names import MetricNames
from meshdiag.views.query import Ask, Query, instant_table, judge, range_table, sum_up

LIMITS = Threshold(warn=at_most(10), fail=at_most(30))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, 2.0], "2 series, all within the limits"),
        ([1.0, 12.0, 3.0], "1 of 3 series beyond the warning limit: trainer-1"),
        ([1.0, 12.0, 31.0, 32.0], "2 of 4 series beyond the critical limit: trainer-2 and others"),
        ([12.0], "trainer-0: beyond the warning limit (12)"),
        ([float("nan"), 1.0], "1 of 2 series not a number: trainer-0"),
    ],
)
def test_a_query_with_limits_is_summed_up_by_node(values: list[float], said: str) -> None:
    """How many, beyond what, and one of them by the name that people use."""
    series = [({"instance": f"10.0.0.{n}", "node": f"trainer-{n}"}, value) for n, value in enumerate(values)]
    assert sum_up(judge(series, LIMITS)) == said


def names(pattern: str, *exposed: str):
    """The judgement of a list of names, of a mesh that exposes these."""

    async def known():
        return {name: Described() for name in exposed}

    inputs = Inputs(
        Context("test"), Sources(), datetime.now(UTC), timedelta(hours=1), chosen_metrics=SimpleNamespace(names=known)
    )
    return MetricNames(pattern).check.run(inputs)


async def test_a_glob_that_fits_nothing_is_no_pass() -> None:
    """A mistyped glob and a healthy mesh never look alike."""
    outcome = await names("zzz*", "mesh_peer_count")
    assert outcome.verdict is Verdict.UNKNOWN
    assert "fits 'zzz*'" in outcome.summary


async def test_the_list_of_names_says_what_is_missing() -> None:
    """How many there are, and which of the mesh's own nobody exposes."""
    assert (await names("mesh_peer*", "mesh_peer_count")).summary == "1 metric; none of the mesh's own is missing"
    gone = await names("mesh_peer*", "other")
    assert (gone.verdict, gone.summary) == (Verdict.PASS, "0 metrics; nobody exposes mesh_peer_count")


async def test_the_command_of_a_range_asks_for_the_range() -> None:
    """What --explain prints for --range shows every point, not the last one alone."""
    prometheus = Prometheus(Endpoint("http://127.0.0.1:9090"))
    times = datetime(2026, 11, 22, 11, tzinfo=UTC), timedelta(hours=1)
    inputs = Inputs(Context("test"), Sources(prometheus=prometheus), *times, chosen_metrics=prometheus)

    async def answered() -> Matrix:
        return Matrix((Series({"instance": "a"}, (0.0,), (1.0,)),))

    await inputs.memo.once("query", answered)
    outcome = await Query(Ask("up", timedelta(minutes=10), timedelta(seconds=30))).check.run(inputs)
    command = outcome.evidence[0].command
    assert "/api/v1/query_range" in command
    assert all(
        f"--data-urlencode {one}" in command for one in ("query=up", "start=1795344600", "end=1795345200", "step=30")
    )
    await prometheus.aclose()


def test_courses_of_one_metric_share_a_scale() -> None:
    """The series that climbs stands out among those of its name; different metrics are not held against each other."""

    def scale(*names: str) -> str | None:
        series = (Series({"__name__": name, "node": str(n)} if name else {"node": str(n)}, (0.0,), (1.0,))
                  for n, name in enumerate(names))  # fmt: skip
        (column,) = (one for one in range_table(Matrix(tuple(series))).columns if one.kind == "trend")
        return column.unit

    assert scale("up", "up") == scale("", "") == ""
    assert scale("up", "mesh_peer_count") is None


def test_a_string_is_its_own_answer() -> None:
    """What PromQL answers to a string literal is printed, not called empty."""
    (row,) = instant_table(Vector((), text="hello")).rows
    assert row["value"] == "hello"
