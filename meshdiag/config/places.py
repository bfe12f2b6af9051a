"""Finds the line at which a key of a TOML text stands, which the standard library's parser does not tell.

The text must have been parsed before: only valid TOML is looked at here, so that a small scanner is enough.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str | int, ...]
"""A key's place in the document: table names, keys, and the index in an array of tables."""

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'" r"|#[^\n]*|[\[\]{}]|\n",
    re.DOTALL,
)
_KEY = re.compile(r"""\s*(?:[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*')""")
_DOT = re.compile(r"\s*\.")


class Places:
    """The lines of a document's keys. It is read only as far as the keys that are asked for stand: what comes
    last are the nodes, which may be thousands."""

    def __init__(self, text: str) -> None:
        self._unread = _statements(text)
        self._lines: dict[Path, int] = {}
        self._table: Path = ()
        self._counts: dict[Path, int] = {}

    def line(self, path: Path) -> int | None:
        """The line of a key, or of the nearest table around it; None for what stands nowhere."""
        while path not in self._lines and (statement := next(self._unread, None)):
            self._note(*statement)
        for length in range(len(path), 0, -1):
            if found := self._lines.get(path[:length]):
                return found
        return None

    def _note(self, line: int, statement: str) -> None:
        body = statement.strip()
        if body.startswith("[["):
            key = self._resolve(_keys(body.removeprefix("[[")))
            index = self._counts[key] = self._counts.get(key, -1) + 1
            self._lines.setdefault(key, line)
            self._table = (*key, index)
        elif body.startswith("["):
            self._table = self._resolve(_keys(body.removeprefix("[")))
        elif body and not body.startswith("#"):
            self._lines.setdefault((*self._table, *_keys(body)), line)
            return
        else:
            return
        self._lines.setdefault(self._table, line)

    def _resolve(self, key: tuple[str, ...]) -> Path:
        """A table's path, with the index of the array of tables that it lies in."""
        path: Path = ()
        for place, part in enumerate(key):
            path = (*path, part)
            if place + 1 < len(key) and path in self._counts:
                path = (*path, self._counts[path])
        return path


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each statement with the number of its first line. A statement ends at a line end outside of brackets."""
    line, depth, start = 1, 0, 0
    first = line
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
        line += mark.count("\n")
        if mark == "\n" and depth <= 0:
            yield first, text[start : token.start()]
            start, first = token.end(), line
    yield first, text[start:]


def _keys(text: str) -> tuple[str, ...]:
    """The dotted key that a text begins with."""
    parts: list[str] = []
    place = 0
    while part := _KEY.match(text, place):
        parts.append(_unquoted(part.group().strip()))
        dot = _DOT.match(text, part.end())
        if dot is None:
            break
        place = dot.end()
    return tuple(parts)


def _unquoted(key: str) -> str:
    if key[0] not in "\"'":
        return key
    parsed: dict[str, Any] = tomllib.loads(f"{key} = 0")
    return next(iter(parsed))
