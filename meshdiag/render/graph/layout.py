"""Where the nodes of a graph stand: each connected part on a circle of its own (a large one on several, one within the
other), the largest part first, parts side by side.

Nothing is left to chance: equal graphs are drawn alike, so that two drawings can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, hypot, pi, sin
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshdiag.views.topology import Graph

SPACING = 96.0
"""Pixels between two neighbours on a circle."""
SMALLEST = 120.0
MOST_ON_CIRCLE = 48
"""More nodes than this stand on circles within circles: one alone would be mostly empty."""
MARGIN_X, MARGIN_Y = 150.0, 60.0
"""Around a circle, for the names that stand outside of it."""
ROW = 1500.0
"""Parts are set side by side up to this width."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a node stands, and the angle (radians) at which it is seen from the middle of its circle."""

    x: float
    y: float
    angle: float


@dataclass(frozen=True, slots=True)
class Layout:
    """The spots by name, and the size of the whole."""

    spots: Mapping[str, Spot]
    width: float
    height: float


def layout(graph: Graph) -> Layout:
    """Place every vertex."""
    spots: dict[str, Spot] = {}
    left, top, row_height, width = 0.0, 0.0, 0.0, 0.0
    for part in graph.parts or (tuple(one.name for one in graph.vertices),):
        placed = _circle(len(part)) if len(part) <= MOST_ON_CIRCLE else _rings(len(part))
        radius = max(hypot(x, y) for x, y, _ in placed)
        across, high = 2 * (radius + MARGIN_X), 2 * (radius + MARGIN_Y)
        if left and left + across > ROW:
            left, top, row_height = 0.0, top + row_height, 0.0
        for name, (x, y, angle) in zip(part, placed, strict=True):
            spots[name] = Spot(left + across / 2 + x, top + high / 2 + y, angle)
        left += across
        width, row_height = max(width, left), max(row_height, high)
    return Layout(spots, width, top + row_height)


def _circle(count: int, radius: float | None = None) -> list[tuple[float, float, float]]:
    """Places around a middle, from the top on clockwise, and the angle of each."""
    if radius is None:
        radius = 0.0 if count == 1 else max(SMALLEST, count * SPACING / (2 * pi))
    angles = [2 * pi * place / count - pi / 2 for place in range(count)]
    return [(radius * cos(angle), radius * sin(angle), angle) for angle in angles]


def _rings(count: int) -> list[tuple[float, float, float]]:
    """The same on circles within circles, from the inner one out; names stand below, where there is room."""
    found: list[tuple[float, float, float]] = []
    ring = 1
    while len(found) < count:
        radius = ring * SPACING
        room = min(int(2 * pi * radius / SPACING), count - len(found))
        found += [(x, y, pi / 2) for x, y, _ in _circle(room, radius)]
        ring += 1
    return found
