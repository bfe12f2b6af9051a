"""What stands behind the header of a text line: which part of the program speaks, on which node, and the message."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from meshdiag.logs.formats.lines import text_of
from meshdiag.regexes import when_used

if TYPE_CHECKING:
    import re

_LOOK = 300
"""Characters in which names are looked for."""

_NAME = r"[A-Za-z_][\w.$/@<>-]{0,127}"
_EDGE = when_used(r"[\s|:,;=/>\])-]{0,40}")
_PROCESS_NUMBER = when_used(r"\d{1,10} -{1,3} (?=\[)")
_BRACKETED = when_used(r"\[([^\]\n]{0,120})\][\s:|-]{0,4}")
_COLON = when_used(rf"({_NAME}(?:\([\w-]{{1,40}}\))?)(?:\[\d{{1,10}}\])? {{0,40}}: +")
_DASH = when_used(rf"({_NAME}) +(?:-+|\|) +")
_COLUMN = when_used(rf"({_NAME})(?: {{2,40}}|\t)(?=\S)")
_TAGGED = when_used(rf"({_NAME}) +(?=[\w.]{{1,40}}=)")
_LAST = when_used(r" \(([\w$]{1,80}(?:\.[\w$]{1,80}){1,12})\)\s*\Z")
_PROCESS = when_used(rf"(?:\A|[ \]])(?P<node>\S{{1,128}}) (?P<component>{_NAME}(?:\([\w-]{{1,40}}\))?)\[\d{{1,10}}\]: ")
_NODE = when_used(r"\bnode(?:_?id)?[=:] ?\"?([A-Za-z0-9_.:-]{1,100})")
_PLAIN = when_used(rf"{_NAME}\Z")


class Parts(NamedTuple):
    """What a message's text holds."""

    component: str
    node: str
    message: str


def anatomy(raw: bytes, before: str, *, named: bool) -> Parts:
    """The parts of what follows a header, continuation lines included. ``before`` is what stood between time and
    level; ``named`` tells whether the text may begin with the name of a component."""
    text = text_of(raw)
    line, newline, more = text.partition("\n")
    line = line.rstrip("\r")
    message = line if line.startswith(("[", "(")) else line[_end(_EDGE.match(line)) :]
    component = before if _PLAIN.match(before) else ""
    host = ""
    if named and not component:
        component, host, message = _speaker(message)
        inner = before.strip("[]() ")
        if not component and _PLAIN.match(inner):
            component = inner
    found = _NODE.search(line, 0, _LOOK) if line.find("node", 0, _LOOK) >= 0 else None
    return Parts(component, found[1].rstrip(".:") if found else host, message + newline + more)


def _end(found: re.Match[str] | None) -> int:
    return found.end() if found else 0


def _speaker(message: str) -> tuple[str, str, str]:
    """Component, node and message of a line's text: ``[network] …``, ``[main] org.Foo: …``, ``Tag: …``,
    ``name - …``, ``… host app[12]: …``, ``… (kafka.server.KafkaServer)``; the mesh's ``consensus node=… …``."""
    place, bracketed = _end(_PROCESS_NUMBER.match(message)) if message[:1].isdigit() else 0, ""
    for _ in range(4):
        found = _BRACKETED.match(message, place) if message.startswith("[", place) else None
        if found is None:
            break
        inner = found[1].strip()
        bracketed = bracketed or (inner if _PLAIN.match(inner) else "")
        place = found.end()
    for pattern in (_COLON, _DASH, _COLUMN):
        found = pattern.match(message, place, _LOOK)
        if found is not None:
            return found[1], "", message[found.end() :]
    if bracketed:
        return bracketed, "", message[place:]
    found = _TAGGED.match(message, 0, _LOOK)
    if found is not None:
        return found[1], "", message[found.end() :]
    found = _PROCESS.search(message, 0, _LOOK)
    if found is not None:
        return found["component"], found["node"], message[found.end() :]
    found = _LAST.search(message, max(0, len(message) - _LOOK))
    return (found[1], "", message[: found.start()]) if found else ("", "", message)
