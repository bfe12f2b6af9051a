"""Who reaches whom: planted partitions, broken and slow links are found, and nothing else is."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from meshdiag.checks.readings.reachability import (
    Answers,
    Apart,
    Link,
    Seen,
    Way,
    components,
    link,
    reach,
    shared_ends,
    slowness,
    uneven,
)

FAST = Seen(True, 0.001)
LOST = Seen(False, None, "timeout")


def names(count: int) -> tuple[str, ...]:
    """Names for so many nodes."""
    return tuple(f"n{place}" for place in range(count))


def healthy(count: int) -> Answers:
    """A mesh in which all is well."""
    return dict.fromkeys(permutations(names(count), 2), FAST)


def test_a_healthy_mesh_is_one_piece() -> None:
    """Nothing is cut off, broken, slow or uneven."""
    found = reach(names(5), healthy(5))
    assert found.whole and found.parts == (names(5),) and not found.broken
    slow = slowness(healthy(5), limit_s=0.005)
    assert slow is not None and not slow.nodes and not slow.links
    assert uneven(healthy(5), times=5, floor_s=0) == ()


@given(count=st.integers(4, 12), data=st.data())
def test_a_planted_partition_is_named_with_exactly_its_nodes(count: int, data: st.DataObject) -> None:
    """However the mesh falls into two parts, the smaller one is named, and no link besides."""
    everyone = names(count)
    size = data.draw(st.integers(2, (count - 1) // 2 if count > 5 else 2))
    island = set(data.draw(st.permutations(everyone))[:size])
    answers = {pair: FAST if (pair[0] in island) is (pair[1] in island) else LOST for pair in permutations(everyone, 2)}
    found = reach(everyone, answers)
    if 2 * size == count:
        assert len(found.cuts) == 1
    else:
        assert [(set(cut.nodes), cut.how, cut.trouble) for cut in found.cuts] == [(island, Apart.ISLAND, "timeout")]
    assert not found.broken and not found.poor
    assert not found.whole


@given(count=st.integers(3, 12), data=st.data())
def test_a_closed_port_is_told_from_a_node_without_a_network(count: int, data: st.DataObject) -> None:
    """Nobody reaches it and it reaches all; it reaches nobody and all reach it; neither: three different answers."""
    everyone = names(count)
    node = data.draw(st.sampled_from(everyone))
    closed = {pair: LOST if pair[1] == node else FAST for pair in permutations(everyone, 2)}
    mute = {pair: LOST if pair[0] == node else FAST for pair in permutations(everyone, 2)}
    gone = {pair: LOST if node in pair else FAST for pair in permutations(everyone, 2)}
    unheard = {pair: seen for pair, seen in closed.items() if pair[0] != node}
    for answers, how in (
        (closed, Apart.UNREACHED),
        (mute, Apart.MUTE),
        (gone, Apart.ISLAND),
        (unheard, Apart.UNREACHED_UNHEARD),
    ):
        found = reach(everyone, answers)
        assert [(cut.nodes, cut.how) for cut in found.cuts] == [((node,), how)]
        assert not found.broken and not found.poor


@given(count=st.integers(4, 10), data=st.data())
def test_a_broken_link_is_named_and_its_ends_are_not(count: int, data: st.DataObject) -> None:
    """One link broken in both directions, or in one: that link, that direction, nothing else."""
    everyone = names(count)
    one, other = data.draw(st.permutations(everyone))[:2]
    both = healthy(count) | {(one, other): LOST, (other, one): LOST}
    found = reach(everyone, both)
    assert not found.cuts and not found.poor and not found.whole
    assert [(set(broken.pair), broken.one_way) for broken in found.broken] == [({one, other}, False)]
    found = reach(everyone, healthy(count) | {(one, other): LOST})
    assert [(broken.pair, broken.one_way) for broken in found.broken] == [((one, other), True)]
    assert found.whole


@given(st.integers(3, 10), st.data())
def test_what_nobody_looked_at_is_never_broken(count: int, data: st.DataObject) -> None:
    """Directions are left out at random: what is left all works, so nothing may be called cut off."""
    everyone = names(count)
    kept = data.draw(st.sets(st.sampled_from(list(permutations(everyone, 2)))))
    found = reach(everyone, dict.fromkeys(kept, FAST))
    assert found.whole and not found.broken
    assert sorted(name for part in found.parts for name in part) == sorted(everyone)


@settings(deadline=None)
@given(st.integers(2, 9), st.data())
def test_every_failed_direction_is_accounted_for(count: int, data: st.DataObject) -> None:
    """Whatever fails, each failed direction belongs to a cut, a poor node or a broken link: nothing is dropped."""
    everyone = names(count)
    states = st.sampled_from([FAST, LOST, None])
    answers = {pair: seen for pair in permutations(everyone, 2) if (seen := data.draw(states)) is not None}
    found = reach(everyone, answers)
    named = {name for cut in found.cuts for name in cut.nodes} | {end.name for end in found.poor}
    links = {frozenset(broken.pair) for broken in found.broken}
    for pair, seen in answers.items():
        if not seen.ok:
            assert named & set(pair) or frozenset(pair) in links, pair


def test_a_link_known_from_one_end_is_up_and_unknown_is_unknown() -> None:
    """One direction that works is enough while nobody says otherwise; none known is not down."""
    assert link({("a", "b"): FAST}, "b", "a") is Link.UP
    assert link({}, "a", "b") is Link.UNKNOWN
    assert link({("a", "b"): FAST, ("b", "a"): LOST}, "a", "b") is Link.ONE_WAY
    assert components("abcd", [("a", "b"), ("c", "d")]) == (("a", "b"), ("c", "d"))


@given(count=st.integers(5, 12), data=st.data())
def test_a_node_that_is_slow_from_everybody_is_named_instead_of_its_links(count: int, data: st.DataObject) -> None:
    """In one direction or both: the node, how many, and no single link."""
    everyone = names(count)
    node = data.draw(st.sampled_from(everyone))
    way = data.draw(st.sampled_from(Way))
    answers = healthy(count)
    for pair in answers:
        if (pair[1] == node and way is not Way.FROM) or (pair[0] == node and way is not Way.TO):
            answers[pair] = Seen(True, 0.080)
    slow = slowness(answers, limit_s=0.006)
    assert slow is not None
    directions = (count - 1) * (2 if way is Way.BOTH else 1)
    assert [(one.end.name, one.end.way, len(one.end.bad), one.end.known) for one in slow.nodes] == [
        (node, way, directions, directions)
    ]
    assert not slow.links


@given(count=st.integers(6, 12), data=st.data())
def test_slow_links_are_named_by_their_ends(count: int, data: st.DataObject) -> None:
    """Some links that share no end are slow: exactly these, each once, with the worse of its directions."""
    order = data.draw(st.permutations(names(count)))
    planted = {frozenset(order[place : place + 2]) for place in range(0, 2 * data.draw(st.integers(1, 2)), 2)}
    answers = {
        pair: Seen(True, 0.080 if pair[0] < pair[1] else 0.070) if frozenset(pair) in planted else FAST
        for pair in permutations(names(count), 2)
    }
    slow = slowness(answers, limit_s=0.006)
    assert slow is not None and not slow.nodes
    assert {frozenset(pair) for pair in slow.links} == planted and len(slow.links) == len(planted)
    assert set(slow.links.values()) == {0.080}


def test_two_slow_nodes_are_both_named() -> None:
    """What the worst node explains is set aside before the next one is looked at."""
    bad = [pair for pair in permutations(names(8), 2) if {"n1", "n2"} & set(pair)]
    ends, rest = shared_ends(bad, permutations(names(8), 2))
    assert {(end.name, end.way) for end in ends} == {("n1", Way.BOTH), ("n2", Way.BOTH)} and not rest


def test_an_uneven_link_is_told_with_its_slower_direction_first() -> None:
    """Five times slower one way is a finding; four times, or a difference that is noise, is none."""
    answers = healthy(3) | {("n0", "n1"): Seen(True, 0.050), ("n1", "n0"): Seen(True, 0.009)}
    (found,) = uneven(answers, times=5, floor_s=0.005)
    assert (found.pair, found.there_s, found.back_s) == (("n0", "n1"), 0.050, 0.009)
    assert not uneven(answers, times=6, floor_s=0.005)
    assert not uneven(answers, times=5, floor_s=0.050)
