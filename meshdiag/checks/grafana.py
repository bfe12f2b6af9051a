"""Grafana: does it run and answer, do its datasources work, and where they do not, is it Grafana or the backend."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from meshdiag.checks import Outcome, check
from meshdiag.checks.readings.service import Service, how_it_fares
from meshdiag.checks.readings.unnamed import not_missed
from meshdiag.checks.readings.worst import worst_of
from meshdiag.context import Context
from meshdiag.errors import SourceError
from meshdiag.model import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.sources.grafana.client import Health
    from meshdiag.sources.grafana.datasources import Tried

RUNBOOK = "dashboard-not-loading"
GRAFANA = Service(
    "grafana",
    images=frozenset({"grafana", "grafana-oss", "grafana-enterprise"}),
    units=("grafana-server.service", "grafana.service"),
    programs=frozenset({"grafana", "grafana-server"}),
)


@check(
    "grafana.health",
    title="Grafana answers and reaches its database",
    needs=["grafana"],
    runbook=RUNBOOK,
    hint="see that it runs (docker ps, systemctl status grafana-server), its log, and that grafana.url points at it",
)
async def health(inputs: Inputs) -> Outcome:
    """``/api/health``, which needs no login."""
    evidence = inputs.grafana.evidence("/api/health")
    try:
        told = await inputs.memo.once("grafana.health", inputs.grafana.health)
    except SourceError as error:
        left_out(inputs, error)
        finding = Finding("grafana", Verdict.FAIL, error.message)
        return Outcome((finding,), error.message, (evidence,), hint=error.hint)
    finding = judge_health(told)
    return Outcome((finding,), f"Grafana {told.version}: {finding.message}", (evidence,))


def left_out(inputs: Inputs, error: SourceError) -> None:
    """Raises ``LeftOut`` where nobody said that there is a Grafana, and none listens at its usual place."""
    not_missed(error, "Grafana", named=inputs.context.grafana != Context().grafana)


def judge_health(told: Health) -> Finding:
    """Whether it reaches its own database."""
    if told.database.lower() != "ok":
        message = f"it answers, and its database does not ({told.database}): no dashboard loads"
        return Finding("grafana", Verdict.FAIL, message)
    return Finding("grafana", Verdict.PASS, "it answers and its database is well")


@check(
    "grafana.datasources",
    title="every datasource works",
    needs=["grafana"],
    runbook=RUNBOOK,
    hint="ask the backend from Grafana's machine, and compare with the URL and credentials of the datasource",
)
async def datasources(inputs: Inputs) -> Outcome:
    """Each datasource by what its type allows: Grafana's own test, else a query through it, then the backend asked from
    here."""
    try:
        tried = await try_all(inputs)
    except SourceError as error:
        left_out(inputs, error)
        raise
    evidence = inputs.grafana.evidence("/api/datasources")
    if not tried:
        return Outcome(verdict=Verdict.WARN, summary="it has no datasources: no dashboard shows anything")
    findings = tuple(judge_datasource(one) for one in tried)
    works = sum(one.verdict is Verdict.PASS for one in findings)
    return Outcome(findings, worst_of(findings, f"{works} of {len(tried)} datasources work"), (evidence,))


async def try_all(inputs: Inputs) -> Sequence[Tried]:
    """Every datasource tried, fetched once a run. Raises ``SourceError``."""
    return await inputs.memo.once("grafana.tried", lambda: _try_all(inputs))


async def _try_all(inputs: Inputs) -> Sequence[Tried]:
    from meshdiag.sources.grafana.datasources import try_datasource

    found = await inputs.grafana.datasources()
    endpoint = inputs.context.grafana
    timeout_s = endpoint.timeout_s if endpoint else 5.0
    return await asyncio.gather(*(try_datasource(inputs.grafana, one, timeout_s) for one in found))


def judge_datasource(tried: Tried) -> Finding:
    """The finding for one: who is at fault, as far as the two ways of asking tell."""
    name, labels = tried.datasource.name, {"type": tried.datasource.type, "url": tried.datasource.url}
    if tried.works:
        return Finding(name, Verdict.PASS, f"works, by {tried.way}", labels=labels)
    if tried.works is None:
        if tried.direct is False:
            message = f"its backend does not answer here: {tried.direct_said}"
            return Finding(name, Verdict.FAIL, message, labels=labels)
        there = "; its backend answers from here" if tried.direct else ""
        return Finding(name, Verdict.SKIP, f"not testable: {tried.said}{there}", labels=labels)
    if tried.direct:
        message = f"Grafana cannot use it though it answers from here: {tried.said}"
    elif tried.direct is False:
        message = f"it is down: it answers neither Grafana ({tried.said}) nor from here ({tried.direct_said})"
    else:
        message = f"Grafana cannot use it: {tried.said}; from here that cannot be told ({tried.direct_said})"
    return Finding(name, Verdict.FAIL, message, labels=labels)


@check(
    "grafana.process",
    title="Grafana runs, where it runs on this machine",
    needs=["host|containers"],
    runbook=RUNBOOK,
    hint="read what it said last (docker logs --tail 50 grafana, journalctl -u grafana-server), then start it",
)
async def process(inputs: Inputs) -> Outcome:
    """Its container, else its unit of systemd, else its process. The options ``container`` and ``unit`` say what it is
    called here."""
    endpoint = inputs.context.grafana
    if endpoint is None:
        return Outcome(verdict=Verdict.SKIP, summary=f"context {inputs.context.name} has no Grafana")
    where = urlsplit(endpoint.url).hostname or ""
    if not await inputs.host.is_here(where):
        return Outcome(verdict=Verdict.SKIP, summary=f"not looked at: Grafana runs elsewhere, on {where}")
    options = inputs.options
    service = replace(GRAFANA, container=str(options.get("container", "")), unit=str(options.get("unit", "")))
    fares = await how_it_fares(inputs, service)
    if not fares.findings:
        why = "".join(f" ({one})" for one in fares.not_asked)
        summary = f"not looked at: no container, unit or process of Grafana is known here{why}"
        return Outcome(verdict=Verdict.SKIP, summary=summary)
    return Outcome(fares.findings, worst_of(fares.findings, fares.findings[0].message), fares.evidence)
