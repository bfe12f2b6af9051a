"""Headers that need no learning, because a document or a program fixes them: syslog (RFC 3164 and 5424, and
rsyslog's ISO variant), access logs (Common Log Format), glog and klog, Redis; and lines that begin with a level."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from meshdiag.logs.formats.text import Header, word_marks
from meshdiag.logs.levels import EVERY_STYLE, LETTERS, Scale, Style, level_of_number, spelled
from meshdiag.logs.record import Level
from meshdiag.logs.timestamps import DAY_FIRST, GLOG, GLOG_YEAR, ISO, MONTH_YEAR, NO_YEAR
from meshdiag.regexes import when_used

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshdiag.logs.timestamps import Shape

_PRI = {
    b"%d" % number: level
    for number in range(192)
    if (level := level_of_number(number & 7, Scale.SYSLOG)) is not None
}  # fmt: skip
_SHORT = {
    b"Em": Level.FATAL, b"Al": Level.FATAL, b"Cr": Level.FATAL, b"Er": Level.ERROR, b"Wa": Level.WARN,
    b"No": Level.INFO, b"In": Level.INFO, b"Db": Level.DEBUG,
}  # fmt: skip
_ALONE = rb"(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL)"
"""Words that nothing need set apart: no sentence begins with one in capitals (``ALERT exited abnormally`` does)."""
_HOST = rb" (?P<node>[^\s:\[\]()]{1,255}) "
_APP = rb"(?:(?P<component>[A-Za-z_/(][^\[\n:]{0,80}?)(?:\[\d{1,10}\])?(?: \([^)\n]{0,120}\))?: ?)?"


class Known(NamedTuple):
    """A header, and a test that costs next to nothing and fails on most other lines."""

    header: Header
    likely: Callable[[bytes], bool]


def _pri_marks(before: bytes, after: bytes) -> Mapping[Level, tuple[bytes, ...]]:
    return {
        level: tuple(before + number + after for number, meant in _PRI.items() if meant is level) for level in Level
    }


def _bsd(name: str, shape: Shape, *, pri: bool) -> Header:
    """Syslog's older form. Where the priority is not written (in most files), a level is what a message begins with and
    a colon or brackets set apart, as ``error: …`` of OpenSSH, or one of the capitals that programs' own loggers write
    (``_ALONE``), also behind a time of their own; a word of the sentence is none."""
    if pri:
        time = rb"<(?P<level>\d{1,3})>" + shape.pattern
        rest = rb"(?:" + _HOST + _APP + rb")?"
        return Header(name, time, shape, rest, _PRI, _pri_marks(b"<", b">"), qualified=False)
    levels = _level_words(EVERY_STYLE)
    words = b"|".join(sorted(levels, reverse=True))
    number = rb"(?:\[ {0,12}[\d.-]{1,20}\] {1,2})?"  # the kernel's clock, PostgreSQL's count
    own = rb"(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S{0,16} {1,2})?"
    word = rb"(?P<open>[\[<(])?(?P<level>" + words + rb")(?(alone)|(?(open)[\]>)]:?|:))(?=\s|\Z)"
    stated = rb"(?:" + number + own + rb"(?P<alone>(?=" + _ALONE + rb"\s))?" + word + rb")?"
    rest = rb"(?:" + _HOST + _APP + stated + rb")?"
    return Header(name, shape.pattern, shape, rest, levels, word_marks(EVERY_STYLE), qualified=False)


def _level_words(styles: frozenset[Style]) -> Mapping[bytes, Level]:
    return {word.encode(): level for word, level in spelled(styles).items()}


_SYSLOG_5424 = Header(
    "syslog (RFC 5424)",
    rb"<(?P<level>\d{1,3})>[1-9]\d? " + ISO.pattern,
    ISO,
    rb"(?: (?P<node>\S{1,255}) (?P<component>\S{1,48}) \S{1,128} \S{1,32} (?:-|(?:\[(?:[^\]\\]|\\.){0,300}\]){1,9})"
    rb" ?(?:\xef\xbb\xbf)?)?",
    _PRI,
    _pri_marks(b"<", b">"),
    qualified=False,
)
_ACCESS = Header(
    "access log",
    rb"(?:(?P<client>[^\s\[]{1,256}) [^\[\n]{0,200})?\[" + DAY_FIRST.pattern + rb"\] (?=\")",
    DAY_FIRST,
    rb"(?:\"(?P<method>[A-Z]{1,20}) (?P<path>[^\s\"]{0,300})[^\"\n]{0,200}\""
    rb" (?P<status>\d{3})(?: (?P<bytes>\d{1,18}|-))?(?![^\s]))?",
    fields=("client", "method", "path", "status", "bytes"),
    qualified=False,
)
_REDIS = Header(
    "Redis",
    rb"\d{1,10}:[XCSM] " + DAY_FIRST.pattern,
    DAY_FIRST,
    rb"(?: (?P<level>[.*#-]) )?",
    {b".": Level.DEBUG, b"-": Level.DEBUG, b"*": Level.INFO, b"#": Level.WARN},
    {Level.DEBUG: (b" . ", b" - "), Level.INFO: (b" * ",), Level.WARN: (b" # ",)},
    qualified=False,
)
_SEVERITIES = Header(
    "syslog (VMware)",
    ISO.pattern + rb" (?P<level>Em|Al|Cr|Er|Wa|No|In|Db)\(\d{1,3}\)",
    ISO,
    rb"(?:(?:\[[^\]\n]{0,20}\])? (?P<component>[\w./-]{1,80})(?:\[\d{1,12}\])?:? )?",
    _SHORT,
    {level: tuple(word + b"(" for word, meant in _SHORT.items() if meant is level) for level in Level},
    qualified=False,
)


def _two_lines() -> Header:
    """java.util.logging's default: the level begins the second line of a record."""
    styles = frozenset({Style.UPPER})
    levels = _level_words(styles)
    words = b"|".join(sorted(levels, reverse=True))
    rest = rb"(?: (?P<component>[\w.$]{1,120})[^\n]{0,120}\r?\n(?P<level>" + words + rb"): )?"
    return Header(
        "java.util.logging", MONTH_YEAR.pattern, MONTH_YEAR, rest, levels, word_marks(styles), qualified=False
    )


def _glog(shape: Shape) -> Header:
    letters = {letter: LETTERS[letter.decode()] for letter in (b"D", b"I", b"W", b"E", b"F", b"C")}
    marks: dict[Level, tuple[bytes, ...]] = {}
    for letter, level in letters.items():
        marks[level] = marks.get(level, ()) + tuple(letter + b"%d" % digit for digit in range(10))
    return Header(
        "glog",
        rb"(?P<level>[DIWEFC])" + shape.pattern,
        shape,
        rb"(?: {1,8}\d{1,12} (?P<component>[^\s:\]]{1,200}):\d{1,7}\] ?)?",
        letters,
        marks,
        qualified=False,
    )


def _pri(line: bytes) -> bool:
    return line[:1] == b"<"


_BSD = when_used(
    rb"[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d(?:\.\d{1,9})? "
    rb"(?!(?i:trace|debug|info|notice|warn|warning|error|fatal|crit|critical|severe)[\s:\]])[^\s:\[\]()]{1,255} "
)


def _month(line: bytes) -> bool:
    return _BSD.match(line) is not None


_ISO_APP = when_used(rb"\d{4}-\d\d-\d\dT\S{8,24} [^\s:\[\]()=]{1,255} [\w./-]{1,48}\[\d{1,10}\]: ")
_TWO_LINES = when_used(rb"[A-Z][a-z]{2} \d{1,2}, \d{4},? [\d:]{7,8} [AP]M ")
_REDIS_ROLE = when_used(rb"\d{1,10}:[XCSM] ")
_SEVERITY = when_used(rb"\d{4}-\d\d-\d\d[T ]\S{0,30} [A-Z][a-z]\(")

KNOWN = (
    Known(_SYSLOG_5424, lambda line: _pri(line) and line[2:6].find(b">") >= 0),
    Known(_bsd("syslog", NO_YEAR, pri=True), _pri),
    Known(_bsd("syslog", NO_YEAR, pri=False), _month),
    Known(_bsd("syslog", ISO, pri=True), _pri),
    Known(_bsd("syslog", ISO, pri=False), lambda line: _ISO_APP.match(line) is not None),
    Known(_ACCESS, lambda line: line.find(b'] "', 0, 400) >= 0),
    Known(_glog(GLOG), lambda line: line[:1] in b"DIWEFC" and line[1:5].isdigit() and line[5:6] == b" "),
    Known(_glog(GLOG_YEAR), lambda line: line[:1] in b"DIWEFC" and line[1:9].isdigit()),
    Known(_two_lines(), lambda line: _TWO_LINES.match(line) is not None),
    Known(_REDIS, lambda line: line[:1].isdigit() and _REDIS_ROLE.match(line) is not None),
    Known(_SEVERITIES, lambda line: _SEVERITY.match(line) is not None),
)


def leveled(styles: frozenset[Style]) -> Header:
    """Lines without a time that begin with a level: ``WARNING: …``, ``[error] …``, ``ERROR:root:…``, ``panic: …``."""
    levels = _level_words(styles)
    words = b"|".join(sorted(levels, reverse=True))
    lead = rb"[\[<( ]{0,3}(?P<level>" + words + rb")(?:[\]>):|]| {1,8}[:|-]| {1,8}(?=\[)|\[\d{1,9}\])"
    return Header("text without times", lead, None, b"", levels, word_marks(styles))


PLAIN = leveled(EVERY_STYLE)
"""For text of which nothing is known: a level may come up late, in any style."""


def worded() -> Header:
    """Lines without a time that begin with a level in capitals and a blank: ``ERROR consensus failed``. Only where
    most lines do is it known that the word is no part of the sentence."""
    style = frozenset((Style.UPPER,))
    levels = _level_words(style)
    lead = rb"(?P<level>" + b"|".join(sorted(levels, reverse=True)) + rb")(?=[ \t])"
    return Header("text without times", lead, None, b"", levels, word_marks(style))
