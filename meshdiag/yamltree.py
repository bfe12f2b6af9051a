"""YAML as nodes that know their line, composed from events, so that nothing in a file can exhaust the stack.

Values stay the text that was written: what is a number or a string depends on the field that they are for.
Aliases share their node; nesting, documents and nodes are bounded, and merge keys (``<<``) are resolved here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 100
MAX_NODES = 2_000_000
MAX_DOCUMENTS = 1000
MAX_MERGED = 100_000
"""Keys taken over by merge keys in one file, at most."""
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


class YamlError(Exception):
    """Text that is not YAML, or more than is read. ``line`` counts from 1; 0 where none can be named."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(eq=False, slots=True)
class Node:
    """A scalar (``text``; None for null), a list (``items``) or a mapping (``pairs``); ``kind`` is Prometheus's
    word for it (``str``, ``null``, ``seq``, ``map``), ``line`` counts from 1. ``literal``: the lines of the text are
    those of the file, from the one after ``line`` on (YAML's ``|``)."""

    kind: str
    line: int
    text: str | None = None
    items: list[Node] = field(default_factory=list)
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    merged: dict[str, tuple[Node, Node]] | None = None
    literal: bool = False


def read_yaml(text: str) -> list[Node]:
    """The roots of all documents. Raises ``YamlError``."""
    import yaml

    try:
        return list(_Composer(text).documents())
    except yaml.YAMLError as error:
        raise _translated(error) from None


def _translated(error: Exception) -> YamlError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
    context = getattr(error, "context", None)
    return YamlError(mark.line + 1 if mark else 0, f"not valid YAML: {f'{context}, ' if context else ''}{problem}")


class _Composer:
    """Turns the events of the parser into nodes, without recursion."""

    def __init__(self, text: str) -> None:
        import yaml

        self._yaml = yaml
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=loader))
        self._count = 0
        self._anchors: dict[str, Node | None] = {}

    def documents(self) -> Iterator[Node]:
        """One root after the other."""
        yaml, found = self._yaml, 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                found += 1
                if found > MAX_DOCUMENTS:
                    raise YamlError(event.start_mark.line + 1, f"more than {MAX_DOCUMENTS} documents in one file")
                self._anchors = {}
                yield self._document()

    def _document(self) -> Node:
        yaml = self._yaml
        root: list[Node] = []
        stack: list[tuple[Node, list[Node], str | None]] = [(Node("seq", 0), root, None)]
        for event in self._events:
            if isinstance(event, yaml.DocumentEndEvent):
                break
            if isinstance(event, yaml.CollectionEndEvent):
                self._close(*stack.pop())
                continue
            node = self._node(event)
            stack[-1][1].append(node)
            if isinstance(event, yaml.CollectionStartEvent):
                stack.append((node, [], event.anchor))
                if len(stack) > MAX_DEPTH:
                    raise YamlError(node.line, f"nested more than {MAX_DEPTH} levels deep")
        return root[0]

    def _close(self, node: Node, children: list[Node], anchor: str | None) -> None:
        if node.kind == "seq":
            node.items = children
        else:
            node.pairs = list(zip(children[::2], children[1::2], strict=True))
        if anchor:
            self._anchors[anchor] = node

    def _node(self, event: Any) -> Node:
        yaml, line = self._yaml, event.start_mark.line + 1
        self._count += 1
        if self._count > MAX_NODES:
            raise YamlError(line, f"more than {MAX_NODES:,} values in one file")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor, line)
        if isinstance(event, yaml.ScalarEvent):
            null = event.style in (None, "") and not event.tag and event.value in _NULLS
            node = Node("null", line) if null else Node("str", line, event.value, literal=event.style == "|")
            if event.anchor:
                self._anchors[event.anchor] = node
            return node
        if event.anchor:
            self._anchors[event.anchor] = None  # until it is closed
        return Node("seq" if isinstance(event, yaml.SequenceStartEvent) else "map", line)

    def _alias(self, name: str, line: int) -> Node:
        if name not in self._anchors:
            raise YamlError(line, f"unknown anchor '{name}' referenced")
        node = self._anchors[name]
        if node is None:
            raise YamlError(line, f"anchor '{name}' value contains itself")
        return node


class Merger:
    """The keys of mappings, merge keys resolved; one a file, because it bounds what they may take over."""

    def __init__(self) -> None:
        self._taken = 0

    def keys(self, node: Node) -> dict[str, tuple[Node, Node]]:
        """Key and value by the key's text. A mapping's own keys go before merged ones. Raises ``YamlError``."""
        if node.merged is not None:
            return node.merged
        own: dict[str, tuple[Node, Node]] = {}
        sources: list[Node] = []
        for key, value in node.pairs:
            if key.kind not in ("str", "null"):
                raise YamlError(key.line, "invalid map key: not a word")
            name = key.text or ""
            if name == "<<":
                sources += value.items if value.kind == "seq" else [value]
            elif name in own:
                raise YamlError(key.line, f'mapping key "{name}" already defined at line {own[name][0].line}')
            else:
                own[name] = (key, value)
        node.merged = self._with(own, sources)
        return node.merged

    def _with(self, own: dict[str, tuple[Node, Node]], sources: list[Node]) -> dict[str, tuple[Node, Node]]:
        for source in sources:
            if source.kind != "map":
                raise YamlError(source.line, "map merge requires map or sequence of maps as the value")
            taken = self.keys(source)
            self._taken += len(taken) + 1
            if self._taken > MAX_MERGED:
                raise YamlError(source.line, f"merge keys take over more than {MAX_MERGED:,} values")
            for name, pair in taken.items():
                own.setdefault(name, pair)
        return own
