"""The metrics page of a node, in Prometheus' text format or in OpenMetrics.

A page is a template made once and filled with values at each request: a lab of thousands of nodes lives in one
process. Which series exist is settled when the template is made; faults begin before the lab does.
Source: Prometheus exposition formats 0.0.4 and OpenMetrics 1.0.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshdiag.lab.signals import Signal
    from meshdiag.lab.simulation import Family, Labels, Node

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Page:
    """One node's page in one format: ``render`` fills in the values of a moment."""

    content_type: str
    template: str
    signals: tuple[Signal, ...]

    def render(self, moment: float) -> bytes:
        """The page as it would be served at ``moment``."""
        return (self.template % tuple([signal(moment) for signal in self.signals])).encode()


def page(node: Node, moment: float, openmetrics: bool = False) -> Page:
    """A node's page with the series that exist at ``moment``."""
    lines: list[str] = []
    signals: list[Signal] = []
    for family in node.families.values():
        present = [one for one in family.series if one.exists(moment)]
        if not present:
            continue
        lines += _head(family, openmetrics)
        for one in present:
            name = family.name + one.suffix
            form = family.form if one.suffix in ("", "_sum") else "%d"
            lines.append(f"{_literal(name + labels_text(one.labels))} {form}")
            signals.append(one.signal)
    if openmetrics:
        lines.append("# EOF")
    return Page(OPENMETRICS if openmetrics else TEXT, "\n".join(lines) + "\n", tuple(signals))


def labels_text(labels: Iterable[tuple[str, str]]) -> str:
    """Labels as they stand behind a name: ``{peer="trainer-2"}``, or nothing."""
    inner = ",".join(f'{name}="{escape(value)}"' for name, value in labels)
    return f"{{{inner}}}" if inner else ""


def escape(value: str) -> str:
    """A label value as the text formats escape it."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def joined(*groups: Labels) -> Labels:
    """Several groups of labels as one."""
    return tuple(pair for group in groups for pair in group)


def _head(family: Family, openmetrics: bool) -> list[str]:
    name = family.name.removesuffix("_total") if openmetrics and family.type == "counter" else family.name
    return [f"# HELP {_literal(name)} {_literal(family.help)}", f"# TYPE {_literal(name)} {family.type}"]


def _literal(text: str) -> str:
    return text.replace("%", "%%")
