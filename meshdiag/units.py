"""Numbers as people read them: seconds, bytes, shares, ranges, ages and moments.

Inside, a value is never scaled; these functions write it for a person, in plain ASCII unless asked otherwise.
"""

from __future__ import annotations

import math
import sys
from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from meshdiag.model import Range

MINUTE, HOUR, DAY = 60, 3600, 86400
BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
PLAIN_LIMIT = 1e15
"""From here on a float no longer holds every whole number, and nobody counts the digits."""
MAX_DECIMALS = 6


def human(value: float, unit: str | None, decimals: int | None = None) -> str:
    """A value in its unit (see ``catalog.Unit``): ``14.2 s``, ``3 m 20 s``, ``3.0 GiB``, ``91.4 %``, ``0.12/s``.

    ``decimals`` asks for that many digits after the point instead of the few that are usually enough; a
    duration then stays in one unit.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign = "-" if value < 0 else ""
    write = _WRITERS.get(unit or "")
    if write is None:
        return f"{sign}{_number(abs(value), decimals)} {unit}"
    text = write(abs(value), decimals)
    return text if not sign or not text.strip("0. %/sBd") else sign + text


def human_range(fine: Range, unit: str | None) -> str:
    """A range of fine values as a phrase: ``at most 10 s``, ``at least 3``, ``0 s to 10 s``, ``not 10 to 20``."""
    if fine.low == fine.high:
        return f"{'anything but' if fine.inside else 'exactly'} {human(fine.low, unit)}"
    bounded_low, bounded_high = fine.low != -math.inf, fine.high != math.inf
    if bounded_low and bounded_high:
        return f"{'not ' if fine.inside else ''}{human(fine.low, unit)} to {human(fine.high, unit)}"
    if bounded_high:
        return f"{'above' if fine.inside else 'at most'} {human(fine.high, unit)}"
    if bounded_low:
        return f"{'below' if fine.inside else 'at least'} {human(fine.low, unit)}"
    return "nothing" if fine.inside else "anything"


def alert_range(fine: Range, unit: str | None) -> str:
    """When a value is reported, by the range of what is fine: ``above 10 s``, ``below 3``, ``outside 0 s to 10 s``."""
    if fine.low == fine.high:
        return f"{'at' if fine.inside else 'at anything but'} {human(fine.low, unit)}"
    above, below = ("at most", "at least") if fine.inside else ("above", "below")
    bounded_low, bounded_high = fine.low != -math.inf, fine.high != math.inf
    if bounded_low and bounded_high:
        return f"{'within' if fine.inside else 'outside'} {human(fine.low, unit)} to {human(fine.high, unit)}"
    if bounded_high:
        return f"{above} {human(fine.high, unit)}"
    if bounded_low:
        return f"{below} {human(fine.low, unit)}"
    return "always" if fine.inside else "never"


def compact_range(fine: Range, unit: str | None, *, ascii_only: bool = False) -> str:
    """The same for a narrow column: ``≤ 10 s``, ``≥ 3``, ``0 s..10 s``; ``<= 10 s`` in ASCII."""
    less, more = ("<=", ">=") if ascii_only else ("≤", "≥")
    if fine.low == fine.high:
        return f"{'not' if fine.inside else '='} {human(fine.low, unit)}"
    bounded_low, bounded_high = fine.low != -math.inf, fine.high != math.inf
    if bounded_low and bounded_high:
        return f"{'not ' if fine.inside else ''}{human(fine.low, unit)}..{human(fine.high, unit)}"
    if bounded_high:
        return f"{'>' if fine.inside else less} {human(fine.high, unit)}"
    if bounded_low:
        return f"{'<' if fine.inside else more} {human(fine.low, unit)}"
    return "none" if fine.inside else "any"


def beside(value: float, fine: Range | None, unit: str | None) -> str:
    """``human``, with as many more digits as it takes not to look like a bound that the value has crossed:
    10.004 s beside "at most 10 s" is ``10.004 s``, never ``10.0 s``."""
    text = human(value, unit)
    if fine is None or not math.isfinite(value):
        return text
    bounds = [bound for bound in (fine.low, fine.high) if math.isfinite(bound) and bound != value]
    for decimals in (None, *range(1, MAX_DECIMALS + 1)):
        text = human(value, unit, decimals)
        if all(_alike(text) != _alike(human(bound, unit, decimals)) for bound in bounds):
            return text
    return text


def age(seconds: float) -> str:
    """How long ago: ``4 s ago``, ``3 m ago``, ``now`` below half a second, ``in 5 s`` for what is still to come."""
    if not math.isfinite(seconds):
        return "at no known time"
    text = rough(abs(seconds))
    if text == "0 s":
        return "now"
    return f"{text} ago" if seconds > 0 else f"in {text}"


def rough(seconds: float) -> str:
    """A duration to the one unit that matters: ``4 s``, ``3 m``, ``2 h``, ``12 d``."""
    for size, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m")):
        if seconds >= size - 0.5:
            return f"{max(1, int((seconds + 0.5) // size))} {name}"
    return f"{seconds:.0f} s"


def moment(when: datetime, *, utc: bool = False) -> str:
    """A moment with its zone, in UTC or local time: ``2025-03-09 03:12:44 UTC``. A naive one counts as UTC."""
    shown = zoned(when, utc=utc)
    return f"{shown:%Y-%m-%d %H:%M:%S} {_zone(shown)}"


def clock(when: datetime, *, utc: bool = False) -> str:
    """The time of day alone, with its zone: ``03:12:44 UTC``."""
    shown = zoned(when, utc=utc)
    return f"{shown:%H:%M:%S} {_zone(shown)}"


def rfc3339(when: datetime) -> str:
    """A moment as programs read it: ``2025-03-09T03:12:44.250000Z``. A naive one counts as UTC."""
    return zoned(when, utc=True).isoformat().replace("+00:00", "Z")


def zoned(when: datetime, *, utc: bool = False) -> datetime:
    """The same moment in UTC or in local time. A naive one counts as UTC."""
    aware = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return aware.astimezone(UTC) if utc else aware.astimezone()


def zone_before(first: datetime, last: datetime) -> str:
    """The zone to write behind the first of two moments, with a blank before it, where the clocks were changed between
    them; else none, for that of the last tells it."""
    return "" if first.tzname() == last.tzname() else f" {first.tzname() or ''}"


def _zone(when: datetime) -> str:
    name = when.tzname() or ""
    return name if name.isalpha() else f"{when:%z}"


def _number(value: float, decimals: int | None = None) -> str:
    """A bare number: whole ones with thousands, others to three or four digits."""
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    if value >= PLAIN_LIMIT:
        return f"{value:.3g}"
    if value == int(value):
        return f"{value:,.0f}"
    if value >= 100:
        return f"{value:,.1f}"
    return f"{value:.3g}" if value < 10 else f"{value:.1f}"


def _scaled(value: float, decimals: int | None) -> str:
    """A number below about 1,000 beside a unit: one decimal unless it is whole."""
    if decimals is not None:
        return f"{value:.{decimals}f}"
    if value >= 1e6:
        return f"{value:.3g}"
    return f"{value:.0f}" if value == int(value) or value >= 99.95 else f"{value:.1f}"


def _seconds(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f} s"
    if value < 1:
        return _part_of_a_second(value)
    if value < MINUTE - 0.05:
        return f"{_scaled(value, None)} s"
    for size, name, below, under in ((MINUTE, "m", 1, "s"), (HOUR, "h", MINUTE, "m"), (DAY, "d", HOUR, "h")):
        next_size = size * (24 if size == HOUR else 60)
        if size == DAY or value < next_size - below / 2:
            return _two_parts(value, size, name, below, under)
    raise AssertionError("unreachable: the day takes what is left")


def _two_parts(value: float, size: int, name: str, below: int, under: str) -> str:
    """``3 m 20 s``: the second part is left out when it is nothing, and for ten days and more."""
    if size == DAY and value >= 10 * DAY:
        return f"{_number(round(value / DAY))} d"
    whole, rest = divmod(round(value / below), size // below)
    return f"{whole} {name}" + (f" {rest} {under}" if rest else "")


def _part_of_a_second(value: float) -> str:
    ms = value * 1000
    if value == 0:
        return "0 s"
    if ms >= 999.5:
        return "1.0 s"
    return f"{ms:.0f} ms" if ms >= 10 else f"{ms:.2g} ms"


def _milliseconds(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f} ms"
    if value >= 1000:
        return _seconds(value / 1000, None)
    return f"{_scaled(value, None)} ms" if value >= 1 or value == 0 else f"{value:.2g} ms"


def _bytes(value: float, decimals: int | None) -> str:
    place = 0
    while value >= (1024 if decimals is not None else 1023.95) and place < len(BINARY) - 1:
        value /= 1024
        place += 1
    return f"{_scaled(value, decimals if place else None)} {BINARY[place]}"


def _percent(value: float, decimals: int | None) -> str:
    if decimals is None and 0 < value < 0.1:
        return f"{value:.2g} %"
    if decimals is None and value >= 1000:
        return f"{_number(round(value))} %"
    text = f"{value:.{1 if decimals is None else decimals}f}"
    return f"{text.removesuffix('.0') if value == int(value) else text} %"


def _per_second(value: float, decimals: int | None) -> str:
    return f"{_number(value, decimals)}/s"


def _days(value: float, decimals: int | None) -> str:
    if decimals is None and value >= 1000:
        return f"{_number(round(value))} d"
    return f"{_scaled(value, decimals)} d"


_WRITERS: dict[str, Callable[[float, int | None], str]] = {
    "": _number,
    "count": _number,
    "s": _seconds,
    "ms": _milliseconds,
    "bytes": _bytes,
    "bytes/s": lambda value, decimals: _bytes(value, decimals) + "/s",
    "ratio": lambda value, decimals: _percent(min(round(value * 100, 9), sys.float_info.max), decimals),
    "percent": _percent,
    "days": _days,
    "1/s": _per_second,
}


def _alike(text: str) -> str:
    """``10.0 s`` and ``10 s`` read as the same value."""
    return text.replace(".0 ", " ")
