"""What one node's trouble explains: peers that are missed, restarts, learning that stands still."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from meshdiag.causes import cause
from meshdiag.causes.clues import listed, on, references
from meshdiag.causes.consensus import FAILING, FEW, SATURATION, remedy, state_of
from meshdiag.model import Cause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.causes.clues import Clue, Clues

MISSED = ("peers.count", "nodes.roles", *FAILING, "consensus.leader-elections", "learning.training-progress")
"""What a mesh shows that has lost a node."""


WHY_DOWN = {
    "refused": "its port refuses connections",
    "no such host": "its host name is unknown",
    "host name is unknown": "its host name is unknown",
    "no route": "the network does not reach it",
    "does not reach": "the network does not reach it",
    "HTTP status": "its metrics page answers with an error",
    "deadline exceeded": "it does not answer in time",
    "timeout": "it does not answer in time",
    "within": "it does not answer in time",
}
"""What is the matter, by words of why the last scrape failed; the first that fit."""


@cause(confidence=0.97)
def node_down(clues: Clues) -> Cause | None:
    """A few nodes are down: with what the others show of it; alone, with what is known of why."""
    # A node that Prometheus has no target for is a hole in its configuration: whether it is down is not known.
    # One whose own page answers is not down, whatever Prometheus says: that is another cause.
    alive = {clue.finding.subject for clue in clues.bad("stack.scrape-truth")}
    down = [clue for clue in clues.bad("nodes.up") if "no target" not in clue.finding.message]
    down = [clue for clue in down if clue.finding.subject not in alive]
    names = list(dict.fromkeys(clue.who for clue in down))
    missed = [clue for clue in clues.bad(*MISSED) if clue.who not in names]
    many = len(down) > FEW, bool(down) and 2 * len(down) > len(clues.results["nodes.up"].findings)
    if not down or (all(many) if missed else any(many)):
        return None
    are = f"{listed(names)} {'is' if len(names) == 1 else 'are'} down"
    return Cause(
        f"{are}, and that is why {consequence(missed[0].check)}" if missed else are + why_down(down),
        references([*down, *_alerts_about(clues, down), *missed[: 2 * FEW]]),
        on(names[0], "'systemctl status agent-mesh; journalctl -u agent-mesh -n 50'", "meshdiag nodes"),
    )


def why_down(down: Sequence[Clue]) -> str:
    """Why one node could not be read, as the end of a sentence; nothing where that is not known, or of several."""
    message = down[0].finding.message if len(down) == 1 else ""
    reason = next((said for words, said in WHY_DOWN.items() if words in message), "")
    return f": {reason}" if reason else ""


def _alerts_about(clues: Clues, down: Sequence[Clue]) -> list[Clue]:
    """The critical alerts that say the same of these nodes."""
    instances = {clue.finding.subject for clue in down}
    return [clue for clue in clues.bad("alerts.critical") if clue.finding.labels.get("instance") in instances]


def consequence(check: str) -> str:
    """What a mesh suffers, as the end of a sentence."""
    return {
        "peers.count": "others have too few peers",
        "nodes.roles": "a role has no node left",
        "consensus.leader-elections": "leaders change",
        "learning.training-progress": "training does not get on",
    }.get(check, "rounds fail")


@cause(confidence=0.8)
def restarts_for_memory(clues: Clues) -> Cause | None:
    """A node restarts, and its memory is full or filling."""
    restarted = clues.by_node("nodes.restarted")
    memory = clues.by_node("capacity.memory", "capacity.memory-trend")
    both = [node for node in restarted if node in memory]
    if not both or len(both) > FEW:
        return None
    node = both[0]
    return Cause(
        f"{listed(both)} most likely restarted for want of memory",
        references([clue for name in both for clue in (*restarted[name], *memory[name])]),
        on(node, "'dmesg -T | grep -i \"out of memory\"'", "meshdiag health --only 'capacity.memory*' --explain"),
    )


@cause(confidence=0.8)
def learning_waits(clues: Clues) -> Cause | None:
    """A learner stands still or aggregates slowly, and its machine is at a limit."""
    slow = clues.by_node("learning.training-progress", "learning.aggregation-time")
    limits = clues.by_node(*(check for check in SATURATION if check.startswith("capacity.")))
    both = [node for node in slow if node in limits]
    if not both or len(both) > FEW:
        return None
    worst = max((clue for node in both for clue in limits[node]), key=lambda clue: clue.finding.verdict.severity)
    what = "aggregates slowly" if slow[worst.who][0].check == "learning.aggregation-time" else "is behind in training"
    return Cause(
        f"{worst.who} {what} because it {state_of(worst)}",
        references([*limits[worst.who], *slow[worst.who]]),
        remedy(worst),
    )


@cause(confidence=0.65)
def one_bad_model(clues: Clues) -> Cause | None:
    """The model is bad on a few learners only: their copy or their data, not the training."""
    low = clues.by_node("learning.accuracy", "learning.accuracy-drop")
    odd = clues.by_node("learning.accuracy-spread")
    both = [node for node in low if node in odd]
    if not both or len(both) > FEW or len(low) > len(both):
        return None
    return Cause(
        f"The model is bad on {listed(both)} alone: look at its data and its copy of the model, not at the training",
        references([clue for node in both for clue in (*low[node], *odd[node])]),
        "meshdiag query fl_model_accuracy --range 6h --plot shows since when",
    )


@cause(confidence=0.6)
def errors_beside_trouble(clues: Clues) -> Cause | None:
    """A node is in trouble, and its log says that something fails there."""
    logged = clues.by_node("logs.errors")
    trouble = clues.by_node("learning.*", "consensus.slow-leaders", "consensus.round-duration", "nodes.restarted")
    both = [node for node in logged if node in trouble]
    if not both or len(both) > FEW:
        return None
    node = both[0]
    return Cause(
        f"{node} logs errors, and they may well say why it is in trouble",
        references([*logged[node], *trouble[node]]),
        f"meshdiag logs --errors --node {shlex.quote(node)} prints them, with --top what recurs",
    )
