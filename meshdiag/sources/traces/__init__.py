"""Stores of distributed traces: Jaeger and Tempo, asked the same questions, giving the same ``Trace``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from meshdiag.model import Evidence
    from meshdiag.sources.traces.trace import Found, Search, Trace


class TraceStore(Protocol):
    """What a store of traces answers. Every question raises ``SourceError``."""

    @property
    def name(self) -> str:
        """The store and its address, as a person knows it: ``Jaeger http://…:16686``."""
        ...

    async def services(self) -> tuple[str, ...]:
        """The services that have sent spans, sorted."""
        ...

    async def operations(self, service: str) -> tuple[str, ...]:
        """The operations of a service, sorted; none where it is not known."""
        ...

    async def search(self, search: Search) -> Found:
        """The traces that a search picks, the slowest first."""
        ...

    async def trace(self, trace_id: str) -> Trace | None:
        """One trace whole; None where the store does not have it."""
        ...

    def evidence(self, search: Search | str) -> Evidence:
        """The command that asks the same again: a search, or a trace by its id."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
