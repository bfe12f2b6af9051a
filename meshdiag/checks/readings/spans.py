"""Where the time of a trace went: which spans waited for which, each span's own time, the critical path.

Self time is what a span took while none of those it waits for was running. The critical path is the chain of work
that the end of the trace waited for: making anything else faster would change nothing. Found as Jaeger's web page and
CRISP (Zhang et al., "CRISP: Critical Path Analysis of Large-Scale Microservice Architectures", USENIX ATC 2022) do:
from the end backwards, always to the child that ended last before.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshdiag.sources.traces.trace import Span, Trace

NO_TIME_S = 2e-6
"""Stores round to microseconds: a child may seem to end so much after it did."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Work:
    """A span in its place. ``depth`` is 0 for the root. ``self_s``: its own seconds, its children's left out.
    ``critical``: the parts of its own time that lie on the critical path, in seconds since the epoch, in order."""

    span: Span
    depth: int
    self_s: float
    critical: tuple[Interval, ...] = ()

    @property
    def critical_s(self) -> float:
        """Its seconds on the critical path."""
        return sum(end - begin for begin, end in self.critical)


def work_of(trace: Trace) -> tuple[Work, ...]:
    """Every span with where its time went, each after its parent, children in the order of their start. Spans whose
    parent never arrived follow the root's, at depth 0."""
    tree = _Tree(trace.spans)
    path = tree.critical_path(trace.root)
    return tuple(
        Work(trace.spans[place], depth, tree.self_s(place), tuple(sorted(path.get(place, ()))))
        for place, depth in tree.in_order(trace.root)
    )


def waited_for(work: Sequence[Work]) -> Work:
    """The span that has most of the critical path to itself: what a slow request waits for."""
    return max(work, key=lambda one: (one.critical_s, -one.depth))


class _Tree:
    """The spans by their places in the trace; ids need not be unique (a client and its server may share one)."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans
        first: dict[str, int] = {}
        for place, span in enumerate(spans):
            first.setdefault(span.id, place)
        self._children: Mapping[int, list[int]] = defaultdict(list)
        self._known = first
        for place, span in enumerate(spans):
            parent = first.get(span.parent) if span.parent else None
            if parent is not None and parent != place:
                self._children[parent].append(place)

    def in_order(self, root: Span) -> Iterator[tuple[int, int]]:
        """Places and depths: the root's tree first, then every other, each span once."""
        begin = self._place(root)
        others = [place for place, span in enumerate(self._spans) if place != begin and span.parent not in self._known]
        seen: set[int] = set()
        # What stands in a ring of parents has no beginning; it is told as well, last.
        for top in (begin, *others, *range(len(self._spans))):
            stack = [(top, 0)]
            while stack:
                place, depth = stack.pop()
                if place in seen:
                    continue
                seen.add(place)
                yield place, depth
                stack += [(child, depth + 1) for child in reversed(self._children.get(place, ()))]

    def self_s(self, place: int) -> float:
        """A span's seconds while none of its children was running. One that merely follows does not count."""
        covered = _covered(
            within for child in self._children.get(place, ()) if (within := self._within(child, place)) is not None
        )
        return max(0.0, self._spans[place].duration_s - covered)

    def critical_path(self, root: Span) -> dict[int, list[Interval]]:
        """By place, the parts of its own time that the end of the root waited for."""
        path: dict[int, list[Interval]] = defaultdict(list)
        stack = [(self._place(root), root.start_s, root.end_s)]
        seen: set[int] = set()
        while stack:
            place, floor, cursor = stack.pop()
            if place in seen:
                continue
            seen.add(place)
            for began, end, child in self._ended_last_first(place):
                begin = max(began, floor)
                if end > cursor + NO_TIME_S or begin >= min(end, cursor) or child in seen:
                    continue
                if end < cursor:
                    path[place].append((end, cursor))
                stack.append((child, begin, min(end, cursor)))
                cursor = begin
            if cursor > floor:
                path[place].append((floor, cursor))
        return path

    def _ended_last_first(self, place: int) -> list[tuple[float, float, int]]:
        """Begin, end and place of the children that a span waited for."""
        within = ((self._within(child, place), child) for child in self._children.get(place, ()))
        return sorted(
            ((begin_end[0], begin_end[1], child) for begin_end, child in within if begin_end is not None),
            key=lambda one: (-one[1], -one[0], one[2]),
        )

    def _within(self, child: int, parent: int) -> Interval | None:
        """When a child ran, cut to its parent's time; None when they never ran together, as when it follows its parent
        or the clocks of two machines differ by more than it took."""
        one, over = self._spans[child], self._spans[parent]
        if one.follows:
            return None
        begin, end = max(one.start_s, over.start_s), min(one.end_s, over.end_s)
        return (begin, end) if begin < end else None

    def _place(self, span: Span) -> int:
        return next(place for place, one in enumerate(self._spans) if one is span)


def _covered(intervals: Iterable[Interval]) -> float:
    """How many seconds lie in at least one of the intervals."""
    total, until = 0.0, float("-inf")
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total
