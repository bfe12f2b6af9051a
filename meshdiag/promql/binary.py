"""Binary operators: arithmetic, comparison, and the set operators and, or, unless, with vector matching."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, cast

from meshdiag.errors import QueryError
from meshdiag.metrics import NAME_LABEL
from meshdiag.promql.numbers import divide, modulo, power
from meshdiag.promql.values import METADATA, distinct, same_name, show, without_name

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from meshdiag.promql.evaluator import Evaluation
    from meshdiag.promql.expressions import Binary, Matching
    from meshdiag.promql.values import Element, Elements, Labels, Value

ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divide,
    "%": modulo,
    "^": power,
    "atan2": math.atan2,
}
COMPARISON: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
SETS = frozenset({"and", "or", "unless"})


def operate(evaluation: Evaluation, node: Binary) -> Value:
    """The value of a binary operation at ``evaluation.now``."""
    left, right = evaluation.value(node.left), evaluation.value(node.right)
    if isinstance(left, float) and isinstance(right, float):
        return _scalars(node, left, right)
    if isinstance(left, list) and isinstance(right, list):
        return _set(node, left, right) if node.op in SETS else _vectors(node, left, right)
    if isinstance(left, list) and isinstance(right, float):
        return _with_scalar(node, left, right, swapped=False)
    if isinstance(left, float) and isinstance(right, list):
        return _with_scalar(node, right, left, swapped=True)
    raise QueryError("binary expression must contain only scalar and instant vector types")


def _scalars(node: Binary, left: float, right: float) -> float:
    if node.op in ARITHMETIC:
        return ARITHMETIC[node.op](left, right)
    return float(COMPARISON[node.op](left, right))


def _with_scalar(node: Binary, elements: Elements, scalar: float, swapped: bool) -> Elements:
    """A vector and a scalar; ``swapped`` when the scalar stands on the left."""
    if node.op in COMPARISON:
        compare = COMPARISON[node.op]
        kept = [(e, compare(scalar, e[1]) if swapped else compare(e[1], scalar)) for e in elements]
        if not node.bool_:
            return [element for element, holds in kept if holds]
        result = [(without_name(element[0]), float(holds)) for element, holds in kept]
    else:
        apply = ARITHMETIC[node.op]
        result = [
            (without_name(labels), apply(scalar, value) if swapped else apply(value, scalar))
            for labels, value in elements
        ]
    return result if same_name(elements) else distinct(result)


def signature(matching: Matching, apart: frozenset[str] = frozenset({NAME_LABEL})) -> Callable[[Labels], Hashable]:
    """The part of the labels by which two vectors are matched; the labels in ``apart`` only when named by ``on``."""
    if matching.on:
        names = tuple(sorted(matching.labels))
        if len(names) == 1:
            only = names[0]
            return lambda labels: labels.get(only, "")
        return lambda labels: tuple([labels.get(name, "") for name in names])
    dropped = frozenset(matching.labels) | apart
    return lambda labels: frozenset([pair for pair in labels.items() if pair[0] not in dropped])


def _set(node: Binary, left: Elements, right: Elements) -> Elements:
    # one side may have lost its type and unit with its name, the other not
    sign = signature(node.matching, METADATA)
    if node.op == "or":
        taken = {sign(labels) for labels, _ in left}
        return left + [element for element in right if sign(element[0]) not in taken]
    present = {sign(labels) for labels, _ in right}
    wanted = node.op == "and"
    return [element for element in left if (sign(element[0]) in present) is wanted]


def _vectors(node: Binary, left: Elements, right: Elements) -> Elements:
    """Arithmetic or comparison between two vectors. The "one" side is indexed, the "many" side walked."""
    if not left or not right:
        return []
    matching = node.matching
    sign = signature(matching)
    swapped = matching.many == "right"
    many, one = (right, left) if swapped else (left, right)
    single = _index(one, sign, matching, "left" if swapped else "right")
    compare = COMPARISON.get(node.op)
    apply = cast("Callable[[float, float], float]", compare or ARITHMETIC[node.op])
    result: Elements = []
    paired: dict[Hashable, set[frozenset[tuple[str, str]]]] = {}
    for labels, value in many:
        key = sign(labels)
        partner = single.get(key)
        if partner is None:
            continue
        outcome = apply(partner[1], value) if swapped else apply(value, partner[1])
        if compare is not None:
            if node.bool_:
                outcome = float(outcome)
            elif not outcome:
                continue
            else:
                outcome = partner[1] if swapped else value
        shown = _result_labels(node, labels, partner[0])
        _claim(paired, key, shown, matching)
        result.append((shown, outcome))
    return result


_ONE: set[frozenset[tuple[str, str]]] = set()
"""Stands for the one series of a group where there may be no more."""


def _claim(
    paired: dict[Hashable, set[frozenset[tuple[str, str]]]], key: Hashable, labels: Labels, matching: Matching
) -> None:
    """Note that a match group has made this series; two of the same are an error, in Prometheus's words."""
    made = paired.get(key)
    if matching.many is None:
        if made is not None:
            raise QueryError(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            )
        paired[key] = _ONE
        return
    if made is None:
        made = paired[key] = set()
    identity = frozenset(labels.items())
    if identity in made:
        raise QueryError("multiple matches for labels: grouping labels must ensure unique matches")
    made.add(identity)


def _index(one: Elements, sign: Callable[[Labels], Hashable], matching: Matching, side: str) -> dict[Hashable, Element]:
    index: dict[Hashable, Element] = {}
    for element in one:
        other = index.setdefault(sign(element[0]), element)
        if other is not element:
            labels = element[0]
            names = matching.labels if matching.on else [n for n in labels if n not in (*matching.labels, NAME_LABEL)]
            group = show({name: labels[name] for name in names if name in labels})
            raise QueryError(
                f"found duplicate series for the match group {group} on the {side} hand-side of the operation: "
                f"[{show(labels)}, {show(other[0])}];many-to-many matching not allowed: matching labels must be "
                "unique on one side"
            )
    return index


def _result_labels(node: Binary, many: Labels, one: Labels) -> Labels:
    matching = node.matching
    labels = many if node.op in COMPARISON and not node.bool_ else without_name(many)
    if matching.many is None:
        if matching.on:
            return {name: value for name, value in labels.items() if name in matching.labels}
        if matching.labels:
            return {name: value for name, value in labels.items() if name not in matching.labels}
        return labels
    if not matching.include:
        return labels
    labels = dict(labels)
    for name in matching.include:
        if value := one.get(name):
            labels[name] = value
        else:
            labels.pop(name, None)
    return labels
