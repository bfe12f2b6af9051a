"""What the flags of ``meshdiag logs`` ask for, as a ``Selection``."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from meshdiag.errors import UsageError
from meshdiag.logs.record import Level, nanoseconds
from meshdiag.logs.selection import Pattern, Selection

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from meshdiag.commands._logs_flags import LogFlags

CLOCKS_DIFFER = timedelta(minutes=1)
AROUND = timedelta(minutes=5)
"""How far around ``--at`` to look where ``--window`` says nothing."""


def selection_of(flags: LogFlags, now: datetime) -> Selection:
    """The selection. Raises ``UsageError`` for a value that cannot be read and flags that contradict each other."""
    since, until = window_of(flags, now)
    where = None
    if flags.where is not None:
        from meshdiag.logs.where import parse_where

        where = parse_where(flags.where)
    if flags.field is not None and not flags.field.strip():
        raise UsageError("--field names no field", hint="--field consensus.round")
    around = flags.context_lines or 0
    return Selection(
        since_ns=None if since is None else nanoseconds(since),
        until_ns=None if until is None else nanoseconds(until),
        levels=levels_of(flags.level, errors=flags.errors),
        components=_names(flags.component),
        nodes=_names(flags.node),
        patterns=_patterns(flags),
        where=where,
        field=flags.field,
        head=flags.head,
        tail=flags.tail,
        before=around if flags.before is None else flags.before,
        after=around if flags.after is None else flags.after,
    )


def window_of(flags: LogFlags, now: datetime) -> tuple[datetime | None, datetime | None]:
    """From when to when; None where a side is open."""
    if flags.at is not None:
        if flags.since or flags.until:
            raise UsageError("--at and --since or --until say two things", hint="--at 03:12 --window 10m")
        moment = _moment("--at", flags.at, now, utc=flags.utc)
        around = flags.window or AROUND
        return moment - around, moment + around
    if flags.window is not None:
        raise UsageError("--window needs --at", hint="--at 03:12 --window 10m; or --since 10m")
    since = None if flags.since is None else _moment("--since", flags.since, now, utc=flags.utc)
    until = None if flags.until is None else _moment("--until", flags.until, now, utc=flags.utc)
    if since is not None and since > now + CLOCKS_DIFFER:
        raise UsageError(f"--since: {since:%Y-%m-%d %H:%M:%S} UTC is still to come")
    if since is not None and until is not None and since >= until:
        raise UsageError(f"--since {flags.since} is not before --until {flags.until}")
    return since, until


def levels_of(words: Sequence[str], *, errors: bool = False) -> frozenset[Level] | None:
    """The levels that ``--level`` names (``error``, ``warn+``, ``debug,info``), those of ``--errors`` without it."""
    named = _names(words)
    if words and not named:
        raise UsageError("--level names no level", hint="--level error, --level warn+, --level debug,info")
    if not named:
        return frozenset(one for one in Level if one >= Level.WARN) if errors else None
    found: set[Level] = set()
    for word in named:
        found.update(_level_range(word))
    return frozenset(found)


def _level_range(word: str) -> list[Level]:
    from meshdiag.logs.levels import level_of
    from meshdiag.spelling import did_you_mean

    level = level_of(word.removesuffix("+"))
    if level is None:
        known = [one.word for one in Level]
        hint = did_you_mean(word.lower(), known, f"write one of {', '.join(known)}, with + for worse ones too", most=1)
        raise UsageError(f"--level: {word[:40]!r} is no level", hint=hint)
    return [one for one in Level if one >= level] if word.endswith("+") else [level]


def _patterns(flags: LogFlags) -> tuple[Pattern, ...]:
    if flags.invert and not flags.grep:
        raise UsageError("-v turns --grep around, and there is none", hint="meshdiag logs -v --grep heartbeat")
    return tuple(
        Pattern(text, fixed=flags.fixed, ignore_case=flags.ignore_case, invert=flags.invert) for text in flags.grep
    )


def _moment(flag: str, text: str, now: datetime, *, utc: bool) -> datetime:
    """A moment, or a duration, which means so long ago."""
    from meshdiag.durations import MOMENT_EXAMPLES, parse_duration, parse_moment

    try:
        return now - parse_duration(text)
    except UsageError:
        pass
    try:
        return parse_moment(text, now, utc=utc)
    except UsageError as error:
        raise UsageError(
            f"{flag}: {error.message}", hint=f"write 15m, {MOMENT_EXAMPLES.removeprefix('write ')}"
        ) from None


def _names(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.strip() for one in given for name in one.split(",") if name.strip())
