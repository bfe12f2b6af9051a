"""``--where``: a condition means what its documentation says, and a wrong one is shown where it is wrong."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.errors import UsageError
from meshdiag.logs.record import NS, Level, Record
from meshdiag.logs.where import Both, Comparison, Either, Not, Present, Seconds, parse_where, value_at
from meshdiag.logs.where.tree import OPERATORS

FIELDS = {
    "consensus": {"round": 7, "leader": "Trainer-4", "ok": True, "votes": [1, 2]},
    "duration_ms": 120,
    "took": "1.5s",
    "wait_s": 0.25,
    "status": "200",
    "ratio": 0.5,
    "none": None,
    "flat.key": "x y",
    "odd key": 1,
    "id": 12345678901234567890,
    "level": 40,
}
RECORD = Record(
    b"raw", 1_769_829_120 * NS, Level.WARN, "Consensus", "trainer-1", "round 7 took 1.5 s", FIELDS, "a.log", 3
)


@pytest.mark.parametrize(
    "text",
    [
        "consensus.round > 5 and duration_ms >= 100",
        "consensus.round = 7",
        "consensus.round == 7.0",
        "consensus.round != 8",
        "consensus.leader = Trainer-4",
        "consensus.leader =~ '^Trainer-[0-9]$'",
        "consensus.leader !~ bootstrap",
        "consensus.ok = true",
        "consensus.ok",
        "not consensus.failed",
        "consensus.failed = null",
        "none = null",
        "consensus != null",
        "status >= 200 AND status < 300",
        "status = '200'",
        "'flat.key' = 'x y'",
        "flat.key contains 'x '",
        "'odd key' = 1",
        "id = 12345678901234567890",
        "took > 1s and took <= 1500ms",
        "duration_ms > 100ms and duration_ms < 0.2s",
        "wait_s = 250ms",
        "level >= warn and level < error",
        "level = WARNING",
        "level = 40",
        "component = consensus and node = TRAINER-1",
        "message contains took",
        "message =~ 'round [0-9]+'",
        "ts = 1769829120",
        "ts >= 2026-01-31T03:12:00Z and ts < 2026-01-31T03:12:01Z",
        "(ratio = 1 or ratio = .5) && !(ratio = 2 || none)",
        "ratio < 1e0",
        "not not ratio",
    ],
)
def test_conditions_that_hold(text):
    """Numbers, texts, patterns, durations, levels and moments compare as documented."""
    assert parse_where(text).holds(RECORD)
    assert parse_where(f"not ({text})").holds(RECORD) is False


@pytest.mark.parametrize(
    "text",
    [
        "missing = 1",
        "missing != 1",
        "missing !~ x",
        "none > 0",
        "consensus = 1",
        "consensus.votes = 1",
        "consensus.round = seven",
        "consensus.leader > 5",
        "consensus.ok > 0",
        "ratio > 100ms",
        "level > warn",
        "message = 'round 7'",
        "node = trainer",
        "consensus.round.deeper = 7",
        "consensus.leader =~ trainer",
    ],
)
def test_what_is_missing_or_of_another_type_meets_no_comparison(text):
    """A field that is not there, or is no number where one is meant, is no match: for != and !~ neither."""
    assert not parse_where(text).holds(RECORD)


def test_the_tree_is_what_was_said():
    """and binds tighter than or, not tightest; == is =, and null becomes presence."""
    assert parse_where("a = 1 or b and not c != null").root == Either(
        Comparison(("a",), "=", 1.0), Both(Present(("b",)), Not(Present(("c",))))
    )
    assert parse_where("a.b > 5s").root == Comparison(("a", "b"), ">", Seconds(5.0))
    assert parse_where("addr = 10.0.0.1:7946").root == Comparison(("addr",), "=", "10.0.0.1:7946")
    assert parse_where(" a  =  b ").text == " a  =  b "


@pytest.mark.parametrize(
    ("text", "what", "column"),
    [
        ("", "is empty", None),
        ("a b", "expected 'and', 'or', an operator or the end, got b", 3),
        ("(a", "expected a closing parenthesis", 3),
        ("a)", "never opened", 2),
        ("a >", "expected a value", 4),
        ("a > > 1", "expected a value behind >", 5),
        ("and a", "expected a field, got and", 1),
        ("a = 'b", "the quote is not closed", 5),
        ("5 < a", "the field comes first", 1),
        ("level = wrn+", "expected a level", 9),
        ("a > null", "null can only be compared", 3),
        ("a > true", "true and false", 3),
        ("a =~ 'x('", "is no regular expression", 6),
        ("ts > teatime", "is not a moment", 6),
        ("(" * 60 + "a" + ")" * 60, "levels of parentheses", 52),
        (" or ".join(["a"] * 300), "more than 200 comparisons", 1001),
        ("a" * 5000, "longer than", None),
    ],
)
def test_a_wrong_condition_is_shown_where_it_is_wrong(text, what, column):
    """One sentence with the column, and a caret under the place."""
    with pytest.raises(UsageError) as raised:
        parse_where(text)
    sentence, *lines = raised.value.message.split("\n")
    assert what in sentence
    if column is not None:
        assert f"at column {column}:" in sentence
        shown, under = lines
        assert under.strip() == "^"
        place = under.index("^")
        assert place == len(shown) or shown[place : place + 1] == (text[column - 1 : column] or "")


def test_a_value_is_found_under_its_path():
    """Own fields first, nested or with dots in the name; then what every record has."""
    assert value_at(RECORD, ("consensus", "round")) == 7
    assert value_at(RECORD, ("flat", "key")) == "x y"
    assert value_at(RECORD, ("level",)) == 40
    assert value_at(Record(b"", level=Level.WARN), ("level",)) == "warn"
    assert value_at(RECORD, ("node",)) == "trainer-1"
    assert value_at(RECORD, ("nothing",)) is None
    assert value_at(Record(b""), ("node",)) is None


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
NAMES = st.sampled_from(["a", "b", "level", "node", "ts", "message", "took_ms"])
RECORDS = st.builds(
    Record,
    st.binary(max_size=10),
    st.none() | st.integers(-(2**70), 2**70),
    st.none() | st.sampled_from(Level),
    st.text(max_size=4),
    st.text(max_size=4),
    st.text(max_size=9),
    st.dictionaries(NAMES, JSON, max_size=4),
)


@given(st.text(max_size=40) | st.lists(st.sampled_from(["a", "b", "and", "or", "not", "(", ")", "=", "!=", ">", "=~",
       "5", "'x'", "100ms", "null", "true", ".", "level", "error", "ts", "contains"]), max_size=9).map(" ".join),
       RECORDS)  # fmt: skip
def test_any_text_is_a_condition_or_a_sentence(text, record):
    """Whatever is typed and whatever stands in a record, there is an answer or one error with a place."""
    try:
        where = parse_where(text)
    except UsageError:
        return
    assert where.holds(record) in (True, False)


def plain(value):
    """How a value is written so that it means itself."""
    return json.dumps(value) if isinstance(value, float) else f"'{value}'"


COMPARISONS = st.builds(
    lambda name, op, value: (f"{name} {op} {plain(value)}", name, op, value),
    st.sampled_from("abc"),
    st.sampled_from([op for op in OPERATORS if op not in ("=~", "!~", "contains")]),
    st.floats(-9, 9).filter(lambda x: not math.isnan(x)).map(lambda x: round(x, 1)) | st.sampled_from(["x", "y", "7"]),
)
TREES = st.recursive(
    COMPARISONS.map(lambda one: ("leaf", one)),
    lambda inner: st.tuples(st.sampled_from(["and", "or"]), inner, inner) | st.tuples(st.just("not"), inner),
    max_leaves=6,
)
VALUES = st.dictionaries(st.sampled_from("abc"), st.integers(-9, 9) | st.sampled_from(["x", "y", "7", "-1"]))


def written(tree):
    """A tree as text, every part in parentheses."""
    kind, *parts = tree
    if kind == "leaf":
        return parts[0][0]
    if kind == "not":
        return f"not ({written(parts[0])})"
    return f"({written(parts[0])}) {kind} ({written(parts[1])})"


def naive(tree, fields):
    """What a tree means, told a second time as simply as can be."""
    kind, *parts = tree
    if kind == "not":
        return not naive(parts[0], fields)
    if kind in ("and", "or"):
        return (all if kind == "and" else any)(naive(part, fields) for part in parts)
    _, name, op, value = parts[0]
    if name not in fields:
        return False
    found = fields[name]
    try:
        found = float(found) if isinstance(value, float) else str(found)
    except ValueError:
        return False
    return {"=": found == value, "!=": found != value, "<": found < value, "<=": found <= value, ">": found > value,
            ">=": found >= value}[op]  # fmt: skip


@given(TREES, VALUES)
def test_conditions_agree_with_a_naive_reading(tree, fields):
    """Parsing and compiling change nothing in what the parts mean."""
    assert parse_where(written(tree)).holds(Record(b"", fields=fields)) == naive(tree, fields)
