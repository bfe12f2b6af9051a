"""Executes a template with the data of one alert."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from meshdiag.errors import SourceError
from meshdiag.rules.templates.builtins import BUILTINS, truth
from meshdiag.rules.templates.formatting import Unsupported, show, type_name
from meshdiag.rules.templates.functions import FUNCTIONS, Sample
from meshdiag.rules.templates.lexing import TemplateError
from meshdiag.rules.templates.parsing import (
    Action,
    Block,
    Constant,
    Function,
    Include,
    Jump,
    Operand,
    Text,
    parse_template,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from meshdiag.rules.templates.parsing import Argument, Part, Pipe, Template

    Query = Callable[[str], Iterable[tuple[Mapping[str, str], float]]]

MAX_OUTPUT = 100_000
"""Longest text made, in characters."""
MAX_STEPS = 100_000
"""Most actions executed for one text."""
MAX_INCLUDES = 100


@dataclass(frozen=True, slots=True)
class Data:
    """What a template is given. ``external_labels`` are those of the server, None where they are not known;
    ``query`` answers PromQL at the moment of the evaluation, which is ``now`` (seconds since the epoch)."""

    labels: Mapping[str, str]
    value: float
    external_labels: Mapping[str, str] | None = None
    query: Query | None = None
    now: float = 0.0

    @property
    def external(self) -> object:
        """The external labels as a template sees them."""
        return _EXTERNAL if self.external_labels is None else dict(self.external_labels)

    def fields(self) -> dict[str, object]:
        """The fields of the dot."""
        return {
            "Labels": dict(self.labels),
            "ExternalLabels": self.external,
            "ExternalURL": _URL,
            "Value": self.value,
        }


@dataclass(frozen=True, slots=True)
class Expanded:
    """The text, and what of the template was left as it stands (in words, with the reason)."""

    text: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Unknown:
    """Something of the server that nobody here knows."""

    what: str

    def refuse(self) -> Unsupported:
        """Why what asks for it is left as it stands."""
        return Unsupported(self.what)


_URL = _Unknown("the server's own address")
_EXTERNAL = _Unknown("the server's external labels")


def expand(source: str, data: Data) -> Expanded:
    """The text of a template. Never raises: an error stands in the text, as Prometheus writes it."""
    if "{{" not in source:
        return Expanded(source)
    execution = None
    try:
        template = parse_template(source)
        execution = _Execution(template, data)
        execution.run(template.parts, execution.dot)
    except _Jumped:
        pass
    except (TemplateError, RecursionError) as error:
        return Expanded(f"<error expanding template: {error}>")
    return Expanded("".join(execution.output) if execution else "", tuple(execution.notes) if execution else ())


class _Jumped(Exception):
    """A ``break`` or ``continue`` on its way to its loop."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


class _Record(dict[str, object]):
    """A struct: its fields by name."""


class _Execution:
    """One run of a template."""

    def __init__(self, template: Template, data: Data) -> None:
        self.data = data
        self.dot: object = _Record(data.fields())
        self.output: list[str] = []
        self.notes: dict[str, None] = {}
        self._defined = template.defined
        self._variables: list[list[Any]] = [
            ["$", self.dot],
            ["$labels", dict(data.labels)],
            ["$externalLabels", data.external],
            ["$externalURL", _URL],
            ["$value", data.value],
        ]
        self._length = self._steps = self._includes = 0

    def run(self, parts: Sequence[Part], dot: object) -> None:
        """Execute parts one after the other."""
        for part in parts:
            self._steps += 1
            if self._steps > MAX_STEPS:
                raise TemplateError(f"more than {MAX_STEPS:,} steps")
            match part:
                case Text(text=text):
                    self._write(text)
                case Jump(kind=kind):
                    raise _Jumped(kind)
                case _:
                    self._attempt(part, dot)

    def _attempt(self, part: Action | Block | Include, dot: object) -> None:
        """Execute a part; what is not known here is left as it stands."""
        written, known = len(self.output), len(self._variables)
        try:
            match part:
                case Action():
                    value = self.value(part.pipe, dot)
                    if not part.pipe.declares:
                        self._write(_printed(value))
                case Block():
                    self._block(part, dot)
                    del self._variables[known:]
                case Include():
                    self._include(part, dot)
        except Unsupported as error:
            del self.output[written:], self._variables[known:]
            if isinstance(part, Action) and part.pipe.declares and not part.pipe.assigns:
                self._variables.append([part.pipe.declares[0], _URL])
            self._length = sum(map(len, self.output))
            self.notes[f"{part.source if len(part.source) < 80 else part.source[:77] + '...'}: {error}"] = None
            self._write(part.source)

    def _write(self, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_OUTPUT:
            raise TemplateError(f"the text is longer than {MAX_OUTPUT:,} characters")
        self.output.append(text)

    def _block(self, block: Block, dot: object) -> None:
        if block.kind == "range":
            self._range(block, dot)
            return
        value = self.value(block.pipe, dot)
        if isinstance(value, _Unknown):
            raise value.refuse()
        if truth(value):
            self.run(block.body, value if block.kind == "with" else dot)
        else:
            self.run(block.otherwise, dot)

    def _range(self, block: Block, dot: object) -> None:
        known = len(self._variables)
        value = self.value(block.pipe, dot, declare=False)
        pairs = _pairs(value)
        for key, item in pairs:
            self._loop_variables(block.pipe, key, item)
            try:
                self.run(block.body, item)
            except _Jumped as jump:
                if jump.kind == "break":
                    break
            finally:
                if not block.pipe.assigns:
                    del self._variables[known:]
        if not pairs:
            self.run(block.otherwise, dot)

    def _loop_variables(self, pipe: Pipe, key: object, item: object) -> None:
        values = [item] if len(pipe.declares) == 1 else [key, item]
        for name, value in zip(pipe.declares, values, strict=False):
            self._set(name, value, pipe.assigns)

    def _include(self, part: Include, dot: object) -> None:
        if part.name not in self._defined:
            raise TemplateError(f'template "{part.name}" not defined')
        self._includes += 1
        if self._includes > MAX_INCLUDES:
            raise TemplateError("exceeded maximum template depth")
        value = self.value(part.pipe, dot) if part.pipe is not None else None
        outer, self._variables = self._variables, [["$", value]]
        try:
            self.run(self._defined[part.name], value)
        finally:
            self._variables = outer
            self._includes -= 1

    # values -------------------------------------------------------------------------------------------------

    def value(self, pipe: Pipe, dot: object, *, declare: bool = True) -> object:
        """What a pipeline gives; its variables are set."""
        value: object = None
        for place, command in enumerate(pipe.commands):
            value = self._command(command, dot, [value] if place else [])
        if declare:
            for name in pipe.declares:
                self._set(name, value, pipe.assigns)
        return value

    def _set(self, name: str, value: object, assigns: bool) -> None:
        if not assigns:
            self._variables.append([name, value])
            return
        for entry in reversed(self._variables):
            if entry[0] == name:
                entry[1] = value
                return

    def _command(self, command: Sequence[Argument], dot: object, piped: list[object]) -> object:
        first, *rest = command
        if isinstance(first, Function):
            return self._call(first.name, rest, dot, piped)
        if isinstance(first, Constant) and first.value is None:
            raise TemplateError("nil is not a command")
        value = self._argument(first, dot)
        if rest or piped:
            raise TemplateError("can't give argument to non-function")
        return value

    def _call(self, name: str, rest: Sequence[Argument], dot: object, piped: list[object]) -> object:
        if name in ("and", "or"):
            return self._logic(name, rest, dot, piped)
        values = [self._argument(one, dot) for one in rest] + piped
        for value in values:
            if isinstance(value, _Unknown):
                raise value.refuse()
        if name == "query":
            return self._query(*values)
        if name == "now":
            return self.data.now
        if name in BUILTINS:
            return _called(name, BUILTINS[name], values)
        function, types = FUNCTIONS[name]
        return _called(name, function, values if types is None else _fitting(name, values, types))

    def _logic(self, name: str, rest: Sequence[Argument], dot: object, piped: list[object]) -> object:
        value: object = None
        if not rest and not piped:
            raise TemplateError(f"wrong number of args for {name}: want at least 1 got 0")
        for one in (*rest, *(Constant(value) for value in piped)):
            value = self._argument(one, dot)
            if isinstance(value, _Unknown):
                raise value.refuse()
            if truth(value) is (name == "or"):
                break
        return value

    def _argument(self, argument: Argument, dot: object) -> object:
        match argument:
            case Constant(value=value):
                return value
            case Function():
                return self._command([argument], dot, [])
            case Operand(base=base, fields=fields):
                value = dot if base is None else self._base(base, dot)
                for name in fields:
                    value = _field(value, name)
                return value

    def _base(self, base: str | Pipe, dot: object) -> object:
        if not isinstance(base, str):
            return self.value(base, dot)
        for name, value in reversed(self._variables):
            if name == base:
                return value
        raise TemplateError(f"undefined variable: {base}")

    def _query(self, *values: object) -> list[Sample]:
        (text,) = _fitting("query", values, (str,))
        if self.data.query is None:
            raise Unsupported("a query")
        try:
            return [Sample(dict(labels), value) for labels, value in self.data.query(str(text))]
        except SourceError as error:
            raise TemplateError(f"error calling query: {error.message}") from None


def _printed(value: object) -> str:
    if isinstance(value, _Unknown):
        raise value.refuse()
    return show(_plain(value))


def _plain(value: object) -> object:
    return {"Labels": value.labels, "Value": value.value} if isinstance(value, Sample) else value


def _field(value: object, name: str) -> object:
    if isinstance(value, _Record):
        if name not in value:
            raise TemplateError(f"can't evaluate field {name} in the alert's data; it has {', '.join(value)}")
        return value[name]
    if isinstance(value, dict):
        return value.get(name, "")
    if isinstance(value, Sample) and name in ("Labels", "Value"):
        return value.labels if name == "Labels" else value.value
    if isinstance(value, datetime):
        raise Unsupported(f"the method {name} of a time")
    if isinstance(value, _Unknown):
        raise value.refuse()
    raise TemplateError(f"can't evaluate field {name} in type {type_name(value)}")


def _pairs(value: object) -> list[tuple[object, object]]:
    if isinstance(value, list):
        return list(enumerate(value))
    if isinstance(value, dict) and not isinstance(value, _Record):
        return sorted(value.items())
    if value is None:
        return []
    if isinstance(value, int) and not isinstance(value, bool):
        return [(place, place) for place in range(min(value, MAX_STEPS + 1))]
    raise TemplateError(f"range can't iterate over {show(value)}")


def _fitting(name: str, values: Sequence[object], types: tuple[type, ...]) -> Sequence[object]:
    if len(values) != len(types):
        raise TemplateError(f"wrong number of args for {name}: want {len(types)} got {len(values)}")
    for value, type_ in zip(values, types, strict=True):
        if not isinstance(value, type_):
            raise TemplateError(f"wrong type for value in {name}; got {type_name(value)}")
    return values


def _called(name: str, function: Callable[..., object], values: Sequence[object]) -> object:
    try:
        return function(*values)
    except TemplateError as error:
        raise TemplateError(f"error calling {name}: {error}") from None
    except TypeError:
        raise TemplateError(f"wrong number of args for {name}: got {len(values)}") from None
