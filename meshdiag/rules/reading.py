"""The text of a rule file to groups, every problem with its line: what Prometheus refuses is refused here.

Fields and types first, as a strict YAML decoder sees them; rules are judged only where those are right. A
PrometheusRule of the Prometheus operator (``spec.groups``) is read too, several in one file or in a List.
Source: Prometheus's model/rulefmt, the PrometheusRule custom resource of the operator (monitoring.coreos.com/v1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshdiag.rules.groups import Group, Problem, Rule, RuleFile, RuleFileError
from meshdiag.rules.spans import parse_span
from meshdiag.rules.validating import group_problems, rule_problems
from meshdiag.spelling import did_you_mean
from meshdiag.yamltree import Merger, YamlError, read_yaml

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from meshdiag.yamltree import Node

MAX_RULES = 100_000
"""Rules of one file that are read at most: aliases can make many out of little text."""
RESOURCE, RESOURCES = "PrometheusRule", ("List", "PrometheusRuleList")

_GROUP_FIELDS = ("name", "interval", "query_offset", "limit", "labels", "rules")
_RULE_FIELDS = ("record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations")
_TYPES = {"groups": "rulefmt.RuleGroups", "group": "rulefmt.RuleGroup", "rule": "rulefmt.Rule"}


@dataclass(slots=True)
class Draft:
    """A rule as it stands in the file: the text of its fields, and the lines where they begin. ``literal``: the
    expression has lines of its own, below that of its field."""

    line: int
    texts: dict[str, str] = field(default_factory=dict)
    spans: dict[str, int] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    literal: bool = False

    @property
    def name(self) -> str:
        """The alert's name, or the recorded metric's."""
        return self.texts.get("alert") or self.texts.get("record", "")

    def at(self, *path: str) -> int:
        """The line of a field (``annotations``, ``summary``), or of the nearest thing around it."""
        return self.lines.get("/".join(path)) or self.lines.get(path[0]) or self.line


@dataclass(slots=True)
class GroupDraft:
    """A group as it stands in the file."""

    line: int
    name: str = ""
    interval_ms: int | None = None
    query_offset_ms: int = 0
    limit: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    rules: list[Draft] = field(default_factory=list)


def read_rules(text: str, file: str) -> RuleFile:
    """The groups of a file, whose name only serves to be shown. Raises ``RuleFileError`` with every problem."""
    reader = _Reader()
    try:
        drafts, notes = reader.groups(read_yaml(text))
    except YamlError as error:
        raise RuleFileError(file, [Problem(error.line, error.message)]) from None
    problems = reader.problems + _judge(drafts, spoiled={(one.group, one.rule) for one in reader.problems})
    if problems:
        raise RuleFileError(file, sorted(problems, key=lambda one: one.line))
    return RuleFile(file, tuple(_group(draft, file) for draft in drafts), tuple(notes))


def _judge(drafts: Sequence[GroupDraft], spoiled: Container[tuple[str, int]]) -> list[Problem]:
    """What is wrong with groups and rules, but for those of which something could not even be read."""
    problems = [one for one in group_problems(drafts) if ("", 0) not in spoiled]
    for group in drafts:
        for number, rule in enumerate(group.rules, 1):
            if (group.name, number) not in spoiled:
                for line, message in rule_problems(rule):
                    problems.append(Problem(line, message, group.name, number, rule.name))
    return problems


def _group(draft: GroupDraft, file: str) -> Group:
    rules = tuple(
        Rule(
            name=one.name,
            expr=one.texts["expr"],
            record=not one.texts.get("alert"),
            for_ms=one.spans.get("for", 0),
            keep_firing_for_ms=one.spans.get("keep_firing_for", 0),
            labels={**draft.labels, **one.labels} if draft.labels else one.labels,
            annotations=one.annotations,
            line=one.line,
        )
        for one in draft.rules
    )
    return Group(draft.name, rules, draft.interval_ms, draft.query_offset_ms, draft.limit, file)


class _Reader:
    """Nodes to drafts; gathers what a strict decoder would refuse."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._merger = Merger()
        self._rules = 0
        self._where: tuple[str, int, str] = ("", 0, "")
        self._operator = False

    def groups(self, roots: Sequence[Node]) -> tuple[list[GroupDraft], list[str]]:
        """Every group of the documents, and what to say of documents that were left out."""
        if not roots or (len(roots) == 1 and roots[0].kind == "null"):
            return [], []
        if any(self._kind(root) for root in roots):
            return self._of_resources(roots)
        notes = []
        if len(roots) > 1:
            notes.append(f"only the first of its {len(roots)} documents is read, as in Prometheus")
        return self._of_top(roots[0]), notes

    def _kind(self, root: Node) -> str:
        """The kind of a Kubernetes resource; "" for anything else."""
        if root.kind != "map":
            return ""
        keys = self._merger.keys(root)
        return (keys["kind"][1].text or "") if "kind" in keys and "apiVersion" in keys else ""

    def _of_resources(self, roots: Sequence[Node]) -> tuple[list[GroupDraft], list[str]]:
        self._operator = True
        drafts: list[GroupDraft] = []
        found = 0
        for node in self._resources(roots):
            found += 1
            spec = self._merger.keys(node).get("spec")
            if spec is not None and spec[1].kind == "map":
                drafts += self._of_top(spec[1])
        if not found:
            line = roots[0].line
            raise YamlError(line, f"a Kubernetes {self._kind(roots[0]) or 'resource'}, and no {RESOURCE}")
        return drafts, []

    def _resources(self, roots: Sequence[Node]) -> Iterator[Node]:
        for root in roots:
            kind = self._kind(root)
            if kind == RESOURCE:
                yield root
            elif kind in RESOURCES:
                items = self._merger.keys(root).get("items")
                yield from (one for one in (items[1].items if items else ()) if self._kind(one) in (RESOURCE, ""))

    def _of_top(self, node: Node) -> list[GroupDraft]:
        drafts: list[GroupDraft] = []
        for name, _key, value in self._fields(node, ("groups",), "groups"):
            if name == "groups":
                drafts = [self._group(one) for one in self._items(value, "[]rulefmt.RuleGroup")]
        return drafts

    def _group(self, node: Node) -> GroupDraft:
        draft = GroupDraft(node.line)
        known = (*_GROUP_FIELDS, "partial_response_strategy") if self._operator else _GROUP_FIELDS
        fields = list(self._fields(node, known, "group"))
        draft.name = next((self._text(value) for name, _key, value in fields if name == "name"), "")
        self._where = (draft.name, 0, "")
        for name, _key, value in fields:
            match name:
                case "interval":
                    draft.interval_ms = self._span(value) or None
                case "query_offset":
                    draft.query_offset_ms = self._span(value)
                case "limit":
                    draft.limit = self._whole(value)
                case "labels":
                    draft.labels = self._words(value, {}, "")
                case "rules":
                    draft.rules = self._rules_of(value, draft.name)
        self._where = ("", 0, "")
        return draft

    def _rules_of(self, node: Node, group: str) -> list[Draft]:
        drafts = []
        for number, item in enumerate(self._items(node, "[]rulefmt.Rule"), 1):
            self._rules += 1
            if self._rules > MAX_RULES:
                raise YamlError(item.line, f"more than {MAX_RULES:,} rules in one file")
            self._where = (group, number, "")
            drafts.append(self._rule(item, group, number))
        return drafts

    def _rule(self, node: Node, group: str, number: int) -> Draft:
        draft = Draft(node.line)
        before = len(self.problems)
        for name, key, value in self._fields(node, _RULE_FIELDS, "rule"):
            draft.lines[name] = key.line
            draft.literal |= value.literal and name == "expr"
            match name:
                case "record" | "alert" | "expr":
                    draft.texts[name] = self._text(value)
                case "for" | "keep_firing_for":
                    draft.spans[name] = self._span(value)
                case "labels":
                    draft.labels = self._words(value, draft.lines, name)
                case "annotations":
                    draft.annotations = self._words(value, draft.lines, name)
        if draft.name and len(self.problems) > before:  # the name may stand behind what is wrong
            self.problems[before:] = [
                Problem(one.line, one.message, group, number, draft.name) for one in self.problems[before:]
            ]
        return draft

    # pieces -------------------------------------------------------------------------------------------------

    def _say(self, line: int, message: str) -> None:
        group, rule, name = self._where
        self.problems.append(Problem(line, message, group, rule, name))

    def _fields(self, node: Node, known: Sequence[str], what: str) -> Iterator[tuple[str, Node, Node]]:
        if node.kind == "null":
            return
        if node.kind != "map":
            hint = "a rule file begins with 'groups:'" if what == "groups" else f"a {what} is a mapping"
            self._mistyped(node, _TYPES[what], hint)
            return
        for name, (key, value) in self._merger.keys(node).items():
            if name in known:
                yield name, key, value
            else:
                guess = did_you_mean(name, known, most=1)
                said = f"field {name} not found in type {_TYPES[what]}"
                self._say(key.line, f"{said}; {guess}" if guess else said)

    def _items(self, node: Node, type_: str) -> list[Node]:
        if node.kind == "seq":
            return node.items
        if node.kind != "null":
            self._mistyped(node, type_, "a list is expected here")
        return []

    def _text(self, node: Node) -> str:
        if node.kind in ("str", "null"):
            return node.text or ""
        self._mistyped(node, "string", "a text is expected here; quote it if it begins with { or [")
        return ""

    def _span(self, node: Node) -> int:
        if node.kind == "null" or (self._operator and node.text == ""):
            return 0
        try:
            return parse_span(self._text(node))
        except ValueError as error:
            self._say(node.line, str(error))
            return 0

    def _whole(self, node: Node) -> int:
        try:
            return int((node.text or "0").replace("_", ""), 0) if node.kind in ("str", "null") else int("")
        except ValueError:
            self._mistyped(node, "int", "a whole number is expected here")
            return 0

    def _words(self, node: Node, lines: dict[str, int], field_name: str) -> dict[str, str]:
        words: dict[str, str] = {}
        if node.kind != "map":
            if node.kind != "null":
                self._mistyped(node, "map[string]string", "names and texts are expected here")
            return words
        for name, (key, value) in self._merger.keys(node).items():
            words[name] = self._text(value)
            if field_name:
                lines[f"{field_name}/{name}"] = key.line
        return words

    def _mistyped(self, node: Node, type_: str, hint: str) -> None:
        shown = f" `{node.text[:20]}`" if node.text else ""
        self._say(node.line, f"cannot unmarshal !!{node.kind}{shown} into {type_}: {hint}")
