"""Reads the text of a ``--where`` condition into its tree; errors point at the place with a caret."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from meshdiag.errors import UsageError
from meshdiag.logs.levels import level_of
from meshdiag.logs.record import Level
from meshdiag.logs.where.tree import Both, Comparison, Either, Not, Present, Seconds

if TYPE_CHECKING:
    from meshdiag.logs.where.tree import Node, Value

LONGEST = 4096
"""Characters of a condition."""
DEEPEST = 50
"""Parentheses and ``not`` within one another."""
MOST = 200
"""Comparisons in a condition."""

HINT = "for example: --where 'consensus.round > 5 and duration_ms >= 100'"

_TOKEN = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
      | (?P<op>=~|!~|==|!=|<=|>=|=|<|>)
      | (?P<mark>[()!.]|&&|\|\|)
      | (?P<open>["'])
      | (?P<word>[^\s()"'=<>!~.|&]+)
      | (?P<other>\S)""",
    re.VERBOSE | re.DOTALL,
)
_VALUE = re.compile(r"""[^\s()"'=<>!]+""")
"""A bare word behind an operator: addresses, versions and moments need no quotes."""
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|[smhd]))+")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|[smhd])")
UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
EXACT = 2**53
"""Whole numbers from here on are ids rather than amounts, and a float would mix them up: they compare as text."""
WORDS = {"&&": "and", "||": "or", "!": "not"}
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int

    @property
    def keyword(self) -> str:
        """``and``, ``or``, ``not``, a parenthesis or ``contains``; empty for anything else."""
        if self.kind == "mark":
            return WORDS.get(self.text, self.text)
        lower = self.text.lower()
        return lower if self.kind == "word" and lower in ("and", "or", "not", "contains") else ""


def parse(text: str) -> Node:
    """The condition's tree. Raises ``UsageError`` with the column and a caret under it."""
    if len(text) > LONGEST:
        raise UsageError(f"the condition of --where is longer than {LONGEST:,} characters")
    if not text.strip():
        raise UsageError("the condition of --where is empty", hint=HINT)
    reader = _Reader(text)
    tree = reader.either(0)
    if (left := reader.peek()) is not None:
        reader.fail(left.start, _left_over(left))
    return tree


def duration(text: str) -> float | None:
    """Seconds of ``250ms``, ``1m30s``, ``1.5s``; None for anything else."""
    if len(text) > 40 or not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * UNITS[unit] for number, unit in _DURATION_PART.findall(text))


def number(text: str) -> float | None:
    """The number that a text is, None for anything else (``nan`` and ``1_000`` among them)."""
    return float(text) if len(text) <= 40 and _NUMBER.fullmatch(text) else None


class _Reader:
    """Recursive descent; one method a rule, loosest first."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._count = 0

    def either(self, depth: int) -> Node:
        left = self._both(depth)
        while self._take("or"):
            left = Either(left, self._both(depth))
        return left

    def _both(self, depth: int) -> Node:
        left = self._not(depth)
        while self._take("and"):
            left = Both(left, self._not(depth))
        return left

    def _not(self, depth: int) -> Node:
        token = self._need("a field")
        if depth > DEEPEST:
            self.fail(token.start, f"more than {DEEPEST} levels of parentheses and not")
        if self._take("not"):
            return Not(self._not(depth + 1))
        if self._take("("):
            inside = self.either(depth + 1)
            if not self._take(")"):
                self.fail(self._next_place(), "expected a closing parenthesis")
            return inside
        return self._comparison()

    def _comparison(self) -> Node:
        token = self._need("a field")
        self._count += 1
        if self._count > MOST:
            self.fail(token.start, f"more than {MOST} comparisons")
        if token.kind == "word" and number(token.text) is not None:
            self.fail(token.start, f"the field comes first: write round > 5, not 5 < round; got {token.text}")
        path = self._path()
        sign = self.peek()
        if sign is None or not (sign.kind == "op" or sign.keyword == "contains"):
            return Present(path)
        self._place = sign.start + len(sign.text)
        op = sign.keyword or {"==": "="}.get(sign.text, sign.text)
        place = self._next_place()
        return self._made(path, op, self._value(op), sign, place)

    def _made(self, path: tuple[str, ...], op: str, value: Value | None, token: _Token, place: int) -> Node:
        """The comparison, with what is special about null, patterns and the built-in names."""
        if value is None:
            if op not in ("=", "!="):
                self.fail(token.start, f"null can only be compared with = and !=, not with {op}")
            return Present(path) if op == "!=" else Not(Present(path))
        if isinstance(value, bool) and op not in ("=", "!="):
            self.fail(token.start, f"true and false can only be compared with = and !=, not with {op}")
        if op in ("=~", "!~"):
            self._check_pattern(str(value), place)
        elif path == ("level",):
            value = self._level(value, op, place)
        elif path == ("ts",):
            value = self._moment(value, op, place)
        return Comparison(path, op, value)

    def _path(self) -> tuple[str, ...]:
        parts = [self._path_part()]
        while self._take("."):
            parts.append(self._path_part())
        return tuple(parts)

    def _path_part(self) -> str:
        token = self._need("a field")
        if token.kind == "string":
            part = _unquoted(token.text)
        elif token.kind == "word" and token.keyword in ("", "contains"):
            part = token.text
        else:
            self.fail(token.start, f"expected a field, got {token.text}")
        self._place = token.start + len(token.text)
        return part

    def _value(self, op: str) -> Value | None:
        """What stands behind an operator; patterns and parts of texts are text whatever they look like."""
        token = self._need("a value")
        if token.kind == "string":
            self._place = token.start + len(token.text)
            return _unquoted(token.text)
        match = _VALUE.match(self._text, token.start)
        if match is None:
            self.fail(token.start, f"expected a value behind {op}, got {token.text}")
        self._place = match.end()
        return match[0] if op in ("=~", "!~", "contains") else _meant(match[0])

    def _level(self, value: Value, op: str, place: int) -> Value:
        if isinstance(value, float):
            return value
        level = level_of(value) if isinstance(value, str) else None
        if level is None or op == "contains":
            self.fail(place, f"expected a level: {', '.join(one.word for one in Level)}")
        return level.word

    def _moment(self, value: Value, op: str, place: int) -> float:
        from meshdiag.durations import parse_moment

        if op == "contains":
            self.fail(place, "ts is a moment: compare it with =, !=, <, <=, > or >=")
        if isinstance(value, float):
            return value
        try:
            return parse_moment(str(value), datetime.now(UTC)).timestamp()
        except UsageError as error:
            self.fail(place, str(error))

    def _check_pattern(self, pattern: str, place: int) -> None:
        from meshdiag.logs.where.meaning import searcher

        try:
            searcher(pattern)
        except UsageError as error:
            self.fail(place, str(error))

    def peek(self) -> _Token | None:
        """The next token, None at the end."""
        place = self._next_place()
        match = _TOKEN.match(self._text, place)
        if match is None:
            return None
        assert match.lastgroup is not None
        if match.lastgroup == "open":
            self.fail(place, "the quote is not closed")
        return _Token(match.lastgroup, match[0], place)

    def _need(self, what: str) -> _Token:
        token = self.peek()
        if token is None:
            self.fail(len(self._text), f"expected {what}")
        return token

    def _take(self, keyword: str) -> bool:
        token = self.peek()
        if token is None or token.keyword != keyword:
            return False
        self._place = token.start + len(token.text)
        return True

    def _next_place(self) -> int:
        place = self._place
        while place < len(self._text) and self._text[place].isspace():
            place += 1
        return place

    def fail(self, place: int, what: str) -> NoReturn:
        """Raise the error with a caret under ``place``; a long condition is cut around it."""
        cut = max(0, place - 60)
        shown = ("…" if cut else " ") + self._text[cut : place + 40]
        line = "".join(" " if char.isspace() else char for char in shown)
        under = " " * (place - cut + 1) + "^"
        raise UsageError(f"--where: {what}, at column {place + 1}:\n {line}\n {under}", hint=HINT)


def _left_over(token: _Token) -> str:
    if token.text == ")":
        return "this parenthesis was never opened"
    return f"expected 'and', 'or', an operator or the end, got {token.text[:40]}"


def _unquoted(text: str) -> str:
    """The text inside quotes; a backslash keeps a quote or a backslash, before anything else it stays (patterns)."""
    return re.sub(rf"\\([\\{text[0]}])", r"\1", text[1:-1])


def _meant(word: str) -> Value | None:
    """What a bare word is: a constant, a number, a duration, else text."""
    if word.lower() in _CONSTANTS:
        return _CONSTANTS[word.lower()]
    amount = number(word)
    if amount is not None:
        return word if word.isdecimal() and int(word) >= EXACT else amount
    seconds = duration(word)
    return word if seconds is None else Seconds(seconds)
