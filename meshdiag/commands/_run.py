"""Runs checks and a view for a command, prints the report and gives the exit code."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from meshdiag.checks.inputs import everything
from meshdiag.model import ExitCode, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from meshdiag.checks import Check
    from meshdiag.checks.inputs import Wanted
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags
    from meshdiag.context import Context
    from meshdiag.engine import View
    from meshdiag.model import Report, Result

ASKED_S = 0.01
"""So long after the first answer the questions that waited for it have gone out."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question:
    """What a command asks: ids or globs of checks (``without`` takes some out again), checks made
    for this call (``extra``), what makes its table, which labels it is narrowed to, which sources the user allowed in
    as many words (``on_request``, of ``session.ON_REQUEST``), and what it changes of the context (``adjust``)."""

    command: str
    checks: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    extra: tuple[Check, ...] = ()
    view: View | None = None
    wanted: Wanted = everything
    on_request: tuple[str, ...] = ()
    adjust: Callable[[Context], Context] = lambda context: context


def answer(invocation: Invocation, flags: Flags, question: Question) -> int:
    """Look, print, and return the exit code. Raises ``UsageError`` before anything is asked."""
    report, interrupted = look(invocation, flags, question)
    return show(report, flags, interrupted=interrupted)


def look(invocation: Invocation, flags: Flags, question: Question) -> tuple[Report, bool]:
    """The report, and whether the user cut it short. Raises ``UsageError`` before anything is asked."""
    from meshdiag.checks import select

    without = () if flags.only else question.without
    checks = [*select(question.checks, flags.only, (*flags.skip, *without)), *question.extra]
    return run_loop(lambda stop: _look(invocation, flags, question, checks, stop))


def show(report: Report, flags: Flags, *, interrupted: bool = False) -> int:
    """Print a report as the flags ask; the exit code is the same whatever the format."""
    from meshdiag.render import render_report

    with contextlib.suppress(BrokenPipeError):
        render_report(
            report,
            flags.format,
            sys.stdout,
            verbose=flags.verbose,
            quiet=flags.quiet,
            explain=flags.explain,
            utc=flags.utc,
        )
    return ExitCode.INTERRUPTED if interrupted else ExitCode.of(report.verdict, Verdict(flags.fail_on))


def run_loop(main: Callable[[asyncio.Event], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine; Ctrl-C sets the event it is given, so that it can end with what it has.

    Unlike ``asyncio.run`` it does not wait for threads that hang in a name look-up.
    """
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    try:
        with contextlib.suppress(ValueError, NotImplementedError):  # not in the main thread
            loop.add_signal_handler(signal.SIGINT, stop.set)
        return loop.run_until_complete(main(stop))
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=0.5))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def preparing(fmt: str, on_result: Callable[[Result], None]) -> Callable[[Result], None]:
    """``on_result``, and what prints the answer imported at the first result: while the servers think about theirs."""
    from meshdiag.render import prepare

    begun = False

    def note(result: Result) -> None:
        nonlocal begun
        if not begun and result.verdict is not Verdict.SKIP:
            begun = True
            asyncio.get_running_loop().call_later(ASKED_S, prepare, fmt)
        on_result(result)

    return note


async def _look(
    invocation: Invocation, flags: Flags, question: Question, checks: Sequence[Check], stop: asyncio.Event
) -> tuple[Report, bool]:
    from meshdiag.causes import find_causes
    from meshdiag.commands._progress import progress
    from meshdiag.engine import Run, run_checks
    from meshdiag.model import Report
    from meshdiag.session import ON_REQUEST, Direct, open_sources, with_timeout

    loaded = invocation.load()
    context = question.adjust(with_timeout(loaded.context, flags.timeout.total_seconds() if flags.timeout else None))
    direct = {True: Direct.ALWAYS, False: Direct.NEVER, None: Direct.FALLBACK}[flags.direct]
    needs = {source for one in checks for need in one.needs for source in need.split("|")}
    needs |= set(question.view.needs if question.view else ())
    also = needs - ON_REQUEST.keys() | set(question.on_request)
    started, began = datetime.now(UTC), time.monotonic()
    async with open_sources(context, direct, gap_s=flags.gap.total_seconds(), also=also) as sources:
        with progress(len(checks), quiet=flags.quiet) as on_result:
            run = Run(
                context,
                sources,
                started,
                flags.since,
                flags.at,
                question.wanted,
                deadline_s=flags.deadline.total_seconds(),
                on_result=preparing(flags.format, on_result),
            )
            answers = await run_checks(checks, run, stop, view=question.view)
    report = Report(
        command=question.command,
        context=context.name,
        started=started,
        duration_s=time.monotonic() - began,
        results=answers.results,
        causes=find_causes(answers.reached),
        data=answers.table,
        notes=(*loaded.notes, *answers.notes),
        at=flags.at,
    )
    return report, answers.interrupted
