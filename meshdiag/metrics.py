"""Metrics: one protocol, several sources.

``sources.prometheus`` asks an HTTP API, ``sources.scrape`` reads the nodes' own pages and evaluates here, a
bundle will replay a recording. Checks see only what stands in this module and do not know which one answers.
A question about many nodes makes thousands of samples: msgspec makes them in a fifth of a dataclass's time.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from meshdiag.model import Evidence

NAME_LABEL = "__name__"


class Sample(Struct, frozen=True):
    """One value of one series. ``time`` is in seconds since the epoch (UTC): the evaluation time where the
    source does not tell when the value was really scraped."""

    labels: Mapping[str, str]
    value: float
    time: float


class Series(Struct, frozen=True):
    """Values of one series over time. ``times`` (seconds since the epoch, rising) and ``values`` pair up."""

    labels: Mapping[str, str]
    times: Sequence[float]
    values: Sequence[float]


class Vector(Struct, frozen=True):
    """The answer to an instant query. A scalar is a vector of one sample without labels (``scalar`` is true);
    a string result has no samples and its text in ``text``."""

    samples: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()
    scalar: bool = False
    text: str | None = None

    def by(self, label: str) -> dict[str, float]:
        """The values keyed by one label; samples without it are left out."""
        return {sample.labels[label]: sample.value for sample in self.samples if label in sample.labels}


class Matrix(Struct, frozen=True):
    """The answer to a range query, or to an instant query of a range selector (``up[5m]``)."""

    series: tuple[Series, ...]
    warnings: tuple[str, ...] = ()


class Described(Struct, frozen=True):
    """What a source says of a metric: its type and help text, empty where it does not say."""

    type: str = ""
    help: str = ""


class AbsenceKind(StrEnum):
    """Why an answer is empty. An empty answer is never a pass."""

    NEVER_SEEN = "never-seen"
    OTHER_LABELS = "other-labels"
    STALE = "stale"
    TARGET_DOWN = "target-down"
    WRONG_SERVER = "wrong-server"
    UNREACHABLE = "unreachable"
    FILTERED = "filtered"
    """Series exist; the expression (a comparison, say) left none of them over."""


class Absence(Struct, frozen=True):
    """Why nothing came back: the kind, one sentence for a person, and when it was last seen (UTC), if ever."""

    kind: AbsenceKind
    message: str
    last_seen: datetime | None = None


class Metrics(Protocol):
    """Where metrics come from. All methods raise ``SourceError`` when the source cannot be asked and
    ``QueryError`` when it refuses the expression."""

    @property
    def name(self) -> str:
        """The source for a person, with its address and without credentials: ``Prometheus http://…:9090``."""

    @property
    def gate(self) -> str | None:
        """The id of the check that vouches for this source (``stack.prometheus``), or None."""

    @property
    def history(self) -> bool:
        """Whether it knows more than the last few seconds, so that ``offset 1h`` and long ranges mean something."""

    @property
    def warnings(self) -> Sequence[str]:
        """What stood beside its answers so far (a partial response, a truncated list), each once: whoever reads a
        report must see it, whichever question it came with."""

    async def instant(self, query: str, at: datetime | None = None) -> Vector:
        """Evaluate a PromQL expression at one moment (now when None)."""

    async def evaluate(self, query: str, at: datetime | None = None) -> Vector | Matrix:
        """The same, also for an expression that selects a range (``up[5m]``), whose raw samples come back."""

    async def range(self, query: str, start: datetime, end: datetime, step: timedelta) -> Matrix:
        """Evaluate a PromQL expression at every ``step`` from ``start`` to ``end``, both included."""

    async def why_empty(self, query: str, at: datetime | None = None) -> Absence:
        """Classify an empty answer to ``query``: looks at each selector in it and names the first that is to blame."""

    async def names(self) -> Mapping[str, Described]:
        """Every sample name that exists now, with what is known of its metric."""

    def evidence(self, query: str, at: datetime | None = None, excerpt: str = "") -> Evidence:
        """The command that asks this source the same again, quoted so that it can be pasted into a shell."""
