"""The sample store: small, in order, found by labels."""

from __future__ import annotations

import tracemalloc

from meshdiag.promql.evaluator import instant
from meshdiag.promql.selectors import selectors
from meshdiag.promql.store import INDEXED, STALE_NAN, Store, is_stale

MOST_BYTES = 40
"""Bytes a sample, all of the store counted."""


def test_a_sample_takes_few_bytes() -> None:
    """An hour of samples of a thousand series stays within its bounds, labels and index included."""
    tracemalloc.start()
    before, _peak = tracemalloc.get_traced_memory()
    store = Store()
    for number in range(1000):
        series = store.series({"__name__": "x", "instance": f"n{number}", "job": "agent-mesh"})
        for moment in range(240):
            series.append(1_700_000_000_000 + moment * 15_000, number + moment * 0.1)
    after, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (after - before) / 240_000 <= MOST_BYTES


def test_samples_that_come_out_of_order_are_put_in_order() -> None:
    """A late sample stands where it belongs, and a second one of the same moment replaces the first."""
    store = Store()
    for moment, value in ((30, 3.0), (10, 1.0), (20, 2.0), (10, 1.5)):
        store.add({"__name__": "x"}, moment, value)
    (series,) = store.named("x")
    assert (list(series.times), list(series.values)) == ([10, 20, 30], [1.5, 2.0, 3.0])


def test_the_staleness_marker_survives_being_stored() -> None:
    """It is a NaN among NaNs that only its bits tell, and it ends a series at an instant."""
    store = Store()
    store.add({"__name__": "x", "kind": "ended"}, 1000, 1.0)
    store.add({"__name__": "x", "kind": "ended"}, 2000, STALE_NAN)
    store.add({"__name__": "x", "kind": "measured"}, 2000, float("nan"))
    assert is_stale(store.named("x")[0].values[1])
    answer = instant(store, "x", 2000)
    assert [one.labels["kind"] for one in answer.samples] == ["measured"]  # type: ignore[union-attr]


def test_a_series_without_samples_is_no_series() -> None:
    """Labels alone give no answer, and no error either."""
    store = Store()
    store.series({"__name__": "x"})
    assert instant(store, "x", 1000).samples == ()  # type: ignore[union-attr]
    assert instant(store, "count(rate(x[5m]))", 1000).samples == ()  # type: ignore[union-attr]


def test_a_large_metric_is_found_by_its_labels() -> None:
    """With an index or without, the same series are found, also those that came after it was made."""
    store = Store()
    for number in range(2 * INDEXED):
        store.add({"__name__": "x", "node": f"n{number % 10}", "peer": f"p{number}"}, 1000, float(number))
    queries = ('x{node="n3"}', 'x{node="n3",peer="p13"}', 'x{peer=~"p1.",node="n3"}', 'x{node="none"}', 'x{node=""}')
    counts = [len(store.select(selectors(query)[0])) for query in queries]
    assert counts == [2 * INDEXED // 10, 1, 1, 0, 0]
    store.add({"__name__": "x", "node": "n3"}, 1000, 1.0)
    store.add({"__name__": "x"}, 1000, 1.0)
    assert [len(store.select(selectors(query)[0])) for query in queries] == [counts[0] + 1, 1, 1, 0, 1]
