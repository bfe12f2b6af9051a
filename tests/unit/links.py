"""A mesh whose nodes look at each other in memory: exporters that answer as a test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshdiag.errors import SourceError, Trouble
from meshdiag.sources.blackbox import Row, View, Viewpoint
from tests.unit.memory_metrics import Memory

if TYPE_CHECKING:
    from meshdiag.errors import SourceError as Error

Answer = float | str | None
"""Seconds that a direction takes, the word for why it does not work, or None: it is never answered."""
TIMEOUT, REFUSED = "timeout", "refused"


def names(count: int) -> tuple[str, ...]:
    """``n1`` and so on."""
    return tuple(f"n{number}" for number in range(1, count + 1))


def known_mesh(count: int, *, peers: bool = True, down: Sequence[str] = ()) -> Memory:
    """Metrics of so many trainers, with peer addresses ``nX:4001``."""
    memory = Memory(hours=0.1)
    for name in names(count):
        labels = {"peer_address": f"{name}:4001"} if peers else {}
        memory.add("up", f"{name}:9091", int(name not in down), None, node=name, role="trainer", **labels)
    return memory


@dataclass
class Exporters:
    """Stands in for ``Blackbox``. ``answer`` says of a direction (names) what its probes come to; ``silent`` are the
    viewpoints that fail; ``lost`` are directions with how many of three probes failed, and were late."""

    answer: Callable[[str, str], Answer] = lambda _one, _other: 0.001
    silent: Mapping[str, Error] = field(default_factory=dict)
    lost: Mapping[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    asked: list[Viewpoint] = field(default_factory=list)
    module: str = ""
    count: int = 0

    async def look(self, viewpoints: Sequence[Viewpoint], module: str, *, count: int, timeout_s: float) -> Any:
        self.asked, self.module, self.count = list(viewpoints), module, count
        return tuple(self._row(one) for one in viewpoints)

    def command(self, url: str, target: str, module: str) -> str:
        return f"probe {url} {target} {module}"

    def _row(self, viewpoint: Viewpoint) -> Row:
        if error := self.silent.get(viewpoint.name):
            return Row(viewpoint, (), error)
        views = (self._view(viewpoint.name, target) for target in viewpoint.targets)
        return Row(viewpoint, tuple(view for view in views if view is not None))

    def _view(self, one: str, target: str) -> View | None:
        other = target.partition(":")[0]
        answer = self.answer(one, other)
        if answer is None:
            return None
        if isinstance(answer, str):
            return View(one, target, self.module, False, None, {}, answer, 2, 2)
        failed, resent = self.lost.get((one, other), (0, 0))
        trouble = TIMEOUT if failed else ""
        return View(one, target, self.module, True, answer, {}, trouble, self.count, failed, resent)


def refused(name: str) -> SourceError:
    """The error of an exporter that is not there."""
    where = f"http://{name}:9115"
    return SourceError(
        f"blackbox_exporter at {where}/probe: connection refused", trouble=Trouble.REFUSED, source="blackbox_exporter",
        where=where, hint="nothing listens there",
    )  # fmt: skip
