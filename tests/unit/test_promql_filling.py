"""A store filled from recorded answers and from text with timestamps holds what a Prometheus would."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from meshdiag.errors import SourceError
from meshdiag.metrics import Matrix, Sample, Series, Vector
from meshdiag.promql.filling import add_answer, add_json
from meshdiag.promql.store import Store
from meshdiag.sources.scrape.history import load_text

RECORDED = Path(__file__).parents[1] / "contract" / "recordings"


def held(store: Store, name: str) -> dict[tuple[str, ...], list[tuple[int, float]]]:
    """Everything of a metric: times and values by the values of its labels but the name."""
    return {
        tuple(text for key, text in sorted(series.labels.items()) if key != "__name__"): list(
            zip(series.times, series.values, strict=True)
        )
        for series in store.named(name)
    }


def test_answers_are_added_to_what_is_there() -> None:
    """A vector adds a sample a series, a matrix columns; they go into the same series by their labels."""
    store = Store()
    labels = {"__name__": "x", "instance": "n1"}
    assert add_answer(store, Matrix((Series(labels, [1.0, 2.0], [5.0, 6.0]),))) == 2
    assert add_answer(store, Vector((Sample(labels, 7.0, 3.0), Sample(labels | {"instance": "n2"}, 1.0, 3.0)))) == 2
    assert held(store, "x") == {("n1",): [(1000, 5.0), (2000, 6.0), (3000, 7.0)], ("n2",): [(3000, 1.0)]}


def test_json_is_read_as_the_api_gives_it() -> None:
    """Whole answers and their data alone, with values as text; what is no vector or matrix is refused by one
    sentence."""
    store = Store()
    values = [[1, "NaN"], [2, "+Inf"], [3.5, "4e3"]]
    data = {"resultType": "matrix", "result": [{"metric": {"__name__": "x"}, "values": values}]}
    assert add_json(store, {"status": "success", "data": data}) == 3
    vector = {"resultType": "vector", "result": [{"metric": {"__name__": "y"}, "value": [1, "2"]}]}
    assert add_json(store, vector) == 1
    (x,) = held(store, "x").values()
    assert math.isnan(x[0][1])
    assert x[1:] == [(2000, math.inf), (3500, 4000.0)]
    assert held(store, "y") == {(): [(1000, 2.0)]}


@pytest.mark.parametrize(
    "text",
    [
        *('{"resultType": "scalar", "result": [1, "2"]}', "[]", '"x"', '{"status": "error", "error": "no"}', "null"),
        '{"resultType": "vector", "result": [{"metric": {"a": 1}, "value": [1, "2"]}]}',
        '{"resultType": "vector", "result": [{"metric": {}, "value": ["x", "y"]}]}',
        '{"resultType": "matrix", "result": [{"metric": {}, "values": [[1e300, "1"]]}]}',
        '{"resultType": "matrix", "result": 5}',
    ],
)
def test_other_json_is_refused(text: str) -> None:
    """Whatever a file holds, it is one clear error and never a traceback."""
    with pytest.raises(SourceError, match="no answer of Prometheus's query API"):
        add_json(Store(), json.loads(text))


def test_recorded_answers_of_real_servers_load() -> None:
    """Every recorded vector and matrix is taken whole."""
    loaded = 0
    for path in sorted(RECORDED.glob("*/*.json")):
        body = json.loads(path.read_text())["response"].get("body")
        data = body.get("data") if isinstance(body, dict) else None
        if isinstance(data, dict) and data.get("resultType") in ("vector", "matrix"):
            add_json(Store(), body)
            loaded += 1
    assert loaded > 5


TEXT = b"""# HELP x what it is
# TYPE x counter
x_total{a="b c"} 1 10
x_total{a="b c"} 2 20.5
x_total{a="other"} 3 20.5 # {trace="1"} 0.5
# EOF
"""


def test_text_with_timestamps_is_loaded() -> None:
    """Seconds in OpenMetrics, milliseconds in the text format, exemplars passed over."""
    store = Store()
    loaded = load_text(store, TEXT)
    assert (loaded.samples, loaded.problems) == (3, [])
    assert held(store, "x_total") == {("b c",): [(10_000, 1.0), (20_500, 2.0)], ("other",): [(20_500, 3.0)]}
    store = Store()
    load_text(store, b"y 1 1500\ny 2 2500\n", openmetrics=False)
    assert held(store, "y") == {(): [(1500, 1.0), (2500, 2.0)]}


def test_lines_that_cannot_be_loaded_are_named() -> None:
    """The number of the line and what is wrong with it; everything else is there."""
    store = Store()
    text = b'x 1 1\nx 2\ny{a= 3 3\nx 4 1e999\nx 5 1e20\nx{a="b"} 6 6\nx nan 7\n\nx 8 x\n# EOF\n'
    loaded = load_text(store, text)
    assert held(store, "x").keys() == {(), ("b",)}
    assert loaded.samples == 3
    assert [problem.split(":")[0] for problem in loaded.problems] == ["line 2", "line 3", "line 4", "line 5", "line 9"]
    assert "no timestamp" in loaded.problems[0]
    assert load_text(Store(), b"x 2\n# EOF\n", at=5.0).samples == 1
    assert "cut short" in load_text(Store(), b"x 1 1\n").problems[0]
