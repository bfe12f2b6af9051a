"""A query that does not parse says where, and what was expected there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshdiag.errors import QueryError
from meshdiag.promql.parsing import MAX_DEPTH, MAX_QUERY, parse

CASES = Path(__file__).parents[3] / "shared" / "data" / "promql" / "parse_cases.jsonl"


@pytest.mark.parametrize(
    ("query", "column", "words"),
    [
        ("sum(rate(x[5m])", 4, "never closed"),
        ("rat(x[5m])", 1, "did you mean rate?"),
        ("up{job=agent}", 8, "expected string"),
        ("up{code=500}", 9, "expected a quoted string"),
        ("up ==", 6, "found the end, expected a metric, number or function"),
        ("x y", 3, "found 'y', expected an operator or the end"),
        ("a / / b", 5, "found '/'"),
        ("max by instance (x)", 8, "found 'instance', expected '('"),
        ("topk(3 x)", 8, "expected an operator or ',' or ')'"),
        ("up && down", 4, "did you mean and?"),
        ("up = 1", 4, "did you mean ==?"),
        ("up || down", 4, "did you mean or?"),
        ("rate(x[5m]) by (job)", 13, "it belongs to an aggregation"),
        ("sum(sum(x[5m]))", 5, "a range has many values a series"),
        ("-x[5m]", 1, "only allowed on expressions of type scalar or vector"),
        ("rate(sum(x)[5m])", 12, "a subquery, such as [5m:1m]"),
        ("quantile('a', x)", 1, "expected type scalar"),
        ("x @", 4, "seconds since 1970, start() or end()"),
        ("1 + 0x", 5, "'0x' is not a number"),
        ("x{a}", 4, "found '}', expected one of = != =~ !~"),
        ('x{a=="b"}', 4, "found '==', expected one of = != =~ !~"),
        ("x + foo.bar", 8, 'such a name is quoted: {"foo.bar"}'),
        ("x{__name__='y'}", 12, "metric name must not be set twice"),
        ("rate(x[5 m])", 10, "expected ']'"),
        ("x[]", 3, "expected a duration"),
        ("x offset", 9, "expected a duration"),
        ("rate(x)", 1, "it needs a range, such as x[5m]"),
        ("up{job='x}", 8, "never closed"),
        ('x{a=~"("}', 6, "the regular expression '(' cannot be used: missing )"),
        ("1 < 2", 3, "must use BOOL"),
        ("rate(x[5m]) +\n foo)", 5, "found ')'"),
        ('label_replace(x, "a")', 1, "expected 5 argument(s)"),
    ],
)
def test_the_caret_stands_under_the_place(query: str, column: int, words: str) -> None:
    """The message has the column, what was expected, the line and a caret below the right character."""
    with pytest.raises(QueryError) as refused:
        parse(query)
    first, line, caret = refused.value.message.split("\n")
    assert words in first
    assert f"at column {column}" in first
    assert caret.index("^") - 2 == column - 1
    assert line.strip() in query


def test_what_cannot_be_seen_is_written_out() -> None:
    """A control character in a query is named by its code, and stands as one column above the caret."""
    with pytest.raises(QueryError) as refused:
        parse("up\x1b[31m")
    assert "found '\\x1b'" in refused.value.message
    assert "\x1b" not in refused.value.message


def test_long_queries_are_cut_around_the_place() -> None:
    """A query of several thousand characters does not fill the screen."""
    query = " + ".join(["metric_name"] * 100) + " + + * x"
    with pytest.raises(QueryError) as refused:
        parse(query)
    assert all(len(line) < 120 for line in refused.value.message.splitlines())
    assert "found '*'" in refused.value.message


@pytest.mark.parametrize("query", ["", "  ", "# only a comment", "x" * (MAX_QUERY + 1), "(" * 5000 + "x" + ")" * 5000])
def test_empty_and_monstrous_queries_are_refused(query: str) -> None:
    """One clear sentence, no crash, whatever the size."""
    with pytest.raises(QueryError):
        parse(query)


@pytest.mark.parametrize(
    "query",
    [
        *("x[99999999y]", "x offset 99999999y", "x offset -1e300", "x @ 1e300", "x @ 253402300800", "x @ -1"),
        *("x[1e18]", "x[5m:99999999y]", "x[0.0001]", "x[5m:0.0001]", "x @ NaN"),
    ],
)
def test_times_that_no_clock_knows_are_refused(query: str) -> None:
    """Durations of a million years and moments beyond the calendar are one clear sentence, no crash."""
    with pytest.raises(QueryError):
        parse(query)


def test_nesting_has_a_limit_that_nobody_meets() -> None:
    """Deep but sane queries parse."""
    parse("(" * (MAX_DEPTH - 1) + "x" + ")" * (MAX_DEPTH - 1))
    parse("-" * 150 + "x")


def test_constructs_of_other_dialects_are_named() -> None:
    """VictoriaMetrics's or between matchers parses in the library, and is refused by name."""
    with pytest.raises(QueryError, match="VictoriaMetrics"):
        parse('{a="b" or c="d"}')


def _cases() -> list[dict[str, object]]:
    if not CASES.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{CASES} is missing")
        return []
    return [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]


@pytest.mark.skipif(not _cases(), reason="the parse cases are not at hand")
def test_what_prometheus_refuses_is_refused_with_a_sentence() -> None:
    """Of the invalid expressions of Prometheus's own parser tests nearly all are refused, none crashes; nearly all
    valid ones parse (durations with arithmetic, which are experimental, do not)."""
    accepted_wrongly, refused_wrongly = [], []
    for case in _cases():
        if "input" not in case:
            continue
        try:
            parse(str(case["input"]))
        except QueryError as error:
            assert error.message
            if case["valid"]:
                refused_wrongly.append(case["input"])
        else:
            if not case["valid"]:
                accepted_wrongly.append(case["input"])
    assert len(accepted_wrongly) <= 1, accepted_wrongly
    assert len(refused_wrongly) <= 8, refused_wrongly


WORDS = (
    *("up", "sum", "by", "(", ")", "{", "}", "[", "]", "5m", "1", "+", "==", ",", '"', "'", "rate", "x", "=", "=~"),
    *('"a"', "offset", "@", "-", "and", "\n", "#", "\\"),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=9))
def test_no_text_crashes_the_search_for_the_place(words: list[str]) -> None:
    """Any jumble of tokens parses or is refused with one QueryError."""
    try:
        parse(" ".join(words))
    except QueryError as error:
        assert error.message
