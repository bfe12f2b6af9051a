"""logfmt: ``time=… level=info msg="…" key=value``, as logrus, slog, go-kit, Grafana and Heroku write it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from meshdiag.logs.formats.lines import ESCAPE, bare, continues, text_of
from meshdiag.logs.levels import EVERY_STYLE, LETTERS, level_of_number, numbers_of, stems, word_level
from meshdiag.logs.record import Record
from meshdiag.logs.timestamps import TextTimes
from meshdiag.regexes import when_used

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshdiag.logs.formats import Hints
    from meshdiag.logs.levels import Scale, Style
    from meshdiag.logs.record import Level

TIME = frozenset(("time", "ts", "t", "timestamp", "@timestamp", "datetime", "date"))
LEVEL = frozenset(("level", "lvl", "severity", "loglevel", "log_level", "log.level"))
_COMPONENT = ("component", "logger", "subsystem", "module", "source", "service", "app", "caller")
_NODE = ("node", "node_id", "node_name", "host", "hostname", "instance", "pod")
_MESSAGE = ("msg", "message", "event", "err", "error")
_PAIR = when_used(rb'([A-Za-z_@][\w.@/-]{0,99})=("(?:[^"\\]|\\.)*+"?+|[^\s"]*+)|[^\s]++', re.DOTALL)
NUMBER = when_used(r"[1-9][0-9]{0,5}|0")
"""A level that is a number."""
_LOOK = 2048
"""Bytes in which time and level are looked for."""
_NUMBER = when_used(r"-?(?:\d{1,17}|\d{1,15}\.\d{1,15})\Z")


class LogfmtFormat:
    """Lines of pairs. ``styles``: how the sample spells levels; ``scale``: what its levels mean that are numbers."""

    name = "logfmt"
    timed = True

    def __init__(self, hints: Hints, styles: frozenset[Style] = EVERY_STYLE, scale: Scale | None = None) -> None:
        self._styles = styles
        self._scale = scale
        self._times = TextTimes(hints)

    def owns(self, line: bytes) -> bool:
        """Whether a line begins with pairs, a time or a level among the first eight."""
        return self._owned(_head(line))

    @staticmethod
    def _owned(cleaned: bytes) -> bool:
        first = _PAIR.match(cleaned, 0, _LOOK)
        if first is None or first[1] is None:
            return False
        for count, (key, _) in enumerate(_pairs(cleaned)):
            if key in TIME or key in LEVEL:
                return True
            if count >= 8:
                break
        return False

    def starts(self, line: bytes) -> bool:
        """Pairs start a record, and so does text between them that does not look like the inside of one."""
        return self.owns(line) or not continues(line)

    def time_ns(self, line: bytes) -> int | None:
        """The first pair whose key is one of a time's."""
        line = _head(line)
        value = first_value(line, TIME) if self._owned(line) else None
        return None if value is None else self._times.text_ns(value)

    def level(self, line: bytes) -> Level | None:
        """The first pair whose key is one of a level's."""
        line = _head(line)
        value = first_value(line, LEVEL) if self._owned(line) else None
        return None if value is None else self._level(value)

    def _level(self, value: bytes) -> Level | None:
        text = value.decode("ascii", "replace")
        if self._scale is not None and NUMBER.fullmatch(text):
            return level_of_number(int(text), self._scale)
        level = word_level(text, self._styles)
        return LETTERS.get(text) if level is None and len(text) == 1 else level

    def parse(self, raw: bytes) -> Record:
        """Read a record; lines that continue it belong to its message."""
        if not self.owns(raw):
            return Record(raw, message=text_of(bare(raw).rstrip(b"\r")))
        line, newline, more = bare(raw).partition(b"\n")
        told: dict[str, bytes] = {}
        for key, value in _pairs(line, len(line)):
            told.setdefault(key, value)
        message = _text(told, _MESSAGE)
        return Record(
            raw,
            self.time_ns(line),
            self.level(line),
            _text(told, _COMPONENT),
            _text(told, _NODE),
            message + text_of(newline + more) if message else text_of(line.rstrip(b"\r") + newline + more),
            {key: _value(value) for key, value in told.items()},
        )

    def level_literals(self, levels: frozenset[Level]) -> tuple[bytes, ...] | None:
        """The words behind an equals sign, quoted or not."""
        words = stems(levels, self._styles) + tuple(letter for letter, level in LETTERS.items() if level in levels)
        if self._scale is not None:
            words += tuple(map(str, numbers_of(levels, self._scale)))
        found = [sign + word.encode() for word in words for sign in (b"=", b'="')]
        return (*found, ESCAPE)

    def start_width(self, _line: bytes) -> int | None:
        """The pair that tells may stand anywhere."""
        return None

    def level_width(self, _line: bytes) -> int | None:
        """The level may stand anywhere."""
        return None


def _head(line: bytes) -> bytes:
    """As much of a record as tells its time and level: its first line, bounded."""
    return bare(line[:_LOOK].partition(b"\n")[0])


def _pairs(line: bytes, end: int = _LOOK) -> Iterator[tuple[str, bytes]]:
    """Keys and values of a line, quotes taken off; bare words between them are passed over."""
    for found in _PAIR.finditer(line, 0, end):
        if found[1] is not None:
            value = found[2]
            yield found[1].decode("ascii"), value[1:-1] if value[:1] == b'"' and value[-1:] == b'"' else value


def first_value(line: bytes, keys: frozenset[str]) -> bytes | None:
    return next((value for key, value in _pairs(line) if key in keys), None)


def _value(raw: bytes) -> Any:
    """A pair's value: a number, a truth value, or text with its escapes resolved."""
    text = text_of(raw)
    if _NUMBER.match(text):
        return float(text) if "." in text else int(text)
    if text in ("true", "false"):
        return text == "true"
    return _unescaped(text)


def _unescaped(text: str) -> str:
    """A quoted value's escapes resolved, which are JSON's with Go's few more; as it stands where they make no sense."""
    if "\\" not in text:
        return text
    import json

    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text


def _text(told: dict[str, bytes], keys: tuple[str, ...]) -> str:
    """The first of some keys that says anything, as it was written: ``msg=00`` is no number."""
    return next((_unescaped(text_of(told[key])) for key in keys if told.get(key)), "")
