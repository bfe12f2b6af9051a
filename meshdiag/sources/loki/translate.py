"""A ``Selection`` as LogQL: what Loki can decide is decided there, the rest is let through for the exact test here.

Each part of a selection becomes a filter that refuses no line that the exact test would take; so what comes back is
what was asked for once ``Matcher`` has seen it, and few lines come for nothing:

    --grep                  line filters, in the order given
    --level                 ``level!~"(?i:info|…)"`` in the selector; lines of streams without that label must hold a
                            word, letter or number of the levels, or have another label that says it
    --component, --node     ``component=~"(?i:consensus)?"`` in the selector; the same for streams without the label
    --where, --field        a parser and label filters (``fields``)

A number may be spelled in two ways (1.50, 1.5) and text may be not UTF-8: such values are not sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag.logs.where import Both, Present
from meshdiag.sources.loki import said
from meshdiag.sources.loki.fields import FieldStages
from meshdiag.sources.loki.labels import NOBODY, Streams, spellings_outside
from meshdiag.sources.loki.lines import line_filters
from meshdiag.sources.loki.logql import Query, one_of, quoted, sendable, whole, with_matchers

if TYPE_CHECKING:
    from meshdiag.logs.record import Level
    from meshdiag.logs.selection import Selection
    from meshdiag.logs.where import Node
    from meshdiag.sources.loki.fields import Lines
    from meshdiag.sources.loki.labels import LabelNames, Names


@dataclass(frozen=True, slots=True)
class _Part:
    """What one part of a selection adds: matchers of the selector, searches of the line, filters on labels."""

    matchers: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    exact: bool = True


def translate(
    selection: Selection,
    base: str,
    names: LabelNames,
    *,
    streams: Streams | None = None,
    lines: Lines | None = None,
) -> Query:
    """The query for a selection (its window and bounds are parameters beside it). ``base`` is the stream selector of
    the mesh; ``lines`` None leaves conditions on fields out, as the question that takes a sample does."""
    streams = streams or Streams()
    filters, exact = line_filters(selection.patterns)
    parts = [_Part((), tuple(filters), exact)]
    if selection.levels is not None:
        parts.append(_of_level(selection.levels, names.level, streams))
    if selection.components:
        parts.append(_of_names("component", selection.components, names.component, streams))
    if selection.nodes:
        parts.append(_of_names("node", selection.nodes, names.node, streams))
    parts.append(_of_fields(selection, lines))
    return Query(
        with_matchers(base, (matcher for part in parts for matcher in part.matchers)),
        tuple(stage for part in parts for stage in part.stages),
        all(part.exact for part in parts),
    )


def unfiltered(base: str) -> Query:
    """Every line of the streams: for context lines, which no filter may hide."""
    return Query(with_matchers(base, ()), (), exact=False)


def _of_level(levels: frozenset[Level], names: Names, streams: Streams) -> _Part:
    others = spellings_outside(levels)
    refused = f"!~{quoted(one_of(others))}" if others else '!=""'
    matchers = (f"{names.first}{refused}",) if others else ()
    if streams.always(names.first):
        return _Part(matchers)
    nothing = f"!~{quoted(whole(one_of((*others, *sorted(NOBODY)), also_empty=True)))}"
    labelled = [f"{name}{nothing}" for name in names.after]
    either = " or ".join((said.is_said("level"), f'{names.first}!=""', *labelled))
    return _Part(matchers, (said.stage("level", said.of_levels(levels)), f"| {either}"), exact=False)


def _of_names(kind: str, wanted: tuple[str, ...], names: Names, streams: Streams) -> _Part:
    if not all(map(sendable, wanted)):
        return _Part(exact=False)
    if streams.always(names.first):
        return _Part((f"{names.first}=~{quoted(one_of(wanted))}",))
    matcher = f"{names.first}=~{quoted(one_of(wanted, also_empty=True))}"
    regex = said.of_names(wanted)
    if regex is None:
        return _Part((matcher,), exact=False)
    labelled = [f"{name}=~{quoted(whole(one_of(wanted)))}" for name in names.after]
    either = " or ".join((said.is_said(kind), f'{names.first}!=""', *labelled))
    return _Part((matcher,), (said.stage(kind, regex), f"| {either}"), exact=False)


def asks_for_fields(selection: Selection) -> bool:
    """Whether a sample of the lines is needed to translate it well."""
    return _condition(selection) is not None


def _condition(selection: Selection) -> Node | None:
    """``--where`` and ``--field`` as one condition; None where neither is asked for, or it is of an unknown kind."""
    root: Node | None = getattr(selection.where, "root", None)
    if selection.field is None:
        return root
    present = Present(tuple(selection.field.split(".")))
    return present if root is None else Both(root, present)


def _of_fields(selection: Selection, lines: Lines | None) -> _Part:
    condition = _condition(selection)
    if condition is None:
        return _Part(exact=selection.where is None)
    return _Part((), tuple(FieldStages(lines).of(condition)) if lines else (), exact=False)
