"""Variables of dashboards are put into queries as Grafana puts them, and what cannot be is named."""

from __future__ import annotations

from typing import Any

import pytest

from meshdiag.checks.readings.dashboards.panels import read_board
from meshdiag.checks.readings.dashboards.variables import (
    ALL,
    Asks,
    Value,
    Variable,
    asks,
    built_in,
    choose,
    fill,
    matching,
    options_of,
    read_variable,
)

ONE = Value(("a.b",))
CHOSEN = Value(("a.b",), many=True)
TWO = Value(("a.b", "c|d"), many=True)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("up{x='$one'}", "up{x='a.b'}"),
        ("up{x='${one}'}", "up{x='a.b'}"),
        ("up{x='[[one]]'}", "up{x='a.b'}"),
        ("up{x=~'$chosen'}", "up{x=~'a\\\\.b'}"),
        ("up{x=~'$two'}", "up{x=~'(a\\\\.b|c\\\\|d)'}"),
        ("${two:regex}", r"(a\.b|c\|d)"),
        ("[[two:pipe]]", "a.b|c|d"),
        ("${two:csv}", "a.b,c|d"),
        ("${two:raw}", "a.b,c|d"),
        ("${two:glob}", "{a.b,c|d}"),
        ("${one:glob}", "a.b"),
        ("${two:json}", '["a.b","c|d"]'),
        ("${two:doublequote}", '"a.b","c|d"'),
        ("${two:singlequote}", "'a.b','c|d'"),
        ("${two:sqlstring}", "'a.b','c|d'"),
        ("${one:percentencode}", "a.b"),
        ("${two:percentencode}", "%7Ba.b%2Cc%7Cd%7D"),
        ("${one.text}", "a.b"),
        ("rate(x[${raw}])", "rate(x[.+])"),
        ('label_replace(x, "a", "$1", "b", "(.*)$")', 'label_replace(x, "a", "$1", "b", "(.*)$")'),
        ("$onemore", "$onemore"),
    ],
)
def test_every_way_to_write_a_variable(text: str, filled: str) -> None:
    """``$x``, ``${x}``, ``[[x]]`` and the formats; several values are a regular expression, and escaped as one."""
    values = {"one": ONE, "chosen": CHOSEN, "two": TWO, "raw": Value((".+",), many=True, raw=True)}
    assert fill(text, values).text == filled


def test_what_is_no_variable_and_what_has_no_value_are_told() -> None:
    """A name that nobody defined, and a variable that stands for nothing, are two things; ``$1`` is neither."""
    made = fill("a{x='$gone', y='$void', z='$1'} $gone", {"void": Value(())})
    assert made.text == "a{x='$gone', y='', z='$1'} $gone"
    assert (made.unknown, made.empty) == (("gone",), ("void",))


def test_the_built_in_ones_follow_the_window() -> None:
    """The range is the window, the interval a round thousandth of it and not below the panel's own, the rate interval
    four scrapes at least."""
    texts = {name: value.values[0] for name, value in built_in(3600, 1_000_000).items()}
    assert (texts["__interval"], texts["__rate_interval"], texts["__range"]) == ("15s", "60s", "3600s")
    assert (texts["__range_ms"], texts["__to"], texts["__from"]) == ("3600000", "1000000000", "996400000")
    assert built_in(86400, 0)["__interval"].values == ("120s",)
    assert built_in(86400, 0)["__rate_interval"].values == ("135s",)
    assert built_in(3600, 0, ">1m")["__interval"].values == ("60s",)
    assert built_in(3600, 0, "soon")["__interval"].values == ("15s",)


@pytest.mark.parametrize(
    ("current", "with_all", "all_value", "chosen"),
    [
        (("b",), False, "", Value(("b",))),
        (("gone",), False, "", Value(("a",))),
        ((), False, "", Value(("a",))),
        ((), True, "", Value(("a", "b"), many=True)),
        ((ALL,), True, "", Value(("a", "b"), many=True)),
        ((ALL,), True, ".*", Value((".*",), many=True, raw=True)),
        (("b",), True, ".*", Value(("b",), many=True)),
    ],
)
def test_a_dashboard_opens_with_what_was_saved(
    current: tuple[str, ...], with_all: bool, all_value: str, chosen: Value
) -> None:
    """The saved value where it still exists, else the first; All is the first where there is one."""
    variable = Variable("x", "query", many=with_all, with_all=with_all, all_value=all_value, current=current)
    assert choose(variable, ("a", "b")) == chosen


def test_no_options_are_no_value_and_say_why() -> None:
    """Unless All has a value of its own, which needs none."""
    assert choose(Variable("x", "query"), (), "nothing there") == Value((), why_empty="nothing there")
    assert choose(Variable("x", "query", with_all=True, all_value=".+"), ()).values == (".+",)


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("label_values(up, job)", Asks("label_values", "up", "job")),
        ("label_values(job)", Asks("label_values", "", "job")),
        ('label_values(a{b="c,d"},  e)', Asks("label_values", 'a{b="c,d"}', "e")),
        ("metrics(mesh_.*)", Asks("metrics", "mesh_.*")),
        ("query_result(sum(up) by (job))", Asks("query_result", "sum(up) by (job)")),
        ("label_names()", Asks("label_names", "")),
        ("up{job='x'}", Asks("", "up{job='x'}")),
    ],
)
def test_the_query_of_a_variable_is_understood(query: str, asked: Asks) -> None:
    """label_values, metrics, query_result, label_names, and plain series."""
    assert asks(query) == asked


def test_a_regex_cuts_values_down() -> None:
    """Between slashes or bare; the first group, or one named value, is what is left; a broken one is said."""
    values = ('up{node="a"} 1', 'up{node="b"} 1', "other")
    assert matching('/node="([^"]+)"/', values) == ("a", "b")
    assert matching('/node="(?<value>[^"]+)"/', values) == ("a", "b")
    assert matching("other", values) == ("other",)
    assert matching("/OTHER/i", values) == ("other",)
    with pytest.raises(ValueError, match="cannot be read"):
        matching("/(/", values)


def test_listed_values_may_have_names_and_commas() -> None:
    """``name : value``, and a comma that is escaped."""
    assert options_of(Variable("x", "custom", "a, one : 1,b\\,c")) == ("a", "1", "b,c")


def test_a_query_may_be_an_object_and_a_choice_a_list() -> None:
    """As newer Grafanas write them."""
    raw = {"name": "n", "type": "query", "query": {"query": "label_values(n)", "refId": "r"}, "multi": True}
    variable = read_variable({**raw, "current": {"text": ["a"], "value": ["a"]}})
    assert (variable.query, variable.current, variable.many) == ("label_values(n)", ("a",), True)


def test_panels_are_found_wherever_they_lie() -> None:
    """In rows of old schemas, in collapsed rows, side by side; a library panel is known by its name."""
    target = {"refId": "A", "expr": "up", "datasource": {"type": "prometheus", "uid": "p"}}
    panel: dict[str, Any] = {"title": "P", "type": "graph", "targets": [target], "datasource": "-- Mixed --"}
    board = read_board(
        {
            "title": "B",
            "rows": [{"title": "old", "repeat": "x", "panels": [panel]}],
            "panels": [
                {"type": "row", "title": "shut", "panels": [panel]},
                {**panel, "title": "side", "targets": [{"refId": "B", "expr": "up"}]},
                {"title": "L", "libraryPanel": {"uid": "l", "name": "Shared"}},
            ],
        }
    )
    assert [(one.title, one.row, one.repeat, one.library) for one in board.panels] == [
        ("P", "old", "x", ""),
        ("P", "shut", "", ""),
        ("side", "shut", "", ""),
        ("L", "shut", "", "Shared"),
    ]
    assert board.panels[0].queries[0].datasource.name == "p"
    assert not board.panels[2].queries[0].datasource, "of a Mixed panel a query without a datasource has the default"


@pytest.mark.parametrize(
    "body",
    [{}, {"panels": 3}, {"panels": [None, 4, {"targets": "x"}]}, {"templating": []}, {"rows": [{"panels": [[]]}]}],
)
def test_no_shape_breaks_the_reading(body: dict[str, Any]) -> None:
    """A file of whatever JSON is a dashboard, if need be an empty one."""
    assert read_board(body, "name").title == "name"
    assert "elements" in read_board({"spec": {"title": "new", "elements": {}}}).trouble
