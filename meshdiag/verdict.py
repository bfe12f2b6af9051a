"""The verdicts, and the exit codes that stand for them: apart from the model, for every command needs them at once.

The module imports nothing from the rest of the package.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Verdict(StrEnum):
    """The answer to one question. ``UNKNOWN`` means "could not look", which is never ``PASS``."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"
    SKIP = "skip"

    @property
    def severity(self) -> int:
        """How bad: fail 4 > unknown 3 > warn 2 > pass 1 > skip 0."""
        return _SEVERITY[self]

    @staticmethod
    def worst(verdicts: Iterable[Verdict]) -> Verdict:
        """The verdict that decides: fail over unknown over warn over pass. Skips count for nothing, and
        nothing at all (or skips alone) is ``UNKNOWN``: nobody looked."""
        worst = max(verdicts, key=_SEVERITY.__getitem__, default=Verdict.SKIP)
        return Verdict.UNKNOWN if worst is Verdict.SKIP else worst


_SEVERITY = {
    Verdict.SKIP: 0,
    Verdict.PASS: 1,
    Verdict.WARN: 2,
    Verdict.UNKNOWN: 3,
    Verdict.FAIL: 4,
}


class ExitCode(IntEnum):
    """Exit codes of the program, the one home of these numbers (the monitoring-plugins convention, so that
    Nagios, Icinga, cron and CI can use them as they are)."""

    PASS = 0
    WARN = 1
    FAIL = 2
    UNKNOWN = 3
    USAGE = 64
    BUG = 70
    INTERRUPTED = 130

    @classmethod
    def of(cls, verdict: Verdict, fail_on: Verdict = Verdict.WARN) -> ExitCode:
        """The code for a verdict. With ``fail_on=FAIL`` a warning exits 0; unknown never does."""
        if verdict is Verdict.WARN and fail_on is Verdict.FAIL:
            return cls.PASS
        return {Verdict.PASS: cls.PASS, Verdict.WARN: cls.WARN, Verdict.FAIL: cls.FAIL}.get(verdict, cls.UNKNOWN)
