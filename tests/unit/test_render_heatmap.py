"""The heat map: who sees whom, readable at 80 columns, in ASCII and without colours."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest

from meshdiag.model import Report, Result, Table, Verdict
from meshdiag.render.heatmap import milliseconds
from meshdiag.render.terminal import make_console, render
from meshdiag.views.matrix import COLUMNS, TITLE


def matrix(count: int, **cells: Any) -> Table:
    """A matrix of nodes ``n1`` …; ``cells`` are verdicts and seconds by ``n1_n2``."""
    rows = []
    for one in range(1, count + 1):
        for other in range(1, count + 1):
            if one == other:
                continue
            verdict, seconds = cells.get(f"n{one}_n{other}", (Verdict.PASS, 0.00042))
            rows.append({"from": f"n{one}", "to": f"n{other}", "verdict": verdict, "duration_s": seconds})
    return Table(COLUMNS, tuple(rows), TITLE, shape="matrix")


class Stream(io.TextIOWrapper):
    """A stream of an encoding, which remembers what was written."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    @property
    def text(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]


def drawn(table: Table, *, width: int = 80, encoding: str = "utf-8", whole: bool = False, verbose: int = 0) -> str:
    """The report's text."""
    stream = Stream(encoding)
    result = Result("links.reachability", "the mesh is in one piece", Verdict.PASS, "12 of 12")
    report = Report("peers --matrix", "lab", datetime(2026, 3, 9, tzinfo=UTC), 0.2, (result,), data=table)
    render(report, make_console(stream, width=width), whole_tables=whole, verbose=verbose, utc=True)
    return stream.text


def test_a_small_mesh_is_drawn_in_milliseconds_with_its_marks() -> None:
    """A row is a node's view; no way through, slow and unknown differ by their signs; the diagonal is no cell."""
    table = matrix(
        3, n1_n2=(Verdict.FAIL, None), n2_n3=(Verdict.WARN, 0.142), n3_n1=(Verdict.UNKNOWN, None),
        n3_n2=(Verdict.PASS, 1.25),
    )  # fmt: skip
    text = drawn(table)
    assert "each row is one node's view of the others, in ms" in text
    assert "          1    2    3\n" in text
    assert "1 n1      .    ✗ 0.42\n" in text
    assert "2 n2   0.42    .  142\n" in text
    assert "3 n3      ? 1.2s    .\n" in text
    assert "✗ no way through   ? could not be asked" in text


def test_twelve_nodes_fit_eighty_columns_whole() -> None:
    """Each with its milliseconds; no line is wider than the page."""
    lines = drawn(matrix(12)).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.count("0.42") for line in lines) == 12 * 11


@pytest.mark.parametrize("count", [20, 30, 60, 75])
def test_a_larger_mesh_is_folded_to_one_sign_a_cell(count: int) -> None:
    """How many times the median: 1 is usual, + is ten or more; each node is a row, and every line fits."""
    table = matrix(count, n1_n2=(Verdict.WARN, 0.1), n2_n1=(Verdict.WARN, 0.0021), n3_n4=(Verdict.FAIL, None))
    text = drawn(table, verbose=1)
    assert "in times the median (0.42 ms)" in text
    assert max(map(len, text.splitlines())) <= 80
    rows = {line.split()[1]: line for line in text.splitlines() if line[:1].strip() or line[:2].strip().isdigit()}
    first = text.split(" n1 ")[1].splitlines()[0]
    assert first.replace(" ", "").startswith(".+1")
    assert text.split(" n2 ")[1].replace(" ", "").startswith("5.1")
    assert f"n{count}" in text and rows


def test_of_a_huge_mesh_rows_without_trouble_are_left_out_and_counted() -> None:
    """Nothing is cut in silence, and columns that matter keep their names."""
    table = matrix(70, n2_n69=(Verdict.FAIL, None))
    text = drawn(table)
    assert "69 rows are not drawn (-v draws them all, -o csv has them)" in text
    assert "columns: 69 n69" in text
    assert "rows are not drawn" not in drawn(table, verbose=1)


def test_plain_ascii_says_the_same() -> None:
    """Where the stream has no ✗ there is an x, and hostile names are harmless."""
    table = matrix(3, n1_n2=(Verdict.FAIL, None))
    text = drawn(table, encoding="ascii")
    assert "x no way through" in text and text.isascii()
    hostile = "evil\x1b[31m\n\u202e" + "x" * 60
    rows = tuple({**row, "from": hostile} if row["from"] == "n1" else row for row in table.rows)
    text = drawn(Table(COLUMNS, rows, TITLE, shape="matrix"))
    assert "\x1b" not in text and "\u202e" not in text and max(map(len, text.splitlines())) <= 80


def test_a_pipe_has_no_end_to_its_lines() -> None:
    """There the milliseconds are all written, however many nodes there are."""
    text = drawn(matrix(40), whole=True)
    assert text.count("0.42") == 40 * 39


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.00"), (0.00031, "0.31"), (0.00099, "0.99"), (0.000999, "1.0"), (0.0042, "4.2"), (0.00997, "10"),
     (0.142, "142"), (0.9996, "1.0s"), (1.25, "1.2s"), (12.0, "12s"), (1e9, "999s")],
)  # fmt: skip
def test_milliseconds_take_four_cells_at_most(seconds: float, text: str) -> None:
    """So that columns line up."""
    assert milliseconds(seconds) == text and len(text) <= 4
