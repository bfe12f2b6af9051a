"""Corners of PromQL that Prometheus's own evaluation tests do not visit; each was asked of a real Prometheus."""

from __future__ import annotations

import math

import pytest

from meshdiag.promql.evaluator import instant
from meshdiag.promql.selectors import needs
from meshdiag.promql.store import Store

NOW = 1_700_000_000


@pytest.fixture
def store() -> Store:
    """A few gauges with odd values and odd labels."""
    filled = Store()
    for kind, value in {"huge": 1e300, "nan": math.nan, "inf": math.inf, "minus": -math.inf, "one": 1.0}.items():
        filled.series({"__name__": "odd", "kind": kind}).append(NOW * 1000, value)
    for name in ("n1", "n٣", "straße"):  # a digit that is not ASCII; a letter that is not
        filled.series({"__name__": "level", "node": name}).append(NOW * 1000, 1.0)
    for node, le, count in (("a", "1", 1.0), ("a", " 10", 3.0), ("a", "+Inf", 4.0)):
        filled.series({"__name__": "took_bucket", "node": node, "le": le}).append(NOW * 1000, count)
    return filled


def ask(store: Store, query: str) -> dict[str, float]:
    """Values by their labels, the name left out."""
    answer = instant(store, query, NOW * 1000)
    return {",".join(v for k, v in sorted(one.labels.items()) if k != "__name__"): one.value for one in answer.samples}


def test_a_counted_value_is_written_with_its_shortest_digits(store: Store) -> None:
    """A huge number is one digit and zeros, not the digits that its binary form happens to have."""
    assert set(ask(store, 'count_values("v", odd)')) == {"1" + "0" * 300, "NaN", "+Inf", "-Inf", "1"}


def test_a_counted_value_whose_label_is_left_out_is_not_told_apart(store: Store) -> None:
    """``without`` takes the label off again that the values were written to."""
    assert ask(store, 'count_values without (kind) ("kind", odd)') == {"": 5.0}
    assert ask(store, 'count_values by (kind) ("kind", odd == 1)') == {"1": 1.0}


def test_infinity_goes_before_nan_in_clamps(store: Store) -> None:
    """A limit that is NaN makes everything NaN but the infinity that no limit could beat."""
    raised = ask(store, "clamp_min(odd, NaN)")
    assert raised["inf"] == math.inf
    assert all(math.isnan(value) for kind, value in raised.items() if kind != "inf")
    lowered = ask(store, "clamp_max(odd, NaN)")
    assert lowered["minus"] == -math.inf
    assert all(math.isnan(value) for kind, value in lowered.items() if kind != "minus")
    assert ask(store, "clamp(odd, -5, 5)") | {"nan": 0.0} == {"huge": 5, "nan": 0, "inf": 5, "minus": -5, "one": 1}


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("month(vector(253402300800))", 1),  # the first second of the year 10000
        ("year(vector(253402300800))", 10000),
        ("year(vector(1700000000000))", 55840),  # milliseconds taken for seconds
        ("day_of_week(vector(253402300800))", 6),
        ("year(vector(-62135596801))", 0),
        ("day_of_month(vector(-1))", 31),
    ],
)
def test_the_calendar_does_not_end_with_the_year_9999(store: Store, query: str, value: float) -> None:
    """Moments far off have their date too."""
    assert ask(store, query) == {"": value}


def test_a_digit_in_a_pattern_is_an_ascii_digit(store: Store) -> None:
    r"""``\d`` and ``\w`` are what RE2 means by them; the case of any letter is folded."""
    assert set(ask(store, r'level{node=~"n\\d"}')) == {"n1"}
    assert set(ask(store, r'level{node=~"\\w+"}')) == {"n1"}
    assert set(ask(store, 'level{node=~"(?i)STRAßE"}')) == {"straße"}


def test_a_bucket_bound_with_blanks_is_no_bound(store: Store) -> None:
    """A malformed ``le`` is left out with a warning, as Prometheus leaves it out."""
    answer = instant(store, "histogram_quantile(0.5, took_bucket)", NOW * 1000)
    assert [one.value for one in answer.samples] == [1.0]
    assert "malformed" in answer.warnings[0]


@pytest.mark.parametrize(
    ("query", "past"),
    [
        ("x offset 3600s", "offset 1h"),
        ("x offset -90s", "offset -90s"),
        ("max_over_time(x[2d:])", "a subquery over 2d"),
    ],
)
def test_a_look_at_the_past_is_named_as_people_write_it(query: str, past: str) -> None:
    """What pages cannot answer is said with the duration in its largest unit."""
    assert needs(query).past == past
