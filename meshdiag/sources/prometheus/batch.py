"""Many expressions in one request.

Questions asked in the same breath (the checks of a run, side by side) are sent as one query: each expression is
marked by a label of its own and all are joined by ``or``; the answer is split by that label, which is removed.
So the number of requests does not grow with the number of checks. Where the server refuses the joined query,
each expression is asked by itself, so that a bad one does not spoil the others.
"""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.metrics import Matrix, Vector

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence

    from meshdiag.metrics import Sample, Series

MARK: Final = "meshdiag"
MAX_EXPRESSIONS: Final = 4
"""Joining costs the server time (with a thousand nodes 37 expressions took it 0.51 s of CPU apart, 0.71 s by eights),
and it evaluates requests side by side, so small groups are quicker; ``health`` may send twenty-five requests."""
MAX_BYTES: Final = 14_000
"""VictoriaMetrics takes 16 kB by default."""
QUIET_TICKS: Final = 3
"""A batch is sent after so many turns of the event loop in which nobody added to it."""
WORTH_SPLITTING: Final = frozenset({Trouble.REJECTED, Trouble.TOO_LARGE, Trouble.MALFORMED})
_PLACE = re.compile(r"\s*\(\d+:\d+\)$")

Result = TypeVar("Result", bound="Vector | Matrix")


class Batcher(Generic[Result]):
    """Gathers questions that go to one endpoint with the same parameters.

    ``evaluate(query, key)`` asks one query; ``split(result, count)`` takes a joined answer apart. ``key`` is
    whatever must be equal for questions to be asked together (the moment, the range).
    """

    def __init__(
        self,
        evaluate: Callable[[str, Hashable], Awaitable[Result]],
        split: Callable[[Result, Sequence[str]], list[Result]],
    ) -> None:
        self._evaluate = evaluate
        self._split = split
        self._waiting: dict[Hashable, dict[str, list[asyncio.Future[Result]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, query: str, key: Hashable) -> Result:
        """The answer to ``query``, asked together with what others ask now. The same query is asked once."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = {}
            loop.call_soon(self._tick, key, 0, QUIET_TICKS)
        waiting.setdefault(query, []).append(future)
        return await future

    async def close(self) -> None:
        """Stop what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _tick(self, key: Hashable, size: int, left: int) -> None:
        now = len(self._waiting[key])
        left = left - 1 if now == size else QUIET_TICKS
        if left > 0:
            asyncio.get_running_loop().call_soon(self._tick, key, now, left)
            return
        waiting = self._waiting.pop(key)
        # The shortest first: which nodes there are is asked in a few words, and all else waits for it.
        for queries in chunks(sorted(waiting, key=len)):
            task = asyncio.create_task(self._deliver({query: waiting[query] for query in queries}, key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, waiting: dict[str, list[asyncio.Future[Result]]], key: Hashable) -> None:
        queries = list(waiting)
        try:
            answers = await self._together(queries, key)
        except asyncio.CancelledError:
            for futures in waiting.values():
                for future in futures:
                    future.cancel()
            raise
        for futures, answer in zip(waiting.values(), answers, strict=True):
            for future in futures:
                if future.done():  # whoever asked has been cancelled
                    continue
                if isinstance(answer, BaseException):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)

    async def _together(self, queries: list[str], key: Hashable) -> list[Result | BaseException]:
        if len(queries) > 1:
            try:
                return list(self._split(await self._evaluate(join(queries), key), queries))
            except SourceError as error:
                if not _worth_splitting(error):
                    return [error] * len(queries)
        return await asyncio.gather(*(self._evaluate(query, key) for query in queries), return_exceptions=True)


def _worth_splitting(error: SourceError) -> bool:
    from meshdiag.sources.prometheus.api import EvaluationTimeout

    return isinstance(error, (QueryError, EvaluationTimeout)) or error.trouble in WORTH_SPLITTING


def chunks(queries: Sequence[str]) -> list[list[str]]:
    """The queries in groups that fit into one request each; what cannot be joined stands by itself."""
    groups: list[list[str]] = []
    joined: list[str] = []
    size = 0
    for query in queries:
        if not gives_vector(query):
            groups.append([query])
            continue
        cost = len(query.encode()) + 60
        if joined and (len(joined) >= MAX_EXPRESSIONS or size + cost > MAX_BYTES):
            groups.append(joined)
            joined, size = [], 0
        joined.append(query)
        size += cost
    return [*groups, joined] if joined else groups


def join(queries: Sequence[str]) -> str:
    """One expression for all, its marker label telling them apart.

    The ``or`` are nested as a balanced tree: a chain would make the server compare each part with all before it.
    A query ends with a line break, so that a comment at its end does not swallow the rest.
    """
    parts = [f'label_replace(({query}\n), "{MARK}", "{place}", "", "")' for place, query in enumerate(queries)]
    while len(parts) > 1:
        pairs = [f"({parts[i]} or {parts[i + 1]})" for i in range(0, len(parts) - 1, 2)]
        parts = [*pairs, *parts[len(pairs) * 2 :]]
    return parts[0]


@lru_cache(maxsize=1024)
def gives_vector(query: str) -> bool:
    """Whether an expression can be joined with others: it parses, gives an instant vector, and its order is not
    part of the answer."""
    import promql_parser as library

    try:
        return _is_vector(library.parse(query), library)
    except (ValueError, RecursionError):
        return False


def _is_vector(node: object, library: object) -> bool:
    kind = type(node).__name__
    if kind in ("VectorSelector",):
        return True
    if kind in ("ParenExpr", "UnaryExpr"):
        return _is_vector(node.expr, library)  # type: ignore[attr-defined]
    if kind == "AggregateExpr":
        return str(node.op) not in ("topk", "bottomk", "limitk", "limit_ratio")  # type: ignore[attr-defined]
    if kind == "Call":
        function = node.func  # type: ignore[attr-defined]
        return str(function.return_type).endswith("Vector") and not function.name.startswith("sort")
    if kind == "BinaryExpr":
        return _is_vector(node.lhs, library) or _is_vector(node.rhs, library)  # type: ignore[attr-defined]
    return False


def split_vector(answer: Vector, queries: Sequence[str]) -> list[Vector]:
    """A joined answer taken apart, in the order of the queries."""
    parts: list[list[Sample]] = [[] for _ in queries]
    for sample in answer.samples:
        parts[_place(sample, len(queries))].append(sample)
    return [Vector(tuple(part), notes) for part, notes in zip(parts, _notes_of(answer.warnings, queries), strict=True)]


def split_matrix(answer: Matrix, queries: Sequence[str]) -> list[Matrix]:
    """A joined answer taken apart, in the order of the queries."""
    parts: list[list[Series]] = [[] for _ in queries]
    for series in answer.series:
        parts[_place(series, len(queries))].append(series)
    return [Matrix(tuple(part), notes) for part, notes in zip(parts, _notes_of(answer.warnings, queries), strict=True)]


def without_place(remark: str) -> str:
    """A remark on an expression without the place ``(1:23)`` that it names, which is one in the joined text."""
    return _PLACE.sub("", remark)


def _place(item: Sample | Series, count: int) -> int:
    """Which query an element belongs to; the marker is taken off its labels, which nobody else holds yet."""
    try:
        place = int(item.labels.pop(MARK))  # type: ignore[attr-defined]
    except (KeyError, ValueError):
        place = count
    if not 0 <= place < count:
        raise SourceError("the joined answer cannot be told apart", trouble=Trouble.MALFORMED)
    return place


def _notes_of(warnings: Sequence[str], queries: Sequence[str]) -> list[tuple[str, ...]]:
    """Which warnings belong to which query. Remarks on an expression quote a metric's name and a place in the
    joined text: they go to the queries with that name, without the place. All others concern everyone."""
    notes: list[list[str]] = [[] for _ in queries]
    for warning in warnings:
        text = without_place(warning)
        quoted = re.findall(r'"([A-Za-z_:][\w:]*)"', text) if text != warning else []
        about = [place for place, query in enumerate(queries) if any(name in query for name in quoted)]
        for place in about or range(len(queries)):
            if text not in notes[place]:
                notes[place].append(text)
    return [tuple(one) for one in notes]
