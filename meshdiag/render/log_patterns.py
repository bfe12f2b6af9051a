"""Recurring messages for people and for programs: the pattern, how often, from when to when, an example."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from meshdiag.logs.record import moment_of
from meshdiag.render.ansi import DIM, paint
from meshdiag.render.log_data import rfc3339_ns
from meshdiag.render.log_lines import LEVEL_STYLES
from meshdiag.render.safe import encodable, one_line
from meshdiag.units import zone_before, zoned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshdiag.logs.patterns.recurring import Found, Recurring

COUNT = 11
LEVEL = 6
INDENT = COUNT + LEVEL + 3
MOST_LINES = 3
"""Lines that one pattern may take."""
TEXT_LIMIT = 1000


def as_lines(
    found: Found,
    *,
    width: int = 80,
    limit: int | None = None,
    colour: bool = False,
    encoding: str = "utf-8",
    utc: bool = False,
    examples: bool = False,
) -> Iterator[str]:
    """Patterns as lines of at most ``width`` columns, each ended; times in UTC or local. ``limit``: so many patterns,
    and a last line says what the others are. ``examples``: with the first record of each, as it stood."""
    shown = found.patterns if limit is None else found.patterns[:limit]
    dated = _dated(shown, utc=utc)
    for one in shown:
        yield from _pattern(one, width, dated, colour=colour, encoding=encoding, utc=utc, examples=examples)
    left = found.patterns[len(shown) :]
    rest = sum(one.count for one in left) + found.rest
    if rest:
        yield f"{rest:>{COUNT},}  in {len(left):,} more patterns{' and single messages' if found.rest else ''}\n"


def as_data(found: Found) -> list[dict[str, Any]]:
    """Patterns as plain data: ``pattern``, ``level``, ``count``, ``before`` (of these, in the time before),
    ``first_seen`` and ``last_seen`` (RFC 3339, UTC), ``components`` (the commonest, with counts), ``example`` and
    ``file``. Null for what the records do not say."""
    return [
        {
            "pattern": one.text,
            "level": None if one.level is None else one.level.word,
            "count": one.count,
            "before": one.before,
            "first_seen": None if one.first_ns is None else rfc3339_ns(one.first_ns),
            "last_seen": None if one.last_ns is None else rfc3339_ns(one.last_ns),
            "components": dict(one.components),
            "example": one.example.decode("utf-8", "replace"),
            "file": one.file or None,
        }
        for one in found.patterns
    ]


def _pattern(
    one: Recurring, width: int, dated: bool, *, colour: bool, encoding: str, utc: bool, examples: bool
) -> Iterator[str]:
    room = max(width - INDENT, 20)
    text = encodable(one_line(one.text, TEXT_LIMIT), encoding)
    wrapped = textwrap.wrap(text, room, max_lines=MOST_LINES, placeholder=" ...", break_on_hyphens=False) or [""]
    level = "-" if one.level is None else one.level.word
    style = LEVEL_STYLES[one.level] if colour and one.level is not None else ""
    yield f"{one.count:>{COUNT},}  {paint(f'{level:{LEVEL}}', style)} {wrapped[0]}\n"
    for line in wrapped[1:]:
        yield f"{'':{INDENT}}{line}\n"
    said = ", ".join(part for part in (_times(one, dated, utc=utc), _components(one, encoding)) if part)
    if said:
        told = said if len(said) <= room else said[: room - 3] + "..."
        yield f"{'':{INDENT}}{paint(told, DIM if colour else '')}\n"
    if examples:
        example = encodable(one_line(one.example.decode("utf-8", "replace"), TEXT_LIMIT), encoding)
        for line in textwrap.wrap(example, room, max_lines=MOST_LINES, placeholder=" ...", break_on_hyphens=False):
            yield f"{'':{INDENT}}{paint(line, DIM if colour else '')}\n"


def _times(one: Recurring, dated: bool, *, utc: bool) -> str:
    """``03:12:01 to 03:14:09 UTC``; with dates where the patterns are not all of one day."""
    if one.first_ns is None or one.last_ns is None:
        return ""
    form = "%Y-%m-%d %H:%M:%S" if dated else "%H:%M:%S"
    first, last = zoned(moment_of(one.first_ns), utc=utc), zoned(moment_of(one.last_ns), utc=utc)
    if f"{first:{form}}" == f"{last:{form}}":
        return f"{last:{form}} {last.tzname() or ''}"
    return f"{first:{form}}{zone_before(first, last)} to {last:{form}} {last.tzname() or ''}"


def _components(one: Recurring, encoding: str) -> str:
    return " ".join(encodable(one_line(name, 30), encoding) for name, _ in one.components)


def _dated(patterns: Sequence[Recurring], *, utc: bool) -> bool:
    times = [time_ns for one in patterns for time_ns in (one.first_ns, one.last_ns) if time_ns is not None]
    return (
        len({zoned(moment_of(time_ns), utc=utc).date() for time_ns in (min(times), max(times))}) > 1 if times else False
    )
