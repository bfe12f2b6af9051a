"""Which datasource a query means: by name, by uid, by variable, or Grafana's default."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from meshdiag.regexes import when_used
from meshdiag.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.checks.readings.dashboards.panels import Board, Reference
    from meshdiag.sources.grafana.client import Datasource

OWN: Final = {
    "-- Grafana --": "grafana",
    "grafana": "grafana",
    "-- Dashboard --": "dashboard",
    "-100": "__expr__",
    "__expr__": "__expr__",
    "-- Mixed --": "",
}
"""What Grafana itself answers, by the name that is written."""
_VARIABLE = when_used(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)|\[\[(\w+)\]\]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Named:
    """A datasource as far as it is known: its type ("" where nobody says) and its name; ``trouble`` where there is
    none of that name."""

    type: str
    name: str
    trouble: str = ""


def name_datasource(reference: Reference, board: Board, known: Sequence[Datasource] | None) -> Named:
    """The datasource that a reference means."""
    if reference.name in OWN:
        return Named(OWN[reference.name], reference.name)
    if reference.type in ("__expr__", "grafana"):
        return Named(reference.type, reference.type)
    if found := _VARIABLE.fullmatch(reference.name):
        return _of_variable(found[1] or found[2] or found[3], board, known)
    if not reference.name or reference.name == "default":
        default = next((one for one in known or () if one.is_default), None)
        return Named(reference.type or (default.type if default else ""), default.name if default else "default")
    return _fixed(reference, known)


def _of_variable(name: str, board: Board, known: Sequence[Datasource] | None) -> Named:
    if type_ := (board.inputs or {}).get(name):
        return Named(type_, name)
    variable = next((one for one in board.variables if one.name == name), None)
    if variable is None or variable.type != "datasource":
        return Named("", name, f"no variable of datasources is called ${name}")
    if known is not None and not any(one.type == variable.query for one in known):
        return Named(variable.query, name, f"Grafana has no datasource of the type {variable.query}, as ${name} is")
    return Named(variable.query, name)


def _fixed(reference: Reference, known: Sequence[Datasource] | None) -> Named:
    if known is None:
        return Named(reference.type, reference.name)
    found = next((one for one in known if reference.name in (one.uid, one.name)), None)
    if found is not None:
        return Named(found.type, found.name)
    guess = did_you_mean(reference.name, [one.name for one in known])
    said = f"Grafana has no datasource {reference.name!r}"
    return Named(reference.type, reference.name, f"{said}; {guess}" if guess else said)
