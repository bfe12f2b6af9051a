"""Log records as lines for people: time, level, component, node, message, fields. All of it is hostile text.

On a terminal a line bears the time of day, and a line of its own tells a new date; elsewhere every line bears both.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshdiag.logs.record import NS, Level
from meshdiag.render.ansi import ALARM, BLUE, BOLD, CYAN, DIM, GREEN, MAGENTA, RED, YELLOW, marked, paint
from meshdiag.render.log_gaps import APART, Gaps
from meshdiag.render.safe import encodable, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from meshdiag.logs.record import Record

LEVEL_STYLES = {
    Level.TRACE: DIM,
    Level.DEBUG: DIM,
    Level.INFO: GREEN,
    Level.WARN: YELLOW,
    Level.ERROR: RED,
    Level.FATAL: ALARM,
}
NODE_STYLES = (BLUE, MAGENTA, CYAN, "94", "95", "96")
"""A node keeps its colour; red and yellow speak of levels alone."""
MESSAGE_LIMIT = 4_000
"""Characters of a line of a message; ``-o raw`` has the whole."""
FIELD_LIMIT = 200
MOST_FIELDS = 40
MOST_LINES = 200
"""Continuation lines of one record."""
DEEPEST = 4

SAID = frozenset(
    {"ts", "time", "timestamp", "@timestamp", "t", "level", "lvl", "severity", "log.level", "loglevel", "levelname",
     "msg", "message", "@version", "v"}
)  # fmt: skip
"""Fields that say what the columns say already."""


@dataclass(frozen=True, slots=True)
class Dress:
    """How lines look. ``dates``: every line bears its date. ``files``: every line names its file, by the short
    names in ``names``. ``encoding`` is what the stream can carry. ``spans`` finds what is to be marked in a text,
    where there is colour."""

    colour: bool = False
    utc: bool = False
    dates: bool = True
    files: bool = False
    encoding: str = "utf-8"
    spans: Callable[[str], Sequence[tuple[int, int]]] | None = None


class LogLines:
    """Writes records one after another; remembers the last second and date, which most lines share."""

    def __init__(self, dress: Dress, names: Mapping[str, str] | None = None) -> None:
        self._dress = dress
        self._names = names or {}
        self._second: int | None = None
        self._clock = ""
        self._date = ""
        self._offset = 0  # of the zone, in seconds
        self._shown_day: tuple[str, int] | None = None
        self._nodes: dict[str, str] = {}
        self._gaps = Gaps()

    def text(self, record: Record) -> str:
        """The line or lines of a record, with their line breaks."""
        head, *rest = self._message(record)
        parts = [self._moment(record), self._level(record.level)]
        if self._dress.files:
            parts.append(self._paint(self._safe(self._names.get(record.file, record.file)), DIM))
        parts += [self._who(record), head, self._fields(record)]
        lines = [" ".join(part for part in parts if part), *(f"    {line}" for line in rest)]
        apart = f"{self._paint(APART, DIM)}\n" if self._gaps.before(record) else ""
        return apart + self._new_date() + "".join(f"{line.rstrip()}\n" for line in lines)

    def _moment(self, record: Record) -> str:
        """Time of day (with the date where each line bears it); blanks where the record has no time."""
        if record.time_ns is None:
            return " " * (12 if not self._dress.dates else 24)
        second, rest = divmod(record.time_ns, NS)
        if second != self._second:
            self._second = second
            self._set_clock(second)
        clock = f"{self._clock}.{rest // 1_000_000:03d}"
        return self._paint(f"{self._date}{clock}" if self._dress.dates else clock, DIM)

    def _set_clock(self, second: int) -> None:
        try:
            parts = time.gmtime(second) if self._dress.utc else time.localtime(second)
        except (OverflowError, OSError, ValueError):
            self._clock, self._date, self._offset = "??:??:??", "????-??-?? ", 0
            return
        self._clock = time.strftime("%H:%M:%S", parts)
        self._date = time.strftime("%Y-%m-%d ", parts)
        self._offset = parts.tm_gmtoff or 0

    def _new_date(self) -> str:
        """On a terminal: the line that tells a new date, or that the clocks were changed."""
        if self._dress.dates or not self._date or (self._date, self._offset) == self._shown_day:
            return ""
        self._shown_day = (self._date, self._offset)
        zone = "UTC" if self._dress.utc else time.strftime("%z", time.localtime(self._second))
        return self._paint(f"-- {self._date}{zone} --", DIM) + "\n"

    def _level(self, level: Level | None) -> str:
        if level is None:
            return "     "
        return self._paint(f"{level.name:<5}", LEVEL_STYLES[level])

    def _who(self, record: Record) -> str:
        """Component and node."""
        parts = []
        if record.component:
            parts.append(self._paint(self._safe(record.component, FIELD_LIMIT), CYAN))
        if record.node:
            parts.append(self._paint(self._safe(record.node, FIELD_LIMIT), self._node_style(record.node)))
        return " ".join(parts)

    def _node_style(self, node: str) -> str:
        style = self._nodes.get(node)
        if style is None:
            if len(self._nodes) > 10_000:
                self._nodes.clear()
            style = self._nodes[node] = NODE_STYLES[sum(node.encode("utf-8", "replace")) % len(NODE_STYLES)]
        return style

    def _message(self, record: Record) -> list[str]:
        """The message's lines, the first of a grave record strong, of one that lies beside a wanted one dim."""
        lines = record.message.split("\n") if "\n" in record.message else [record.message]
        cut = len(lines) - MOST_LINES
        shown = [self._safe(line.rstrip("\r"), MESSAGE_LIMIT) for line in lines[:MOST_LINES]]
        if cut > 0:
            shown.append(f"... ({cut:,} more lines)")
        grave = record.level is not None and record.level >= Level.ERROR
        shown[0] = self._marked(shown[0], record, DIM if record.context else BOLD if grave else "")
        return [shown[0], *(self._marked(line, record) for line in shown[1:] if line.strip())]

    def _marked(self, text: str, record: Record, style: str = "") -> str:
        """Text with what was searched for in it marked; beside a wanted record nothing is."""
        if self._dress.spans is None or record.context or not self._dress.colour:
            return self._paint(text, style)
        return marked(text, self._dress.spans(text), style)

    def _fields(self, record: Record) -> str:
        """What else the record says: ``consensus.round=7 peer=b``."""
        if not record.fields:
            return ""
        said = {record.message, record.component, record.node}
        pairs: list[str] = []
        for name, value in _flat(record.fields):
            if name in SAID or (isinstance(value, str) and value in said):
                continue
            if len(pairs) == MOST_FIELDS:
                pairs.append("...")
                break
            pairs.append(f"{self._safe(name, FIELD_LIMIT)}={self._safe(shown_value(value), FIELD_LIMIT)}")
        return self._marked(" ".join(pairs), record, DIM)

    def _paint(self, text: str, style: str) -> str:
        return paint(text, style) if self._dress.colour and style else text

    def _safe(self, text: str, limit: int | None = None) -> str:
        if text.isascii() and text.isprintable() and (limit is None or len(text) <= limit):
            return text
        return encodable(one_line(text, limit), self._dress.encoding)


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """What to call each file on a line: its name alone, as much of its path before it as tells it from the others."""
    names = {path: path.rpartition("/")[2] or path for path in dict.fromkeys(paths)}
    for depth in range(2, 12):
        counts = Counter(names.values())
        doubled = [path for path, name in names.items() if counts[name] > 1]
        if not doubled:
            break
        names.update({path: "/".join(path.split("/")[-depth:]) for path in doubled})
    return names


def shown_value(value: Any) -> str:
    """A field's value as text; one that holds blanks in quotes."""
    if isinstance(value, str):
        return f'"{value}"' if not value or " " in value or '"' in value else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        import json

        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    try:
        return "null" if value is None else str(value)
    except ValueError:  # a number with thousands of digits
        return "..."


def _flat(fields: Mapping[str, Any], before: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Fields with nested objects taken apart: (``consensus.round``, 7)."""
    for key, value in fields.items():
        name = f"{before}{key}"
        if isinstance(value, dict) and value and depth < DEEPEST:
            yield from _flat(value, f"{name}.", depth + 1)
        else:
            yield name, value
