"""Sparklines, and cells folded into a narrow column."""

from __future__ import annotations

import math

from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from meshdiag.render.datatable import fold
from meshdiag.render.spark import span_of, sparkline

BARS = "12345678"


def test_a_sparkline_goes_from_the_lowest_bar_to_the_highest() -> None:
    """The smallest value is the lowest bar, the largest the highest."""
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], BARS) == "12345678"


def test_a_gap_is_a_gap_and_infinity_is_the_top() -> None:
    """NaN draws nothing, and infinities do not flatten the rest."""
    assert sparkline([0, math.nan, 7, math.inf, -math.inf], BARS) == "1 881"
    assert sparkline([math.nan], BARS) == " "
    assert sparkline([], BARS) == ""


def test_a_flat_line_is_flat() -> None:
    """No change is no mountain."""
    assert sparkline([5, 5, 5], BARS) == "111"


def test_peaks_survive_squeezing() -> None:
    """A spike of one sample in a thousand is still seen at ten bars."""
    values = [0.0] * 1000
    values[537] = 9.0
    assert sparkline(values, BARS, 10) == "1111181111"


def test_a_shared_scale_is_that_of_all() -> None:
    """Two lines on one scale can be compared."""
    span = span_of([[0, 1], [100, math.nan]])
    assert span == (0, 100)
    assert sparkline([0, 1], BARS, None, span) == "11"


@given(st.lists(st.floats(), max_size=50), st.integers(1, 20))
@example([1.7976931348623157e308, -9.9792015476736e291], 2)
@example([5e-324, 0.0], 2)
def test_any_numbers_make_a_line_of_the_width(values: list[float], width: int) -> None:
    """No float breaks the drawing or its width."""
    line = sparkline(values, BARS, width)
    assert len(line) == min(len(values), width)
    assert set(line) <= {*BARS, " "}


def test_words_that_fit_a_line_are_not_broken() -> None:
    """A line ends between words, also where one ends at its very edge; only what no line holds is broken."""
    text = "cannot be evaluated: node 127.0.0.1:9090 down"
    lines = [line.plain for line in fold(Text(text), 20)]
    assert lines == ["cannot be evaluated:", "node 127.0.0.1:9090", "down"]


def test_a_long_name_folds_after_a_sign() -> None:
    """Paths and host names break where people would break them."""
    lines = fold(Text("/var/lib/containers/storage/overlay"), 20)
    assert [line.plain for line in lines] == ["/var/lib/containers/", "storage/overlay"]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "M", "Z"]), max_size=60), st.integers(2, 30))
def test_folding_loses_nothing_and_fits(text: str, width: int) -> None:
    """Every character is there, and no line is too wide, wide characters included."""
    lines = fold(Text(text), width)
    assert "".join(line.plain for line in lines) == text
    assert all(cell_len(line.plain) <= width for line in lines)
