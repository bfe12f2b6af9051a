"""``meshdiag alerts --watch``: rules over fresh looks at the nodes' pages, until Ctrl-C or the end of a span.

On a terminal the answer is drawn anew in place; piped, every change of an alert's state is a line as it comes. At
the end the last look is printed like any other answer, in any format.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TextIO

from meshdiag.checks.readings.alertboard import PENDING
from meshdiag.checks.readings.direct_rules import QUIET, WOULD_FIRE
from meshdiag.errors import SourceError, Trouble
from meshdiag.model import Report, Verdict
from meshdiag.views.direct_alerts import say, subjects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshdiag.checks.readings.direct_rules import Seen, Standing
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._live import LiveReport
    from meshdiag.commands._options import Flags
    from meshdiag.context import Context
    from meshdiag.sources.scrape import Scrape
    from meshdiag.views.direct_alerts import DirectAlerts

DEFAULT_EVERY = timedelta(seconds=15)
"""The usual scrape interval."""

Key = tuple[int, frozenset[tuple[str, str]]]


def watch_alerts(
    invocation: Invocation, flags: Flags, direct: DirectAlerts, every: timedelta, span: timedelta | None
) -> int:
    """Watch, print, and return the exit code."""
    from meshdiag.commands._run import run_loop, show

    loaded = invocation.load()
    watch = _Watch(flags, loaded.context, direct, every.total_seconds(), span.total_seconds() if span else None)
    interrupted = run_loop(watch.run)
    report = watch.report()
    return show(replace(report, notes=(*loaded.notes, *report.notes)), flags, interrupted=interrupted)


@dataclass
class _Watch:
    """One watch. ``trouble`` is why the last look saw nothing, None when it saw something."""

    flags: Flags
    context: Context
    direct: DirectAlerts
    every_s: float
    span_s: float | None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    seen: Seen | None = None
    trouble: SourceError | None = None
    scrape: Scrape | None = None

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._states: dict[Key, tuple[str, str]] = {}
        self._silence = ""

    async def run(self, stop: asyncio.Event) -> bool:
        """Look until the end; whether it was Ctrl-C that ended it."""
        from meshdiag.session import Direct, open_sources, with_timeout

        flags = self.flags
        context = with_timeout(self.context, flags.timeout.total_seconds() if flags.timeout else None)
        async with open_sources(context, Direct.ALWAYS, gap_s=flags.gap.total_seconds()) as sources:
            self.scrape = sources.scrape
            with _screen(flags) as screen:
                return await self._loop(stop, screen)

    async def _loop(self, stop: asyncio.Event, screen: _Screen) -> bool:
        stopping = asyncio.ensure_future(stop.wait())
        try:
            number = 0
            while True:
                looking = asyncio.ensure_future(self._look(afresh=number > 0))
                await asyncio.wait({looking, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    looking.cancel()
                    return True
                await looking
                screen.draw(self)
                number += 1
                pause = self._pause(number)
                if pause is None:
                    return False
                await asyncio.wait({stopping}, timeout=pause)
                if stopping.done():
                    return True
        finally:
            stopping.cancel()

    def _pause(self, number: int) -> float | None:
        """Seconds to the next look, which keeps to the rhythm of the first; None when the span is over."""
        elapsed = time.monotonic() - self._began
        due = max(number, int(elapsed / self.every_s) + (elapsed % self.every_s > 0)) * self.every_s
        if self.span_s is not None and due > self.span_s:
            return None
        return max(0.0, due - elapsed)

    async def _look(self, *, afresh: bool) -> None:
        assert self.scrape is not None
        try:
            limit = (self.flags.deadline + (timedelta() if afresh else self.flags.gap)).total_seconds()
            self.seen = await asyncio.wait_for(self.direct.look(self.scrape, afresh=afresh), limit)
            self.trouble = None
        except SourceError as error:
            self.trouble = error
        except TimeoutError:
            self.trouble = _late(limit)

    def changes(self) -> Iterator[str]:
        """Lines about what stands differently since this was asked last."""
        if self.trouble is not None or self.seen is None:
            said = f"no answer: {self.trouble.message if self.trouble else 'not looked yet'}"
            if said != self._silence:
                yield said
            self._silence = said
            return
        self._silence = ""
        wanted = self.direct.wanted(self.seen)
        now = {_key(one): (one.state, name) for one, name in zip(wanted, subjects(wanted), strict=True)}
        for one in wanted:
            state, name = now[_key(one)]
            if state != self._states.get(_key(one), (QUIET, ""))[0]:
                yield f"{name} {say(one)}"
        for key, (state, name) in self._states.items():
            if key not in now and state in (WOULD_FIRE, PENDING):
                yield f"{name} is over"
        self._states = now

    def report(self) -> Report:
        """The last look as a report."""
        from meshdiag.checks import Outcome
        from meshdiag.engine import result_of

        direct, seen = self.direct, self.seen
        if self.trouble is not None or seen is None or self.scrape is None:
            said = self.trouble.message if self.trouble else "interrupted before the first look was over"
            outcome = Outcome(verdict=Verdict.UNKNOWN, summary=said, hint=self.trouble.hint if self.trouble else "")
            table = None
        else:
            outcome, table = direct.outcome(seen, self.scrape), direct.rows(seen)
        took = time.monotonic() - self._began
        result = replace(result_of(direct.check, outcome), duration_s=took)
        return Report("alerts", self.context.name, self.started, took, (result,), data=table, notes=direct.notes)


def _late(limit: float) -> SourceError:
    return SourceError(f"the nodes' pages did not come within {limit:g} s", trouble=Trouble.TIMEOUT)


def _key(one: Standing) -> Key:
    return id(one.rule), frozenset(one.labels.items())


class _Screen:
    """Where changes go while the watch lasts: lines to a stream, or nowhere."""

    def __init__(self, stream: TextIO | None, *, utc: bool = False) -> None:
        self._stream, self._utc = stream, utc

    def draw(self, watch: _Watch) -> None:
        """Show one look."""
        from meshdiag.render.safe import one_line
        from meshdiag.units import clock

        for line in watch.changes():
            if self._stream is not None:
                at = watch.seen.at if watch.seen and not watch.trouble else datetime.now(UTC)
                self._stream.write(f"{clock(at, utc=self._utc)}  {one_line(line)}\n")
                self._stream.flush()


class _Live(_Screen):
    """A terminal: the whole answer, drawn anew in place."""

    def __init__(self, place: LiveReport) -> None:
        super().__init__(None)
        self._place = place

    def draw(self, watch: _Watch) -> None:
        """Show one look."""
        self._place.draw(watch.report(), f"looks again every {watch.every_s:g} s; Ctrl-C ends it")


@contextlib.contextmanager
def _screen(flags: Flags) -> Iterator[_Screen]:
    """A live view on a terminal; lines where the answer is piped (on stderr when a program reads the answer)."""
    if flags.format == "table" and sys.stdout.isatty() and not flags.quiet:
        from meshdiag.commands._live import LiveReport

        with LiveReport(flags) as place:
            yield _Live(place)
        return
    stream = sys.stdout if flags.format == "table" else sys.stderr
    yield _Screen(None if flags.quiet else stream, utc=flags.utc)
