"""The findings of a report as aligned lines: who, how much, how much is fine, how old, what is so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from meshdiag.model import Verdict
from meshdiag.render.look import DIM, STYLES
from meshdiag.render.page import GAP
from meshdiag.render.ranking import bound_text, name_of, value_text
from meshdiag.units import age

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from meshdiag.model import Finding
    from meshdiag.render.look import Look
    from meshdiag.render.page import Page

INDENT = 4
WHOLE = "mesh"
"""The subject of a finding about no node in particular."""
WIDEST_NAME = 26
"""A longer name takes a line of its own, rather than the room of every other line."""
ROOM_FOR_WORDS = 26
"""With less room than this beside the numbers, the message goes below them."""
_WORDS = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Row:
    """One finding in words: the cells of its line."""

    verdict: Verdict
    name: str
    instance: str
    value: str
    bound: str
    age: str
    message: str

    @property
    def numbers(self) -> bool:
        """Whether there is anything beside the name and the message."""
        return bool(self.value or self.bound)

    def adds_nothing_to(self, said: str) -> bool:
        """Whether a line that was printed names it already, or it is the mesh as a whole, and it has no numbers."""
        return not self.numbers and (self.name.lower() in said.lower() or self.name == WHOLE)


@dataclass(frozen=True, slots=True)
class Widths:
    """How wide the columns are on this page, the same for every check, so that the eye can run down."""

    name: int = 0
    instance: int = 0
    value: int = 0
    bound: int = 0
    age: int = 0

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Widths:
        """Wide enough for all that is of usual length."""
        rows = list(rows)

        def widest(cells: Iterable[str]) -> int:
            return max((width for width in map(cell_len, cells) if width <= WIDEST_NAME), default=0)

        return cls(
            name=widest(row.name for row in rows if row.instance or row.numbers),
            instance=widest(row.instance for row in rows),
            value=widest(row.value for row in rows),
            bound=widest(row.bound for row in rows),
            age=widest(row.age for row in rows),
        )


def row_of(finding: Finding, now: datetime, look: Look) -> Row:
    """A finding's cells, harmless."""
    name = name_of(finding)
    return Row(
        verdict=finding.verdict,
        name=look.plain(name, 200) or "(no name)",
        instance=look.plain(finding.subject, 200) if name != finding.subject else "",
        value=look.plain(value_text(finding)),
        bound=look.plain(bound_text(finding)),
        age=age((now - finding.observed).total_seconds()) if finding.observed else "",
        message=look.plain(finding.message),
    )


def print_rows(page: Page, rows: Sequence[Row], widths: Widths, *, said: str = "") -> None:
    """The lines of one check's findings. ``said`` is what the lines above said already: a message that all
    rows share and that stands there is not repeated."""
    shared = len({row.message for row in rows}) == 1
    silent = shared and _says_nothing_new(rows[0].message, said)
    if shared and not silent and (len(rows) > 1 or not _room_for(rows[0], widths, page.width)):
        page.prose(Text(rows[0].message), 2)
        silent = True
    verdicts = {row.verdict for row in rows}
    word = max(map(len, verdicts)) if len(verdicts) > 1 else 0
    for row in rows:
        if not (silent and row.adds_nothing_to(said)):
            _print_row(page, row, widths, word=word, message="" if silent else row.message)


def _print_row(page: Page, row: Row, widths: Widths, *, word: int, message: str) -> None:
    """``word``: how wide the verdict's own word stands before each row; 0 where it goes without saying."""
    line = Text(" " * INDENT)
    if word:
        line.append(row.verdict.ljust(word) + GAP, STYLES[row.verdict])
    margin = line.cell_len
    line.append(row.name, "bold" if row.verdict is not Verdict.PASS else "")
    if row.instance:
        _fill(line, margin + widths.name)
        line.append(" " + row.instance, DIM)
    if row.numbers:
        line = _numbers(page, line, margin, row, widths)
    elif row.age and line.cell_len + len(message) + len(row.age) + 5 <= page.width:
        message = f"{message} ({row.age})".strip()
    _finish(page, line, margin, message)


def _numbers(page: Page, line: Text, margin: int, row: Row, widths: Widths) -> Text:
    """The value beside what would be fine, and its age; below the name where that is too long."""
    _fill(line, margin + widths.name + (widths.instance + 1 if widths.instance else 0))
    numbers = Text(GAP)
    numbers.append(" " * (widths.value - cell_len(row.value)))
    numbers.append(row.value, f"bold {STYLES[row.verdict]}")
    if widths.bound:
        numbers.append(GAP + row.bound + " " * (widths.bound - cell_len(row.bound)))
    if row.age:
        numbers.append(GAP + row.age.ljust(widths.age), DIM)
    if line.cell_len + len(numbers.plain.rstrip()) > page.width:
        page.prose(line[margin:], margin)
        line = Text(" " * margin)
    return line.append_text(numbers)


def _finish(page: Page, line: Text, margin: int, message: str) -> None:
    """The message after the line where there is room for it, else below."""
    words = Text(message)
    if not message or page.width - line.cell_len - len(GAP) < min(words.cell_len, ROOM_FOR_WORDS):
        line.rstrip()  # nothing follows that the last column would have to line up with
    room = page.width - line.cell_len - len(GAP)
    if line.cell_len > page.width:
        page.prose(line[margin:], margin)
        page.prose(words, margin + 2)
    elif not message:
        page.add(line)
    elif room >= min(words.cell_len, ROOM_FOR_WORDS) and not _is_a_column(words, room, page.width - margin - 2):
        page.prose(words, lead=line.append(GAP))
    else:
        page.add(line)
        page.prose(words, margin + 2)


def _is_a_column(words: Text, beside: int, below: int) -> bool:
    """Whether a message would run down the page beside a long name: below it takes fewer lines, its own included."""
    return -(-words.cell_len // beside) > -(-words.cell_len // below) + 1


def _room_for(row: Row, widths: Widths, width: int) -> bool:
    """Whether a row's message fits beside its numbers; beside a name alone it is wrapped."""
    columns = [1 + widths.instance if widths.instance else 0, widths.value, widths.bound, widths.age]
    used = INDENT + widths.name + sum(columns) + len(GAP) * 4
    return not row.numbers or used + cell_len(row.message) <= width


def _says_nothing_new(message: str, said: str) -> bool:
    """Whether every word that matters stands in what was said, in this form or a related one: "the certificate
    expires soon" after "9 certificates expire soon"."""
    known = {_stem(word) for word in _WORDS.findall(said)}
    return all(_stem(word) in known for word in _WORDS.findall(message) if len(word) > 3)


def _stem(word: str) -> str:
    return word.lower()[:5]


def _fill(line: Text, width: int) -> None:
    line.append(" " * (width - line.cell_len))
