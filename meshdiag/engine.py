"""Runs checks side by side under one deadline and gathers their results.

A check waits for the gate of the sources it needs (``stack.prometheus`` vouches for Prometheus); where the
gate stays shut and no other source can answer, its result is UNKNOWN and names the gate, so that renderers can
fold it. Whatever a check raises costs one result, never the run.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from meshdiag.checks import Check, Outcome, find_check, place_of
from meshdiag.checks.inputs import Inputs, Memo, everything
from meshdiag.context import CheckSettings
from meshdiag.errors import LeftOut, SourceError, Trouble
from meshdiag.model import Result, Verdict, count_verdicts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime, timedelta

    from meshdiag.checks.inputs import Wanted
    from meshdiag.context import Context
    from meshdiag.metrics import Metrics
    from meshdiag.model import Finding, Table
    from meshdiag.sources import Sources

OPEN = frozenset({Verdict.PASS, Verdict.WARN})
"""The verdicts of a gate that let its dependants through."""

MAX_WARNINGS = 10
"""Warnings of the sources that become notes; what follows is counted."""

GRACE_S = 0.5
"""How long cancelled checks may take to clean up before they are left behind."""

LATE = "allow more with --deadline, or less for each request with --timeout: then it says which server does not answer"
"""The next step where the deadline came before the answers."""


@dataclass(frozen=True, slots=True)
class View:
    """What makes a command's table out of the same sources, in the same run. ``draw`` may raise ``SourceError``;
    ``needs`` are the sources it asks, as in ``Check``."""

    draw: Callable[[Inputs], Awaitable[Table]]
    needs: tuple[str, ...] = ("metrics",)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of checks is asked: see ``Inputs`` for the fields of the same name."""

    context: Context
    sources: Sources
    now: datetime
    window: timedelta
    at: datetime | None = None
    wanted: Wanted = everything
    deadline_s: float = 20.0
    on_result: Callable[[Result], None] = field(default=lambda _result: None)
    """Called with each result as it comes, for progress."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The results in the order of the checks asked for, gates first; ``reached`` are those of the checks that came
    to an end, ``interrupted`` when the user stopped the run."""

    results: tuple[Result, ...]
    reached: tuple[Result, ...] = ()
    table: Table | None = None
    notes: tuple[str, ...] = ()
    interrupted: bool = False


async def run_checks(
    checks: Sequence[Check], run: Run, stop: asyncio.Event | None = None, *, view: View | None = None
) -> Answers:
    """Run ``checks`` (and the gates they depend on) and return every result, also of those not reached.

    ``stop``: set it (on Ctrl-C) and the run ends at once with what it has. ``view`` makes the command's table
    beside them; when it cannot, a note says why.
    """
    runner = _Runner(run)
    for one in checks:
        runner.start(one)
    if view is not None:
        runner.start_view(view)
    stop = stop or asyncio.Event()
    stopping = asyncio.create_task(stop.wait())
    try:
        await runner.wait(stopping)
    finally:
        stopping.cancel()
        await runner.close()
    late = f"not reached within the deadline of {run.deadline_s:g} s"
    reason, hint = ("interrupted", "") if stop.is_set() else (late, LATE)
    results, table = runner.results(reason, hint), runner.table(reason)
    reached = tuple(one for one in results if runner.answered(one.id))
    notes = (*runner.notes, *warned(run.sources.metrics))
    return Answers(results, reached, table, notes, interrupted=stop.is_set())


def warned(sources: Sequence[Metrics]) -> list[str]:
    """What the metrics sources warned of beside their answers: a verdict from half an answer must say so."""
    said = [f"{source.name}: {warning}" for source in sources for warning in source.warnings]
    more = len(said) - MAX_WARNINGS
    return said if more <= 0 else [*said[:MAX_WARNINGS], f"and {more} more warnings beside the answers"]


class _Runner:
    """The tasks of one run, one a check."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.memo = Memo()
        self.tasks: dict[str, asyncio.Task[Result]] = {}
        self.view: asyncio.Task[Table] | None = None
        self.checks: dict[str, Check] = {}
        self.notes: list[str] = []
        self.deadline = time.monotonic() + run.deadline_s

    def start(self, check: Check) -> asyncio.Task[Result]:
        """The task of a check, begun at the first call."""
        task = self.tasks.get(check.id)
        if task is None:
            self.checks[check.id] = check
            task = self.tasks[check.id] = asyncio.create_task(self._answer(check), name=check.id)
        return task

    def start_view(self, view: View) -> None:
        """Begin the command's table."""
        self.view = asyncio.create_task(self._draw(view), name="view")

    def _pending(self) -> set[asyncio.Task[Any]]:
        tasks: list[asyncio.Task[Any]] = [*self.tasks.values(), *([self.view] if self.view else [])]
        return {task for task in tasks if not task.done()}

    async def wait(self, stopping: asyncio.Task[bool]) -> None:
        """Wait until every check has answered, the deadline has passed or ``stopping`` is done."""
        while (pending := self._pending()) and not stopping.done():
            left = self.deadline - time.monotonic()
            if left <= 0:
                return
            await asyncio.wait({*pending, stopping}, timeout=left, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Stop what is still running; a check that ignores it is left behind rather than waited for."""
        pending = self._pending()
        for task in pending:
            task.cancel()
        closing = asyncio.create_task(self.memo.close())
        await asyncio.wait([*pending, closing], timeout=GRACE_S)

    def table(self, reason: str) -> Table | None:
        """The command's table; a note says why where there is none."""
        if self.view is None:
            return None
        if not self.view.done() or self.view.cancelled():
            self._note(f"no table: {reason}")
            return None
        error = self.view.exception()
        if error is None:
            return self.view.result()
        if not isinstance(error, SourceError):
            self._note(f"no table: {error!r}")
        elif not self._told(error.message):
            self._note(f"no table: {error.message}")
        return None

    def _told(self, message: str) -> bool:
        """Whether a check's answer says the same already."""
        done = (task.result() for task in self.tasks.values() if task.done() and not task.cancelled())
        return any(message in result.summary for result in done)

    def results(self, reason: str, hint: str) -> tuple[Result, ...]:
        """Every result, gates first; a check without one is UNKNOWN for ``reason``, with ``hint`` as next step."""
        gates = {gate for gate in map(self._gate_of, self.run.sources.metrics) if gate}
        checks = sorted(self.checks.values(), key=lambda one: (one.id not in gates, place_of(one.id)))
        return tuple(
            self.tasks[one.id].result() if self.answered(one.id) else _unknown(one, reason, hint) for one in checks
        )

    def answered(self, id_: str) -> bool:
        """Whether a check came to an end by itself."""
        return (task := self.tasks[id_]).done() and not task.cancelled()

    @staticmethod
    def _gate_of(metrics: Metrics) -> str | None:
        return metrics.gate

    async def _answer(self, check: Check) -> Result:
        began = time.monotonic()
        try:
            result = await self._look(check)
        except LeftOut as error:
            result = result_of(check, Outcome(verdict=Verdict.SKIP, summary=f"not looked at: {error.message}"))
        except SourceError as error:
            result = await self._failed(check, error)
        except Exception as error:  # one check must never cost the run
            result = _unknown(check, f"a bug in this check: {type(error).__name__}: {error}")
        result = replace(result, duration_s=time.monotonic() - began)
        self.run.on_result(result)
        return result

    async def _failed(self, check: Check, error: SourceError) -> Result:
        """The answer of a check that could not look; folded where another check answers for it. One that was made
        for this call alone (a query) speaks for itself."""
        if error.because and error.because != check.id and find_check(check.id):
            blamed = await self._gate(error.because)
            if blamed.verdict not in OPEN:
                return _because(check, blamed)
        return _unknown(check, error.message, hint=error.hint)

    async def _look(self, check: Check) -> Result:
        admitted = await self._admit(check)
        return admitted if isinstance(admitted, Result) else result_of(check, await check.run(admitted))

    async def _draw(self, view: View) -> Table:
        admitted = await self._admit(Check("view", "", _nothing, view.needs, "", ""))
        if isinstance(admitted, Result):
            raise SourceError(admitted.summary, trouble=Trouble.NOT_AVAILABLE)
        return await view.draw(admitted)

    async def _admit(self, check: Check) -> Inputs | Result:
        """What the check is handed, once its sources are vouched for; or the answer when they are not."""
        for need in check.needs:
            if need != "metrics" and (refusal := await self._refusal(check, need.split("|"))):
                return refusal
        metrics: Metrics | None = None
        if "metrics" in check.needs:
            chosen = await self._choose_metrics(check)
            if isinstance(chosen, Result):
                return chosen
            metrics = chosen
        run, settings = self.run, self.run.context.checks.get(check.id, CheckSettings())
        return Inputs(
            context=run.context,
            sources=run.sources,
            now=run.now,
            window=run.window,
            at=run.at,
            wanted=run.wanted,
            threshold=settings.over(check.threshold),
            options=settings.options,
            chosen_metrics=metrics,
            memo=self.memo,
        )

    async def _refusal(self, check: Check, sources: Sequence[str]) -> Result | None:
        """The answer when none of the sources, of which one is enough, can be asked: skipped or folded."""
        left_out = self.run.sources.left_out
        asked = [source for source in sources if source not in left_out]
        if not asked:
            return result_of(check, Outcome(verdict=Verdict.SKIP, summary=left_out[sources[0]]))
        shut = await asyncio.gather(*(self._shut_gate(check, source) for source in asked))
        return shut[0] if all(shut) else None

    async def _shut_gate(self, check: Check, need: str) -> Result | None:
        """The folded answer when the source that ``check`` needs is not vouched for."""
        gate = getattr(getattr(self.run.sources, need, None), "gate", None)
        if not isinstance(gate, str) or gate == check.id:
            return None
        verdict = await self._gate(gate)
        return None if verdict.verdict in OPEN else _because(check, verdict)

    async def _choose_metrics(self, check: Check) -> Metrics | Result:
        """The first metrics source whose gate is open and which knows enough, or the folded answer."""
        refused: Result | None = None
        for metrics in self.run.sources.metrics:
            if metrics.gate is not None and metrics.gate != check.id:
                gate = await self._gate(metrics.gate)
                if gate.verdict not in OPEN:
                    refused = refused or gate
                    continue
            if check.history and not metrics.history:
                if refused is not None:
                    return _because(check, refused)
                return result_of(
                    check,
                    Outcome(verdict=Verdict.SKIP, summary="needs history, which the nodes' pages do not hold"),
                )
            if refused is not None:
                self._note(f"{refused.summary}; asked instead: {metrics.name}")
            return metrics
        if refused is not None:
            return _because(check, refused)
        return _unknown(check, "no source of metrics is configured")

    async def _gate(self, id_: str) -> Result:
        gate = find_check(id_)
        assert gate is not None
        return await asyncio.shield(self.start(gate))

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


async def _nothing(_inputs: Inputs) -> Outcome:
    return Outcome()


def result_of(check: Check, outcome: Outcome) -> Result:
    """An outcome as the check's result."""
    verdict = outcome.verdict or Verdict.worst(finding.verdict for finding in outcome.findings)
    return Result(
        id=check.id,
        title=check.title,
        verdict=verdict,
        summary=outcome.summary or _sum_up(outcome.findings) or "nothing was found to look at",
        findings=outcome.findings,
        evidence=outcome.evidence,
        hint=outcome.hint or check.hint,
        runbook=check.runbook,
        absent=outcome.absent,
    )


def _unknown(check: Check, reason: str, hint: str = "") -> Result:
    return result_of(check, Outcome(verdict=Verdict.UNKNOWN, summary=reason, hint=hint))


def _because(check: Check, gate: Result) -> Result:
    result = _unknown(check, f"unknown, because {gate.id} is {gate.verdict}: {gate.summary}", gate.hint)
    return replace(result, because=gate.id)


def _sum_up(findings: Sequence[Finding]) -> str:
    """One line for a check that did not write its own: the worst finding, and how many are like it."""
    if not findings:
        return ""
    worst = max(findings, key=lambda finding: finding.verdict.severity)
    alike = count_verdicts(findings)[worst.verdict]
    if worst.verdict in (Verdict.PASS, Verdict.SKIP):
        return f"{len(findings)} of {len(findings)} fine" if worst.verdict is Verdict.PASS else worst.message
    others = f", and {alike - 1} more" if alike > 1 else ""
    return f"{worst.subject}: {worst.message}{others}"
