"""The verdict of ``meshdiag logs --errors``: the check ``logs.errors`` over whatever was named."""

from __future__ import annotations

import os
import sys
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from meshdiag.checks.logs import BASELINE, MINUTES, errors, judge_errors, wrong_option
from meshdiag.context import CheckSettings
from meshdiag.errors import UsageError
from meshdiag.logs.errors import COUNTED, GRAVE, MOST, Opened, Told, Window, by_log, is_pattern, summed_up, tell
from meshdiag.logs.opening.files import STDIN
from meshdiag.logs.record import moment_of, nanoseconds
from meshdiag.logs.search import search
from meshdiag.logs.selection import Selection
from meshdiag.logs.tally import Tally
from meshdiag.model import ExitCode, Finding, Report, Verdict
from meshdiag.render.verdict_line import verdict_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from meshdiag.checks import Outcome
    from meshdiag.commands._logs_run import Job
    from meshdiag.logs.errors import ErrorLog
    from meshdiag.logs.opening.files import LogFile
    from meshdiag.logs.record import Record
    from meshdiag.logs.source import LogSource


HINT = "the same with --top shows what recurs, with --new-since 1h what is new"
"""The next step for whoever has the lines themselves before their eyes."""

BLIND = "look further back with --since, or where the lines are: a path, --source loki, docker, journal, kubernetes"
"""The next step where there was nothing to judge."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The windows that a verdict compares: the one asked about, and the time before it."""

    now: Window
    before: Window
    since: datetime


def settings_of(job: Job) -> CheckSettings:
    """What the configuration says of the check. Raises ``UsageError`` for an option that makes no sense."""
    settings = job.context.checks.get(errors.id, CheckSettings())
    if wrong := wrong_option(settings.options):
        raise UsageError(wrong)
    return settings


def windows(job: Job, newest: datetime | None) -> Judged:
    """The window of the flags; without one the last minutes, up to now or, in files that the user named, up to the
    last record. The time before it is as long, an hour at least."""
    end = job.now
    if job.selection.until_ns is not None:
        end = moment_of(job.selection.until_ns)
    elif job.named and newest is not None and newest < job.now:
        end = newest
    minutes = timedelta(minutes=settings_of(job).options.get("minutes", MINUTES))
    since = end - minutes if job.selection.since_ns is None else moment_of(job.selection.since_ns)
    closed = job.selection.until_ns
    window = Window(nanoseconds(since), closed, nanoseconds(end))
    length = max((end - since).total_seconds(), BASELINE.total_seconds())
    return Judged(window, window.before(length), since)


def judge_files(job: Job, files: Sequence[LogFile]) -> int:
    """Judge log files, each log with what rotation left of it; print the verdict and give the exit code."""
    logs = by_log(files)
    last = next(search(list(files), Selection(tail=1), Tally(), formats=job.formats, zone=job.zone), None)
    newest = None if last is None or last.time_ns is None else moment_of(last.time_ns)
    judged = windows(job, newest)
    opened = Opened(tuple(logs), tuple(job.tally.skipped) if job.named else (), ())

    def look(window: Window) -> ErrorLog:
        asked = _asked(job, window, judged)
        told = [tell(path, some, asked, job.formats, job.zone) for path, some in logs]
        return summed_up(told, opened.reach(told, window), alike=not job.named)

    return _judge(job, look(judged.now), look(judged.before), judged, unread(job, files))


def unread(job: Job, files: Sequence[LogFile]) -> list[str]:
    """Files that the user named and that could not be read: what they hold is unknown, so the whole is no pass.
    Folders and patterns name what there is."""
    if not job.named:
        return []
    known = {os.path.realpath(file.path) for file in files}
    plain = [path for path in job.paths if path != STDIN and not is_pattern(path)]
    here = [os.path.expanduser(path) for path in plain]  # noqa: PTH111 - as the engine reads it
    return [path for path in here if not Path(path).is_dir() and os.path.realpath(path) not in known]


def judge_kept(job: Job, kept: Sequence[Record], files: Sequence[str]) -> int:
    """Judge what came through a pipe, which cannot be read a second time: by the records that were kept of it, which
    are those of the levels that count."""
    times = [record.time_ns for record in kept if record.time_ns is not None]
    judged = windows(job, moment_of(max(times)) if times else None)
    oldest = min(times, default=None)

    def look(window: Window) -> ErrorLog:
        inside = [one for one in kept if _lies_in(one, window)]
        total = job.tally.records if window is judged.now else len(inside)
        told = Told(files[0], inside, total, 0, False, oldest)
        return summed_up([told], Opened(((files[0], []),), (), ()).reach([told], window))

    return _judge(job, look(judged.now), look(judged.before), judged)


def judge_source(job: Job, source: LogSource) -> int:
    """Judge what an outside system keeps. Raises ``SourceError``."""
    from meshdiag.commands._run import run_loop

    judged = windows(job, None)

    async def ask(_stop: object) -> tuple[ErrorLog, ErrorLog]:
        try:
            now = await _look_there(job, source, judged, judged.now)
            return now, await _look_there(job, source, judged, judged.before)
        finally:
            await source.aclose()

    return _judge(job, *run_loop(ask), judged)


async def _look_there(job: Job, source: LogSource, judged: Judged, window: Window) -> ErrorLog:
    """What an outside system tells of a window; where it tells of no error, whether it tells of anything."""
    records = await _some(source, _asked(job, window, judged), MOST)
    total = len(records) or len(await _some(source, window.selection(tail=1), 1))
    told = Told(source.name, records, total, 0, False, window.since_ns if total else None)
    return summed_up([told], Opened(((source.name, []),), (), ()).reach([told], window))


async def _some(source: LogSource, selection: Selection, most: int) -> list[Record]:
    found: list[Record] = []
    async with aclosing(source.records(selection, Tally())) as records:  # type: ignore[type-var]
        async for record in records:
            found.append(record)
            if len(found) == most:
                break
    return found


def _asked(job: Job, window: Window, judged: Judged) -> Selection:
    """The records that count, narrowed as the flags narrow the lines; of the time before the grave ones alone."""
    asked = job.selection
    return window.selection(
        levels=COUNTED if window is judged.now else GRAVE,
        components=asked.components,
        nodes=asked.nodes,
        patterns=asked.patterns,
        where=asked.where,
        field=asked.field,
    )


def _lies_in(record: Record, window: Window) -> bool:
    time_ns = record.time_ns
    return time_ns is not None and window.since_ns <= time_ns and not (window.until_ns and time_ns >= window.until_ns)


def _judge(job: Job, log: ErrorLog, before: ErrorLog, judged: Judged, missing: Sequence[str] = ()) -> int:
    """Judge, print, and give the exit code."""
    settings = settings_of(job)
    outcome = judge_errors(log, before, settings.over(errors.threshold), judged.since, settings.options)
    unknown = tuple(Finding(path, Verdict.UNKNOWN, f"{path} could not be read") for path in missing)
    outcome = replace(outcome, findings=(*outcome.findings, *unknown))
    verdict = outcome.verdict or Verdict.worst(finding.verdict for finding in outcome.findings)
    if job.flags.quiet and job.flags.format == "json":
        _print_report(job, outcome)
    else:
        stream = sys.stdout if job.flags.quiet else sys.stderr
        hint = outcome.hint or (BLIND if verdict is Verdict.UNKNOWN else HINT)
        stream.write(verdict_text(verdict, replace(outcome, hint=hint), errors, stream))
        stream.flush()
    return ExitCode.of(verdict, Verdict(job.flags.fail_on))


def _print_report(job: Job, outcome: Outcome) -> None:
    from meshdiag.engine import result_of
    from meshdiag.render import render_report

    report = Report("logs --errors", job.context.name, job.now, results=(result_of(errors, outcome),))
    render_report(report, "json", sys.stdout)
