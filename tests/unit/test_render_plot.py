"""Series drawn in the terminal."""

from __future__ import annotations

import re

from meshdiag.metrics import Series
from meshdiag.render.plot import MOST_SERIES, plot

STYLE = re.compile(r"\x1b\[[0-9;]*m")


def rising(count: int) -> tuple[list[Series], list[str]]:
    """So many series of an hour that rise, each above the other, and their names."""
    times = tuple(float(at) for at in range(0, 3600, 60))
    series = [Series({}, times, tuple(at / 60 + 100 * one for at in times)) for one in range(count)]
    return series, [f"trainer-{one}" for one in range(count)]


def test_the_legend_hides_no_part_of_the_drawing() -> None:
    """The names stand below the axis, each with the sign of its line, within the width."""
    lines = plot(*rising(6), width=80, colour=False).splitlines()
    below = next(place for place, line in enumerate(lines) if "minutes" in line) + 1
    assert "trainer" not in "\n".join(lines[:below])
    assert "  * trainer-0  + trainer-1  o trainer-2" in lines[below]
    assert all(len(line) <= 80 for line in lines)


def test_in_colour_each_line_has_the_colour_of_its_name() -> None:
    """Colours tell the lines apart; the text is the same without them."""
    text = plot(*rising(2), width=80, colour=True)
    name = re.search(r"\x1b\[38;5;(\d+)m━\x1b\[0m trainer-1", text)
    assert name is not None
    assert text.count(f"\x1b[38;5;{name[1]}m") > 1
    assert "  ━ trainer-0  ━ trainer-1" in STYLE.sub("", text)


def test_lines_that_are_left_out_are_counted() -> None:
    """Nothing is left out in silence, and in ASCII nothing else is printed."""
    text = plot(*rising(MOST_SERIES + 3), width=60, colour=False, ascii_only=True)
    assert text.endswith("\n3 more series are not drawn; narrow the expression to see them")
