"""The simulated mesh: values that are functions of time, so that the past and the present fit together."""

from __future__ import annotations

import math

import pytest

from meshdiag import catalog
from meshdiag.errors import UsageError
from meshdiag.lab import LabOptions, simulate
from meshdiag.lab.faults import FAULTS
from meshdiag.lab.signals import Count, Toward, Wave, ramp

ORIGIN = 1_795_000_000.0
DAY = 86_400.0


def test_counters_never_fall_over_simulated_days() -> None:
    """Whatever faults are on, every counter and every histogram part only grows, over two days in odd steps."""
    mesh, _injected = simulate(LabOptions(nodes=6, faults=tuple(FAULTS)), ORIGIN)
    moments = [ORIGIN - DAY + step * 613.7 for step in range(int(2 * DAY / 613.7))]
    for node in mesh.nodes:
        for family in node.families.values():
            for series in family.series:
                if family.type == "counter" or series.suffix:
                    values = [series.signal(moment) for moment in moments]
                    assert values == sorted(values), (node.name, family.name, series.labels)


def test_histograms_hold_together() -> None:
    """Buckets rise with their bound, the last one is the count, at any moment."""
    mesh, _injected = simulate(LabOptions(nodes=5, faults=("histogram-shape",)), ORIGIN)
    for moment in (ORIGIN - DAY, ORIGIN, ORIGIN + 12.34):
        series = mesh.nodes[0].families["consensus_round_duration_seconds"].series
        buckets = [one.signal(moment) for one in series if one.suffix == "_bucket"]
        (count,) = [one.signal(moment) for one in series if one.suffix == "_count"]
        assert buckets == sorted(buckets)
        assert buckets[-1] == count > 0


def test_every_catalogued_metric_is_exposed_by_the_nodes_that_should() -> None:
    """The lab shows what the catalog lists: each role has its metrics and no other's."""
    mesh, _injected = simulate(LabOptions(nodes=9), ORIGIN)
    for metric in catalog.METRICS:
        if metric is not catalog.UP:
            for node in mesh.nodes:
                assert (metric.name in node.families) == (node.role in metric.roles), (node.name, metric.name)


def test_healthy_values_keep_to_every_threshold() -> None:
    """Nothing in a healthy mesh crosses a default threshold of the catalog, for hours before and after."""
    mesh, _injected = simulate(LabOptions(nodes=12), ORIGIN)
    for metric in catalog.METRICS:
        if metric.threshold is None or metric.kind is catalog.Kind.COUNTER:
            continue
        for node in mesh.nodes:
            for step in range(-200, 200):
                value = node.value(metric, ORIGIN + step * 97.3)
                assert math.isnan(value) or metric.threshold.judge(value) == "pass", (node.name, metric.name, value)


def test_equal_options_give_an_equal_mesh_and_another_seed_another() -> None:
    """A mesh follows from its options alone, so a fault can be shown again."""
    options = LabOptions(nodes=20, faults=("node-down", "slow-consensus"), seed=4)
    one, first = simulate(options, ORIGIN)
    two, second = simulate(options, ORIGIN)
    assert [injected.nodes for injected in first] == [injected.nodes for injected in second]
    assert [node.value(catalog.CPU, ORIGIN) for node in one.up] == [node.value(catalog.CPU, ORIGIN) for node in two.up]
    other, _injected = simulate(LabOptions(nodes=20, seed=5), ORIGIN)
    assert other.nodes[0].value(catalog.CPU, ORIGIN) != one.nodes[0].value(catalog.CPU, ORIGIN)


def test_roles_are_all_there_in_the_smallest_mesh_and_names_are_unique_in_the_largest() -> None:
    """Every mesh has bootstrap, trainer and aggregator nodes, each with a name of its own."""
    for count in (4, 7, 2_000):
        mesh, _injected = simulate(LabOptions(nodes=count), ORIGIN)
        assert len({node.name for node in mesh.nodes}) == count
        assert {node.role for node in mesh.nodes} == set(catalog.Role)


@pytest.mark.parametrize("count", [-1, 0, 3, 2_001])
def test_a_mesh_of_an_impossible_size_is_refused(count: int) -> None:
    """A number of nodes that makes no mesh is wrong usage, with the numbers that would do."""
    with pytest.raises(UsageError, match="4 to 2000 nodes"):
        simulate(LabOptions(nodes=count), ORIGIN)


def test_a_rate_is_the_growth_of_its_counter() -> None:
    """A counter is the integral of its rate: what it grows in a second is what the rate says."""
    rate = Wave(40.0, 0.3, 7)
    counter = Count(rate, ORIGIN)
    for moment in (ORIGIN + 10, ORIGIN + 5_000):
        assert counter(moment + 0.5) - counter(moment - 0.5) == pytest.approx(rate(moment), rel=1e-3)


def test_a_fault_begins_without_a_jump() -> None:
    """A value moves from healthy to ill within the given time, starting where it was."""
    moved = Toward(lambda _moment: 1.0, lambda _moment: 9.0, onset=100.0, length_s=10.0)
    assert [moved(moment) for moment in (99.0, 100.0, 105.0, 110.0)] == [1.0, 1.0, 5.0, 9.0]
    assert ramp(100.1, 100.0, 10.0) < 0.01
