"""Consensus rounds of the simulated mesh: who led round 812, how long it took, whether it failed.

Rounds begin at a fixed pace and overlap (a slow one does not hold up the next); a committee of nodes leads
them in turn. Each answer is a function of the round's number alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshdiag.lab.signals import Steady, unit_noise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshdiag.lab.signals import Signal

PERIOD_S = 0.5
"""One round begins every so many seconds: two a second, so that failures per second are not their share."""

FAILING = 1 / 20_000
"""The share of rounds that fail in a healthy mesh: so few that a look of two seconds hardly ever meets one."""

LONGEST_S = 20.0
"""No round takes longer."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round. ``ended`` is when its leader logged the outcome; ``votes`` of ``voters`` were in favour."""

    number: int
    leader: str
    ended: float
    duration_s: float
    failed: bool
    votes: int
    voters: int


@dataclass(slots=True)
class Rounds:
    """The mesh's rounds since ``start``. ``slow`` maps a leader to the moment since when its rounds are slow,
    ``out`` a member to the moment since when it leads none; ``failing`` is the share of rounds that fail."""

    seed: int
    start: float
    committee: tuple[str, ...]
    failing: Signal = field(default_factory=lambda: Steady(FAILING))
    slow: dict[str, float] = field(default_factory=dict)
    out: dict[str, float] = field(default_factory=dict)

    def number_at(self, moment: float) -> int:
        """How many rounds have begun by then."""
        return max(0, int((moment - self.start) // PERIOD_S))

    def round(self, number: int) -> Round:
        """The round of that number."""
        began = self.start + number * PERIOD_S
        leader = self._leader(number, began)
        luck = unit_noise(self.seed, number, 1)
        failed = unit_noise(self.seed, number, 2) < self.failing(began)
        slow = began >= self.slow.get(leader, began + 1)
        duration_s = 12 + 4 * luck if slow else 2 + 1.8 * luck
        votes = len(self.committee) - (
            len(self.committee) // 2 if failed else int(unit_noise(self.seed, number, 3) > 0.97)
        )
        return Round(number, leader, began + duration_s, duration_s, failed, votes, len(self.committee))

    def _leader(self, number: int, began: float) -> str:
        members = [name for name in self.committee if began < self.out.get(name, began + 1)] or list(self.committee)
        return members[number % len(members)]

    def ended_between(self, after: float, until: float) -> Iterator[Round]:
        """The rounds whose end lies after ``after`` and not after ``until``, by number."""
        for number in range(self.number_at(after - LONGEST_S), self.number_at(until) + 1):
            one = self.round(number)
            if after < one.ended <= until:
                yield one
