"""The evaluator against Prometheus's own evaluation tests, read in place."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

from meshdiag.errors import QueryError
from meshdiag.promql.evaluator import instant
from meshdiag.promql.refusals import NotEvaluated
from meshdiag.promql.store import Store
from tests import promqltest

SHARED = Path(__file__).parents[3] / "shared" / "data" / "promql"
FOLDERS = [Path(one) for one in os.environ.get("MESHDIAG_PROMQL_TESTS", str(SHARED)).split(os.pathsep)]
EXCEPTIONS = tomllib.loads((Path(__file__).parent / "promql_exceptions.toml").read_text(encoding="utf-8"))
REFUSED = EXCEPTIONS["refused"]
AT_LEAST = 650
"""How many evaluations pass at least, so that a runner that skips everything is noticed."""


def _files() -> list[Path]:
    found = promqltest.files([folder for folder in FOLDERS if folder.exists()])
    if not found and os.environ.get("CI"):
        pytest.fail(f"no test files under {FOLDERS}")
    return found


needs_files = pytest.mark.skipif(not _files(), reason="Prometheus's evaluation tests are not at hand")


@needs_files
@pytest.mark.parametrize("path", _files(), ids=lambda path: path.name)
def test_evaluates_as_prometheus_expects(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every evaluation gives what the file expects, is refused by name, or is listed with a reason."""
    verdicts = list(promqltest.Runner().run(path))
    with capsys.disabled():
        print(f"\n{promqltest.line_of(path, verdicts)}", end="")
    failed = {verdict.case.query: verdict.detail for verdict in verdicts if verdict.outcome == "failed"}
    excused = {entry["query"] for entry in EXCEPTIONS.get(path.name, [])}
    assert {query: failed[query] for query in failed.keys() - excused} == {}
    assert excused - failed.keys() == set(), "these pass now: take them out of the list"


@needs_files
def test_enough_is_evaluated() -> None:
    """The files really run: refusals do not swallow them, and each is of a construct that is listed."""
    verdicts = [verdict for path in _files() for verdict in promqltest.Runner().run(path)]
    passed = sum(verdict.outcome == "passed" for verdict in verdicts)
    failed = sum(verdict.outcome == "failed" for verdict in verdicts)
    refused = {verdict.detail for verdict in verdicts if verdict.outcome == "refused"}
    if FOLDERS == [SHARED]:
        assert passed >= AT_LEAST
        assert refused == REFUSED.keys()
    assert passed / (passed + failed) >= 0.97


def test_a_gap_is_told_from_a_mistake() -> None:
    """What Prometheus has and we have not is refused by its name; what is simply wrong is not called a gap."""
    for query, construct in GAPS.items():
        with pytest.raises(NotEvaluated, match=re.escape(construct)):
            instant(Store(), query, 0)
    for query in ("rate(x[5m) + y[5m]", "x[5m", "x[5 min]", "sum by (a (x)", 'x{a="{{"', "x + / y", "x offset"):
        with pytest.raises(QueryError, match="at column") as wrong:
            instant(Store(), query, 0)
        assert not isinstance(wrong.value, NotEvaluated), query


GAPS = {
    "x[5m + 1m]": "duration expressions",
    "x[step()]": "duration expressions",
    "x[5m:max_of(step(), 1m)]": "duration expressions",
    "x offset (5m)": "duration expressions",
    "rate(x[5m] smoothed)": "anchored and smoothed",
    "x </ 5": "</ and >/",
    "{{schema:0}}": "native histogram literals",
    "histogram_avg(x)": "the native histogram function histogram_avg()",
    'info(x, {a="b"})': "info()",
    "limit_ratio(0.5, x)": "limit_ratio",
    "x + on (a) fill (0) y": "fill modifiers",
}
