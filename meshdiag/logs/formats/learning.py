"""Finds the header of lines that no known program wrote: where their time stands, how it is written, where the
level follows (or leads), and how it is spelled. What most lines of a sample agree on becomes the header."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from meshdiag.logs.formats.lines import bare
from meshdiag.logs.formats.text import Header, word_marks
from meshdiag.logs.levels import LETTERS, Style, spelled, style_of
from meshdiag.logs.timestamps import AMERICAN, COMPACT, EPOCH, SHAPES, TIME_OF_DAY, Reader
from meshdiag.regexes import when_used

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshdiag.logs.formats import Hints
    from meshdiag.logs.record import Level
    from meshdiag.logs.timestamps import Shape

_REACH = 250
"""How far into a line its time may begin."""
_PUNCTUATION = rb"[ \t\[(<{|\"'#*-]{0,8}"
_NUMBER = rb"(?:\d{1,7} {1,8})?"
"""A process number, which some write before the time."""
_SEPARATOR = rb"[ \t|,:;.=/\])>-]{0,8}+[\[(<{\"']{0,2}+ ?+"
_TOKEN = rb"(?>\[[^\]\n]{0,100}\]|\([^)\n]{0,100}\)|[^\s\[\]()|]{1,100})"
_GAP = rb"[ \t|,:;.=/\])>-]{0,8}+"
_QUALIFIER = rb"[A-Za-z_][\w-]{0,60}[.:]"
_TIMELIKE = when_used(rb"\d\d:\d\d|\d{6}")
"""Every time has one of these: the shapes themselves are dear to compile."""
_WORD = when_used(rb"([A-Za-z]{1,16})(?:[+-]?\d{1,2})?(?![A-Za-z0-9_])")
_LETTER = when_used(rb"([VDTINWEAFC])(?=[ /|\],]|: )")
_MOST_TOKENS = 10
_ENOUGH = 4
"""In fewer lines, a word some way behind the time must be in capitals or brackets to be a level."""
_ANY_STYLE = spelled(frozenset(Style))


class _Stamped(NamedTuple):
    """A line's time: its shape, what stands before it and what after."""

    shape: Shape
    before: bytes
    after: bytes


class _Slot(NamedTuple):
    """Where a level stands: ``tokens`` after the time, -1 before it; ``kind`` is word, qualified or letter."""

    tokens: int
    kind: str


@cache
def _anchored(shape: Shape) -> re.Pattern[bytes]:
    return re.compile(rb"(?P<before>" + _NUMBER + _PUNCTUATION + rb")(?<![\w.])" + shape.pattern)


@cache
def _inner(shape: Shape) -> re.Pattern[bytes]:
    return re.compile(rb"(?<![\w.:/-])" + shape.pattern)


def learn(lines: Sequence[bytes], hints: Hints, *, strict: bool = False) -> Header | None:
    """The header of most of these lines that have a time, None where fewer than two in a hundred have one.
    ``strict``: only times that begin the line and can be nothing else will do."""
    cleaned = [bare(line) for line in lines]
    stamped = _stamped(cleaned, hints, strict=strict)
    if not stamped or len(stamped) * 50 < len(lines):
        return None
    shape = stamped[0].shape
    prefix = _prefix([one.before for one in stamped])
    return _with_level(shape, prefix + shape.pattern, stamped)


def _stamped(lines: Sequence[bytes], hints: Hints, *, strict: bool) -> list[_Stamped]:
    """The lines that have a time of the commonest shape, at the start of the line or, if need be, further in."""
    best: list[_Stamped] = []
    if not any(_TIMELIKE.search(line, 0, _REACH) for line in lines):
        return best
    for shape in SHAPES:
        if strict and shape in (EPOCH, TIME_OF_DAY, COMPACT):
            continue
        found = _with_shape(lines, _anchored(shape), shape, hints)
        if len(found) > len(best):
            best = found
        if len(best) * 10 >= len(lines) * 9 and not (shape is AMERICAN and len(best) < len(lines)):
            return best
    if strict or len(best) * 2 >= len(lines):
        return best
    for shape in SHAPES:
        if not shape.dated:
            continue
        found = _with_shape(lines, _inner(shape), shape, hints)
        if len(found) > 2 * len(best):
            best = found
    return best


def _with_shape(lines: Sequence[bytes], pattern: re.Pattern[bytes], shape: Shape, hints: Hints) -> list[_Stamped]:
    reader = Reader(shape, hints)
    look = pattern.match if "before" in pattern.groupindex else pattern.search
    stamped = []
    for line in lines:
        found = look(line, 0, _REACH)
        if found is not None and reader.ns(*found.group("stamp", "frac", "tail")) is not None:
            stamped.append(_Stamped(shape, line[: found.start("stamp")], line[found.end() : _REACH * 2]))
    return stamped


def _prefix(befores: Sequence[bytes]) -> bytes:
    """A pattern of what stands before the time."""
    if not any(befores):
        return rb""
    if all(re.fullmatch(_PUNCTUATION, before) for before in befores):
        return _PUNCTUATION + rb"(?<![\w.])"
    if all(re.fullmatch(_NUMBER + _PUNCTUATION, before) for before in befores):
        return _NUMBER + _PUNCTUATION + rb"(?<![\w.])"
    return rb"[^\n]{1,200}?(?<![\w.:/-])"


def _with_level(shape: Shape, time: bytes, stamped: Sequence[_Stamped]) -> Header:
    """Add the place of the level to a header, if the lines have one."""
    slots: Counter[_Slot] = Counter()
    words: dict[_Slot, Counter[str]] = {}
    for one in stamped:
        for slot, word in _levels_in(one, few=len(stamped) < _ENOUGH):
            slots[slot] += 1
            words.setdefault(slot, Counter())[word] += 1
    chosen = _chosen(slots, len(stamped))
    name = f"text ({shape.name})"
    if chosen and chosen[0].kind == "letter":
        return _lettered(name, shape, time, chosen, [word for slot in chosen for word in words[slot]])
    styles = _styles(words[slot] for slot in chosen)
    chosen = chosen or [_Slot(0, "word")]  # capitals right behind the time are a level, also where the first comes late
    levels = {word.encode(): level for word, level in spelled(styles).items()}
    if chosen[0].tokens < 0:
        return Header(name, _leading(levels, time), shape, b"", levels, word_marks(styles))
    seen = {word for slot in chosen for word in words.get(slot, ())}
    further = not seen.isdisjoint((*_FURTHER, "LOG"))
    return Header(name, time, shape, _following(chosen, levels, further=further), levels, word_marks(styles))


def _levels_in(one: _Stamped, *, few: bool) -> Iterable[tuple[_Slot, str]]:
    """Every place of a line where a level may be: the first word, and the first letter."""
    place = _OPENING.match(one.before)
    lead = _WORD.match(one.before, place.end() if place else 0)
    if lead is not None and lead[1] in _ANY_BYTES:
        yield _Slot(-1, "word"), lead[1].decode()
    elif lead is not None and lead[1].decode() in LETTERS:
        yield _Slot(-1, "letter"), lead[1].decode()
    yield from _following_levels(one.after, few=few)


_FURTHER = ("DETAIL", "HINT", "QUERY", "CONTEXT", "STATEMENT", "LOCATION", "BACKTRACE")
"""PostgreSQL's words, in a level's place, for lines that say more about the record before (its manual, "Reporting
Errors Within the Server"; its ``send_message_to_server_log`` writes them together with it)."""
_ANY_BYTES = {word.encode() for word in (*_ANY_STYLE, *_FURTHER)}
"""Words that stand where a level does."""
_EDGE = when_used(_SEPARATOR)
_SKIPPED = when_used(_GAP + _TOKEN)
_QUALIFIED = when_used(_QUALIFIER + rb"([A-Za-z]{1,16})(?=[\]:])")
_OPENING = when_used(rb"[\[(<{\"' ]{0,3}")


def _following_levels(after: bytes, *, few: bool) -> Iterable[tuple[_Slot, str]]:
    place, letter = 0, False
    for tokens in range(_MOST_TOKENS + 1):
        edge = _EDGE.match(after, place)
        start = edge.end() if edge else place
        word = _WORD.match(after, start) if start or place else None
        if word is not None and word[1] in _ANY_BYTES:
            if few and tokens and not word[1].isupper() and after[start - 1 : start] not in (b"[", b"(", b"<"):
                return
            yield _Slot(tokens, "word"), word[1].decode()
            return
        qualified = _QUALIFIED.match(after, start)
        if qualified is not None and qualified[1] in _ANY_BYTES:
            yield _Slot(tokens, "qualified"), qualified[1].decode()
            return
        found = _LETTER.match(after, start) if start and not letter else None
        if found is not None:
            letter = True
            yield _Slot(tokens, "letter"), after[start - 1 : start + 2].decode("ascii", "replace")
        token = _SKIPPED.match(after, place)
        if token is None:
            return
        place = token.end()


def _chosen(slots: Counter[_Slot], stamped: int) -> list[_Slot]:
    """The places that hold the level: right behind the time, one line in ten tells; further on, most must."""
    for kind in ("word", "qualified", "letter"):
        there = {slot: count for slot, count in slots.items() if slot.kind == kind}
        near = sum(count for slot, count in there.items() if slot.tokens == 0)
        if kind != "letter" and near * 10 >= stamped and near * 2 >= sum(there.values()):
            return [_Slot(0, kind)]
        lead = there.get(_Slot(-1, kind), 0)
        if lead * 2 >= stamped and lead > near:
            return [_Slot(-1, kind)]
        common = [slot for slot, count in there.items() if slot.tokens >= 0 and count * 20 >= stamped]
        need = 9 if kind == "letter" else 5
        if common and sum(there[slot] for slot in common) * 10 >= stamped * need:
            return sorted(common, key=lambda slot: slot.tokens)
    return []


def _styles(words: Iterable[Counter[str]]) -> frozenset[Style]:
    """The styles of at least one word in a hundred, capitals where there are none. MySQL writes ``Note`` and ``ERROR``,
    the latter seldom, so that capitals go with words that begin with one."""
    styles: Counter[Style] = Counter()
    for counts in words:
        for word, count in counts.items():
            style = style_of(word)
            if style is not None:
                styles[style] += count
    found = {style for style, count in styles.items() if count * 100 >= styles.total()}
    return frozenset(found if found == {Style.LOWER} else found | {Style.UPPER})


def _alternatives(levels: Mapping[bytes, Level]) -> bytes:
    words = b"|".join(sorted(levels, reverse=True))  # ``WARNING`` before ``WARN``
    return rb"(?P<level>" + words + rb")(?:[+-]?\d{1,2})?(?![A-Za-z0-9_])"


def _following(slots: Sequence[_Slot], levels: Mapping[bytes, Level], *, further: bool = False) -> bytes:
    """The pattern between the time and the level, and the level. ``further``: or a word of a line that says more about
    the record before."""
    ways = []
    for slot in slots:
        skipped = (_GAP + _TOKEN) * slot.tokens
        if slot.tokens and slots[0] == slot and slot.kind != "qualified":
            skipped = (_GAP + _TOKEN) * (slot.tokens - 1) + _GAP + rb"(?P<component>" + _TOKEN + rb")"
        ways.append(skipped + _SEPARATOR)
    way = rb"(?:" + rb"|".join(ways) + rb")"
    if slots[0].kind == "qualified":
        way += rb"(?P<component>[A-Za-z_][\w-]{0,60})[.:]"
    level = _alternatives(levels)
    if further:
        level = rb"(?:" + level + rb"|(?P<further>" + b"|".join(map(str.encode, _FURTHER)) + rb")(?=:))"
    return rb"(?:" + way + level + rb")?"


def _leading(levels: Mapping[bytes, Level], time: bytes) -> bytes:
    """The pattern of a level at the start of the line, and the time some way behind it."""
    stamp = time[time.index(rb"(?P<stamp>") :]
    return rb"[\[(<{\"' ]{0,3}" + _alternatives(levels) + rb"[^\n]{0,80}?(?<![\w.:/-])" + stamp


def _lettered(name: str, shape: Shape, time: bytes, slots: Sequence[_Slot], seen: Sequence[str]) -> Header:
    """Levels of one capital letter, between the signs that the sample has before and after it."""
    levels = {letter.encode(): level for letter, level in LETTERS.items() if len(letter) == 1}
    letters = rb"(?P<level>[VDTINWEAFC])"
    if slots[0].tokens < 0:
        stamp = time[time.index(rb"(?P<stamp>") :]
        lead = rb"[\[(<{\"' ]{0,3}" + letters + rb"(?![A-Za-z0-9_])[^\n]{0,80}?(?<![\w.:/-])" + stamp
        return Header(name, lead, shape, b"", levels, None)
    befores, afters = (frozenset(text[place].encode() for text in seen) for place in (0, 2))
    before, after = (b"|".join(re.escape(sign) for sign in sorted(signs)) for signs in (befores, afters))
    ways = rb"|".join((_GAP + _TOKEN) * slot.tokens + _SEPARATOR for slot in slots)
    rest = rb"(?:" + ways + rb")(?<=" + before + rb")" + letters + rb"(?=" + after + rb")"
    marks: dict[Level, tuple[bytes, ...]] = {}
    for letter, level in levels.items():
        around = tuple(left + letter + right for left in sorted(befores) for right in sorted(afters))
        marks[level] = marks.get(level, ()) + around
    return Header(name, time, shape, rb"(?:" + rest + rb")?", levels, marks)
