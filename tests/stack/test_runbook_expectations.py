"""Steps that ask a real Prometheus: a range that has to have held for a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.program import run
from tests.servers import prometheus

STEPS = """---
title: For a time
---
# A
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server that knows the last ten minutes: a value that is fine, one that was not four minutes ago, one that
    appeared two minutes ago."""
    now = int(time.time())
    lines = ["# TYPE steady gauge", *(f"steady {5} {at}" for at in range(now - 600, now, 15))]
    lines += ["# TYPE dented gauge"]
    lines += [f"dented {50 if now - 270 < at < now - 210 else 5} {at}" for at in range(now - 600, now, 15)]
    lines += ["# TYPE young gauge", *(f"young 5 {at}" for at in range(now - 120, now, 15)), "# EOF"]
    with prometheus("\n".join(lines) + "\n") as server:
        yield server.url


@pytest.mark.parametrize(
    ("expression", "lasting", "verdict", "says"),
    [
        ("steady", "5m", "pass", ""),
        ("dented", "", "pass", ""),
        ("dented", "5m", "fail", "beyond the critical limit"),
        ("dented", "1m", "pass", ""),
        ("young", "5m", "unknown", "of 5m"),
        ("young", "1m", "pass", ""),
        ("no_such_metric", "5m", "unknown", "no_such_metric"),
        ("no_such_metric", "", "unknown", "no_such_metric"),
        ("steady > 9", "", "unknown", ""),
    ],
)
def test_a_range_is_held_for_as_long_as_the_step_says(
    url: str, tmp_path: Path, expression: str, lasting: str, verdict: str, says: str
) -> None:
    """Fine now is not fine for five minutes; what was not seen all the time is unknown, and so is no answer."""
    held = f"# for: {lasting}\n" if lasting else ""
    (tmp_path / "page.md").write_text(f"{STEPS}```promql\n# expect: ~:10\n{held}{expression}\n```\n")
    ran = run("runbook", "run", "page.md", "--prometheus-url", url, "-o", "json", cwd=tmp_path)
    (result,) = ran.report["checks"]
    assert result["verdict"] == verdict, result["summary"]
    assert says in result["summary"]
    assert result["evidence"] and result["title"] == expression
