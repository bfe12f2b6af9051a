"""``meshdiag logs --source``: records that Loki, Docker, the journal or Kubernetes keep, printed and judged alike."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from meshdiag.commands._logs_output import open_sink, say_tally
from meshdiag.commands._logs_run import print_count, say_command
from meshdiag.commands._run import run_loop
from meshdiag.errors import SourceError, UsageError
from meshdiag.verdict import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from meshdiag.commands._logs_run import Job
    from meshdiag.logs.record import Record
    from meshdiag.logs.source import LogSource

MOST = 1_000_000
"""Records that are summed up at most."""


def run_remote(job: Job, names: tuple[str, ...]) -> int:
    """Ask the source, print what was asked for, judge where ``--errors`` asks for it."""
    as_typed = job
    if job.flags.new_since is not None:
        from meshdiag.commands._logs_summaries import window_of_summary

        job = job._replace(selection=job.selection._replace(since_ns=window_of_summary(job)))
    source = open_source(job, names)
    take, finish = _taker(job, source)
    try:
        interrupted = run_loop(lambda stop: _drain(job, source, take, stop))
    except BrokenPipeError:
        interrupted = False
    except SourceError:
        if not job.tally.matched:  # how an answer was to be read says nothing of none
            job.tally.notes.clear()
        raise
    finally:
        finish()
        say_tally(job.tally)
        if job.flags.explain:
            for evidence in source.evidence(job.selection):
                say_command(evidence.command)
    if interrupted or job.flags.follow:
        return ExitCode.INTERRUPTED
    if job.flags.errors:
        from meshdiag.commands._logs_verdict import judge_source

        return judge_source(as_typed, open_source(job, names))
    return ExitCode.PASS


def open_source(job: Job, names: tuple[str, ...]) -> LogSource:
    """The source that ``--source`` names, before anything is asked of it. Raises ``UsageError``."""
    opened: LogSource = _SOURCES[job.flags.source](job, names)
    return opened


def _taker(job: Job, source: LogSource) -> tuple[Callable[[Record], None], Callable[[], None]]:
    """What takes each record, and what prints the rest at the end."""
    flags = job.flags
    if flags.quiet:
        return lambda _record: None, lambda: None
    if flags.count or flags.top or flags.new_since or flags.stats:
        kept: list[Record] = []

        def finish() -> None:
            if flags.count:
                print_count(job, len(kept))
                return
            from meshdiag.commands._logs_summaries import summarise_records

            summarise_records(job, kept)

        return lambda record: kept.append(record) if len(kept) < MOST else None, finish
    paging = not flags.no_pager and not flags.follow
    sink = open_sink(flags, job.tally, (), paging=paging, patterns=job.selection.patterns)

    def put(record: Record) -> None:
        sink.put(record)
        if flags.follow:
            sink.flush()

    def close() -> None:
        with contextlib.suppress(BrokenPipeError):
            sink.close()

    return put, close


async def _drain(job: Job, source: LogSource, take: Callable[[Record], None], stop: asyncio.Event) -> bool:
    """Take every record until there are no more or the user stops; whether the user did."""
    work = asyncio.create_task(_take_all(job, source, take))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            await work
            return False
        work.cancel()
        await asyncio.wait({work}, timeout=1.0)
        return True
    finally:
        stopped.cancel()
        await source.aclose()


async def _take_all(job: Job, source: LogSource, take: Callable[[Record], None]) -> None:
    if job.flags.quiet:
        return
    ask = source.follow if job.flags.follow else source.records
    records = ask(job.selection, job.tally)
    async with aclosing(records) as each:  # type: ignore[type-var]
        async for record in each:
            take(record)


def _loki(job: Job, names: tuple[str, ...]) -> LogSource:
    from meshdiag.sources.loki import Loki

    if names:
        raise UsageError("Loki has streams, no files", hint="--selector '{job=\"agent-mesh\"}' chooses them")
    context = job.context
    if context.loki is None:
        raise UsageError(f"context {context.name} has no Loki", hint="name one: MESHDIAG_LOKI_URL=http://...:3100")
    selector = job.flags.selector or context.streams
    return Loki(context.loki, selector, node_label=context.node_label, formats=job.formats)


def _docker(job: Job, names: tuple[str, ...]) -> LogSource:
    from meshdiag.sources.docker import Docker

    labels = tuple(label.strip() for label in (job.flags.selector or "").split(",") if label.strip())
    return Docker(containers=names, labels=labels, formats=job.formats, zone=_zone(job))


def _journal(job: Job, names: tuple[str, ...]) -> LogSource:
    from meshdiag.sources.journal import Journal

    flags = job.flags
    places = [name for name in names if "/" in name]  # which no unit's name holds
    folders = [place for place in places if Path(place).is_dir()]
    if len(folders) > 1 or (folders and len(places) > 1):
        raise UsageError("journalctl reads one folder, or files, at a time", hint="name one of them")
    return Journal(
        units=(*flags.unit, *(name for name in names if "/" not in name)),
        identifiers=flags.identifier,
        kernel=flags.kernel,
        files=() if folders else places,
        directory=folders[0] if folders else "",
        formats=job.formats,
        zone=_zone(job),
    )


def _kubernetes(job: Job, names: tuple[str, ...]) -> LogSource:
    from meshdiag.sources.kubernetes import Kubernetes

    flags = job.flags
    return Kubernetes(
        names,
        namespace=flags.namespace or "",
        context=flags.kube_context or "",
        selector=flags.selector or "",
        container=flags.container or "",
        previous=flags.previous,
        formats=job.formats,
        zone=_zone(job),
    )


def _zone(job: Job) -> tzinfo:
    """The zone of times that name none, as for files. Where it is wrong, the time at which a line was taken counts."""
    from meshdiag.logs.opening.reading import local_zone

    return job.zone or local_zone()


_SOURCES: dict[str, Callable[[Job, tuple[str, ...]], LogSource]] = {
    "loki": _loki,
    "docker": _docker,
    "journal": _journal,
    "kubernetes": _kubernetes,
}
