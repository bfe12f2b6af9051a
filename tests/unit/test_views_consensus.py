"""The table of the consensus overview."""

from __future__ import annotations

from datetime import timedelta

from meshdiag.checks.inputs import Inputs
from meshdiag.context import Context
from meshdiag.sources import Sources
from meshdiag.sources.probing import Prober
from meshdiag.views.consensus import slow_view
from tests.unit.memory_metrics import NOW, mesh


class Refusing(Prober):
    """Ports that must not be tried."""

    async def probe(self, *_asked: object, **_more: object):
        raise AssertionError("a port was tried")


async def test_the_latency_of_a_past_moment_is_not_measured_now():
    """With --at the column stays empty: a connect shows the present."""
    memory = mesh(("trainer-1:9091",))
    sources = Sources(probe=Refusing())
    hour = timedelta(hours=1)
    table = await slow_view(Inputs(Context(), sources, NOW, hour, at=NOW - timedelta(minutes=5), chosen_metrics=memory))
    assert [(row["instance"], row["latency_s"]) for row in table.rows] == [("trainer-1:9091", None)]
