"""What is wrong with a page: links, checks, alerts, metrics and steps that lead nowhere."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt

from meshdiag.checks import all_checks
from meshdiag.errors import MeshdiagError
from meshdiag.promql.expressions import Selector, walk
from meshdiag.promql.parsing import parse
from meshdiag.runbook.steps import Kind, sections, steps
from meshdiag.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from markdown_it.token import Token

    from meshdiag.rules.groups import Rule
    from meshdiag.runbook.library import Page
    from meshdiag.runbook.steps import Step

OF_PROMETHEUS = ("up", "ALERTS", "ALERTS_FOR_STATE", "scrape_*", "prometheus_*", "alertmanager_*", "go_*", "process_*")
"""Metrics that Prometheus makes itself, and those of the monitoring itself."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a page may speak of. ``alerts`` and ``metrics``: the names that exist; ``refusal``: why a command line
    (its words, without the program's name) cannot be a step, or with ``shown`` why meshdiag does not take it; ""
    where it can."""

    alerts: frozenset[str]
    metrics: frozenset[str]
    refusal: Callable[[Sequence[str], bool], str]


@dataclass(frozen=True, slots=True, order=True)
class Slip:
    """One thing that is wrong: the line in the file, and a sentence."""

    line: int
    sentence: str


def known_of(rules: Sequence[Rule], refusal: Callable[[Sequence[str], bool], str]) -> Known:
    """What there is, by the catalog of metrics and these rules."""
    from meshdiag.catalog import METRICS

    cataloged = {name for metric in METRICS for name in metric.series_names}
    ruled = {name for rule in rules for name in metrics_in(rule.expr)}
    recorded = {rule.name for rule in rules if rule.record}
    return Known(
        frozenset(rule.name for rule in rules if not rule.record), frozenset(cataloged | ruled | recorded), refusal
    )


def metrics_in(expression: str) -> set[str]:
    """The names of metrics that an expression selects. Raises ``QueryError`` for one that does not parse."""
    return {one.name for one in walk(parse(expression)) if isinstance(one, Selector) and one.name}


def lint(page: Page, known: Known) -> tuple[Slip, ...]:
    """Everything that is wrong with a page, in the order of its lines."""
    found = sections(page)
    slips = [
        *_front_matter(page, known),
        *_text(page, known),
        *(Slip(*one) for section in found for one in section.problems),
        *(slip for step in steps(found) for slip in _step(step, known)),
    ]
    return tuple(sorted(set(slips)))


def _front_matter(page: Page, known: Known) -> Iterator[Slip]:
    for id_ in page.checks:
        if id_ not in all_checks():
            hint = did_you_mean(id_, all_checks(), "'meshdiag checks' lists them")
            yield Slip(page.key_lines.get("checks", 1), f"no check is called {id_!r}; {hint}")
    for name in page.alerts:
        if name not in known.alerts:
            hint = did_you_mean(name, known.alerts, "name your rule files in the configuration's context (rules)")
            yield Slip(page.key_lines.get("alerts", 1), f"no rule makes an alert {name!r}; {hint}")


def _step(step: Step, known: Known) -> Iterator[Slip]:
    for number, sentence in step.problems:
        yield Slip(number, sentence)
    for line in step.lines:
        if line.checks:
            yield from (Slip(line.number, why) for id_ in line.words if (why := _no_check(id_)))
        elif why := known.refusal(line.words, False):
            yield Slip(line.number, why)
    if step.kind is Kind.PROMQL and step.expression:
        yield from _expression(step, known)


def _no_check(pattern: str) -> str:
    if any(fnmatchcase(id_, pattern) for id_ in all_checks()):
        return ""
    hint = did_you_mean(pattern, all_checks(), "a command line begins with 'meshdiag'")
    return f"no check is called {pattern[:60]!r}; {hint}"


def _expression(step: Step, known: Known) -> Iterator[Slip]:
    try:
        names = metrics_in(step.expression)
    except MeshdiagError as error:
        yield Slip(step.number, f"the query cannot be read: {error.message.partition(chr(10))[0]}")
        return
    for name in sorted(names):
        if name not in known.metrics and not any(fnmatchcase(name, one) for one in OF_PROMETHEUS):
            hint = did_you_mean(name, known.metrics, "neither the catalog nor a rule has it")
            yield Slip(step.number, f"no metric is called {name!r}; {hint}")


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark")


def _text(page: Page, known: Known) -> Iterator[Slip]:
    """Links to files that are not there, command lines in the text that are none, blocks that look like steps."""
    text = page.text.replace("\r", "\n")
    lines = text.split("\n")
    for token in _parser().parse(text):
        if token.map is None:
            continue
        number = page.first_line + token.map[0]
        if token.type == "fence" and _looks_like_a_step(token, lines[token.map[0]]):
            yield Slip(
                number, "this block is never run: a step is unindented, between backticks, in no list or quotation"
            )
        for child in token.children or ():
            if child.type == "softbreak":
                number += 1
            elif child.type == "link_open" and (why := _dead(page, str(child.attrGet("href") or ""))):
                yield Slip(number, why)
            elif child.type == "code_inline" and child.content.startswith("meshdiag "):
                yield from (Slip(number, why) for why in _shown(child.content, known) if why)


def _looks_like_a_step(token: Token, line: str) -> bool:
    language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
    return language in set(Kind) and (token.level > 0 or not line.startswith("```"))


def _dead(page: Page, href: str) -> str:
    """Why a link leads nowhere; links to other servers are not followed."""
    try:
        parts = urlsplit(href)
    except ValueError:
        return f"{href[:60]!r} is no link"
    if parts.scheme or parts.netloc or not parts.path:
        return ""
    try:
        there = (page.path.parent / unquote(parts.path)).exists()
    except (OSError, ValueError):
        there = False
    return "" if there else f"the link to {href[:60]!r} is dead: there is no such file beside the page"


def _shown(text: str, known: Known) -> Iterator[str]:
    try:
        words = shlex.split(text)[1:]
    except ValueError as error:
        yield f"{text[:60]!r} cannot be read: {str(error).lower()}"
        return
    yield known.refusal(words, True)
