"""Alerting rules that cannot see: they name a metric that nobody exposes, so they stay silent whatever happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag.checks.readings.matching import any_of
from meshdiag.errors import QueryError
from meshdiag.model import Finding, Verdict
from meshdiag.promql.expressions import Binary, Call, Selector, children
from meshdiag.promql.parsing import parse
from meshdiag.promql.selectors import metric_names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from meshdiag.promql.expressions import Expression

PARTS = ("_bucket", "_sum", "_count")
OWN = ("ALERTS", "ALERTS_FOR_STATE")
"""Series of the rule engine itself, which come and go with the alerts."""
CHUNK = 400
"""Names in one query: more would make a regular expression that a server refuses."""


@dataclass(frozen=True, slots=True)
class RuleText:
    """An alerting rule as far as it matters here; ``error`` is what its last evaluation said, "" when it worked."""

    name: str
    query: str
    labels: Mapping[str, str]
    error: str = ""


def names_read(rules: Iterable[RuleText]) -> set[str]:
    """Every name that the rules read."""
    names: set[str] = set()
    for rule in rules:
        try:
            names |= metric_names(rule.query)
        except QueryError:
            continue  # judged below, by the same error
    return names - set(OWN)


def with_parts(names: Collection[str]) -> list[str]:
    """Names, and those of their parts were they histograms."""
    return sorted({*names, *(name + part for name in names for part in PARTS if not name.endswith(PARTS))})


def count_query(names: Iterable[str], instances: Iterable[str] = ()) -> str:
    """How many series there are of each of these names; on these instances where any are given."""
    matchers = [f'__name__=~"{any_of(names)}"']
    if alike := any_of(instances):
        matchers.append(f'instance=~"{alike}"')
    return f"count by (__name__) ({{{','.join(matchers)}}})"


def judge_rules(rules: Iterable[RuleText], present: Collection[str]) -> tuple[Finding, ...]:
    """A finding for each rule; ``present`` are the names that have series. Rules of one name are numbered."""
    seen: dict[str, int] = {}
    findings = []
    for rule in rules:
        seen[rule.name] = number = seen.get(rule.name, 0) + 1
        subject = rule.name if number == 1 else f"{rule.name} #{number}"
        verdict, message = _judge_rule(rule, present)
        findings.append(Finding(subject, verdict, message, labels=dict(rule.labels)))
    return tuple(findings)


def _judge_rule(rule: RuleText, present: Collection[str]) -> tuple[Verdict, str]:
    if rule.error:
        return Verdict.FAIL, f"the rule cannot be evaluated: {rule.error}"
    try:
        expression = parse(rule.query)
    except QueryError as error:
        return Verdict.UNKNOWN, f"the rule cannot be read: {error.message}"
    lacking = sorted(blinding(expression, present))
    if not lacking:
        return Verdict.PASS, "every metric in the rule has series"
    return Verdict.WARN, "the rule is blind: " + "; ".join(_lack(name, present) for name in lacking)


def _lack(name: str, present: Collection[str]) -> str:
    parts = [name + part for part in PARTS if name + part in present]
    if parts:
        return f"{name} is exposed as a histogram ({', '.join(parts)}), which the plain name does not match"
    return f"nobody exposes {name}"


def blinding(expression: Expression, present: Collection[str]) -> set[str]:
    """The names without series that keep an expression from ever giving anything."""
    blind = blind_selectors(expression, lambda selector: selector.name is None or selector.name in present)
    return {selector.name for selector in blind if selector.name is not None}


def blind_selectors(expression: Expression, sees: Callable[[Selector], bool]) -> set[Selector]:
    """The selectors that see nothing and so keep an expression from ever giving anything.

    Absence is what ``absent`` asks for; of the sides of ``or`` one is enough; the right side of ``unless`` may be
    empty.
    """
    match expression:
        case Selector(name=name):
            return set() if name in OWN or sees(expression) else {expression}
        case Call(function="absent" | "absent_over_time"):
            return set()
        case Binary(op="or", left=left, right=right):
            first, second = blind_selectors(left, sees), blind_selectors(right, sees)
            return first | second if first and second else set()
        case Binary(op="unless", left=left):
            return blind_selectors(left, sees)
    return {one for child in children(expression) for one in blind_selectors(child, sees)}
