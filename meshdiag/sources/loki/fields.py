"""``--where`` and ``--field`` as LogQL: a parser, and filters on the labels that it makes.

``consensus.round`` becomes ``consensus_round``, or ``consensus_round_extracted`` where the stream has a label of that
name. A filter is sent only where it lets everything through that the condition lets through: what cannot be said (a
``not``, a duration, the order of two texts) is left to the exact test, and lines that the parser cannot read pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from meshdiag.logs.where import Both, Comparison, Either, Present
from meshdiag.logs.where.tree import BUILT_IN
from meshdiag.sources.loki import said
from meshdiag.sources.loki.logql import label_name, quoted, regex_quoted, sendable, whole

if TYPE_CHECKING:
    from meshdiag.logs.where import Node

_PLAIN_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LIKE_A_NUMBER = re.compile(r"[-+0-9.eE]*")
"""Texts that may be another spelling of a number (1e3 and 1000.0): two readers may disagree on them."""
DUPLICATE: Final = "_extracted"
_NUMERIC: Final = {"=": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


class Lines(Enum):
    """What the lines of the streams are, as far as a sample tells: the parser to ask with."""

    JSON = "json"
    LOGFMT = "logfmt"
    OTHER = ""
    """Neither, or several: no parser; a line must name the field, or its stream have a label of that name."""
    UNKEYED = "none"
    """Fields whose names do not stand in the line (a user's format): nothing can be said of them."""


@dataclass(slots=True)
class FieldStages:
    """The stages for one condition, collected: which fields lines must name, then the parser and the filter."""

    lines: Lines
    names: dict[str, str] = field(default_factory=dict)
    """What a line is searched for: the expression, and the number of its ``said_`` label."""
    _parsed: bool = False

    def of(self, condition: Node) -> list[str]:
        """The stages for a condition; none where nothing can be said of it."""
        if self.lines is Lines.UNKEYED:
            return []
        filtered = self._filter(condition)
        if filtered is None:
            return []
        parser = [f"| {self.lines.value}"] if self.lines in (Lines.JSON, Lines.LOGFMT) and self._parsed else []
        return [*self._searches(), *parser, f"| {filtered}"]

    def _searches(self) -> list[str]:
        stages = [said.stage(number, regex) for regex, number in self.names.items()]
        if self._parsed and self.lines is Lines.LOGFMT:
            stages.append(said.stage("json", said.BRACED))
        return stages

    def _filter(self, node: Node) -> str | None:
        """The label filter of a part, None where it cannot narrow anything."""
        if isinstance(node, Both):
            left, right = self._filter(node.left), self._filter(node.right)
            return left if right is None else right if left is None else f"({left} and {right})"
        if isinstance(node, Either):
            left, right = self._filter(node.left), self._filter(node.right)
            return None if left is None or right is None else f"({left} or {right})"
        if isinstance(node, Present):
            return self._present(node.path)
        return self._comparison(node) if isinstance(node, Comparison) else None

    def _present(self, path: tuple[str, ...]) -> str | None:
        if path[0] in BUILT_IN or not all(_PLAIN_PART.fullmatch(part) for part in path):
            return None
        regex = said.of_names(path[-1:])
        if regex is None:
            return None
        number = self.names.setdefault(regex, str(len(self.names)))
        return f'({said.is_said(number)} or {label_name(path)}!="")'

    def _comparison(self, node: Comparison) -> str | None:
        tested = _label_filter(node)
        if tested is None or node.path[0] in BUILT_IN or not all(_PLAIN_PART.fullmatch(part) for part in node.path):
            return self._present(node.path)
        name = label_name(node.path)
        if self.lines is Lines.OTHER:
            present = self._present(node.path)
            return None if present is None else f"({present} or {name}{tested})"
        self._parsed = True
        unread = '__error__!=""'
        if self.lines is Lines.LOGFMT:  # its parser takes anything, JSON as well
            unread = f"{said.is_said('json')} or {unread}"
        return f"({name}{tested} or {name}{DUPLICATE}{tested} or {unread})"


def _label_filter(node: Comparison) -> str | None:
    """Operator and value, None where LogQL has no such comparison or may read the value differently."""
    value = node.value
    if isinstance(value, bool):
        # A text counts as true however its letters are written.
        return f"=~{quoted(whole(f'(?i:{str(value).lower()})'))}" if node.op == "=" else None
    if isinstance(value, float):
        number = _plain(value)
        return f"{_NUMERIC[node.op]}{number}" if number and node.op in _NUMERIC else None
    if not isinstance(value, str) or not sendable(value) or _LIKE_A_NUMBER.fullmatch(value) or "\ufffd" in value:
        return None
    if node.op in ("=", "!="):
        return f"{node.op}{quoted(value)}"
    if node.op == "contains":
        return f"=~{quoted(f'(?s:.*{regex_quoted(value)}.*)')}"
    return None


def _plain(value: float) -> str:
    """A number as every version of LogQL reads it, without sign and exponent; "" where it is no such number."""
    text = repr(value).removesuffix(".0")
    return text if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text) and value < 2**53 else ""
