"""One JSON object a record: on one line (NDJSON), or spread over several when somebody printed it prettily.

Every answer comes from the parsed object: a level in a nested object or a message is none. Which keys hold the level,
and whether in words or numbers, is learned from the sample, which makes the literals that a prefilter needs few.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from meshdiag.logs.formats import jsonkeys
from meshdiag.logs.formats.jsonreading import field_test, quick_object, read_object, read_start
from meshdiag.logs.formats.lines import continues, text_of, unmarked
from meshdiag.logs.levels import (
    EVERY_STYLE,
    LETTERS,
    level_of_number,
    numbers_of,
    scale_of,
    stems,
    style_of,
    word_level,
)  # fmt: skip
from meshdiag.logs.record import NS, Record
from meshdiag.logs.timestamps import TextTimes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from meshdiag.logs.formats import Hints
    from meshdiag.logs.levels import (
        Scale,
        Style,
    )
    from meshdiag.logs.record import Level

_ESCAPED_LETTER = rb"\u00"
"""How every ASCII letter begins that JSON writes escaped."""
_BLANKS = (b" ", b"\t", b"\n", b"\r")


class Shape(NamedTuple):
    """What a sample's objects have in common. ``words``: styles of level words, empty when levels are numbers only;
    ``letters``: whether levels may be single letters; ``numbers``: keys whose level may be a number (or its digits),
    on ``scales``; ``gap``: what stands between such a key and its value."""

    times: tuple[str, ...] = ()
    levels: tuple[str, ...] = jsonkeys.LEVEL
    words: frozenset[Style] = EVERY_STYLE
    letters: bool = False
    numbers: tuple[str, ...] = ()
    scales: frozenset[Scale] = frozenset()
    gap: bytes = b":"
    library: str = ""
    spread: bool = False


class JsonFormat:
    """JSON objects of one shape."""

    def __init__(self, shape: Shape, hints: Hints) -> None:
        self.shape = shape
        what = "JSON over several lines" if shape.spread else "JSON"
        self.name = f"{what} ({shape.library})" if shape.library else what
        self.timed = True
        self._paths = shape.times + tuple(path for path in jsonkeys.TIME if path not in shape.times)
        self._times = TextTimes(hints)

    def owns(self, line: bytes) -> bool:
        """Whether a line begins an object."""
        return line[:1] == b"{" or (line[:1] in (b"\xef", b"\0") and unmarked(line)[:1] == b"{")

    def starts(self, line: bytes) -> bool:
        """An object starts a record, and so does text between objects that does not look like the inside of one."""
        return self.owns(line) or not (continues(line) or line[:1] in (b'"', b","))

    def parse(self, raw: bytes) -> Record:
        """Read a record. Text between objects is a message without time and level."""
        found = _object(raw)
        if found is None:
            return Record(raw, message=text_of(unmarked(raw).rstrip(b"\r")))
        return Record(
            raw,
            self._time(found),
            self._level(found),
            jsonkeys.first_text(found, jsonkeys.COMPONENT),
            jsonkeys.first_text(found, jsonkeys.NODE),
            jsonkeys.first_text(found, jsonkeys.MESSAGE),
            found,
        )

    def time_ns(self, line: bytes) -> int | None:
        """The time of the object on a line; None for part of one."""
        found = _object(line)
        return None if found is None else self._time(found)

    def level(self, line: bytes) -> Level | None:
        """The level of the object on a line."""
        found = _object(line)
        return None if found is None else self._level(found)

    def _time(self, record: Mapping[str, Any]) -> int | None:
        for path in self._paths:
            value = record.get(path)
            if value is not None:
                moment = self._moment(value)
                if moment is not None:
                    return moment
        for path in jsonkeys.other_times(record):
            moment = self._moment(record[path])
            if moment is not None:
                return moment
        return None

    def _moment(self, value: object) -> int | None:
        if not isinstance(value, dict):
            return self._times.ns(value)
        if "$date" in value:
            return self._times.ns(value["$date"])
        seconds = value.get("epochSecond", value.get("seconds"))
        nanos = value.get("nanoOfSecond", value.get("nanos", 0))
        if type(seconds) is not int or type(nanos) is not int or not (0 <= seconds < 10**10 and 0 <= nanos < NS):
            return None
        return seconds * NS + nanos

    def _level(self, record: Mapping[str, Any]) -> Level | None:
        for path in self.shape.levels:
            value = jsonkeys.value_at(record, path)
            if value is not None:
                level = self._level_of(record, path, value)
                if level is not None:
                    return level
        return None

    def _level_of(self, record: Mapping[str, Any], path: str, value: object) -> Level | None:
        shape = self.shape
        if isinstance(value, list):
            value = _level_tag(value)
        if isinstance(value, str):
            level = word_level(value, shape.words) if shape.words else None
            if level is None and shape.letters:
                level = LETTERS.get(value)
            if level is not None or path not in shape.numbers or not _is_number(value):
                return level
            value = int(value) if str(int(value)) == value else None
        if type(value) is not int or path not in shape.numbers:
            return None
        scale = jsonkeys.scale_for(record, path) or scale_of(value)
        return level_of_number(value, scale) if scale in shape.scales else None

    def level_literals(self, levels: frozenset[Level]) -> tuple[bytes, ...] | None:
        """The quoted beginnings of level words, the numbers behind their key; and escapes, which may hide either."""
        if self.shape.spread:
            return None
        found = {b'"' + stem.encode() for stem in stems(levels, self.shape.words)}
        if self.shape.letters:
            found |= {b'"' + letter.encode() + b'"' for letter, level in LETTERS.items() if level in levels}
        numbers = {number for scale in self.shape.scales for number in numbers_of(levels, scale)}
        for path in self.shape.numbers if numbers else ():
            found |= _number_marks(b'"' + path.encode() + b'"', self.shape.gap, numbers)
        return (*sorted(found), _ESCAPED_LETTER) if len(found) < 200 else None

    def start_width(self, line: bytes) -> int | None:
        """The first byte decides."""
        return 1 if line[:1] == b"{" else None

    def level_width(self, _line: bytes) -> int | None:
        """The level may stand anywhere."""
        return None

    def fields(self, raw: bytes) -> Mapping[str, Any]:
        """The object itself."""
        found = quick_object(raw)
        return (_object(raw) or {}) if found is None else found

    def field_test(self, key: str, exact: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
        """By the object's keys alone."""
        return field_test(key, exact)

    def field_words(self, name: str) -> tuple[bytes, ...]:
        """The quoted keys that the path may begin with; and escapes, which may hide them."""
        keys = _keys_on(name)
        return (*(b'"%s"' % key.encode() for key in sorted(keys)), _ESCAPED_LETTER) if keys else ()

    def field_pattern(self, name: str) -> bytes | None:
        """The key that the path begins with, or the path as one key; and escapes, which may hide either."""
        keys = _keys_on(name)
        if not keys:
            return None
        return rb'"(?:%s)"[ \t\r\n]*:|\\u00' % "|".join(map(re.escape, sorted(keys))).encode()


def _keys_on(path: str) -> set[str]:
    """The keys of which an object has one that has something at a path; none for a path that would need escapes."""
    return {path, path.partition(".")[0]} if re.fullmatch(r"[A-Za-z0-9_.-]{1,200}", path) else set()


def _object(raw: bytes) -> dict[str, Any] | None:
    """The object of a record: the whole, or its first line when other lines follow; of a broken one its start."""
    if raw[:1] != b"{":
        raw = unmarked(raw)
        if raw[:1] != b"{":
            return None
    found = read_object(raw)
    if found is None and b"\n" in raw:
        found = read_object(raw[: raw.index(b"\n")])
    return read_start(raw) if found is None else found


def _number_marks(key: bytes, gap: bytes, numbers: Iterable[int]) -> set[bytes]:
    """Strings of which one stands behind a key in every object whose value there is one of these numbers: the
    number after the usual gap, and every way in which the gap may be another."""
    wanted = set(numbers)
    for ten in range(1, 10):
        if wanted.issuperset(range(ten * 10, ten * 10 + 10)):
            wanted = {number for number in wanted if str(number)[0] != str(ten)} | {ten}
    values = {quote + b"%d" % number for number in wanted for quote in (b"", b'"')}
    colon = gap.index(b":")
    found = {key + gap + value for value in values}
    for place in range(len(gap) + 1):
        ways = [*_BLANKS, b":"] if place <= colon else [*_BLANKS]
        found |= {key + gap[:place] + way for way in ways if way != gap[place : place + 1]}
        if colon < place < len(gap):
            found |= {key + gap[:place] + value for value in values}
    return found


def learn_shape(objects: Sequence[tuple[bytes, Mapping[str, Any]]], *, spread: bool = False) -> Shape:
    """What these objects (raw, parsed) have in common."""
    words: Counter[Style] = Counter()
    levels: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    scales: set[Scale] = set()
    letters = 0
    for _, record in objects:
        for path in jsonkeys.level_paths(tuple(record)):
            value = jsonkeys.value_at(record, path)
            if isinstance(value, list):
                value = _level_tag(value)
            style = style_of(value.rstrip()) if isinstance(value, str) else None
            if style is not None:
                words[style] += 1
            elif isinstance(value, str) and value in LETTERS:
                letters += 1
            elif _is_number(value) and "." not in path:
                numbers[path] += 1
                scales.add(jsonkeys.scale_for(record, path) or scale_of(int(value)))
            elif not isinstance(value, str):
                continue
            levels[path] += 1
    known = tuple(path for path in jsonkeys.LEVEL if path in levels)
    times = [next((path for path in jsonkeys.TIME if path in record), None) for _, record in objects]
    common = Counter(path for path in times if path is not None).most_common(1)
    numeric = tuple(path for path in known if path in numbers)
    return Shape(
        times=tuple(path for path, _ in common),
        levels=known or jsonkeys.LEVEL,
        words=frozenset(words) or (EVERY_STYLE if not numbers and not letters else frozenset()),
        letters=letters > 0,
        numbers=numeric,
        scales=frozenset(scales),
        gap=_gap(objects, numeric),
        library=jsonkeys.library(objects[0][1]) if objects else "",
        spread=spread,
    )


def _level_tag(values: Sequence[object]) -> str | None:
    """The first of a record's tags that is a level word."""
    words = (value for value in values[:16] if isinstance(value, str))
    return next((word for word in words if style_of(word) is not None), None)


def _is_number(value: object) -> bool:
    return type(value) is int or (isinstance(value, str) and re.fullmatch("[0-9]{1,6}", value) is not None)


def _gap(objects: Sequence[tuple[bytes, Mapping[str, Any]]], paths: Sequence[str]) -> bytes:
    """What stands between the key of a numeric level and its value in the first object that has one."""
    for raw, _ in objects:
        for path in paths:
            key = b'"' + path.encode() + b'"'
            start = raw.find(key)
            if start < 0:
                continue
            after = raw[start + len(key) : start + len(key) + 8]
            gap = after[: len(after) - len(after.lstrip(b" :"))]
            if gap.count(b":") == 1:
                return gap
    return b":"
