"""Reads metrics pages: Prometheus text format 0.0.4 and OpenMetrics 1.0, only the families that are wanted.

Pages of one mesh repeat each other: what stands before the value of a line (name and labels) is parsed once and
remembered by its bytes, across pages. A broken line is named and left out; it does not spoil the page.
Sources: Prometheus exposition formats; OpenMetrics specification 1.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

from meshdiag.regexes import when_used

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_LINE = 65_536
"""Longest line read, in bytes."""
MAX_SAMPLES = 500_000
"""Most samples kept of one page."""
MAX_PROBLEMS = 10
"""Most problems named of one page; the rest is counted."""
MAX_REMEMBERED = 400_000
"""Most different line beginnings read, over all pages."""

OPENMETRICS = "application/openmetrics-text"
ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
"""The Accept header for a page."""

Sample = tuple[str, dict[str, str], float, float | None]
"""Name, labels (``__name__`` among them; shared, never to be changed), value, timestamp in seconds or None."""

_NAME = rb"[a-zA-Z_:][a-zA-Z0-9_:]*"
_QUOTED = rb'"(?:[^"\\\n]|\\.)*"'
_HEAD = re.compile(rb"[ \t]*(?P<name>" + _NAME + rb')?(?:[ \t]*(?P<labels>\{(?:[^"{}\n]|' + _QUOTED + rb")*\}))?")
_TAIL = re.compile(rb"[ \t]*(?P<value>[^\s#]+)(?:[ \t]+(?P<time>-?[0-9.eE+]+))?[ \t]*(?P<exemplar># *\{.*)?\r?$")
_LABEL = re.compile(
    rb"[ \t]*(?:(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*|(?P<quoted>" + _QUOTED + rb")[ \t]*(?P<equals>=?)[ \t]*)"
    rb"(?P<value>" + _QUOTED + rb")?[ \t]*(?P<comma>,|$)"
)
_NATIVE_VALUE = when_used(rb"[ \t]*\{(?:count|schema|sum):")
_TYPES = rb"counter|gauge|histogram|gaugehistogram|summary|info|stateset|unknown|untyped"
_ODD_TYPE = when_used(
    rb"^#[ \t]+TYPE[ \t]++(?:" + _QUOTED + rb"|[^\s\"]++)[ \t]++(?!(?:" + _TYPES + rb")[ \t\r]*$)[^\n]*$", re.MULTILINE
)
_ODD_LINE = when_used(
    rb"^(?:(?P<blank>[ \t]*)$|(?P<begin>[ \t]+)[^\n]+$|(?P<end>[^#\n][^\n]*[ \t])$"
    rb"|(?P<comment>#(?! (?:HELP|TYPE|UNIT) \S+ [^\n]*$| HELP \S+$| EOF$)[^\n]*)$)",
    re.MULTILINE,
)
_ODD = {
    "blank": "an empty line",
    "begin": "space at the beginning",
    "end": "space at the end",
    "comment": "neither HELP, TYPE, UNIT nor EOF",
}
TWICE = "stands twice"
"""The words about a sample that is there already: a problem that Prometheus does not refuse a page for."""
_FIRST_WORD = when_used(rb"(?:\A|\n)[ \t]*(" + _NAME + rb")")
_ESCAPE = when_used(r'\\([\\"n])')
_UNQUOTED = {"\\": "\\", '"': '"', "n": "\n"}


@dataclass(slots=True)
class Page:
    """What a page held: the wanted samples, and what was wrong with it, each with its line number."""

    samples: list[Sample] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    broken: int = 0
    """How many lines were left out."""

    def note(self, problem: str) -> None:
        """Count a broken line, and keep the first few."""
        self.broken += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)


_LEGACY = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
Head = tuple[str, dict[str, str]]


class Reader:
    """Reads pages and remembers their line beginnings. ``wanted``: names of the samples to keep (as they stand
    on the line, so with ``_bucket`` and its kin), None for all. ``heads``: the memory of line beginnings, to be
    shared between readers; labels of equal beginnings are then the same object."""

    def __init__(self, wanted: frozenset[str] | None = None, heads: dict[bytes, Head] | None = None) -> None:
        self.wanted = wanted
        self._heads: dict[bytes, Head] = {} if heads is None else heads
        self._find = None if wanted is None else _finder(wanted)

    def read(self, page: bytes, *, openmetrics: bool = False) -> Page:
        """The samples of a page. ``openmetrics`` says what the Content-Type said: it decides whether timestamps
        are seconds or milliseconds, and the page must end with ``# EOF`` then."""
        result = Page()
        if self._find is not None:
            lines: Iterable[tuple[bytes, bytes]] = self._find.findall(b"\n" + page)
        else:
            lines = (_split(line) for line in page.split(b"\n"))
        self._lines(lines, page, openmetrics, result)
        if self.wanted is None:
            _note_odd_lines(page, openmetrics, result)
        if self._find is None and self.wanted is not None:
            result.samples = [sample for sample in result.samples if sample[0] in self.wanted]
        if openmetrics and not page.rstrip().endswith(b"# EOF"):
            result.problems.append("the page does not end with # EOF, so it may have been cut short")
        return result

    def parse_line(self, line: bytes, *, openmetrics: bool) -> tuple[bytes, dict[str, str], float, float | None]:
        """What stands before the value, labels (the name among them), value and timestamp (seconds) of one sample.
        Raises ``ValueError`` that says what is wrong with the line, and shows it."""
        try:
            head, _name, labels, value, time = self._parse(line, openmetrics)
        except ValueError as error:
            raise ValueError(f"{error}: {_clip(line)}") from None
        assert labels is not None
        return head, labels, value, time

    def _lines(self, lines: Iterable[tuple[bytes, bytes]], page: bytes, openmetrics: bool, result: Page) -> None:
        """Take lines, each split into what stands before the value and the rest."""
        lines = list(lines)
        if (usual := self._usual(lines)) is not None:
            result.samples += usual
            return
        samples, heads = result.samples, self._heads
        seen: set[bytes] = set()
        for head, rest in lines:
            try:
                name, labels = heads[head]
                value = float(rest)
                if b"_" in rest or head in seen:
                    raise ValueError
            except (KeyError, ValueError):
                self._slowly(head, rest, page, openmetrics, result, seen)
                if len(samples) > MAX_SAMPLES:
                    result.note(f"more than {MAX_SAMPLES} samples; the rest is not read")
                    return
                continue
            seen.add(head)
            samples.append((name, labels, value, None))

    def _usual(self, lines: list[tuple[bytes, bytes]]) -> list[Sample] | None:
        """The samples of a page whose lines all begin as lines of other pages did, and end in a number each; None where
        a single one does not, or stands twice."""
        begins = [line[0] for line in lines]
        ends = [line[1] for line in lines]
        known = list(map(self._heads.get, begins))
        if None in known or len(lines) > MAX_SAMPLES or len(set(begins)) < len(begins) or b"_" in b"".join(ends):
            return None
        try:
            values = map(float, ends)
            return [(head[0], head[1], value, None) for head, value in zip(known, values, strict=True) if head]
        except ValueError:  # a timestamp, an exemplar, no number
            return None

    def _slowly(self, start: bytes, rest: bytes, whole: bytes, openmetrics: bool, page: Page, seen: set[bytes]) -> None:
        """A line that is not known yet, has a timestamp, or is broken."""
        line = start + rest
        if not line.strip() or line.lstrip().startswith(b"#"):
            return
        try:
            head, name, labels, value, time = self._parse(line, openmetrics)
        except ValueError as error:
            page.note(f"line {_line_number(whole, line)}: {error}: {_clip(line)}")
            return
        if labels is None:
            return
        known = self._heads.get(head)
        if known is None:
            if len(self._heads) >= MAX_REMEMBERED:
                page.note(f"more than {MAX_REMEMBERED} different series; the rest is not read")
                return
            known = self._heads[head] = (name, labels)
        if head in seen and time is None:
            page.note(f"line {_line_number(whole, line)}: {_clip(head)} {TWICE}; the first is kept")
            return
        seen.add(head)
        page.samples.append((known[0], known[1], value, time))

    def _parse(self, line: bytes, openmetrics: bool) -> tuple[bytes, str, dict[str, str] | None, float, float | None]:
        """Head, name, labels (None when the name is not wanted), value and time of a line, or ``ValueError``."""
        if len(line) > MAX_LINE:
            raise ValueError(f"longer than {MAX_LINE} bytes")
        found = _HEAD.match(line)
        if found is None or not found.end():
            raise ValueError("no metric name")
        tail = _TAIL.match(line, found.end())
        if b"{" in line and (_NATIVE_VALUE.match(line, found.end()) or _NATIVE_VALUE.match(found["labels"] or b"")):
            raise ValueError("a native histogram, which is not read")
        if openmetrics and line[found.end() : found.end() + 1] != b" ":
            raise ValueError("no space before the value")
        if tail is None or (found["labels"] is None and line[found.end() : found.end() + 1] not in b" \t"):
            raise ValueError("not a sample (name, labels, value)")
        name = (found["name"] or b"").decode("ascii")
        if name and self.wanted is not None and name not in self.wanted:
            return found[0], name, None, 0.0, None
        labels = _labels(found["labels"], name)
        name = labels["__name__"]
        value = _number(tail["value"])
        time = None
        if tail["time"] is not None:
            time = _number(tail["time"]) / (1.0 if openmetrics else 1000.0)
            if not isfinite(time):
                raise ValueError("the timestamp is not a number")
        if tail["exemplar"] is not None and not openmetrics:
            raise ValueError("an exemplar, which this format does not have")
        wanted = self.wanted is None or name in self.wanted
        return found[0], name, labels if wanted else None, value, time


def _note_odd_lines(page: bytes, openmetrics: bool, result: Page) -> None:
    """Note what Prometheus refuses in a page beside broken samples: types that there are not, and in OpenMetrics
    whatever is between the lines, or behind the end."""
    for found in _ODD_TYPE.finditer(page):
        result.note(f"line {_line_at(page, found.start())}: no type of metric: {_clip(found[0])}")
    if not openmetrics:
        return
    for found in _ODD_LINE.finditer(page):
        if found.start() == len(page) or result.broken > MAX_PROBLEMS:
            break
        what = _ODD[found.lastgroup or "blank"]
        result.note(f"line {_line_at(page, found.start())}: {what}: {_clip(found[0])}")
    end = page.find(b"\n# EOF\n") + 1
    if end and end + len(b"# EOF\n") < len(page):
        result.note(f"line {_line_at(page, end)}: something stands behind # EOF")


def _line_at(page: bytes, place: int) -> int:
    return page.count(b"\n", 0, place) + 1


def _split(line: bytes) -> tuple[bytes, bytes]:
    """A line in two: what stands before the value, and the rest."""
    head, space, value = line.rpartition(b" ")
    return (head, space + value) if space and value else (b"", line)


def _finder(wanted: frozenset[str]) -> re.Pattern[bytes] | None:
    """An expression that finds the wanted lines of a page and splits each behind its labels; None when names
    are wanted that must be quoted. Names are grouped by their first word, which makes it twice as fast."""
    if not all(_LEGACY.fullmatch(name) for name in wanted):
        return None
    groups: dict[str, list[str]] = {}
    for name in sorted(wanted, key=len, reverse=True):
        word, under, rest = name.partition("_")
        groups.setdefault(word, []).append(under + rest)
    names = "|".join(f"{word}(?:{'|'.join(rest)})" for word, rest in groups.items())
    return re.compile(rb"\n((?:" + (names or "(?!)").encode() + rb")(?:\{[^\n]*\})?)([ \t{][^\n]*)")


def _line_number(page: bytes, line: bytes) -> int:
    """Where a line stands in a page; looked up only for lines that are broken."""
    place = (b"\n" + page).find(b"\n" + line)
    return _line_at(page, max(place, 0))


def _number(text: bytes) -> float:
    if b"_" in text:
        raise ValueError(f"{text.decode('utf-8', 'replace')!r} is not a number")
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{_clip(text)} is not a number") from None


def _labels(block: bytes | None, name: str) -> dict[str, str]:
    """The labels of ``{…}``, the name among them; labels with an empty value count as absent."""
    labels: dict[str, str] = {"__name__": name} if name else {}
    place, inner = 0, block[1:-1] if block else b""
    while place < len(inner):
        found = _LABEL.match(inner, place)
        if found is None:
            if inner[place:].strip() in (b"", b","):
                break
            raise ValueError("broken labels")
        if found["name"] is None and not found["equals"]:  # the metric's own name, quoted
            if found["value"] is not None or name or "__name__" in labels:
                raise ValueError("broken labels")
            labels["__name__"] = _text(found["quoted"])
        else:
            if found["value"] is None:
                raise ValueError("a label without a value")
            key = found["name"].decode() if found["name"] else _text(found["quoted"])
            if key in labels:
                raise ValueError(f"the label {key!r} stands twice")
            labels[key] = _text(found["value"])
        place = found.end()
    if not labels.get("__name__"):
        raise ValueError("no metric name")
    return {key: value for key, value in labels.items() if value}


def _text(quoted: bytes) -> str:
    """A quoted string without its quotes and escapes. Bytes that are not UTF-8 are an error."""
    text = quoted[1:-1].decode("utf-8")
    return _ESCAPE.sub(lambda found: _UNQUOTED[found[1]], text) if "\\" in text else text


def _clip(line: bytes) -> str:
    """The beginning of a line, safe to show."""
    text = line[:80].decode("utf-8", "replace")
    shown = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return shown + ("…" if len(line) > 80 else "")


def sample_names(page: bytes) -> set[str]:
    """The names of all samples of a page, whether or not their lines can be read."""
    names = {found.decode("ascii") for found in set(_FIRST_WORD.findall(page))}
    if b'\n{"' in page or page.startswith(b'{"'):
        names |= {name for name, _, _, _ in Reader().read(page).samples}
    return names


def is_openmetrics(headers: Mapping[str, str]) -> bool:
    """Whether a page's Content-Type says OpenMetrics."""
    return headers.get("content-type", "").startswith(OPENMETRICS)
