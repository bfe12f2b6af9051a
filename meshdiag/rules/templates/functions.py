"""The functions that Prometheus adds to Go's templates.

Source: Prometheus's template reference (docs/configuration/template_reference.md) and template/template.go.
"""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from meshdiag.errors import QueryError
from meshdiag.promql.labels import expand_reference
from meshdiag.promql.parsing import compile_regex
from meshdiag.rules.spans import parse_span
from meshdiag.rules.templates.formatting import GoDuration, Unsupported, float_text, time_text, type_name
from meshdiag.rules.templates.lexing import TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LARGE, SMALL = ("k", "M", "G", "T", "P", "E", "Z", "Y"), ("m", "u", "n", "p", "f", "a", "z", "y")
BINARY = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INITIAL = re.compile(r"(?:^|(?<=[\s\x00-/:-@\[-^`{-\x7f]))\w")


@dataclass(frozen=True, slots=True)
class Sample:
    """One element of a query's answer: fields ``Labels`` and ``Value``."""

    labels: dict[str, str]
    value: float


def number(value: object) -> float:
    """A value as a float: a number, or a text that holds one. Raises ``TemplateError``."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TemplateError(f"can't convert {type_name(value)} to float")
    if isinstance(value, GoDuration):
        return int(value) / 1e9
    try:
        if isinstance(value, str) and (value != value.strip() or "_" in value):
            raise ValueError
        return float(value)
    except ValueError:
        raise TemplateError(f'strconv.ParseFloat: parsing "{value}": invalid syntax') from None


def _short(value: float) -> str:
    return float_text(value, "g", 4)


def _scaled(value: float, prefixes: Iterable[str], factor: float, done: Callable[[float], bool]) -> str:
    prefix = ""
    for one in prefixes:
        if done(value):
            break
        prefix, value = one, value * factor
    return f"{_short(value)}{prefix}"


def _humanize(given: object) -> str:
    value = number(given)
    if value == 0 or not math.isfinite(value):
        return _short(value)
    if abs(value) >= 1:
        return _scaled(value, LARGE, 1 / 1000, lambda one: abs(one) < 1000)
    return _scaled(value, SMALL, 1000, lambda one: abs(one) >= 1)


def _humanize1024(given: object) -> str:
    value = number(given)
    if abs(value) <= 1 or not math.isfinite(value):
        return _short(value)
    return _scaled(value, BINARY, 1 / 1024, lambda one: abs(one) < 1024)


def _humanize_duration(given: object) -> str:
    value = number(given)
    if not math.isfinite(value):
        return _short(value)
    if value == 0:
        return f"{_short(value)}s"
    if abs(value) < 1:
        return _scaled(value, SMALL, 1000, lambda one: abs(one) >= 1) + "s"
    sign, value = ("-", -value) if value < 0 else ("", value)
    minutes, seconds = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{sign}{_short(value)}s"


def _humanize_percentage(given: object) -> str:
    return f"{_short(number(given) * 100)}%"


def _moment(value: float) -> datetime:
    if not math.isfinite(value):
        raise TemplateError("value is NaN or Inf")
    if abs(value) * 1e9 >= 2**63:
        raise TemplateError(
            f"{float_text(value, 'g', None)} cannot be represented as a nanoseconds timestamp since it overflows int64"
        )
    try:
        return _EPOCH + timedelta(milliseconds=int(value * 1e9) // 1_000_000)
    except OverflowError:
        raise TemplateError(f"{value} is beyond the calendar") from None


def _humanize_timestamp(given: object) -> str:
    value = number(given)
    return time_text(_moment(value)) if math.isfinite(value) else _short(value)


def _to_time(given: object) -> datetime:
    return _moment(number(given))


def _to_duration(given: object) -> GoDuration:
    return GoDuration(number(given) * 1e9)


def _parse_duration(text: str) -> float:
    try:
        return parse_span(text) / 1000
    except ValueError as error:
        raise TemplateError(str(error)) from None


def _regex(pattern: str) -> re.Pattern[str]:
    try:
        return compile_regex(f"(?-s:{pattern})")  # here a dot does not match a newline
    except QueryError:
        raise TemplateError(f"error parsing regexp: {pattern}") from None


def _match(pattern: str, text: str) -> bool:
    return _regex(pattern).search(text) is not None


def _replace_all(pattern: str, replacement: str, text: str) -> str:
    return _regex(pattern).sub(lambda found: expand_reference(replacement, found), text)


def _title(text: str) -> str:
    """The first letter of each word upper case, the rest as it is; words end as Go's strings.Title has it."""
    return _INITIAL.sub(lambda found: found[0].title(), text)


def _first(vector: list[Sample]) -> Sample:
    if not vector:
        raise TemplateError("first() called on vector with no elements")
    return vector[0]


def _sort_by_label(label: str, vector: list[Sample]) -> list[Sample]:
    return sorted(vector, key=lambda sample: sample.labels.get(label, ""))


def _strip_port(host: str) -> str:
    name, separator, port = host.rpartition(":")
    if not separator or "]" in port or (":" in name and not name.startswith("[")):
        return host
    return name.removeprefix("[").removesuffix("]")


def _strip_domain(address: str) -> str:
    host, port = _strip_port(address), ""
    if host != address:
        port = ":" + address.rpartition(":")[2]
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.partition(".")[0] + port
    return address


def _link(expr: str, tab: int) -> str:
    return f"/graph?g0.expr={quote_plus(expr, safe='-_.~')}&g0.tab={tab}"


def _unknown(what: str) -> Callable[..., object]:
    def refuse(*_values: object) -> object:
        raise Unsupported(what)

    return refuse


FUNCTIONS: dict[str, tuple[Callable[..., object], tuple[type, ...] | None]] = {
    "first": (_first, (list,)),
    "label": (lambda label, sample: sample.labels.get(label, ""), (str, Sample)),
    "value": (lambda sample: sample.value, (Sample,)),
    "strvalue": (lambda sample: sample.labels.get("__value__", ""), (Sample,)),
    "args": (lambda *values: {f"arg{place}": value for place, value in enumerate(values)}, None),
    "reReplaceAll": (_replace_all, (str, str, str)),
    "safeHtml": (lambda text: text, (str,)),
    "match": (_match, (str, str)),
    "title": (_title, (str,)),
    "toUpper": (lambda text: text.upper(), (str,)),
    "toLower": (lambda text: text.lower(), (str,)),
    "graphLink": (lambda expr: _link(expr, 0), (str,)),
    "tableLink": (lambda expr: _link(expr, 1), (str,)),
    "sortByLabel": (_sort_by_label, (str, list)),
    "stripPort": (_strip_port, (str,)),
    "stripDomain": (_strip_domain, (str,)),
    "urlQueryEscape": (lambda text: quote_plus(text, safe="-_.~"), (str,)),
    "humanize": (_humanize, (object,)),
    "humanize1024": (_humanize1024, (object,)),
    "humanizeDuration": (_humanize_duration, (object,)),
    "humanizePercentage": (_humanize_percentage, (object,)),
    "humanizeTimestamp": (_humanize_timestamp, (object,)),
    "toTime": (_to_time, (object,)),
    "toDuration": (_to_duration, (object,)),
    "parseDuration": (_parse_duration, (str,)),
    "pathPrefix": (_unknown("the path of the server's own address"), ()),
    "externalURL": (_unknown("the server's own address"), ()),
}
"""The functions by name with the types of what they take (None: anything, any number of them)."""
