"""Where a query is wrong: finds the place for an error of the parser library and says what was expected.

The library's messages carry no position. Messages that name a word point at that word; for the others the
longest beginning that could still be completed is found by asking the parser, and the caret goes behind it.
Only runs when a query has already failed, so its cost does not matter much; it is bounded all the same.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

import promql_parser as library

from meshdiag.errors import QueryError
from meshdiag.promql.refusals import NotEvaluated, find_construct
from meshdiag.spelling import did_you_mean

MAX_TOKENS = 400
"""Longest query for which the place of a syntax error is searched."""

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
      | (?P<string>"(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*`)
      | (?P<number>0[xX][0-9a-fA-F]+ | (?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[a-z0-9]*)
      | (?P<word>[A-Za-z_][A-Za-z0-9_:]*)
      | (?P<op>=~|!~|==|!=|<=|>=|&&|\|\||[-+*/%^=<>(){}\[\],:@])
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_FILLERS = ("", " x", "[5m]", " x[5m]", ' "s"', ' x="s"', '="s"', " 1", "5m", ",x", ",x[5m]", " (x)", "(x)", "(x[5m])")
_SYNTAX = re.compile(
    r"invalid promql query|unclosed|unexpected|no expression|bad number|unterminated|not a valid duration|illegal"
    r"|unknown escape|invalid char|missing unit|expected label matching operator"
)
_NAMED = (
    re.compile(r"unknown function with name '(?P<word>[^']*)'"),
    re.compile(r"in call to (?:function )?'(?P<word>[^']*)'"),
    re.compile(r"unexpected identifier '(?P<word>[^']*)' in label matching"),
    re.compile(r"no grouping allowed for '(?P<word>[^']*)'"),
    re.compile(r"no arguments for aggregate expression '(?P<word>[^']*)'"),
    re.compile(r"(?P<word>bool) modifier"),
    re.compile(r"illegal regex for (?P<word>.*)"),
    re.compile(r"not a valid duration string: (?P<word>\S+)"),
    re.compile(r"bad number or duration syntax: (?P<word>\S+)"),
    re.compile(r"ParseFloatError\. (?P<word>\S+) can't be parsed"),
    re.compile(r"metric name must not be set twice: '[^']*' or '(?P<word>[^']*)'"),
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
    if found := find_construct(_without_strings(query)):
        return NotEvaluated(found[0], _at(query, found[1]))
    sentence = _reworded(message)
    place = _named_place(query, tokens, message)
    if place is None:
        if not _SYNTAX.search(message):
            return QueryError(f"cannot evaluate the query: {sentence}")
        place, expected = _syntax_place(query, tokens, message)
        sentence = f"cannot parse the query: {expected}"
    advice = _advice(query, place, tokens, message)
    return pointing(query, place, sentence, advice)


def pointing(query: str, place: int, sentence: str, advice: str = "") -> QueryError:
    """The error with its column, the line of the query and a caret under the place."""
    error = QueryError(f"{sentence}{_at(query, place, advice)}")
    error.row = query.count("\n", 0, place)
    return error


def _at(query: str, place: int, advice: str = "") -> str:
    """The end of a sentence about a place: its column, what to try, the line with a caret under the place."""
    return f", at column {_column(query, place)}{advice}:\n{_caret(query, place)}"


def _without_strings(query: str) -> str:
    """The query with strings and comments blanked out, everything else in its place."""
    blanks = {"string": '"', "space": " "}
    return "".join(blanks[one.kind] * len(one.text) if one.kind in blanks else one.text for one in _tokens(query))


def out_of_bounds(query: str) -> int | None:
    """The place of a time or duration that no clock knows (before 1970, or thousands of years), or None."""
    tokens = [token for token in _tokens(query) if token.kind != "space"]
    for before, token in itertools.pairwise(tokens):
        if before.text == "@" and token.text == "-":
            return before.start
        if before.text in _BEFORE_TIMES and token.kind == "number" and not _sane(token.text):
            return token.start
    return None


_BEFORE_TIMES = frozenset({"@", "[", ":", "-", "offset"})
MAX_SECONDS = 1e11
"""Longest duration and latest moment taken, in seconds."""


def _sane(number: str) -> bool:
    digits = number.rstrip("smhdwy")
    try:
        return float(digits) * _UNITS.get(number[-1:], 1.0) <= MAX_SECONDS
    except ValueError:  # 1h30m, say; or hexadecimal
        return len(number) < 20


_UNITS = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}


def _advice(query: str, place: int, tokens: list[Token], message: str) -> str:
    """What to try, as a clause in parentheses; "" when nothing comes to mind."""
    found = _NAMED[0].search(message)
    if found is not None:
        from meshdiag.promql.functions import known_names  # it reads queries itself, so not at the top

        guess = did_you_mean(found["word"].lower(), known_names(), most=1)
        return f" ({guess})" if guess else ""
    for words, advice in _ADVICE.items():
        if words in message:
            return f" ({advice})"
    at_place = next((token for token in tokens if token.start == place), None)
    if at_place is None:
        return ""
    if at_place.text in _HABITS and not _within_braces(tokens, place):
        return f" (did you mean {_HABITS[at_place.text]}?)"
    if at_place.text in ("by", "without"):
        return " (it belongs to an aggregation: sum by (job) (x))"
    if at_place.text == "." or at_place.text.isalpha():
        return _quoted_name(query, place)
    return ""


def _within_braces(tokens: list[Token], place: int) -> bool:
    inside = _open([one for one in tokens if one.start < place])
    return bool(inside) and inside[-1].text == "{"


def _quoted_name(query: str, place: int) -> str:
    """How a metric is written whose name has dots or other letters, when such a name stands around the place."""
    around = next((one for one in re.finditer(r"[\w:.]+", query) if one.start() < place < one.end()), None)
    if around is None or around[0][0].isdigit() or ("." not in around[0] and around[0].isascii()):
        return ""
    return f' (such a name is quoted: {{"{around[0]}"}})'


_ADVICE = {
    "expected type matrix": "it needs a range, such as x[5m]",
    "ranges only allowed for vector selectors": "of an expression a range is a subquery, such as [5m:1m]",
    "unary expression only allowed": "a range has many values a series: -rate(x[5m]), say",
    "in aggregation expression, got matrix": "a range has many values a series: sum(rate(x[5m])), say",
}
"""What to try, by words of the library's message."""
_HABITS = {"=": "==", "&": "and", "&&": "and", "|": "or", "||": "or", "!": "unless"}
"""What people write who think in other languages."""


def _tokens(query: str) -> list[Token]:
    return [Token(found.lastgroup or "", found[0], found.start()) for found in _TOKEN.finditer(query)]


def _named_place(query: str, tokens: list[Token], message: str) -> int | None:
    """The place of the word that the message is about, when it names one."""
    for pattern in _NAMED:
        if found := pattern.search(message):
            word = found["word"]
            for token in tokens:
                if token.text == word or token.text.strip("\"'`") == word:
                    return token.start
            where = query.find(word)
            return where if where >= 0 else None
    if "aggregation expression, got matrix" in message:
        return _aggregation_of_range(tokens)
    for words, wanted in _ABOUT:
        if words in message:
            return next((token.start for token in tokens if token.text[0] in wanted or token.text in wanted), None)
    return None


def _aggregation_of_range(tokens: list[Token]) -> int | None:
    """The last aggregation before the first range."""
    from meshdiag.promql.aggregations import NAMES  # it reads queries itself, so not at the top

    bracket = next((token.start for token in tokens if token.text == "["), 0)
    return max((one.start for one in tokens if one.start < bracket and one.text.lower() in NAMES), default=None)


def _reworded(message: str) -> str:
    """The library's message, where it speaks of itself rather than of the query."""
    if found := re.match(r"ParseFloatError\. (\S+) can't be parsed", message):
        return f"{found[1]!r} is not a number"
    if found := re.match(r"illegal regex for (.*)", message, re.DOTALL):
        try:
            re.compile(found[1])
        except re.error as error:
            return f"the regular expression {found[1]!r} cannot be used: {error.msg}"
        return f"the regular expression {found[1]!r} cannot be used"
    return message


_ABOUT: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("comparisons between scalars", ("==", "!=", "<", ">", "<=", ">=")),
    ("vector selector must contain", ("{",)),
    ("binary expression must contain", ('"', "'", "`", "[")),
    ("for aggregate expression", ("topk", "bottomk", "quantile", "count_values", "limitk", "sum", "avg", "max", "min")),
    ("type string in aggregation", ("count_values",)),
    ("type scalar in aggregation", ("topk", "bottomk", "quantile", "limitk", "limit_ratio")),
    ("unary expression only allowed", ("-", "+")),
    ("ranges only allowed for vector selectors", ("[",)),
)
"""What to look for when a message speaks of a thing without its name."""


def _syntax_place(query: str, tokens: list[Token], message: str) -> tuple[int, str]:
    """The first token that cannot stand where it stands, and what could."""
    if "unclosed left parenthesis" in message and _completable(query, len(query), tokens):
        last = next((token for token in reversed(_open(tokens)) if token.text == "("), None)
        if last is not None:
            return last.start, "this parenthesis is never closed"
    if len(tokens) <= MAX_TOKENS:
        for index, token in enumerate(tokens):
            foreign = token.text in _HABITS and not _within_braces(tokens, token.start)
            if foreign or not _completable(query, token.start + len(token.text), tokens[: index + 1]):
                if "unterminated" in message and token.text in ("'", '"', "`"):
                    return token.start, "this string is never closed"
                return token.start, _expectation(query, token.start, tokens[:index], _shown(token.text))
    return len(query.rstrip()), _expectation(query, len(query), tokens, "the end")


def _shown(text: str) -> str:
    return f"'{text[:30]}'" if text.isprintable() else ascii(text[:30])


def _expectation(query: str, end: int, before: list[Token], found: str) -> str:
    """What was found, and what could stand there instead, tried out."""
    inside = opened[-1].text if (opened := _open(before)) else ""
    if before and before[-1].text == "@":
        return f"found {found}, expected a time: seconds since 1970, start() or end()"
    fits = [words for sample, words in _CANDIDATES[inside] if _parses(query[:end] + sample, before, "")]
    if inside in ("", "(") and fits and fits[0] == _OPERAND:
        fits = [_OPERAND]
    elif inside and _closes(query[:end], before):
        fits.append(f"'{_CLOSING[inside]}'")
    elif not inside and "an operator" in fits:
        fits.append("the end")
    return f"found {found}, expected {' or '.join(fits)}" if fits else f"{found} cannot stand here"


_OPERAND = "a metric, number or function"
_OUTSIDE = ((" x", _OPERAND), (" 5m", "a duration"), ("(a) (x)", "'('"), (" + x", "an operator"), (",x", "','"))
_CANDIDATES: dict[str, tuple[tuple[str, str], ...]] = {
    "": _OUTSIDE,
    "(": _OUTSIDE,
    "{": (
        ('="s"', "one of = != =~ !~"),
        ('"s"', "a quoted string"),
        (' x="s"', "a label matcher"),
        (',x="s"', "','"),
    ),
    "[": (("5m", "a duration such as 5m"),),
}
"""What may stand at a place, by the bracket that is open there: a sample to try and its name."""


def _closes(beginning: str, before: list[Token]) -> bool:
    """Whether closing the open brackets right here gives an expression."""
    return _parses(beginning, before, "")


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
    line = "".join(character if character.isprintable() else "\ufffd" for character in line)
    column = place - start
    cut = max(0, column - 50)
    return f"  {line[cut : cut + 76]}\n  {' ' * (column - cut)}^"
