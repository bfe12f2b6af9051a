"""A trace: the spans of one request through the mesh, as plain data, whichever store it comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NODE_TAGS = ("service.instance.id", "node", "host.name", "hostname", "k8s.pod.name")
"""Under which of a process's tags stands which instance of a service it is, best first."""
_ID = re.compile(r"[0-9a-fA-F]{1,32}")


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work. Times are in seconds, ``start_s`` since the epoch, by the clock of the machine it ran on.

    ``parent`` is the id of the span that waits for it or caused it, "" for a root; ``follows`` when the parent
    does not wait for it. ``node`` is the instance of the service, "" where nothing tells it. ``warnings`` are the
    store's own, such as a parent that never arrived.
    """

    id: str
    parent: str
    service: str
    operation: str
    start_s: float
    duration_s: float
    kind: str = ""
    node: str = ""
    error: bool = False
    follows: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def end_s(self) -> float:
        """When it was over."""
        return self.start_s + self.duration_s

    @property
    def label(self) -> str:
        """``service operation``."""
        return f"{self.service} {self.operation}"


@dataclass(frozen=True)
class Trace:
    """The spans of one request, in the order of their start. There is at least one."""

    id: str
    spans: tuple[Span, ...]

    @cached_property
    def root(self) -> Span:
        """The span that everything else began with: the first without a parent among the spans, the longest where
        the true root never arrived and several claim to be it."""
        known = {span.id for span in self.spans}
        orphans = [span for span in self.spans if span.parent not in known or span.parent == span.id]
        return min(orphans or self.spans, key=lambda span: (bool(span.parent), -span.duration_s, span.start_s))

    @property
    def start_s(self) -> float:
        """When its first span began, in seconds since the epoch."""
        return self.spans[0].start_s

    @property
    def duration_s(self) -> float:
        """From the begin of its first span to the end of its last."""
        return max(span.end_s for span in self.spans) - self.start_s

    @property
    def errors(self) -> int:
        """How many of its spans failed."""
        return sum(span.error for span in self.spans)


@dataclass(frozen=True, slots=True)
class Search:
    """Which traces are wanted: those with a span of the service (and operation) that lasted from ``at_least_s`` to
    ``at_most_s``, with these tags, begun between ``start_s`` and ``end_s`` (since the epoch), at most ``limit``."""

    service: str
    start_s: float
    end_s: float
    operation: str = ""
    at_least_s: float | None = None
    at_most_s: float | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    error: bool = False
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, the slowest first. ``cut``: there may be more than came."""

    traces: tuple[Trace, ...]
    cut: bool = False


def slowest_first(traces: list[Trace], limit: int) -> Found:
    """What a store sent, in order. A store that gave as many as were asked for may have more."""
    ordered = sorted(traces, key=lambda trace: (-trace.duration_s, trace.start_s, trace.id))
    return Found(tuple(ordered), cut=len(traces) >= limit)


def is_trace_id(text: str) -> bool:
    """Whether a text can be a trace's id: up to 32 hexadecimal digits."""
    return _ID.fullmatch(text) is not None


def node_of(tags: Mapping[str, str]) -> str:
    """Which instance of a service a process is, by its tags; "" where they do not tell."""
    return next((tags[name] for name in NODE_TAGS if tags.get(name)), "")
