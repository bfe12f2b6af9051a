"""How full something is: what is used over what there is, where the total may have to be found elsewhere.

A node may expose what it uses and not how much there is. Then the configuration can tell (option
``capacity_bytes``), or the node_exporter of the same machine.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from meshdiag.catalog import Unit
from meshdiag.checks.readings.per_node import by_instance, read_nodes
from meshdiag.errors import SourceError, Trouble
from meshdiag.model import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.catalog import Metric
    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.per_node import Readings
    from meshdiag.checks.readings.roster import Roster

OPTION = "capacity_bytes"


@dataclass(frozen=True, slots=True)
class Machine:
    """What node_exporter tells of the same thing, one sample an instance of its own.

    ``total`` yields bytes; ``share`` yields the share in use itself, for what is not one figure (a machine has
    several file systems). One of the two is given.
    """

    total: str = ""
    share: str = ""


async def read_shares(inputs: Inputs, used: Metric, total: Metric, machine: Machine) -> Readings:
    """The share in use by instance (0 to 1). A node whose total is told by nobody is UNKNOWN in ``missing``."""
    job = inputs.context.job
    configured = configured_totals(inputs)
    readings, totals = await asyncio.gather(
        read_nodes(inputs, used), inputs.metrics.instant(total.per_instance(job), inputs.at)
    )
    if readings.empty is not None:
        return readings
    query = f"{used.per_instance(job)} / {total.per_instance(job)}"
    readings = replace(readings, evidence=inputs.metrics.evidence(query, inputs.at))
    known = {**by_instance(totals, readings.roster), **_spread(configured, readings.roster)}
    shares = {
        instance: value / known[instance] for instance, value in readings.values.items() if known.get(instance, 0) > 0
    }
    lacking = [instance for instance in readings.values if instance not in shares]
    if lacking:
        shares.update(await _from_machines(inputs, machine, readings, lacking))
    without = tuple(_without_total(i, readings, total) for i in lacking if i not in shares)
    return replace(readings, values=shares, missing=(*readings.missing, *without))


def configured_totals(inputs: Inputs) -> Mapping[str, float] | float | None:
    """The option ``capacity_bytes``: a number for all nodes, or numbers by instance or node name."""
    option = inputs.options.get(OPTION)
    if option is None or (isinstance(option, int | float) and not isinstance(option, bool)):
        return option
    if isinstance(option, dict) and all(isinstance(value, int | float) for value in option.values()):
        return option
    raise SourceError(
        f"the option {OPTION} is not a number of bytes, nor a table of them by node",
        trouble=Trouble.NOT_CONFIGURED,
        hint=f"write {OPTION} = 500_000_000_000",
    )


def _spread(configured: Mapping[str, float] | float | None, roster: Roster) -> dict[str, float]:
    if configured is None:
        return {}
    if isinstance(configured, int | float):
        return dict.fromkeys(roster.nodes, float(configured))
    return {
        node.instance: float(configured[key])
        for node in roster.nodes.values()
        for key in (node.instance, node.name)
        if key in configured
    }


async def _from_machines(
    inputs: Inputs, machine: Machine, readings: Readings, lacking: Sequence[str]
) -> dict[str, float]:
    """Shares by the node_exporter of the same machine, for the nodes without a total."""
    vector = await inputs.metrics.instant(machine.share or machine.total, inputs.at)
    hosts = {host_of(instance): value for instance, value in vector.by("instance").items()}
    found = {instance: hosts[host_of(instance)] for instance in lacking if host_of(instance) in hosts}
    if machine.share:
        return found
    return {instance: readings.values[instance] / total for instance, total in found.items() if total > 0}


def host_of(instance: str) -> str:
    """The machine of an ``instance`` label: what stands before the port."""
    host, colon, port = instance.rpartition(":")
    return host if colon and port.isdecimal() else instance


def _without_total(instance: str, readings: Readings, total: Metric) -> Finding:
    node = readings.roster.nodes.get(instance)
    return Finding(
        instance,
        Verdict.UNKNOWN,
        f"in use, but nobody tells of how much: the node does not expose {total.name}",
        readings.values[instance],
        Unit.BYTES,
        observed=node.scraped if node else None,
        labels=readings.roster.label(instance),
    )
