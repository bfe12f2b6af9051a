"""Why an answer is empty: never seen, other labels, gone stale, target down, or filtered out by the expression.

An empty answer is never a pass, so somebody is going to ask why. All that is asked here travels in one or two
requests (see ``batch``).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.metrics import Absence, AbsenceKind, Vector
from meshdiag.promql.expressions import Aggregate, Binary, Call, MatchKind, Negate, RangeSelector, Selector, Subquery
from meshdiag.promql.parsing import parse
from meshdiag.sources.http import excerpt
from meshdiag.sources.prometheus.identity import STRANGE
from meshdiag.spelling import LONGEST, did_you_mean
from meshdiag.units import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshdiag.promql.expressions import Expression, Matcher
    from meshdiag.sources.prometheus.client import Prometheus

LATELY: Final = (("1h", "30s", "hour"), ("1d", "5m", "day"))
"""How far back a series is looked for: the window, the step it is looked at, the word for it."""
TARGET_LABELS: Final = ("job", "instance")
HISTOGRAM_PARTS: Final = ("_bucket", "_sum", "_count")
MAX_NAMES: Final = 20_000
EMPTY: Final = Vector(())

TELLING: Final = (
    AbsenceKind.TARGET_DOWN,
    AbsenceKind.STALE,
    AbsenceKind.OTHER_LABELS,
    AbsenceKind.NEVER_SEEN,
)
"""Which explanation says more, where either of two selectors would have done."""


async def why_empty(prometheus: Prometheus, query: str, at: datetime | None) -> Absence:
    """Classify the empty answer to ``query``. Trouble with the server is part of the classification."""
    try:
        expression = parse(query)
    except QueryError as error:
        return Absence(AbsenceKind.FILTERED, f"nothing is left; why cannot be told ({error.message})")
    wanted = list(dict.fromkeys(_selectors(expression)))
    look = _Look(prometheus, at)
    try:
        blames = dict(zip(wanted, await asyncio.gather(*(look.at(one) for one in wanted)), strict=True))
    except SourceError as error:
        error = await _recognised(prometheus, error)
        wrong = error.trouble is Trouble.WRONG_SERVER
        return Absence(AbsenceKind.WRONG_SERVER if wrong else AbsenceKind.UNREACHABLE, error.message)
    return _blame(expression, blames) or _filtered(expression, wanted)


async def _recognised(prometheus: Prometheus, error: SourceError) -> SourceError:
    """The same error, or what the server really is where it answered in a way that Prometheus does not."""
    if error.trouble not in STRANGE:
        return error
    try:
        await prometheus.identify()
    except SourceError as found:
        return found
    return error


def _filtered(expression: Expression, wanted: Sequence[Selector]) -> Absence:
    if isinstance(expression, Call) and expression.function.startswith("absent"):
        return Absence(AbsenceKind.FILTERED, "the series exist, and absence was asked for")
    if not wanted:
        return Absence(AbsenceKind.FILTERED, "the expression asks for no series, and its condition leaves nothing")
    return Absence(AbsenceKind.FILTERED, "series exist; the expression's condition leaves none of them")


def _selectors(expression: Expression) -> Iterable[Selector]:
    """The selectors whose absence can empty the answer, left to right."""
    match expression:
        case Selector():
            yield expression
        case RangeSelector(selector=selector):
            yield selector
        case Subquery(expr=inner) | Negate(expr=inner):
            yield from _selectors(inner)
        case Aggregate(expr=inner):
            yield from _selectors(inner)
        case Call(function=function, args=args) if not function.startswith("absent"):
            for arg in args:
                yield from _selectors(arg)
        case Binary(op=op, left=left, right=right):
            yield from _selectors(left)
            if op != "unless":
                yield from _selectors(right)


def _blame(expression: Expression, blames: dict[Selector, Absence | None]) -> Absence | None:
    """The absence that empties an expression: of ``a or b`` both must be absent, else either does."""
    if isinstance(expression, Binary) and expression.op == "or":
        left, right = _blame(expression.left, blames), _blame(expression.right, blames)
        if left is None or right is None:
            return None
        return right if TELLING.index(right.kind) < TELLING.index(left.kind) else _plainer(left, right)
    if isinstance(expression, Binary):
        sides = (expression.left,) if expression.op == "unless" else (expression.left, expression.right)
        return next((found for side in sides if (found := _blame(side, blames))), None)
    return next((found for one in _selectors_within(expression, blames) if (found := one)), None)


def _selectors_within(expression: Expression, blames: dict[Selector, Absence | None]) -> Iterable[Absence | None]:
    match expression:
        case Selector():
            yield blames.get(expression)
        case RangeSelector(selector=selector):
            yield blames.get(selector)
        case Subquery(expr=inner) | Negate(expr=inner) | Aggregate(expr=inner):
            yield _blame(inner, blames)
        case Call(function=function, args=args) if not function.startswith("absent"):
            for arg in args:
                yield _blame(arg, blames)


def _plainer(left: Absence, right: Absence) -> Absence:
    """Of two explanations of one kind: the shorter is the one about the plain name, not about ``…_bucket``."""
    return right if right.kind is left.kind and len(right.message) < len(left.message) else left


@dataclass(frozen=True, slots=True)
class _Seen:
    """Where and when series were last there: by (job, instance), in seconds since the epoch; the word for how far
    back was looked."""

    last: dict[tuple[str, str], float]
    within: str

    @property
    def latest(self) -> datetime | None:
        return datetime.fromtimestamp(max(self.last.values()), UTC) if self.last else None


class _Look:
    """Looks at one selector after the other, from the moment that was asked about."""

    def __init__(self, prometheus: Prometheus, at: datetime | None) -> None:
        self.prometheus = prometheus
        self.at_moment = at

    async def at(self, selector: Selector) -> Absence | None:
        """Why this selector selects nothing; None when it selects something."""
        text, bare = _text(selector), _text(replace(selector, matchers=()))
        named = selector.name is not None and bool(selector.matchers)
        now, by_name, lately, down = await asyncio.gather(
            self._ask(f"count({text})"),
            self._ask(f"count({bare})") if named else _nothing(),
            self._lately(selector, 0),
            self._ask(f"{_up(selector)} == 0"),
        )
        if now.samples:
            return None
        if by_name.samples:
            return await self._other_labels(selector)
        if not lately.last:
            lately = await self._lately(selector, 1)
        if lately.last:
            return self._gone(text, lately, down)
        return await self._never(selector, down)

    async def _ask(self, query: str) -> Vector:
        try:
            return await self.prometheus.instant(query, self.at_moment)
        except QueryError:  # a dialect that lacks a function costs one hint, not the answer
            return EMPTY

    async def _lately(self, selector: Selector, place: int) -> _Seen:
        """When the series were last there, by the target they came from."""
        window, step, within = LATELY[place]
        text = _text(replace(selector, offset_ms=0, at=None))
        vector = await self._ask(
            f"max by (job, instance) (max_over_time(timestamp({text})[{window}:{step}]{_offset(selector)}))"
        )
        return _Seen({_target(sample.labels): sample.value for sample in vector.samples}, within)

    def _gone(self, text: str, seen: _Seen, down: Vector) -> Absence:
        """Series that were there and are not any more: their target is down, or they went stale."""
        latest = seen.latest
        ago = f", last seen {_ago(latest, self.at_moment)} ago" if latest else ""
        dead = [sample for sample in down.samples if _target(sample.labels) in seen.last]
        if dead and len(dead) == len(seen.last):
            names = sorted(sample.labels.get("instance", "") for sample in dead)
            who = f"its target {excerpt(names[0])} is" if len(names) == 1 else f"all {len(names)} of its targets are"
            return Absence(AbsenceKind.TARGET_DOWN, f"{excerpt(text)}: {who} down{ago}", latest)
        when = _ago(latest, self.at_moment) if latest else "some time"
        return Absence(
            AbsenceKind.STALE, f"{excerpt(text)} went stale {when} ago; its target no longer exposes it", latest
        )

    async def _other_labels(self, selector: Selector) -> Absence:
        """The name exists: which matcher leaves nothing, and which values there are instead."""
        culprits = [one for one in selector.matchers if one.name != "__name__"]
        rests = [_text(replace(selector, matchers=_without(selector.matchers, one))) for one in culprits]
        have = await asyncio.gather(
            *(self._ask(f"count by ({one.name}) ({rest})") for one, rest in zip(culprits, rests, strict=True))
        )
        name = selector.name or ""
        for matcher, vector in zip(culprits, have, strict=True):
            values = sorted({sample.labels.get(matcher.name, "") for sample in vector.samples})
            if values:
                has = _some([value or "none" for value in values])
                said = f"{name} exists, but not with {excerpt(str(matcher))} ({matcher.name} is {has})"
                return Absence(AbsenceKind.OTHER_LABELS, said)
        said = f"{name} exists, but not with these labels together: {excerpt(', '.join(map(str, selector.matchers)))}"
        return Absence(AbsenceKind.OTHER_LABELS, said)

    async def _never(self, selector: Selector, down: Vector) -> Absence:
        """No series in the last day. A target that never came up explains it best, else a similar name."""
        name = selector.name
        if down.samples and any(_pins_target(one) for one in selector.matchers):
            names = sorted(sample.labels.get("instance", "") for sample in down.samples)
            who = f"target {excerpt(names[0])} is" if len(names) == 1 else f"{len(names)} targets are"
            alive = await self._ask(f"count({_up(selector)} == 1)")
            if not alive.samples:
                said = f"{excerpt(_text(selector))} was not seen in the last day; its {who} down"
                return Absence(AbsenceKind.TARGET_DOWN, said)
        if name is None:
            return Absence(AbsenceKind.NEVER_SEEN, f"no series matches {excerpt(_text(selector))} in the last day")
        matched = [one for one in selector.matchers if one.name != "__name__"]
        if matched and (earlier := await self._lately(replace(selector, matchers=()), 1)).last:
            jobs = _some(sorted({job for job, _ in earlier.last if job}))
            said = f"{name} was seen in the last day, but never with {excerpt(', '.join(map(str, matched)))}"
            return Absence(AbsenceKind.OTHER_LABELS, f"{said}{f' (job is {jobs})' if jobs else ''}", earlier.latest)
        if self.at_moment is not None:
            said = f"{name} was never seen here in the day before {moment(self.at_moment, utc=True)}"
            return Absence(AbsenceKind.NEVER_SEEN, said + await self._suggestion(name))
        said = f"{name} was never seen here (no series of that name in the last day)"
        return Absence(AbsenceKind.NEVER_SEEN, said + await self._suggestion(name))

    async def _suggestion(self, name: str) -> str:
        """What may have been meant: the histogram's parts, or a name that is spelt alike."""
        try:
            known = set((await self.prometheus.label_values("__name__"))[:MAX_NAMES])
        except SourceError:
            return ""
        if name in known:
            return ""  # spelt as it should be: it was there at another time
        parts = [name + part for part in HISTOGRAM_PARTS if name + part in known]
        if parts:
            return f"; it is exposed as a histogram: {', '.join(parts)}"
        base = next((name.removesuffix(part) for part in HISTOGRAM_PARTS if name.endswith(part)), name)
        if base in known and base != name:
            return f"; {base} exists, and is no histogram"
        guess = did_you_mean(name, (excerpt(one, LONGEST) for one in known), most=3, cutoff=0.75)
        return f"; {guess}" if guess else ""


async def _nothing() -> Vector:
    return EMPTY


def _text(selector: Selector) -> str:
    """A selector as PromQL, its offset included."""
    if not selector.name and not selector.matchers:
        return '{__name__!=""}'
    return f"{selector}{_offset(selector)}"


def _offset(selector: Selector) -> str:
    at = "" if selector.at is None else f" @ {selector.at / 1000:.3f}" if isinstance(selector.at, int) else ""
    if not selector.offset_ms:
        return at
    return f"{at} offset {'-' if selector.offset_ms < 0 else ''}{abs(selector.offset_ms)}ms"


def _up(selector: Selector) -> str:
    """``up`` of the targets that the selector is about."""
    matchers = tuple(one for one in selector.matchers if one.name in TARGET_LABELS)
    return _text(replace(selector, name="up", matchers=matchers))


def _pins_target(matcher: Matcher) -> bool:
    return matcher.name in TARGET_LABELS and matcher.kind is MatchKind.EQUAL


def _without(matchers: Sequence[Matcher], one: Matcher) -> tuple[Matcher, ...]:
    return tuple(matcher for matcher in matchers if matcher is not one)


def _target(labels: Mapping[str, str]) -> tuple[str, str]:
    return labels.get("job", ""), labels.get("instance", "")


def _some(values: Sequence[str], limit: int = 4) -> str:
    """The first few values, and how many more."""
    shown = ", ".join(excerpt(value, 60) for value in values[:limit])
    return f"{shown} and {len(values) - limit} more" if len(values) > limit else shown


def _ago(when: datetime, now: datetime | None) -> str:
    """A rough age: "40 s", "14 min", "3 h"."""
    seconds = max(0.0, ((now or datetime.now(UTC)) - when).total_seconds())
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"
