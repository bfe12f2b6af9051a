"""``meshdiag logs --top``, ``--new-since`` and ``--stats``: many records in a few lines, or as data for programs.

JSON has an object a line, CSV a row: one for each pattern, or for each bucket of time and name.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

from meshdiag.commands._logs_output import format_of, say
from meshdiag.commands._logs_run import found_in, repeat_one_another
from meshdiag.logs.patterns.recurring import BASELINE_NS, Patterns, new_since, top
from meshdiag.logs.rates import Course, rates
from meshdiag.logs.record import nanoseconds
from meshdiag.render.ansi import wanted
from meshdiag.render.histogram import columns, histogram
from meshdiag.render.log_data import csv_text, json_line, rfc3339_ns
from meshdiag.render.log_patterns import as_data, as_lines
from meshdiag.render.pager import Pager, pager_command
from meshdiag.render.safe import encodable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import tzinfo

    from meshdiag.commands._logs_run import Job
    from meshdiag.logs.opening.files import LogFile
    from meshdiag.logs.patterns.recurring import Found
    from meshdiag.logs.rates import Rates
    from meshdiag.logs.record import Record

SHOWN = 30
"""Patterns that are shown to people where ``--head`` says no other number."""


def summarise(job: Job, files: Sequence[LogFile]) -> None:
    """Sum log files up; where they repeat one another, record by record."""
    flags = job.flags
    if repeat_one_another(job, files):
        whole = job.selection._replace(head=None, tail=None, since_ns=window_of_summary(job))
        summarise_records(job, found_in(job._replace(selection=whole), files))
        return
    if flags.stats:
        room = columns(_width())
        _print_rates(
            job,
            rates(
                files, job.selection, job.tally,
                by=flags.by, buckets=room, formats=job.formats, zone=job.zone, shown_in=_zone(job),
            ),
        )  # fmt: skip
    elif flags.top:
        _print_patterns(job, top(files, job.selection, job.tally, formats=job.formats, zone=job.zone))
    else:
        found = new_since(files, job.selection, _edge(job), job.tally, formats=job.formats, zone=job.zone)
        _print_patterns(job, _known(job, found))


def summarise_records(job: Job, records: Iterable[Record]) -> None:
    """Sum up records that came from elsewhere: with ``--new-since`` those of the time before among them."""
    flags = job.flags
    if flags.stats:
        course = Course(flags.by)
        for record in records:
            course.add(record)
        asked = job.selection
        shown = course.rates(
            since_ns=asked.since_ns, until_ns=asked.until_ns, buckets=columns(_width()), zone=_zone(job)
        )
        _print_rates(job, shown)
        return
    edge = None if flags.new_since is None else _edge(job)
    patterns = Patterns(compare=edge is not None)
    for record in records:
        patterns.add(record, 0 if edge is not None and (record.time_ns or 0) < edge else 1)
        if patterns.full:
            patterns.thin()
    found = patterns.found()
    _print_patterns(job, found if edge is None else _known(job, _fresh(found)))


def window_of_summary(job: Job) -> int | None:
    """From when records must come for ``--new-since`` to have something to compare with."""
    if job.flags.new_since is None or job.selection.since_ns is not None:
        return job.selection.since_ns
    return _edge(job) - BASELINE_NS


def _edge(job: Job) -> int:
    """The moment since which patterns are to be new."""
    assert job.flags.new_since is not None
    end = job.selection.until_ns or nanoseconds(job.now)
    return end - int(job.flags.new_since.total_seconds() * 1e9)


def _fresh(found: Found) -> Found:
    return replace(found, patterns=tuple(one for one in found.patterns if not one.before))


def _known(job: Job, found: Found) -> Found:
    """What is new; nothing, and a word about it, where there is nothing to compare with."""
    if found.baseline:
        recent = found.records - found.baseline
        if not recent:
            say(f"nothing is new, for there is no such record of late; the time before has {found.baseline:,}")
        elif not found.patterns:
            are = "the record is" if recent == 1 else f"all {recent:,} records are"
            say(f"nothing is new: {are} of patterns that were there before")
        return found
    if found.records:
        say("the time before holds no record to compare with, so nothing can be called new")
    else:
        say("there is no such record, neither of late nor in the day before; --until looks at an earlier time")
    return replace(found, patterns=(), rest=0)


def _print_patterns(job: Job, found: Found) -> None:
    job.tally.matched = found.records
    fmt = _summary_format(job)
    if fmt in ("json", "csv"):
        keys = ("pattern", "level", "count", "before", "first_seen", "last_seen", "components", "example", "file")
        _print_data(as_data(found), fmt, keys)
        return
    lines = as_lines(
        found,
        width=_width(),
        limit=job.flags.head or SHOWN,
        colour=wanted(sys.stdout),
        encoding=sys.stdout.encoding or "utf-8",
        utc=job.flags.utc,
        examples=True,
    )
    _print(job, lines)


def _print_rates(job: Job, shown: Rates) -> None:
    job.tally.matched = sum(shown.total) + shown.untimed
    fmt = _summary_format(job)
    if fmt in ("json", "csv"):
        rows = [
            {"ts": rfc3339_ns(begin), "width_s": shown.width_ns / 1e9, shown.by: name, "count": count}
            for begin, counts in shown.rows()
            for name, count in counts.items()
        ]
        _print_data(rows, fmt, ("ts", "width_s", shown.by, "count"))
        return
    encoding = sys.stdout.encoding or "utf-8"
    text = histogram(
        shown,
        width=_width(),
        colour=wanted(sys.stdout),
        ascii_only=not encoding.lower().startswith("utf"),
        utc=job.flags.utc,
    )
    _print(job, [text])


def _print(job: Job, lines: Iterable[str]) -> None:
    with Pager(pager_command(paging=not job.flags.no_pager)) as out:
        for line in lines:
            out.write(line)


def _print_data(rows: Iterable[Mapping[str, Any]], fmt: str, keys: Sequence[str]) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    if fmt == "json":
        ascii_only = not encoding.lower().startswith("utf")
        for row in rows:
            sys.stdout.write(json_line(dict(row), ascii_only=ascii_only))
        return
    sys.stdout.write(encodable(csv_text(keys, rows), encoding))


def _summary_format(job: Job) -> str:
    """The format asked for; there are no raw lines of a summary."""
    return job.flags.format or ("table" if format_of(job.flags) == "raw" else format_of(job.flags))


def _width() -> int:
    return shutil.get_terminal_size((80, 24)).columns


def _zone(job: Job) -> tzinfo:
    from meshdiag.logs.opening.reading import local_zone

    return UTC if job.flags.utc else local_zone()
