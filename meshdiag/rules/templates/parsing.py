"""The tree of a template. Functions and variables must be known, as in Go; so is decided at load, not at three."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from meshdiag.rules.templates.builtins import BUILTINS
from meshdiag.rules.templates.functions import FUNCTIONS
from meshdiag.rules.templates.lexing import TemplateError, pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.rules.templates.lexing import Piece, Token

GIVEN = ("$", "$labels", "$externalLabels", "$externalURL", "$value")
"""The variables that Prometheus gives every template of an alert."""
KNOWN = frozenset({*BUILTINS, *FUNCTIONS, "and", "or", "query", "now"})
"""Every function that a template may name."""
MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal."""

    value: object


@dataclass(frozen=True, slots=True)
class Operand:
    """A value with the fields taken of it. ``base``: a variable's name, a pipeline in parentheses, or None for the
    dot."""

    base: str | Pipe | None
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """A function by name."""

    name: str


Argument = Constant | Operand | Function


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands whose results are handed on; ``declares`` are the variables that get the last one, ``assigns`` when
    they exist already."""

    commands: tuple[tuple[Argument, ...], ...]
    declares: tuple[str, ...] = ()
    assigns: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """Words outside of actions."""

    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """A pipeline that is printed. ``source`` is the action as it was written."""

    pipe: Pipe
    source: str


@dataclass(frozen=True, slots=True)
class Block:
    """``if``, ``with`` or ``range``, up to its ``end``."""

    kind: str
    pipe: Pipe
    body: tuple[Part, ...]
    otherwise: tuple[Part, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Jump:
    """``break`` or ``continue``."""

    kind: str


@dataclass(frozen=True, slots=True)
class Include:
    """``template "name" pipeline``."""

    name: str
    pipe: Pipe | None
    source: str


Part = Text | Action | Block | Jump | Include


@dataclass(frozen=True, slots=True)
class Template:
    """The parts, and those of the templates defined in it."""

    parts: tuple[Part, ...]
    defined: dict[str, tuple[Part, ...]]


@lru_cache(maxsize=4096)
def parse_template(source: str) -> Template:
    """The tree. Raises ``TemplateError``."""
    parser = _Parser(source)
    parts, _end = parser.parts(())
    return Template(parts, parser.defined)


def check_template(source: str) -> str:
    """What is wrong with a template; "" when Prometheus would take it."""
    try:
        parse_template(source)
    except TemplateError as error:
        return str(error)
    return ""


@dataclass
class _Parser:
    source: str
    defined: dict[str, tuple[Part, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._pieces: list[Piece] = list(pieces(self.source))
        self._next = 0
        self._variables = list(GIVEN)
        self._depth = self._loops = 0

    def parts(self, ends: Sequence[str]) -> tuple[tuple[Part, ...], Piece | None]:
        """The parts up to one of the words that end them, and the piece with that word."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TemplateError(f"nested more than {MAX_DEPTH} levels deep")
        found: list[Part] = []
        while self._next < len(self._pieces):
            piece = self._pieces[self._next]
            self._next += 1
            if piece.tokens is None:
                found.append(Text(piece.text))
                continue
            word = _keyword(piece.tokens)
            if word in ends:
                self._depth -= 1
                return tuple(found), piece
            part = self._part(piece, word)
            if part is not None:
                found.append(part)
        if ends:
            raise TemplateError("unexpected EOF")
        self._depth -= 1
        return tuple(found), None

    def _part(self, piece: Piece, word: str) -> Part | None:
        tokens = piece.tokens or ()
        match word:
            case "if" | "with" | "range":
                return self._block(piece, word, tokens[1:])
            case "end" | "else":
                raise TemplateError(f"unexpected {{{{{word}}}}}")
            case "break" | "continue":
                if not self._loops:
                    raise TemplateError(f"{{{{{word}}}}} outside {{{{range}}}}")
                return Jump(word)
            case "define" | "block":
                return self._define(piece, word, tokens[1:])
            case "template":
                name, rest = self._name(tokens[1:], word)
                return Include(name, self._pipe(rest, word) if rest else None, piece.text)
        return Action(self._pipe(tokens, "command"), piece.text)

    def _block(self, piece: Piece, kind: str, tokens: Sequence[Token]) -> Block:
        known = len(self._variables)
        pipe = self._pipe(tokens, kind)
        self._loops += kind == "range"
        body, end = self.parts(("end", "else"))
        self._loops -= kind == "range"
        otherwise: tuple[Part, ...] = ()
        assert end is not None
        last = end.end
        rest = (end.tokens or ())[1:]
        if _keyword(end.tokens or ()) == "else":
            if rest and kind in ("if", "with") and rest[0].text == kind:  # else if: a block with this end
                chained = self._block(end, rest[0].text, rest[1:])
                otherwise = (chained,)
                last = self._pieces[self._next - 1].end
            elif rest:
                raise TemplateError(f"unexpected {rest[0].text!r} in else")
            else:
                otherwise, end = self.parts(("end",))
                assert end is not None
                last = end.end
        del self._variables[known:]
        return Block(kind, pipe, body, otherwise, self.source[piece.start : last])

    def _define(self, piece: Piece, kind: str, tokens: Sequence[Token]) -> Part | None:
        name, rest = self._name(tokens, kind)
        pipe = self._pipe(rest, kind) if kind == "block" else None
        if kind == "define" and rest:
            raise TemplateError(f"unexpected {rest[0].text!r} in define clause")
        outer, self._variables = self._variables, ["$"]
        loops, self._loops = self._loops, 0
        body, _end = self.parts(("end",))
        self._variables, self._loops = outer, loops
        self.defined[name] = body
        return Include(name, pipe, piece.text) if kind == "block" else None

    @staticmethod
    def _name(tokens: Sequence[Token], kind: str) -> tuple[str, Sequence[Token]]:
        if not tokens or tokens[0].kind not in ("string", "raw"):
            raise TemplateError(f"missing the name, in quotes, in {kind} clause")
        return _unquote(tokens[0].text), tokens[1:]

    # pipelines ----------------------------------------------------------------------------------------------

    def _pipe(self, tokens: Sequence[Token], where: str) -> Pipe:
        declares, assigns, rest = self._declared(tokens, where)
        if not assigns:
            self._variables += declares  # known to what follows already, as in Go, though only there when it is set
        commands: list[tuple[Argument, ...]] = []
        command: list[Argument] = []
        place = 0
        while place < len(rest):
            if rest[place].text == "|" and rest[place].kind == "op":
                commands.append(self._command(command, len(commands)))
                command = []
                place += 1
                if place == len(rest):  # a bar at the end joins nothing, and Go does not mind
                    return Pipe(tuple(commands), declares, assigns)
                continue
            argument, place = self._argument(rest, place, where)
            command.append(argument)
        if not command:
            raise TemplateError(f"missing value for {where}")
        commands.append(self._command(command, len(commands)))
        return Pipe(tuple(commands), declares, assigns)

    def _declared(self, tokens: Sequence[Token], where: str) -> tuple[tuple[str, ...], bool, Sequence[Token]]:
        words = [token.text for token in tokens[:4]]
        if tokens and tokens[0].kind == "variable":
            if len(words) > 1 and words[1] in (":=", "="):
                assigns = words[1] == "="
                if assigns:
                    self._known(words[0])
                return (words[0],), assigns, tokens[2:]
            two = len(words) > 3 and words[1] == "," and tokens[2].kind == "variable" and words[3] in (":=", "=")
            if two and where == "range":
                return (words[0], words[2]), words[3] == "=", tokens[4:]
        return (), False, tokens

    @staticmethod
    def _command(arguments: list[Argument], place: int) -> tuple[Argument, ...]:
        if not arguments:
            raise TemplateError("missing value for command")
        first = arguments[0]
        if isinstance(first, Constant) and place:
            raise TemplateError(f"non executable command in pipeline stage {place + 1}")
        return tuple(arguments)

    def _argument(self, tokens: Sequence[Token], place: int, where: str) -> tuple[Argument, int]:
        token = tokens[place]
        place += 1
        base: str | Pipe | None
        match token.kind:
            case "string" | "raw":
                return Constant(_unquote(token.text)), place
            case "char":
                return Constant(_character(token.text)), place
            case "number":
                return Constant(_number(token.text)), place
            case "word":
                return self._word(token.text), place
            case "field":
                return self._fielded(None, tokens, place, (token.text[1:],))
            case "variable":
                self._known(token.text)
                base = token.text
            case _ if token.text == ".":
                base = None
            case _ if token.text == "(":
                end = _matching(tokens, place)
                base = self._pipe(tokens[place:end], "parenthesized pipeline")
                place = end + 1
            case _:
                raise TemplateError(f'unexpected "{token.text}" in {where}')
        return self._fielded(base, tokens, place)

    @staticmethod
    def _fielded(
        base: str | Pipe | None, tokens: Sequence[Token], place: int, fields: tuple[str, ...] = ()
    ) -> tuple[Operand, int]:
        """The operand with the fields that follow it without a space between."""
        while place < len(tokens) and tokens[place].kind == "field" and not tokens[place].spaced:
            fields = (*fields, tokens[place].text[1:])
            place += 1
        return Operand(base, fields), place

    @staticmethod
    def _word(word: str) -> Argument:
        if word in _WORDS:
            return Constant(_WORDS[word])
        if word not in KNOWN:
            raise TemplateError(f'function "{word}" not defined')
        return Function(word)

    def _known(self, variable: str) -> None:
        if variable not in self._variables:
            raise TemplateError(f'undefined variable "{variable}"')


_WORDS: dict[str, object] = {"true": True, "false": False, "nil": None}
_KEYWORDS = frozenset({"if", "else", "end", "with", "range", "define", "block", "template", "break", "continue"})


def _keyword(tokens: Sequence[Token]) -> str:
    return tokens[0].text if tokens and tokens[0].kind == "word" and tokens[0].text in _KEYWORDS else ""


def _matching(tokens: Sequence[Token], place: int) -> int:
    """The place of the parenthesis that closes the one before ``place``."""
    depth = 1
    for index in range(place, len(tokens)):
        if tokens[index].kind == "op":
            depth += {"(": 1, ")": -1}.get(tokens[index].text, 0)
            if depth == 0:
                return index
    raise TemplateError("unclosed left paren")


_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|.)", re.DOTALL
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"'}


def _unquote(quoted: str) -> str:
    if quoted[0] == "`":
        return quoted[1:-1].replace("\r", "")
    return _ESCAPE.sub(_unescape, quoted[1:-1])


def _unescape(found: re.Match[str]) -> str:
    if found[1]:
        return _SIMPLE[found[1]]
    digits = found[2] or found[3] or found[4]
    code = int(digits, 16) if digits else int(found[5], 8) if found[5] else -1
    if not 0 <= code < 0x110000 or 0xD800 <= code < 0xE000:
        raise TemplateError("invalid syntax in a quoted string")
    return chr(code)


def _character(quoted: str) -> int:
    text = _unquote(quoted)
    if len(text) != 1:
        raise TemplateError(f"malformed character constant: {quoted}")
    return ord(text)


def _number(text: str) -> int | float:
    body = text.replace("_", "")
    if re.search(r"[.eE]", body) and not body.lower().lstrip("+-").startswith("0x"):
        return float(body)
    try:
        return int(body, 0) if body.lstrip("+-")[1:2] in tuple("xXbBoO") else int(body, 8 if _is_octal(body) else 10)
    except ValueError:
        raise TemplateError(f'bad number syntax: "{text}"') from None


def _is_octal(body: str) -> bool:
    digits = body.lstrip("+-")
    return len(digits) > 1 and digits[0] == "0"
