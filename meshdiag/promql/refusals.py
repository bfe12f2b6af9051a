"""What Prometheus has and is not evaluated here: refused by name, so that a reader can tell a gap from an error.

Native histograms, and what Prometheus itself calls experimental. Constructs that the parser library does not know
either are found in the text of a query that it refused.
"""

from __future__ import annotations

import re

from meshdiag.errors import QueryError
from meshdiag.regexes import when_used


class NotEvaluated(QueryError):
    """A query that Prometheus may answer and this evaluator does not. ``construct`` says over what, in words."""

    def __init__(self, construct: str, place: str = "") -> None:
        plural = construct.endswith("s") or construct.startswith("the operators")
        super().__init__(f"{construct} {'are' if plural else 'is'} not evaluated here{place}")
        self.construct = construct


def refused_function(name: str) -> NotEvaluated:
    """The error for a function that the parser knows and the evaluator has not."""
    kind = "native histogram" if name.startswith("histogram_") else "experimental"
    return NotEvaluated(f"the {kind} function {name}()")


def refused_aggregation(name: str) -> NotEvaluated:
    """The same for an aggregation."""
    return NotEvaluated(f"the experimental aggregation {name}")


FILL = "the experimental fill modifiers"
_DURATION_FUNCTION = r"\b(?i:step|range|min_of|max_of|min|max)\s*\("
_BRACKETS = when_used(r"\[([^\[\]]*)\]")
_CALCULATED = when_used(rf"(?:\s|[-+*/%^():,]|[\d.]+[a-z\d]*|{_DURATION_FUNCTION})+")
_CONSTRUCTS = (
    (when_used(rf"\b(?i:offset)\s+[-+]?\s*(?P<place>\(|{_DURATION_FUNCTION})"), "duration expressions"),
    (when_used(r"(?P<place></|>/)"), "the operators </ and >/ on native histograms"),
    (when_used(r"(?P<place>\{\{)"), "native histogram literals"),
    (when_used(r"(?P<place>\binfo)\s*\("), "the experimental function info()"),
    (
        when_used(r"(?<!\band)(?<!\bor)(?<!\bunless)(?:[\w\])}])\s+(?P<place>anchored|smoothed)\b"),
        "the experimental anchored and smoothed selectors",
    ),
)


def find_construct(text: str) -> tuple[str, int] | None:
    """The construct for which the parser refused a query, and its place; None when the query is simply wrong.
    ``text`` is the query with the insides of its strings and comments blanked out."""
    for found in _BRACKETS.finditer(text):
        if (where := _calculated(found[1])) is not None:
            return "duration expressions", found.start(1) + where
    for pattern, construct in _CONSTRUCTS:
        if found_one := pattern.search(text):
            return construct, found_one.start("place")
    return None


def _calculated(duration: str) -> int | None:
    """Where arithmetic begins in what stands between brackets; None where it is a plain duration or something else."""
    operation = re.search(rf"[+*/%^(]|(?<=\S)\s*-|{_DURATION_FUNCTION}", duration)
    if operation is None or not _CALCULATED.fullmatch(duration) or duration.count("(") != duration.count(")"):
        return None
    return operation.start()
