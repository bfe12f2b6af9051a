"""Runs ``meshdiag logs``: opens what was named, prints what was asked for, gives the exit code."""

from __future__ import annotations

import sys
from collections import deque
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from meshdiag.commands._logs_output import format_of, open_sink, say, say_tally
from meshdiag.commands._logs_selection import selection_of
from meshdiag.errors import SourceError, UsageError
from meshdiag.logs.record import Level
from meshdiag.logs.tally import Tally
from meshdiag.verdict import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import tzinfo

    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._logs_flags import LogFlags
    from meshdiag.context import Context
    from meshdiag.logs.formats import Format
    from meshdiag.logs.opening.files import LogFile
    from meshdiag.logs.record import Record
    from meshdiag.logs.selection import Selection

MOST_KEPT = 200_000
"""Records of a pipe that are kept for the verdict."""
ABSENT = "no such file or directory"
SOURCES_OF = {
    "unit": ("journal",),
    "identifier": ("journal",),
    "kernel": ("journal",),
    "kube_context": ("kubernetes",),
    "namespace": ("kubernetes",),
    "container": ("kubernetes",),
    "previous": ("kubernetes",),
    "selector": ("kubernetes", "docker", "loki"),
}
"""Flags that mean something to some sources alone; elsewhere they would silently do nothing."""
SUMMARIES = ("count", "top", "new_since", "stats")


class Job(NamedTuple):
    """One call: what was asked for, of what, and the counts of what it went through. ``named``: the user named the
    paths; else they are the context's."""

    flags: LogFlags
    selection: Selection
    named: bool
    now: datetime
    paths: tuple[str, ...]
    tally: Tally
    configured: Context | None = None
    formats: tuple[Format, ...] = ()

    @property
    def context(self) -> Context:
        """The context in force."""
        return self.configured or _built_in()

    @property
    def zone(self) -> tzinfo | None:
        """The zone of times that name none, in flags and in logs alike; None for this machine's."""
        return UTC if self.flags.utc else None


def run(invocation: Invocation, paths: tuple[str, ...], flags: LogFlags) -> int:
    """Do what the flags ask. Raises ``UsageError`` before anything is opened, ``SourceError`` where nothing can be."""
    _check(flags)
    now = datetime.now(UTC)
    selection = selection_of(flags, now)
    context = _context(invocation)
    logs = paths or (context or _built_in()).logs
    job = Job(flags, selection, bool(paths), now, logs, Tally(), context, _formats(context))
    if flags.source != "file":
        from meshdiag.commands._logs_remote import run_remote

        return run_remote(job, paths)
    if flags.follow:
        return _follow(job)
    return _search(job)


def _sums_up(flags: LogFlags) -> list[str]:
    """The flags that ask for a summary in place of records."""
    return [name for name in SUMMARIES if getattr(flags, name)]


def _check(flags: LogFlags) -> None:
    """Refuse what cannot be asked together."""
    chosen = _sums_up(flags)
    if len(chosen) > 1:
        first, second = (f"--{name.replace('_', '-')}" for name in chosen[:2])
        raise UsageError(f"{first} and {second} are two answers", hint="ask one after the other")
    if chosen and (flags.follow or flags.jq or flags.with_file):
        raise UsageError(f"--{chosen[0].replace('_', '-')} sums up: it goes without --follow, --jq and --with-file")
    for name, sources in SOURCES_OF.items():
        if getattr(flags, name) and flags.source not in sources:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} belongs to --source {' or '.join(sources)}, not to {flags.source}")
    if flags.by != "level" and not flags.stats:
        raise UsageError(f"--by {flags.by} says what --stats counts by", hint=f"meshdiag logs --stats --by {flags.by}")
    if flags.jq is not None and (flags.format or flags.with_file):
        raise UsageError("--jq prints what jq makes of each record: it goes without --output and --with-file")
    if flags.quiet and not flags.errors:
        raise UsageError("--quiet prints the verdict alone, which --errors asks for", hint="meshdiag logs --errors -q")
    if flags.follow and (flags.quiet or flags.until or flags.head):
        raise UsageError("--follow has no end: it goes without --quiet, --until and --head")


def _built_in() -> Context:
    from meshdiag.context import Context

    return Context()


def _context(invocation: Invocation) -> Context | None:
    """The configured context, None where nothing is: looking for that at length would take longer than a small log."""
    from meshdiag.config.presence import may_be_configured

    if not (invocation.context or invocation.config_file or may_be_configured(invocation.environ)):
        return None
    loaded = invocation.load()
    for note in loaded.notes:
        say(note)
    return loaded.context


def _formats(context: Context | None) -> tuple[Format, ...]:
    """The user's own formats. Raises ``ConfigError`` for one that cannot be used."""
    if context is None or not context.log_formats:
        return ()
    from meshdiag.logs.formats.custom import custom

    return tuple(custom(name, regex) for name, regex in context.log_formats.items())


def _search(job: Job) -> int:
    """Look through the files once, print what was asked for, and judge where ``--errors`` asks for it."""
    files = _find(job)
    streamed = job.flags.errors and not all(one.regular for one in files)
    kept: list[Record] | None = [] if streamed else None
    interrupted = False
    try:
        _print(job, files, kept)
    except KeyboardInterrupt:
        interrupted = True
    except BrokenPipeError:
        pass  # whoever read has seen enough: the verdict is none the less due
    sys.stdout.flush()
    say_tally(job.tally)
    if not (job.tally.matched or interrupted or job.flags.quiet or _sums_up(job.flags)) and sys.stdout.isatty():
        say(f"nothing like that in {_looked_through(job.tally.records, len(files))}")
    if job.flags.explain:
        _explain(job, files)
    if interrupted:
        if _sums_up(job.flags):
            say("interrupted: a summary needs the whole; --since narrows it")
        return ExitCode.INTERRUPTED
    return _judge(job, files, kept)


def _looked_through(records: int, files: int) -> str:
    """How much was looked through: no record is counted where a search of whole blocks has ruled out all of them."""
    where = f"{files:,} {'file' if files == 1 else 'files'}"
    return f"{records:,} {'record' if records == 1 else 'records'} of {where}" if records else where


def _find(job: Job) -> list[LogFile]:
    """The files to read. Of the context's own, those that are not here need no mention where others are."""
    from meshdiag.logs.opening.files import find

    try:
        files = find(job.paths, job.tally)
    except SourceError as error:
        if job.named:
            raise
        raise SourceError(
            error.message,
            trouble=error.trouble,
            source=error.source,
            hint="name a file or a folder: meshdiag logs PATH; or ask --source loki, docker, journal or kubernetes",
        ) from error
    if not job.named:
        job.tally.skipped[:] = [one for one in job.tally.skipped if not one.endswith(ABSENT)]
    return files


def _print(job: Job, files: Sequence[LogFile], kept: list[Record] | None) -> None:
    """Print what was asked for; ``kept`` takes the records that count for the verdict where they come by only once."""
    flags = job.flags
    if flags.quiet and kept is None:
        return
    alike = repeat_one_another(job, files)
    if flags.count and alike:
        print_count(job, sum(1 for _ in found_in(job, files)))
    elif flags.count:
        from meshdiag.logs.search import count

        print_count(job, count(files, job.selection, job.tally, formats=job.formats, zone=job.zone))
    elif flags.top or flags.new_since or flags.stats:
        from meshdiag.commands._logs_summaries import summarise

        summarise(job, files)
    elif kept is None and _plain(flags) and not alike:
        from meshdiag.logs.search import copy

        sys.stdout.flush()
        copy(files, job.selection, sys.stdout.fileno(), job.tally, formats=job.formats, zone=job.zone)
    else:
        records = found_in(job, files)
        put_all(job, records if kept is None else _keeping(records, kept), [one.path for one in files])


def repeat_one_another(job: Job, files: Sequence[LogFile]) -> bool:
    """Whether records may stand in several of the files: the context's own logs, which the mesh writes side by side.
    With the records around a match nothing is left out: they are to be seen as they stand."""
    several = len({one.live for one in files}) > 1
    return several and not job.named and not (job.selection.before or job.selection.after)


def found_in(job: Job, files: Sequence[LogFile]) -> Iterator[Record]:
    """The wanted records of files, each once where they repeat one another."""
    from meshdiag.logs.search import search

    asked = job.selection
    if not repeat_one_another(job, files):
        return search(files, asked, job.tally, formats=job.formats, zone=job.zone)
    from meshdiag.logs.twins import once

    lives = len({one.live for one in files})
    whole = asked._replace(head=None, tail=None if asked.tail is None else asked.tail * lives)
    records = once(search(files, whole, job.tally, formats=job.formats, zone=job.zone), job.tally)
    if asked.tail is not None:
        return iter(deque(records, maxlen=asked.tail))
    return records if asked.head is None else islice(records, asked.head)


def _keeping(records: Iterable[Record], kept: list[Record]) -> Iterator[Record]:
    for record in records:
        if record.level is not None and record.level >= Level.WARN and len(kept) < MOST_KEPT:
            kept.append(record)
        yield record


def put_all(job: Job, records: Iterable[Record], names: Sequence[str]) -> None:
    """Print records as the flags ask; with ``--quiet`` only take them."""
    if job.flags.quiet:
        for _ in records:
            pass
        return
    paging = not job.flags.no_pager and "-" not in job.paths
    sink = open_sink(job.flags, job.tally, names, paging=paging, patterns=job.selection.patterns)
    try:
        for record in records:
            sink.put(record)
    except BrokenPipeError:
        return  # whoever read has seen enough
    finally:
        sink.close()


def print_count(job: Job, number: int) -> None:
    """The number alone, or as JSON or CSV."""
    fmt = job.flags.format
    if fmt == "json":
        sys.stdout.write(f'{{"count":{number}}}\n')
    else:
        sys.stdout.write(f"count\n{number}\n" if fmt == "csv" else f"{number}\n")


def _follow(job: Job) -> int:
    from meshdiag.logs.follow.following import follow, follow_raw
    from meshdiag.logs.follow.watching import Stop

    code = ExitCode.PASS
    out, repeats = sys.stdout.fileno(), _repeats(job)
    how: Following = {"formats": job.formats, "zone": job.zone, "missing": _missing(job), "warn": say}
    try:
        if _plain(job.flags) and repeats == 1:
            sys.stdout.flush()
            follow_raw(job.paths, job.selection, out, job.tally, Stop(), **how)
        else:
            sink = open_sink(job.flags, job.tally, job.paths, paging=False, patterns=job.selection.patterns)
            for record in follow(job.paths, job.selection, job.tally, Stop(), reader=out, repeats=repeats, **how):
                sink.put(record)
                sink.flush()
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        pass  # whoever read has seen enough
    say_tally(job.tally)
    return code


def _repeats(job: Job) -> int:
    """In how many of the followed files a record may stand: see ``repeat_one_another``."""
    from glob import has_magic

    return 1 if job.named or not (len(job.paths) > 1 or has_magic(job.paths[0])) else max(2, len(job.paths))


class Following(TypedDict):
    """How followed lines are read."""

    formats: tuple[Format, ...]
    zone: tzinfo | None
    missing: Callable[[str], None]
    warn: Callable[[str], None]


def _missing(job: Job) -> Callable[[str], None]:
    """Says at the start which files are not there: they are waited for, but the name may be wrong. Of the context's
    own, only when none is there."""
    expected = 0 if job.named else len(job.paths) - 1
    told: list[str] = []

    def tell(path: str) -> None:
        told.append(path)
        if len(told) > expected:
            for one in told:
                say(f"{one}: {ABSENT}; it is followed once it is there")
            told.clear()

    return tell


def _plain(flags: LogFlags) -> bool:
    """Whether the bytes of the log are the answer, with nothing added."""
    return format_of(flags) == "raw" and not (flags.with_file or flags.jq or sys.stdout.isatty())


def _explain(job: Job, files: Sequence[LogFile]) -> None:
    from meshdiag.logs.evidence import commands, says_all

    for one in commands([file.path for file in files], job.selection):
        say_command(one)
    if not all(says_all(file.path, job.selection) for file in files):
        say("grep knows no times and no fields: it shows more than was asked for")


def say_command(command: str) -> None:
    """A command that shows it again, on stderr, so that it can be pasted."""
    import click

    from meshdiag.render.safe import pasteable

    click.echo(f"  $ {pasteable(command)}", err=True)


def _judge(job: Job, files: Sequence[LogFile], kept: list[Record] | None) -> int:
    if job.flags.errors:
        from meshdiag.commands._logs_verdict import judge_files, judge_kept

        return judge_files(job, files) if kept is None else judge_kept(job, kept, [one.path for one in files])
    if not job.tally.matched and job.tally.skipped:
        return ExitCode.UNKNOWN
    return ExitCode.PASS
