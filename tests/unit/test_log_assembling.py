"""Records put together from lines that arrive one by one, each with the time at which it was taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from meshdiag.logs.assembling import AHEAD_NS, BEHIND_NS, LONGEST, Assembler, Origin
from meshdiag.logs.record import NS, Level, Record, nanoseconds
from meshdiag.logs.selection import Pattern, Selection
from meshdiag.logs.tally import Tally
from meshdiag.sources.streams.picking import Picker

ORIGIN = Origin("web", node="node-1", component="web")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOON_NS = nanoseconds(NOON)


def _head(second: float, text: str) -> bytes:
    return f"{(NOON + timedelta(seconds=second)).isoformat()} {text}".encode()


def _all(lines: list[tuple[bytes, int | None, str]], tally: Tally | None = None) -> list[Record]:
    assembler = Assembler(tally or Tally())
    records: list[Record] = []
    for raw, taken_ns, channel in lines:
        records += assembler.feed(raw, taken_ns, ORIGIN, channel)
    return records + assembler.settle()


def test_lines_that_continue_a_record_belong_to_it() -> None:
    """A trace that an engine took line by line is one record, of the time and level of its head."""
    lines = [
        _head(0, "INFO a: fine"),
        _head(1, "ERROR a: broken"),
        b"Traceback (most recent call last):",
        b"  File x",
        _head(2, "INFO a: on"),
    ]
    records = _all([(line, NOON_NS + 5 * NS, "") for line in lines])
    assert [record.raw.count(b"\n") for record in records] == [0, 2, 0]
    assert [record.level for record in records] == [Level.INFO, Level.ERROR, Level.INFO]
    assert [record.time_ns for record in records] == [NOON_NS, NOON_NS + NS, NOON_NS + 2 * NS]


def test_channels_do_not_mix() -> None:
    """Lines of stderr between those of stdout continue nothing of stdout; records come in the order of their heads."""
    records = _all(
        [
            (_head(0, "ERROR a: broken"), NOON_NS, "stderr"),
            (_head(0, "INFO b: one"), NOON_NS + 1, "stdout"),
            (b"  at x", NOON_NS + 2, "stderr"),
            (_head(0, "INFO b: two"), NOON_NS + 3, "stdout"),
            (b"  at y", NOON_NS + 4, "stderr"),
        ]
    )
    assert [record.raw.splitlines()[1:] for record in records] == [[b"  at x", b"  at y"], [], []]


def test_a_silent_channel_holds_up_nobody() -> None:
    """A record that might still grow is given out once another channel has gone on for a second."""
    assembler = Assembler(Tally())
    assert assembler.feed(_head(0, "INFO a: once"), NOON_NS, ORIGIN, "stderr") == []
    given_out: list[Record] = []
    for second in range(1, 5):
        given_out += assembler.feed(_head(second, "INFO b: on"), NOON_NS + second * NS, ORIGIN, "stdout")
    assert [record.component for record in given_out][:1] == ["a"] and len(given_out) >= 3


def test_the_stated_time_counts_where_it_is_believable() -> None:
    """A line may say it is some minutes old; one of another year, or of the future, has the time of taking."""
    for away_ns, believed in (
        (0, True),
        (-BEHIND_NS, True),
        (-BEHIND_NS - NS, False),
        (AHEAD_NS, True),
        (AHEAD_NS + NS, False),
    ):
        stated = NOON + timedelta(microseconds=away_ns / 1000)
        (record,) = _all([(f"{stated.isoformat()} INFO a: x".encode(), NOON_NS, "")])
        assert record.time_ns == (NOON_NS + away_ns if believed else NOON_NS)


def test_without_any_time_it_is_that_of_the_record_before() -> None:
    """Where nobody says when a line was taken, it was not before the one before it."""
    records = _all(
        [(_head(3, "INFO a: x"), None, "1"), (b"plain words", None, "2"), (_head(4, "INFO a: y"), None, "1")]
    )
    assert [record.time_ns for record in records] == [NOON_NS + 3 * NS, NOON_NS + 3 * NS, NOON_NS + 4 * NS]


def test_what_a_line_does_not_say_its_origin_says() -> None:
    """Node, component, level and fields come from the origin where the record has none; a firm level overrules."""
    assembler = Assembler(Tally())
    soft = Origin("u.service", "host", "u", Level.WARN, {"_PID": "7"})
    firm = Origin("k", "host", "k", Level.DEBUG, firm=True)
    (a,) = assembler.feed(b"words", NOON_NS, soft, "a", whole=True)
    (b,) = assembler.feed(b"level=error component=net node=n7 msg=x", NOON_NS, soft, "b", whole=True)
    (c,) = assembler.feed(b"level=error msg=x", NOON_NS, firm, "c", whole=True)
    assert (a.file, a.node, a.component, a.level, a.fields) == ("u.service", "host", "u", Level.WARN, {"_PID": "7"})
    assert (b.node, b.component, b.level) == ("n7", "net", Level.ERROR)
    assert b.fields["_PID"] == "7" and b.fields["msg"] == "x"
    assert c.level is Level.DEBUG


def test_a_format_that_no_longer_fits_is_found_anew() -> None:
    """A container that prints a banner, then JSON, is read as JSON before long."""
    lines = [b"welcome", b"  to the mesh"] * 4
    lines += [b'{"level":"error","msg":"m%d"}' % number for number in range(200)]
    records = _all([(line, NOON_NS, "") for line in lines])
    assert [record.level for record in records[-50:]] == [Level.ERROR] * 50


def test_records_are_bounded() -> None:
    """Lines without end that continue a record are cut off, counted and told."""
    tally = Tally()
    lines = [(_head(0, "INFO a: x"), NOON_NS, "")] + [(b"\t" + b"x" * 9999, NOON_NS, "")] * 300
    lines += [(b"y" * (2 * LONGEST), NOON_NS, "other")]
    records = _all(lines, tally)
    assert all(len(record.raw) <= LONGEST for record in records)
    assert tally.cut >= 2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.binary(max_size=30).filter(lambda line: b"\n" not in line), st.sampled_from(["a", "b", "c"])),
        max_size=80,
    )
)
def test_no_line_is_lost_or_doubled(lines: list[tuple[bytes, str]]) -> None:
    """Whatever the lines are, each is in exactly one record, in the order of its channel."""
    assembler = Assembler(Tally())
    records: list[Record] = []
    for place, (raw, channel) in enumerate(lines):
        records += assembler.feed(raw, NOON_NS + place * 1000, Origin(channel), channel)
    records += assembler.settle()
    assert assembler.settle() == [] and not assembler.waiting
    for channel in "abc":
        got = b"\n".join(record.raw for record in records if record.file == channel)
        assert got == b"\n".join(raw for raw, one in lines if one == channel)


SAID = st.sampled_from(
    [
        b"2026-11-22T12:00:00Z ERROR a: boom", b"2026-11-22T12:00:01Z INFO a: fine", b"  at x", b"Traceback boom",
        b'{"level":"error","msg":"boom"}', b'{"level":"info","msg":"error"}', b"level=warn msg=boom",
        b"ERROR boom", b"", b"{",
    ]
)  # fmt: skip
LEVELS = st.one_of(st.none(), st.sets(st.sampled_from(Level), min_size=1).map(frozenset))
PATTERNS = st.lists(st.builds(Pattern, st.sampled_from(["boom", "fine", "x$"]), invert=st.booleans()), max_size=2).map(
    tuple
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(SAID, st.sampled_from("ab")), max_size=100), LEVELS, PATTERNS, st.booleans(), st.booleans())
def test_what_is_left_out_unread_was_not_wanted(
    lines: list[tuple[bytes, str]],
    levels: frozenset[Level] | None,
    patterns: tuple[Pattern, ...],
    firm: bool,
    taken: bool,
) -> None:
    """With and without the sieve the same records come out, however many are never read."""
    picker = Picker(Selection(levels=levels, patterns=patterns), Tally())
    origin = Origin("web", level=Level.WARN, firm=firm)
    outcomes = []
    for sieve in (None, picker.sieve):
        assembler = Assembler(Tally(), sieve=sieve)
        records: list[Record] = []
        for place, (raw, channel) in enumerate(lines):
            records += assembler.feed(raw, NOON_NS + place * 1000 if taken else None, origin, channel)
        outcomes.append([(one.raw, one.time_ns, one.level) for one in picker.take(records + assembler.settle())])
    assert outcomes[0] == outcomes[1]
