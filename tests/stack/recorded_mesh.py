"""A little past of a mesh, for real servers to hold: fresh, stale and dead series."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

STEP_S = 15
SPAN_S = 3600
GONE_S = 14 * 60
"""How long ago the stale series ended."""

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Past:
    """Series with their points; the newest are at ``end`` (epoch seconds)."""

    end: float
    series: list[tuple[str, Points]]


def past() -> Past:
    """Three nodes of job "mesh": a and b are up, c is down. Each name's series follow each other."""
    end = float(int(time.time()))
    return Past(end, list(_series(end)))


def _series(end: float) -> Iterator[tuple[str, Points]]:
    for instance, up in (("a:9091", 1), ("b:9091", 1), ("c:9091", 0)):
        yield f'up{{instance="{instance}",job="mesh"}}', _points(end, lambda _age, up=up: up)
    for place, instance in enumerate(("a:9091", "b:9091")):
        labels = f'instance="{instance}",job="mesh",node="trainer-{place}"'
        yield f"mesh_peer_count{{{labels}}}", _points(end, lambda age, place=place: 5 + place + age // 600)
    for place, instance in enumerate(("a:9091", "b:9091")):
        labels = f'instance="{instance}",job="mesh"'
        yield f"rounds_total{{{labels}}}", _points(end, lambda age, place=place: (SPAN_S - age) * (1 + place))
    for instance in ("a:9091", "b:9091"):
        for le, share in (("1", 0.5), ("10", 0.9), ("+Inf", 1.0)):
            labels = f'instance="{instance}",job="mesh",le="{le}"'
            yield f"latency_seconds_bucket{{{labels}}}", _points(end, lambda age, share=share: (SPAN_S - age) * share)
    yield 'model_accuracy{instance="a:9091",job="mesh"}', _points(end, lambda _age: float("nan"))
    yield 'stale_metric{instance="a:9091",job="mesh"}', _points(end, lambda _age: 1, until=GONE_S)
    yield 'dead_metric{instance="c:9091",job="mesh"}', _points(end, lambda _age: 1, until=GONE_S)


def _points(end: float, value: object, until: int = 0) -> Points:
    assert callable(value)
    return [(end - age, float(value(age))) for age in range(SPAN_S, until - 1, -STEP_S)]
