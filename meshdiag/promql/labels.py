"""Functions that write labels: label_replace, label_join, and sorting by labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.errors import QueryError
from meshdiag.promql.parsing import compile_regex
from meshdiag.promql.values import distinct
from meshdiag.regexes import when_used

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from meshdiag.promql.evaluator import Evaluation
    from meshdiag.promql.expressions import Call
    from meshdiag.promql.values import Elements, Labels

_REFERENCE = when_used(r"\$(?:\$|(?P<plain>\w+)|\{(?P<braced>\w+)\})")
_DIGITS = when_used(r"(\d+)")


def _label_replace(evaluation: Evaluation, node: Call) -> Elements:
    destination, replacement, source, pattern = (evaluation.text(argument) for argument in node.args[1:])
    try:
        regex = compile_regex(pattern)
    except QueryError:
        raise QueryError(f"invalid regular expression in label_replace(): {pattern}") from None
    _check_label(destination, "label_replace")
    result: Elements = []
    for labels, value in evaluation.elements(node.args[0]):
        found = regex.fullmatch(labels.get(source, ""))
        written = labels if found is None else _with(labels, destination, expand_reference(replacement, found))
        result.append((written, value))
    return distinct(result)


def expand_reference(template: str, found: re.Match[str]) -> str:
    """A replacement with ``$1``, ``${1}``, ``$name`` filled in; unknown groups are empty."""

    def fill(reference: re.Match[str]) -> str:
        name = reference["plain"] or reference["braced"]
        if name is None:
            return "$"
        try:
            return found[int(name) if name.isdigit() else name] or ""
        except IndexError:
            return ""

    return _REFERENCE.sub(fill, template)


def _label_join(evaluation: Evaluation, node: Call) -> Elements:
    destination, separator, *sources = (evaluation.text(argument) for argument in node.args[1:])
    _check_label(destination, "label_join")
    joined = [
        (_with(labels, destination, separator.join(labels.get(name, "") for name in sources)), value)
        for labels, value in evaluation.elements(node.args[0])
    ]
    return distinct(joined)


def _with(labels: Labels, name: str, value: str) -> Labels:
    """The labels with one of them written; an empty value takes it away."""
    written = {key: old for key, old in labels.items() if key != name}
    if value:
        written[name] = value
    return written


def _check_label(name: str, function: str) -> None:
    if not name or "\ufffd" in name or any("\udc80" <= character <= "\udcff" for character in name):
        raise QueryError(f"invalid destination label name in {function}(): {name}")


def _sort_by_label(evaluation: Evaluation, node: Call) -> Elements:
    names = [evaluation.text(argument) for argument in node.args[1:]]

    def key(element: tuple[Labels, float]) -> tuple[object, ...]:
        labels = element[0]
        return (*(_natural(labels.get(name, "")) for name in names), sorted(labels.items()))

    return sorted(evaluation.elements(node.args[0]), key=key, reverse=node.function.endswith("desc"))


def _natural(text: str) -> list[tuple[int, int, str]]:
    """A key that sorts numbers inside text by their size: 2 before 10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in _DIGITS.split(text) if part]


LABEL_FUNCTIONS: dict[str, Callable[[Evaluation, Call], Elements]] = {
    "label_replace": _label_replace,
    "label_join": _label_join,
    "sort_by_label": _sort_by_label,
    "sort_by_label_desc": _sort_by_label,
}
"""The label functions by name."""
