"""Where records come from when it is not a file here: one protocol for Loki, Docker, the journal and Kubernetes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from meshdiag.logs.record import Record
    from meshdiag.logs.selection import Selection
    from meshdiag.logs.tally import Tally
    from meshdiag.model import Evidence


class LogSource(Protocol):
    """An outside system that keeps logs. What it can select itself is pushed down to it; what it cannot, it selects
    here with the exact test, so that the records given out are those that ``Selection`` describes. All methods
    raise ``SourceError``, ``records`` and ``follow`` possibly after the first records."""

    @property
    def name(self) -> str:
        """The source for a person, with its address and without credentials."""

    def evidence(self, selection: Selection) -> tuple[Evidence, ...]:
        """The commands that ask the same again, as a person would type them."""

    def records(self, selection: Selection, tally: Tally) -> AsyncIterator[Record]:
        """The wanted records, oldest first, ``head`` and ``tail`` kept."""

    def follow(self, selection: Selection, tally: Tally) -> AsyncIterator[Record]:
        """Wanted records as they are written, until the caller stops: nothing lost or doubled, and a break in
        the connection is mended or said."""

    async def aclose(self) -> None:
        """Let go of connections and processes."""
