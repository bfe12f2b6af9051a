"""The evaluator against Prometheus's own evaluation tests, read in place."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from tests import promqltest

SHARED = Path(__file__).parents[3] / "shared" / "data" / "promql"
FOLDERS = [Path(one) for one in os.environ.get("MESHDIAG_PROMQL_TESTS", str(SHARED)).split(os.pathsep)]
EXCEPTIONS = tomllib.loads((Path(__file__).parent / "promql_exceptions.toml").read_text(encoding="utf-8"))
AT_LEAST = 600
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
    """The files really run: refusals do not swallow them."""
    verdicts = [verdict for path in _files() for verdict in promqltest.Runner().run(path)]
    passed = sum(verdict.outcome == "passed" for verdict in verdicts)
    failed = sum(verdict.outcome == "failed" for verdict in verdicts)
    if FOLDERS == [SHARED]:
        assert passed >= AT_LEAST
    assert passed / (passed + failed) >= 0.97
