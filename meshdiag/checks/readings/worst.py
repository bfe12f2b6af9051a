"""A check's findings in one sentence: the worst of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.model import Finding


def worst_of(findings: Sequence[Finding], otherwise: str) -> str:
    """The worst finding with its subject, or ``otherwise`` when all is well."""
    worst = max(findings, key=lambda one: one.verdict.severity, default=None)
    if worst is None or worst.verdict in (Verdict.PASS, Verdict.SKIP):
        return otherwise
    return f"{worst.subject}: {worst.message}"
