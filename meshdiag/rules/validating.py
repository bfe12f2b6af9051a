"""Judges groups and rules as Prometheus does before it takes a file: names, fields, PromQL, templates.

Names are judged as Prometheus 3 does, where any UTF-8 text is a label or metric name; the older rule (letters,
digits, underscores) would refuse files that run today.
Source: Prometheus's model/rulefmt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.errors import QueryError
from meshdiag.metrics import NAME_LABEL
from meshdiag.promql.parsing import parse
from meshdiag.rules.groups import Problem
from meshdiag.rules.templates import check_template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshdiag.rules.reading import Draft, GroupDraft

Complaint = tuple[int, str]
"""The line of what is wrong, and the sentence."""


def group_problems(drafts: Sequence[GroupDraft]) -> Iterator[Problem]:
    """What is wrong with groups as such: names that are missing or repeated, labels that cannot be."""
    seen: set[str] = set()
    for draft in drafts:
        if not draft.name:
            yield Problem(draft.line, "Groupname must not be empty")
        elif draft.name in seen:
            yield Problem(draft.line, f'groupname: "{draft.name}" is repeated in the same file')
        seen.add(draft.name)
        for name in draft.labels:
            if not is_label_name(name):
                yield Problem(draft.line, f"invalid label name: {name}", draft.name)


def rule_problems(rule: Draft) -> Iterator[Complaint]:
    """Everything that is wrong with a rule."""
    record, alert, expr = (rule.texts.get(name, "") for name in ("record", "alert", "expr"))
    if record and alert:
        yield rule.at("alert"), "only one of 'record' and 'alert' must be set"
    if not record and not alert:
        yield rule.line, "one of 'record' or 'alert' must be set"
    if not expr:
        yield rule.at("expr"), "field 'expr' must be set in rule"
    else:
        yield from _query_problems(expr, rule)
    if record:
        yield from _recording_problems(rule, record)
    for name in rule.labels:
        if not is_label_name(name):
            yield rule.at("labels", name), f"invalid label name: {name}"
    for name in rule.annotations:
        if not name:
            yield rule.at("annotations", name), f"invalid annotation name: {name}"
    if alert:
        yield from _template_problems(rule, "labels", "label", rule.labels)
        yield from _template_problems(rule, "annotations", "annotation", rule.annotations)


def is_label_name(name: str) -> bool:
    """Whether a rule may set a label of this name."""
    return bool(name) and name != NAME_LABEL


def _query_problems(expr: str, rule: Draft) -> Iterator[Complaint]:
    try:
        parse(expr)
    except QueryError as error:
        within = error.row + 1 if rule.literal else 0
        yield rule.at("expr") + within, f"could not parse expression: {error.message}"


def _recording_problems(rule: Draft, name: str) -> Iterator[Complaint]:
    if rule.annotations:
        yield rule.at("annotations"), "invalid field 'annotations' in recording rule"
    for one in ("for", "keep_firing_for"):
        if rule.spans.get(one):
            yield rule.at(one), f"invalid field '{one}' in recording rule"
    if "{" in name or "}" in name:
        yield rule.at("record"), f"braces present in the recording rule name; should it be in expr?: {name}"


def _template_problems(rule: Draft, where: str, what: str, texts: Mapping[str, str]) -> Iterator[Complaint]:
    for name, text in texts.items():
        if "{{" in text and (wrong := check_template(text)):
            yield rule.at(where, name), f'{what} "{name}": {wrong}'
