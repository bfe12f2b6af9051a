"""``meshdiag peers`` as a look from here: reads what is to be probed, probes, prints; ``--watch`` looks again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from meshdiag.errors import UsageError

if TYPE_CHECKING:
    from meshdiag.checks import Check
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags
    from meshdiag.model import Report
    from meshdiag.sources.probing import Target
    from meshdiag.views.peers import Peers

CHECKS = ("peers.latency", "peers.loss", "peers.jitter")
"""The checks that judge probes."""
MOST_PROBES = 10_000
"""Of one peer in one look; ``--watch`` goes on for longer."""
LONGEST = timedelta(minutes=10)
"""Between two probes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed: see the flags' help."""

    targets: tuple[str, ...]
    files: tuple[str, ...]
    methods: tuple[tuple[str, ...], ...]
    count: int
    interval: timedelta
    watch: bool


def look_at_peers(invocation: Invocation, flags: Flags, asked: Asked) -> int:
    """Probe, print, and return the exit code. Raises ``UsageError``."""
    from meshdiag.commands._progress import saying
    from meshdiag.commands._run import show

    peers = _peers(invocation, flags, asked)
    if asked.watch:
        from meshdiag.commands._peers_watch import watch_peers

        return watch_peers(flags, peers, lambda one: look_once(invocation, flags, one))
    with saying(flags.quiet) as say:
        peers.say = say
        report, interrupted = look_once(invocation, flags, peers)
    return show(report, flags, interrupted=interrupted)


def look_once(invocation: Invocation, flags: Flags, peers: Peers) -> tuple[Report, bool]:
    """One look as a report, and whether the user cut it short."""
    from meshdiag.commands._run import Question, look
    from meshdiag.engine import View
    from meshdiag.sources.probing.pace import PER_SECOND

    question = Question("peers", extra=peers.checks, view=View(peers.table, ("probe",)))
    lasts_s = peers.plan.lasts_s + len(peers.targets) * (peers.plan.count + 1) / PER_SECOND
    patient = replace(flags, only=(), skip=(), quiet=True, deadline=flags.deadline + timedelta(seconds=lasts_s))
    report, interrupted = look(invocation, patient, question)
    if peers.cut_short:
        stopped = "interrupted" if interrupted else "the deadline passed"
        note = f"{stopped}: this is what was seen until then"
        peers = replace(peers, given=peers.cut_short, notes=[*peers.notes, note])
        question = replace(question, extra=peers.checks, view=View(peers.table, ("probe",)))
        known, _ = look(invocation, patient, question)
        report = replace(known, started=report.started, duration_s=report.duration_s)
    return replace(report, notes=(*report.notes, *peers.notes)), interrupted


def _peers(invocation: Invocation, flags: Flags, asked: Asked) -> Peers:
    """What is to be probed, how, and by which checks it is judged. Raises ``UsageError``."""
    from meshdiag.sources.probing import Method, Plan
    from meshdiag.views.peers import Peers

    if flags.at:
        raise UsageError("peers cannot look at another moment (--at): a probe shows the present alone")
    if not 0 < asked.count <= MOST_PROBES:
        raise UsageError(f"--count is {asked.count:,}, expected 1 to {MOST_PROBES:,}")
    if asked.interval > LONGEST:
        raise UsageError("--interval is longer than 10 minutes")
    named = [name for names in asked.methods for name in names]
    plan = Plan(
        tuple(Method(name) for name in dict.fromkeys(named)),
        asked.count,
        asked.interval.total_seconds(),
        flags.timeout.total_seconds() if flags.timeout else Plan().timeout_s,
    )
    return Peers(plan, _chosen(flags), _targets(invocation, asked))


def _chosen(flags: Flags) -> list[Check]:
    """The checks that judge the probes, narrowed by ``--only`` and ``--skip``."""
    from meshdiag.checks import select

    chosen = [one for one in select(CHECKS, flags.only, flags.skip) if one.id in CHECKS]
    if not chosen:
        raise UsageError("--only and --skip leave no check of probes", hint=f"there are {', '.join(CHECKS)}")
    return chosen


def _targets(invocation: Invocation, asked: Asked) -> tuple[Target, ...]:
    """What was named, each once. Raises ``UsageError``."""
    from meshdiag.sources.probing.targets import read_targets, typed_target

    found = [typed_target(text) for text in asked.targets]
    if asked.files:
        context = invocation.load().context
        found += [one for path in asked.files for one in read_targets(path, context)]
    return tuple(dict.fromkeys(found))
