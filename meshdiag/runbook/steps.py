"""A page cut into sections, and its sections into prose and steps: what is there to run, and what never is.

The page is read by a Markdown parser (CommonMark), so that a fence means what it means to every other reader. A step
is a block between backticks that stands by itself, unindented, in one of the languages ``meshdiag``, ``promql`` and
``logs``. Everything else is text: other languages, blocks in a list or a quotation, tildes, indented code, HTML, and
fences within fences. Nothing here runs anything. The format is written down in ``runbooks/README.md``.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from meshdiag.durations import parse_duration
from meshdiag.errors import UsageError
from meshdiag.model import Range, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

    from markdown_it.token import Token

    from meshdiag.runbook.library import Page

MOST_STEPS = 200
"""Steps of one page; a page with more is not for a person."""
_SECTION_WHEN = re.compile(r"\s*<!--\s*when:\s*(?P<when>[^\n]*?)\s*-->\s*")
_NOTE = re.compile(r"#\s*(?P<key>expect|for|when|limit):\s*(?P<value>.*?)\s*")


class Kind(StrEnum):
    """The languages of blocks that are for running."""

    MESHDIAG = "meshdiag"
    PROMQL = "promql"
    LOGS = "logs"


@dataclass(frozen=True, slots=True)
class When:
    """A condition: the worst verdict so far is one of these. No verdicts: always."""

    verdicts: frozenset[Verdict] = frozenset()

    def holds(self, worst: Verdict | None) -> bool:
        """Whether it holds; ``worst`` is None before the first verdict, when only what has no condition runs."""
        return not self.verdicts or worst in self.verdicts

    def __str__(self) -> str:
        return ", ".join(one for one in Verdict if one in self.verdicts)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a ``meshdiag`` or ``logs`` block, as words; ``number`` counts in the file, from 1. It is a command
    line of meshdiag (without its name), or, with ``checks``, ids and globs of checks."""

    words: tuple[str, ...]
    number: int
    checks: bool = False

    @property
    def text(self) -> str:
        """As a person types it."""
        return shlex.join(("meshdiag", *self.typed))

    @property
    def typed(self) -> tuple[str, ...]:
        """The command line in words, without the program's name."""
        if not self.checks:
            return self.words
        return ("health", *(word for id_ in self.words for word in ("--only", id_)))


@dataclass(frozen=True, slots=True)
class Step:
    """A block that is for running. ``lines`` of ``meshdiag`` and ``logs``; the ``expression`` of ``promql``, what is
    fine (``expect``) and for how long it has to have been. ``number``: the line of its fence in the file. ``problems``:
    why it cannot be run, line and sentence; then it is not."""

    kind: Kind
    number: int
    when: When = When()
    lines: tuple[Line, ...] = ()
    expression: str = ""
    expect: Range | None = None
    lasting: timedelta | None = None
    problems: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Prose:
    """Text between steps, as its Markdown, blocks that are only shown included; ``number`` is its first line."""

    text: str
    number: int


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it up to the next; the text before the first heading has no title."""

    title: str
    parts: tuple[Prose | Step, ...]
    number: int
    when: When = When()
    problems: tuple[tuple[int, str], ...] = ()


def sections(page: Page) -> tuple[Section, ...]:
    """The page's sections in their order. What is wrong with one stands in its ``problems``; nothing is raised."""
    text = page.text.replace("\r", "\n")  # as the parser counts lines
    cut = _Cut(text, page.first_line)
    for token in _parser().parse(text):
        if token.level == 0 and token.map is not None:
            cut.take(token)
    return cut.finish()


def steps(found: Sequence[Section]) -> Iterator[Step]:
    """Every step, in order."""
    return (part for section in found for part in section.parts if isinstance(part, Step))


@cache
def _parser() -> MarkdownIt:
    """Blocks alone are asked for: what stands within a paragraph is never a step."""
    return MarkdownIt("commonmark").disable(["inline", "text_join", "reference"])


class _Cut:
    """Cuts the text at its headings and steps; prose is the lines between."""

    def __init__(self, text: str, first_line: int) -> None:
        self._source = text.split("\n")
        self._first = first_line
        self._done: list[Section] = []
        self._count = 0
        self._from = 0
        self._begin("", 0)

    def _begin(self, title: str, row: int) -> None:
        self._title, self._row = title, row
        self._parts: list[Prose | Step] = []
        self._when = When()
        self._problems: list[tuple[int, str]] = []

    def take(self, token: Token) -> None:
        """The next block of the page."""
        assert token.map is not None
        start, end = token.map
        if token.type == "heading_open":
            self._end(start)
            self._begin(self._source[start].strip().strip("#").strip(), start)
            self._from = end
        elif token.type == "html_block" and (found := _SECTION_WHEN.fullmatch(token.content)) and self._bare(start):
            self._when = self._condition(found["when"], start)
            self._prose(start)
            self._from = end
        elif token.type == "fence" and (kind := _kind(token, self._source[start])):
            self._prose(start)
            self._count += 1
            self._parts.append(self._step(kind, token, start, end))
            self._from = end

    def _bare(self, start: int) -> bool:
        """Whether nothing stands between the heading and this row."""
        return not self._parts and not any(line.strip() for line in self._source[self._from : start])

    def _condition(self, text: str, row: int) -> When:
        try:
            return parse_when(text)
        except UsageError as error:
            self._problems.append((self._first + row, str(error)))
            return When(frozenset({Verdict.SKIP}))  # never: a condition that nobody can read lets nothing run

    def _prose(self, end: int) -> None:
        text = "\n".join(self._source[self._from : end]).strip("\n")
        if text.strip():
            self._parts.append(Prose(text, self._first + self._from))

    def _step(self, kind: Kind, token: Token, start: int, end: int) -> Step:
        number = self._first + start
        if end - 1 == start or not _closes(self._source[end - 1], token.markup):
            return Step(kind, number, problems=((number, "the block is never closed, so nothing of it is run"),))
        if self._count > MOST_STEPS:
            return Step(kind, number, problems=((number, f"the page has more than {MOST_STEPS} steps"),))
        return read_step(kind, token.info, token.content, number)

    def _end(self, row: int) -> None:
        self._prose(row)
        if self._title or self._parts:
            self._done.append(
                Section(self._title, tuple(self._parts), self._first + self._row, self._when, tuple(self._problems))
            )

    def finish(self) -> tuple[Section, ...]:
        """All sections, the last one ended."""
        self._end(len(self._source))
        return tuple(self._done)


def _kind(token: Token, line: str) -> Kind | None:
    """The language of a step; None for a block that is text."""
    word = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
    return Kind(word) if word in set(Kind) and line.startswith("```") else None


def _closes(line: str, fence: str) -> bool:
    ticks = line.strip()
    return len(ticks) >= len(fence) and set(ticks) == {"`"}


def parse_when(text: str) -> When:
    """Read ``fail`` or ``warn, fail``. Raises ``UsageError``."""
    text = text.strip()
    words = [word for word in re.split(r"[\s,]+", text) if word]
    known = {str(one): one for one in Verdict if one is not Verdict.SKIP}
    if not words or not known.keys() >= set(words):
        raise UsageError(f"{text[:40]!r} is no condition", hint=f"write when: and some of {', '.join(known)}")
    return When(frozenset(known[word] for word in words))


def read_step(kind: Kind, info: str, body: str, number: int) -> Step:
    """A step from its info string and its lines; ``number`` is the line of its fence."""
    problems: list[tuple[int, str]] = []
    notes = _notes(body, number)
    after = info.split(maxsplit=1)[1].strip() if len(info.split(maxsplit=1)) > 1 else ""
    condition = after.removeprefix("when:") if after.startswith("when:") else notes.get("when", ("", 0))[0]
    when = When()
    try:
        if after and not after.startswith("when:"):
            raise UsageError(f"{after[:40]!r} behind the language is none of 'when: …'")
        when = parse_when(condition) if condition else When()
    except UsageError as error:
        problems.append((number, str(error)))
    if kind is Kind.PROMQL:
        return _promql(number, when, body, notes, problems)
    return _commands(kind, number, when, body, notes, problems)


def _notes(body: str, number: int) -> dict[str, tuple[str, int]]:
    """The comments that steer a step (``# expect: 1:``), each with its line; they stand before the first other line."""
    found: dict[str, tuple[str, int]] = {}
    for place, line in enumerate(body.split("\n"), start=number + 1):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        if note := _NOTE.fullmatch(line.strip()):
            found.setdefault(note["key"], (note["value"], place))
    return found


def _promql(
    number: int, when: When, body: str, notes: dict[str, tuple[str, int]], problems: list[tuple[int, str]]
) -> Step:
    expect, lasting = None, None
    expression = "\n".join(line for line in body.split("\n") if not line.lstrip().startswith("#")).strip()
    if "expect" not in notes:
        problems.append(
            (number, "the step has no expectation; write '# expect: ~:10' (a Nagios range) above the query")
        )
    else:
        text, place = notes["expect"]
        try:
            expect = Range.parse(text)
        except ValueError as error:
            problems.append((place, str(error)))
    if "for" in notes:
        text, place = notes["for"]
        try:
            lasting = parse_duration(text)
        except UsageError as error:
            problems.append((place, str(error)))
    if not expression:
        problems.append((number, "the step has no expression"))
    return Step(Kind.PROMQL, number, when, (), expression, expect, lasting, tuple(problems))


def _commands(
    kind: Kind,
    number: int,
    when: When,
    body: str,
    notes: dict[str, tuple[str, int]],
    problems: list[tuple[int, str]],
) -> Step:
    lines: list[Line] = []
    limit = notes["limit"][0] if kind is Kind.LOGS and "limit" in notes else ""
    for place, text in enumerate(body.split("\n"), start=number + 1):
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        try:
            words = shlex.split(text)
        except ValueError as error:
            problems.append((place, f"the line cannot be read: {str(error).lower()}"))
            continue
        lines.append(_line(kind, words, place, limit))
    if not lines and not problems:
        problems.append((number, "the step is empty"))
    if kind is Kind.LOGS and not limit.isdecimal():
        problems.append((number, "the step has no limit; write '# limit: 50' (lines) above the filter"))
    return Step(kind, number, when, tuple(lines), problems=tuple(problems))


def _line(kind: Kind, words: list[str], place: int, limit: str) -> Line:
    if kind is Kind.LOGS:
        return Line(("logs", *words, "--tail", limit), place)
    if words[0] == Kind.MESHDIAG:
        return Line(tuple(words[1:]), place)
    return Line(tuple(words), place, checks=True)
