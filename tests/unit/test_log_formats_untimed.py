"""Lines that state a level and no time, as programs write them whose lines an engine or the journal stamps."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from meshdiag.logs.formats import Hints
from meshdiag.logs.formats.detecting import detect
from meshdiag.logs.record import Level

HINTS = Hints(datetime(2026, 11, 22, tzinfo=UTC), UTC)


@pytest.mark.parametrize(
    ("lines", "name", "level", "component", "message"),
    [
        ([b'{"level":"info","component":"router","msg":"tick"}'], "JSON", Level.INFO, "router", "tick"),
        ([b'level=warn component=consensus msg="slow round"'] * 3, "logfmt", Level.WARN, "consensus", "slow round"),
        ([b"ERROR consensus failed", b"INFO starting"], "text", Level.ERROR, "", "consensus failed"),
        ([b"\x1b[33mWARN\x1b[0m low on peers"] * 2, "text", Level.WARN, "", "low on peers"),
    ],
)
def test_a_level_is_read_where_there_is_no_time(
    lines: list[bytes], name: str, level: Level, component: str, message: str
) -> None:
    """Objects, pairs and words in capitals say their level without a time beside them."""
    form = detect(lines, HINTS)
    record = form.parse(lines[0])
    assert form.name.startswith(name) and not form.timed and form.starts(lines[0])
    assert (record.time_ns, record.level, record.component, record.message) == (None, level, component, message)


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "2026-11-22T20:00:00.123456789Z stderr F {}",
        '{{"log":"{}\\n","stream":"stderr","time":"2026-11-22T20:00:00.123456789Z"}}',
    ],
)
def test_plain_lines_in_containers_state_a_level_as_they_do_elsewhere(around: str) -> None:
    """A level word set apart at the start of a line counts, whatever is written around the line and however late it is
    met; that a line went to stderr is no level."""
    lines = [around.format(text).encode() for text in ("starting", "listening", "done")]
    said = {
        "error: cannot bind": Level.ERROR, "WARNING: low": Level.WARN, "[Error] boom": Level.ERROR,
        "panic: no": Level.FATAL, "went to stderr": None, "no error: fine": None,
    }  # fmt: skip
    form = detect(lines, HINTS)
    assert {text: form.parse(around.format(text).encode()).level for text in said} == said


@pytest.mark.parametrize(
    "lines",
    [
        [b"hello", b"world", b"ERROR in a sentence of its own"],
        [b"Error rates are fine today", b"Information is power"],
        [b"a=b c=d", b"x=y"],
        [b'{"a": 1}', b'{"b": 2}'],
    ],
)
def test_words_that_are_no_levels_are_none(lines: list[bytes]) -> None:
    """Prose, and lines of which only few begin with a level, stay text without levels."""
    form = detect(lines, HINTS)
    assert [form.parse(line).level for line in lines] == [None] * len(lines)
