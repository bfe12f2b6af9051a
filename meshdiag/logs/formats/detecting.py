"""Finds the format of a file by its first lines: each family says how many of them it understands.

The family that understands most is taken, a special one (CRI, syslog) over a general one that also would do. The
lines it does not own are looked at again, so that a file of several formats gets several, at most four.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

from meshdiag.logs.formats.custom import CustomFormat
from meshdiag.logs.formats.jsonlines import JsonFormat, Shape, learn_shape
from meshdiag.logs.formats.jsonreading import read_object, read_start
from meshdiag.logs.formats.known import KNOWN, PLAIN, leveled, worded
from meshdiag.logs.formats.learning import learn
from meshdiag.logs.formats.lines import HEAD, bare, continues, unmarked
from meshdiag.logs.formats.logfmt import LEVEL, NUMBER, LogfmtFormat, first_value
from meshdiag.logs.formats.mixed import MixedFormat
from meshdiag.logs.formats.text import TextFormat
from meshdiag.logs.formats.wrapped import WRAPPERS, DockerFormat, WrappedFormat
from meshdiag.logs.levels import EVERY_STYLE, scale_of, style_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from meshdiag.logs.formats import Format, Hints
    from meshdiag.logs.formats.mixed import Owning

SAMPLE = 256
"""How many lines are looked at."""
_LINE = 16_384
"""A longer line is cut before it is looked at, JSON aside."""
_FEW = 32
"""So many of the lines, or a few more, show what is out of the question."""
_MOST = 4
_LATE = 8
"""Objects behind the sample that are looked at."""


def detect(lines: Sequence[bytes], hints: Hints, extra: Sequence[Format] = ()) -> Format:
    """The format of a file that begins with these lines (without their newlines). ``extra`` are the user's own, taken
    first when they know at least half of the lines that a record may begin with."""
    sample = [line for line in lines[: SAMPLE * 4] if line.strip(b"\r\n\t \0")][:SAMPLE]
    heads = _heads(sample)
    # Objects among lines of text are few, and may come late.
    heads += [line for line in lines[SAMPLE:] if line.startswith(b'{"')][:_LATE] if len(sample) == SAMPLE else []
    for one in extra:
        if heads and sum(map(one.starts, heads)) * 2 >= len(heads):
            return one.bound(hints) if isinstance(one, CustomFormat) else one
    return _spread(sample, heads, hints) or _joined(_formats(heads, hints))


def _heads(lines: Sequence[bytes]) -> list[bytes]:
    """The lines that a record may begin with; all of them when there are none."""
    return [line for line in lines if not continues(line)] or list(lines)


def _spread(sample: Sequence[bytes], heads: Sequence[bytes], hints: Hints) -> Owning | None:
    """JSON printed over several lines, if that is what most of the sample is."""
    opened = [line for line in heads if unmarked(line)[:1] == b"{"]
    if not opened or len(opened) * 3 < len(heads) or len(opened) >= len(sample):
        return None
    if sum(read_object(unmarked(line)) is not None for line in opened) * 2 >= len(opened):
        return None
    one, records = JsonFormat(Shape(), hints), list[list[bytes]]()
    for line in sample:
        if one.starts(line) or not records:
            records.append([])
        records[-1].append(line)
    whole = [unmarked(b"\n".join(record)) for record in records]
    objects = [(raw, found) for raw in whole if raw[:1] == b"{" and (found := read_object(raw)) is not None]
    return JsonFormat(learn_shape(objects, spread=True), hints) if len(objects) * 2 >= len(opened) else None


def _formats(sample: Sequence[bytes], hints: Hints, *, inside: bool = False, many: bool = False) -> list[Owning]:
    """The formats of a sample, the commonest first; one that takes any line when there is none. ``inside``: there is
    something around these lines already; ``many``: they come from several programs."""
    found: list[Owning] = []
    rest = list(sample)
    while rest and len(found) < _MOST:
        best = _best(rest, hints, inside=inside, further=bool(found))
        if best is None or (
            found and isinstance(found[0] if not many else best, TextFormat) and _few(best, rest, sample)
        ):
            break
        found.append(best)
        rest = [line for line in rest if not best.owns(line)]
        if len(rest) * 50 < len(sample) and not any(unmarked(line)[:1] == b"{" for line in rest):
            break
    found = found or _untimed(rest, hints)
    if rest and (many or not (found and isinstance(found[0], TextFormat))):
        found += _leveled(rest, hints)
    return found or [TextFormat(PLAIN, hints)]


def _untimed(lines: Sequence[bytes], hints: Hints) -> list[Owning]:
    """Lines that state a level and no time, as programs write them whose lines others stamp: objects, pairs, or a word
    in capitals at the beginning, when at least half of the lines are so."""
    families: tuple[Iterable[JsonFormat | LogfmtFormat | TextFormat], ...] = (
        _json(lines, hints),
        _logfmt(lines, hints),
        (TextFormat(worded(), hints),),
    )
    for one in chain.from_iterable(families):
        if sum(one.level(line[:_LINE]) is not None for line in lines if one.owns(line)) * 2 >= len(lines):
            one.timed = False
            return [one]
    return []


def _few(one: Owning, rest: Sequence[bytes], sample: Sequence[bytes]) -> bool:
    """Whether a further format owns too few lines to be one: lines that continue a text may look like anything, but an
    object with a time and a level of its own does by intention."""
    if isinstance(one, JsonFormat) and any(one.time_ns(line) and one.level(line) is not None for line in rest):
        return False
    return sum(map(one.owns, rest)) < max(3, len(sample) // 20)


def _best(lines: Sequence[bytes], hints: Hints, *, inside: bool, further: bool) -> Owning | None:
    """The format that understands most of these lines, None when none understands any. ``further``: these lines were
    left over by another."""
    structured: list[Owning] = []
    best, most = None, 0.0
    for family in (*(() if inside else _AROUND), *_FAMILIES, _strict_text if further else _text):
        for one in family(lines, hints):
            structured += [one] if family in (_json, _logfmt) else []
            others = _unclaimed(lines, structured) if isinstance(one, TextFormat) else lines
            count = sum(_understood(one, line) for line in others)
            if count > most * 1.25:
                best, most = one, count
        if most * 10 >= len(lines) * (5 if family is _json else 9):  # nothing else understands an object
            break
    return best


def _unclaimed(lines: Sequence[bytes], structured: Sequence[Owning]) -> list[bytes]:
    """The lines that are no objects or pairs: a time can be found in those too, but says less."""
    return [line for line in lines if not any(one.owns(line) for one in structured)]


def _understood(one: Owning, line: bytes) -> bool:
    """Whether a line is a format's, with a time or as the continuation of another."""
    return one.owns(line) and (one.time_ns(line[:_LINE]) is not None or not one.starts(line))


def _docker(lines: Sequence[bytes], hints: Hints) -> Iterator[Owning]:
    """Docker's JSON files, by the format inside."""
    if not any(unmarked(line)[:7] in (b'{"log":', b'{"strea') for line in lines):
        return
    inner = [found[1] for found in map(DockerFormat.unwrap, lines) if found is not None]
    if inner:
        yield DockerFormat(_joined(_formats(_heads(inner), hints, inside=True)), hints)


def _wrapped(lines: Sequence[bytes], hints: Hints) -> Iterator[Owning]:
    """Prefixes before lines, by the format inside."""
    cleaned = [bare(line) for line in lines]
    begins = [line[:HEAD] for line in cleaned]
    for wrapper in WRAPPERS:
        likely = re.compile(wrapper.likely).match
        if not _mostly(likely, begins):
            continue
        match = re.compile(wrapper.pattern).match
        inner = [line[found.end() :] for line in cleaned if (found := match(line, 0, HEAD)) is not None]
        if len(inner) * 2 < len(lines):
            continue
        formats = _formats(_heads([line for line in inner if line.strip()]), hints, inside=True, many=wrapper.many)
        if not wrapper.needs or formats[0].name.startswith(wrapper.needs):
            yield WrappedFormat(wrapper, _joined(formats), hints)


def _mostly(likely: Callable[[bytes], object], lines: Sequence[bytes]) -> bool:
    """Whether at least half of some lines are so. A few are asked first: most that could be is out of the question."""
    return any(map(likely, lines[:: len(lines) // _FEW | 1])) and sum(map(bool, map(likely, lines))) * 2 >= len(lines)


def _json(lines: Sequence[bytes], hints: Hints) -> Iterator[JsonFormat]:
    """Objects, one a line."""
    heads = [unmarked(line) for line in lines if unmarked(line)[:1] == b"{"]
    objects = [(line, found) for line in heads if (found := read_object(line) or read_start(line))]
    if heads:
        yield JsonFormat(learn_shape(objects), hints)


def _known(lines: Sequence[bytes], hints: Hints) -> Iterator[Owning]:
    """Headers that need no learning."""
    cleaned = [bare(line) for line in lines]
    for known in KNOWN:
        if _mostly(known.likely, cleaned):
            yield TextFormat(known.header, hints)


def _logfmt(lines: Sequence[bytes], hints: Hints) -> Iterator[LogfmtFormat]:
    """Pairs, with the styles of their levels."""
    one = LogfmtFormat(hints)
    owned = [line for line in lines if one.owns(line)]
    if owned:
        found = (first_value(bare(line), LEVEL) for line in owned)
        words = [word.decode("ascii", "replace") for word in found if word]
        styles = frozenset(filter(None, map(style_of, words)))
        numbers = [int(word) for word in words if NUMBER.fullmatch(word)]
        yield LogfmtFormat(hints, styles or EVERY_STYLE, scale_of(max(numbers)) if numbers else None)


def _text(lines: Sequence[bytes], hints: Hints) -> Iterator[Owning]:
    """Whatever has a time."""
    header = learn(lines, hints)
    if header is not None:
        yield TextFormat(header, hints)


def _strict_text(lines: Sequence[bytes], hints: Hints) -> Iterator[Owning]:
    """What begins with a time beyond doubt."""
    header = learn(lines, hints, strict=True)
    if header is not None:
        yield TextFormat(header, hints)


def _leveled(lines: Sequence[bytes], hints: Hints) -> list[Owning]:
    """Lines that begin with a level and have no time, if there are any."""
    one = TextFormat(leveled(EVERY_STYLE), hints)
    return [one] if any(one.owns(line) for line in lines) else []


_AROUND: tuple[Callable[[Sequence[bytes], Hints], Iterator[Owning]], ...] = (_docker, _wrapped)
_FAMILIES: tuple[Callable[[Sequence[bytes], Hints], Iterator[Owning]], ...] = (_json, _known, _logfmt)


def _joined(formats: Sequence[Owning]) -> Owning:
    return formats[0] if len(formats) == 1 else MixedFormat(formats)
