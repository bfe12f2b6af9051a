"""How far the machines of a simulated mesh are from each other: plain values, made by the mesh and its faults."""

from __future__ import annotations

from dataclasses import dataclass, field

from meshdiag.lab.signals import unit_noise

OBSERVER = "observer"
"""The machine that COMMAND runs on."""

NEAREST_S, FURTHEST_S = 0.0008, 0.0012
"""How long a packet takes from a machine to the switch in a healthy mesh: two machines are twice that apart. More than
a busy processor adds, so that what tells slow links from others is the links."""


@dataclass(frozen=True, slots=True)
class Link:
    """What happens to packets from one machine to another: a delay one way, give or take ``jitter_s`` (seconds, never
    out of order), and that one in so many is lost: 1 for all, 0 for none."""

    delay_s: float
    jitter_s: float = 0.0
    loses_one_in: int = 0


CUT = Link(0.0, loses_one_in=1)


@dataclass(slots=True)
class Links:
    """The links that are unlike the others, by sender and receiver; ``distances`` are where the others come from."""

    seed: int
    unlike: dict[tuple[str, str], Link] = field(default_factory=dict)

    def distance_s(self, index: int) -> float:
        """Seconds that a packet takes from the machine of that number to the switch; the observer is -1."""
        return NEAREST_S + (FURTHEST_S - NEAREST_S) * unit_noise(self.seed, index, 11)

    def both_ways(self, one: str, other: str, link: Link) -> None:
        """Let a link be like that in both directions."""
        self.unlike[one, other] = self.unlike[other, one] = link
