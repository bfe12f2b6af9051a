"""A trace as a waterfall: the spans below each other, each a bar where in time it ran, the critical path filled.

gateway POST /v1/tasks     2.23 s  127 ms  █░░░░░░░░░░░░░░░░░░░░░░█
  router route              2.1 s  200 ms   █░░░░░░░░░░░░░░░░░░░██
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.catalog import Unit
from meshdiag.render.ansi import DIM, paint
from meshdiag.render.safe import encodable, one_line
from meshdiag.units import human

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshdiag.checks.readings.spans import Work
    from meshdiag.sources.traces.trace import Trace

NUMBER = 8
LEAST_NAME, MOST_NAME = 20, 56
LONGEST_NAME = 200
MOST_ROWS = 200
DEEPEST = 12
"""Levels that are indented; what lies deeper stands as far right."""
SIGNS, ASCII_SIGNS = ("█", "░"), ("#", "-")
"""What a bar is drawn with: on the critical path, and beside it."""
ERROR_STYLE, CRITICAL_STYLE = "31", "33"


def waterfall(
    trace: Trace, work: Sequence[Work], *, width: int = 80, colour: bool = False, ascii_only: bool = False
) -> str:
    """The spans of a trace as lines of at most ``width`` columns: name, duration, its own part of it, bar."""
    shown = _most_telling(work)
    signs = ASCII_SIGNS if ascii_only else SIGNS
    names = _names(shown, ascii_only=ascii_only)
    room = max(LEAST_NAME, min(MOST_NAME, max(map(len, names)), width // 2))
    columns = max(width - room - 2 * (NUMBER + 1) - 2, 8)
    lines = [f"{'':{room}} {'took':>{NUMBER}} {'itself':>{NUMBER}}  {_scale(trace, columns)}".rstrip()]
    for one, name in zip(shown, names, strict=True):
        label = f"{_cut(name, room, ascii_only=ascii_only):{room}}"
        took, own = (f"{human(value, Unit.SECONDS):>{NUMBER}}" for value in (one.span.duration_s, one.self_s))
        bar = _bar(one, trace, columns, signs)
        style = ERROR_STYLE if one.span.error else CRITICAL_STYLE if one.critical else DIM
        painted = paint(label, ERROR_STYLE) if colour and one.span.error else label
        lines.append(f"{painted} {took} {own}  {paint(bar, style) if colour else bar}".rstrip())
    if len(shown) < len(work):
        lines.append(f"{len(work) - len(shown)} shorter spans are not shown; -o json has them all")
    lines.append(f"{signs[0]} the end of the request waited for this ({signs[1]} ran beside it or waited itself)")
    return "\n".join(lines) + "\n"


def _most_telling(work: Sequence[Work]) -> list[Work]:
    """As many spans as a person looks at: those of the critical path, failed ones, the longest; in their order."""
    if len(work) <= MOST_ROWS:
        return list(work)
    ranked = sorted(work, key=lambda one: (one.critical_s > 0, one.span.error, one.span.duration_s), reverse=True)
    kept = {id(one) for one in ranked[:MOST_ROWS]}
    return [one for one in work if id(one) in kept]


def _names(work: Sequence[Work], *, ascii_only: bool) -> list[str]:
    """What each span is called: a mark where it failed, indented below its parent; its node where that is another."""
    names, nodes = [], [""] * (max(one.depth for one in work) + 2)
    for one in work:
        span, above = one.span, nodes[one.depth]
        nodes[one.depth + 1] = span.node
        node = f" ({span.node})" if span.node and span.node != above else ""
        mark = ("x " if ascii_only else "✗ ") if span.error else "  "
        name = one_line(span.label + node, LONGEST_NAME)
        names.append(mark + "  " * min(one.depth, DEEPEST) + (encodable(name, "ascii") if ascii_only else name))
    return names


def _cut(name: str, room: int, *, ascii_only: bool) -> str:
    if len(name) <= room:
        return name
    return name[: room - 3] + "..." if ascii_only else name[: room - 1] + "…"


def _scale(trace: Trace, columns: int) -> str:
    """The ends of the bar's axis."""
    end = human(trace.duration_s, Unit.SECONDS)
    return f"0{end:>{columns - 1}}"


def _bar(work: Work, trace: Trace, columns: int, signs: tuple[str, str]) -> str:
    """Where a span ran: a sign a column, another where the critical path runs through it; at least one column."""
    per_s = columns / trace.duration_s if trace.duration_s else 0.0
    cells = [" "] * columns
    _fill(cells, [(work.span.start_s, work.span.end_s)], trace.start_s, per_s, signs[1])
    _fill(cells, work.critical, trace.start_s, per_s, signs[0])
    return "".join(cells).rstrip()


def _fill(cells: list[str], intervals: Iterable[tuple[float, float]], begin_s: float, per_s: float, sign: str) -> None:
    last = len(cells) - 1
    for begin, end in intervals:
        first = min(int((begin - begin_s) * per_s), last)
        for place in range(max(first, 0), max(min(int((end - begin_s) * per_s + 0.5), last + 1), first + 1)):
            cells[place] = sign
