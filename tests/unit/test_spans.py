"""Where a trace's time went: held against counting tick by tick, and against what must hold of any trace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.checks.readings.spans import waited_for, work_of
from meshdiag.render.waterfall import waterfall
from meshdiag.sources.traces.trace import Span, Trace

TICK = 0.001


def span(name: str, parent: str, begin: int, end: int, **more: object) -> Span:
    """A span in ticks of a millisecond."""
    return Span(name, parent, f"service-{name}", "work", begin * TICK, (end - begin) * TICK, **more)  # type: ignore[arg-type]


def trace(*spans: Span) -> Trace:
    """A trace of these spans."""
    return Trace("abc", tuple(sorted(spans, key=lambda one: one.start_s)))


@st.composite
def nested(draw: st.DrawFn) -> Trace:
    """A tree in which every child runs within its parent, siblings side by side or after each other."""
    made = [span("0", "", 0, draw(st.integers(10, 60)))]
    for number in range(1, draw(st.integers(1, 9))):
        parent = draw(st.sampled_from(made))
        begin = draw(st.integers(round(parent.start_s / TICK), round(parent.end_s / TICK)))
        made.append(span(str(number), parent.id, begin, draw(st.integers(begin, round(parent.end_s / TICK)))))
    return trace(*made)


@st.composite
def anything(draw: st.DrawFn) -> Trace:
    """Spans with any parents, rings and doubled ids included, at any times, whole ticks apart."""
    ids = st.sampled_from("abcde")
    moments = st.integers(0, 50)
    one = st.tuples(ids, st.one_of(ids, st.just("")), moments, moments, st.booleans())
    made = [
        span(name, parent, begin, begin + took, follows=follows)
        for name, parent, begin, took, follows in draw(st.lists(one, min_size=1, max_size=9))
    ]
    return trace(*made)


@given(nested())
def test_self_time_is_what_counting_ticks_gives(one: Trace) -> None:
    """A tick is a span's own when it runs and none of its children does."""
    for work in work_of(one):
        children = [child for child in one.spans if child.parent == work.span.id]
        begin, end = round(work.span.start_s / TICK), round(work.span.end_s / TICK)
        own = sum(
            not any(child.start_s <= (tick + 0.5) * TICK < child.end_s for child in children)
            for tick in range(begin, end)
        )
        assert work.self_s == pytest.approx(own * TICK, abs=TICK / 100)


@given(nested())
def test_the_critical_path_fills_the_request_from_end_to_end(one: Trace) -> None:
    """Its pieces lie within their spans, never two at a time, and leave no gap."""
    pieces = []
    for work in work_of(one):
        for begin, end in work.critical:
            assert work.span.start_s - TICK / 100 <= begin < end <= work.span.end_s + TICK / 100
            pieces.append((begin, end))
    pieces.sort()
    at = one.root.start_s
    for begin, end in pieces:
        assert begin == pytest.approx(at, abs=TICK / 100)
        at = end
    assert at == pytest.approx(one.root.end_s, abs=TICK / 100)


@given(anything())
def test_every_span_is_told_once_whatever_a_store_sends(one: Trace) -> None:
    """Rings, doubled ids, children outside their parents: no loop, no span lost, no time made up, lines that fit."""
    work = work_of(one)
    assert sorted(id(each.span) for each in work) == sorted(map(id, one.spans))
    assert all(0 <= each.self_s <= each.span.duration_s + 1e-9 for each in work)
    assert sum(each.critical_s for each in work) <= one.root.duration_s + 1e-9
    assert all(len(line) <= 80 for line in waterfall(one, work, width=80).splitlines())


def test_what_ran_beside_does_not_count_as_waited_for() -> None:
    """Of two parallel children the one that ended last is on the path, with what the parent did before and after."""
    root = span("root", "", 0, 100)
    long, short = span("long", "root", 10, 80), span("short", "root", 10, 40)
    work = {one.span.id: one for one in work_of(trace(root, long, short))}
    assert work["long"].critical_s == pytest.approx(0.070)
    assert work["short"].critical == ()
    assert work["root"].critical_s == pytest.approx(0.030) and work["root"].self_s == pytest.approx(0.030)
    assert waited_for(list(work.values())).span is long


def test_what_merely_follows_is_not_waited_for() -> None:
    """A FOLLOWS_FROM span takes nothing from its parent's own time."""
    work = work_of(trace(span("root", "", 0, 100), span("after", "root", 50, 90, follows=True)))
    assert work[0].self_s == pytest.approx(0.1) and work[1].critical == ()


def test_a_chain_of_thousands_is_no_trouble() -> None:
    """Depth is not bounded by the interpreter's stack."""
    spans = [span(str(n), str(n - 1) if n else "", n, 20_000 - n) for n in range(5_000)]
    work = work_of(trace(*spans))
    assert len(work) == 5_000 and work[-1].depth == 4_999
    shown = waterfall(trace(*spans), work, width=80)
    assert "4800 shorter spans are not shown" in shown


def test_hostile_names_do_nothing_to_the_terminal() -> None:
    """Control characters are written out, and long names cut."""
    bad = Span("a", "", "x\x1b[2J\u202e", "o" * 500, 0.0, 1.0, error=True)
    shown = waterfall(trace(bad), work_of(trace(bad)), width=80, ascii_only=True)
    assert "\x1b" not in shown and "\u202e" not in shown and shown.isascii()
    assert all(len(line) <= 80 for line in shown.splitlines())
