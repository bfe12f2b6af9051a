"""The monitoring itself: Prometheus and Alertmanager answer, are what they claim to be, and tell the right time.

Here a server that does not answer is the fault that is looked for: FAIL. Only where it refuses us (credentials)
nothing is known of it: UNKNOWN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.catalog import Unit
from meshdiag.checks import Outcome, check
from meshdiag.errors import SourceError, Trouble
from meshdiag.model import Finding, Range, Threshold, Verdict

if TYPE_CHECKING:
    from meshdiag.checks.inputs import Inputs
    from meshdiag.model import Evidence
    from meshdiag.sources.alertmanager import Status
    from meshdiag.sources.prometheus import Identity

REFUSED = frozenset({Trouble.UNAUTHORIZED, Trouble.FORBIDDEN, Trouble.RATE_LIMITED, Trouble.NOT_CONFIGURED})
"""Troubles that say nothing of the server's health."""
SKEW = Threshold(warn=Range(-5, 5))


@check(
    "stack.prometheus",
    title="Prometheus answers and is ready",
    needs=["prometheus"],
    runbook="monitoring-stack",
    hint="see that it runs and that prometheus.url points at it; 'meshdiag health --direct' works without it",
    threshold=SKEW,
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
