"""When it is the monitoring that is broken, or the way to the mesh, rather than the mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.causes import cause
from meshdiag.causes.clues import references
from meshdiag.model import Cause, Verdict

if TYPE_CHECKING:
    from meshdiag.causes.clues import Clues

PROMETHEUS = "stack.prometheus"
SHUT = (Verdict.FAIL, Verdict.UNKNOWN)
MOST = 0.8
"""From this share of the nodes on, they are taken for all."""


@cause(confidence=0.99)
def monitoring_broken(clues: Clues) -> Cause | None:
    """Prometheus does not answer: either nothing is known of the mesh, or the nodes were asked instead."""
    stack = clues.results.get(PROMETHEUS)
    if stack is None or stack.verdict not in SHUT:
        return None
    waiting = [result.id for result in clues.results.values() if result.because == PROMETHEUS]
    nodes = clues.verdict("nodes.up")
    if nodes is Verdict.PASS:
        statement = "It is the monitoring that is broken, not the nodes: Prometheus does not answer, and they do"
    elif waiting:
        statement = "Nothing is known of the mesh because Prometheus does not answer; the mesh itself may be well"
    else:
        return None
    subject = stack.findings[0].subject if stack.findings else ""
    rests = (f"{PROMETHEUS} {subject}".strip(), *(("nodes.up",) if nodes is Verdict.PASS else waiting[:3]))
    return Cause(statement, rests, next_step(clues, waiting))


def next_step(clues: Clues, waiting: list[str]) -> str:
    """Ask the nodes where nobody has; else the command that shows what Prometheus says."""
    if waiting:
        return "meshdiag health --direct asks the nodes themselves"
    evidence = clues.results[PROMETHEUS].evidence
    return evidence[0].command if evidence else "meshdiag health --only stack.prometheus --explain"


@cause(confidence=0.9)
def no_way_to_the_mesh(clues: Clues) -> Cause | None:
    """Nearly every node is down at once: that is a network, or the machine that looks, more often than the nodes."""
    up = clues.results.get("nodes.up")
    down = clues.bad("nodes.up")
    if up is None or len(down) < 3 or len(down) < MOST * len(up.findings):
        return None
    return Cause(
        "Nearly all nodes went down together: the network to them, or what scrapes them, is likelier than their deaths",
        references(down[:5]),
        "meshdiag nodes --direct asks them from this machine: if they answer, Prometheus cannot reach them",
    )


@cause(confidence=0.85)
def scraping_stopped(clues: Clues) -> Cause | None:
    """Nearly every node was read long ago: Prometheus no longer scrapes, and every other answer is old."""
    age = clues.results.get("nodes.scrape-age")
    old = clues.bad("nodes.scrape-age")
    if age is None or len(old) < 2 or len(old) < MOST * len(age.findings):
        return None
    return Cause(
        "Prometheus no longer reads the nodes, so that everything said of them here is old",
        references(old[:5]),
        "meshdiag health --direct reads them now",
    )
