"""Numbers as people read them."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.catalog import Unit
from meshdiag.model import Range, at_least, at_most
from meshdiag.units import age, alert_range, beside, clock, compact_range, human, human_range, moment, rough

UNITS = [None, *Unit]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (14.23, "s", "14.2 s"),
        (10, "s", "10 s"),
        (0, "s", "0 s"),
        (0.32, "s", "320 ms"),
        (0.0003, "s", "0.3 ms"),
        (0.9999, "s", "1.0 s"),
        (59.97, "s", "1 m"),
        (200, "s", "3 m 20 s"),
        (3599.7, "s", "1 h"),
        (15000, "s", "4 h 10 m"),
        (86399.9, "s", "1 d"),
        (276480, "s", "3 d 5 h"),
        (12.2 * 86400, "s", "12 d"),
        (-3.2, "s", "-3.2 s"),
        (14200, "ms", "14.2 s"),
        (12.5, "ms", "12.5 ms"),
        (3.2e9, "bytes", "3.0 GiB"),
        (1023.99, "bytes", "1.0 KiB"),
        (512 * 2**20, "bytes", "512 MiB"),
        (0, "bytes", "0 B"),
        (1e30, "bytes", "8.67e+11 EiB"),
        (1.2e6, "bytes/s", "1.1 MiB/s"),
        (0.914, "ratio", "91.4 %"),
        (0.9, "ratio", "90 %"),
        (0.00004, "ratio", "0.004 %"),
        (1e307, "ratio", "1.8e+308 %"),
        (91.4, "percent", "91.4 %"),
        (6.2, "days", "6.2 d"),
        (0.12, "1/s", "0.12/s"),
        (1234567, "count", "1,234,567"),
        (-0.0, "count", "0"),
        (0.000123, None, "0.000123"),
        (1e20, None, "1e+20"),
        (3, "widgets", "3 widgets"),
        (math.nan, "s", "NaN"),
        (math.inf, "bytes", "+Inf"),
        (-math.inf, None, "-Inf"),
    ],
)
def test_a_value_reads_as_people_write_it(value: float, unit: str | None, text: str) -> None:
    """Every unit of the catalog is scaled and spelled the way the field does it."""
    assert human(value, unit) == text


@given(st.floats(), st.sampled_from(UNITS))
def test_any_float_in_any_unit_is_short_plain_ascii(value: float, unit: str | None) -> None:
    """No value, however odd, breaks a column: the text is short, ASCII and never empty."""
    text = human(value, unit)
    assert text.isascii() and 0 < len(text) <= 24


@given(st.floats(0, 1e12), st.floats(0, 1e12), st.sampled_from([None, "s", "bytes", "ratio", "count"]))
def test_a_value_beside_a_bound_it_crossed_never_looks_equal(value: float, bound: float, unit: str | None) -> None:
    """A failure must not read "10 s, at most 10 s", unless they agree to a millionth."""
    shown = beside(value, at_most(bound), unit)
    if abs(value - bound) > 1e-4 * max(1.0, bound):
        assert shown != human(bound, unit)


@pytest.mark.parametrize(
    ("fine", "unit", "phrase", "short", "plain"),
    [
        (at_most(10), "s", "at most 10 s", "≤ 10 s", "<= 10 s"),
        (at_least(3), "count", "at least 3", "≥ 3", ">= 3"),
        (Range(0, 10), "s", "0 s to 10 s", "0 s..10 s", "0 s..10 s"),
        (Range(10, 20, inside=True), None, "not 10 to 20", "not 10..20", "not 10..20"),
        (Range(1, 1), "count", "exactly 1", "= 1", "= 1"),
        (Range(0, 0, inside=True), "count", "anything but 0", "not 0", "not 0"),
        (Range(-math.inf, 3, inside=True), None, "above 3", "> 3", "> 3"),
        (Range(3, math.inf, inside=True), None, "below 3", "< 3", "< 3"),
        (Range(-math.inf, math.inf), None, "anything", "any", "any"),
    ],
)
def test_a_range_reads_as_a_phrase(fine: Range, unit: str | None, phrase: str, short: str, plain: str) -> None:
    """A range says which values are fine, in a sentence, in a column and in ASCII."""
    assert human_range(fine, unit) == phrase
    assert compact_range(fine, unit) == short
    assert compact_range(fine, unit, ascii_only=True) == plain


@pytest.mark.parametrize(
    ("fine", "unit", "phrase"),
    [
        (at_most(10), "s", "above 10 s"),
        (at_least(0.95), "ratio", "below 95 %"),
        (Range(-5, 5), "s", "outside -5 s to 5 s"),
        (Range(10, 20, inside=True), None, "within 10 to 20"),
        (Range(-math.inf, 3, inside=True), "count", "at most 3"),
        (Range(3, math.inf, inside=True), "count", "at least 3"),
        (Range(1, 1), "count", "at anything but 1"),
        (Range(0, 0, inside=True), "count", "at 0"),
        (Range(-math.inf, math.inf), "s", "never"),
    ],
)
def test_a_range_tells_when_a_value_is_reported(fine: Range, unit: str | None, phrase: str) -> None:
    """What stands behind "warn": the other way round than what is fine."""
    assert alert_range(fine, unit) == phrase


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "now"), (4, "4 s ago"), (61, "1 m ago"), (3599.8, "1 h ago"), (90000, "1 d ago"), (-5, "in 5 s")],
)
def test_an_age_is_one_unit(seconds: float, text: str) -> None:
    """How old a sample is takes one glance."""
    assert age(seconds) == text


def test_an_age_of_no_known_length_says_so() -> None:
    """NaN is not shown as a number."""
    assert age(math.nan) == "at no known time"
    assert rough(59.9) == "1 m"


def test_a_moment_names_its_zone() -> None:
    """A time without its zone is half an answer; a naive one is UTC, as inside."""
    when = datetime(2025, 3, 9, 3, 12, 44, tzinfo=UTC)
    assert moment(when, utc=True) == "2025-03-09 03:12:44 UTC"
    assert moment(when.replace(tzinfo=None), utc=True) == "2025-03-09 03:12:44 UTC"
    assert clock(when, utc=True) == "03:12:44 UTC"


def test_local_time_follows_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --utc a moment is shown where the reader lives, with the offset where the zone has no name."""
    import time

    when = datetime(2025, 3, 9, 3, 12, 44, tzinfo=UTC)
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Kathmandu")
        time.tzset()
        assert moment(when) == "2025-03-09 08:57:44 +0545"
    time.tzset()
