"""A time window is found by looking at few places, and nothing that belongs to it is lost."""

from __future__ import annotations

import os
import random
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshdiag.logs.opening.files import find
from meshdiag.logs.record import NS
from meshdiag.logs.scan import finding
from meshdiag.logs.scan.seeking import Reach, Seeker
from meshdiag.logs.search import copy, search
from meshdiag.logs.selection import Selection
from meshdiag.logs.tally import Tally

START = int(datetime(2025, 6, 1, tzinfo=UTC).timestamp())
MB = 1024 * 1024
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def line(ms: int, number: int) -> bytes:
    moment = datetime.fromtimestamp(START + ms // 1000, UTC)
    return (
        f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z INFO  [consensus] round committed number={number:07d}\n".encode()
    )


def written(path: Path, times: list[int]) -> Path:
    path.write_bytes(b"".join(line(ms, number) for number, ms in enumerate(times)))
    return path


@pytest.fixture(scope="module")
def orderly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 MB, a line each 10 ms, in order."""
    path = tmp_path_factory.mktemp("orderly") / "app.log"
    size = len(line(0, 0))
    count = 64 * MB // size
    with path.open("wb") as file:
        for second in range(count // 100):
            stem = line(second * 1000, second)
            file.write(b"".join(stem.replace(b".000Z", b".%03dZ" % (ms * 10), 1) for ms in range(100)))
    return path


def window(path: Path, since_s: float | None, until_s: float | None) -> tuple[bytes, int]:
    """The lines of a window, and how many bytes were read for them."""
    tally = Tally()
    selection = Selection(
        since_ns=None if since_s is None else int((START + since_s) * NS),
        until_ns=None if until_s is None else int((START + until_s) * NS),
    )
    with tempfile.TemporaryFile() as out:
        copy(find([str(path)], tally), selection, out.fileno(), tally, zone=UTC)
        return os.pread(out.fileno(), 1 << 30, 0), tally.bytes_read


@pytest.mark.parametrize("place", [0.0, 0.1, 0.5, 0.97, 1.0])
def test_an_orderly_log_is_read_where_the_window_is(orderly: Path, place: float) -> None:
    """Beside the window itself at most 2 MB of a log are read, wherever in it the window lies."""
    seconds = orderly.stat().st_size // len(line(0, 0)) // 100
    since = place * seconds - 20
    found, taken = window(orderly, since, since + 30)
    assert taken - len(found) <= 2 * MB
    expected = range(max(0, int(since * 100 + 0.999999)), min(seconds * 100, int(since * 100 + 3000.999999)))
    assert found.count(b"\n") == len(expected)


def test_an_endless_log_costs_no_more(orderly: Path) -> None:
    """What is read to find a window in a log of a terabyte stays below 2 MB: the log is made up as it is looked at."""
    size = len(line(0, 0))
    total = 10**12 // size * size
    taken = 0

    def read(offset: int, count: int) -> bytes:
        nonlocal taken
        first = offset // size
        data = b"".join(line(number // 100, number % 10**7) for number in range(first, (offset + count) // size + 1))
        taken += count
        return data[offset - first * size :][:count]

    from tests.naive_logs import format_of

    form = format_of(orderly.read_bytes()[:5000], orderly)
    seeker = Seeker(read, form, 0, total)
    since, until = (START + 90_000) * NS, (START + 90_060) * NS
    begin, end = seeker.window(since, until)
    wanted = range(90_000 * 1000 * 100 * size, 90_060 * 1000 * 100 * size)
    assert begin <= wanted.start
    assert end >= wanted.stop
    assert taken + (end - begin) - len(wanted) <= 2 * MB


SMALL = Reach(probe=256, margin=2048, density=8)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places and margins in proportion to a small file."""
    monkeypatch.setattr(finding, "seeker", lambda log: Seeker(log.read_at, log.format, log.begin, log.size, SMALL))


def lost(path: Path, times: list[int], since_ms: int | None, until_ms: int | None) -> set[int]:
    """The lines of a window that were not found."""
    selection = Selection(
        since_ns=None if since_ms is None else (START * 1000 + since_ms) * (NS // 1000),
        until_ns=None if until_ms is None else (START * 1000 + until_ms) * (NS // 1000),
    )
    found = {int(one.raw[-7:]) for one in search(find([str(path)], Tally()), selection, Tally(), zone=UTC)}
    low, high = since_ms if since_ms is not None else -1, until_ms if until_ms is not None else 10**15
    return {number for number, ms in enumerate(times) if low <= ms < high} ^ found


moments = st.none() | st.integers(0, 3_000_000)


@QUICK
@given(since=moments, until=moments, late=st.lists(st.tuples(st.integers(0, 2999), st.integers(1, 25)), max_size=40))
def test_lines_a_little_out_of_place_are_found(
    tmp_path: Path, small_steps: None, since: int | None, until: int | None, late: list[tuple[int, int]]
) -> None:
    """Lines that stand less than the margin from their place are found, whatever their times."""
    times = [number * 1000 for number in range(3000)]
    for place, distance in late:
        times.insert(min(place + distance, len(times) - 1), times.pop(place))
    assert not lost(written(tmp_path / "app.log", times), times, since, until)


@QUICK
@given(since=moments, until=moments, jitter=st.integers(0, 600_000), seed=st.integers(0, 2**32))
def test_merged_writers_lose_nothing(
    tmp_path: Path, small_steps: None, since: int | None, until: int | None, jitter: int, seed: int
) -> None:
    """Writers whose clocks or buffers differ, so that the log runs backwards all along, lose no line."""
    chance = random.Random(seed)
    times = [max(0, number * 1000 - chance.randint(0, jitter)) for number in range(3000)]
    assert not lost(written(tmp_path / "app.log", times), times, since, until)


@QUICK
@given(since=moments, until=moments, place=st.integers(0, 3000), back=st.integers(0, 2_000_000))
def test_a_clock_set_back_loses_nothing(
    tmp_path: Path, small_steps: None, since: int | None, until: int | None, place: int, back: int
) -> None:
    """Where the clock was set back once, lines from before and after it are found."""
    times = [number * 1000 - (back if number >= place else 0) for number in range(3000)]
    times = [max(0, ms) for ms in times]
    assert not lost(written(tmp_path / "app.log", times), times, since, until)


def test_the_hour_that_comes_twice(tmp_path: Path, small_steps: None) -> None:
    """A log in local time without a zone, whose clock goes back an hour in autumn, loses no line of either hour."""
    times = [
        (number % 3600 + 3600 * (number // 3600) - (3600 if number >= 7200 else 0)) * 1000 for number in range(14400)
    ]
    path = written(tmp_path / "app.log", times)
    for since in range(0, 10_000, 450):
        assert not lost(path, times, since * 1000, (since + 600) * 1000)
