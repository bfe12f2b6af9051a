"""Loki: is it ready, are the members of its ring, do the mesh's lines still arrive."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from meshdiag.catalog import Unit
from meshdiag.checks import Outcome, check
from meshdiag.checks.readings.unnamed import not_missed
from meshdiag.checks.readings.worst import worst_of
from meshdiag.context import Context
from meshdiag.errors import SourceError
from meshdiag.model import Finding, Threshold, Verdict, at_most
from meshdiag.units import human

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.sources.loki import Identity, Member

RUNBOOK: Final = "monitoring-stack"
LOOKBACK_S: Final = 6 * 3600.0
"""A stream that has said nothing for longer is not expected to."""
NAMES: Final = ("node", "node_name", "instance", "host", "hostname", "pod", "service_name", "job")
"""Labels that tell where a line is from, the first that streams have; the option ``label`` overrules them."""
LATEST: Final = 1000
"""Newest lines that are looked at first: most streams are among them."""
ASKED_ALONE: Final = 20
"""Streams that are not, and are each asked for their newest line."""
NS: Final = 1e9


@check(
    "loki.ready",
    title="Loki answers, and every member of its ring is active",
    needs=["loki"],
    runbook=RUNBOOK,
    hint="see its log and its disk, and that loki.url points at it; its page /ring forgets a member that is gone",
)
async def ready(inputs: Inputs) -> Outcome:
    """``/ready``, the build, and the ring of ingesters where it shows it."""
    from meshdiag.sources.loki.identity import Identity

    try:
        # While it starts it answers this alone.
        not_ready = await inputs.loki.not_ready()
        identity = Identity(ready=False, said=not_ready) if not_ready else await inputs.loki.identify()
        ring = None if not_ready else await inputs.loki.ring()
    except SourceError as error:
        _left_out(inputs, error)
        raise
    findings = (judge_readiness(identity), *judge_ring(ring))
    evidence = inputs.loki.page_evidence("/ready")
    return Outcome(findings, worst_of(findings, f"{identity}: {findings[0].message}"), (evidence,))


def _left_out(inputs: Inputs, error: SourceError) -> None:
    not_missed(error, "Loki", named=inputs.context.loki != Context().loki)


def judge_readiness(identity: Identity) -> Finding:
    """Whether it says that it is ready; a gateway in front may say nothing of it."""
    labels = {"version": identity.version}
    if identity.ready is False:
        return Finding("loki", Verdict.FAIL, f"it answers, and is not ready: {identity.said}", labels=labels)
    said = "it answers and is ready" if identity.ready else "it answers (a gateway hides whether it is ready)"
    return Finding("loki", Verdict.PASS, said, labels=labels)


def judge_ring(ring: Sequence[Member] | None) -> tuple[Finding, ...]:
    """A finding for each member that is not active, or one for all; none where the ring is hidden."""
    if not ring:
        return ()
    bad = [one for one in ring if one.state != "ACTIVE"]
    if not bad:
        return (Finding("ring", Verdict.PASS, f"all {len(ring)} members are active"),)
    return tuple(
        Finding(f"ring member {one.id}", _VERDICTS.get(one.state, Verdict.WARN), f"it is {one.state.lower()}")
        for one in bad
    )


_VERDICTS: Final = {"UNHEALTHY": Verdict.FAIL, "LEFT": Verdict.FAIL}
"""Members on their way (JOINING, PENDING, LEAVING) are a warning."""


@check(
    "loki.lag",
    title="lines of every stream arrive in Loki",
    needs=["loki"],
    runbook=RUNBOOK,
    hint="see that the shipper runs there (promtail, alloy, fluent-bit) and what Loki says of rejected lines",
    threshold=Threshold(warn=at_most(600)),
    unit=Unit.SECONDS,
)
async def lag(inputs: Inputs) -> Outcome:
    """The age of the newest line by the label that says where lines are from. The option ``label`` names it, else it is
    the context's node label or the first usual one that the streams have."""
    loki, end_s = inputs.loki, inputs.moment.timestamp()
    start_s = end_s - max(LOOKBACK_S, inputs.window.total_seconds())
    try:
        streams = await loki.streams(start_s, end_s)
    except SourceError as error:
        _left_out(inputs, error)
        raise
    if not streams:
        looked = human(end_s - start_s, Unit.SECONDS)
        said = f"Loki holds no lines of {loki.selector} in the last {looked}"
        hint = "set loki_selector to the streams of the mesh, or see that its logs are shipped there"
        return Outcome(verdict=Verdict.UNKNOWN, summary=said, hint=hint)
    label = label_for(streams, str(inputs.options.get("label", "")) or inputs.context.node_label)
    newest, left = await _newest(inputs, streams, label, (start_s, end_s))
    findings = judge_lag(newest, end_s, inputs.threshold)
    fine = f"lines of {len(findings)} streams by {label or 'selector'} arrive"
    more = f"; {left} more were not asked" if left else ""
    return Outcome(findings, worst_of(findings, fine) + more, (loki.newest_evidence(start_s, end_s),))


def label_for(streams: Sequence[Mapping[str, str]], first: str) -> str:
    """The label that tells streams by where they are from; "" where none has one."""
    return next((name for name in (first, *NAMES) if any(name in one for one in streams)), "")


async def _newest(
    inputs: Inputs, streams: Sequence[Mapping[str, str]], label: str, window: tuple[float, float]
) -> tuple[dict[str, float], int]:
    """When the newest line of each value of the label was written (s since the epoch), and how many values there are
    that were not asked about. One question for all; then one for each that was not among the answers."""
    loki = inputs.loki
    wanted = {one.get(label, "") for one in streams}
    newest: dict[str, float] = {}
    for entry in await loki.newest(*window, LATEST):
        newest.setdefault(entry.labels.get(label, ""), entry.time_ns / NS)
    rest = sorted(wanted - newest.keys())
    alone = rest[:ASKED_ALONE] if label else []
    answers = await asyncio.gather(*(loki.newest(*window, 1, {label: value}) for value in alone))
    newest |= {value: entries[0].time_ns / NS for value, entries in zip(alone, answers, strict=True) if entries}
    return newest, len(rest) - len(alone)


def judge_lag(newest: Mapping[str, float], now_s: float, threshold: Threshold) -> tuple[Finding, ...]:
    """A finding for each value of the label, by the age of its newest line."""
    findings = []
    for value, time_s in sorted(newest.items(), key=lambda one: one[1]):
        age_s = max(0.0, now_s - time_s)
        message = f"its newest line is {human(age_s, Unit.SECONDS)} old"
        subject = value or "streams without a name"
        findings.append(Finding(subject, threshold.judge(age_s), message, age_s, Unit.SECONDS, threshold))
    return tuple(findings)
