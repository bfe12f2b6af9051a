"""Causes: likely explanations drawn from several findings, for the sentence under the table.

A cause is a function marked with ``@cause`` in a module of this package; putting it there is all that adding
one takes. It sees the findings alone, names only what they carry, and returns None when they do not add up.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from meshdiag.causes.clues import Clues

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshdiag.model import Cause, Result


@dataclass(frozen=True, slots=True)
class Explainer:
    """A possible explanation. ``confidence`` (0 to 1) orders causes: how sure one may be when it applies."""

    name: str
    explain: Callable[[Clues], Cause | None]
    confidence: float


def cause(confidence: float) -> Callable[[Callable[[Clues], Cause | None]], Explainer]:
    """Mark a function as a cause; see ``Explainer``."""

    def mark(explain: Callable[[Clues], Cause | None]) -> Explainer:
        return Explainer(explain.__name__, explain, confidence)

    return mark


@cache
def all_causes() -> tuple[Explainer, ...]:
    """Every explanation there is, the surest first."""
    found = [
        value
        for module in pkgutil.iter_modules(__path__)
        for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values()
        if isinstance(value, Explainer)
    ]
    return tuple(sorted(found, key=lambda one: -one.confidence))


def find_causes(results: Sequence[Result]) -> tuple[Cause, ...]:
    """The likely causes of what these results found, the surest first. None for a healthy report.

    An explanation that says no more than a surer one (it rests on nothing else) is left out.
    """
    clues = Clues.of(results)
    if not clues.trouble:
        return ()
    causes: list[Cause] = []
    explained: set[str] = set()
    for one in all_causes():
        found = one.explain(clues)
        if found is not None and not explained.issuperset(found.because):
            causes.append(found)
            explained.update(found.because)
    return tuple(causes)
