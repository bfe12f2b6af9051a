"""Finds the format of a file by its first lines: each family says how many of them it understands.

The family that understands most is taken, a special one (CRI, syslog) over a general one that also would do. The
lines it does not own are looked at again, so that a file of several formats gets several, at most four.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.logs.formats.custom import CustomFormat
from meshdiag.logs.formats.jsonlines import JsonFormat, learn_shape
from meshdiag.logs.formats.jsonreading import read_object
from meshdiag.logs.formats.learning import learn
from meshdiag.logs.formats.lines import bare, continues
from meshdiag.logs.formats.logfmt import LEVEL, LogfmtFormat, first_value
from meshdiag.logs.formats.mixed import MixedFormat
from meshdiag.logs.formats.text import TextFormat
from meshdiag.logs.levels import style_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from meshdiag.logs.formats import Format, Hints
    from meshdiag.logs.formats.mixed import Owning

SAMPLE = 400
"""How many lines are looked at."""
_LINE = 16_384
"""A longer line is cut before it is looked at, JSON aside."""
_MOST = 4


def detect(lines: Sequence[bytes], hints: Hints, extra: Sequence[Format] = ()) -> Format:
    """The format of a file that begins with these lines (without their newlines). ``extra`` are the user's own, taken
    first when they know at least half of the lines that a record may begin with."""
    sample = [line for line in lines[: SAMPLE * 4] if line.strip(b"\r\n\t \0")][:SAMPLE]
    for one in extra:
        heads = [line for line in sample if not continues(line)]
        if heads and sum(map(one.starts, heads)) * 2 >= len(heads):
            return one.bound(hints) if isinstance(one, CustomFormat) else one
    found = _formats(sample, hints)
    return found[0] if len(found) == 1 else MixedFormat(found)


def _formats(sample: Sequence[bytes], hints: Hints) -> list[Owning]:
    """The formats of a sample, the commonest first; one that takes any line when there is none."""
    found: list[Owning] = []
    rest = list(sample)
    while rest and len(found) < _MOST:
        best = _best(rest, hints, first=not found)
        if best is None:
            break
        found.append(best)
        rest = [line for line in rest if not best.owns(line) and not continues(line)]
        if len(rest) * 50 < len(sample):
            break
    return found or [_plain(hints)]


def _best(lines: Sequence[bytes], hints: Hints, *, first: bool) -> Owning | None:
    """The format that understands most of these lines, None when none understands any."""
    best, most = None, 0
    for family in _FAMILIES:
        one = family(lines, hints)
        if one is None:
            continue
        count = sum(one.time_ns(line[:_LINE]) is not None for line in lines if one.owns(line))
        if count > most * 1.25:
            best, most = one, count
        if most * 10 >= len(lines) * 9:
            break
    return best


def _json(lines: Sequence[bytes], hints: Hints) -> Owning | None:
    objects: list[tuple[bytes, Mapping[str, Any]]] = []
    heads = [bare(line) for line in lines if bare(line)[:1] == b"{"]
    for line in heads:
        found = read_object(line)
        if found is not None:
            objects.append((line, found))
    if not heads:
        return None
    return JsonFormat(learn_shape(objects, spread=len(objects) * 2 < len(heads)), hints)


def _logfmt(lines: Sequence[bytes], hints: Hints) -> Owning | None:
    one = LogfmtFormat(hints)
    owned = [line for line in lines if one.owns(line)]
    if not owned:
        return None
    words = (first_value(bare(line), LEVEL) for line in owned)
    styles = frozenset(filter(None, (style_of(word.decode("ascii", "replace")) for word in words if word)))
    return LogfmtFormat(hints, styles) if styles else one


def _text(lines: Sequence[bytes], hints: Hints) -> Owning | None:
    header = learn(lines, hints)
    return None if header is None else TextFormat(header, hints)


_FAMILIES: tuple[Callable[[Sequence[bytes], Hints], Owning | None], ...] = (_json, _logfmt, _text)


def _plain(hints: Hints) -> Owning:
    from meshdiag.logs.formats.known import PLAIN

    return TextFormat(PLAIN, hints)
