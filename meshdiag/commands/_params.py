"""Types of command-line values that several commands share: durations, moments and ranges."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from meshdiag.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from click.shell_completion import CompletionItem

    from meshdiag.model import Range

    DurationType = click.ParamType[timedelta]
    MomentType = click.ParamType[datetime]
    RangeType = click.ParamType[Range]
    CountType = click.ParamType[int]
    FileType = click.ParamType[Path]
    MethodsType = click.ParamType[tuple[str, ...]]
else:  # not every supported click makes it generic
    DurationType = MomentType = RangeType = CountType = FileType = MethodsType = click.ParamType


METHOD_NAMES = ("auto", "icmp", "tcp", "tls", "http")

CLOCKS_DIFFER = timedelta(minutes=1)
"""A moment that was read off another machine's clock may lie a little ahead of this one's."""


class Duration(DurationType):
    """A duration such as ``15m``; the command receives a ``timedelta``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read the text; a value that is one already passes through."""
        from meshdiag.durations import parse_duration

        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(str(value))
        except UsageError as error:
            self.fail(str(error), param, ctx)


class Gap(Duration):
    """A duration that may be nothing at all (``0``)."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read the text; a value that is one already passes through."""
        return timedelta() if value in ("0", "0s") else super().convert(value, param, ctx)


class Interval(Gap):
    """A duration such as ``0.2s``; a bare number is seconds, as ping takes them."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read the text; a value that is one already passes through."""
        text = str(value)
        bare = text.replace(".", "", 1)
        return super().convert(f"{text}s" if bare.isascii() and bare.isdigit() else value, param, ctx)


class Methods(MethodsType):
    """One way of probing, or several with commas between them; the command receives their names, none for ``auto``."""

    name = "method"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Read the text; a value that is one already passes through."""
        if isinstance(value, tuple):
            return value
        names = [name.strip().lower() for name in str(value).split(",")]
        for name in names:
            if name not in METHOD_NAMES:
                self.fail(f"{name[:40]!r} is none of {', '.join(METHOD_NAMES)}", param, ctx)
        return () if "auto" in names else tuple(dict.fromkeys(names))


class Moment(MomentType):
    """A moment such as ``15m ago``; the command receives an aware ``datetime`` in UTC. ``ahead``: it may lie in the
    future."""

    name = "time"

    def __init__(self, *, ahead: bool = False) -> None:
        self._ahead = ahead

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read the text; a value that is one already passes through."""
        from meshdiag.durations import parse_moment

        if isinstance(value, datetime):
            return value
        try:
            moment = parse_moment(str(value), datetime.now(UTC))
        except UsageError as error:
            self.fail(str(error), param, ctx)
        if not self._ahead and moment - datetime.now(UTC) > CLOCKS_DIFFER:
            self.fail(f"{moment:%Y-%m-%d %H:%M:%S} UTC is still to come", param, ctx)
        return moment


class NagiosRange(RangeType):
    """A range of fine values as the monitoring plugins write it (``~:10``); the command receives a ``Range``."""

    name = "range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Range:
        """Read the text; a value that is one already passes through."""
        from meshdiag.model import Range

        if isinstance(value, Range):
            return value
        try:
            return Range.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Count(CountType):
    """How many: a whole number, nought or more."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the text; a value that is one already passes through."""
        if isinstance(value, int):
            return value
        if not (value.isascii() and value.isdigit() and len(value) <= 12):
            self.fail(f"{value[:40]!r} is no whole number", param, ctx)
        return int(value)


class ConfigFile(FileType):
    """A file's name; the command receives a ``pathlib.Path``, whose import waits until there is one."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Check that it may be a file."""
        from pathlib import Path

        return Path(os.fsdecode(click.Path(dir_okay=False).convert(value, param, ctx)))

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete it as the shell completes files."""
        return click.Path(dir_okay=False).shell_complete(ctx, param, incomplete)


CONFIG = ConfigFile()
COUNT = Count()
DURATION = Duration()
GAP = Gap()
INTERVAL = Interval()
METHODS = Methods()
MOMENT = Moment()
MOMENT_AHEAD = Moment(ahead=True)
RANGE = NagiosRange()
