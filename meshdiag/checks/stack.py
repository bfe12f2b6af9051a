"""The monitoring itself: Prometheus and Alertmanager answer, are what they claim to be, tell the right time, and
what Prometheus says of the nodes is true.

Here a server that does not answer is the fault that is looked for: FAIL. Only where it refuses us (credentials)
nothing is known of it: UNKNOWN.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from meshdiag.catalog import Unit
from meshdiag.checks import Outcome, check
from meshdiag.checks.readings.contradiction import Case, judge
from meshdiag.checks.readings.per_node import MESH
from meshdiag.checks.readings.witness import KNOWN, ask_prometheus, standing_still
from meshdiag.errors import SourceError, Trouble
from meshdiag.model import Finding, Range, Threshold, Verdict, at_most

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.roster import Roster
    from meshdiag.checks.readings.witness import Told
    from meshdiag.model import Evidence
    from meshdiag.sources.alertmanager import Status
    from meshdiag.sources.prometheus import Identity
    from meshdiag.sources.scrape.reading import Reading

REFUSED = frozenset({Trouble.UNAUTHORIZED, Trouble.FORBIDDEN, Trouble.RATE_LIMITED, Trouble.NOT_CONFIGURED})
"""Troubles that say nothing of the server's health."""
MOST_SUSPECTS = 4
"""Nodes of each kind of suspicion of which ``health`` reads the page."""
HEALTHY = 3
"""Nodes without any suspicion of which it reads the page: others at every minute, so that in time all have a turn."""
PATIENCE_S = 1.0
"""Longest wait for these pages: whoever asks for health waits for the slowest of them."""
SKEW = Threshold(warn=Range(-5, 5))


@check(
    "stack.prometheus",
    title="Prometheus answers and is ready",
    needs=["prometheus"],
    runbook="monitoring-stack",
    hint="see that it runs and that prometheus.url points at it; 'meshdiag health --direct' works without it",
    threshold=SKEW,
    unit=Unit.SECONDS,
)
async def prometheus(inputs: Inputs) -> Outcome:
    """What answers is a Prometheus (or speaks its API), is ready, and its clock agrees with this machine's."""
    server = inputs.prometheus
    evidence = server.evidence("vector(1)")
    try:
        identity = await server.identify()
    except SourceError as error:
        return no_answer("prometheus", error, evidence)
    findings = judge_prometheus(identity, inputs.threshold)
    return Outcome(findings, _sum_up(findings, str(identity)), (evidence,))


def judge_prometheus(identity: Identity, threshold: Threshold) -> tuple[Finding, ...]:
    """Findings about readiness and the clock."""
    labels = {"software": identity.software, "version": identity.version}
    if identity.ready is False:
        answer = Finding("prometheus", Verdict.FAIL, "answers, but says that it is not ready", labels=labels)
    else:
        answer = Finding("prometheus", Verdict.PASS, "answers and is ready", labels=labels)
    return (answer, *_clock("prometheus", identity.clock_skew_s, threshold))


@check(
    "stack.alertmanager",
    title="Alertmanager answers and is ready",
    needs=["alertmanager"],
    runbook="monitoring-stack",
    hint="see that it runs and that alertmanager.url points at it: until then nobody is told of any alert",
    threshold=SKEW,
    unit=Unit.SECONDS,
)
async def alertmanager(inputs: Inputs) -> Outcome:
    """What answers is an Alertmanager, its cluster has settled, and its clock agrees with this machine's."""
    evidence = inputs.alertmanager.evidence("/status")
    try:
        status = await inputs.alertmanager.identify()
    except SourceError as error:
        return no_answer("alertmanager", error, evidence)
    findings = judge_alertmanager(status, inputs.threshold)
    cluster = "a single one" if status.cluster == "disabled" else f"cluster of {max(1, len(status.peers))}"
    return Outcome(findings, _sum_up(findings, f"Alertmanager {status.version}, {cluster}".strip()), (evidence,))


def judge_alertmanager(status: Status, threshold: Threshold) -> tuple[Finding, ...]:
    """Findings about the cluster and the clock. ``disabled`` is how a single Alertmanager calls its cluster."""
    labels = {"version": status.version}
    if status.cluster in ("ready", "disabled"):
        answer = Finding("alertmanager", Verdict.PASS, "answers and is ready", labels=labels)
    else:
        message = f"its cluster is not ready yet: {status.cluster or 'it does not say how it is'}"
        answer = Finding("alertmanager", Verdict.WARN, message, labels=labels)
    return (answer, *_clock("alertmanager", status.clock_skew_s, threshold))


@check(
    "stack.scrape-truth",
    title="Prometheus says of the nodes what their pages say",
    needs=["metrics", "prometheus", "scrape"],
    runbook="scrape-path",
    hint="look at Prometheus' targets and relabelling, not at the node; 'meshdiag nodes --witness' compares all",
    threshold=Threshold(warn=at_most(60), fail=at_most(300)),
    unit=Unit.SECONDS,
)
async def scrape_truth(inputs: Inputs) -> Outcome:
    """What Prometheus has of a node does not contradict the node's own page.

    Reading a thousand pages would cost more than the rest of the health check together, so it reads those of the
    nodes that look bad in Prometheus (down, unknown, old, standing still), which is where the scrape path shows, and
    of a few others in turn. ``nodes --witness`` reads all of them.
    """
    if why := not_comparable(inputs):
        return Outcome((Finding(MESH, Verdict.SKIP, why),), why, verdict=Verdict.SKIP)
    roster, still = await asyncio.gather(inputs.roster(), standing_still(inputs))
    chosen = choose(roster, still, [node.instance for node in inputs.context.nodes], inputs)
    told = await ask_prometheus(inputs, still, chosen)
    pages = await inputs.scrape.read(chosen, KNOWN, PATIENCE_S)
    findings = judge_nodes(told, pages, {}, roster, inputs.threshold)
    return truth_outcome(inputs, findings, roster, len(inputs.context.nodes))


def not_comparable(inputs: Inputs) -> str:
    """Why the two cannot be compared in this run; "" where they can."""
    if not inputs.context.nodes_expected:
        return "not looked at: no nodes are listed in the configuration, so their pages are not known"
    if inputs.at is not None:
        return "not looked at: the nodes' pages tell the present alone"
    return ""


def choose(roster: Roster, still: Collection[str], listed: Sequence[str], inputs: Inputs) -> list[str]:
    """The nodes whose pages are read: some of each kind that looks bad, and a few that do not, others every minute."""
    known = {instance: roster.nodes[instance] for instance in listed if instance in roster.nodes}
    ages = {
        instance: (inputs.moment - node.scraped).total_seconds()
        for instance, node in known.items()
        if node.known and node.scraped is not None
    }
    kinds = (
        [instance for instance, node in known.items() if not node.known],
        [instance for instance, node in known.items() if node.known and not node.up],
        [instance for instance, age in ages.items() if inputs.threshold.judge(age) is not Verdict.PASS],
        [instance for instance in known if instance in still],
    )
    suspects = dict.fromkeys(instance for kind in kinds for instance in kind[:MOST_SUSPECTS])
    others = [instance for instance in known if not any(instance in kind for kind in kinds)]
    turn = int(inputs.moment.timestamp() // 60) * HEALTHY
    healthy = [others[(turn + place) % len(others)] for place in range(min(HEALTHY, len(others)))]
    return [*suspects, *healthy]


def judge_nodes(
    told: Mapping[str, Told],
    pages: Mapping[str, Reading],
    before: Mapping[str, Reading],
    roster: Roster,
    threshold: Threshold,
) -> tuple[Finding, ...]:
    """A finding for each node whose page was read; ``before`` are its pages before Prometheus's last scrape."""
    names = {node.name: node.instance for node in roster.nodes.values() if node.known and node.name}
    findings = []
    for instance, page in pages.items():
        node = roster.nodes.get(instance)
        elsewhere = names.get(node.name, "") if node and not node.known else ""
        case = Case(told.get(instance), page, before.get(instance), elsewhere)
        findings.append(judge(instance, case, threshold, roster.label(instance)))
    return tuple(findings)


def truth_outcome(inputs: Inputs, findings: tuple[Finding, ...], roster: Roster, of: int) -> Outcome:
    """The outcome of these findings, with the commands that show both witnesses of the worst."""
    if not findings:
        message = "not looked at: Prometheus has no target for any node that is listed"
        return Outcome((Finding(MESH, Verdict.SKIP, message),), message, verdict=Verdict.SKIP)
    worst = max(findings, key=lambda one: one.verdict.severity)
    bad = [one for one in findings if one.verdict in (Verdict.WARN, Verdict.FAIL)]
    more = f" (and {len(bad) - 1} more node{'s' if len(bad) > 2 else ''})" if len(bad) > 1 else ""
    read = [one for one in findings if one.verdict is not Verdict.SKIP]
    summary = f"{len(read)} of {of} nodes looked at: Prometheus and their pages agree"
    if worst.verdict is not Verdict.PASS:
        summary = f"{roster.shown(worst.subject)}: {worst.message}{more}"
    query = f'{{job="{inputs.context.job}",instance="{worst.subject}"}}'
    evidence = (inputs.prometheus.evidence(query), inputs.scrape.evidence("up", instance=worst.subject))
    return Outcome(findings, summary, evidence)


def no_answer(subject: str, error: SourceError, evidence: Evidence) -> Outcome:
    """The outcome for a server that did not answer as it should, in the source's own words."""
    verdict = Verdict.UNKNOWN if error.trouble in REFUSED else Verdict.FAIL
    finding = Finding(subject, verdict, error.message, labels={"trouble": error.trouble})
    return Outcome((finding,), error.message, (evidence,), hint=error.hint)


def _clock(subject: str, skew: float | None, threshold: Threshold) -> tuple[Finding, ...]:
    """The finding about a server's clock against this machine's, where its answers carry a date."""
    if skew is None:
        return ()
    verdict = threshold.judge(skew)
    message = "its clock agrees with this machine's"
    if verdict is not Verdict.PASS:
        message = f"its clock is {'ahead of' if skew > 0 else 'behind'} this machine's: ages are wrong by as much"
    return (Finding(f"{subject} clock", verdict, message, skew, Unit.SECONDS, threshold),)


def _sum_up(findings: tuple[Finding, ...], identity: str) -> str:
    worst = max(findings, key=lambda finding: finding.verdict.severity)
    return identity if worst.verdict is Verdict.PASS else f"{identity}: {worst.subject} {worst.message}"
