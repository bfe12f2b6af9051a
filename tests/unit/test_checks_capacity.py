"""Checks of capacity: shares, where totals are missing, and a trend that does not cry wolf."""

from __future__ import annotations

import math
import random

import pytest

from meshdiag.checks.readings.trend import predict
from meshdiag.context import CheckSettings
from meshdiag.errors import SourceError
from meshdiag.model import Verdict, at_most
from tests.unit.memory_metrics import ask, mesh

ONE, TWO, THREE = ALL = ("trainer-1:9091", "trainer-2:9091", "trainer-3:9091")
GIB = 2.0**30
DAY = 86_400.0


def by_subject(outcome):
    return {finding.subject: finding for finding in outcome.findings}


def verdicts(outcome):
    return {finding.subject: finding.verdict for finding in outcome.findings}


async def test_capacity_cpu_judges_each_node():
    """Percent in use against 85 and 95; a node that is down is skipped, one without the metric is unknown."""
    memory = mesh()
    memory.node("trainer-4:9091", up=False)
    memory.node("trainer-5:9091")
    for instance, value in zip((*ALL, "trainer-4:9091"), (40, 90, 99, 99), strict=True):
        memory.add("system_cpu_usage_percent", instance, value)
    outcome = await ask("capacity.cpu", memory)
    assert verdicts(outcome) == {
        ONE: Verdict.PASS,
        TWO: Verdict.WARN,
        THREE: Verdict.FAIL,
        "trainer-4:9091": Verdict.SKIP,
        "trainer-5:9091": Verdict.UNKNOWN,
    }
    assert outcome.summary == "trainer-3: the processor is nearly all in use (99 %)"


async def test_thresholds_come_from_the_configuration():
    """A bound that the operator sets takes the place of the default."""
    memory = mesh((ONE,))
    memory.add("system_cpu_usage_percent", ONE, 60)
    assert verdicts(await ask("capacity.cpu", memory)) == {ONE: Verdict.PASS}
    assert verdicts(await ask("capacity.cpu", memory, settings=CheckSettings(warn=50.0))) == {ONE: Verdict.WARN}


async def test_a_value_that_is_no_number_is_unknown():
    """NaN is neither in nor out of a range."""
    memory = mesh((ONE,))
    memory.add("system_cpu_usage_percent", ONE, math.nan)
    assert verdicts(await ask("capacity.cpu", memory)) == {ONE: Verdict.UNKNOWN}


async def test_capacity_memory_is_the_share_that_the_rule_reckons():
    """94 % fails as HighMemoryUsage does, 85 % warns before it."""
    memory = mesh()
    for instance, share in zip(ALL, (0.5, 0.85, 0.94), strict=True):
        memory.add("system_memory_usage_bytes", instance, share * 16 * GIB)
        memory.add("system_memory_total_bytes", instance, 16 * GIB)
    outcome = await ask("capacity.memory", memory)
    assert verdicts(outcome) == {ONE: Verdict.PASS, TWO: Verdict.WARN, THREE: Verdict.FAIL}
    assert by_subject(outcome)[THREE].unit == "ratio"
    assert "system_memory_total_bytes" in outcome.evidence[0].command


async def test_capacity_memory_without_a_total_is_unknown_and_says_what_to_expose():
    """The rule divides by a metric that the metric list does not have: without it nobody knows."""
    memory = mesh((ONE,))
    memory.add("system_memory_usage_bytes", ONE, 8 * GIB)
    outcome = await ask("capacity.memory", memory)
    assert verdicts(outcome) == {ONE: Verdict.UNKNOWN}
    assert "system_memory_total_bytes" in outcome.hint


async def test_capacity_disk_takes_the_configured_size_or_node_exporter():
    """A total comes from the node, from the configuration, or from the machine's fullest file system."""
    memory = mesh()
    for instance in ALL:
        memory.add("system_disk_usage_bytes", instance, 97 * GIB)
    memory.add("system_disk_total_bytes", ONE, 200 * GIB)
    labels = {"device": "/dev/sda1", "fstype": "ext4", "mountpoint": "/"}
    for name, value in (("avail", 10), ("size", 100)):
        memory.add(f"node_filesystem_{name}_bytes", "trainer-3:9100", value * GIB, **labels)
        memory.add(f"node_filesystem_{name}_bytes", "trainer-3:9100", 1, fstype="tmpfs", mountpoint="/run")
    settings = CheckSettings(options={"capacity_bytes": {"trainer-2": int(100 * GIB)}})
    outcome = await ask("capacity.disk", memory, settings=settings)
    assert verdicts(outcome) == {ONE: Verdict.PASS, TWO: Verdict.FAIL, THREE: Verdict.WARN}
    assert by_subject(outcome)[THREE].value == pytest.approx(0.9)


async def test_capacity_disk_without_any_total_is_unknown():
    """Bytes in use alone do not tell how full it is."""
    memory = mesh((ONE,))
    memory.add("system_disk_usage_bytes", ONE, 97 * GIB)
    outcome = await ask("capacity.disk", memory)
    assert verdicts(outcome) == {ONE: Verdict.UNKNOWN}
    assert "capacity_bytes" in outcome.hint


async def test_a_wrong_capacity_option_is_said_in_a_sentence():
    """An option of the wrong type names itself."""
    memory = mesh((ONE,))
    memory.add("system_disk_usage_bytes", ONE, 97 * GIB)
    with pytest.raises(SourceError, match="capacity_bytes"):
        await ask("capacity.disk", memory, settings=CheckSettings(options={"capacity_bytes": "100 GB"}))


async def test_capacity_network_warns_of_the_node_that_stands_still():
    """Zero bytes a second is only odd where the others move."""
    memory = mesh()
    for instance, rate in zip(ALL, (5e6, 4e6, 0), strict=True):
        memory.add("system_network_bytes_total", instance, lambda age, rate=rate: 1e9 + (10_800 - age) * rate)
    assert verdicts(await ask("capacity.network", memory)) == {
        ONE: Verdict.PASS,
        TWO: Verdict.PASS,
        THREE: Verdict.WARN,
    }


async def test_capacity_network_passes_an_idle_mesh_and_takes_a_threshold():
    """When nobody moves there is nothing to compare; a bound that somebody sets is held."""
    memory = mesh()
    for instance in ALL:
        memory.add("system_network_bytes_total", instance, 1e9)
    assert set(verdicts(await ask("capacity.network", memory)).values()) == {Verdict.PASS}
    settings = CheckSettings(fail=at_most(-1))
    assert set(verdicts(await ask("capacity.network", memory, settings=settings)).values()) == {Verdict.FAIL}


def usage(memory, instance, share):
    """Memory in use as a share of 16 GiB: a number or a function of the seconds before now."""
    memory.add("system_memory_usage_bytes", instance, lambda age: share(age) * 16 * GIB)
    memory.add("system_memory_total_bytes", instance, 16 * GIB)


async def test_capacity_memory_trend_tells_when_it_is_full():
    """Steady growth warns within a day of full and fails within four hours; a flat line passes."""
    memory = mesh()
    usage(memory, ONE, lambda age: 0.5)
    usage(memory, TWO, lambda age: 0.7 - 0.03 * age / 3600)
    usage(memory, THREE, lambda age: 0.8 - 0.2 * age / 3600)
    outcome = await ask("capacity.memory-trend", memory)
    assert verdicts(outcome) == {ONE: Verdict.PASS, TWO: Verdict.WARN, THREE: Verdict.FAIL}
    found = by_subject(outcome)
    assert found[TWO].value == pytest.approx(10 * 3600, rel=0.02)
    assert found[THREE].value == pytest.approx(3600, rel=0.02)
    assert found[ONE].value is None


async def test_capacity_memory_trend_skips_a_node_without_history():
    """A process that has just started has no trend: skipped, not passed."""
    memory = mesh((ONE,))
    memory.add("system_memory_usage_bytes", ONE, 8 * GIB, since=600)
    memory.add("system_memory_total_bytes", ONE, 16 * GIB, since=600)
    outcome = await ask("capacity.memory-trend", memory)
    assert verdicts(outcome) == {ONE: Verdict.SKIP}
    assert outcome.verdict is Verdict.SKIP


TIMES = [150.0 * place for place in range(25)]


def noise(rng, values, sigma):
    return [value + rng.gauss(0, sigma) for value in values]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "shape",
    [
        lambda t: 0.5,
        lambda t: 0.5 + 0.03 * math.sin(t / 300),
        lambda t: 0.9 if 1500 <= t <= 1700 else 0.5,  # a spike
        lambda t: 0.5 + min(t, 600) / 6000,  # warming up, then level
        lambda t: 0.8 - 0.05 * t / 3600,  # falling
        lambda t: 0.9 if t < 1800 else 0.4,  # a restart
        lambda t: 0.5 + 0.3 * ((t % 900) / 900),  # garbage collected every quarter of an hour
    ],
)
def test_no_trend_is_seen_in_what_does_not_grow_steadily(shape, seed):
    """Noise, waves, spikes, warm-up and restarts are no leaks."""
    values = noise(random.Random(seed), [shape(time) for time in TIMES], 0.01)
    assert predict(TIMES, values, 1.0).full_in > DAY


@pytest.mark.parametrize("seed", range(20))
def test_a_leak_is_seen_through_noise_a_spike_and_after_a_restart(seed):
    """Steady growth is told though points scatter, one is far off, and a restart lies before it."""
    values = noise(random.Random(seed), [0.4 + 0.3 * time / 3600 for time in TIMES], 0.004)
    values[7] = 0.95
    assert predict(TIMES, values, 1.0).full_in == pytest.approx(3600, rel=0.25)
    restarted = [0.95, 0.95, 0.95, *values[: len(TIMES) - 3]]
    assert predict(TIMES, restarted, 1.0).full_in == pytest.approx(4500, rel=0.3)


def test_points_that_are_no_numbers_are_left_out():
    """Gaps do not bend the line; too few points say nothing."""
    values = [math.nan if place % 3 == 0 else 0.4 + 0.3 * time / 3600 for place, time in enumerate(TIMES)]
    assert predict(TIMES, values, 1.0).full_in == pytest.approx(3600, rel=0.05)
    assert not predict(TIMES[:5], values[:5], 1.0).enough
