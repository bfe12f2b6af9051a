"""Durations and moments read as people mean them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.durations import format_duration, parse_duration, parse_moment
from meshdiag.errors import UsageError

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5),
        ("15m", 900),
        ("6h", 21600),
        ("2d", 172800),
        ("1w", 604800),
        ("1h30m", 5400),
        ("250ms", 0.25),
        (" 1H 30M ", 5400),
        ("1.5h", 5400),
        ("10 minutes", 600),
        ("1 hour 30 mins", 5400),
        ("2 Days", 172800),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """A duration is a number and a unit, or several in a row."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "5x", "-5s", "5s later", "1e3s", "0s", "99999d", "٥s", "9" * 400 + "d"])
def test_what_is_no_duration_is_said_so(text: str) -> None:
    """Anything else is one sentence with examples."""
    with pytest.raises(UsageError, match=r"duration.*write 30s") as caught:
        parse_duration(text)
    assert len(str(caught.value)) < 250


def test_a_bare_number_gets_a_proposal() -> None:
    """A number without a unit is not guessed, but the likely one is named."""
    with pytest.raises(UsageError, match=r"did you mean 15s\?"):
        parse_duration("15")


@given(st.integers(1, 3600 * 24 * 300))
def test_durations_come_back(seconds: int) -> None:
    """What is written as a duration is read back as the same."""
    assert parse_duration(format_duration(seconds)) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-03-10T12:00:00"),
        ("15m ago", "2026-03-10T11:45:00"),
        ("15 minutes ago", "2026-03-10T11:45:00"),
        ("2026-01-31T03:12:00Z", "2026-01-31T03:12:00"),
        ("2026-01-31T03:12:00+01:00", "2026-01-31T02:12:00"),
        ("2026-01-31 03:12", "2026-01-31T02:12:00"),
        ("2026-01-31", "2026-01-30T23:00:00"),
        ("1769829120", "2026-01-31T03:12:00"),
        ("1769829120.5", "2026-01-31T03:12:00.500000"),
        ("03:12", "2026-03-10T02:12:00"),
        ("03:12:30", "2026-03-10T02:12:30"),
        ("23:30", "2026-03-09T22:30:00"),
        ("today 23:30", "2026-03-10T22:30:00"),
        ("yesterday 14:00", "2026-03-09T13:00:00"),
        ("Yesterday 4:05", "2026-03-09T03:05:00"),
    ],
)
def test_moments(text: str, expected: str) -> None:
    """Moments are local unless they name a zone, a time of day is the last one that has been, and all become UTC."""
    assert parse_moment(text, NOW) == datetime.fromisoformat(expected + "+00:00")
    assert parse_moment(text, NOW).tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["", "soon", "25:00", "3:7", "20260131", "2026-02-30", "12", "ago", "5 ago", "03:12 ago"]
)
def test_what_is_no_moment_is_said_so(text: str) -> None:
    """Anything else is one sentence with examples."""
    with pytest.raises(UsageError, match=r"is not a (moment|duration)"):
        parse_moment(text, NOW)


@given(st.text(max_size=40))
def test_no_text_breaks_the_parsers(text: str) -> None:
    """Whatever is typed, the answer is a value or a sentence."""
    for parse in (parse_duration, lambda one: parse_moment(one, NOW)):
        try:
            parse(text)
        except UsageError:
            continue


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1769829120123", 123_000),
        ("1769829120.50", 500_000),
        ("1769829120123456", 123_456),
        ("1769829120123456789", 123_456),
    ],
)
def test_an_epoch_may_be_finer_than_seconds(text, micros):
    """Milli-, micro- and nanoseconds are told by their number of digits, and nothing is rounded up."""
    found = parse_moment(text, datetime(2026, 2, 1, tzinfo=UTC))
    assert found == datetime(2026, 1, 31, 3, 12, 0, micros, UTC)


@pytest.mark.parametrize("text", ["03:12", "2026-01-31T03:12:00", "today 03:12"])
def test_what_names_no_zone_may_be_utc(text, monkeypatch):
    """Local time by default, UTC on request, whatever the machine's zone."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        now = datetime(2026, 1, 31, 20, 0, tzinfo=UTC)
        assert parse_moment(text, now, utc=True) == datetime(2026, 1, 31, 3, 12, tzinfo=UTC)
        assert parse_moment(text, now).hour == 18
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_moment_may_lie_ahead() -> None:
    """``in 30d`` is thirty days from now; what comes after ``in`` is a duration."""
    now = datetime(2026, 3, 9, 3, 12, tzinfo=UTC)
    assert parse_moment("in 30d", now) == now + timedelta(days=30)
    assert parse_moment(" In 1h30m ", now) == now + timedelta(minutes=90)
    with pytest.raises(UsageError):
        parse_moment("in a while", now)
