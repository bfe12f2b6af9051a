"""Which receivers an alert reaches: Alertmanager's routing tree, read from its configuration and walked as it does.

Source: https://prometheus.io/docs/alerting/latest/configuration/ (route, matcher), dispatch/route.go: an alert goes to
the deepest route that it matches, to the first of several unless ``continue`` is set; a route without a receiver of
its own has its parent's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from meshdiag.errors import SourceError, Trouble
from meshdiag.regexes import when_used

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshdiag.yamltree import Node

DEEPEST: Final = 100
_MATCHER = when_used(r'\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^",{}]*?)\s*(?:,|$)')
_ESCAPE = when_used(r'\\(["\\n])')


class Matcher(NamedTuple):
    """``name="value"``; ``sign`` is one of ``=``, ``!=``, ``=~``, ``!~``. A label that is not there is empty."""

    name: str
    sign: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels fits. Regular expressions are Go's, and must fit the whole value."""
        found = labels.get(self.name, "")
        if self.sign in ("=", "!="):
            return (found == self.value) is (self.sign == "=")
        return _whole(self.value, found) is (self.sign == "=~")

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.sign}"{escaped}"'


@dataclass(frozen=True, slots=True)
class Route:
    """One route and those below it. ``goes_on``: later siblings are looked at too (``continue``). ``muted_in`` and
    ``active_in`` name time intervals."""

    receiver: str
    matchers: tuple[Matcher, ...] = ()
    goes_on: bool = False
    group_by: tuple[str, ...] = ()
    muted_in: tuple[str, ...] = ()
    active_in: tuple[str, ...] = ()
    routes: tuple[Route, ...] = field(default_factory=tuple)

    def reached(self, labels: Mapping[str, str]) -> tuple[tuple[Route, ...], ...]:
        """The routes that an alert ends in, each with the way to it, this one first; none where it does not match."""
        if not all(one.matches(labels) for one in self.matchers):
            return ()
        found: list[tuple[Route, ...]] = []
        for child in self.routes:
            ways = child.reached(labels)
            found += [(self, *way) for way in ways]
            if ways and not child.goes_on:
                break
        return tuple(found) or ((self,),)


def read_routes(config: str) -> Route:
    """The routing tree of a configuration (YAML). Raises ``SourceError`` (malformed) with line and reason."""
    from meshdiag.yamltree import YamlError, read_yaml

    try:
        documents = read_yaml(config)
        top = _child(documents[0], "route") if documents else None
        if top is None:
            raise YamlError(1, "there is no route")
        return _route(top, "", 0)
    except YamlError as error:
        raise SourceError(
            f"Alertmanager's configuration cannot be read: line {error.line}: {error.message}",
            trouble=Trouble.MALFORMED,
            source="Alertmanager",
        ) from error


def _route(node: Node, inherited: str, depth: int) -> Route:
    from meshdiag.yamltree import YamlError

    if depth > DEEPEST:
        raise YamlError(node.line, f"more than {DEEPEST} routes within each other")
    receiver = _text(node, "receiver") or inherited
    children = _child(node, "routes")
    return Route(
        receiver=receiver,
        matchers=tuple(_matchers(node)),
        goes_on=_text(node, "continue") == "true",
        group_by=_texts(node, "group_by"),
        muted_in=_texts(node, "mute_time_intervals"),
        active_in=_texts(node, "active_time_intervals"),
        routes=tuple(_route(one, receiver, depth + 1) for one in (children.items if children else ())),
    )


def _matchers(node: Node) -> Iterator[Matcher]:
    """``matchers`` as they are written today, ``match`` and ``match_re`` as they were."""
    for key, sign in (("match", "="), ("match_re", "=~")):
        old = _child(node, key)
        for name, value in old.pairs if old is not None else ():
            yield Matcher(name.text or "", sign, value.text or "")
    written = _child(node, "matchers")
    if written is not None:
        for one in written.items or [written]:
            yield from parse_matchers(one.text or "", one.line)


def parse_matchers(text: str, line: int = 0) -> list[Matcher]:
    """``severity="critical", instance=~"a.*"``, in braces or without. Raises ``YamlError``."""
    from meshdiag.yamltree import YamlError

    body = text.strip()
    if body.startswith("{") and body.endswith("}"):
        body = body[1:-1]
    found, place = [], 0
    while place < len(body.rstrip(", ")):
        match = _MATCHER.match(body, place)
        if match is None:
            raise YamlError(line, f"{text!r} is not a matcher")
        name, sign, value = match.groups()
        if value.startswith('"'):
            value = _ESCAPE.sub(lambda one: {"n": "\n"}.get(one[1], one[1]), value[1:-1])
        found.append(Matcher(name, sign, value))
        place = match.end()
    return found


def _child(node: Node, key: str) -> Node | None:
    return next((value for name, value in node.pairs if name.text == key), None)


def _text(node: Node, key: str) -> str:
    child = _child(node, key)
    return (child.text or "") if child is not None else ""


def _texts(node: Node, key: str) -> tuple[str, ...]:
    child = _child(node, key)
    return tuple(one.text or "" for one in child.items) if child is not None else ()


def _whole(pattern: str, text: str) -> bool:
    """Whether a pattern fits all of a text, in time that grows with the text alone."""
    import re2

    try:
        return re2.fullmatch(f"(?s:{pattern})", text) is not None
    except re2.error:
        return re.escape(pattern) == text
