"""Who reaches whom, and how fast: one row a direction, which a terminal draws as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.catalog import Unit
from meshdiag.checks.links import latency_limit
from meshdiag.checks.readings.links import read_links
from meshdiag.checks.readings.reachability import reach
from meshdiag.errors import SourceError
from meshdiag.model import Column, Table, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.links import Links
    from meshdiag.checks.readings.reachability import Pair
    from meshdiag.sources.blackbox import View

COLUMNS = (
    Column("from", "from"),
    Column("to", "to"),
    Column("target", "target"),
    Column("module", "module"),
    Column("ok", "ok"),
    Column("duration_s", "takes", "number", Unit.SECONDS),
    Column("trouble", "trouble"),
    Column("verdict", "verdict", "verdict"),
    Column("sent", "sent", "number", Unit.COUNT),
    Column("failed", "failed", "number", Unit.COUNT),
    Column("resent", "resent", "number", Unit.COUNT),
    Column("from_role", "from role"),
    Column("to_role", "to role"),
)
NEEDS = ("metrics", "blackbox")
TITLE = "each row is one node's view of the others, in ms"


class MatrixView:
    """The matrix of one run, and what must be said beside it once it was drawn up."""

    def __init__(self) -> None:
        self.links: Links | None = None

    async def table(self, inputs: Inputs) -> Table:
        """A row a direction that was asked about, known or not; parts that are cut off stand together."""
        try:
            self.links = links = await read_links(inputs)
        except SourceError:
            return Table(COLUMNS, (), shape="matrix")  # the checks say why, once
        views = links.views
        limit_s = latency_limit(inputs, links)
        rows = [_row(links, pair, views.get(pair), limit_s) for pair in _order(links)]
        return Table(COLUMNS, tuple(rows), TITLE, shape="matrix", noun="link", keys=("from", "to", "module"))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was cut, and which rows say the same."""
        return () if self.links is None else link_notes(self.links)


def link_notes(links: Links) -> tuple[str, ...]:
    """What keeps the views from being whole, or from being several."""
    notes = []
    if links.sampled:
        notes.append(
            f"{len(links.chosen):,} of {links.pairs:,} directions were probed, both of each link; "
            "--from and --to choose which"
        )
    if links.shared:
        notes.append(
            f"{links.shared} nodes have an exporter in common: their rows are one view of the mesh, not several"
        )
    return tuple(notes)


def _order(links: Links) -> list[Pair]:
    """The directions in the order of the drawing."""
    parts = reach(tuple(links.nodes), links.answers).parts
    place = {name: place for place, name in enumerate(name for part in parts for name in part)}
    return sorted(links.chosen, key=lambda pair: (place[pair[0]], place[pair[1]]))


def _row(links: Links, pair: Pair, view: View | None, limit_s: float) -> Mapping[str, object]:
    one, other = links.nodes[pair[0]], links.nodes[pair[1]]
    row: dict[str, object] = {
        "from": pair[0],
        "to": pair[1],
        "target": links.targets[pair[1]],
        "module": links.module,
        "from_role": one.role,
        "to_role": other.role,
    }
    if view is None:
        error = links.silent.get(pair[0])
        why = f"no view: {error.trouble}" if error is not None else "no view"
        return row | {"ok": None, "duration_s": None, "trouble": why, "verdict": Verdict.UNKNOWN}
    return row | {
        "ok": view.ok,
        "duration_s": view.duration_s,
        "trouble": view.trouble,
        "verdict": _verdict(view, limit_s),
        "sent": view.sent,
        "failed": view.failed,
        "resent": view.resent,
        "phases": dict(view.phases),
    }


def _verdict(view: View, limit_s: float) -> Verdict:
    """How one direction is drawn: it fails, is slow or loses probes, or is fine."""
    if not view.ok:
        return Verdict.FAIL
    slow = view.duration_s is not None and view.duration_s > limit_s
    return Verdict.WARN if slow or view.failed or view.resent else Verdict.PASS
