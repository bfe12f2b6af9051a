"""Messages that differ in a word or two, put together: ``user <*> logged in`` for a hundred users.

As in Drain (He et al., 2017) messages of the same shape, of whose words enough are the same, come into one group.
Drain then takes every word that differs for a variable, and ``connection opened`` and ``connection closed`` become one;
here a place in the message is a variable only when it took many values, else its values tell patterns apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from meshdiag.logs.patterns.masks import is_word, varies

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

SAME = 0.5
"""The share of words that must be the same for two messages to be of one group."""
MANY = 3
"""So many values at one place, and it is a variable, in a message with ``LONG`` other words at least."""
LONG = 4
FEW = 2
MANY_IN_SHORT = ((FEW, 4), (0, 10))
"""The same for messages with at least two other words, and with fewer: ``connection <*>`` says nothing."""
CANDIDATES = 100
VALUES = 64
ANYTHING, STRING, PATH = "<*>", '"<str>"', "<path>"
MERGED = frozenset({ANYTHING, STRING, PATH})
"""What stands at places where messages were put together before."""

_DIGITS = frozenset({"<hex>", "<num>", "<id>"})
_HEX = re.compile("[0-9a-fA-F]+")
_NAME = re.compile(r"\w[./@-]\w+[./@-]\w|^/\w")

T = TypeVar("T")
Words = tuple[str, ...]


@dataclass(slots=True)
class _Group(Generic[T]):
    """Messages of one shape. ``values`` at each place that holds a word, at most ``VALUES`` of them."""

    values: list[set[str]]
    places: list[int]
    members: list[tuple[Words, T]] = field(default_factory=list)

    def likeness(self, words: Words) -> float:
        same = counted = 0
        for place in self.places:
            if varies(words[place]) and words[place] in self.values[place]:
                continue
            counted += 1
            same += words[place] in self.values[place]
        return same / counted if counted else 1.0

    def take(self, words: Words, what: T) -> None:
        self.members.append((words, what))
        for place in self.places:
            if len(self.values[place]) < VALUES:
                self.values[place].add(words[place])


def merged(
    messages: Iterable[tuple[Hashable, Words, T]], *, before: Callable[[T], bool] | None = None
) -> list[tuple[Hashable, Words, list[T]]]:
    """Patterns, each with what belongs to it. Messages of different ``Hashable`` (a level) never come together.

    ``before`` says which messages were there before the others. A place that took two values already then may take
    any other later without making it another message.
    """
    shelves: dict[Hashable, list[_Group[T]]] = {}
    groups: list[tuple[Hashable, _Group[T]]] = []
    for kind, words, what in messages:
        form = shape(words)
        near = [shelves.setdefault((kind, form, side), []) for side in _sides(words)]
        group = _nearest(words, near)
        if group is None:
            places = [place for place, part in enumerate(words) if is_word(part)]
            group = _Group([set() for _ in words], places)
            groups.append((kind, group))
            for shelf in near:
                shelf.append(group)
        group.take(words, what)
    found: dict[tuple[Hashable, Words], list[T]] = {}
    for kind, group in groups:
        for pattern, members in _divided(group.members, group.places, before):
            found.setdefault((kind, pattern), []).extend(members)
    return [(kind, pattern, members) for (kind, pattern), members in found.items()]


def shape(words: Words) -> Words:
    """What stands between the words."""
    return tuple("" if is_word(part) else part for part in words)


def _sides(words: Words) -> list[tuple[str, str]]:
    """The first and the last word that is no variable: one of these must be the same in messages of a group."""
    fixed = [part for part in words if is_word(part) and not varies(part)]
    return [("first", fixed[0]), ("last", fixed[-1])] if fixed else [("first", "")]


def _nearest(words: Words, shelves: Sequence[list[_Group[T]]]) -> _Group[T] | None:
    best, likeness = None, SAME
    for shelf in shelves:
        for group in shelf[-CANDIDATES:]:
            same = group.likeness(words)
            if same == 1.0:
                return group
            if same >= likeness:
                best, likeness = group, same
    return best


def _divided(
    members: list[tuple[Words, T]], places: list[int], before: Callable[[T], bool] | None
) -> Iterator[tuple[Words, list[T]]]:
    """The patterns of a group: it is divided at the place with the fewest values until each place has one value, or
    so many that they do not matter."""
    pending = [members]
    while pending:
        part = pending.pop()
        values = {place: {words[place] for words, _ in part} for place in places}
        several = {place: found for place, found in values.items() if len(found) > 1}
        fixed = sum(len(found) == 1 and not varies(next(iter(found))) for found in values.values())
        telling = {place: found for place, found in several.items() if not _is_variable(found, fixed)}
        if before is not None and fixed >= FEW:
            settled = [words for words, what in part if before(what)]
            telling = {place: one for place, one in telling.items() if len({words[place] for words in settled}) < 2}
        if telling:
            place = min(telling, key=lambda one: len(telling[one]))
            parts: dict[str, list[tuple[Words, T]]] = {}
            for words, what in part:
                parts.setdefault(words[place], []).append((words, what))
            pending += parts.values()
            continue
        placeholders = {place: _placeholder(found) for place, found in several.items()}
        pattern = tuple(placeholders.get(place, word) for place, word in enumerate(part[0][0]))
        yield pattern, [what for _, what in part]


def _is_variable(values: set[str], fixed: int) -> bool:
    """Whether a place with these values is a variable, in a message with so many other words that do not vary."""
    enough = MANY if fixed >= LONG else next(few for least, few in MANY_IN_SHORT if fixed >= least)
    return len(values) >= enough or (fixed > 0 and _identifiers(values)) or not values.isdisjoint(MERGED)


def _identifiers(values: set[str]) -> bool:
    """Whether the values are names of things rather than words: ``ab<num>`` and ``x<num>``, ``db.internal`` and
    ``com.example``."""
    return len(values) > 1 and all(varies(value) or _NAME.search(value) for value in values)


def _placeholder(values: set[str]) -> str:
    def all_are(test: Callable[[str], bool]) -> bool:
        return all(test(value) for value in values)

    if "<hex>" in values and all_are(lambda value: value in _DIGITS or _HEX.fullmatch(value) is not None):
        return "<hex>"
    if all_are(lambda value: value.startswith('"')):
        return STRING
    if all_are(lambda value: value.startswith("/") or value == PATH):
        return PATH
    return ANYTHING
