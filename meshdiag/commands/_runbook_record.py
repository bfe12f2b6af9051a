"""A run of a runbook as an incident record in Markdown: what was looked at, when, what it said, how to see it again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshdiag.commands._runbook_run import Entry
from meshdiag.model import Verdict
from meshdiag.render.safe import few_lines, one_line, pasteable
from meshdiag.units import human, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshdiag.commands._runbook_run import Done, Record

_MARKS = re.compile(r"[\\`*_\[\]<>&|#~]")
MOST_LINES = 40
"""Lines of an answer that the record keeps."""


def as_markdown(record: Record) -> str:
    """The record. Nothing that a server said can be read as Markdown or HTML."""
    return "\n".join(_lines(record)).rstrip() + "\n"


def _lines(record: Record) -> Iterator[str]:
    report, page = record.report, record.page
    yield f"# {_plain(page.title)}: {report.verdict.upper()}"
    yield ""
    yield f"- runbook: `{page.name}`, owner {_plain(page.owner or 'nobody')}"
    yield f"- context: {_plain(record.context)}"
    yield f"- from {rfc3339(record.started)} to {rfc3339(record.ended)}"
    if record.at is not None:
        yield f"- about {rfc3339(record.at)}"
    counts = ", ".join(f"{count} {verdict}" for verdict, count in report.counts.items() if count)
    yield f"- steps: {counts or 'none'}{'; cut short' if record.interrupted else ''}"
    yield from (f"- note: {_plain(note)}" for note in report.notes)
    for done in record.sections:
        yield ""
        yield from _section(done)


def _section(done: Done) -> Iterator[str]:
    if done.section.title:
        yield f"## {one_line(done.section.title, None)}"
        yield ""
    if done.left_out:
        yield f"Left out: {_plain(done.left_out)}."
        return
    for part in done.parts:
        if isinstance(part, Entry):
            yield from _entry(part)
        else:
            yield from (one_line(line, None) if line.strip() else "" for line in part.text.split("\n"))
        yield ""


def _entry(entry: Entry) -> Iterator[str]:
    result = entry.result
    took = f", took {human(result.duration_s, 's')}" if result.duration_s else ""
    yield f"**{result.verdict.upper()}** at {rfc3339(entry.started)}{took}: {_plain(result.summary)}"
    yield ""
    yield from _block(entry.kind, [pasteable(entry.text)])
    bad = [one for one in result.findings if one.verdict is not Verdict.PASS]
    if bad:
        yield ""
        yield from (f"- {one.verdict.upper()} {_plain(one.subject)}: {_plain(one.message)}" for one in bad)
    if result.hint:
        yield ""
        yield f"Next: {_plain(result.hint)}"
    for evidence in result.evidence:
        told = [*([pasteable(evidence.command)] if evidence.command else []), *few_lines(evidence.excerpt, MOST_LINES)]
        yield ""
        yield f"Evidence, {_plain(evidence.source)}:"
        yield ""
        yield from _block("text", told)


def _block(language: str, lines: list[str]) -> Iterator[str]:
    """A block whose fence is longer than any in it. A step's own language is named, so that the record can be compared
    with the page; a record has no front matter, so it is never run."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}{language}"
    yield from lines
    yield fence


def _plain(text: str) -> str:
    """Outside text that means nothing in Markdown."""
    return _MARKS.sub(lambda found: "\\" + found[0], one_line(text))
