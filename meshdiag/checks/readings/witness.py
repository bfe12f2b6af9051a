"""Two witnesses of a node: what Prometheus has of it, and what its own page says. Where they contradict each other,
the way between them is at fault: the scrape, not the mesh.

A page moves between a scrape and now, so values may differ. What may not: a process started at one moment; a counter
goes only up while its process lives, so Prometheus cannot be ahead of a page that was read later, nor behind one
that was read before its last scrape; a scrape that took place has what the page had then.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshdiag.catalog import CPU, DISK_TOTAL, MEMORY, MEMORY_TOTAL, METRICS, START_TIME, UP, Kind
from meshdiag.checks.readings.matching import any_of
from meshdiag.metrics import NAME_LABEL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from meshdiag.checks.inputs import Inputs
    from meshdiag.metrics import Vector
    from meshdiag.sources.exposition import Sample

COUNTERS = frozenset(metric.name for metric in METRICS if metric.kind is Kind.COUNTER)
CONSTANTS = (START_TIME.name, MEMORY_TOTAL.name, DISK_TOTAL.name)
"""What does not change while a process lives."""
RESTLESS = (CPU.name, MEMORY.name)
"""What does not stand still on a machine that is alive."""
KNOWN = frozenset(name for metric in METRICS for name in metric.series_names) - {UP.name}
"""The names that checks and alerts go by: what else Prometheus drops is its owner's choice."""
VALUES = COUNTERS | set(CONSTANTS) | set(RESTLESS)
WINDOW = "5m"
FEWEST_SCRAPES = 4
"""In the window, to tell that what Prometheus has stands still."""

Key = tuple[str, frozenset[tuple[str, str]]]
"""A series by its name and the page's own labels."""


@dataclass(frozen=True, slots=True)
class Told:
    """What Prometheus has of one node. ``target``: the labels of its target; empty where there is none.
    ``scraped``: when it was read last, by this machine's clock (epoch seconds), rather too early than too late; None
    where that is not known.
    ``names``: which known metrics it has. ``dropped``: how many samples the last scrape lost to relabelling, None
    where Prometheus does not tell. ``still``: what never stands still has not moved for several scrapes."""

    target: Mapping[str, str] = field(default_factory=dict)
    up: bool = False
    scraped: float | None = None
    values: Mapping[Key, float] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    dropped: float | None = None
    still: bool = False


def narrowed(job: str, instances: Collection[str], names: Collection[str] = ()) -> str:
    """The matchers of a selector: the job, these instances (all where there are none), these names."""
    matchers = [f'job="{_escaped(job)}"']
    if instances:
        matchers.append(f'instance=~"{any_of(sorted(instances))}"')
    if names:
        matchers.append(f'{NAME_LABEL}=~"{any_of(sorted(names))}"')
    return f"{{{','.join(matchers)}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def still_query(job: str, instances: Collection[str] = ()) -> str:
    """The instances of which neither CPU nor memory has moved by a hair over several scrapes."""
    chosen = narrowed(job, instances)
    moved = [f"max by (instance) (changes({name}{chosen}[{WINDOW}])) == 0" for name in RESTLESS]
    often = f"max by (instance) (count_over_time({UP.name}{chosen}[{WINDOW}])) >= {FEWEST_SCRAPES}"
    return " and on (instance) ".join(f"({part})" for part in (*moved, often))


async def standing_still(inputs: Inputs, instances: Collection[str] = ()) -> frozenset[str]:
    """The instances (of these; of all where none are named) of which nothing moves in Prometheus. Raises
    ``SourceError``."""
    return frozenset((await inputs.metrics.instant(still_query(inputs.context.job, instances))).by("instance"))


async def ask_prometheus(inputs: Inputs, still: Collection[str], instances: Collection[str] = ()) -> dict[str, Told]:
    """What Prometheus has of these instances (of all where none are named); ``still`` are those of which nothing
    moves. Raises ``SourceError``."""
    job, ask = inputs.context.job, inputs.metrics.instant
    chosen = narrowed(job, instances)
    began = time.time()
    # When it was scraped is asked before what that brought: the values are then never older than the moment says.
    up, taken, clock = await asyncio.gather(
        ask(f"{UP.name}{chosen}"), ask(f"timestamp({UP.name}{chosen})"), ask("vector(time())")
    )
    ahead = clock.samples[0].value - began if clock.samples else 0.0  # at the most: the answer took a while
    moments = taken.by("instance")
    values, names, dropped = await asyncio.gather(
        ask(narrowed(job, instances, VALUES)),
        ask(f"count by (instance, {NAME_LABEL}) ({narrowed(job, instances, KNOWN)})"),
        ask(f"scrape_samples_scraped{chosen} - scrape_samples_post_metric_relabeling{chosen}"),
    )
    targets, present = _targets(up), _names(names)
    lost = dropped.by("instance")
    held = _values(values, {instance: target for instance, (target, _up) in targets.items()})
    return {
        instance: Told(
            target,
            is_up,
            moments[instance] - ahead if instance in moments else None,
            held.get(instance, {}),
            frozenset(present.get(instance, ())),
            lost.get(instance),
            instance in still,
        )
        for instance, (target, is_up) in targets.items()
    }


def _targets(up: Vector) -> dict[str, tuple[dict[str, str], bool]]:
    """Each instance's target labels, and whether it is up; of several targets of one instance the one that is."""
    targets: dict[str, tuple[dict[str, str], bool]] = {}
    for sample in up.samples:
        instance = sample.labels.get("instance", "")
        if instance not in targets or (sample.value == 1 and not targets[instance][1]):
            labels = {name: text for name, text in sample.labels.items() if name != NAME_LABEL}
            targets[instance] = (labels, sample.value == 1)
    return targets


def _names(counted: Vector) -> dict[str, set[str]]:
    names: dict[str, set[str]] = {}
    for sample in counted.samples:
        names.setdefault(sample.labels.get("instance", ""), set()).add(sample.labels.get(NAME_LABEL, ""))
    return names


def _values(values: Vector, targets: Mapping[str, Mapping[str, str]]) -> dict[str, dict[Key, float]]:
    """Prometheus's values by instance, each under the labels that its page gives the series."""
    held: dict[str, dict[Key, float]] = {}
    for sample in values.samples:
        instance = sample.labels.get("instance", "")
        held.setdefault(instance, {})[_key(sample.labels, targets.get(instance, {}))] = sample.value
    return held


def _key(labels: Mapping[str, str], target: Mapping[str, str]) -> Key:
    own = frozenset((name, text) for name, text in labels.items() if name not in target and name != NAME_LABEL)
    return labels.get(NAME_LABEL, ""), own


def page_values(samples: Iterable[Sample], target: Mapping[str, str]) -> dict[Key, float]:
    """A page's values under the same keys; its labels that clash with the target's are ``exported_`` ones."""
    found: dict[Key, float] = {}
    for name, labels, value, _time in samples:
        if name in VALUES:
            own = ((f"exported_{key}" if key in target else key, text) for key, text in labels.items())
            found[(name, frozenset(pair for pair in own if pair[0] != NAME_LABEL))] = value
    return found
