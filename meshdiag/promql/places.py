"""Where a query is wrong: finds the place for an error of the parser library and says what was expected.

The library's messages carry no position. Messages that name a word point at that word; for the others the
longest beginning that could still be completed is found by asking the parser, and the caret goes behind it.
Only runs when a query has already failed, so its cost does not matter much; it is bounded all the same.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

import promql_parser as library

from meshdiag.errors import QueryError

MAX_TOKENS = 400
"""Longest query for which the place of a syntax error is searched."""

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
      | (?P<string>"(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*`)
      | (?P<number>0[xX][0-9a-fA-F]+ | (?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[a-z0-9]*)
      | (?P<word>[A-Za-z_][A-Za-z0-9_:]*)
      | (?P<op>=~|!~|==|!=|<=|>=|[-+*/%^=<>(){}\[\],:@])
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_FILLERS = ("", " x", "[5m]", " x[5m]", ' "s"', ' x="s"', '="s"', " 1", "5m", ",x", ",x[5m]", " (x)", "(x)", "(x[5m])")
_SYNTAX = re.compile(
    r"invalid promql query|unclosed|unexpected|no expression|bad number|unterminated|not a valid duration|illegal"
    r"|unknown escape|invalid char|expected.*string"
)
_NAMED = (
    re.compile(r"unknown function with name '(?P<word>[^']*)'"),
    re.compile(r"in call to function '(?P<word>[^']*)'"),
    re.compile(r"unexpected identifier '(?P<word>[^']*)' in label matching"),
    re.compile(r"no grouping allowed for '(?P<word>[^']*)'"),
    re.compile(r"(?P<word>bool) modifier"),
    re.compile(r"illegal regex for (?P<word>.*)"),
    re.compile(r"not a valid duration string: (?P<word>\S+)"),
    re.compile(r"bad number or duration syntax: (?P<word>\S+)"),
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a query and where it begins."""

    kind: str
    text: str
    start: int


def explain(query: str, message: str) -> QueryError:
    """The error for a query that the parser refused: what, where (a caret line) and what to try."""
    tokens = [token for token in _tokens(query) if token.kind != "space"]
    if not tokens:
        return QueryError("the query is empty", hint="write a metric name, say: up")
    place, expected = _named_place(query, tokens, message)
    if place is None:
        place, expected = _syntax_place(query, tokens, message)
    text = f"{_sentence(message)}{expected}"
    return QueryError(f"{text}, at column {_column(query, place)}:\n{_caret(query, place)}", hint=_advice(message))


def _sentence(message: str) -> str:
    return {"invalid promql query": "the query does not parse"}.get(message, message)


def _advice(message: str) -> str:
    found = _NAMED[0].search(message)
    if found is None:
        return ""
    from meshdiag.promql.functions import known_names  # it reads queries itself, so not at the top

    near = difflib.get_close_matches(found["word"].lower(), known_names(), n=1, cutoff=0.6)
    return (
        f"did you mean {near[0]}?" if near else "see https://prometheus.io/docs/prometheus/latest/querying/functions/"
    )


def _tokens(query: str) -> list[Token]:
    return [Token(found.lastgroup or "", found[0], found.start()) for found in _TOKEN.finditer(query)]


def _named_place(query: str, tokens: list[Token], message: str) -> tuple[int | None, str]:
    for pattern in _NAMED:
        if found := pattern.search(message):
            for token in tokens:
                if token.text == found["word"] or token.text.strip("\"'`") == found["word"]:
                    return token.start, ""
            where = query.find(found["word"])
            return (where if where >= 0 else None), ""
    if "comparisons between scalars" in message:
        return next((t.start for t in tokens if t.text in {"==", "!=", "<", ">", "<=", ">="}), None), ""
    if "vector selector must contain" in message:
        return next((t.start for t in tokens if t.text == "{"), None), ""
    return None, ""


def _syntax_place(query: str, tokens: list[Token], message: str) -> tuple[int, str]:
    """The first token that cannot stand where it stands, and what could."""
    if "unclosed left parenthesis" in message:
        opened = _open(tokens)
        last = next((token for token in reversed(opened) if token.text == "("), None)
        if last is not None and _completable(query, len(query), tokens):
            return last.start, ": this parenthesis is never closed; expected )"
    if not _SYNTAX.search(message):
        return tokens[0].start, ""
    if len(tokens) <= MAX_TOKENS:
        for index, token in enumerate(tokens):
            end = token.start + len(token.text)
            if not _completable(query, end, tokens[: index + 1]):
                before = tokens[:index]
                return token.start, _expectation(query, token.start, before, token.text)
    return len(query.rstrip()), _expectation(query, len(query), tokens, "the end")


def _expectation(query: str, end: int, before: list[Token], found: str) -> str:
    """What could stand at a place, tried out."""
    fits = [
        words
        for sample, words in (
            (" x", "a metric or expression"),
            (' x="s"', "a label matcher"),
            (' "s"', "a quoted string"),
            (" 5m", "a duration"),
            (" + x", "an operator"),
            (",", "','"),
        )
        if _parses(query[:end] + sample, before, "x" if sample == "," else "")
    ]
    opened = _open(before)
    if opened and not (fits and fits[0] == "a metric or expression"):
        fits.append(f"'{_CLOSING[opened[-1].text]}'")
    elif not opened and "an operator" in fits:
        fits.append("the end")
    shown = found if found == "the end" else f"'{found[:30]}'"
    return f": found {shown}, expected {' or '.join(dict.fromkeys(fits))}" if fits else f": {shown} cannot stand here"


def _completable(query: str, end: int, tokens: list[Token]) -> bool:
    return any(_parses(query[:end], tokens, filler) for filler in _FILLERS)


def _parses(beginning: str, tokens: list[Token], filler: str) -> bool:
    """Whether a beginning is fine as syntax once its brackets are closed; types do not matter here."""
    opened = [token.text for token in _open(tokens)]
    text = beginning + filler + "".join(_CLOSING[one] for one in reversed(opened))
    # an aggregation's or function's grouping list stands before its argument: sum by (a) needs one
    for tail in ("", " x", " (x)"):
        try:
            library.parse(text + tail)
        except ValueError as error:
            if not _SYNTAX.search(str(error)):
                return True
        else:
            return True
    return False


def _open(tokens: list[Token]) -> list[Token]:
    stack: list[Token] = []
    for token in tokens:
        if token.text in _CLOSING:
            stack.append(token)
        elif stack and token.text == _CLOSING[stack[-1].text]:
            stack.pop()
    return stack


def _column(query: str, place: int) -> int:
    return place - (query.rfind("\n", 0, place) + 1) + 1


def _caret(query: str, place: int) -> str:
    """The line of the query with a caret under the place; a long line is cut around it."""
    start = query.rfind("\n", 0, place) + 1
    end = query.find("\n", place)
    line = query[start : end if end >= 0 else len(query)].replace("\t", " ")
    column = place - start
    cut = max(0, column - 50)
    return f"  {line[cut : cut + 76]}\n  {' ' * (column - cut)}^"
