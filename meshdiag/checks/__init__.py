"""Checks: one module a subject, one function a question.

A check is a function marked with ``@check``. Putting it into a module of this package is all that adding one
takes: ``all_checks`` finds it. It fetches through the sources it is handed, then calls the plain judging
function beside it; it opens nothing, prints nothing and does not catch ``SourceError`` (the engine turns that
into UNKNOWN).
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING

from meshdiag.errors import UsageError
from meshdiag.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.model import Evidence, Finding, Threshold, Verdict


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found: findings (their worst verdict is the check's), one line that sums them up, and the
    commands that show it again. ``verdict`` overrules the findings where there are none. ``absent``: why the answer
    of the source is empty, an ``AbsenceKind``; "" where it is not."""

    findings: tuple[Finding, ...] = ()
    summary: str = ""
    evidence: tuple[Evidence, ...] = ()
    verdict: Verdict | None = None
    hint: str = ""
    """Overrules the check's own hint where the finding calls for another next step."""
    absent: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One question about the system.

    id: its address everywhere (``consensus.round-duration``); the part before the dot is its module.
    title: the healthy state as a sentence, which reads well in green and in red.
    run: awaits data, returns an outcome.
    needs: the sources it asks, by their names in ``Inputs`` (``metrics``, ``probe`` …); of
        ``prometheus|alertmanager`` one is enough.
    runbook: the name of the procedure that explains it (``runbooks/NAME.md``).
    hint: the next step when it fails, one sentence.
    threshold: the default, which configuration overrules; unit: what its bounds are in, "" for plain numbers.
    history: it asks about the past, which direct scrapes do not know: it is skipped there, with that reason.
    """

    id: str
    title: str
    run: Callable[[Inputs], Awaitable[Outcome]]
    needs: tuple[str, ...]
    runbook: str
    hint: str
    threshold: Threshold | None = None
    history: bool = False
    unit: str = ""

    @property
    def subject(self) -> str:
        """The part of the id that names its module: ``consensus``."""
        return self.id.partition(".")[0]


def check(
    id: str,  # noqa: A002 - the word that the rest of the program uses for it
    *,
    title: str,
    needs: Sequence[str],
    runbook: str,
    hint: str,
    threshold: Threshold | None = None,
    history: bool = False,
    unit: str = "",
) -> Callable[[Callable[[Inputs], Awaitable[Outcome]]], Check]:
    """Mark a function as a check; see ``Check`` for the fields."""

    def mark(run: Callable[[Inputs], Awaitable[Outcome]]) -> Check:
        return Check(id, title, run, tuple(needs), runbook, hint, threshold, history, unit)

    return mark


@cache
def _subjects() -> tuple[str, ...]:
    return tuple(module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)


@cache
def checks_about(subject: str) -> dict[str, Check]:
    """The checks of one module by id, in their order there; none where there is no such module."""
    if subject not in _subjects():
        return {}
    module = importlib.import_module(f"{__name__}.{subject}")
    return {value.id: value for value in vars(module).values() if isinstance(value, Check)}


def all_checks() -> dict[str, Check]:
    """Every check by id, in the order of module name and place in the module."""
    return {id_: one for subject in _subjects() for id_, one in checks_about(subject).items()}


def find_check(id_: str) -> Check | None:
    """The check of this id. Only its module is imported."""
    return checks_about(id_.partition(".")[0]).get(id_)


def place_of(id_: str) -> tuple[str, int]:
    """Where a check stands in the order of ``all_checks``; one that was made for a call stands before."""
    subject = id_.partition(".")[0]
    known = list(checks_about(subject))
    return (subject, known.index(id_)) if id_ in known else ("", 0)


def select(wanted: Iterable[str], only: Sequence[str] = (), skip: Sequence[str] = ()) -> list[Check]:
    """The checks that ``wanted`` names (ids or globs), narrowed by ``--only`` and ``--skip``.

    ``only`` may also name checks outside ``wanted``. Raises ``UsageError`` for a pattern that fits no check. Modules
    that no pattern names are not imported.
    """
    keep = tuple(only) or tuple(wanted)
    named = {subject for pattern in (*keep, *skip) for subject in _subjects_of(pattern)}
    known = {id_: one for subject in sorted(named) for id_, one in checks_about(subject).items()}
    for pattern in (*only, *skip):
        if not any(fnmatchcase(id_, pattern) for id_ in known):
            raise UsageError(
                f"no check is called {pattern!r}",
                hint=did_you_mean(pattern, all_checks(), "'meshdiag checks' lists them", most=3, cutoff=0.5),
            )
    return [
        one
        for id_, one in known.items()
        if any(fnmatchcase(id_, pattern) for pattern in keep) and not any(fnmatchcase(id_, pattern) for pattern in skip)
    ]


def _subjects_of(pattern: str) -> tuple[str, ...]:
    """The modules that may have checks which a pattern fits."""
    subject, dot, _ = pattern.partition(".")
    return (subject,) if dot and not _GLOB & set(subject) else _subjects()


_GLOB = frozenset("*?[")
