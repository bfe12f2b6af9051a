"""What log sources share: lines from chunks, stamps, taking up reading again, merging, head and tail."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshdiag.logs.record import NS, Record
from meshdiag.logs.selection import Pattern, Selection
from meshdiag.logs.tally import Tally
from meshdiag.sources.streams.evidence import piped_through_grep
from meshdiag.sources.streams.lines import Line, LineSplitter, rfc3339, stamped
from meshdiag.sources.streams.picking import Picker, Tail, first_of, merged
from meshdiag.sources.streams.resuming import Resume


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_lines_do_not_depend_on_the_chunks(data: bytes, cuts: list[int]) -> None:
    """Cut anywhere, the same bytes are the same lines."""
    splitter = LineSplitter()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    lines = [line for start, end in itertools.pairwise(places) for line in splitter.feed(data[start:end])]
    rest = splitter.rest()
    assert b"\n".join([*lines, rest or b""]) == data


def test_long_lines_are_cut_and_counted() -> None:
    """A line over the limit keeps its beginning, in one chunk or in many, and the next line is whole."""
    splitter = LineSplitter(limit=10)
    assert splitter.feed(b"x" * 25 + b"\nnext\n" + b"y" * 11 + b"\n") == [b"x" * 10, b"next", b"y" * 10]
    assert splitter.feed(b"z" * 8) == [] and splitter.feed(b"z" * 8) == [] and splitter.feed(b"\nend") == [b"z" * 10]
    assert splitter.rest() == b"end" and splitter.rest() is None
    assert splitter.cut == 3


@pytest.mark.parametrize(
    ("line", "time_ns", "rest"),
    [
        (b"2026-11-22T11:29:36.111616207Z hi", 1795346976_111616207, b"hi"),
        (b"2026-11-22T11:29:36Z  two blanks", 1795346976_000000000, b" two blanks"),
        (b"2026-11-22T13:29:36.5+02:00 hi", 1795346976_500000000, b"hi"),
        (b"2026-11-22T11:29:36.111616207Z", 1795346976_111616207, b""),
        (b"2026-13-42T11:29:36Z hi", None, b"2026-13-42T11:29:36Z hi"),
        (b"2026-11-22 11:29:36 hi", None, b"2026-11-22 11:29:36 hi"),
        (b"", None, b""),
    ],
)
def test_stamps_are_read_to_the_nanosecond(line: bytes, time_ns: int | None, rest: bytes) -> None:
    """Fractions of any length, zones, and what only looks like a stamp."""
    assert stamped(line) == (time_ns, rest)


@given(st.integers(0, 4_000_000_000 * NS))
def test_moments_survive_being_written(time_ns: int) -> None:
    """What is asked for is what is read back."""
    assert stamped(rfc3339(time_ns).encode())[0] == time_ns


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 60), st.integers(1, 6))
def test_reading_taken_up_again_loses_and_doubles_nothing(chance: random.Random, count: int, breaks: int) -> None:
    """However often reading breaks off, with stamps that repeat and go back a little, each line comes once."""
    time_ns, log = 0, []
    for number in range(count):
        time_ns += chance.choice([0, 0, 1, 1000, NS // 3, 2 * NS])
        log.append(
            Line(
                b"%d" % (number % 5), max(0, time_ns - chance.choice([0, 0, 500])), chance.choice(["stdout", "stderr"])
            )
        )
    resume = Resume()
    got: list[Line] = []
    for stop in [*sorted(chance.randrange(count + 1) for _ in range(breaks)), count]:
        resume.again()
        since = resume.since_ns
        # The keeper gives from the moment asked on, or from somewhat before; always the log's beginning at first.
        asked = [line for line in log[:stop] if since is None or (line.taken_ns or 0) >= since - chance.choice([0, NS])]
        got += [line for line in asked if resume.is_new(line)]
    assert got == log


def test_a_line_that_comes_twice_in_one_reading_is_one() -> None:
    """Where stamps tell lines apart, what an engine gives again after its log was turned over is left out."""
    lines = [Line(b"line", number * 20 * NS, "stdout") for number in range(100)]
    turned = [*lines[:50], *lines[20:80], *lines[10:]]
    resume = Resume(repeats=True)
    assert [line for line in turned if resume.is_new(line)] == lines
    same = Resume()
    assert all(same.is_new(Line(b"again", 5)) for _ in range(3)), "elsewhere the same line may be written again"


def test_a_flood_is_remembered_within_bounds() -> None:
    """Of a hundred thousand and more lines in one second the oldest are forgotten, and reading starts behind them."""
    resume = Resume()
    for number in range(150_000):
        assert resume.is_new(Line(b"x", 10 * NS + number))
    assert resume.since_ns is not None and resume.since_ns >= 10 * NS + 49_999
    resume.again()
    assert not resume.is_new(Line(b"x", 10 * NS + 149_999)) and resume.is_new(Line(b"x", 10 * NS + 150_000))


def _record(time_ns: int | None, text: str, file: str = "") -> Record:
    return Record(text.encode(), time_ns, file=file)


async def _stream(*records: Record) -> AsyncGenerator[Record, None]:
    for record in records:
        yield record


async def test_streams_merge_by_time_and_keep_their_order() -> None:
    """The earliest first; a record without a time, or one that goes back, stays behind the one before it."""
    a = _stream(_record(1, "a1"), _record(None, "a2"), _record(9, "a3"), _record(4, "a4"))
    b = _stream(_record(2, "b1"), _record(10, "b2"))
    assert [record.raw.decode() async for record in merged([a, b, _stream()])] == ["a1", "a2", "b1", "a3", "a4", "b2"]


def test_records_beside_a_match_are_given_once_and_marked() -> None:
    """Before and after mean neighbours in the log, each once, also where matches are near each other."""
    tally = Tally()
    picker = Picker(Selection(patterns=(Pattern("hit"),), before=2, after=1), tally)
    texts = ["1", "2", "3", "hit 4", "5", "6", "hit 7", "hit 8", "9", "10"]
    got = picker.take(_record(place, text) for place, text in enumerate(texts))
    assert [record.raw.decode() for record in got] == ["2", "3", "hit 4", "5", "6", "hit 7", "hit 8", "9"]
    assert [record.raw.decode() for record in got if record.context] == ["2", "3", "5", "6", "9"]
    assert (tally.records, tally.matched) == (10, 3)


def test_what_is_left_out_between_matches_is_marked() -> None:
    """The first of the records given behind others that were not is said to be apart, as in files; nothing is where no
    neighbours are asked for, or nothing was left out."""
    texts = ["1", "hit 2", "3", "4", "hit 5", "6", "7", "8", "hit 9", "10", "11", "12", "13", "hit 14"]

    def apart(before: int, after: int) -> list[str]:
        picker = Picker(Selection(patterns=(Pattern("hit"),), before=before, after=after), Tally())
        got = [one for place, text in enumerate(texts) for one in picker.take([_record(place, text)])]
        return [record.raw.decode() for record in got if record.gap]

    assert apart(1, 1) == ["8", "13"]
    assert apart(0, 1) == ["hit 5", "hit 9", "hit 14"]
    assert apart(2, 1) == ["12"]
    assert apart(0, 0) == []
    assert apart(9, 9) == []


async def test_head_and_tail_count_matches() -> None:
    """Neighbours come on top of what is counted."""
    picker = Picker(Selection(patterns=(Pattern("hit"),), after=1), Tally())
    got = picker.take(_record(place, text) for place, text in enumerate(["hit 1", "a", "hit 2", "b", "c", "hit 3"]))
    assert [one.raw.decode() async for one in first_of(_stream(*got), 2, 1)] == ["hit 1", "a", "hit 2", "b"]
    assert [one.raw.decode() async for one in first_of(_stream(*got), 0, 0)] == []
    tail = Tail(2)
    for record in got:
        tail.put(record)
    assert [one.raw.decode() for one in tail.kept] == ["a", "hit 2", "b", "hit 3"]


def test_patterns_become_greps() -> None:
    """The command that asks again narrows as the selection does, quoted."""
    patterns = (Pattern("a'b", fixed=True), Pattern(r"\d+ ms", ignore_case=True, invert=True))
    assert piped_through_grep("docker logs x", Selection(patterns=patterns)) == (
        "docker logs x | grep -F -e 'a'\"'\"'b' | grep -Piv -e '\\d+ ms'"
    )
