"""Written times: what they mean when they say everything, and what is filled in when they do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshdiag.logs.formats import Hints
from meshdiag.logs.formats.detecting import detect
from meshdiag.logs.timestamps import TextTimes, number_ns

NEWEST = datetime(2025, 6, 30, 12, tzinfo=UTC)
HINTS = Hints(NEWEST, UTC)
BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")


def _read(text: str, hints: Hints = HINTS) -> datetime | None:
    found = TextTimes(hints).ns(text)
    return None if found is None else datetime.fromtimestamp(found / 10**9, UTC)


NOON = datetime(2025, 6, 1, 12, 34, 56, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2025-06-01T12:34:56Z",
        "2025-06-01 12:34:56",
        "2025-06-01_12:34:56",
        "2025/06/01 12:34:56",
        "2025-06-01T14:34:56+02:00",
        "2025-06-01 14:34:56 +0200",
        "2025-06-01T14:34:56+02",
        "2025-06-01 14:34:56 CEST",
        "2025-06-01 05:34:56 PDT",
        "2025-06-01T12:34:56 PM UTC",
        "Sun Jun 01 12:34:56 2025",
        "Sun Jun  1 08:34:56 EDT 2025",
        "Jun  1 12:34:56",
        "Jun-01 12:34:56",
        "Jun 01, 2025 12:34:56 PM",
        "Jun  1 2025 12:34:56",
        "01/Jun/2025:14:34:56 +0200",
        "01 Jun 2025 12:34:56",
        "Sun, 01 Jun 2025 12:34:56 GMT",
        "06-01 12:34:56",
        "06.01 12:34:56",
        "20250601T123456Z",
        "20250601 123456",
        "250601 123456",
        "250601 12:34:56",
        "6/1/2025 12:34:56 PM",
        "1748781296",
        "1748781296000",
        "1748781296000000",
        "1748781296000000000",
        "1748781296.0",
        "[2025-06-01 12:34:56]",
    ],
)
def test_every_way_to_write_a_moment(text: str) -> None:
    """Each of these is the same moment."""
    assert _read(text) == NOON


@pytest.mark.parametrize("digits", range(1, 10))
def test_fractions_are_exact_to_a_nanosecond(digits: int) -> None:
    """Every digit of a fraction counts, with a point or a comma."""
    fraction = "123456789"[:digits]
    for sign in ".,":
        found = TextTimes(HINTS).ns(f"2025-06-01T00:00:00{sign}{fraction}Z")
        assert found == 1_748_736_000 * 10**9 + int(fraction.ljust(9, "0"))


@pytest.mark.parametrize(
    "text",
    [
        "2025-13-01T00:00:00Z",
        "2025-02-30 00:00:00",
        "2025-06-01T25:00:00Z",
        "Feb 30 00:00:00",
        "2025-06-01T00:00:61Z",
        "12.5",
        "",
        "soon",
        "99:99:99",
        "12345",
        "x" * 100,
        "13:00:00 PM",
    ],
)
def test_what_only_looks_like_a_time_is_none(text: str) -> None:
    """Days that do not exist and numbers that count from elsewhere are no time."""
    assert _read(text) is None


def test_numbers_are_read_by_their_size() -> None:
    """Seconds, milli-, micro- and nanoseconds; infinity, truth values and uptimes are none."""
    second = 1_748_781_296
    assert {number_ns(second * unit) for unit in (1, 10**3, 10**6, 10**9)} == {second * 10**9}
    assert number_ns(second + 0.25) == second * 10**9 + 250_000_000
    assert number_ns(1748781296.123456) == second * 10**9 + 123_456_000
    assert [number_ns(one) for one in (float("inf"), float("nan"), True, 12.5, -second, 10**25)] == [None] * 6


@pytest.mark.parametrize(
    ("newest", "text", "year"),
    [
        (datetime(2025, 1, 2, 3, tzinfo=UTC), "Jan  2 02:59:59", 2025),
        (datetime(2025, 1, 2, 3, tzinfo=UTC), "Jan  2 03:01:00", 2024),
        (datetime(2025, 1, 2, 3, tzinfo=UTC), "Dec 31 23:59:59", 2024),
        (datetime(2025, 3, 1, tzinfo=UTC), "Feb 29 00:00:00", 2024),
        (datetime(2023, 3, 1, tzinfo=UTC), "Feb 29 00:00:00", 2020),
    ],
)
def test_a_year_that_is_missing_is_the_latest_that_fits(newest: datetime, text: str, year: int) -> None:
    """A time without a year is put in the latest that makes it not later than the file's last write."""
    found = _read(text, Hints(newest, UTC))
    assert found is not None
    assert found.year == year


def test_a_date_that_is_missing_is_today_or_yesterday() -> None:
    """A time of day after the file's last write was yesterday's, in the zone of the file."""
    newest = datetime(2025, 6, 1, 22, 5, tzinfo=UTC)  # 00:05 in Berlin
    assert _read("00:04:59", Hints(newest, BERLIN)) == newest - timedelta(seconds=1)
    assert _read("23:59:59", Hints(newest, BERLIN)) == newest - timedelta(seconds=301)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-07-01 12:00:00", datetime(2025, 7, 1, 10, tzinfo=UTC)),
        ("2025-01-01 12:00:00", datetime(2025, 1, 1, 11, tzinfo=UTC)),
        ("2025-03-30 01:59:59", datetime(2025, 3, 30, 0, 59, 59, tzinfo=UTC)),
        ("2025-03-30 03:00:00", datetime(2025, 3, 30, 1, tzinfo=UTC)),
        ("2025-10-26 02:30:00", datetime(2025, 10, 26, 0, 30, tzinfo=UTC)),
        ("2025-10-26 03:00:00", datetime(2025, 10, 26, 2, tzinfo=UTC)),
    ],
)
def test_local_times_follow_their_zone(text: str, moment: datetime) -> None:
    """Times without a zone are local, with summer time as it was then; of an hour that comes twice, the first."""
    assert _read(text, Hints(NEWEST, BERLIN)) == moment


def test_an_abbreviation_is_the_local_one_first() -> None:
    """CST is Chicago's, but Shanghai's in Shanghai."""
    assert _read("2025-01-01 12:00:00 CST") == datetime(2025, 1, 1, 18, tzinfo=UTC)
    assert _read("2025-01-01 12:00:00 CST", Hints(NEWEST, ZoneInfo("Asia/Shanghai"))) == datetime(
        2025, 1, 1, 4, tzinfo=UTC
    )


WAYS = {
    "%Y-%m-%dT%H:%M:%S.%fZ": (UTC, 1),
    "%Y-%m-%d %H:%M:%S,%f INFO said": (None, 1),
    "[%d/%b/%Y:%H:%M:%S %z] said": (timezone(timedelta(hours=-3, minutes=-30)), 10**6),
    "%a %b %d %H:%M:%S %Y said": (None, 10**6),
    "%b %d %H:%M:%S host app[1]: said": (None, 10**6),
    "%m-%d %H:%M:%S.%f  1  2 I Tag: said": (None, 1),
    "I%m%d %H:%M:%S.%f 12 a.cc:1] said": (None, 1),
    "%y%m%d %H%M%S 12 INFO said": (None, 10**6),
    "level=info time=%Y-%m-%dT%H:%M:%S.%f%z msg=said": (timezone(timedelta(hours=5, minutes=45)), 1),
    '{"time":"%Y-%m-%dT%H:%M:%S.%f%z","level":"info"}': (timezone(timedelta(hours=1)), 1),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("local", [UTC, BERLIN, NEW_YORK], ids=str)
def test_what_a_program_writes_is_read_back(way: str, local: ZoneInfo) -> None:
    """Any moment of the year before the last write, written by any program anywhere, is read back exactly."""
    zone, step = WAYS[way]
    span = int(timedelta(days=364) / timedelta(microseconds=1))
    first = datetime(2025, 6, 30, tzinfo=zone or local).strftime(way).encode()
    form = detect([first] * 3, Hints(NEWEST, local))

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, span))
    def check(before: int) -> None:
        moment = NEWEST - timedelta(microseconds=before // step * step)
        moment = moment.replace(microsecond=moment.microsecond // step * step) if step > 1 else moment
        written = moment.astimezone(zone or local)
        if written.fold:
            return  # nothing in the line tells the second of two hours from the first
        assert (
            form.time_ns(written.strftime(way).encode())
            == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
        )

    check()
