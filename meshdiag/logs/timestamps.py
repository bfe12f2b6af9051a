"""Written times: how each kind looks, and what moment it means, in nanoseconds since the epoch.

A *shape* is one way to write a time: a bytes pattern with the groups ``stamp`` (up to and including the seconds),
``frac`` (the fraction) and ``tail`` (what follows and changes the meaning: zone, year, AM or PM). ``Reader`` reads
the times of one shape; lines beside one another share their minute, so a minute is worked out once and
remembered. Times without a zone are taken in ``Hints.zone``, the first of the two where clocks are set back; times
without a year or a date in the latest that puts them not after ``Hints.newest``, to the minute.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from meshdiag.logs.record import NS
from meshdiag.regexes import when_used

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import tzinfo

    from meshdiag.logs.formats import Hints

_FRACTION = tuple(int(10 ** (9 - digits)) for digits in range(10))
_REMEMBERED = 4096

_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}

_ZONE_HOURS: Mapping[str, float] = {
    "Z": 0, "UTC": 0, "GMT": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "MEZ": 1, "CEST": 2, "MESZ": 2, "EET": 2,
    "SAST": 2, "EEST": 3, "MSK": 3, "IST": 5.5, "HKT": 8, "SGT": 8, "AWST": 8, "JST": 9, "KST": 9, "ACST": 9.5,
    "AEST": 10, "ACDT": 10.5, "AEDT": 11, "NZST": 12, "NZDT": 13, "BRT": -3, "ART": -3, "AST": -4, "ADT": -3,
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "AKST": -9,
    "AKDT": -8, "HST": -10,
}  # fmt: skip
"""Abbreviations that logs use; several mean different things in different countries: that of the local zone first."""

_NAMES = "|".join(sorted(_ZONE_HOURS, key=len, reverse=True)).encode()
_ZONE = rb"Z(?![A-Za-z])| ?[+-]\d\d:?\d\d(?![\d:])|[+-]\d\d(?![\d:])| ?(?:" + _NAMES + rb")(?![A-Za-z0-9_])"
_HALF = rb" ?[AaPp][Mm](?![A-Za-z])"
_TAIL = rb"(?P<tail>(?:" + _HALF + rb")?(?:" + _ZONE + rb")?)"
_FRAC = rb"(?P<frac>(?:[.,]\d{1,9}|:\d{3}(?!\d))?)"
_HMS = rb"\d\d:\d\d:\d\d"
_MON = rb"(?:" + "|".join(_MONTH_NAMES).encode() + rb")"
_DAY = rb"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +)?"


class Moment(NamedTuple):
    """What a stamp says, seconds aside. None for what it does not say."""

    year: int | None
    month: int | None
    day: int | None
    hour: int
    minute: int


class Shape(NamedTuple):
    """One way to write a time. ``split`` takes the stamp without the seconds' two digits, and the tail, and says
    what they mean, raising ``ValueError`` or ``KeyError``; None where the stamp counts from the epoch."""

    name: str
    pattern: bytes
    split: Callable[[str, str], Moment] | None

    @property
    def dated(self) -> bool:
        """Whether the time says more than the time of day."""
        return self.name != "time of day"


def _iso(text: str, _tail: str) -> Moment:
    return Moment(int(text[:4]), int(text[5:7]), int(text[8:10]), int(text[11:13]), int(text[14:16]))


def _compact(text: str, _tail: str) -> Moment:
    date, clock = re.split("[T _-]", text)
    clock = clock.replace(":", "")
    if len(date) == 6:
        date = "20" + date
    return Moment(int(date[:4]), int(date[4:6]), int(date[6:]), int(clock[:2]), int(clock[2:4]))


def _named_month(text: str, tail: str) -> Moment:
    """``Sun Dec 04 04:47:``, ``Mar-18 21:41:``, ``Jan 1, 2024 00:00:``; the year may stand in the tail."""
    parts = re.findall(r"[A-Za-z]{3}|\d+", text)
    if len(parts) > 1 and parts[1].isalpha():
        del parts[0]  # the day of the week
    month, day, *years, hour, minute = parts
    years += re.findall(r"(?<!\d)\d{4}(?!\d)", tail)[-1:] if not years else []
    return Moment(int(years[0]) if years else None, _MONTHS[month], int(day), int(hour), int(minute))


def _day_first(text: str, _tail: str) -> Moment:
    """``20/Jul/2009:22:59:``, ``01 Jan 2024 00:00:``."""
    day, month, year, hour, minute = re.findall(r"[A-Z][a-z]{2}(?![a-z,])|\d+", re.sub(r"^[A-Z][a-z]{2},? +", "", text))
    return Moment(int(year), _MONTHS[month], int(day), int(hour), int(minute))


def _month_day(text: str, _tail: str) -> Moment:
    """``03-17 16:13:``, ``0517 15:04:``."""
    month, day, hour, minute = re.findall(r"\d\d", text)
    return Moment(None, int(month), int(day), int(hour), int(minute))


def _american(text: str, _tail: str) -> Moment:
    month, day, year, hour, minute = map(int, re.findall(r"\d+", text))
    return Moment(year + 2000 if year < 100 else year, month, day, hour, minute)


def _european(text: str, tail: str) -> Moment:
    found = _american(text, tail)
    return Moment(found.year, found.day, found.month, found.hour, found.minute)


def _clock_only(text: str, _tail: str) -> Moment:
    return Moment(None, None, None, int(text[:2]), int(text[3:5]))


def _shape(name: str, stamp: bytes, split: Callable[[str, str], Moment] | None, tail: bytes = _TAIL) -> Shape:
    return Shape(name, rb"(?P<stamp>" + stamp + rb")" + _FRAC + tail, split)


ISO = _shape("ISO 8601", rb"\d{4}[-/.]\d\d[-/.]\d\d[T :_]" + _HMS, _iso)
COMPACT = _shape("compact", rb"(?:\d\d)?\d{6}[T _-](?:\d{6}|" + _HMS + rb")(?!\d)", _compact)
DAY_FIRST = _shape("day first", _DAY + rb"\d{1,2}[ /-]" + _MON + rb"[ /-]\d{4}[ :T]" + _HMS, _day_first)
MONTH_YEAR = _shape("month first", _DAY + _MON + rb"[ -]{1,2}\d{1,2},? \d{4},? \d{1,2}:\d\d:\d\d", _named_month)
CTIME = _shape(
    "ctime",
    _DAY + _MON + rb" {1,2}\d{1,2} " + _HMS,
    _named_month,
    rb"(?P<tail>(?:" + _HALF + rb")?(?: (?:" + _NAMES + rb"|[+-]\d{4}))? \d{4}(?![\w.:-]))",
)
NO_YEAR = _shape("month and day", _DAY + _MON + rb"[ -]{1,2}\d{1,2} " + _HMS, _named_month, rb"(?P<tail>)")
DIGITS_NO_YEAR = _shape("month and day in digits", rb"\d\d[-./]\d\d " + _HMS, _month_day, rb"(?P<tail>)")
GLOG = _shape("glog", rb"\d{4} " + _HMS, _month_day, rb"(?P<tail>)")
GLOG_YEAR = _shape("glog with a year", rb"\d{8} " + _HMS, _compact, rb"(?P<tail>)")
_CLOCK_AFTER = rb"(?:\d{4}|\d\d),? \d{1,2}:\d\d:\d\d"
AMERICAN = _shape("month/day/year", rb"\d{1,2}/\d{1,2}/" + _CLOCK_AFTER, _american)
EUROPEAN = _shape("day/month/year", rb"\d{1,2}[/.]\d{1,2}[/.]" + _CLOCK_AFTER, _european)
EPOCH = Shape(
    "epoch",
    rb"(?P<stamp>1\d{18}|1\d{15}|1\d{12}|1\d{9})(?!\d)(?P<frac>(?:\.\d{1,9}(?!\d))?)(?P<tail>)(?![\w:-]|\.\d)",
    None,
)
TIME_OF_DAY = _shape("time of day", _HMS + rb"(?!:)", _clock_only, rb"(?P<tail>)")

SHAPES = (
    ISO, CTIME, MONTH_YEAR, NO_YEAR, DAY_FIRST, COMPACT, DIGITS_NO_YEAR, AMERICAN, EUROPEAN, EPOCH, TIME_OF_DAY,
)  # fmt: skip
"""Every shape that may stand anywhere in a line, in the order in which they are tried at one place."""


class Reader:
    """Reads the times of one shape. Not stateless inside: it remembers minutes, which changes no answer."""

    __slots__ = ("_hints", "_minutes", "shape")

    def __init__(self, shape: Shape, hints: Hints) -> None:
        self.shape = shape
        self._hints = hints
        self._minutes: dict[tuple[bytes, bytes], int] = {}

    def ns(self, stamp: bytes, frac: bytes, tail: bytes) -> int | None:
        """The moment, in nanoseconds since the epoch, from the three groups of the shape's pattern. None for
        what only looks like a time: a month 13."""
        if self.shape.split is None:
            return _since_epoch(stamp, frac)
        base = self._minutes.get((stamp[:-2], tail))
        if base is None:
            base = self._minute(stamp[:-2], tail)
            if base is None:
                return None
        seconds = int(stamp[-2:])
        if seconds > 60:
            return None
        if frac:
            return base + seconds * NS + int(frac[1:]) * _FRACTION[len(frac) - 1]
        return base + seconds * NS

    def _minute(self, stamp: bytes, tail: bytes) -> int | None:
        assert self.shape.split is not None
        text = tail.decode("ascii", "replace")
        try:
            moment = self.shape.split(stamp.decode("ascii", "replace"), text)
            base = _epoch_of(_with_half(moment, text), text, self._hints)
        except (ValueError, KeyError, OverflowError, IndexError):
            return None
        if len(self._minutes) >= _REMEMBERED:
            self._minutes.clear()
        self._minutes[stamp, tail] = base
        return base


def _since_epoch(stamp: bytes, frac: bytes) -> int:
    moment = int(stamp) * _FRACTION[len(stamp) - 10]
    return moment + int(frac[1:]) * _FRACTION[len(frac) - 1] // _FRACTION[19 - len(stamp)] if frac else moment


_HALF_DAY = when_used(r" ?([AaPp])[Mm](?![A-Za-z])")


def _with_half(moment: Moment, tail: str) -> Moment:
    """Twelve-hour times made twenty-four-hour ones."""
    half = _HALF_DAY.match(tail)
    if half is None:
        return moment
    if not 1 <= moment.hour <= 12:
        raise ValueError("no hour of a half day")
    hour = moment.hour % 12 + (12 if half[1] in "Pp" else 0)
    return Moment(moment.year, moment.month, moment.day, hour, moment.minute)


def _epoch_of(moment: Moment, tail: str, hints: Hints) -> int:
    """Nanoseconds since the epoch of the start of a minute. Raises ``ValueError``."""
    written = re.search(r"(?P<offset>[+-]\d\d:?(?:\d\d)?)|(?P<name>[A-Z]{2,5}|Z)(?= |$)", _HALF_DAY.sub("", tail))
    name = written["name"] if written else None
    zone: tzinfo = _offset(written["offset"]) if written and written["offset"] else hints.zone
    found = _placed(moment, zone, hints.newest)
    if name is not None and found.tzname() != name:
        zone = timezone(timedelta(hours=_ZONE_HOURS[name]))
        found = _placed(moment, zone, hints.newest)
    return int(found.timestamp()) * NS


def _placed(moment: Moment, zone: tzinfo, newest: datetime) -> datetime:
    """The date filled in: the latest that is not after ``newest``."""
    if moment.year is not None and moment.month is not None and moment.day is not None:
        return datetime(moment.year, moment.month, moment.day, moment.hour, moment.minute, tzinfo=zone)
    latest = newest.astimezone(zone)
    if moment.month is None or moment.day is None:
        today = latest.replace(hour=moment.hour, minute=moment.minute, second=0, microsecond=0, fold=0)
        return today if today.timestamp() <= newest.timestamp() else today - timedelta(days=1)
    for year in range(latest.year, latest.year - 9, -1):  # the 29th of February is up to eight years away
        try:
            found = datetime(year, moment.month, moment.day, moment.hour, moment.minute, tzinfo=zone)
        except ValueError:
            continue
        if found.timestamp() <= newest.timestamp():
            return found
    raise ValueError("no such day")


@lru_cache(maxsize=64)
def _offset(text: str) -> tzinfo:
    digits = text[1:].replace(":", "")
    minutes = int(digits[:2]) * 60 + int(digits[2:] or 0)
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes)) if minutes else UTC


_LEAST_S = 100_000_000
"""A smaller number of seconds (March 1973) counts from somewhere else: the start of a program."""


def number_ns(value: float) -> int | None:
    """The moment that a number means: seconds, milli-, micro- or nanoseconds since the epoch, by its size. Fractions
    are good to a microsecond, as floating point is."""
    if isinstance(value, bool) or not math.isfinite(value) or value < _LEAST_S or value >= 1e19:
        return None
    unit = next(unit for bound, unit in ((1e11, NS), (1e14, 10**6), (1e17, 1_000), (1e20, 1)) if value < bound)
    if isinstance(value, int):
        return value * unit
    return round(value * unit / 1_000) * 1_000 if unit > 1 else int(value)


_DIGITS = when_used(rb"(\d{9,19})(?:\.(\d{1,9})\d{0,20})?\Z")
_EDGES = b" \t\r\n<>[]\"'()"


@cache
def _alone(shape: Shape) -> re.Pattern[bytes]:
    return when_used(shape.pattern + rb"\Z")


class TextTimes:
    """Reads times that stand alone: the values of JSON and logfmt."""

    __slots__ = ("_first", "_hints", "_others")

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self._first = self._read_by(SHAPES[0])
        self._others: list[tuple[re.Pattern[bytes], Reader]] = []

    def _read_by(self, shape: Shape) -> tuple[re.Pattern[bytes], Reader]:
        return _alone(shape), Reader(shape, self._hints)

    def ns(self, value: object) -> int | None:
        """The moment that a text or number means, None where it means none."""
        if isinstance(value, str):
            try:
                return self.text_ns(value.encode("ascii"))
            except UnicodeEncodeError:
                return None
        if isinstance(value, int | float):
            return number_ns(value)
        return None

    def text_ns(self, text: bytes) -> int | None:
        """The moment that a text means: a written time or the digits of a number."""
        pattern, reader = self._first
        found = pattern.match(text)
        if found is not None:
            return reader.ns(*found.group("stamp", "frac", "tail"))
        return self._odd(text) if len(text) <= 80 else None

    def _odd(self, text: bytes) -> int | None:
        text = text.strip(_EDGES)
        digits = _DIGITS.match(text)
        if digits is not None:
            whole = number_ns(int(digits[1]))
            if whole is None or digits[2] is None or len(digits[1]) > 11:
                return whole
            return whole + int(digits[2]) * _FRACTION[len(digits[2])]
        self._others = self._others or [self._read_by(shape) for shape in SHAPES]
        for pattern, reader in self._others:
            found = pattern.match(text)
            if found is not None:
                moment = reader.ns(*found.group("stamp", "frac", "tail"))
                if moment is not None:
                    return moment
        return None
