"""Text to expressions: the one place that knows the library promql-parser.

The library says what is wrong but not where; ``places.py`` finds the place. Constructs that cannot be evaluated
here (native histogram functions, say) still parse: the evaluator refuses them by name.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import promql_parser as library

from meshdiag.errors import QueryError
from meshdiag.metrics import NAME_LABEL
from meshdiag.promql import expressions as ast
from meshdiag.promql.refusals import FILL, NotEvaluated

if TYPE_CHECKING:
    from datetime import timedelta

MAX_QUERY = 100_000
"""Longest query taken, in characters."""
MAX_DEPTH = 200
"""Deepest nesting taken: the evaluator calls itself once a level."""

_MATCH_KINDS = {
    "Equal": ast.MatchKind.EQUAL,
    "NotEqual": ast.MatchKind.NOT_EQUAL,
    "Re": ast.MatchKind.REGEX,
    "NotRe": ast.MatchKind.NOT_REGEX,
}
_POSIX_CLASSES = {
    "[:alpha:]": "a-zA-Z",
    "[:digit:]": "0-9",
    "[:alnum:]": "a-zA-Z0-9",
    "[:upper:]": "A-Z",
    "[:lower:]": "a-z",
    "[:space:]": r"\s",
    "[:word:]": r"\w",
    "[:xdigit:]": "0-9A-Fa-f",
}

_SUSPECT = re.compile(r"@|\d{9}|\d[eE]")
"""What a query with a time or duration out of bounds has in it: those crash the library instead of raising."""
_SMOOTHING = (library.ValueType.Matrix, library.ValueType.Scalar, library.ValueType.Scalar)
# Prometheus 3 renamed it to double_exponential_smoothing; rules and fingers still have the old name.
library.register_extra_functions([library.Function("holt_winters", list(_SMOOTHING), library.ValueType.Vector)])


@lru_cache(maxsize=512)
def parse(query: str) -> ast.Expression:
    """Read a PromQL expression. Raises ``QueryError`` that says where it is wrong and what was expected."""
    if len(query) > MAX_QUERY:
        raise QueryError(f"the query is {len(query)} characters long; at most {MAX_QUERY} are read")
    if _nesting(query) > MAX_DEPTH:
        raise QueryError(f"the query is nested more than {MAX_DEPTH} levels deep")
    if _SUSPECT.search(query):
        _refuse_monsters(query)
    try:
        return _expression(library.parse(_with_bytes_as_text(query) if "\\" in query else query))
    except ValueError as error:
        from meshdiag.promql.places import explain  # here, because a query that is right does not need it

        raise explain(query, str(error)) from None
    except OverflowError:
        raise QueryError("a time or duration in the query is beyond what can be evaluated") from None
    except RecursionError:
        raise QueryError(f"the query is nested more than {MAX_DEPTH} levels deep") from None


def _refuse_monsters(query: str) -> None:
    """Raise ``QueryError`` where a time or duration is out of bounds."""
    from meshdiag.promql.places import out_of_bounds, pointing

    monster = out_of_bounds(query)
    if monster is not None:
        raise pointing(query, monster, "a time or duration beyond what can be evaluated")


_BYTES = re.compile(r"(?:\\x[89a-fA-F][0-9a-fA-F]|\\[2-3][0-7]{2})+")
"""Escapes of bytes that are no characters by themselves, side by side, within a quoted string."""


def _with_bytes_as_text(query: str) -> str:
    """The query with escaped bytes read as UTF-8, as Go reads them; the library takes each for a character."""

    def text(found: re.Match[str]) -> str:
        before = query[: found.start()]
        if (len(before) - len(before.rstrip("\\"))) % 2:  # an escaped backslash, not an escape
            return found[0]
        codes = (int(one[2:], 16) if one[1] == "x" else int(one[1:], 8) for one in re.findall(r"\\[^\\]+", found[0]))
        return bytes(codes).decode("utf-8", "replace")

    return _BYTES.sub(text, query)


def _nesting(query: str) -> int:
    depth = deepest = 0
    for character in query:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth -= 1
    return deepest


def _expression(node: Any) -> ast.Expression:
    expression: ast.Expression = _BUILDERS[type(node)](node)
    return expression


def _selector(node: Any) -> ast.Selector:
    if node.matchers.or_matchers:
        raise QueryError("'or' between label matchers is VictoriaMetrics's own and not PromQL")
    matchers = [_matcher(one) for one in node.matchers.matchers]
    name = node.name
    for one in matchers:
        if name is None and one.name == NAME_LABEL and one.kind is ast.MatchKind.EQUAL and one.value:
            name = one.value
            matchers.remove(one)
            break
    return ast.Selector(name, tuple(matchers), _offset(node), _at(node))


def _matcher(node: Any) -> ast.Matcher:
    kind = _MATCH_KINDS[str(node.op).rpartition(".")[2]]
    pattern = None
    if kind in (ast.MatchKind.REGEX, ast.MatchKind.NOT_REGEX):
        pattern = compile_regex(node.value)
    return ast.Matcher(node.name, kind, node.value, pattern)


@lru_cache(maxsize=512)
def compile_regex(text: str) -> re.Pattern[str]:
    """A regular expression of PromQL (RE2 syntax, dot matches newline) for ``fullmatch``."""
    body = text
    for name, members in _POSIX_CLASSES.items():
        body = body.replace(name, members)
    body = body.replace(r"\z", r"\Z").replace("(?U)", "")
    # \d, \w and \s mean ASCII alone there; the case of other letters is folded all the same
    ascii_ = re.ASCII if body.isascii() else re.NOFLAG
    try:
        return re.compile(body, re.DOTALL | ascii_)
    except re.error as error:
        raise QueryError(f"the regular expression {text!r} cannot be used: {error}") from None


def _offset(node: Any) -> int:
    return 0 if node.offset is None else round(node.offset.total_seconds() * 1000)


def _at(node: Any) -> int | ast.Edge | None:
    if node.at is None:
        return None
    match str(node.at.type).rpartition(".")[2]:
        case "Start":
            return ast.Edge.START
        case "End":
            return ast.Edge.END
    moment: float = node.at.at.timestamp()
    return round(moment * 1000)


def _range(node: Any) -> ast.RangeSelector:
    return ast.RangeSelector(_selector(node.vector_selector), _duration(node.range))


def _duration(length: timedelta) -> int:
    milliseconds = round(length.total_seconds() * 1000)
    if milliseconds <= 0:
        raise QueryError("a range or step must be at least one millisecond")
    return milliseconds


def _subquery(node: Any) -> ast.Subquery:
    step = None if node.step is None else _duration(node.step)
    return ast.Subquery(_expression(node.expr), _duration(node.range), step, _offset(node), _at(node))


def _call(node: Any) -> ast.Call:
    return ast.Call(node.func.name, tuple(_expression(arg) for arg in node.args))


def _aggregate(node: Any) -> ast.Aggregate:
    modifier = node.modifier
    without = modifier is not None and str(modifier.type).endswith("Without")
    labels = () if modifier is None else tuple(modifier.labels)
    param = None if node.param is None else _expression(node.param)
    return ast.Aggregate(str(node.op), _expression(node.expr), param, labels, without)


def _binary(node: Any) -> ast.Binary:
    modifier = node.modifier
    bool_ = modifier is not None and modifier.return_bool
    matching = ast.Matching() if modifier is None else _matching(modifier)
    return ast.Binary(str(node.op), _expression(node.lhs), _expression(node.rhs), bool_, matching)


def _matching(modifier: Any) -> ast.Matching:
    fill = modifier.fill_values
    if fill is not None and (fill.lhs is not None or fill.rhs is not None):
        raise NotEvaluated(FILL)
    labels = () if modifier.matching is None else tuple(modifier.matching.labels)
    on = modifier.matching is not None and str(modifier.matching.type).endswith("Include")
    many = {"ManyToOne": "left", "OneToMany": "right"}.get(str(modifier.card).rpartition(".")[2])
    return ast.Matching(labels, on, many, tuple(modifier.group_labels or ()))


_BUILDERS: dict[type, Any] = {
    library.VectorSelector: _selector,
    library.MatrixSelector: _range,
    library.SubqueryExpr: _subquery,
    library.Call: _call,
    library.AggregateExpr: _aggregate,
    library.BinaryExpr: _binary,
    library.UnaryExpr: lambda node: ast.Negate(_expression(node.expr)),
    library.ParenExpr: lambda node: _expression(node.expr),
    library.NumberLiteral: lambda node: ast.Number(node.val),
    library.StringLiteral: lambda node: ast.Text(node.val),
}
