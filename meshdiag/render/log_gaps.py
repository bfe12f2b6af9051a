"""Where something was left out between records that are shown with their neighbours: ``--`` stands there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshdiag.logs.record import Record

APART = "--"


class Gaps:
    """Looks at records in the order in which they are shown."""

    def __init__(self) -> None:
        self._after_gap = True

    def before(self, record: Record) -> bool:
        """Whether there is a gap before a record; one is enough where several logs leave something out at once."""
        first = record.gap and not self._after_gap
        self._after_gap = record.gap
        return first
