"""Series drawn as lines in the terminal (``meshdiag query --plot``), by plotext."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meshdiag.render.safe import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from meshdiag.metrics import Series

MOST_SERIES = 8
"""More lines than this cannot be told apart."""


def print_plot(series: Sequence[Series], names: Sequence[str], stream: TextIO, *, width: int, colour: bool) -> None:
    """Draw the series over time, minutes before the last point on the axis; says when it left some out."""
    import plotext

    plotext.clear_figure()
    plotext.plot_size(width, 20)
    plotext.xlabel("minutes")
    last = max((one.times[-1] for one in series if one.times), default=0.0)
    for one, name in list(zip(series, names, strict=True))[:MOST_SERIES]:
        points = [
            ((time - last) / 60, value)
            for time, value in zip(one.times, one.values, strict=True)
            if math.isfinite(value)
        ]
        if points:
            plotext.plot([x for x, _y in points], [y for _x, y in points], label=one_line(name)[: width // 2])
    plotext.theme("clear") if not colour else plotext.theme("pro")
    text = plotext.build()
    stream.write((text if colour else plotext.uncolorize(text)) + "\n")
    if len(series) > MOST_SERIES:
        stream.write(f"{len(series) - MOST_SERIES} more series are not drawn; narrow the expression to see them\n")
