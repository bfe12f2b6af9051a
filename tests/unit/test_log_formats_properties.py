"""What holds of every format for every line: nothing raises, the short answers agree with the whole reading, and no
prefilter built on the literals skips a record that is wanted."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshdiag.logs.formats import Format, Hints
from meshdiag.logs.formats.custom import custom
from meshdiag.logs.formats.detecting import detect
from meshdiag.logs.record import Level

HINTS = Hints(datetime(2026, 6, 30, tzinfo=UTC), UTC)

SAMPLES: dict[str, list[bytes]] = {
    "mesh text": [
        b"2025-06-01T00:00:00.123Z %-5s [consensus] round=7 node=n%d" % (word, n)
        for n, word in enumerate((b"INFO", b"WARN", b"ERROR", b"DEBUG", b"FATAL"))
    ],
    "logback": [
        b"2025-06-01 00:00:0%d,123 [main %d] %s org.example.Foo - said so" % (n, n, word)
        for n, word in enumerate((b"INFO", b"WARN", b"ERROR", b"DEBUG"))
    ],
    "lower": [
        b"[2025-06-01 00:00:0%d.123] [%s] said" % (n, word) for n, word in enumerate((b"info", b"warning", b"error"))
    ],
    "capital": [
        b"2025-06-01 00:00:0%d, %s   CBS  said" % (n, word) for n, word in enumerate((b"Info", b"Warning", b"Error"))
    ],
    "laravel": [
        b"[2025-06-01 00:00:0%d] local.%s: said" % (n, word) for n, word in enumerate((b"INFO", b"ERROR", b"ALERT"))
    ],
    "leading": [
        b"[%s 2025-06-01 00:00:0%d main] said" % (word, n) for n, word in enumerate((b"INFO", b"ERROR", b"DEBUG"))
    ],
    "android": [
        b"03-17 16:13:3%d.811  1702  2395 %s Tag: said" % (n, word) for n, word in enumerate((b"I", b"E", b"W", b"D"))
    ],
    "glog": [
        b"%s0517 15:04:2%d.619632 19524 file.cc:253] said" % (word, n) for n, word in enumerate((b"I", b"E", b"W"))
    ],
    "redis": [b"1:M 25 Apr 2024 05:32:3%d.018 %s said" % (n, word) for n, word in enumerate((b"*", b"#", b"-"))],
    "syslog": [b"Nov  3 09:23:3%d host app[7998]: said" % n for n in range(4)],
    "syslog, levels": [
        b"Nov  3 09:23:3%d host app[7998]: %s: said" % (n, word) for n, word in enumerate((b"error", b"Warning", b"x"))
    ],
    "further": [
        b"2025-06-01 00:00:00.123 UTC [%d] %s:  said" % (7 + n * 30, word)
        for n, word in enumerate((b"LOG", b"ERROR", b"DETAIL", b"STATEMENT", b"FATAL"))
    ],
    "syslog pri": [b"<%d>Nov  3 09:23:38 host app[7998]: said" % n for n in (11, 12, 46)],
    "syslog 5424": [b"<%d>1 2017-04-27T07:50:47.381967+02:00 host app - - - said" % n for n in (11, 12, 46)],
    "access": [b'10.0.0.%d - - [20/Jul/2009:22:59:26 +0000] "GET /x HTTP/1.0" 200 134 "-" "x"' % n for n in range(3)],
    "json": [
        b'{"ts":"2025-06-01T00:00:0%dZ","level":"%s","msg":"said"}' % (n, word)
        for n, word in enumerate((b"info", b"warn", b"error", b"debug"))
    ],
    "json of anything": [b'{"ts":"2025-06-01T00:00:0%dZ","msg":"said"}' % n for n in range(3)],
    "bunyan": [
        b'{"name":"x","hostname":"h","pid":1,"level":%d,"msg":"said","time":"2025-06-01T00:00:00Z","v":0}' % n
        for n in (20, 30, 40, 50)
    ],
    "digits": [b'{"level": "%d", "time": 1742277257530}' % n for n in (20, 30, 40, 50)],
    "journal": [
        b'{ "__REALTIME_TIMESTAMP" : "1534860261221373", "PRIORITY" : "%d", "MESSAGE" : "x" }' % n for n in (3, 4, 6)
    ],
    "nextcloud": [b'{"reqId":"x","level":%d,"time":"2023-10-01T02:39:09+00:00","message":"m"}' % n for n in (1, 2, 3)],
    "monolog": [
        b'{"message":"m","level":%d,"level_name":"%s","datetime":"2023-10-01T02:39:09+00:00"}' % (n, word)
        for n, word in ((200, b"INFO"), (400, b"ERROR"))
    ],
    "mongodb": [
        b'{"t":{"$date":"2020-05-20T19:18:40.604+00:00"},"s":"%s","c":"NETWORK","msg":"m"}' % word
        for word in (b"I", b"E", b"D1")
    ],
    "pretty": [
        line
        for n in range(3)
        for line in (b"{", b'  "severity":"INFO",', b'  "time":"2020-01-14T13:35:1%dZ"' % n, b"}")
    ],
    "logfmt": [
        b'time="2021-09-15T21:17:1%d.220731Z" level=%s msg="said so" pod=x' % (n, word)
        for n, word in enumerate((b"info", b"error", b"warning"))
    ],
    "cri": [
        b"2025-06-01T00:00:0%d.123456789Z stdout F time=2021-09-15T21:17:10Z level=%s msg=x" % (n, word)
        for n, word in enumerate((b"info", b"error"))
    ],
    "docker": [
        json.dumps(
            {"log": f"2025-06-01T00:00:0{n}Z {word} said\n", "stream": "stdout", "time": "2025-06-01T00:00:00.1Z"}
        ).encode()
        for n, word in enumerate(("INFO", "ERROR"))
    ],
    "docker json": [
        json.dumps(
            {
                "log": json.dumps({"level": word, "msg": "x", "ts": 1742277257.5}) + "\n",
                "stream": "stdout",
                "time": "2025-06-01T00:00:00.1Z",
            }
        ).encode()
        for word in ("info", "error")
    ],
    "compose": [b"web-1  | 2025-06-01T00:00:0%dZ %s said" % (n, word) for n, word in enumerate((b"INFO", b"ERROR"))],
    "mixed": [
        b'{"ts":"2025-06-01T00:00:00Z","level":"info"}',
        b"ts=2025-06-01T00:00:00Z level=error msg=x",
        b"WARNING: text",
    ]
    * 3,
    "plain": [b"Starting up", b"something else", b"  indented"],
    "leveled": [b"WARNING: careful", b"ERROR: broken", b"INFO:root:fine"],
}


@cache
def _format(name: str) -> Format:
    if name == "custom":
        return custom("custom", r"(?P<time>\S+ \S+) <(?P<level>\w+)> (?P<who>\w+): (?P<message>.*)")
    return detect(SAMPLES[name], HINTS)


NAMES = [*SAMPLES, "custom"]
PIECES = [
    b"2025-06-01T00:00:00.123Z",
    b"2025-06-01 00:00:00,123",
    b"Nov  3 09:23:38",
    b"Mar-18 21:41:15.684",
    b"1742277257530",
    b"E0517 15:04:22.619632 12 a.cc:1]",
    b"[",
    b"]",
    b" ",
    b"  ",
    b"\t",
    b":",
    b"|",
    b" - ",
    b"{",
    b"}",
    b'"',
    b",",
    b"=",
    b"ERROR",
    b"error",
    b"Error",
    b"WARN",
    b"warning",
    b"FATAL",
    b"fatal",
    b"INFO",
    b"E",
    b"W",
    b"50",
    b"40",
    b"3",
    b"<11>",
    b"level",
    b'"level":',
    b'"level": ',
    b'"level" :\n',
    b'"level":"error"',
    b'"level":"\\u0045RROR"',
    b'"l\\u0065vel":50',
    b'"level":50',
    b'"level": 50',
    b'"level":"50"',
    b'"PRIORITY":"3"',
    b'"time":"2025-06-01T00:00:00Z"',
    b"level=error",
    b'level="err"',
    b"lvl=crit",
    b"time=2025-06-01T00:00:00Z",
    b"\x1b[31m",
    b"\x1b[0m",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\r",
    b"\n",
    b"msg",
    b"app[12]: ",
    b"host",
    b" stdout F ",
    b" stderr P ",
    b"web-1  | ",
    b'{"log":"',
    b"\\n",
    b"\\",
    b"1:M 25 Apr 2024 05:32:35.018 # ",
    b"Caused by: x",
    b"\xc3\xa9",
    b'"s":"E"',
    b'"severity":"FATAL"',
    b'"tags":["error"]',
]


def _mutated(sample: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """A line with pieces cut out and others put in."""
    for place, cut, put in changes:
        at = place % (len(sample) + 1)
        sample = sample[:at] + put + sample[at + cut :]
    return sample


CHANGES = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 12), st.one_of(st.sampled_from(PIECES), st.binary(max_size=4))),
    max_size=4,
)
SOUP = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=6)), max_size=14).map(b"".join)


@st.composite
def lines(draw: st.DrawFn, name: str) -> bytes:
    """Hostile lines that are near enough to a format to be taken for it."""
    samples = SAMPLES.get(name) or [b"2025-06-01 00:00:00 <error> bob: said"]
    if draw(st.booleans()):
        return _mutated(draw(st.sampled_from(samples)), draw(CHANGES))
    return draw(SOUP)


@pytest.mark.parametrize("name", NAMES)
def test_short_answers_agree_with_the_whole_reading(name: str) -> None:
    """Time and level asked for alone are those of the parsed record, for any bytes; nothing raises."""
    form = _format(name)

    @settings(max_examples=40, deadline=None)
    @given(lines(name))
    def check(raw: bytes) -> None:
        form.starts(raw)
        record = form.parse(raw)
        assert record.raw == raw
        assert form.time_ns(raw) == record.time_ns
        assert form.level(raw) is record.level
        record.message.encode("utf-8")

    check()


LEVELS = [frozenset({level}) for level in Level] + [frozenset({Level.WARN, Level.ERROR, Level.FATAL})]


@pytest.mark.parametrize("name", NAMES)
def test_literals_are_sound(name: str) -> None:
    """A record of a level holds one of the level's literals, whatever stands around it."""
    form = _format(name)
    literals = {levels: form.level_literals(levels) for levels in LEVELS}

    @settings(max_examples=80, deadline=None)
    @given(lines(name))
    def check(raw: bytes) -> None:
        level = form.level(raw)
        for levels, found in literals.items():
            if level in levels and found is not None:
                assert any(literal in raw for literal in found), (levels, found)

    check()


DIGITS = bytes.maketrans(b"0123456789", b"0" * 10)


@pytest.mark.parametrize("name", NAMES)
def test_widths_keep_their_promise(name: str) -> None:
    """Lines with the same masked beginning, as wide as the format says, get the same answers."""
    form = _format(name)

    @settings(max_examples=50, deadline=None)
    @given(lines(name), st.one_of(SOUP, st.sampled_from(PIECES)), st.integers(0, 9))
    def check(raw: bytes, tail: bytes, digit: int) -> None:
        raw, tail = raw.replace(b"\n", b" "), tail.replace(b"\n", b" ")
        other = bytes(48 + digit if 48 <= one <= 57 else one for one in raw)
        width = form.start_width(raw)
        if width is not None:
            assert width <= len(raw)
            assert form.starts(other[:width] + tail) == form.starts(raw)
        width = form.level_width(raw)
        if width is not None:
            again = other[:width] + tail
            assert (form.starts(again), form.level(again)) == (form.starts(raw), form.level(raw))

    check()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(SOUP, *(lines(name) for name in list(SAMPLES)[:6])), max_size=12))
def test_any_sample_gives_a_format(sample: list[bytes]) -> None:
    """Detection takes any lines whatever, and what it finds reads them."""
    form = detect([line.replace(b"\n", b"") for line in sample], HINTS)
    for line in sample:
        record = form.parse(line)
        assert form.time_ns(line) == record.time_ns
        assert form.level(line) is record.level


HOSTILE = {
    "spaces": b" " * 300_000,
    "brackets": b"[" * 300_000,
    "pairs": b"a=" * 150_000,
    "quotes": b'a="' + b"\\" * 300_000,
    "words": b"a " * 150_000,
    "stamps": b"2025-06-01T00:00:00.123Z " * 12_000,
    "closed": b"[]" * 150_000,
    "deep": b"{" * 300_000,
    "nested": b'{"a":' * 60_000,
    "digits": b"1" * 300_000,
    "escapes": b"\x1b[0m" * 75_000,
    "nuls": b"\0" * 300_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_long_lines_take_no_more_than_their_length(kind: str) -> None:
    """A line of 300 kB made to confuse a pattern is read whole by every format, and by none for ever: a pattern that
    backtracks would take minutes, and is stopped."""
    raw = HOSTILE[kind]
    with cpu_seconds(60):
        for name in NAMES:
            form = _format(name)
            for line in (raw, SAMPLES.get(name, [b"x"])[0] + raw):
                form.starts(line)
                form.time_ns(line)
                form.level(line)
                assert form.parse(line).raw == line


@contextlib.contextmanager
def cpu_seconds(most: int) -> Iterator[None]:
    """Fail what uses the processor for so long without an end: regular expressions look for signals on their way."""
    former = signal.signal(signal.SIGPROF, lambda *_: pytest.fail(f"not done after {most} s of work"))
    signal.setitimer(signal.ITIMER_PROF, most)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)
