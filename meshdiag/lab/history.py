"""The past of a lab, as OpenMetrics text that promtool turns into blocks before Prometheus starts.

The same signals that the live pages show, at earlier moments; so counters go on where the history ends. With
them ``up`` and the state of the alerts, so that an alert that waits ten minutes fires at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from meshdiag.lab.pages import labels_text
from meshdiag.lab.signals import Steady

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshdiag.lab.alerting import ActiveAlert
    from meshdiag.lab.nodes import ServedNode
    from meshdiag.lab.signals import Signal
    from meshdiag.lab.simulation import Labels, Mesh, Node, Series

MOST_SAMPLES = 1_500_000
STEP_S = 30.0
DENSE_S = 360.0
"""The last part is always at ``STEP_S``, so that a rate over five minutes has something to go by."""
LONGEST_STEP_S = 240.0
"""Below Prometheus' look-back of five minutes: a longer step would leave holes."""


def moments(series: int, end: float, history_s: float) -> list[float]:
    """When history has samples, up to ``end``. The more series there are, the sparser (and at last the shorter)
    the older part, so that there are at most about ``MOST_SAMPLES``."""
    dense = [end - STEP_S * step for step in range(int(min(DENSE_S, history_s) // STEP_S) + 1)]
    older_s = history_s - DENSE_S
    left = MOST_SAMPLES // max(1, series) - len(dense)
    if older_s > 0 and left > 0:
        step = min(LONGEST_STEP_S, max(STEP_S, older_s / left))
        dense += [dense[-1] - step * number for number in range(1, min(left, int(older_s // step)) + 1)]
    return dense[::-1]


def target_labels(node: ServedNode, job: str) -> Labels:
    """The labels that Prometheus gives to every series of a node."""
    return (
        ("instance", node.instance),
        ("job", job),
        ("node", node.name),
        ("peer_address", node.peer),
        ("role", node.role),
    )


def write_history(
    out: TextIO, mesh: Mesh, nodes: Sequence[ServedNode], job: str, alerts: Sequence[ActiveAlert], end: float
) -> None:
    """Write the past of every node up to ``end``, one series after the other."""
    times = moments(sum(1 for node in mesh.nodes for _ in _kept(node)), end, mesh.history_s)
    for node, served in zip(mesh.nodes, nodes, strict=True):
        labels = target_labels(served, job)
        _write_up(out, node, labels, times)
        for name, form, series in _kept(node):
            _write(out, name + labels_text((*series.labels, *labels)), form, series.signal, _within(series, times))
    for alert in alerts:
        _write_alert(out, alert, times)
    out.write("# EOF\n")


def _kept(node: Node) -> Iterator[tuple[str, str, Series]]:
    """Name, form and series of all that history keeps of a node."""
    for family in node.families.values():
        if not family.filler:
            for series in family.series:
                form = family.form if series.suffix in ("", "_sum") else "%d"
                yield family.name + series.suffix, form, series


def _within(series: Series, times: Sequence[float]) -> Sequence[float]:
    if series.exists(times[0]) and series.exists(times[-1]):
        return times
    return [moment for moment in times if series.exists(moment)]


def _write(out: TextIO, key: str, form: str, signal: Signal, times: Sequence[float]) -> None:
    if isinstance(signal, Steady):
        fixed = form % signal.value
        out.writelines([f"{key} {fixed} {moment:.3f}\n" for moment in times])
    else:
        out.writelines([f"{key} {form % signal(moment)} {moment:.3f}\n" for moment in times])


def _write_up(out: TextIO, node: Node, labels: Labels, times: Sequence[float]) -> None:
    key = "up" + labels_text(labels)
    out.writelines([f"{key} {int(moment < node.down_since)} {moment:.3f}\n" for moment in times])


def _write_alert(out: TextIO, alert: ActiveAlert, times: Sequence[float]) -> None:
    """What Prometheus itself records of an alert: since when it is active, and in which state."""
    since = [moment for moment in times if moment >= alert.active_at]
    _write(out, "ALERTS_FOR_STATE" + labels_text(alert.labels), "%d", Steady(alert.active_at), since)
    for state, begun, ended in (
        ("pending", alert.active_at, alert.fires_at),
        ("firing", alert.fires_at, float("inf")),
    ):
        within = [moment for moment in since if begun <= moment < ended]
        _write(out, "ALERTS" + labels_text((*alert.labels, ("alertstate", state))), "%d", Steady(1), within)
