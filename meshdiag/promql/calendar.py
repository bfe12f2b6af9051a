"""Calendar functions: hour, minute, day and their kin, of each element's value in seconds since the epoch (UTC)."""

from __future__ import annotations

import calendar
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from meshdiag.promql.values import mapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshdiag.promql.evaluator import Evaluation
    from meshdiag.promql.expressions import Call
    from meshdiag.promql.values import Elements

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CYCLE_YEARS = 400
_CYCLE_S = 146_097 * 86_400
_FIELDS: dict[str, Callable[[datetime], int]] = {
    "minute": lambda moment: moment.minute,
    "hour": lambda moment: moment.hour,
    "day_of_month": lambda moment: moment.day,
    "day_of_week": lambda moment: moment.isoweekday() % 7,
    "day_of_year": lambda moment: moment.timetuple().tm_yday,
    "days_in_month": lambda moment: calendar.monthrange(moment.year, moment.month)[1],
    "month": lambda moment: moment.month,
    "year": lambda moment: moment.year,
}


def _field(evaluation: Evaluation, node: Call) -> Elements:
    """One field of the date; without an argument that of the evaluation time."""
    elements = evaluation.elements(node.args[0]) if node.args else [({}, evaluation.now / 1000)]
    field = _FIELDS[node.function]
    return mapped(elements, [_of(field, value) for _, value in elements])


def _of(field: Callable[[datetime], int], value: float) -> float:
    """A field of a moment; NaN for what is none. Python knows the years to 9999, Prometheus goes on: the calendar
    repeats itself every 400 years, weekdays and all."""
    if not abs(value) < 2.0**63:
        return math.nan
    cycles, seconds = divmod(int(value), _CYCLE_S)
    found = float(field(_EPOCH + timedelta(seconds=seconds)))
    return found + cycles * _CYCLE_YEARS if field is _FIELDS["year"] else found


CALENDAR: dict[str, Callable[[Evaluation, Call], Elements]] = dict.fromkeys(_FIELDS, _field)
"""The calendar functions by name."""
