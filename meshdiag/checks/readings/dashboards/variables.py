"""The variables of a dashboard, and how they are put into a query: as Grafana does it for Prometheus.

Source: https://grafana.com/docs/grafana/latest/dashboards/variables/variable-syntax/ and
https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from meshdiag.durations import parse_duration
from meshdiag.errors import UsageError
from meshdiag.regexes import when_used

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ALL: Final = "$__all"
POINTS: Final = 1000
"""Of how many points a graph is made: Grafana's interval is the range by the width of the panel."""
SCRAPE_S: Final = 15.0
"""The scrape interval that Grafana supposes where the datasource does not say another."""
NICE: Final = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""The intervals, in seconds, that a computed one is rounded to."""

_PLACES = when_used(
    r"\$(?P<plain>\w+)|\[\[(?P<old>\w+?)(?::(?P<old_format>\w+))?\]\]"
    r"|\$\{(?P<braced>\w+)(?:\.[^:}]+)?(?::(?P<format>[^}]+))?\}"
)
_LABEL_VALUES = when_used(r"label_values\((?:(?P<of>.+),\s*)?(?P<label>[a-zA-Z_][\w.]*)\s*\)", re.DOTALL)
_FUNCTIONS = when_used(r"(?P<function>metrics|query_result|label_names)\((?P<of>.*)\)", re.DOTALL)
_OPTION = when_used(r"(?:\\,|[^,])+")


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as the dashboard has it. ``many``: several of its values, or all, may be chosen, so that a value is
    put in as a regular expression. ``current`` is what was chosen when the dashboard was saved."""

    name: str
    type: str
    query: str = ""
    regex: str = ""
    many: bool = False
    with_all: bool = False
    all_value: str = ""
    current: tuple[str, ...] = ()
    datasource: Any = None


@dataclass(frozen=True, slots=True)
class Value:
    """What a variable stands for. ``raw``: it is put in as it is. ``why_empty`` says why there is no value at all."""

    values: tuple[str, ...]
    many: bool = False
    raw: bool = False
    why_empty: str = ""


@dataclass(frozen=True, slots=True)
class Filled:
    """A text with its variables put in, the names that are no variables, and the variables without any value."""

    text: str
    unknown: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asks:
    """What a query variable asks: ``function`` is ``label_values``, ``metrics``, ``query_result``, ``label_names`` or
    "" for the series themselves; ``of`` its argument, ``label`` the label of ``label_values``."""

    function: str
    of: str
    label: str = ""


def read_variable(one: Mapping[str, Any]) -> Variable:
    """A variable of the list of a dashboard."""
    query = one.get("query")
    if isinstance(query, dict):
        query = query.get("query")
    current = one.get("current")
    chosen = current.get("value") if isinstance(current, dict) else None
    with_all = bool(one.get("includeAll"))
    return Variable(
        name=_text(one.get("name")),
        type=_text(one.get("type")) or "query",
        query=_text(query),
        regex=_text(one.get("regex")),
        many=bool(one.get("multi")) or with_all,
        with_all=with_all,
        all_value=_text(one.get("allValue")),
        current=tuple(str(value) for value in (chosen if isinstance(chosen, list) else [chosen]) if value),
        datasource=one.get("datasource"),
    )


def asks(query: str) -> Asks:
    """What the query of a variable asks of Prometheus."""
    text = query.strip()
    if found := _LABEL_VALUES.fullmatch(text):
        return Asks("label_values", (found["of"] or "").strip(), found["label"])
    if found := _FUNCTIONS.fullmatch(text):
        return Asks(found["function"], found["of"].strip())
    return Asks("", text)


def options_of(variable: Variable) -> tuple[str, ...]:
    """The values that a variable of the type custom or interval lists: ``1m,5m`` or ``name : value, …``."""
    written = (one.strip().replace("\\,", ",") for one in _OPTION.findall(variable.query))
    return tuple(one.rpartition(" : ")[2].strip() for one in written if one)


def choose(variable: Variable, options: Sequence[str], why_empty: str = "") -> Value:
    """The value that a dashboard opens with: what was saved where it still exists, else the first, which is All where
    there is one."""
    kept = tuple(value for value in variable.current if value in options)
    wants_all = ALL in variable.current or (variable.with_all and not kept)
    if wants_all and variable.all_value:
        return Value((variable.all_value,), many=True, raw=True)
    if wants_all and options:
        return Value(tuple(options), many=True)
    if kept or options:
        return Value(kept or (options[0],), variable.many)
    return Value((), variable.many, why_empty=why_empty)


def matching(regex: str, values: Sequence[str]) -> tuple[str, ...]:
    """The values that a variable's ``regex`` (``/…/``) leaves, cut down to its first group. Raises ``ValueError``."""
    if not regex:
        return tuple(values)
    slashed = re.fullmatch(r"/(.*)/([gimsuy]*)", regex, re.DOTALL)
    body, flags = (slashed[1], slashed[2]) if slashed else (f"^{regex}$", "")
    try:
        pattern = re.compile(re.sub(r"\(\?<(?=\w)", "(?P<", body), re.IGNORECASE if "i" in flags else 0)
    except re.error as error:
        raise ValueError(f"its regular expression {regex!r} cannot be read: {error}") from None
    found = (pattern.search(value) for value in values)
    return tuple(dict.fromkeys(_group(one) for one in found if one))


def _group(found: re.Match[str]) -> str:
    named = found.groupdict()
    return str(named.get("value") or named.get("text") or (found[1] if found.re.groups and found[1] else found[0]))


def fill(text: str, values: Mapping[str, Value]) -> Filled:
    """The text with its variables put in; ``$1`` belongs to ``label_replace`` and stays."""
    unknown: list[str] = []
    empty: list[str] = []

    def put(found: re.Match[str]) -> str:
        name = found["plain"] or found["old"] or found["braced"]
        value = values.get(name)
        if value is None:
            if not name.isdecimal():
                unknown.append(name)
            return found[0]
        if not value.values:
            empty.append(name)
        return written(value, found["format"] or found["old_format"] or "")

    filled = _PLACES.sub(put, text)
    return Filled(filled, tuple(dict.fromkeys(unknown)), tuple(dict.fromkeys(empty)))


def names_in(text: str) -> tuple[str, ...]:
    """The names of the variables that a text mentions."""
    return tuple(one["plain"] or one["old"] or one["braced"] for one in _PLACES.finditer(text))


def written(value: Value, fmt: str) -> str:
    """A value in a format: ``regex``, ``pipe``, ``csv`` and so on; without one as it is put into PromQL."""
    if value.raw:
        return value.values[0] if value.values else ""
    writer = _FORMATS.get(fmt.partition(":")[0])
    return writer(value.values) if writer is not None else _promql(value)


def _promql(value: Value) -> str:
    """Within quotes: a single choice as text, several as a regular expression, escaped for both."""
    if not value.many:
        return ",".join(one.replace("\\", "\\\\").replace('"', '\\"') for one in value.values)
    escaped = [_special(one) for one in value.values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})" if escaped else ""


def _special(text: str) -> str:
    """A value as a regular expression within a PromQL string: each backslash stands twice."""
    return re.sub(r"[$^*{}\[\]+?.()|]", r"\\\\\g<0>", text.replace("\\", "\\\\\\\\").replace('"', '\\"'))


def _regex(values: Sequence[str]) -> str:
    escaped = [re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", one) for one in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _glob(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else "{" + ",".join(values) + "}"


def _json(values: Sequence[str]) -> str:
    import json

    return json.dumps(values[0] if len(values) == 1 else list(values), separators=(",", ":"), ensure_ascii=False)


def _quoted(mark: str, escape: str) -> Callable[[Sequence[str]], str]:
    return lambda values: ",".join(f"{mark}{one.replace(mark, escape)}{mark}" for one in values)


_FORMATS: Final[Mapping[str, Callable[[Sequence[str]], str]]] = {
    "raw": ",".join,
    "csv": ",".join,
    "text": " + ".join,
    "pipe": "|".join,
    "regex": _regex,
    "glob": _glob,
    "json": _json,
    "doublequote": _quoted('"', '\\"'),
    "singlequote": _quoted("'", "\\'"),
    "sqlstring": _quoted("'", "''"),
    "percentencode": lambda values: quote(_glob(values), safe=""),
}


def built_in(window_s: float, end_s: float, interval: str = "", title: str = "") -> dict[str, Value]:
    """The variables that Grafana itself gives for a range of ``window_s`` that ends at ``end_s`` (epoch seconds); no
    interval is shorter than ``interval``, a panel's own least one."""
    least = _seconds(interval) or SCRAPE_S
    step = max(least, next((one for one in NICE if one >= window_s / POINTS), NICE[-1]))
    rate = max(step + SCRAPE_S, 4 * SCRAPE_S)
    texts = {
        "__interval": f"{step:g}s",
        "__interval_ms": f"{step * 1000:.0f}",
        "__rate_interval": f"{rate:g}s",
        "__rate_interval_ms": f"{rate * 1000:.0f}",
        "__range": f"{window_s:.0f}s",
        "__range_s": f"{window_s:.0f}",
        "__range_ms": f"{window_s * 1000:.0f}",
        "__from": f"{(end_s - window_s) * 1000:.0f}",
        "__to": f"{end_s * 1000:.0f}",
        "__dashboard": title,
        "__org": "1",
        "__user": "1",
    }
    return {name: Value((text,), raw=True) for name, text in texts.items()}


def _seconds(interval: str) -> float | None:
    """``30s``, or ``>30s`` as older panels have it; None where it is something else."""
    try:
        return parse_duration(interval.lstrip("> ")).total_seconds() if interval else None
    except UsageError:
        return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
