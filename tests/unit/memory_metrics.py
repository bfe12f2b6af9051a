"""A metrics source for tests of checks: series held in memory, asked in real PromQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from meshdiag.catalog import UP
from meshdiag.checks import all_checks
from meshdiag.checks.inputs import Inputs
from meshdiag.context import CheckSettings, Context
from meshdiag.metrics import NAME_LABEL, Absence, AbsenceKind, Matrix, Vector
from meshdiag.model import Evidence
from meshdiag.promql.evaluator import instant, over_range
from meshdiag.promql.store import Store
from meshdiag.promql.values import Options
from meshdiag.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.checks import Outcome

NOW = datetime(2026, 3, 9, 3, 12, tzinfo=UTC)
STEP_S = 15


@dataclass
class Memory:
    """Series since ``hours`` ago, one sample every 15 s. ``direct``: two samples, two seconds apart, no history."""

    hours: float = 3.0
    direct: bool = False
    store: Store = field(default_factory=Store)
    asked: list[str] = field(default_factory=list)
    gate: str | None = None
    name: str = "memory"
    warnings: tuple[str, ...] = ()

    @property
    def history(self) -> bool:
        return not self.direct

    def add(self, metric: str, instance: str, value: Any, since: float | None = None, **labels: str) -> None:
        """A series whose value is a number or a function of the seconds before now; it begins ``since`` seconds ago."""
        began = min(self.hours * 3600, since) if since is not None else self.hours * 3600
        ages = [2.0, 0.0] if self.direct else [STEP_S * n for n in range(int(began // STEP_S), -1, -1)]
        series = self.store.series({NAME_LABEL: metric, "instance": instance, "job": "agent-mesh", **labels})
        for age in ages:
            shown = value(age) if callable(value) else value
            series.append(int((NOW.timestamp() - age) * 1000), float(shown))

    def node(self, instance: str, role: str = "trainer", *, up: bool = True, since: float | None = None) -> None:
        """A node's ``up`` series."""
        self.add(UP.name, instance, int(up), since, node=instance.partition(":")[0], role=role)

    async def instant(self, query: str, at: datetime | None = None) -> Vector:
        self.asked.append(query)
        answer = instant(self.store, query, int((at or NOW).timestamp() * 1000), self._options)
        assert isinstance(answer, Vector)
        return answer

    async def range(self, query: str, start: datetime, end: datetime, step: timedelta) -> Matrix:
        self.asked.append(query)
        moments = int(start.timestamp() * 1000), int(end.timestamp() * 1000)
        return over_range(self.store, query, *moments, int(step.total_seconds() * 1000), self._options)

    @property
    def _options(self) -> Options:
        return Options(observed_rates=self.direct, prometheus2=True)

    async def why_empty(self, query: str, at: datetime | None = None) -> Absence:
        return Absence(AbsenceKind.NEVER_SEEN, f"never seen: {query}")

    def evidence(self, query: str, at: datetime | None = None, excerpt: str = "") -> Evidence:
        return Evidence(self.name, f"ask {query}", excerpt)


def mesh(instances: Sequence[str] = ("trainer-1:9091", "trainer-2:9091", "trainer-3:9091"), **more: Any) -> Memory:
    """A memory that knows some trainers, all up."""
    memory = Memory(**more)
    for instance in instances:
        memory.node(instance)
    return memory


async def ask(id_: str, memory: Memory | None = None, window: timedelta = timedelta(hours=1), **more: Any) -> Outcome:
    """What a check answers over this memory; ``settings`` are those of its configuration, ``sources`` the others."""
    check = all_checks()[id_]
    settings: CheckSettings = more.pop("settings", CheckSettings())
    inputs = Inputs(
        context=Context(),
        sources=more.pop("sources", Sources()),
        now=NOW,
        window=window,
        threshold=settings.over(check.threshold),
        options=settings.options,
        chosen_metrics=memory,
        **more,
    )
    try:
        return await check.run(inputs)
    finally:
        await inputs.memo.close()
