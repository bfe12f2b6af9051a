"""Prometheus itself: is its configuration the one on disk, does it scrape, evaluate and notify, does its store hold."""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from meshdiag.catalog import Unit
from meshdiag.checks import Outcome, check
from meshdiag.checks.readings.counters import count_events
from meshdiag.checks.readings.shares import host_of
from meshdiag.checks.readings.worst import worst_of
from meshdiag.durations import parse_duration
from meshdiag.errors import UsageError
from meshdiag.model import Finding, Threshold, Verdict, at_most
from meshdiag.units import human, rough

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.counters import Counted
    from meshdiag.metrics import Vector
    from meshdiag.sources.ownpage import OwnPage
    from meshdiag.sources.prometheus.state import RuleGroup, RuntimeInfo, Target, TsdbStatus

RUNBOOK = "monitoring-stack"
SETTLING_S = 30.0
"""So long after its start a Prometheus may not have discovered what it is to scrape and whom to tell."""
JUST_STARTED = "it has just started, and looks for them every few seconds; ask again"
NAMED = 3
"""How many targets, rules or names a sentence names."""
OVERDUE = 3.0
"""A rule group that was last evaluated so many intervals ago stands still."""

LOST_SAMPLES = {
    "prometheus_target_scrapes_sample_out_of_order_total": "samples were out of order",
    "prometheus_target_scrapes_sample_out_of_bounds_total": "samples were too old or too far ahead",
    "prometheus_target_scrapes_sample_duplicate_timestamp_total": "samples differed at the same moment",
    "prometheus_target_scrapes_exceeded_sample_limit_total": "scrapes had more samples than sample_limit allows",
    "prometheus_target_scrapes_exceeded_body_size_limit_total": "scrapes were larger than body_size_limit allows",
    "prometheus_target_scrapes_exceeded_target_limit_total": "pools had more targets than target_limit allows",
    "prometheus_target_scrapes_cache_flush_forced_total": "scrape caches were flushed",
}
MISSED = "prometheus_rule_group_iterations_missed_total"
QUEUE, CAPACITY = "prometheus_notifications_queue_length", "prometheus_notifications_queue_capacity"
UNSENT = {
    "prometheus_notifications_dropped_total": "alerts were dropped on the way to the Alertmanager",
    "prometheus_notifications_errors_total": "sendings to an Alertmanager failed",
}
BROKEN_STORE = {
    "prometheus_tsdb_wal_corruptions_total": "corruptions of the write-ahead log were found",
    "prometheus_tsdb_wal_truncations_failed_total": "truncations of the write-ahead log failed",
    "prometheus_tsdb_wal_writes_failed_total": "writes to the write-ahead log failed",
    "prometheus_tsdb_compactions_failed_total": "compactions failed",
    "prometheus_tsdb_checkpoint_creations_failed_total": "checkpoints failed",
    "prometheus_tsdb_head_series_not_found_total": "series of the head were not found",
    "prometheus_tsdb_reloads_failures_total": "reloads of blocks failed",
}
BLOCKS = "prometheus_tsdb_storage_blocks_bytes"
HIGHEST, SENT = (
    "prometheus_remote_storage_highest_timestamp_in_seconds",
    "prometheus_remote_storage_queue_highest_sent_timestamp_seconds",
)
REMOTE_FAILED = {
    "prometheus_remote_storage_samples_failed_total": "samples were refused by the remote store",
    "prometheus_remote_storage_samples_dropped_total": "samples were dropped before the remote store",
}
OWN_NAMES = (
    *LOST_SAMPLES, MISSED, QUEUE, CAPACITY, *UNSENT, *BROKEN_STORE, BLOCKS, HIGHEST, SENT, *REMOTE_FAILED,
)  # fmt: skip


async def own_page(inputs: Inputs) -> OwnPage:
    """What Prometheus tells of itself, fetched once a run."""
    return await inputs.memo.once("prometheus.page", lambda: inputs.prometheus.own_page(OWN_NAMES))


async def _just_started(inputs: Inputs) -> bool:
    """Whether it has been running for so short a time that nothing can be missed yet."""
    started = (await own_page(inputs)).started_s
    return started is not None and inputs.moment.timestamp() - started < SETTLING_S


@check(
    "prometheus.configuration",
    title="Prometheus runs the configuration that was given to it",
    needs=["prometheus"],
    runbook=RUNBOOK,
    hint="see why it was refused (promtool check config, and Prometheus' log), mend it, and reload",
)
async def configuration(inputs: Inputs) -> Outcome:
    """The last reload succeeded; when that was."""
    info = await inputs.prometheus.runtimeinfo()
    finding = judge_configuration(info)
    age = ""
    if info.last_reload is not None:
        age = f"; in force since {rough((inputs.moment - info.last_reload).total_seconds())} ago"
    evidence = inputs.prometheus.api_evidence("/api/v1/status/runtimeinfo")
    return Outcome((finding,), finding.message + age, (evidence,))


def judge_configuration(info: RuntimeInfo) -> Finding:
    """Whether the last reload succeeded."""
    if info.reload_ok is None:
        return Finding("prometheus", Verdict.SKIP, "the server does not say whether its configuration was loaded")
    if not info.reload_ok:
        message = "the last reload failed: it goes on with an older configuration"
        return Finding("prometheus", Verdict.FAIL, message, observed=info.last_reload)
    return Finding("prometheus", Verdict.PASS, "the configuration was loaded", observed=info.last_reload)


@check(
    "prometheus.targets",
    title="Prometheus reaches every target",
    needs=["prometheus"],
    runbook=RUNBOOK,
    hint="ask one of them as Prometheus does (curl its scrape URL from Prometheus' machine)",
)
async def targets(inputs: Inputs) -> Outcome:
    """The targets that are down, by pool and by what is wrong."""
    found = await inputs.prometheus.targets()
    evidence = inputs.prometheus.api_evidence("/api/v1/targets", (("state", "active"),))
    if not found.active and await _just_started(inputs):
        return Outcome(verdict=Verdict.UNKNOWN, summary=f"no targets yet: {JUST_STARTED}", evidence=(evidence,))
    if not found.active:
        dropped = f"; relabelling drops {found.dropped_count}" if found.dropped_count else ""
        summary = f"it has no targets at all{dropped}: nothing is scraped"
        return Outcome(verdict=Verdict.FAIL, summary=summary, evidence=(evidence,))
    findings = judge_targets(found.active)
    bad = [one for one in findings if one.verdict in (Verdict.WARN, Verdict.FAIL)]
    down = sum(target.health == "down" for target in found.active)
    summary = f"{len(found.active) - down} of {len(found.active)} targets are up"
    return Outcome(findings, f"{summary}; {bad[0].subject}: {bad[0].message}" if bad else summary, (evidence,))


def judge_targets(active: Sequence[Target]) -> tuple[Finding, ...]:
    """A finding for each pool that is up, and for each kind of error in one that is not wholly: FAIL where the whole
    pool is down."""
    pools: Mapping[str, list[Target]] = defaultdict(list)
    for target in active:
        pools[target.pool or target.job].append(target)
    findings = []
    for pool, members in sorted(pools.items()):
        down = [target for target in members if target.health == "down"]
        unknown = sum(target.health == "unknown" for target in members)
        if not down:
            message = f"{unknown} not scraped yet" if unknown else f"all {len(members)} are up"
            findings.append(Finding(pool, Verdict.UNKNOWN if unknown == len(members) else Verdict.PASS, message))
            continue
        whole = len(down) == len(members)
        for error, count in Counter(error_kind(target.last_error) for target in down).most_common():
            who = [target.instance or target.url for target in down if error_kind(target.last_error) == error]
            named = ", ".join(sorted(who)[:NAMED]) + (f" and {count - NAMED} more" if count > NAMED else "")
            message = f"{count} of {len(members)} down: {error} ({named})"
            findings.append(Finding(pool, Verdict.FAIL if whole else Verdict.WARN, message, float(count), Unit.COUNT))
    return tuple(findings)


_URL = re.compile(r'^(?:Get|Post) "[^"]*": ')
_ADDRESS = re.compile(r"(?:dial|read|write) (?:tcp|udp|unix)(?: \S+)?: |lookup \S+(?: on \S+)?: ")


def error_kind(error: str) -> str:
    """A scrape's error without the addresses in it, so that equal ones can be counted: ``connection refused``."""
    bare = _ADDRESS.sub("", _URL.sub("", error)).removeprefix("connect: ")
    return bare or "no error is told"


@check(
    "prometheus.scrapes",
    title="scrapes are in time and lose no samples",
    needs=["prometheus"],
    runbook=RUNBOOK,
    hint="a slow page is too large or its node too busy; lost samples come from doubled targets or a wrong clock",
    threshold=Threshold(warn=at_most(0.7), fail=at_most(1.0)),
    unit=Unit.RATIO,
)
async def scrapes(inputs: Inputs) -> Outcome:
    """How long scrapes take of their interval, and samples that were refused."""
    found, page = await asyncio.gather(inputs.prometheus.targets(), own_page(inputs))
    lost = await count_events(inputs, page, LOST_SAMPLES, inputs.prometheus.url)
    if not found.active:
        return Outcome(verdict=Verdict.SKIP, summary="it has no targets, so nothing is scraped")
    findings = (*judge_scrapes(found.active, inputs.threshold), *events(lost, LOST_SAMPLES))
    evidence = inputs.prometheus.api_evidence("/api/v1/targets", (("state", "active"),))
    return Outcome(findings, worst_of(findings, "scrapes are in time"), (evidence,))


def judge_scrapes(active: Sequence[Target], threshold: Threshold) -> tuple[Finding, ...]:
    """A finding for each target that takes too much of its interval, or one for all where none does."""
    timed = [
        (target.last_duration_s / target.interval_s, target)
        for target in active
        if target.interval_s > 0 and math.isfinite(target.last_duration_s)
    ]
    if not timed:
        return (Finding("scrapes", Verdict.SKIP, "the server does not tell how long scrapes take"),)
    slow = [(share, target) for share, target in timed if threshold.judge(share) is not Verdict.PASS]
    if not slow:
        share, target = max(timed, key=lambda one: one[0])
        message = f"the slowest scrape takes {_of_interval(target)}"
        return (Finding("scrapes", Verdict.PASS, message, share, Unit.RATIO, threshold),)
    return tuple(
        Finding(
            target.instance or target.url,
            threshold.judge(share),
            f"the scrape takes {_of_interval(target)}",
            share,
            Unit.RATIO,
            threshold,
        )
        for share, target in slow
    )


def _of_interval(target: Target) -> str:
    took, interval = (human(value, Unit.SECONDS) for value in (target.last_duration_s, target.interval_s))
    return f"{took} of its interval of {interval}"


def events(counted: Mapping[str, Counted], words: Mapping[str, str]) -> tuple[Finding, ...]:
    """A finding for each kind of event that was counted, by the name of its counter."""
    return tuple(
        Finding(name, Verdict.WARN, f"{words[name]}: {count}", count.number, Unit.COUNT)
        for name, count in counted.items()
    )


@check(
    "prometheus.rules",
    title="every rule is evaluated in time",
    needs=["prometheus"],
    runbook=RUNBOOK,
    hint="a rule that fails alerts nobody: try its expression (meshdiag query), and see Prometheus' log",
    threshold=Threshold(warn=at_most(0.7), fail=at_most(1.0)),
    unit=Unit.RATIO,
)
async def rules(inputs: Inputs) -> Outcome:
    """Rules that fail, groups that take longer than their interval, that stand still, that missed evaluations."""
    found, page = await asyncio.gather(inputs.prometheus.rules(), own_page(inputs))
    evidence = inputs.prometheus.api_evidence("/api/v1/rules")
    if not found.groups:
        summary = "it has no rules at all: nothing can fire"
        return Outcome(verdict=Verdict.WARN, summary=summary, evidence=(evidence,))
    missed = await count_events(inputs, page, (MISSED,), inputs.prometheus.url)
    words = {MISSED: "evaluations were missed, because the one before took too long"}
    findings = (*judge_rules(found.groups, inputs.threshold, inputs.moment), *events(missed, words))
    count = sum(len(group.rules) for group in found.groups)
    well = f"{count} rules in {len(found.groups)} groups are evaluated"
    return Outcome(findings, worst_of(findings, well), (evidence,))


def judge_rules(groups: Sequence[RuleGroup], threshold: Threshold, moment: datetime) -> tuple[Finding, ...]:
    """A finding for each rule that fails, and one for each group: its last evaluation over its interval."""
    findings = []
    for group in groups:
        for rule in group.rules:
            if rule.health == "err":
                message = f"the rule fails: {rule.last_error or 'no reason is told'}"
                findings.append(Finding(rule.name, Verdict.FAIL, message, labels={"group": group.name}))
        if not group.interval_s or group.last_evaluation is None:
            findings.append(Finding(group.name, Verdict.UNKNOWN, "the group has not been evaluated yet"))
            continue
        overdue = (moment - group.last_evaluation) / timedelta(seconds=group.interval_s)
        share = group.evaluation_s / group.interval_s
        about = (share, Unit.RATIO, threshold, group.last_evaluation)
        verdict = threshold.judge(share)
        if overdue > OVERDUE:
            message = f"the group stands still: it is due every {human(group.interval_s, Unit.SECONDS)}"
            findings.append(Finding(group.name, Verdict.FAIL, message, *about))
        elif verdict is not Verdict.PASS:
            message = f"evaluating the group takes {human(group.evaluation_s, Unit.SECONDS)}, and it is due every "
            findings.append(Finding(group.name, verdict, message + human(group.interval_s, Unit.SECONDS), *about))
        else:
            findings.append(Finding(group.name, Verdict.PASS, "the group is evaluated in time", *about))
    return tuple(findings)


@check(
    "prometheus.notifications",
    title="Prometheus sends its alerts to an Alertmanager",
    needs=["prometheus"],
    runbook=RUNBOOK,
    hint="look at alerting.alertmanagers of its configuration, and whether that address answers from its machine",
    threshold=Threshold(warn=at_most(0.5), fail=at_most(0.9)),
    unit=Unit.RATIO,
)
async def notifications(inputs: Inputs) -> Outcome:
    """It knows an Alertmanager, its queue is not full, nothing was dropped."""
    known, page = await asyncio.gather(inputs.prometheus.alertmanagers(), own_page(inputs))
    if not known and await _just_started(inputs):
        return Outcome(verdict=Verdict.UNKNOWN, summary=f"no Alertmanager yet: {JUST_STARTED}")
    unsent = await count_events(inputs, page, UNSENT, inputs.prometheus.url)
    findings = (*judge_notifications(known, page, inputs.threshold), *events(unsent, UNSENT))
    evidence = inputs.prometheus.api_evidence("/api/v1/alertmanagers")
    return Outcome(findings, worst_of(findings, f"alerts go to {', '.join(known)}"), (evidence,))


def judge_notifications(known: Sequence[str], page: OwnPage, threshold: Threshold) -> tuple[Finding, ...]:
    """Findings about the Alertmanagers it knows and how full its queue is."""
    if known:
        to = Finding("alertmanagers", Verdict.PASS, f"alerts go to {', '.join(known)}", float(len(known)), Unit.COUNT)
    else:
        to = Finding("alertmanagers", Verdict.FAIL, "it knows no Alertmanager: whatever fires, nobody is told")
    length, capacity = page.total(QUEUE), page.total(CAPACITY)
    if length is None or not capacity:
        return (to,)
    verdict = threshold.judge(length / capacity)
    message = "the queue has room" if verdict is Verdict.PASS else "the queue fills: alerts go out late, then are lost"
    return (to, Finding("queue", verdict, message, length / capacity, Unit.RATIO, threshold))


@check(
    "prometheus.store",
    title="the store is whole and has room for its retention",
    needs=["prometheus"],
    runbook=RUNBOOK,
    hint="look at its disk (df -h) and its log; a corrupted write-ahead log is repaired at a restart, with a gap",
)
async def store(inputs: Inputs) -> Outcome:
    """Corruption and failed compactions; what the retention will need against what the disk has."""
    info, tsdb, page = await asyncio.gather(inputs.prometheus.runtimeinfo(), inputs.prometheus.tsdb(), own_page(inputs))
    broken = await count_events(inputs, page, BROKEN_STORE, inputs.prometheus.url)
    free = _free_here(inputs, await inputs.prometheus.instant(FREE, inputs.at))
    findings = (*judge_store(info, tsdb, page, free, inputs.moment), *events(broken, BROKEN_STORE))
    evidence = inputs.prometheus.api_evidence("/api/v1/status/tsdb")
    return Outcome(findings, worst_of(findings, f"{tsdb.series:,} series in the head, nothing is broken"), (evidence,))


FREE = "max by (instance) (node_filesystem_avail_bytes)"


def _free_here(inputs: Inputs, free: Vector) -> float | None:
    """The free bytes on Prometheus' machine, by the node_exporter there: of the file system that has most, for which
    one holds the store nobody tells."""
    from urllib.parse import urlsplit

    endpoint = inputs.context.prometheus
    here = urlsplit(endpoint.url).hostname if endpoint else ""
    found = [value for instance, value in free.by("instance").items() if host_of(instance) == here]
    return max(found, default=None)


def judge_store(
    info: RuntimeInfo, tsdb: TsdbStatus, page: OwnPage, free: float | None, moment: datetime
) -> tuple[Finding, ...]:
    """Findings about corruption, and about the size that the blocks will have when the retention is reached."""
    whole = Finding("store", Verdict.PASS, "no corruption is known", float(tsdb.series), Unit.COUNT)
    if info.corruptions:
        message = "the write-ahead log was found corrupted at a start: samples are missing"
        whole = Finding("store", Verdict.WARN, message, float(info.corruptions), Unit.COUNT)
    blocks, keeps = page.total(BLOCKS), retention_s(info.retention)
    if not blocks or not keeps or free is None or tsdb.min_time is None:
        return (whole,)
    covered = max((moment - tsdb.min_time).total_seconds(), 3600.0)
    needed = blocks * max(keeps / covered, 1.0)
    about = f"{human(needed, Unit.BYTES)} at a retention of {info.retention}, {human(free, Unit.BYTES)} are free"
    full = needed - blocks > free
    message = f"the disk {'will be full before' if full else 'has room'}: it needs about {about}"
    return (whole, Finding("disk", Verdict.WARN if full else Verdict.PASS, message, needed, Unit.BYTES))


def retention_s(written: str) -> float | None:
    """The time of a retention such as ``15d`` or ``15d or 10GiB``, in seconds; None without one."""
    try:
        return parse_duration(written.partition(" ")[0]).total_seconds()
    except UsageError:
        return None


@check(
    "prometheus.cardinality",
    title="the number of series does not run away",
    needs=["prometheus"],
    runbook=RUNBOOK,
    hint="find the label that grows (the names below), and drop it where it is exposed or by metric_relabel_configs",
    threshold=Threshold(warn=at_most(1.5), fail=at_most(3.0)),
    unit=Unit.COUNT,
    history=True,
)
async def cardinality(inputs: Inputs) -> Outcome:
    """Series in the head against the start of the window; the names and labels that have most."""
    window = f"{int(inputs.window.total_seconds())}s"
    query = f"max(prometheus_tsdb_head_series) / max(prometheus_tsdb_head_series offset {window})"
    tsdb, grown = await asyncio.gather(inputs.prometheus.tsdb(), inputs.prometheus.instant(query, inputs.at))
    finding = judge_cardinality(tsdb, grown.samples[0].value if grown.samples else None, inputs.threshold)
    return Outcome((finding,), finding.message, (inputs.prometheus.api_evidence("/api/v1/status/tsdb"),))


def judge_cardinality(tsdb: TsdbStatus, grown: float | None, threshold: Threshold) -> Finding:
    """How many series there are and what they are of; ``grown`` is their number now over that before."""
    names = ", ".join(f"{name} {count:,}" for name, count in tsdb.top_names[:NAMED])
    labels = ", ".join(f"{name} {count:,}" for name, count in tsdb.top_labels[:NAMED] if name != "__name__")
    message = f"{tsdb.series:,} series; most of {names or 'names not told'}"
    message += f"; labels with most values: {labels}" if labels else ""
    if grown is None or not math.isfinite(grown):
        return Finding("series", Verdict.PASS, message, float(tsdb.series), Unit.COUNT)
    verdict = threshold.judge(grown)
    told = message if verdict is Verdict.PASS else f"{grown:.1f} times as many series as before: {message}"
    return Finding("series", verdict, told, grown, Unit.RATIO, threshold)


@check(
    "prometheus.remote-write",
    title="the remote store keeps up",
    needs=["prometheus"],
    runbook=RUNBOOK,
    hint="look at the remote store and the way to it; until it keeps up, what is read from there is old",
    threshold=Threshold(warn=at_most(60), fail=at_most(600)),
    unit=Unit.SECONDS,
)
async def remote_write(inputs: Inputs) -> Outcome:
    """How far each remote store is behind, and samples that were refused."""
    page = await own_page(inputs)
    behind = lags(page)
    evidence = inputs.prometheus.api_evidence("/metrics")
    if not behind:
        return Outcome(verdict=Verdict.SKIP, summary="it writes to no remote store", evidence=(evidence,))
    failed = await count_events(inputs, page, REMOTE_FAILED, inputs.prometheus.url)
    findings = [
        Finding(
            remote,
            inputs.threshold.judge(lag),
            "keeps up" if inputs.threshold.judge(lag) is Verdict.PASS else "is behind",
            lag,
            Unit.SECONDS,
            inputs.threshold,
        )
        for remote, lag in behind.items()
    ]
    every = (*findings, *events(failed, REMOTE_FAILED))
    return Outcome(every, worst_of(every, f"{len(behind)} remote stores keep up"), (evidence,))


def lags(page: OwnPage) -> dict[str, float]:
    """By remote store, seconds between the newest sample and the newest that was sent there."""
    newest = page.total(HIGHEST)
    sent = page.by("url", SENT) or page.by("remote_name", SENT)
    return {remote: max(0.0, newest - moment) for remote, moment in sent.items()} if newest is not None else {}
