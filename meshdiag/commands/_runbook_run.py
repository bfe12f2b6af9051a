"""``meshdiag runbook run``: goes through a page section by section and runs its steps, each for itself.

A command line runs in a process of its own, by this same program, without a shell; an expression is asked through the
sources of the context, as a check is. What a page asks for beyond looking is not done (``_runbook_lines``).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from meshdiag.commands._run import Question, look
from meshdiag.commands._runbook_children import run_line
from meshdiag.commands._runbook_lines import read_line
from meshdiag.errors import UsageError
from meshdiag.model import Report, Result, Verdict
from meshdiag.runbook.expectations import check_of
from meshdiag.runbook.steps import Kind, Prose, sections

if TYPE_CHECKING:
    from collections.abc import Callable

    import click

    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags
    from meshdiag.runbook.library import Page
    from meshdiag.runbook.steps import Line, Section, Step


@dataclass(frozen=True, slots=True)
class Entry:
    """One line or expression that was run, or was not and why. ``text``: as a person types it; ``started``: UTC."""

    kind: Kind
    text: str
    result: Result
    started: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """A section as it went. ``left_out``: why its steps were not run, "" where they were."""

    section: Section
    parts: tuple[Prose | Entry, ...]
    left_out: str = ""


@dataclass(slots=True)
class Record:
    """A run. Times are UTC; ``interrupted``: the reader cut it short."""

    page: Page
    context: str
    started: datetime
    ended: datetime
    sections: list[Done] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    interrupted: bool = False
    at: datetime | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every step's, in order."""
        return tuple(part for one in self.sections for part in one.parts if isinstance(part, Entry))

    @property
    def report(self) -> Report:
        """The run as a report: a result a line."""
        return Report(
            command=f"runbook run {self.page.name}",
            context=self.context,
            started=self.started,
            duration_s=(self.ended - self.started).total_seconds(),
            results=tuple(entry.result for entry in self.entries),
            notes=tuple(self.notes),
            at=self.at,
        )


class Screen(Protocol):
    """Who is told of a run as it goes."""

    def section(self, section: Section, left_out: str) -> None:
        """A section begins."""

    def prose(self, prose: Prose) -> None:
        """Text of it."""

    def entry(self, entry: Entry) -> None:
        """A step of it is done."""

    def ended(self, last: bool) -> None:
        """The section is over."""


class Walk:
    """One way through a page. ``worst`` is the worst verdict so far, None before the first."""

    def __init__(self, root: click.Command, invocation: Invocation, flags: Flags, page: Page, screen: Screen) -> None:
        self._root, self._invocation, self._page, self._screen = root, invocation, page, screen
        self._flags = replace(flags, format="json", quiet=True)
        loaded = invocation.load()
        now = datetime.now(UTC)
        self.record = Record(page, loaded.context.name, now, now, notes=dict.fromkeys(loaded.notes), at=flags.at)
        self._parts: list[Prose | Entry] = []

    @property
    def worst(self) -> Verdict | None:
        """The worst verdict so far; what was skipped says nothing."""
        said = [one for one in self._verdicts() if one is not Verdict.SKIP]
        return Verdict.worst(said) if said else None

    def _verdicts(self) -> list[Verdict]:
        now = [part for part in self._parts if isinstance(part, Entry)]
        return [entry.result.verdict for entry in (*self.record.entries, *now)]

    def run(self) -> Record:
        """Go through it; an interruption ends it with what there is. Raises ``UsageError``."""
        found = sections(self._page)
        try:
            for place, section in enumerate(found):
                self._section(section)
                if self.record.interrupted:
                    break
                self._screen.ended(place == len(found) - 1)
        except KeyboardInterrupt:
            self.record.interrupted = True
        self.record.ended = datetime.now(UTC)
        return self.record

    def _section(self, section: Section) -> None:
        left_out = "" if section.when.holds(self.worst) else f"only when {section.when or 'its condition can be read'}"
        self._screen.section(section, left_out)
        try:
            for part in section.parts:
                if isinstance(part, Prose):
                    self._parts.append(part)
                    self._screen.prose(part)
                else:
                    self._step(part, left_out)
                if self.record.interrupted:
                    return
        finally:
            self.record.sections.append(Done(section, tuple(self._parts), left_out))
            self._parts = []

    def _step(self, step: Step, left_out: str) -> None:
        worst = self.worst
        reason = left_out and f"not run: {left_out}"
        if not reason and not step.when.holds(worst):
            reason = f"not run: only when {step.when}, and the worst so far is {worst or 'nothing'}"
        if step.problems:
            number, sentence = step.problems[0]
            self._tell(step.kind, f"line {number}", _unrun(number, f"not run: {sentence}", Verdict.UNKNOWN))
        elif step.kind is Kind.PROMQL:
            text = " ".join(step.expression.split())
            self._tell(step.kind, text, _unrun(step.number, reason) if reason else None, lambda: self._ask(step))
        else:
            for line in step.lines:
                self._line(step.kind, line, reason)
                if self.record.interrupted:
                    return

    def _line(self, kind: Kind, line: Line, reason: str) -> None:
        words = line.typed
        try:
            read = read_line(self._root, words)
        except UsageError as error:
            self._tell(kind, line.text, _unrun(line.number, f"not run: {error}", Verdict.UNKNOWN))
            return
        unrun = None
        if read.never:
            unrun = _unrun(line.number, f"not run: {read.never}", Verdict.UNKNOWN)
        elif reason or read.by_hand:
            unrun = _unrun(line.number, reason or f"left to you: {read.by_hand}")
        self._tell(
            kind, line.text, unrun, lambda: run_line(self._invocation, self._flags, read, words, _id(line.number))
        )

    def _ask(self, step: Step) -> Result:
        check = check_of(step, _id(step.number))
        report, interrupted = look(self._invocation, self._flags, Question("runbook run", extra=(check,)))
        self.record.notes.update(dict.fromkeys(report.notes))
        self.record.interrupted = interrupted
        (result,) = (one for one in report.results if one.id == check.id)
        return result

    def _tell(self, kind: Kind, text: str, unrun: Result | None, run: Callable[[], Result] | None = None) -> None:
        """Keep an entry: the answer why it was not run, or what running it says."""
        started, began = datetime.now(UTC), time.monotonic()
        result = unrun or (run() if run else None)
        assert result is not None
        result = replace(result, title=text, duration_s=0.0 if unrun else time.monotonic() - began)
        entry = Entry(kind, text, result, started)
        self._parts.append(entry)
        self._screen.entry(entry)


def _id(number: int) -> str:
    return f"line-{number}"


def _unrun(number: int, why: str, verdict: Verdict = Verdict.SKIP) -> Result:
    return Result(_id(number), "", verdict, why)
