"""Who reaches whom, from what every node sees of the others: partitions, broken and one-way links, slow ones.

Plain functions over the answers of pairs. A direction that nobody could look at is unknown, never broken. Where many
links share an end, the end is named instead of the links.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from typing import TYPE_CHECKING

from meshdiag.checks.readings.middle import median

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MOST_OF = 0.6
"""The share of a node's links that must be bad for the node itself to be named."""
FEWEST = 3
"""Fewer bad directions than this point at a link, not at the node at its end."""

Pair = tuple[str, str]
"""From one node to another, by name."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How one node sees another: whether it reaches it, how long that takes (seconds), why not (``refused``,
    ``timeout`` …)."""

    ok: bool
    duration_s: float | None = None
    trouble: str = ""


Answers = dict[Pair, Seen]
"""What is known, by direction. What is not in it is unknown."""


class Link(StrEnum):
    """Whether two nodes can talk: in both directions as far as they are known, in one alone, in none."""

    UP = "up"
    ONE_WAY = "one-way"
    DOWN = "down"
    UNKNOWN = "unknown"


def link(answers: Mapping[Pair, Seen], one: str, other: str) -> Link:
    """The state of the link between two nodes."""
    known = [seen.ok for seen in (answers.get((one, other)), answers.get((other, one))) if seen is not None]
    if not known:
        return Link.UNKNOWN
    if all(known):
        return Link.UP
    return Link.ONE_WAY if any(known) else Link.DOWN


def components(names: Iterable[str], linked: Iterable[Pair]) -> tuple[tuple[str, ...], ...]:
    """The connected components of a graph, the largest first, names in the order given."""
    order = {name: place for place, name in enumerate(names)}
    near: dict[str, list[str]] = {name: [] for name in order}
    for one, other in linked:
        near[one].append(other)
        near[other].append(one)
    found: list[tuple[str, ...]] = []
    left = dict.fromkeys(order)
    while left:
        queue = [next(iter(left))]
        group = set(queue)
        while queue:
            fresh = [name for name in near[queue.pop()] if name not in group]
            group.update(fresh)
            queue.extend(fresh)
        left = {name: None for name in left if name not in group}
        found.append(tuple(sorted(group, key=order.__getitem__)))
    return tuple(sorted(found, key=lambda group: (-len(group), order[group[0]])))


class Apart(StrEnum):
    """How a node, or a few, are cut off from the rest."""

    ISLAND = "island"
    """They see each other (or there is one alone), and nobody else, and nobody sees them."""
    UNREACHED = "unreached"
    """Nobody reaches it, though it reaches others: its port is closed, or filtered."""
    MUTE = "mute"
    """It reaches nobody, though others reach it."""
    UNREACHED_UNHEARD = "unreached-unheard"
    """Nobody reaches it; what it reaches itself could not be asked."""
    MUTE_UNTRIED = "mute-untried"
    """It reaches nobody; nobody was asked whether they reach it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A part of the mesh that is cut off. ``trouble`` is what most of those who tried heard."""

    nodes: tuple[str, ...]
    how: Apart
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """A link that no longer works inside a part that hangs together: neither direction (``one_way`` false; as far as
    they are known), or from ``pair[0]`` to ``pair[1]`` alone does not."""

    pair: Pair
    trouble: str = ""
    one_way: bool = False
    other_unknown: bool = False


@dataclass(frozen=True, slots=True)
class Reach:
    """Who reaches whom. ``parts``: the connected components, the largest first. ``poor``: nodes at which most
    of the directions that are known fail; these are not in ``broken``."""

    parts: tuple[tuple[str, ...], ...]
    cuts: tuple[Cut, ...] = ()
    poor: tuple[End, ...] = ()
    broken: tuple[Broken, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing known is cut off or broken in both directions."""
        return not (self.cuts or self.poor or [one for one in self.broken if not one.one_way])


def reach(names: Sequence[str], answers: Mapping[Pair, Seen]) -> Reach:
    """Sort out who is cut off from whom, down to single links."""
    cuts = {name: cut for name in names if (cut := _cut(name, names, answers))}
    pairs = [(one, other) for one, other in combinations(names, 2) if link(answers, one, other) is Link.UP]
    parts = components(names, pairs)
    islands = _islands(parts, cuts, answers)
    outside = {name for island in islands for name in island.nodes} | set(cuts)
    poor, broken = _broken(names, answers, outside)
    return Reach(parts, (*islands, *cuts.values()), poor, broken)


def _cut(name: str, names: Sequence[str], answers: Mapping[Pair, Seen]) -> Cut | None:
    """Whether one node is cut off by itself: all the directions from it, or to it, that are known fail."""
    outward = [answers[name, other] for other in names if (name, other) in answers]
    inward = [answers[other, name] for other in names if (other, name) in answers]
    reaches, reached = any(seen.ok for seen in outward), any(seen.ok for seen in inward)
    if (reaches and reached) or len(names) < 3 or not (inward or outward):
        return None
    if not inward:
        return None if reaches else Cut((name,), Apart.MUTE_UNTRIED, common_trouble(outward))
    if reached:
        return None if not outward else Cut((name,), Apart.MUTE, common_trouble(outward))
    if not outward:
        return Cut((name,), Apart.UNREACHED_UNHEARD, common_trouble(inward))
    how = Apart.UNREACHED if reaches else Apart.ISLAND
    return Cut((name,), how, common_trouble(inward))


def _islands(
    parts: Sequence[tuple[str, ...]], cuts: Mapping[str, Cut], answers: Mapping[Pair, Seen]
) -> tuple[Cut, ...]:
    """The parts, beside the largest, that see each other and nobody else: every known link out of them is down."""
    found = []
    for part in parts[1:]:
        if len(part) == 1 and (part[0] in cuts or len(parts) == 2 == sum(map(len, parts))):
            continue
        inside = set(part)
        across = [seen for (one, other), seen in answers.items() if (one in inside) is not (other in inside)]
        if across and not any(seen.ok for seen in across):
            found.append(Cut(part, Apart.ISLAND, common_trouble(across)))
    return tuple(found)


def _broken(
    names: Sequence[str], answers: Mapping[Pair, Seen], outside: set[str]
) -> tuple[tuple[End, ...], tuple[Broken, ...]]:
    """The broken links between nodes that are not cut off: by the node where most of them end, else one by one."""
    inside = [name for name in names if name not in outside]
    known = {pair: seen for pair, seen in answers.items() if pair[0] not in outside and pair[1] not in outside}
    poor, rest = shared_ends([pair for pair, seen in known.items() if not seen.ok], known)
    left = set(rest)
    pairs = [pair for pair in combinations(inside, 2) if {pair, pair[::-1]} & left]
    return poor, tuple(_link_of(one, other, known) for one, other in pairs)


def _link_of(one: str, other: str, known: Mapping[Pair, Seen]) -> Broken:
    """A broken link in words: at least one of its directions fails."""
    there, back = known.get((one, other)), known.get((other, one))
    if there is not None and not there.ok:
        return Broken((one, other), there.trouble, bool(back and back.ok), back is None)
    assert back is not None
    return Broken((other, one), back.trouble, bool(there and there.ok), there is None)


def common_trouble(seen: Iterable[Seen]) -> str:
    """What most of the failed tries heard."""
    heard = Counter(one.trouble for one in seen if not one.ok and one.trouble)
    return heard.most_common(1)[0][0] if heard else ""


class Way(StrEnum):
    """Which of a node's directions are meant."""

    BOTH = "both"
    TO = "to"
    """From the others to it."""
    FROM = "from"


@dataclass(frozen=True, slots=True)
class End:
    """A node that most bad directions share: ``bad`` of the ``known`` ones of its ``way``."""

    name: str
    way: Way
    bad: tuple[Pair, ...]
    known: int


def shared_ends(bad: Iterable[Pair], known: Iterable[Pair]) -> tuple[tuple[End, ...], tuple[Pair, ...]]:
    """The nodes at which most of the known directions (from them, to them, or both) are bad, the worst first, and the
    bad pairs that none of them explains."""
    bad, known = set(bad), set(known)
    ends: list[End] = []
    while bad:
        counts, alls = _by_side(bad), _by_side(known)
        worst = max(counts, key=lambda side: (counts[side] / alls[side], counts[side], side))
        if counts[worst] < FEWEST or counts[worst] < MOST_OF * alls[worst]:
            break
        name, way = worst
        mine = {pair for pair in known if _is_of(pair, name, way)}
        ends.append(End(name, way, tuple(sorted(bad & mine)), len(mine)))
        bad, known = bad - mine, known - mine
    return tuple(ends), tuple(sorted(bad))


def _by_side(pairs: Iterable[Pair]) -> Counter[tuple[str, Way]]:
    """How many directions each node has: from it, to it, and both."""
    sides: Counter[tuple[str, Way]] = Counter()
    for one, other in pairs:
        sides.update(((one, Way.FROM), (other, Way.TO), (one, Way.BOTH), (other, Way.BOTH)))
    return sides


def _is_of(pair: Pair, name: str, way: Way) -> bool:
    return (pair[0] == name and way is not Way.TO) or (pair[1] == name and way is not Way.FROM)


# how long it takes -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SlowNode:
    """A node most of whose links are slow, and the median of the slow ones."""

    end: End
    median_s: float


@dataclass(frozen=True, slots=True)
class Uneven:
    """A link that is much slower from ``pair[0]`` to ``pair[1]`` than back."""

    pair: Pair
    there_s: float
    back_s: float


@dataclass(frozen=True, slots=True)
class Slowness:
    """The fleet's ``median_s``, the nodes that are slow as a whole, and the further slow links: the worse direction of
    each with its seconds."""

    median_s: float
    nodes: tuple[SlowNode, ...] = ()
    links: Mapping[Pair, float] = field(default_factory=dict)


def durations(answers: Mapping[Pair, Seen]) -> dict[Pair, float]:
    """The directions that work, with their seconds."""
    return {pair: seen.duration_s for pair, seen in answers.items() if seen.ok and seen.duration_s is not None}


def uneven(answers: Mapping[Pair, Seen], *, times: float, floor_s: float) -> tuple[Uneven, ...]:
    """The links whose one direction takes ``times`` as long as the other and ``floor_s`` longer, the worst first."""
    took = durations(answers)
    found = [
        Uneven(pair, there, took[pair[::-1]])
        for pair, there in took.items()
        if pair[::-1] in took and there > times * took[pair[::-1]] and there - took[pair[::-1]] > floor_s
    ]
    return tuple(sorted(found, key=lambda one: one.back_s - one.there_s))


def slowness(answers: Mapping[Pair, Seen], *, limit_s: float) -> Slowness | None:
    """What is slower than ``limit_s`` seconds: whole nodes first, then the links that remain. None where nothing was
    timed."""
    took = durations(answers)
    if not took:
        return None
    ends, rest = shared_ends([pair for pair, seconds in took.items() if seconds > limit_s], took)
    links: dict[Pair, float] = {}
    for pair in sorted(rest, key=lambda pair: -took[pair]):
        if pair[::-1] not in links:
            links[pair] = took[pair]
    nodes = tuple(SlowNode(end, median([took[pair] for pair in end.bad])) for end in ends)
    return Slowness(median(list(took.values())), nodes, links)
