"""A report as one line: for a pager, a chat, or as the output of a Nagios plugin.

    FAIL - 2 fail, 1 unknown, 30 pass: consensus.round-duration trainer-3 14.2 s (at most 10 s) | 'id'=14.2s;…

Behind the bar stands performance data, one value a check (its worst), as the Monitoring Plugins Development
Guidelines write it: ``'label'=value[UOM];[warn];[crit]``, plain decimals, ranges for warn and crit.
"""

from __future__ import annotations

import math
import re
import sys
from typing import TYPE_CHECKING

from meshdiag.model import Verdict
from meshdiag.render.ranking import bound_text, excess, name_of, one_sentence, value_text, worst_result
from meshdiag.render.safe import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshdiag.model import Finding, Range, Report, Result

WORDS_LIMIT = 200
"""Characters of the worst finding, so that the line fits a pager."""
UOM = {"s": ("s", 1.0), "ms": ("ms", 1.0), "bytes": ("B", 1.0), "percent": ("%", 1.0), "ratio": ("%", 100.0)}
"""The guidelines' unit of measurement for each unit that has one, and the factor to it."""
WORDLESS = (None, "count")
"""Units whose number says nothing without words: "0 (at least 1)" does not say that a node is down."""
LINE_LIMIT = 4000
"""Bytes of the line: what collects plugins' output cuts it at 4 kB, in the midst of a value."""
DIGITS = 6
"""Digits of a value that mean something to whoever draws it."""
LARGEST = sys.float_info.max
ORDER = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN, Verdict.PASS, Verdict.SKIP)


def to_short(report: Report) -> str:
    """The line, with its line break."""
    text = f"{report.verdict.upper()} - {_counts(report)}"
    if worst := _worst(report):
        text += f": {worst}"
    line = one_line(text, None).replace("|", "/")
    data = " ".join(_within(_perfdata(report.results), LINE_LIMIT - len(line.encode())))
    return line + (f" | {data}" if data else "") + "\n"


def _counts(report: Report) -> str:
    counts = report.counts
    told = [f"{counts[verdict]} {verdict}" for verdict in ORDER if counts[verdict]]
    if report.data is not None and not told:
        rows = len(report.data.rows)
        return f"{rows} row" if rows == 1 else f"{rows} rows"
    return ", ".join(told) or "nothing was looked at"


def _worst(report: Report) -> str:
    """The worst finding of the worst result, or its summary where it has none or its number needs words."""
    worst = worst_result(report)
    if worst is None or worst.verdict is Verdict.SKIP:
        return ""
    if worst.verdict is Verdict.PASS:
        return one_line(one_sentence(report), WORDS_LIMIT) if report.data is not None else ""
    finding = _worst_finding(worst)
    value, fine = (value_text(finding), bound_text(finding)) if finding else ("", "")
    if finding is None or finding.verdict is not worst.verdict or finding.unit in WORDLESS or not (value and fine):
        return one_line(f"{worst.id} {one_sentence(report)}", WORDS_LIMIT)
    return one_line(f"{worst.id} {name_of(finding)} {value} ({fine})", WORDS_LIMIT)


def _worst_finding(result: Result) -> Finding | None:
    return max(result.findings, key=lambda one: (one.verdict.severity, excess(one)), default=None)


def _perfdata(results: Iterable[Result]) -> Iterable[str]:
    for result in results:
        measured = [one for one in result.findings if one.value is not None]
        if measured:
            worst = max(measured, key=lambda one: (one.verdict.severity, excess(one)))
            yield f"{_label(result.id)}={_measure(worst)}"


def _within(data: Iterable[str], room: int) -> Iterable[str]:
    """As much performance data as there is room for; the first that does not fit ends it, so that the
    same values are there in every line."""
    for one in data:
        room -= len(one.encode()) + 1
        if room < len(" |"):
            return
        yield one


def _measure(finding: Finding) -> str:
    uom, factor = UOM.get(finding.unit or "", ("", 1.0))
    assert finding.value is not None
    scaled = finding.value * factor
    value = decimal(_rounded(scaled)) + uom if math.isfinite(scaled) else "U"
    threshold = finding.threshold
    warn = "" if threshold is None else _range(threshold.warn, factor)
    fail = "" if threshold is None else _range(threshold.fail, factor)
    return f"{value};{warn};{fail}".rstrip(";")


def _range(fine: Range | None, factor: float) -> str:
    """A range in the guidelines' form, in the unit of measurement."""
    if fine is None:
        return ""
    low = "~" if fine.low * factor == -math.inf else decimal(min(fine.low * factor, LARGEST))
    high = "" if fine.high * factor == math.inf else decimal(max(fine.high * factor, -LARGEST))
    body = high if low == "0" and high else f"{low}:{high}"
    return "@" + body if fine.inside else body


def _rounded(value: float) -> float:
    """A value without digits that mean nothing; whole digits stay."""
    return value if value == 0 else round(value, max(0, DIGITS - 1 - math.floor(math.log10(abs(value)))))


def decimal(value: float) -> str:
    """A number without an exponent, which the guidelines do not know; nine digits after the point at most."""
    text = f"{value:.9f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _label(name: str) -> str:
    """A label, quoted; the characters that it may not hold are replaced."""
    return "'" + re.sub("['=|]", "_", one_line(name)) + "'"
