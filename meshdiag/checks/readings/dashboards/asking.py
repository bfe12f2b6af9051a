"""One expression of a dashboard asked: once, however many panels show it; and the reason where it gives nothing."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.metrics import Absence, AbsenceKind, Vector
from meshdiag.regexes import when_used
from meshdiag.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from meshdiag.checks.inputs import Inputs

T = TypeVar("T")
AT_ONCE: Final = 8
OF_THE_QUESTION: Final = frozenset({Trouble.TIMEOUT, Trouble.TOO_LARGE, Trouble.TRUNCATED, Trouble.REJECTED})
"""Troubles that one expression has while others may still be answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an expression: how many series, after how many seconds; ``error`` where it was refused or took too
    long, ``absence`` why there are none."""

    series: int = 0
    took_s: float = 0.0
    error: str = ""
    absence: Absence | None = None


class Asking:
    """Asks the metrics source of a run, a few questions at a time. Every question raises ``SourceError`` where it is
    the source that fails, and not the question."""

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def answer(self, expression: str) -> Answer:
        """What comes of an expression at the moment of the run."""
        return await self._once("answer", expression, lambda: self._answer(expression))

    async def vector(self, expression: str) -> Vector:
        """The samples of an expression, none where it is refused."""
        return await self._once("vector", expression, lambda: self._vector(expression))

    async def names(self) -> Collection[str] | None:
        """The names of all metrics; None where the source does not list them."""
        return await self._once("names", "", self._names)

    async def label_values(self, label: str) -> tuple[str, ...]:
        """The values of a label, of whatever series."""
        prometheus = self.inputs.sources.prometheus
        if prometheus is not None and prometheus is self.inputs.metrics:
            return await self._once("values", label, lambda: self._in_turn(lambda: prometheus.label_values(label)))
        vector = await self.vector(f'count by ({label}) ({{{label}!=""}})')
        return tuple(sorted(vector.by(label)))

    async def _once(self, kind: str, text: str, fetch: Callable[[], Awaitable[T]]) -> T:
        async def fetched() -> T:
            return await fetch()

        return await self.inputs.memo.once(("dashboards", kind, text), fetched)

    async def _in_turn(self, ask: Callable[[], Awaitable[T]]) -> T:
        async with self._turn:
            return await ask()

    async def _answer(self, expression: str) -> Answer:
        async with self._turn:
            began = time.monotonic()
            try:
                result = await self.inputs.metrics.evaluate(expression, self.inputs.at)
            except SourceError as error:
                if error.trouble not in OF_THE_QUESTION:
                    raise
                return Answer(took_s=time.monotonic() - began, error=_said(error))
            took_s = time.monotonic() - began
        series = len(result.samples) if isinstance(result, Vector) else len(result.series)
        if series or (isinstance(result, Vector) and result.text is not None):
            return Answer(series or 1, took_s)
        return Answer(0, took_s, absence=await self._why_empty(expression))

    async def _why_empty(self, expression: str) -> Absence:
        """Why there is nothing: at once where the store knows none of the names, else the source is asked."""
        known, wanted = await self.names(), _metric_names(expression)
        if known is not None and wanted and not any(name in known for name in wanted):
            guess = did_you_mean(wanted[0], known, most=3, cutoff=0.75)
            said = f"{wanted[0]} was never seen here (the store holds no metric of that name)"
            return Absence(AbsenceKind.NEVER_SEEN, f"{said}; {guess}" if guess else said)
        return await self._in_turn(lambda: self.inputs.metrics.why_empty(expression, self.inputs.at))

    async def _vector(self, expression: str) -> Vector:
        try:
            return await self._in_turn(lambda: self.inputs.metrics.instant(expression, self.inputs.at))
        except QueryError:
            return Vector(())

    async def _names(self) -> Collection[str] | None:
        try:
            return await self._in_turn(self.inputs.metrics.names)
        except SourceError:  # only the reasons are poorer without
            return None


def _said(error: SourceError) -> str:
    """What was said of a question, without the server's name and address, which all of them share."""
    return _WHOSE.sub("", error.message)


_WHOSE = when_used(r"^[\w ]{1,40} at \S+: (?:the query is refused: )?(?:invalid parameter \"query\": )?")


def _metric_names(expression: str) -> list[str]:
    """The metrics that an expression names; none where it cannot be read here, or picks series without a name."""
    from meshdiag.promql.expressions import Selector, walk
    from meshdiag.promql.parsing import parse

    try:
        selectors = [one for one in walk(parse(expression)) if isinstance(one, Selector)]
    except QueryError:
        return []
    names = [one.name for one in selectors if one.name is not None]
    return names if len(names) == len(selectors) else []
