"""A matrix of pairs as a heat map: each row one node's view of the others.

Where there is room a cell holds milliseconds; in a larger mesh it is one sign, how many times the median that takes.
Columns are numbered as the rows are. Every colour has a digit or a sign beside it: nothing is told by colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from meshdiag.model import Verdict
from meshdiag.render.look import BADGES, DIM, STRONG
from meshdiag.units import human

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.model import Table
    from meshdiag.render.look import Look
    from meshdiag.render.page import Page

LONGEST_NAME = 18
CELL = 5
"""The width of a cell that holds milliseconds, the gap before it included."""
MOST_ROWS = 60
"""Above so many nodes only rows with something to see are drawn."""
CUT_OFF = {False: "✗", True: "x"}
UNKNOWN, OWN = "?", "."
TIMES = "123456789"
MORE = "+"
MOST_NAMES = 20


@dataclass(frozen=True, slots=True)
class Grid:
    """The names in order, the rows by pair, and the median of all directions that work (None: none does)."""

    names: tuple[str, ...]
    cells: Mapping[tuple[str, str], Mapping[str, Any]]
    median_s: float | None

    @classmethod
    def of(cls, table: Table) -> Grid:
        """The grid of a table whose rows are pairs, in the order in which they come."""
        names = dict.fromkeys(str(row["from"]) for row in table.rows)
        names |= dict.fromkeys(str(row["to"]) for row in table.rows)
        took = sorted(float(row["duration_s"]) for row in table.rows if row.get("duration_s") is not None)
        cells = {(str(row["from"]), str(row["to"])): row for row in table.rows}
        return cls(tuple(names), cells, took[len(took) // 2] if took else None)

    def verdict(self, one: str, other: str) -> Verdict | None:
        """How a direction is; None where it was not to be looked at."""
        row = self.cells.get((one, other))
        return None if row is None else Verdict(row["verdict"])

    @property
    def rows(self) -> tuple[int, ...]:
        """The places of the names that look at others."""
        looking = {one for one, _ in self.cells}
        return tuple(place for place, name in enumerate(self.names) if name in looking)

    @property
    def columns(self) -> tuple[int, ...]:
        """The places of the names that are looked at."""
        seen = {other for _, other in self.cells}
        return tuple(place for place, name in enumerate(self.names) if name in seen)

    def troubled(self, name: str) -> bool:
        """Whether a row has anything to see."""
        return any(self.verdict(name, other) not in (None, Verdict.PASS) for other in self.names)


def print_heatmap(page: Page, table: Table, *, width: int | None, whole: bool = False) -> None:
    """Print the map within ``width`` cells (None: as wide as it gets). ``whole``: every row, however many."""
    if not table.rows:
        return
    look, grid = page.look, Grid.of(table)
    label = max(min(max(cell_len(look.plain(name)) for name in grid.names), LONGEST_NAME), 4) + _digits(grid) + 1
    room = None if width is None else max(width - label, CELL)
    places = grid.columns
    fine = room is None or room >= CELL * len(places)
    per_cell = CELL if fine else 2 if room is not None and room >= 2 * len(places) else 1
    if per_cell == 1:  # the first sign does not touch the name
        label, room = label + 1, room and room - 1
    title = table.title if fine else _compact_title(table, grid)
    page.prose(look.text(title, STRONG))
    shown = _shown(grid, whole)
    columns = len(places) if room is None else max(room // per_cell, 1)
    for start in range(0, len(places), columns):
        band = places[start : start + columns]
        for line in _header(grid, band, label, per_cell):
            page.add(line)
        for place in shown:
            page.add(_line(look, grid, place, band, label, per_cell))
    for line in _legend(look, grid, shown):
        page.prose(line)


def _shown(grid: Grid, whole: bool) -> list[int]:
    """The places of the rows that are drawn."""
    if whole or len(grid.rows) <= MOST_ROWS:
        return list(grid.rows)
    return [place for place in grid.rows if grid.troubled(grid.names[place])][:MOST_ROWS]


def _compact_title(table: Table, grid: Grid) -> str:
    usual = "-" if grid.median_s is None else human(grid.median_s, "s")
    return f"{table.title.partition(', in ')[0]}, in times the median ({usual})"


def _header(grid: Grid, band: Sequence[int], label: int, per_cell: int) -> list[Text]:
    """The numbers of the columns: whole above wide cells, digit below digit above narrow ones."""
    if per_cell == CELL:
        return [Text(" " * label + "".join(f"{place + 1:>{CELL}}" for place in band), DIM)]
    digits = _digits(grid)
    lines = []
    for digit in range(digits):
        signs = [f"{place + 1:>{digits}}"[digit] for place in band]
        lines.append(Text((" " * label + "".join(f"{sign:>{per_cell}}" for sign in signs)).rstrip(), DIM))
    return [line for line in lines if line.plain]


def _line(look: Look, grid: Grid, place: int, band: Sequence[int], label: int, per_cell: int) -> Text:
    """A node's number and name, and its view of the columns of a band."""
    one = grid.names[place]
    digits = _digits(grid)
    line = Text(f"{place + 1:>{digits}} ", DIM)
    line.append(_short(look, one, label - digits - 1 - (per_cell == 1)) + " " * (per_cell == 1))
    for column in band:
        other = grid.names[column]
        text, style = _cell(look, grid, one, other, wide=per_cell == CELL)
        line.append(" " * (per_cell - cell_len(text)))
        line.append(text, style)
    line.rstrip()
    return line


def _cell(look: Look, grid: Grid, one: str, other: str, *, wide: bool) -> tuple[str, str]:
    """What a cell holds, and its style."""
    verdict = grid.verdict(one, other)
    if one == other:
        return OWN, DIM
    if verdict is None:
        return "", ""
    if verdict is Verdict.UNKNOWN:
        return UNKNOWN, BADGES[Verdict.UNKNOWN]
    seconds = grid.cells[one, other].get("duration_s")
    if verdict is Verdict.FAIL or seconds is None:
        return CUT_OFF[look.ascii_only], BADGES[Verdict.FAIL]
    text = milliseconds(seconds) if wide else _times(seconds, grid.median_s)
    return text, BADGES[Verdict.WARN] if verdict is Verdict.WARN else "green"


def milliseconds(seconds: float) -> str:
    """Milliseconds in at most four cells: ``0.31``, ``4.2``, ``142``; seconds from one on: ``1.2s``."""
    ms = seconds * 1000
    if ms < 0.995:
        return f"{ms:.2f}"
    if ms < 9.95:
        return f"{ms:.1f}"
    if ms < 999.5:
        return f"{ms:.0f}"
    return f"{seconds:.1f}s" if seconds < 9.95 else f"{min(seconds, 999):.0f}s"


def _times(seconds: float, median_s: float | None) -> str:
    """How many times the median, as one sign."""
    if not median_s:
        return TIMES[0]
    times = round(seconds / median_s)
    return MORE if times > len(TIMES) else TIMES[max(times, 1) - 1]


def _short(look: Look, name: str, width: int) -> str:
    """A name in exactly so many cells."""
    text = look.plain(name)
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + ("~" if look.ascii_only else "…")


def _digits(grid: Grid) -> int:
    return len(str(len(grid.names)))


def _legend(look: Look, grid: Grid, shown: Sequence[int]) -> list[Text]:
    """What the signs in the map mean, and which rows and names are not drawn."""
    verdicts = {grid.verdict(one, other) for one, other in grid.cells}
    signs = []
    if Verdict.FAIL in verdicts:
        signs.append(f"{CUT_OFF[look.ascii_only]} no way through")
    if Verdict.UNKNOWN in verdicts:
        signs.append(f"{UNKNOWN} could not be asked")
    pairs = len(grid.rows) * len(grid.columns) - len(set(grid.rows) & set(grid.columns))
    if len(grid.cells) < pairs:
        signs.append("blank: not probed")
    lines = [Text("   ".join(signs), DIM)] if signs else []
    drawn = set(shown)
    if missing := len(grid.rows) - len(drawn):
        lines.append(Text(f"{missing:,} rows are not drawn (-v draws them all, -o csv has them)", DIM))
    unnamed = {
        column
        for place in shown
        for column in grid.columns
        if column not in drawn and _worth_a_name(grid, place, column)
    }
    if unnamed:
        names = ", ".join(
            f"{column + 1} {look.plain(grid.names[column], 40)}" for column in sorted(unnamed)[:MOST_NAMES]
        )
        lines.append(Text(f"columns: {names}", DIM))
    return lines


def _worth_a_name(grid: Grid, place: int, column: int) -> bool:
    """Whether a column without a row of its own is named: always where there are few, else where it is in trouble."""
    verdict = grid.verdict(grid.names[place], grid.names[column])
    return verdict is not None and (len(grid.columns) <= MOST_NAMES or verdict is not Verdict.PASS)
