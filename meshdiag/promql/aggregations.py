"""Aggregations: sum, avg, min, max, count, group, stddev, stdvar, topk, bottomk, limitk, quantile, count_values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meshdiag.errors import QueryError
from meshdiag.promql.numbers import average, biggest, quantile, smallest, total, variance
from meshdiag.promql.refusals import refused_aggregation
from meshdiag.promql.values import METADATA, format_float

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from meshdiag.promql.evaluator import Evaluation
    from meshdiag.promql.expressions import Aggregate
    from meshdiag.promql.values import Element, Elements, Labels

Group = tuple["Labels", list["Element"]]


def aggregate(evaluation: Evaluation, node: Aggregate) -> Elements:
    """The value of an aggregation at ``evaluation.now``."""
    if node.op in _PLAIN:
        reduce = _PLAIN[node.op]
        elements = evaluation.elements(node.expr)
        if node.op in _OF_ONE_ITSELF and len(node.labels) == 1 and not node.without:
            alone = _alone(node.labels[0], elements)
            if alone is not None:
                return alone
        groups = _groups(node, elements)
        return [(labels, reduce([value for _, value in members])) for labels, members in groups]
    if node.op in _WITH_PARAM and node.param is not None:
        return _WITH_PARAM[node.op](evaluation, node)
    raise refused_aggregation(node.op)


def _groups(node: Aggregate, elements: Elements) -> Iterable[Group]:
    """The elements by their grouping labels, in order of first appearance."""
    if node.without:
        return _groups_without(frozenset(node.labels) | METADATA, elements)
    if not node.labels:
        return [({}, elements)] if elements else []
    if len(node.labels) == 1:
        return _groups_by_one(node.labels[0], elements)
    names = node.labels
    groups: dict[tuple[str, ...], Group] = {}
    for element in elements:
        get = element[0].get
        key = tuple([get(name, "") for name in names])
        group = groups.get(key)
        if group is None:
            group = groups[key] = ({name: value for name, value in zip(names, key, strict=True) if value}, [])
        group[1].append(element)
    return groups.values()


def _alone(name: str, elements: Elements) -> Elements | None:
    """Each element by one label, where no two share its value, as with one series a node; else None."""
    found = {labels.get(name, ""): value for labels, value in elements}
    if len(found) != len(elements):
        return None
    return [({name: key} if key else {}, value) for key, value in found.items()]


def _groups_by_one(name: str, elements: Elements) -> Iterable[Group]:
    groups: dict[str, Group] = {}
    for element in elements:
        key = element[0].get(name, "")
        group = groups.get(key)
        if group is None:
            group = groups[key] = ({name: key} if key else {}, [])
        group[1].append(element)
    return groups.values()


def _groups_without(dropped: frozenset[str], elements: Elements) -> Iterable[Group]:
    groups: dict[frozenset[tuple[str, str]], Group] = {}
    for element in elements:
        labels = {name: value for name, value in element[0].items() if name not in dropped}
        key = frozenset(labels.items())
        group = groups.get(key)
        if group is None:
            group = groups[key] = (labels, [])
        group[1].append(element)
    return groups.values()


_PLAIN: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": total,
    "avg": average,
    "min": smallest,
    "max": biggest,
    "count": lambda values: float(len(values)),
    "group": lambda _values: 1.0,
    "stddev": lambda values: math.sqrt(variance(values)),
    "stdvar": variance,
}


_OF_ONE_ITSELF = frozenset({"sum", "avg", "min", "max"})
"""What these make of a single value is the value."""


def _quantile(evaluation: Evaluation, node: Aggregate) -> Elements:
    assert node.param is not None
    q = evaluation.scalar(node.param)
    if math.isnan(q) or not 0 <= q <= 1:
        evaluation.warn(f"quantile value should be between 0 and 1, got {q:g}")
    groups = _groups(node, evaluation.elements(node.expr))
    return [(labels, quantile(q, [value for _, value in members])) for labels, members in groups]


def _count(evaluation: Evaluation, node: Aggregate) -> int:
    """How many elements ``topk`` and its kin keep."""
    assert node.param is not None
    wanted = evaluation.scalar(node.param)
    if math.isnan(wanted):
        raise QueryError("Parameter value is NaN")
    if not -(2.0**63) < wanted < 2.0**63:
        raise QueryError(f"Scalar value {wanted:g} {'over' if wanted > 0 else 'under'}flows int64")
    return max(0, int(wanted))


def _extreme(highest: bool) -> Callable[[Evaluation, Aggregate], Elements]:
    """topk or bottomk: NaN is always the last to be chosen."""

    def key(element: Element) -> tuple[bool, float]:
        value = element[1]
        return (value != value, 0.0 if value != value else -value if highest else value)

    def keep(evaluation: Evaluation, node: Aggregate) -> Elements:
        count = _count(evaluation, node)
        result: Elements = []
        if count:
            for _, members in _groups(node, evaluation.elements(node.expr)):
                result.extend(sorted(members, key=key)[:count])
        return result

    return keep


def _limitk(evaluation: Evaluation, node: Aggregate) -> Elements:
    count = _count(evaluation, node)
    result: Elements = []
    for _, members in _groups(node, evaluation.elements(node.expr)):
        result.extend(members[:count])
    return result


def _count_values(evaluation: Evaluation, node: Aggregate) -> Elements:
    assert node.param is not None
    label = evaluation.text(node.param)
    if not label or "\ufffd" in label:
        raise QueryError(f'invalid label name "{label}"')
    counts: dict[frozenset[tuple[str, str]], tuple[Labels, int]] = {}
    dropped = node.without and (label in node.labels or label in METADATA)
    for labels, members in _groups(node, evaluation.elements(node.expr)):
        for _, value in members:
            named = labels if dropped else {**labels, label: format_float(value)}
            key = frozenset(named.items())
            counts[key] = (named, counts[key][1] + 1 if key in counts else 1)
    return [(labels, float(count)) for labels, count in counts.values()]


_WITH_PARAM: dict[str, Callable[[Evaluation, Aggregate], Elements]] = {
    "topk": _extreme(True),
    "bottomk": _extreme(False),
    "limitk": _limitk,
    "quantile": _quantile,
    "count_values": _count_values,
}
NAMES = (*_PLAIN, *_WITH_PARAM)
"""The aggregations that are evaluated here."""
