"""A template's text to pieces: plain text, and the tokens of each action between ``{{`` and ``}}``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SPACE = " \t\r\n"
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<string>"(?:\\.|[^"\\\n])*")
      | (?P<raw>`[^`]*`)
      | (?P<char>'(?:\\.|[^'\\\n])+')
      | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?))
      | (?P<field>\.[^\W\d]\w*)
      | (?P<variable>\$\w*)
      | (?P<word>[^\W\d]\w*)
      | (?P<declare>:=)
      | (?P<op>[=|(),.])""",
    re.VERBOSE,
)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


class TemplateError(Exception):
    """A template that Prometheus would refuse, or that cannot be executed; in the words of Go where it has any."""


@dataclass(frozen=True, slots=True)
class Token:
    """``kind`` is the name of the group above; ``spaced`` is whether white space stands before it."""

    kind: str
    text: str
    spaced: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """Plain text (``tokens`` is None) or an action; ``start`` and ``end`` are its place in the template."""

    text: str
    start: int
    end: int
    tokens: tuple[Token, ...] | None = None


def pieces(source: str) -> Iterator[Piece]:
    """The template's pieces; white space that a trim marker eats is gone, and so are comments.

    Raises ``TemplateError``."""
    place, trim = 0, False
    while True:
        opened = source.find("{{", place)
        text = source[place:] if opened < 0 else source[place:opened]
        if trim:
            text = text.lstrip(SPACE)
        if opened < 0:
            if text:
                yield Piece(text, place, len(source))
            return
        inside = opened + 2
        if source[inside : inside + 1] == "-" and source[inside + 1 : inside + 2] in tuple(SPACE):
            text, inside = text.rstrip(SPACE), inside + 2
        if text:
            yield Piece(text, place, opened)
        tokens, place, trim = _action(source, inside)
        if tokens is not None:
            yield Piece(source[opened:place], opened, place, tokens)


def _action(source: str, place: int) -> tuple[tuple[Token, ...] | None, int, bool]:
    """The tokens up to ``}}`` (None for a comment), the place behind it, and whether to trim what follows."""
    while source[place : place + 1] in tuple(SPACE):
        place += 1
    if source.startswith("/*", place):
        comment = _COMMENT.match(source, place)
        if comment is None:
            raise TemplateError("unclosed comment")
        end, trim = _closing(source, comment.end())
        if end is None:
            raise TemplateError("comment ends before closing delimiter")
        return None, end, trim
    tokens: list[Token] = []
    spaced = True
    while True:
        end, trim = _closing(source, place)
        if end is not None:
            return tuple(tokens), end, trim
        found = _TOKEN.match(source, place)
        if found is None:
            raise TemplateError(_complaint(source, place))
        kind = found.lastgroup or ""
        if kind != "space":
            tokens.append(Token(kind, found[0], spaced))
        spaced = kind == "space"
        place = found.end()


def _closing(source: str, place: int) -> tuple[int | None, bool]:
    """The place behind ``}}`` when it stands here, a trim marker before it included."""
    if source.startswith("}}", place):
        return place + 2, False
    spaces = place
    while source[spaces : spaces + 1] in tuple(SPACE):
        spaces += 1
    before = spaces > place or (place > 0 and source[place - 1] in SPACE)
    if before and source.startswith("-}}", spaces):
        return spaces + 3, True
    return None, False


def _complaint(source: str, place: int) -> str:
    if place >= len(source):
        return "unclosed action"
    character = source[place]
    if character == '"':
        return "unterminated quoted string"
    if character == "`":
        return "unterminated raw quoted string"
    if character == "'":
        return "unterminated character constant"
    return f"unexpected {character!r} in an action" if character.isprintable() else "unrecognized character in action"
