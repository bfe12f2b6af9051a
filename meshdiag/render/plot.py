"""Series drawn as lines in the terminal (``meshdiag query --plot``), by plotext."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meshdiag.render.safe import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.metrics import Series

MOST_SERIES = 8
"""More lines than this cannot be told apart."""
HEIGHT = 20


def plot(series: Sequence[Series], names: Sequence[str], *, width: int, colour: bool, ascii_only: bool = False) -> str:
    """The series over time, in minutes before the last point, as text of ``width`` columns; a last line says when
    some were left out. Without colour each series has a marker of its own."""
    import plotext

    figure = plotext.figure
    figure.clear()
    figure.plot_size(width, HEIGHT)
    figure.theme("simple" if colour else "colorless")
    figure.label("minutes", axis="x")
    last = max((one.times[-1] for one in series if one.times), default=0.0)
    markers = [*"*+ox#@%&"] if ascii_only or not colour else [None] * MOST_SERIES
    for one, name, marker in zip(series, names, markers, strict=False):
        points = [
            ((time - last) / 60, value)
            for time, value in zip(one.times, one.values, strict=True)
            if math.isfinite(value)
        ]
        if points:
            signal = figure.signal([x for x, _ in points], [y for _, y in points], marker=marker)
            signal.lines()
            signal.label(one_line(name)[: width // 2])
            figure.draw(signal)
    drawn = figure.build().string(colorless=not colour)
    if len(series) > MOST_SERIES:
        drawn += f"\n{len(series) - MOST_SERIES} more series are not drawn; narrow the expression to see them"
    return str(drawn)
