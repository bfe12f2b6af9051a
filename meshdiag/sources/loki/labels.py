"""Which labels of a stream say what a record says: level, component, node.

The first label of each (``level``, ``component``, ``node``) goes before what the line says: the operators of the store
set it, everybody who asks this Loki goes by it, and it is in the index. The others count where the line says nothing;
``detected_level`` is the last of them, because it is a guess of Loki 3's (any line with "info" in it may become info).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from meshdiag.logs.levels import level_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshdiag.logs.record import Level

OWN: Final = "said_"
"""How labels begin that our own queries make; they are no part of a record."""
_USUAL: Final = (
    "trace trc debug dbg info inf information notice warn warning wrn error err fatal critical crit panic alert emerg"
)
NOBODY: Final = frozenset({"unknown", "unknown_service"})
"""What Loki 3 writes where it knows nothing."""


@dataclass(frozen=True, slots=True)
class Names:
    """The labels for one thing: ``first`` goes before the line, ``after`` are looked at in turn behind it."""

    first: str
    after: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every one of them."""
        return (self.first, *self.after)

    def behind(self, labels: Mapping[str, str]) -> str:
        """The value of the first of ``after`` that has one, else ""."""
        return next((value for name in self.after if (value := labels.get(name, "")) and value not in NOBODY), "")


@dataclass(frozen=True, slots=True)
class LabelNames:
    """The labels that are looked at."""

    level: Names = Names("level", ("severity", "detected_level"))
    component: Names = Names("component", ("service_name", "app", "container"))
    node: Names = Names("node", ("instance", "host", "hostname", "pod"))


@dataclass(frozen=True, slots=True)
class Streams:
    """What the streams that a selector picks are labelled with: every value of each label, "" for a stream without it.
    Empty where nobody asked."""

    values: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def always(self, label: str) -> bool:
        """Whether it is known that every stream has this label."""
        return "" not in self.values.get(label, ("",))


def level_in(labels: Mapping[str, str], names: tuple[str, ...]) -> Level | None:
    """The level that the first understood of these labels states."""
    return next((level for name in names if (level := level_of(labels.get(name, ""))) is not None), None)


def spellings_outside(levels: frozenset[Level]) -> list[str]:
    """How all other levels are spelled, to be compared without regard to case. A rare spelling that is left out costs
    lines that come for nothing, no more."""
    return [word for word in _USUAL.split() if level_of(word) not in levels]
