"""The table of a data command, fitted to the width of the page.

Columns stand in the order of their importance. Where they do not all fit, titles are folded, trends are squeezed
and long text is folded; then columns are left out, empty ones first, the others from the right, and a line below
names those that hold anything. Long tables are cut likewise, with a line that counts the rest: nothing is cut in
silence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.cells import set_cell_size
from rich.text import Text

from meshdiag.model import Verdict
from meshdiag.render.look import DIM, STRONG, STYLES
from meshdiag.render.page import GAP
from meshdiag.render.ranking import BAD
from meshdiag.render.spark import span_of, sparkline
from meshdiag.units import age, human, moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.model import Column, Table
    from meshdiag.render.page import Page
    from meshdiag.render.spark import Span

NARROW_TEXT = 20
NARROW_TREND = 10
WIDEST_TREND = 40
WIDEST_NUMBER = 26
"""Wider than any number that ``units.human`` writes; only a strange unit makes one longer."""
BREAKS = "/.,:;=-_"
"""Signs after which a long name is best broken."""
FOLDED = frozenset({"text", "time", "trend"})
"""The kinds of column whose cells can do with less room."""
RIGHT = frozenset({"number", "age"})
"""The kinds of column whose cells line up at the right."""


@dataclass(slots=True)
class Fitted:
    """A column with its cells as text, and the width that it is given."""

    column: Column
    cells: list[Text]
    trends: list[list[float]]
    scale: Span | None = None
    empty: bool = False
    width: int = 0
    narrowest: int = 0

    @property
    def kind(self) -> str:
        """The column's kind."""
        return self.column.kind


def print_table(page: Page, table: Table, *, width: int | None, most: int | None = None, utc: bool = False) -> None:
    """Print the rows within ``width`` cells, or as wide as they are when it is None; the first ``most`` of them,
    or all."""
    if table.title:
        page.prose(page.look.text(table.title, STRONG))
    if not table.rows:
        page.prose(page.look.text(table.empty or "no rows", DIM))
        return
    rows = table.rows[:most]
    columns = [_fit(page, column, rows, utc) for column in table.columns if not column.detail]
    left_out = [] if width is None else _squeeze(columns, width)
    _draw_trends(page, columns)
    _print_lines(page, [*_header(page, columns)])
    for place in range(len(rows)):
        _print_lines(page, _row(page, columns, place))
    if more := len(table.rows) - len(rows):
        page.prose(Text(f"and {more:,} more (-v shows all, -o json or a pipe too)", DIM))
    if missed := [one for one in left_out if not one.empty]:
        names = ", ".join(page.look.plain(one.column.title) for one in missed)
        page.prose(Text(f"no room for: {names} (-o json or a wider terminal has them)", DIM))


def _fit(page: Page, column: Column, rows: Sequence[Mapping[str, Any]], utc: bool) -> Fitted:
    """A column's cells, and how wide it would like to be and can bear to be."""
    cells = [_cell(page, column, row, utc) for row in rows]
    trends = [_numbers(row.get(column.key)) for row in rows] if column.kind == "trend" else []
    title = page.look.plain(column.title)
    widest = max((cell.cell_len for cell in cells), default=0)
    if trends:
        widest = min(max(map(len, trends)), WIDEST_TREND)
    empty = all(row.get(column.key) in (None, "", ()) for row in rows)
    fitted = Fitted(column, cells, trends, _shared_scale(column, trends), empty, max(widest, Text(title).cell_len))
    longest_word = min(max((Text(word).cell_len for word in title.split()), default=0), NARROW_TEXT)
    if column.kind == "trend":
        fitted.narrowest = max(min(widest, NARROW_TREND), longest_word)
    elif column.kind in FOLDED:
        fitted.narrowest = max(min(widest, NARROW_TEXT), longest_word)
    else:
        fitted.narrowest = max(min(widest, WIDEST_NUMBER), longest_word)
    return fitted


def _cell(page: Page, column: Column, row: Mapping[str, Any], utc: bool) -> Text:
    """A cell's text; a trend's is drawn when its width is known."""
    value = row.get(column.key)
    if value is None:
        return Text("-", DIM)
    if column.kind == "trend":
        return Text()
    if column.kind == "verdict":
        return page.look.word(Verdict(value))
    style = _row_style(column, row)
    if column.kind == "number" and isinstance(value, int | float):
        return page.look.text(human(value, column.unit), style)
    if column.kind == "age" and isinstance(value, int | float):
        return Text(age(value), style)
    if isinstance(value, datetime):
        return Text(moment(value, utc=utc), style)
    return page.look.text(str(value), style)


def _row_style(column: Column, row: Mapping[str, Any]) -> str:
    """What a row is about takes the colour of its verdict, where that is bad; numbers stay calm."""
    if column.kind != "text":
        return ""
    verdict = next((value for value in row.values() if isinstance(value, Verdict)), None)
    first = next(iter(row), None)
    return STYLES[verdict] if verdict in BAD and column.key == first else ""


def _numbers(values: Sequence[float | None] | None) -> list[float]:
    return [math.nan if value is None else float(value) for value in values or ()]


def _shared_scale(column: Column, trends: list[list[float]]) -> Span | None:
    """Trends in one unit share one scale, so that the high one stands out; others have their own."""
    return None if column.unit is None else span_of(trends)


def _draw_trends(page: Page, columns: Sequence[Fitted]) -> None:
    """Draw the sparklines, each as wide as its column became."""
    for one in columns:
        for place, numbers in enumerate(one.trends):
            if numbers:
                one.cells[place] = Text(sparkline(numbers, page.look.bars, one.width, one.scale))


def _squeeze(columns: list[Fitted], width: int) -> list[Fitted]:
    """Make the columns fit: fold what can be folded, then take columns out from the right. Returns those."""
    left_out: list[Fitted] = []
    while _total(columns, narrow=True) > width and len(columns) > 1:
        left_out.insert(0, columns.pop(_least(columns)))
    excess = _total(columns) - width
    for one in sorted(columns, key=lambda one: one.narrowest - one.width):
        if excess > 0 and one.kind not in FOLDED:  # only its title is folded
            excess -= one.width - one.narrowest
            one.width = one.narrowest
    while excess > 0:
        roomy = [one for one in columns if one.width > one.narrowest]
        if not roomy:
            columns[0].width = max(columns[0].width - excess, 1)
            break
        widest = max(roomy, key=lambda one: (one.kind == "trend", one.width))
        widest.width -= 1
        excess -= 1
    return left_out


def _least(columns: Sequence[Fitted]) -> int:
    """The place of the column that is missed least: one without any value, then the last one, never the first
    nor a verdict while there are others."""
    places = [place for place in range(1, len(columns)) if columns[place].kind != "verdict"]
    empty = [place for place in places if columns[place].empty]
    return (empty or places or [len(columns) - 1])[-1]


def _total(columns: Sequence[Fitted], *, narrow: bool = False) -> int:
    return sum(one.narrowest if narrow else one.width for one in columns) + len(GAP) * (len(columns) - 1)


def _header(page: Page, columns: Sequence[Fitted]) -> list[Text]:
    titles = [page.look.text(one.column.title, DIM) for one in columns]
    return _lines(page, columns, titles, bottom=True)


def _row(page: Page, columns: Sequence[Fitted], place: int) -> list[Text]:
    return _lines(page, columns, [one.cells[place] for one in columns])


def _lines(page: Page, columns: Sequence[Fitted], cells: Sequence[Text], *, bottom: bool = False) -> list[Text]:
    """The lines of one row: more than one where a cell is folded."""
    folded = [_folded(one, cell) for one, cell in zip(columns, cells, strict=True)]
    height = max(len(cell) for cell in folded)
    lines = []
    for level in range(height):
        line = Text()
        for place, (one, cell) in enumerate(zip(columns, folded, strict=True)):
            at = level - (height - len(cell)) if bottom else level
            piece = cell[at] if 0 <= at < len(cell) else Text()
            padding = " " * (one.width - piece.cell_len)
            line.append(GAP if place else "")
            line.append(padding if one.kind in RIGHT else "").append_text(piece)
            line.append("" if one.kind in RIGHT else padding)
        line.rstrip()
        lines.append(line)
    return lines


def _folded(column: Fitted, cell: Text) -> list[Text]:
    if cell.cell_len <= column.width:
        return [cell]
    return fold(cell, column.width)


def fold(cell: Text, width: int) -> list[Text]:
    """A cell in lines of ``width`` cells, broken after a space, or after a sign (``/ . , =``) where one is near in a
    word that would not fit into a line of its own."""
    lines = []
    while cell.cell_len > width:
        end = len(set_cell_size(cell.plain, width).rstrip()) if width > 1 else 1
        end = min(max(end, 1), len(cell))
        near = _break(cell.plain, end) or end
        lines.append(cell[:near])
        lines[-1].rstrip()
        cell = cell[near:]
        cell = cell[len(cell.plain) - len(cell.plain.lstrip(" ")) :]
    return [*lines, cell] if cell.plain or not lines else lines


def _break(text: str, end: int) -> int:
    """Where a line of at most ``end`` characters is broken; 0 where there is no good place."""
    space = end if text[end : end + 1] == " " else text.rfind(" ", 0, end) + 1
    sign = max(text.rfind(sign, end // 2, end) for sign in BREAKS) + 1
    word = text[space:].partition(" ")[0]
    return space if space > end // 3 and len(word) <= end else max(space, sign)


def _print_lines(page: Page, lines: Sequence[Text]) -> None:
    for line in lines:
        page.add(line)
