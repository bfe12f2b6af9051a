"""Verdicts, thresholds and exit codes: what scripts live on."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.model import (
    ExitCode,
    Finding,
    Range,
    Threshold,
    Verdict,
    at_least,
    at_most,
    count_verdicts,
)

verdicts = st.sampled_from(Verdict)


@given(st.lists(verdicts))
def test_the_worst_verdict_decides_and_nobody_looking_is_unknown(several: list[Verdict]) -> None:
    """Fail over unknown over warn over pass; skips count for nothing; nothing looked at is never a pass."""
    worst = Verdict.worst(several)
    for verdict in (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN, Verdict.PASS):
        if verdict in several:
            assert worst is verdict
            return
    assert worst is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("verdict", "fail_on", "code"),
    [
        (Verdict.PASS, Verdict.WARN, 0),
        (Verdict.WARN, Verdict.WARN, 1),
        (Verdict.FAIL, Verdict.WARN, 2),
        (Verdict.UNKNOWN, Verdict.WARN, 3),
        (Verdict.SKIP, Verdict.WARN, 3),
        (Verdict.WARN, Verdict.FAIL, 0),
        (Verdict.FAIL, Verdict.FAIL, 2),
        (Verdict.UNKNOWN, Verdict.FAIL, 3),
    ],
)
def test_exit_codes_are_those_of_the_monitoring_plugins(verdict: Verdict, fail_on: Verdict, code: int) -> None:
    """Nagios, cron and CI read these numbers; --fail-on spares warnings, never the unknown."""
    assert ExitCode.of(verdict, fail_on) == code


@pytest.mark.parametrize(
    ("text", "fine", "not_fine"),
    [
        ("10", [0, 5, 10], [-1, 10.1]),
        ("10:", [10, 1e9], [9.9]),
        ("~:10", [-1e9, 10], [10.1]),
        ("10:20", [10, 20], [9, 21]),
        ("@10:20", [9, 21], [10, 15, 20]),
        ("@~:0", [1], [0, -5]),
    ],
)
def test_ranges_mean_what_the_plugin_guidelines_say(text: str, fine: list[float], not_fine: list[float]) -> None:
    """The table of examples in the Monitoring Plugins Development Guidelines."""
    parsed = Range.parse(text)
    assert not any(parsed.alerts(value) for value in fine)
    assert all(parsed.alerts(value) for value in not_fine)
    assert Range.parse(str(parsed)) == parsed


@pytest.mark.parametrize("text", ["", "a", "1:2:3", "20:10", "@", "nan", "1:nan", ":~"])
def test_a_range_that_is_none_is_refused_in_one_sentence(text: str) -> None:
    """A mistyped threshold must not become one that never alerts."""
    with pytest.raises(ValueError, match="is not a range"):
        Range.parse(text)


@given(
    st.builds(
        Range,
        low=st.floats(-1e6, 0) | st.just(-math.inf),
        high=st.floats(0, 1e6) | st.just(math.inf),
        inside=st.booleans(),
    ),
    st.floats(-1e7, 1e7),
)
def test_a_range_survives_being_written_and_read(before: Range, value: float) -> None:
    """JSON and perfdata carry ranges as text; reading them back gives the same judgement."""
    after = Range.parse(str(before))
    near_an_end = any(math.isclose(value, end, rel_tol=1e-6, abs_tol=1e-6) for end in (before.low, before.high))
    assert near_an_end or after.alerts(value) is before.alerts(value)


def test_not_a_number_is_unknown_whatever_the_threshold() -> None:
    """NaN compares as false with everything, which would make it pass."""
    assert Threshold(warn=at_most(1), fail=at_least(5)).judge(math.nan) is Verdict.UNKNOWN


def test_the_harder_threshold_wins() -> None:
    """A value beyond both limits fails."""
    limits = Threshold(warn=at_most(10), fail=at_most(30))
    assert [limits.judge(value) for value in (10, 10.5, 31)] == [Verdict.PASS, Verdict.WARN, Verdict.FAIL]
    assert limits.crossed(31) == at_most(30)
    assert limits.crossed(5) == at_most(10)


def test_counts_name_every_verdict() -> None:
    """Scripts read counts.fail without asking whether it is there."""
    counts = count_verdicts([Finding("a", Verdict.FAIL, "")])
    assert counts == {"pass": 0, "warn": 0, "fail": 1, "unknown": 0, "skip": 0}
