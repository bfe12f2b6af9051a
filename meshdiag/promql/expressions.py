"""A PromQL expression as the evaluator sees it: plain frozen values, independent of the parser library.

Durations and moments are whole milliseconds, as in Prometheus; parentheses and unary plus are gone. The classes are
msgspec's: to define a dataclass takes ten times as long, which every run would pay.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Mapping


class MatchKind(Enum):
    """The four label matchers."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


class Edge(Enum):
    """The ends of a query's span, for ``@ start()`` and ``@ end()``. Both are the moment of an instant query."""

    START = "start"
    END = "end"


class Matcher(Struct, frozen=True):
    """One label matcher. ``pattern`` is the anchored regular expression of ``=~`` and ``!~``."""

    name: str
    kind: MatchKind
    value: str
    pattern: re.Pattern[str] | None = None

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is selected; a label that is missing counts as empty."""
        value = labels.get(self.name, "")
        if self.pattern is None:
            return (value == self.value) is (self.kind is MatchKind.EQUAL)
        return (self.pattern.fullmatch(value) is not None) is (self.kind is MatchKind.REGEX)

    def __str__(self) -> str:
        text = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.kind.value}"{text}"'


class Number(Struct, frozen=True):
    """A literal number (durations as numbers are in seconds)."""

    value: float


class Text(Struct, frozen=True):
    """A literal string."""

    value: str


class Selector(Struct, frozen=True):
    """An instant selector. ``name`` is the metric's where it is fixed; ``matchers`` are all others."""

    name: str | None
    matchers: tuple[Matcher, ...]
    offset_ms: int = 0
    at: int | Edge | None = None

    def __str__(self) -> str:
        inner = ",".join(map(str, self.matchers))
        return f"{self.name or ''}{{{inner}}}" if inner or not self.name else self.name


class RangeSelector(Struct, frozen=True):
    """A range selector, ``selector[range]``."""

    selector: Selector
    range_ms: int


class Subquery(Struct, frozen=True):
    """``expr[range:step]``; ``step_ms`` is None where the query leaves it to the default."""

    expr: Expression
    range_ms: int
    step_ms: int | None
    offset_ms: int = 0
    at: int | Edge | None = None


class Call(Struct, frozen=True):
    """A function call."""

    function: str
    args: tuple[Expression, ...]


class Aggregate(Struct, frozen=True):
    """An aggregation; ``labels`` are kept, or dropped when ``without``."""

    op: str
    expr: Expression
    param: Expression | None
    labels: tuple[str, ...]
    without: bool


class Matching(Struct, frozen=True):
    """How two vectors pair: ``on`` the labels or ignoring them; ``many`` is the side with several series a
    group (``left``, ``right``) or None, ``include`` the labels taken over from the other side."""

    labels: tuple[str, ...] = ()
    on: bool = False
    many: str | None = None
    include: tuple[str, ...] = ()


class Binary(Struct, frozen=True):
    """A binary operation; ``bool_`` turns a comparison into 0 or 1."""

    op: str
    left: Expression
    right: Expression
    bool_: bool
    matching: Matching


class Negate(Struct, frozen=True):
    """Unary minus."""

    expr: Expression


Expression = Number | Text | Selector | RangeSelector | Subquery | Call | Aggregate | Binary | Negate


def children(expression: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside one, left to right."""
    match expression:
        case RangeSelector(selector=selector):
            return (selector,)
        case Subquery(expr=inner) | Negate(expr=inner):
            return (inner,)
        case Call(args=args):
            return args
        case Aggregate(expr=inner, param=param):
            return (inner,) if param is None else (param, inner)
        case Binary(left=left, right=right):
            return (left, right)
    return ()


def walk(expression: Expression) -> Iterator[Expression]:
    """The expression and everything inside it, outermost first."""
    yield expression
    for child in children(expression):
        yield from walk(child)
