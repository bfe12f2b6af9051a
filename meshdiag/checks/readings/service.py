"""How a server that runs on this machine fares: its container, else its unit of systemd, else its process."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from meshdiag.catalog import Unit as Measure
from meshdiag.errors import SourceError
from meshdiag.model import Finding, Verdict
from meshdiag.units import human

if TYPE_CHECKING:
    from meshdiag.checks.inputs import Inputs
    from meshdiag.model import Evidence
    from meshdiag.sources.docker.containers import Container
    from meshdiag.sources.docker.state import State
    from meshdiag.sources.host.processes import Process
    from meshdiag.sources.host.units import Unit

LAST_LINES: Final = 5
RECENT_S: Final = 120.0
"""So soon after it was started anew a container may well end again: between two ends it runs for a moment."""
FINE: Final = (Verdict.PASS, Verdict.SKIP)


@dataclass(frozen=True, slots=True)
class Service:
    """What a server may be called: its containers (or compose services), the last part of its images' names, its units
    and its programs. ``container`` and ``unit`` are what the user says it is called."""

    word: str
    images: frozenset[str]
    units: tuple[str, ...]
    programs: frozenset[str]
    container: str = ""
    unit: str = ""

    def is_container(self, one: Container) -> bool:
        """Whether a container is one of it."""
        if self.container:
            return one.name == self.container
        image = one.image.rpartition("/")[2].partition("@")[0].partition(":")[0]
        called = re.fullmatch(rf"(?:.*[-_])?{self.word}(?:[-_]\d+)?", one.name)
        return image in self.images or one.service == self.word or called is not None


@dataclass(frozen=True, slots=True)
class Fares:
    """What was found: the findings, what shows them again, and why some ways to ask did not work."""

    findings: tuple[Finding, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    not_asked: tuple[str, ...] = field(default=())


async def how_it_fares(inputs: Inputs, service: Service) -> Fares:
    """By the first of the three ways that knows it. Raises ``SourceError`` where this machine cannot be looked at."""
    by_container = await _containers(inputs, service)
    if by_container.findings:
        return by_container
    for name in (service.unit,) if service.unit else service.units:
        unit = await inputs.host.unit(name)
        if unit is not None and (unit.active != "inactive" or service.unit):
            return await _unit(inputs, unit)
    running = await inputs.host.named(service.programs)
    return Fares(
        tuple(judge_process(one, inputs.now) for one in running[:1]),
        tuple(inputs.host.evidence(f"ps -fp {one.pid}") for one in running[:1]),
        by_container.not_asked,
    )


async def _containers(inputs: Inputs, service: Service) -> Fares:
    """By the Docker engine, where there is one that may be asked."""
    engine = inputs.sources.containers
    if engine is None:
        return Fares(not_asked=(inputs.sources.left_out.get("containers", "no Docker engine is known"),))
    try:
        states = await engine.states(service.is_container)
        findings, evidence = [], []
        for state in states:
            finding = judge_container(state, inputs.now)
            said = () if finding.verdict in FINE else await engine.last_lines(state.container, LAST_LINES)
            findings.append(with_last_lines(finding, said))
            command = ("logs", "--tail", "50") if said else ("inspect", "--format", "{{json .State}}")
            evidence.append(engine.evidence(*command, state.container.name, shown="\n".join(said)))
    except SourceError as error:
        return Fares(not_asked=(error.message,))
    return Fares(tuple(findings), tuple(evidence))


async def _unit(inputs: Inputs, unit: Unit) -> Fares:
    finding = judge_unit(unit)
    said = () if finding.verdict in FINE else await inputs.host.unit_said(unit.name, LAST_LINES)
    evidence = inputs.host.evidence(f"systemctl status --lines=50 {unit.name}", "\n".join(said))
    return Fares((with_last_lines(finding, said),), (evidence,))


def with_last_lines(finding: Finding, said: tuple[str, ...]) -> Finding:
    """The finding with the last that was said."""
    if not said:
        return finding
    message = f"{finding.message}; it last said: {' | '.join(line.strip() for line in said if line.strip())}"
    return Finding(finding.subject, finding.verdict, message, labels=finding.labels)


def judge_container(state: State, now: datetime) -> Finding:
    """The finding for a container: what the engine says of it, in words."""
    verdict, message = _of_status(state, now)
    labels = {"container": state.container.name, "image": state.container.image}
    return Finding(f"container {state.container.name}", verdict, message, labels=labels)


def _of_status(state: State, now: datetime) -> tuple[Verdict, str]:
    if state.status == "running":
        return _running(state, now)
    ended = _ended(state)
    match state.status:
        case "restarting":
            return Verdict.FAIL, f"it ends and is started again ({state.restarts} times): {ended}"
        case "paused":
            return Verdict.FAIL, "it is paused: it answers nobody until docker unpause"
        case "exited" | "dead":
            return Verdict.FAIL, f"it does not run: {ended}{_ago(state.finished, now)}"
        case "created":
            return Verdict.FAIL, "it was created and never started" + (f": {state.error}" if state.error else "")
        case _:
            return Verdict.WARN, f"the engine says that it is {state.status or 'in no state'}"


def _running(state: State, now: datetime) -> tuple[Verdict, str]:
    age_s = _age_s(state.started, now)
    since = _ago(state.started, now, "started")
    again = f", {state.restarts} times anew" if state.restarts else ""
    if state.restarts and age_s is not None and age_s < RECENT_S:
        return Verdict.WARN, f"it runs{since}{again}: it may be ending and started again and again"
    match state.health:
        case "unhealthy":
            said = f": {state.health_said.strip()}" if state.health_said.strip() else ""
            return Verdict.FAIL, f"it runs{since}{again} and is unhealthy by its health check{said}"
        case "starting":
            return Verdict.WARN, f"it runs{since}{again}, and its health check has not passed yet"
        case _:
            known = "and is healthy" if state.health else "(it has no health check)"
            if state.oom_killed:
                return Verdict.WARN, f"it runs{since}{again}, and the kernel has killed in it for want of memory"
            return Verdict.PASS, f"it runs{since}{again} {known}"


def _ended(state: State) -> str:
    if state.oom_killed:
        return f"the kernel killed it for want of memory (exit code {state.exit_code})"
    return f"exit code {state.exit_code}" + (f", {state.error}" if state.error else "")


def _ago(moment: str, now: datetime, word: str = "") -> str:
    """``, started 3 h ago``; nothing for the engine's word for never, the year 1."""
    age_s = _age_s(moment, now)
    return "" if age_s is None else f", {f'{word} ' if word else ''}{human(age_s, Measure.SECONDS)} ago"


def _age_s(moment: str, now: datetime) -> float | None:
    """How long ago, in seconds; 0 for what has happened since the run began."""
    try:
        when = datetime.fromisoformat(moment[:19]).replace(tzinfo=UTC)
    except ValueError:
        return None
    return max(0.0, (now - when).total_seconds()) if when.year > 2000 else None


def judge_unit(unit: Unit) -> Finding:
    """The finding for a unit of systemd."""
    subject, again = f"unit {unit.name}", f", started anew {unit.restarts} times" if unit.restarts else ""
    if unit.active in ("active", "reloading"):
        return Finding(subject, Verdict.PASS, f"systemd says {unit.active} ({unit.sub}){again}")
    ended = f": {unit.result}, exit status {unit.exit_status}" if unit.result not in ("", "success") else ""
    if unit.active == "activating" and unit.sub != "auto-restart":
        return Finding(subject, Verdict.WARN, f"systemd says that it is starting ({unit.sub}){again}")
    return Finding(subject, Verdict.FAIL, f"systemd says {unit.active} ({unit.sub}){ended}{again}")


def judge_process(process: Process, now: datetime) -> Finding:
    """The finding for a process that nobody keeps: that it runs."""
    age = human(max(0.0, (now - process.started).total_seconds()), Measure.SECONDS)
    return Finding(f"process {process.name}", Verdict.PASS, f"it runs as process {process.pid}, started {age} ago")
