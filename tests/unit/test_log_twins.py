"""Records that stand in several files at once come out once; records that only look alike all come out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.logs import twins
from meshdiag.logs.record import Level, Record
from meshdiag.logs.tally import Tally
from meshdiag.logs.twins import Known, once


def json_one(time: int | None, message: str, node: str = "a", level: Level = Level.INFO) -> Record:
    """A record of the JSON log."""
    return Record(b"{}", time, level, "mesh", node, message, {"message": message, "node": node}, "a.json")


def text_one(time: int | None, message: str, node: str = "a", level: Level = Level.INFO, file: str = "a.log") -> Record:
    """The same in a text log."""
    return Record(b"text", time, level, "mesh", node, f"node={node} {message}", {}, file)


def test_of_twins_the_one_that_says_most_stays():
    """JSON goes before text, in whatever order they come; the others are counted."""
    tally = Tally()
    tally.matched = 5
    j, t, c = json_one(1, "lost"), text_one(1, "lost"), text_one(1, "lost", file="c.log")
    other = text_one(2, "found")
    assert list(once([t, j, c, other, text_one(2, "found", file="c.log")], tally)) == [j, other]
    assert tally.matched == 2
    assert tally.notes == ["3 records that another of the files holds as well are left out"]


@pytest.mark.parametrize(
    "one",
    [
        text_one(2, "lost"),
        text_one(1, "found"),
        text_one(1, "lost1"),
        text_one(1, "1lost"),
        text_one(1, "lost", node="b"),
        text_one(1, "lost", level=Level.WARN),
        text_one(None, "lost"),
        text_one(1, "lost", file="a.json"),
    ],
)
def test_what_differs_in_anything_is_no_twin(one):
    """Another time, node, level or text, no time at all, or the same file: both stay."""
    tally = Tally()
    records = [json_one(1, "lost"), one]
    assert list(once(records, tally)) == records
    assert tally.notes == []


RECORDS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["x", "y", "xy"]), st.sampled_from(["a", "b"])), max_size=12
)


@given(RECORDS)
def test_each_record_of_one_file_stays(told):
    """Whatever a single file repeats is its own affair: nothing of it is left out."""
    records = [json_one(time, message, node) for time, message, node in sorted(told)]
    assert list(once(records, Tally())) == records


@given(RECORDS)
def test_nothing_is_lost_that_no_other_file_says(told):
    """Text beside JSON of the same events: what comes out is the JSON, in its order."""
    events = sorted(set(told))
    both = [make(*event) for event in events for make in (json_one, text_one)]
    assert list(once(sorted(both, key=lambda one: one.time_ns or 0), Tally())) == [json_one(*one) for one in events]


def test_a_coarse_clock_does_not_make_it_slow(monkeypatch):
    """Where very many records bear one time, they are compared in bounded portions."""
    monkeypatch.setattr(twins, "MOST", 10)
    records = [text_one(1, str(n)) for n in range(100)]
    assert list(once(records, Tally())) == records


@given(RECORDS, st.randoms(use_true_random=False))
def test_records_that_come_one_by_one_are_told_once(told, random):
    """Followed, text may come before its JSON or long after: of each event one record is given out, the first."""
    events = [(time, f"{message}{place}", node) for place, (time, message, node) in enumerate(told)]
    arriving = [make(*event) for event in events for make in (json_one, text_one)]
    random.shuffle(arriving)
    tally = Tally()
    known = Known(tally)
    given_out = [one for one in arriving if known.new(one)]
    assert sorted((one.time_ns, one.message.rpartition(" ")[2], one.node) for one in given_out) == sorted(events)
    assert len(tally.notes) == bool(events)


def test_what_a_file_repeats_has_as_many_twins():
    """Two lines alike in one file are two, also when the other file's come between them."""
    known = Known(Tally())
    told = [json_one(1, "x"), text_one(1, "x"), json_one(1, "x"), text_one(1, "x"), text_one(1, "x")]
    assert [known.new(one) for one in told] == [True, False, True, False, True]
