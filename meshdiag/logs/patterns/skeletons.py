"""Lines told by their words that never vary: for logs in which nearly every line names somebody else.

Where many lines of one pattern were read, the words that all of them have at the same places are its skeleton; a line
of as many words with these at these places is of that pattern, without being read.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

ENOUGH = 30
"""So many different lines make a skeleton."""
FEWEST = 3
"""A skeleton has at least so many words, and at least half of the line's."""

T = TypeVar("T")


@dataclass(slots=True)
class _Skeleton(Generic[T]):
    target: T
    words: dict[int, bytes]
    lines: int = 0

    def ready(self, size: int) -> bool:
        return self.lines >= ENOUGH and len(self.words) >= max(FEWEST, size / 2)


class Skeletons(Generic[T]):
    """Learns which words stay, and finds what a line belongs to by them."""

    def __init__(self) -> None:
        self._learned: dict[tuple[Hashable, int], _Skeleton[T]] = {}
        self._tables: dict[int, list[tuple[Callable[[Any], Any], dict[Any, T]]]] = {}

    def learn(self, line: bytes, key: Hashable, target: T) -> None:
        """A line that belongs to a target, which ``key`` stands for."""
        words = line.split(b" ")
        size = len(words)
        one = self._learned.get((key, size))
        if one is None:
            one = self._learned[key, size] = _Skeleton(target, dict(enumerate(words)))
        one.lines += 1
        kept = {place: word for place, word in one.words.items() if words[place] == word}
        if one.lines == ENOUGH or len(kept) < len(one.words):
            one.words = kept
            if one.lines >= ENOUGH:
                self._arrange(size)

    def find(self, line: bytes) -> T | None:
        """What a line belongs to, None where its skeleton is not known."""
        words = line.split(b" ")
        for places, table in self._tables.get(len(words), ()):
            target = table.get(places(words))
            if target is not None:
                return target
        return None

    def _arrange(self, size: int) -> None:
        """Skeletons of one length, those with words at the same places in one table."""
        tables: dict[tuple[int, ...], dict[Any, T]] = {}
        for (_, length), one in self._learned.items():
            if length == size and one.ready(size):
                tables.setdefault(tuple(one.words), {})[tuple(one.words.values())] = one.target
        ordered = sorted(tables.items(), key=lambda pair: -len(pair[0]))
        self._tables[size] = [(itemgetter(*places), table) for places, table in ordered]
