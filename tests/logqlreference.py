"""A small reader of LogQL's log queries: selectors, line filters, ``json``, ``logfmt``, ``regexp``, label filters, as
https://grafana.com/docs/loki/latest/query/log_queries/ describes them. Slow and plain: it stands for Loki in tests.

Regular expressions are RE2's, over UTF-8, as Go reads them. A name that the stream has already gets ``_extracted``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import re2

_TOKEN = re.compile(
    r"""\s*(?:(?P<raw>`[^`]*`) | (?P<text>"(?:\\.|[^"\\])*") | (?P<op>\|=|\|~|!=|!~|=~|==|>=|<=|[{}(),=<>|])
      | (?P<number>[0-9]+(?:\.[0-9]+)?(?![A-Za-z0-9_])) | (?P<word>[A-Za-z_][A-Za-z0-9_]*))""",
    re.VERBOSE,
)


class BadQuery(Exception):
    """What Loki would refuse, roughly in its words."""


@dataclass
class Line:
    """A line on its way through the stages."""

    text: str
    labels: dict[str, str]
    metadata: dict[str, str] = field(default_factory=dict)
    parsed: dict[str, str] = field(default_factory=dict)
    error: str = ""

    def get(self, name: str) -> str | None:
        """A label's value, None where there is none."""
        if name == "__error__":
            return self.error
        return self.parsed.get(name, self.metadata.get(name, self.labels.get(name)))

    def extract(self, name: str, value: str) -> None:
        """A label that a parser made."""
        name = re.sub(r"[^A-Za-z0-9_]", "_", name.strip())
        if not name:
            return
        if name[0].isdigit():
            name = "_" + name
        if name in self.labels or name in self.metadata:
            name += "_extracted"
        self.parsed[name] = value


Stage = Callable[[Line], bool]


@dataclass
class LogQuery:
    """A read query: which streams, and what each line goes through; a stage that gives False drops the line."""

    matchers: list[Callable[[dict[str, str]], bool]]
    stages: list[Stage]

    def picks(self, labels: dict[str, str]) -> bool:
        """Whether the selector picks a stream."""
        return all(matches(labels) for matches in self.matchers)

    def keeps(self, line: Line) -> bool:
        """Whether a line gets through."""
        return all(stage(line) for stage in self.stages)


def read_query(text: str) -> LogQuery:
    """Read a query. Raises ``BadQuery``."""
    return _Reader(text).query()


def found(pattern: str, text: str) -> bool:
    """Whether RE2 finds a pattern in a text."""
    return bool(_compiled(pattern).search(text))


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise BadQuery(f"parse error : error parsing regexp: {error}") from None


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        place, text = 0, text.rstrip()
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                raise BadQuery(f"parse error at line 1, col {place + 1}: syntax error: unexpected {text[place]!r}")
            kind = match.lastgroup or ""
            self.tokens.append((kind, match[kind]))
            place = match.end()
        self.place = 0

    def peek(self) -> str:
        return self.tokens[self.place][1] if self.place < len(self.tokens) else "$end"

    def next(self) -> tuple[str, str]:
        if self.place >= len(self.tokens):
            raise BadQuery("parse error : syntax error: unexpected $end")
        self.place += 1
        return self.tokens[self.place - 1]

    def expect(self, wanted: str) -> None:
        kind, text = self.next()
        if text != wanted:
            raise BadQuery(f"parse error at line 1, col 1: syntax error: unexpected {kind} {text}, expecting {wanted}")

    def string(self) -> str:
        kind, text = self.next()
        if kind == "raw":
            return text[1:-1]
        if kind != "text":
            raise BadQuery(f"parse error at line 1, col 1: syntax error: unexpected {text}, expecting STRING")
        return re.sub(r"\\(u[0-9a-f]{4}|U[0-9a-f]{8}|.)", _unescaped, text[1:-1])

    def query(self) -> LogQuery:
        self.expect("{")
        matchers = []
        positive = False
        while self.peek() != "}":
            name, op, value = self.next()[1], self.next()[1], self.string()
            test = _matcher(op, value)
            positive = positive or (op in ("=", "=~") and not test(""))
            matchers.append(lambda labels, name=name, test=test: test(labels.get(name, "")))
            if self.peek() == ",":
                self.next()
        self.expect("}")
        if not positive:
            raise BadQuery("parse error : queries require at least one regexp or equality matcher")
        stages = []
        while self.place < len(self.tokens):
            stages.append(self.stage())
        return LogQuery(matchers, stages)

    def stage(self) -> Stage:
        op = self.next()[1]
        if op in ("|=", "!=", "|~", "!~"):
            value = self.string()
            if op in ("|=", "!="):
                return lambda line: (value in line.text) is (op == "|=")
            _compiled(value)
            return lambda line: found(value, line.text) is (op == "|~")
        if op != "|":
            raise BadQuery(f"parse error at line 1, col 1: syntax error: unexpected {op}")
        if self.peek() == "json":
            self.next()
            return _json
        if self.peek() == "logfmt":
            self.next()
            return _logfmt
        if self.peek() == "regexp":
            self.next()
            return _regexp(self.string())
        return self.either()

    def either(self) -> Stage:
        left = self.both()
        while self.peek() == "or":
            self.next()
            left = _or(left, self.both())
        return left

    def both(self) -> Stage:
        left = self.one()
        while self.peek() in ("and", ","):
            self.next()
            left = _and(left, self.one())
        return left

    def one(self) -> Stage:
        if self.peek() == "(":
            self.next()
            inside = self.either()
            self.expect(")")
            return inside
        kind, name = self.next()
        if kind != "word":
            raise BadQuery(f"parse error at line 1, col 1: syntax error: unexpected {name}")
        op = self.next()[1]
        if self.place < len(self.tokens) and self.tokens[self.place][0] == "number":
            return _numeric(name, op, float(self.next()[1]))
        test = _matcher(op, self.string())
        return lambda line: test(line.get(name) or "")


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "uU" and len(code) > 1:
        return chr(int(code[1:], 16))
    return {"n": "\n", "r": "\r", "t": "\t"}.get(code, code)


def _or(left: Stage, right: Stage) -> Stage:
    return lambda line: left(line) or right(line)


def _and(left: Stage, right: Stage) -> Stage:
    def both(line: Line) -> bool:
        one, other = left(line), right(line)
        return one and other

    return both


def _matcher(op: str, value: str) -> Callable[[str], bool]:
    if op in ("=", "!="):
        return lambda text: (text == value) is (op == "=")
    if op not in ("=~", "!~"):
        raise BadQuery(f"parse error at line 1, col 1: syntax error: unexpected {op}")
    compiled = _compiled(f"^(?:{value})$")
    return lambda text: bool(compiled.search(text)) is (op == "=~")


def _numeric(name: str, op: str, value: float) -> Stage:
    tests: dict[str, Callable[[float], bool]] = {
        "==": lambda number: number == value,
        "=": lambda number: number == value,
        "!=": lambda number: number != value,
        ">": lambda number: number > value,
        ">=": lambda number: number >= value,
        "<": lambda number: number < value,
        "<=": lambda number: number <= value,
    }

    def keep(line: Line) -> bool:
        text = line.get(name)
        if text is None:
            return False
        if not re.fullmatch(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", text):
            line.error = line.error or "LabelFilterErr"
            return True
        return tests[op](float(text))

    return keep


def _json(line: Line) -> bool:
    try:
        body = json.loads(line.text, parse_float=_Number, parse_int=_Number)
        if not isinstance(body, dict):
            raise ValueError("not an object")
    except (ValueError, RecursionError):
        line.error = "JSONParserErr"
        return True
    for name, value in _flat(body, ""):
        line.extract(name, value)
    return True


class _Number(str):
    """A number as it is spelled in the line."""


def _flat(body: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in body.items():
        name = f"{prefix}_{key}" if prefix else key
        if isinstance(value, dict):
            yield from _flat(value, name)
        elif isinstance(value, bool):
            yield name, str(value).lower()
        elif isinstance(value, str):
            yield name, str(value)


_PAIR = re.compile(r'([^\s="]+)=(?:"((?:\\.|[^"\\])*)"|([^\s"]*))')


def _logfmt(line: Line) -> bool:
    for match in _PAIR.finditer(line.text):
        quoted = match[2]
        line.extract(match[1], match[3] if quoted is None else re.sub(r"\\(u[0-9a-f]{4}|.)", _unescaped, quoted))
    return True


def _regexp(pattern: str) -> Stage:
    compiled = _compiled(pattern)
    if not compiled.groupindex:
        raise BadQuery("parse error : stage '| regexp': at least one named capture must be supplied")

    def read(line: Line) -> bool:
        match = compiled.search(line.text)
        for name in compiled.groupindex if match else ():
            line.extract(name, match.group(name) or "")
        return True

    return read
