"""Links: whether every node can talk to every other, in both directions, and how fast, seen from where they stand.

Asked of the blackbox_exporters beside the nodes, for ``meshdiag peers --matrix``: from this machine only its own end
of each link is seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.catalog import Unit
from meshdiag.checks import Outcome, check
from meshdiag.checks.readings.link_verdicts import (
    Margin,
    judge_latency,
    judge_loss,
    judge_reach,
    judge_symmetry,
    limit_of,
    reach_hint,
    summary,
)
from meshdiag.checks.readings.links import read_links
from meshdiag.checks.readings.reachability import durations, reach, slowness
from meshdiag.context import CheckSettings
from meshdiag.model import Evidence, Threshold, Verdict, at_most
from meshdiag.units import human

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.links import Links
    from meshdiag.checks.readings.reachability import Pair
    from meshdiag.model import Finding

SLOW_S = 0.010
"""A direction is slow at several times the fleet's median, and so much more."""
UNEVEN_S = 0.020
"""It is uneven at several times the way back, and so much more: both were timed once only."""
COMMANDS = 5
"""Commands that show a finding again, at most."""
PRESENT = "not looked at: a probe shows the present, not the moment that was asked about"


@check(
    "links.reachability",
    title="the mesh is in one piece",
    needs=["metrics", "blackbox"],
    runbook="partition",
    hint="try the broken direction from its own end, and compare routes and firewall rules with a node that works",
)
async def reachability(inputs: Inputs) -> Outcome:
    """Partitions, nodes cut off, links broken in both directions, and views that nobody tells."""
    if inputs.at is not None:
        return Outcome(verdict=Verdict.SKIP, summary=PRESENT)
    links = await read_links(inputs)
    answers = links.answers
    found = reach(tuple(links.nodes), answers)
    findings = judge_reach(links, found)
    bad = [pair for pair, seen in answers.items() if not seen.ok]
    works = len(answers) - len(bad)
    fine = f"{works} of {len(answers)} directions between {len(links.nodes)} nodes work"
    hint = reach_hint(found, links)
    return Outcome(findings, summary(findings, fine), evidence(inputs, links, bad), hint=hint)


@check(
    "links.symmetry",
    title="links work alike in both directions",
    needs=["metrics", "blackbox"],
    runbook="partition",
    hint="look for what treats the two directions differently: a firewall rule, a route, a queue that is full",
)
async def symmetry(inputs: Inputs) -> Outcome:
    """Links of which one direction alone works, or takes several times as long as the other."""
    if inputs.at is not None:
        return Outcome(verdict=Verdict.SKIP, summary=PRESENT)
    links = await read_links(inputs)
    findings, pairs = judge_symmetry(links, latency_limit(inputs, links), Margin.of(inputs.options, UNEVEN_S))
    return _outcome(findings, evidence(inputs, links, pairs))


@check(
    "links.loss",
    title="no link loses packets",
    needs=["metrics", "blackbox"],
    runbook="network-latency",
    hint="look at errors and drops where the lossy links meet (ip -s link, ss -ti): a cable, a queue that is full",
)
async def loss(inputs: Inputs) -> Outcome:
    """Directions that work, and in which a probe failed or a packet had to be sent again."""
    if inputs.at is not None:
        return Outcome(verdict=Verdict.SKIP, summary=PRESENT)
    links = await read_links(inputs)
    findings, pairs = judge_loss(links, latency_limit(inputs, links))
    return _outcome(findings, evidence(inputs, links, pairs))


@check(
    "links.latency",
    title="no link is far slower than the others",
    needs=["metrics", "blackbox"],
    runbook="network-latency",
    hint="look at the machine that the slow links share (ss -ti, ip -s link), or at the path between the two ends",
    threshold=Threshold(warn=at_most(0.25), fail=at_most(1)),
    unit=Unit.SECONDS,
)
async def link_latency(inputs: Inputs) -> Outcome:
    """Directions that take far longer than the fleet's median, by the node that they share where there is one."""
    if inputs.at is not None:
        return Outcome(verdict=Verdict.SKIP, summary=PRESENT)
    links = await read_links(inputs)
    findings, pairs = judge_latency(links, inputs.threshold, Margin.of(inputs.options, SLOW_S))
    return Outcome(findings, summary(findings, _timed(links, findings)), evidence(inputs, links, pairs))


def _outcome(findings: Sequence[Finding], shown: tuple[Evidence, ...]) -> Outcome:
    """The outcome of these findings; skipped where they are about nothing else."""
    skipped = all(finding.verdict is Verdict.SKIP for finding in findings)
    return Outcome(tuple(findings), summary(findings), shown, verdict=Verdict.SKIP if skipped else None)


def latency_limit(inputs: Inputs, links: Links) -> float:
    """Seconds from which on a direction is slow in this mesh, by the settings of ``links.latency``."""
    settings = inputs.context.checks.get(link_latency.id, CheckSettings())
    usual = slowness(links.answers, limit_s=float("inf"))
    threshold = settings.over(link_latency.threshold)
    return limit_of(usual.median_s, threshold, Margin.of(settings.options, SLOW_S)) if usual else float("inf")


def _timed(links: Links, findings: Sequence[Finding]) -> str:
    """The summary where all is well."""
    usual = human(findings[0].value or 0.0, Unit.SECONDS)
    return f"{len(durations(links.answers)):,} directions, half of them within {usual}"


def evidence(inputs: Inputs, links: Links, pairs: Iterable[Pair]) -> tuple[Evidence, ...]:
    """The commands that ask the exporters of these directions again; of any one where there is nothing to show."""
    urls = {row.viewpoint.name: row.viewpoint.url for row in links.rows}
    shown = [pair for pair in pairs if pair[0] in urls and pair[1] in links.targets][:COMMANDS]
    if not shown and (views := links.views):
        shown = [next(iter(views))]
    views = links.views
    found = []
    for pair in shown:
        command = inputs.blackbox.command(urls[pair[0]], links.targets[pair[1]], links.module)
        view = views.get(pair)
        told = "" if view is None else f"{pair[0]} -> {pair[1]}: {_excerpt(view.duration_s, view.trouble)}"
        found.append(Evidence("blackbox_exporter", command, told))
    return tuple(found)


def _excerpt(duration_s: float | None, trouble: str) -> str:
    return trouble if duration_s is None else f"{duration_s:.6f} s" + (f", also {trouble}" if trouble else "")
