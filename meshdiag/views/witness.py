"""Every node's two witnesses side by side: what ``meshdiag nodes --witness`` shows."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from meshdiag.catalog import UP
from meshdiag.checks import Outcome
from meshdiag.checks.readings.contradiction import CLOCKS_S, SPEAKS_FOR_IT
from meshdiag.checks.readings.per_node import MESH
from meshdiag.checks.readings.witness import KNOWN, WINDOW, ask_prometheus, narrowed, standing_still
from meshdiag.checks.stack import judge_nodes, not_comparable, scrape_truth, truth_outcome
from meshdiag.context import CheckSettings
from meshdiag.metrics import Matrix
from meshdiag.model import Column, Finding, Table, Verdict
from meshdiag.units import rough

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshdiag.checks import Check
    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.roster import Roster
    from meshdiag.checks.readings.witness import Told
    from meshdiag.sources.scrape.reading import Reading

LONGEST_S = 17.0
"""Longest wait for the next scrape; it covers Prometheus's usual interval of 15 s."""
POLL_S = 0.5
COLUMNS = (
    Column("verdict", "agree", "verdict"),
    Column("name", "node"),
    Column("prometheus", "Prometheus"),
    Column("page", "page"),
    Column("scraped_age_s", "scraped", "age"),
    Column("matter", "what is the matter"),
    Column("role", "role"),
    Column("instance", "instance"),
)


@dataclass(frozen=True, slots=True)
class _Compared:
    roster: Roster
    told: Mapping[str, Told]
    pages: Mapping[str, Reading]
    findings: tuple[Finding, ...]
    remark: str
    """What keeps the comparison from being as sure as it could be; "" where nothing does."""


class Witness:
    """One comparison of all nodes, as a check and as a table. ``say`` is told what is waited for."""

    def __init__(self, say: Callable[[str], None] = lambda _text: None) -> None:
        self._say = say

    @property
    def check(self) -> Check:
        """``stack.scrape-truth``, over all nodes instead of a few."""
        return replace(scrape_truth, run=self._judge)

    async def _judge(self, inputs: Inputs) -> Outcome:
        if why := not_comparable(inputs):
            return Outcome((Finding(MESH, Verdict.SKIP, why),), why, verdict=Verdict.SKIP)
        compared = await self._compared(inputs)
        outcome = truth_outcome(inputs, compared.findings, compared.roster, len(inputs.context.nodes))
        return replace(outcome, summary=outcome.summary + compared.remark)

    async def table(self, inputs: Inputs) -> Table:
        """A row a node, the worst first. Raises ``SourceError``."""
        if not_comparable(inputs):
            return Table(COLUMNS, ())
        compared = await self._compared(inputs)
        rows = [_row(finding, compared) for finding in compared.findings]
        rows.sort(key=lambda row: (-Verdict(str(row["verdict"])).severity, str(row["role"]), str(row["name"])))
        return Table(COLUMNS, tuple(rows))

    async def _compared(self, inputs: Inputs) -> _Compared:
        return await inputs.memo.once("witness", lambda: compare(inputs, self._say))


async def compare(inputs: Inputs, say: Callable[[str], None]) -> _Compared:
    """Read the pages, wait for Prometheus's next scrape, ask it, read the pages again. Raises ``SourceError``."""
    everyone = [node.instance for node in inputs.context.nodes]
    roster, before, every = await asyncio.gather(
        inputs.roster(), inputs.scrape.read(everyone, KNOWN), scrape_interval(inputs)
    )
    remark = ""
    if every is None or every > LONGEST_S:
        far = f"up to {rough(every)} off" if every else "not in sight"
        remark = f" (the next scrape, which would tell more, is {far} and was not waited for)"
    else:
        say("waiting for Prometheus's next scrape of every node")
        await _next_scrape(inputs, max((page.answered for page in before.values()), default=time.time()), every)
    told = await ask_prometheus(inputs, await standing_still(inputs))
    pages = await inputs.scrape.read(everyone, KNOWN)
    threshold = inputs.context.checks.get(scrape_truth.id, CheckSettings()).over(scrape_truth.threshold)
    return _Compared(roster, told, pages, judge_nodes(told, pages, before, roster, threshold), remark)


async def scrape_interval(inputs: Inputs) -> float | None:
    """How often Prometheus reads a node, in seconds, by the latest samples of one; None where there are too few. The
    shortest gap of several tells, for a scrape that was missed makes one twice as long."""
    living = next((node for node in (await inputs.roster()).up), None)
    if living is None:
        return None
    samples = await inputs.metrics.evaluate(f"{UP.name}{narrowed(inputs.context.job, [living.instance])}[{WINDOW}]")
    times = samples.series[0].times[-5:] if isinstance(samples, Matrix) and samples.series else ()
    return min((later - earlier for earlier, later in pairwise(times)), default=None)


async def _next_scrape(inputs: Inputs, since: float, every: float) -> None:
    """Wait until Prometheus has tried every node after ``since`` (epoch seconds), or should have by far."""
    chosen = f"{UP.name}{narrowed(inputs.context.job, ())}"
    wanted = sum(node.known for node in (await inputs.roster()).nodes.values())
    while (passed := time.time() - since) < min(every * 1.5 + 2, LONGEST_S):
        fresh = f"count(time() - timestamp({chosen}) < {max(0.0, passed - CLOCKS_S):.3f})"
        answer = await inputs.metrics.instant(fresh)
        if answer.samples and answer.samples[0].value >= wanted:
            return
        await asyncio.sleep(POLL_S)


def _row(finding: Finding, compared: _Compared) -> dict[str, object]:
    instance = finding.subject
    node, told, page = compared.roster.nodes.get(instance), compared.told.get(instance), compared.pages[instance]
    message = "" if finding.verdict is Verdict.PASS else finding.message
    return {
        "verdict": finding.verdict,
        "name": node.name if node else "",
        "role": node.role if node else "",
        "prometheus": "no target" if told is None else "up" if told.up else "down",
        "page": "silent" if page.error else "answers",
        "scraped_age_s": finding.value,
        "message": message,
        "matter": message.removeprefix(SPEAKS_FOR_IT),  # that its page answers has a column of its own
        "instance": instance,
    }
