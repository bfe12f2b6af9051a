"""Why an answer from the nodes' pages is empty: the first selector of the query that is to blame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.catalog import BY_NAME
from meshdiag.metrics import Absence, AbsenceKind
from meshdiag.promql.selectors import needs, selectors
from meshdiag.promql.store import is_stale
from meshdiag.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.context import NodeAddress
    from meshdiag.promql.expressions import Matcher, Selector
    from meshdiag.promql.store import StoredSeries
    from meshdiag.sources.scrape.observed import Observed

_PARTS = ("_bucket", "_sum", "_count", "_total")
SHOWN = 5
"""Most label values or nodes listed in one sentence."""


def classify(query: str, observed: Observed, nodes: Sequence[NodeAddress]) -> Absence:
    """Why ``query``, whose families are loaded, had no answer. Raises ``QueryError`` when it does not parse."""
    down = [node for node, page in zip(nodes, observed.looks[-1].pages, strict=True) if page.error is not None]
    if len(down) == len(nodes):
        return Absence(AbsenceKind.UNREACHABLE, f"none of the {len(nodes)} nodes answers")
    for selector in selectors(query):
        if absence := _of_selector(selector, observed, nodes, down):
            return absence
    if needs(query).window and len(observed.looks) < 2:
        return Absence(
            AbsenceKind.FILTERED, "the series exist, but a rate needs two looks at the pages, and only one was taken"
        )
    return Absence(AbsenceKind.FILTERED, "the series exist, but the expression leaves none of them over")


def _of_selector(
    selector: Selector, observed: Observed, nodes: Sequence[NodeAddress], down: Sequence[NodeAddress]
) -> Absence | None:
    selected = observed.store.select(selector)
    if any(not is_stale(series.values[-1]) for series in selected):
        return None
    if lost := _lost(selector, nodes, down):
        return Absence(AbsenceKind.TARGET_DOWN, f"{selector} is exposed by nodes that do not answer: {lost}")
    if selected:
        return Absence(AbsenceKind.STALE, f"{selector} was there at an earlier look and is gone from the pages")
    if selector.name is None:
        return Absence(AbsenceKind.NEVER_SEEN, f"no series on the pages matches {selector}")
    named = observed.store.named(selector.name)
    if not named and selector.name in observed.names_on_pages():
        return Absence(AbsenceKind.TARGET_DOWN, _unreadable(selector.name, observed))
    if not named:
        return Absence(AbsenceKind.NEVER_SEEN, f"no node exposes {selector.name}{_nearest(selector.name, observed)}")
    return Absence(AbsenceKind.OTHER_LABELS, _other_labels(selector, named))


def _lost(selector: Selector, nodes: Sequence[NodeAddress], down: Sequence[NodeAddress]) -> str:
    """The nodes that are down and account for the whole selector; "" when others could have it."""
    metric = BY_NAME.get(selector.name or "")

    def could(node: NodeAddress) -> bool:
        if metric is not None and node.role and node.role not in metric.roles:
            return False
        return all(matcher.matches({"instance": node.instance}) for matcher in _on_instance(selector))

    able = [node for node in nodes if could(node)]
    lost = [node for node in able if node in down]
    return _list([node.instance for node in lost]) if lost and len(lost) == len(able) else ""


def _on_instance(selector: Selector) -> list[Matcher]:
    return [matcher for matcher in selector.matchers if matcher.name == "instance"]


def _nearest(name: str, observed: Observed) -> str:
    present = observed.names_on_pages()
    parts = [name + part for part in _PARTS if name + part in present]
    if parts:
        return f"; it is exposed as {_list(parts)}"
    for part in _PARTS:
        if name.endswith(part) and name.removesuffix(part) in present:
            return f"; it is exposed as {name.removesuffix(part)}"
    guess = did_you_mean(name, present, most=1, cutoff=0.75)
    return f"; {guess}" if guess else ""


def _unreadable(name: str, observed: Observed) -> str:
    """That a metric stands on a page in lines which cannot be read, and what is wrong on the first such page."""
    said = next((f": {instance}: {problem}" for instance, problem in observed.broken.items()), "")
    return f"{name} stands on a page, but not in lines that can be read{said}"


def _other_labels(selector: Selector, named: Sequence[StoredSeries]) -> str:
    """Which matcher picks nothing, and what the label is instead."""
    for matcher in selector.matchers:
        if not any(matcher.matches(series.labels) for series in named):
            values = sorted({series.labels.get(matcher.name, "") for series in named} - {""})
            found = f"{matcher.name} is {_list(values)}" if values else f"there is no label {matcher.name}"
            return f"{selector.name} is exposed, but nowhere with {matcher}: {found}"
    return f"{selector.name} is exposed, but nowhere with these labels together: {selector}"


def _list(words: Sequence[str]) -> str:
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more
