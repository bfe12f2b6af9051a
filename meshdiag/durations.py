"""Durations and moments as people type them: ``1h30m``, ``15m ago``, ``yesterday 14:00``."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from meshdiag.errors import UsageError

if TYPE_CHECKING:
    from datetime import tzinfo

UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])")
_WORD = re.compile(r"(?<=[\d\s])(?:sec(?:ond)?s?|min(?:ute)?s?|h(?:ou)?rs?|days?|weeks?)(?![a-z])")
_WHOLE = re.compile(rf"(?:{_PART.pattern}\s*)+")
_CLOCK = re.compile(r"(?:(today|yesterday)[\sT]+)?(\d{1,2}):(\d{2})(?::(\d{2}))?")
_EPOCH = re.compile(r"\d{9,11}(?:\.\d+)?|\d{13}|\d{16}|\d{19}")
_EPOCH_UNITS = {13: 10**3, 16: 10**6, 19: 10**9}
"""Digits of an epoch in ms, µs and ns, and how many of them make a second."""
_LONGEST = timedelta(days=3660)

DURATION_EXAMPLES = "write 30s, 15m, 6h, 2d or 1h30m"
MOMENT_EXAMPLES = "write 2026-01-31T03:12:00Z, 1769829120, '15m ago', 03:12 or 'yesterday 14:00'"


def parse_duration(text: str) -> timedelta:
    """Read ``5s``, ``15m``, ``6h``, ``2d``, ``1w``, ``250ms``, ``10 minutes`` or several in a row (``1h30m``).

    Raises ``UsageError`` for anything else, for zero and for more than ten years.
    """
    body = _WORD.sub(lambda word: word[0][0], text.strip().lower())
    if len(body) > 64 or not body.isascii() or not _WHOLE.fullmatch(body):
        hint = f"did you mean {body}s? {DURATION_EXAMPLES}" if re.fullmatch(r"\d{1,9}", body) else DURATION_EXAMPLES
        raise UsageError(f"{_shown(text.strip())} is not a duration", hint=hint)
    seconds = sum(float(number) * UNIT_SECONDS[unit] for number, unit in _PART.findall(body))
    if not 0 < seconds <= _LONGEST.total_seconds():
        raise UsageError(f"the duration {_shown(text)} is nothing, or more than ten years", hint=DURATION_EXAMPLES)
    return timedelta(seconds=seconds)


def parse_moment(text: str, now: datetime, *, utc: bool = False) -> datetime:
    """Read a moment; the answer is in UTC.

    RFC 3339, the epoch in s, ms, µs or ns, ``now``, ``15m ago``, ``in 30d``, ``03:12`` (yesterday's when today's is
    still to come), ``today 03:12``, ``yesterday 14:00``. What names no zone is local time, or UTC with ``utc``. ``now``
    must be aware. Raises ``UsageError`` for anything else.
    """
    body = text.strip()
    lower = body.lower()
    if lower == "now":
        return now.astimezone(UTC)
    if lower.endswith("ago"):
        return (now - parse_duration(lower.removesuffix("ago"))).astimezone(UTC)
    if lower.startswith("in "):
        return (now + parse_duration(lower.removeprefix("in "))).astimezone(UTC)
    if body.isascii() and _EPOCH.fullmatch(body):
        if body.isdecimal() and (parts := _EPOCH_UNITS.get(len(body))):
            seconds, micros = divmod(int(body) * 1_000_000 // parts, 1_000_000)
            return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
        return datetime.fromtimestamp(float(body), UTC)
    zone = UTC if utc else None
    if clock := _CLOCK.fullmatch(lower):
        return _at_clock(clock, text, now, zone)
    return _at_date(body, text, zone)


def format_duration(seconds: float) -> str:
    """A duration in the same spelling: ``90`` is ``1m30s``, ``0.25`` is ``250ms``."""
    if not math.isfinite(seconds) or seconds <= 0:
        return f"{seconds:g}s"
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    parts = []
    for unit in ("d", "h", "m"):
        count, seconds = divmod(seconds, UNIT_SECONDS[unit])
        if count:
            parts.append(f"{count:g}{unit}")
    return "".join([*parts, f"{seconds:g}s"] if seconds else parts)


def _at_clock(clock: re.Match[str], text: str, now: datetime, zone: tzinfo | None) -> datetime:
    day, hour, minute, second = clock.groups()
    local = now.astimezone(zone)
    try:
        # Naive on purpose: the machine's zone decides the offset of that very day, across a change of the clocks.
        moment = datetime(local.year, local.month, local.day, int(hour), int(minute), int(second or 0), tzinfo=zone)
    except ValueError:
        raise _not_a_moment(text) from None
    if day == "yesterday" or (day is None and moment.astimezone() > now):
        moment -= timedelta(days=1)
    return moment.astimezone(UTC)


def _at_date(body: str, text: str, zone: tzinfo | None) -> datetime:
    # The standard library also reads 20260131 and week dates; a mistyped number must not become a date.
    if not re.match(r"\d{4}-\d{2}-\d{2}(?:$|[ Tt]\d{2}:\d{2})", body):
        raise _not_a_moment(text)
    try:
        moment = datetime.fromisoformat(body)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise _not_a_moment(text) from None


def _not_a_moment(text: str) -> UsageError:
    return UsageError(f"{_shown(text)} is not a moment", hint=MOMENT_EXAMPLES)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")
