"""Rates over time as text: a chart of all records, and a row for each level, component or node below it.

All on one axis of time; each row has a scale of its own, for a handful of errors would not be seen beside a million
other records. A bucket with nothing in it is blank: the least bar is at least one record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.logs.record import NS, Level, moment_of
from meshdiag.render.ansi import paint
from meshdiag.render.log_lines import LEVEL_STYLES
from meshdiag.render.look import BARS
from meshdiag.render.safe import encodable, one_line
from meshdiag.units import human, zone_before, zoned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.logs.rates import Rates

HEIGHT = 5
"""Lines of the chart of all records."""
NAME = 14
TOTAL = 11
TICK = 10
MOST_ROWS = 20
DAY_NS = 86400 * NS
STYLES = {level.word: LEVEL_STYLES[level] for level in Level}


def columns(width: int) -> int:
    """How many buckets a chart has room for in so many columns."""
    return max(width - NAME - TOTAL - 2, 10)


def histogram(
    rates: Rates, *, width: int = 80, colour: bool = False, ascii_only: bool = False, utc: bool = False
) -> str:
    """Rates as lines of at most ``width`` columns, times in UTC or local; asked for with ``columns(width)`` buckets."""
    total = rates.total
    if not total:
        return _untimed(rates) or "no records\n"
    bars = BARS[ascii_only]
    shown = list(rates.counts.items())[:MOST_ROWS]
    lines = [_title(rates, utc=utc)]
    lines += [f"{mark:>{NAME + TOTAL + 1}} {row}".rstrip() for mark, row in _chart(total, bars)]
    lines += [_line(name, counts, bars, colour=colour) for name, counts in shown]
    if len(rates.counts) > 1:
        lines.append(_line("total", total, "", colour=False))
    lines += [f"{'':{NAME + TOTAL + 2}}{line}".rstrip() for line in _axis(rates, width, ascii_only, utc=utc)]
    if len(rates.counts) > MOST_ROWS:
        lines.append(f"{len(rates.counts) - MOST_ROWS} more {rates.by}s are not shown")
    return "\n".join(lines) + "\n" + _untimed(rates)


def _title(rates: Rates, *, utc: bool) -> str:
    begin = zoned(moment_of(rates.begin_ns), utc=utc)
    end = zoned(moment_of(rates.begin_ns + len(rates.total) * rates.width_ns), utc=utc)
    last = f"{end:%H:%M:%S}" if end.date() == begin.date() else f"{end:%Y-%m-%d %H:%M:%S}"
    width = human(rates.width_ns / 1e9, "s")
    first = f"{begin:%Y-%m-%d %H:%M:%S}{zone_before(begin, end)}"
    return f"records by {rates.by}, {width} a column, {first} to {last} {end.tzname() or ''}".rstrip()


def _chart(counts: Sequence[int], bars: str) -> list[tuple[str, str]]:
    """Bars several lines high, the highest line first, with the largest number beside it."""
    peak = max(counts)
    steps = [-(-count * HEIGHT * len(bars) // peak) if peak else 0 for count in counts]
    lines = []
    for floor in range(HEIGHT - 1, -1, -1):
        row = "".join(_bar(step - floor * len(bars), bars) for step in steps)
        mark = f"{peak:,}" if floor == HEIGHT - 1 else ""
        lines.append((mark, row))
    return lines


def _bar(step: int, bars: str) -> str:
    return " " if step <= 0 else bars[min(step, len(bars)) - 1]


def _line(name: str, counts: Sequence[int], bars: str, *, colour: bool) -> str:
    """A name, its records, and its course on a scale of its own."""
    peak = max(counts)
    row = "".join(_bar(-(-count * len(bars) // peak), bars) if peak else " " for count in counts) if bars else ""
    style = STYLES.get(name, "") if colour else ""
    label = f"{_named(name):{NAME}}"
    return f"{paint(label, style)} {sum(counts):>{TOTAL - 1},}  {paint(row, style)}".rstrip()


def _named(name: str) -> str:
    """A name as it fits: what is too long keeps its end as well, in which the names of nodes differ."""
    text = encodable(one_line(name), "utf-8")
    return text if len(text) <= NAME else f"{text[: NAME // 2 - 3]}...{text[-NAME // 2 :]}"


def _axis(rates: Rates, width: int, ascii_only: bool, *, utc: bool) -> list[str]:
    """Ticks below every tenth column, and the times of these as far as there is room for them."""
    form = "%m-%d" if rates.width_ns >= DAY_NS // 2 else "%H:%M" if rates.width_ns >= 60 * NS else "%H:%M:%S"
    room = width - NAME - TOTAL - 2
    ticks, labels = "", ""
    for place in range(0, len(rates.total), TICK):
        when = f"{zoned(moment_of(rates.begin_ns + place * rates.width_ns), utc=utc):{form}}"
        ticks = f"{ticks:{place}}{'|' if ascii_only else '╵'}"
        labels = f"{labels:{place}}{when}" if place + len(when) <= room else labels
    return [ticks, labels]


def _untimed(rates: Rates) -> str:
    if not rates.untimed:
        return ""
    return f"{rates.untimed:,} records have no time and are in no column\n"
