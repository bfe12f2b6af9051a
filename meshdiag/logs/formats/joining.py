"""Joins the formats that one log has one after another, so that its lines before and after the change are read alike:
nothing but the line decides, wherever in the log it stands.

Two shapes of objects become one, of two logs in the same wrapping what is inside is joined; others stand side by
side. What was read so far must be read as before, or nothing is joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, cast

from meshdiag.logs.formats.changing import fits
from meshdiag.logs.formats.detecting import detect
from meshdiag.logs.formats.jsonlines import JsonFormat, learn_shape
from meshdiag.logs.formats.jsonreading import read_object
from meshdiag.logs.formats.lines import unmarked
from meshdiag.logs.formats.mixed import MixedFormat
from meshdiag.logs.formats.wrapped import DockerFormat, WrappedFormat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.logs.formats import Format, Hints
    from meshdiag.logs.formats.mixed import Owning


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a change is told by: lines that are known to be read well, and ``foreign`` ones."""

    sample: Sequence[bytes]
    foreign: Sequence[bytes]
    hints: Hints

    def inside(self, form: WrappedFormat | DockerFormat) -> Evidence:
        """The same lines without what is written around them."""
        sample, foreign = (
            [told[1] for line in lines if (told := form.inside(line)) is not None]
            for lines in (self.sample, self.foreign)
        )
        return Evidence(sample, foreign, self.hints)


class Order(Enum):
    """Which of two formats claims a line that both could read."""

    FOUND = "the later one, for most lines to come are its own"
    KNOWN = "the earlier one"
    LEVELLED = "the one that finds a level in it"


def further(known: Format, evidence: Evidence) -> Format | None:
    """A format that reads the lines of a sample as ``known`` does, and most of the foreign ones too, of which that
    one makes nothing. None where there is none."""
    if not hasattr(known, "owns"):
        return None
    old, found = cast("Owning", known), cast("Owning", detect(evidence.foreign, evidence.hints))
    for order in Order:
        both = joined(old, found, evidence, order)
        if _better(both, old, evidence):
            return both
    return None


def _better(both: Owning, known: Owning, evidence: Evidence) -> bool:
    """Whether nothing of the sample is read otherwise, and half of the foreign lines are read now that were not."""
    if any(_answers(both, line) != _answers(known, line) for line in evidence.sample if line):
        return False
    gained = [_made(both, line) > _made(known, line) for line in evidence.foreign]
    return sum(gained) * 2 >= len(gained)


def _made(form: Format, line: bytes) -> int:
    """How much a format makes of a line."""
    if not fits(form, line, levelled=False):
        return 0
    return 1 + (form.time_ns(line) is not None) + (form.level(line) is not None)


def joined(known: Owning, found: Owning, evidence: Evidence, order: Order) -> Owning:
    """One format of two: objects first, for they are told by their first byte, then what was found and what was
    known, which goes on to judge the lines of nobody."""
    old, judge = _parts(known), known.judge if isinstance(known, MixedFormat) else known
    new: list[Owning] = []
    for one in _parts(found):
        fellow = next((other for other in old if _alike(one, other)), None)
        if fellow is None:
            new.append(one)
            continue
        both = _both(fellow, one, evidence, order)
        old = [other for other in old if other is not fellow]
        judge = both if judge is fellow else judge
        new.append(both)
    parts = (*new, *old) if order is Order.FOUND else (*old, *new)
    parts = tuple(sorted(parts, key=lambda one: not isinstance(one, JsonFormat)))
    return parts[0] if len(parts) == 1 else MixedFormat(parts, judge, by_level=order is Order.LEVELLED)


def _parts(form: Owning) -> list[Owning]:
    return list(form.formats) if isinstance(form, MixedFormat) else [form]


def _alike(one: Owning, other: Owning) -> bool:
    """Whether two formats would claim the same lines, and can be made one."""
    if isinstance(one, JsonFormat) and isinstance(other, JsonFormat):
        return one.shape.spread == other.shape.spread
    if isinstance(one, WrappedFormat) and isinstance(other, WrappedFormat):
        return one.wrapper is other.wrapper
    return isinstance(one, DockerFormat) and isinstance(other, DockerFormat)


def _both(known: Owning, found: Owning, evidence: Evidence, order: Order) -> Owning:
    if isinstance(known, WrappedFormat) and isinstance(found, WrappedFormat):
        inner = joined(known.inner, found.inner, evidence.inside(known), order)
        return WrappedFormat(known.wrapper, inner, evidence.hints)
    if isinstance(known, DockerFormat) and isinstance(found, DockerFormat):
        inner = joined(known.inner, found.inner, evidence.inside(known), order)
        return DockerFormat(inner, evidence.hints)
    lines = [unmarked(line) for line in (*evidence.sample, *evidence.foreign)]
    rows = [(line, row) for line in lines if (row := read_object(line)) is not None]
    return JsonFormat(learn_shape(rows, spread=cast("JsonFormat", known).shape.spread), evidence.hints)


def _answers(form: Format, line: bytes) -> tuple[object, ...]:
    return form.starts(line), form.time_ns(line), form.level(line)
