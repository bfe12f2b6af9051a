"""Where the nodes of a graph stand: each connected part on a circle of its own, the largest first, parts side by side.

Nothing is left to chance: equal graphs are drawn alike, so that two drawings can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshdiag.views.topology import Graph

SPACING = 96.0
"""Pixels between two neighbours on a circle."""
SMALLEST = 120.0
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
        radius = _radius(len(part))
        across, high = 2 * (radius + MARGIN_X), 2 * (radius + MARGIN_Y)
        if left and left + across > ROW:
            left, top, row_height = 0.0, top + row_height, 0.0
        for place, name in enumerate(part):
            spots[name] = _on_circle(left + across / 2, top + high / 2, radius, place, len(part))
        left += across
        width, row_height = max(width, left), max(row_height, high)
    return Layout(spots, width, top + row_height)


def _radius(count: int) -> float:
    return 0.0 if count == 1 else max(SMALLEST, count * SPACING / (2 * pi))


def _on_circle(x: float, y: float, radius: float, place: int, count: int) -> Spot:
    """The place on a circle, from the top on clockwise."""
    angle = 2 * pi * place / count - pi / 2
    return Spot(x + radius * cos(angle), y + radius * sin(angle), angle)
