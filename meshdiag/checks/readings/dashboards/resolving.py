"""The values of a dashboard's variables, each after those that its own query mentions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.checks.readings.dashboards.naming import name_datasource
from meshdiag.checks.readings.dashboards.panels import read_reference
from meshdiag.checks.readings.dashboards.variables import (
    Value,
    asks,
    built_in,
    choose,
    fill,
    matching,
    names_in,
    options_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.checks.readings.dashboards.asking import Asking
    from meshdiag.checks.readings.dashboards.panels import Board
    from meshdiag.checks.readings.dashboards.variables import Variable
    from meshdiag.metrics import Sample
    from meshdiag.sources.grafana.client import Datasource

MOST_VALUES = 2000
"""Values of a variable that are looked at: Grafana's own menu shows a thousand."""
LONGEST_VALUE = 2000


async def values_of(asking: Asking, board: Board, known: Sequence[Datasource] | None) -> dict[str, Value]:
    """What each variable of a dashboard stands for when it is opened. Raises ``SourceError``."""
    values: dict[str, Value] = {}
    for variable in _in_order(board.variables):
        values[variable.name] = await _value(asking, board, variable, values, known)
    return values


def _in_order(variables: Sequence[Variable]) -> list[Variable]:
    """Each after those that it mentions; those that mention each other stay in the dashboard's order."""
    left, order = list(variables), []
    while left:
        waiting = {one.name for one in left}
        free = [one for one in left if not (waiting - {one.name}) & set(names_in(one.query))] or left[:1]
        order += free
        left = [one for one in left if one not in free]
    return order


async def _value(
    asking: Asking,
    board: Board,
    variable: Variable,
    values: Mapping[str, Value],
    known: Sequence[Datasource] | None,
) -> Value:
    match variable.type:
        case "custom":
            return choose(variable, options_of(variable), "it lists no values")
        case "interval":
            return _interval(asking, variable)
        case "constant" | "textbox":
            text = variable.current[0] if variable.current and variable.type == "textbox" else variable.query
            return Value((text,), raw=variable.type == "constant")
        case "datasource":
            names = tuple(one.name for one in known or () if one.type == variable.query)
            return choose(variable, names or variable.current or ("default",))
        case "query":
            return await _queried(asking, board, variable, values, known)
        case _:
            saved = variable.current or ("",)
            return Value(saved, variable.many)


def _interval(asking: Asking, variable: Variable) -> Value:
    """An interval that was chosen; ``auto`` is worked out from the range."""
    auto = variable.current and variable.current[0].startswith("$__auto_interval")
    if auto or not options_of(variable):
        inputs = asking.inputs
        return built_in(inputs.window.total_seconds(), inputs.moment.timestamp())["__interval"]
    return choose(variable, options_of(variable))


async def _queried(
    asking: Asking,
    board: Board,
    variable: Variable,
    values: Mapping[str, Value],
    known: Sequence[Datasource] | None,
) -> Value:
    """The values that Prometheus gives; those that were saved where it is not Prometheus that has them."""
    datasource = name_datasource(read_reference(variable.datasource), board, known)
    if datasource.type not in ("", "prometheus"):
        return choose(variable, variable.current, f"its values come from a datasource of the type {datasource.type}")
    inputs = asking.inputs
    scope = {**built_in(inputs.window.total_seconds(), inputs.moment.timestamp()), **values}
    made = fill(variable.query, scope)
    if made.unknown:
        return choose(variable, (), f"its query mentions ${made.unknown[0]}, which is no variable")
    try:
        options = matching(variable.regex, await _options(asking, made.text))
    except ValueError as error:
        return choose(variable, (), str(error))
    return choose(variable, options, f"{made.text} gives none")


async def _options(asking: Asking, query: str) -> tuple[str, ...]:
    """What the query of a variable gives, cut to what a menu can show."""
    wanted = asks(query)
    match wanted.function:
        case "label_values" if not wanted.of:
            found = await asking.label_values(wanted.label)
        case "label_values":
            vector = await asking.vector(f"count by ({wanted.label}) ({wanted.of})")
            found = tuple(sorted(value for value in vector.by(wanted.label) if value))
        case "metrics":
            whole = f"/^(.*(?:{wanted.of}).*)$/"
            found = matching(whole, sorted(await asking.names() or ()))
        case "label_names":
            vector = await asking.vector(wanted.of or "up")
            found = tuple(sorted({name for sample in vector.samples for name in sample.labels}))
        case "query_result":
            found = tuple(f"{_series(one)} {one.value:g} {one.time * 1000:.0f}" for one in await _of(asking, wanted.of))
        case _:
            found = tuple(map(_series, await _of(asking, wanted.of))) if wanted.of else ()
    return tuple(one for one in found if len(one) <= LONGEST_VALUE)[:MOST_VALUES]


async def _of(asking: Asking, expression: str) -> Sequence[Sample]:
    return (await asking.vector(expression)).samples


def _series(sample: Sample) -> str:
    """``name{label="value"}``, as Grafana's variables have it."""
    pairs = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()) if name != "__name__")
    return f"{sample.labels.get('__name__', '')}{{{pairs}}}"
