"""Which of a name's addresses this machine has a route to."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.sources.resolving import Place

ANY_PORT = 9
"""Discard; nothing is sent there."""


def routed(places: Sequence[Place]) -> Place:
    """The first place to which there is a route, else the first. Nothing is sent: connecting a datagram socket asks the
    routing table."""
    return next((place for place in places if len(places) == 1 or _has_route(place)), places[0])


def _has_route(place: Place) -> bool:
    family, target = place
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as plain:
            plain.connect((target[0], ANY_PORT, *target[2:]))
    except OSError:
        return False
    return True
