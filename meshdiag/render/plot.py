"""Series drawn as lines in the terminal (``meshdiag query --plot``), by plotext."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.cells import cell_len

from meshdiag.render.safe import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.metrics import Series

MOST_SERIES = 8
"""More lines than this cannot be told apart."""
HEIGHT = 20
LINE = "━"
COLOURS = (12, 10, 14, 11, 13, 208, 15, 8)
"""Of the terminal's 256, red left out: it says FAIL and nothing else."""


def plot(series: Sequence[Series], names: Sequence[str], *, width: int, colour: bool, ascii_only: bool = False) -> str:
    """The series over time, in minutes before the last point, as text of ``width`` columns; a last line says when
    some were left out. Without colour each series has a marker of its own."""
    import plotext

    figure = plotext.figure
    figure.clear()
    figure.plot_size(width, HEIGHT)
    figure.theme("simple" if colour else "colorless")
    figure.label("minutes", axis="x")
    keys = []
    last = max((one.times[-1] for one in series if one.times), default=0.0)
    signs = "*+ox#@%&" if ascii_only or not colour else LINE * MOST_SERIES
    for one, name, sign, shade in zip(series, names, signs, COLOURS, strict=False):
        points = [
            ((time - last) / 60, value)
            for time, value in zip(one.times, one.values, strict=True)
            if math.isfinite(value)
        ]
        if points:
            marker = plotext.marker("hd" if sign == LINE else sign, shade if colour else None)
            signal = figure.signal([x for x, _ in points], [y for _, y in points], marker=marker)
            signal.lines()
            figure.draw(signal)
            keys.append((f"\x1b[38;5;{shade}m{sign}\x1b[0m" if colour else sign, one_line(name)[: width // 2]))
    drawn = figure.build().string(colorless=not colour).rstrip("\n") + "\n" + legend(keys, width)
    if len(series) > MOST_SERIES:
        drawn += f"\n{len(series) - MOST_SERIES} more series are not drawn; narrow the expression to see them"
    return str(drawn)


def legend(keys: Sequence[tuple[str, str]], width: int) -> str:
    """Each line's sign and name, below the drawing: within it they would hide part of it."""
    lines, room = [""], width
    for sign, name in keys:
        cells = cell_len(name) + 4
        if cells > room and lines[-1]:
            lines.append("")
            room = width
        lines[-1] += f"  {sign} {name}"
        room -= cells
    return "\n".join(lines)
