"""The metrics page of a node, in Prometheus' text format or in OpenMetrics.

A page is a template made once and filled with values at each request: a lab of thousands of nodes lives in one
process. Which series exist is settled when the template is made; faults begin before the lab does.
Source: Prometheus exposition formats 0.0.4 and OpenMetrics 1.0.0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshdiag.lab.signals import Signal
    from meshdiag.lab.simulation import Family, Node

TEXT = "text/plain; version=0.0.4; charset=utf-8"
FILLER_S = 10.0
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(slots=True)
class Part:
    """A piece of a page: a template and the signals whose values go into it."""

    template: str
    signals: tuple[Signal, ...]

    def render(self, moment: float) -> str:
        """The piece with the values of a moment."""
        return self.template % tuple([signal(moment) for signal in self.signals])


@dataclass(slots=True)
class Page:
    """One node's page in one format. The ordinary metrics of a process, which are most of it and which nobody
    asks for, move every ``FILLER_S`` seconds only."""

    content_type: str
    metrics: Part
    filler: Part
    end: str = ""
    _filled: tuple[float, str] = (math.nan, "")

    def render(self, moment: float) -> bytes:
        """The page as it would be served at ``moment``."""
        begun = moment - moment % FILLER_S
        if self._filled[0] != begun:
            self._filled = (begun, self.filler.render(begun))
        return f"{self.metrics.render(moment)}{self._filled[1]}{self.end}".encode()


def page(node: Node, moment: float, openmetrics: bool = False) -> Page:
    """A node's page with the series that exist at ``moment``."""
    families = node.families.values()
    metrics = _part([family for family in families if not family.filler], moment, openmetrics)
    filler = _part([family for family in families if family.filler], moment, openmetrics)
    return Page(OPENMETRICS, metrics, filler, "# EOF\n") if openmetrics else Page(TEXT, metrics, filler)


def _part(families: Iterable[Family], moment: float, openmetrics: bool) -> Part:
    lines: list[str] = []
    signals: list[Signal] = []
    for family in families:
        present = [one for one in family.series if one.exists(moment)]
        lines += _head(family, openmetrics) if present else []
        for one in present:
            form = family.form if one.suffix in ("", "_sum") else "%d"
            lines.append(f"{_literal(family.name + one.suffix + labels_text(one.labels))} {form}\n")
            signals.append(one.signal)
    return Part("".join(lines), tuple(signals))


def labels_text(labels: Iterable[tuple[str, str]]) -> str:
    """Labels as they stand behind a name: ``{peer="trainer-2"}``, or nothing."""
    inner = ",".join(f'{name}="{escape(value)}"' for name, value in labels)
    return f"{{{inner}}}" if inner else ""


def escape(value: str) -> str:
    """A label value as the text formats escape it."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _head(family: Family, openmetrics: bool) -> list[str]:
    name = family.name.removesuffix("_total") if openmetrics and family.type == "counter" else family.name
    return [f"# HELP {_literal(name)} {_literal(family.help)}\n", f"# TYPE {_literal(name)} {family.type}\n"]


def _literal(text: str) -> str:
    return text.replace("%", "%%")
