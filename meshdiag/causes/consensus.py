"""Why consensus is slow or fails: one link, one node that is busy, a liar, nodes cut off, leaders that change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.causes import cause
from meshdiag.causes.clues import listed, on, plain, references
from meshdiag.model import Cause, Verdict

if TYPE_CHECKING:
    from meshdiag.causes.clues import Clue, Clues

SLOW = ("consensus.round-duration", "consensus.slow-leaders")
FAILING = ("consensus.failed-rounds", "consensus.failed-share", "consensus.vote-success")
SATURATION = {
    "capacity.memory": "is short of memory",
    "capacity.cpu": "has no processor time to spare",
    "capacity.disk": "has a disk that is nearly full",
    "capacity.network": "has a busy network interface",
    "nodes.clock": "has a wrong clock",
}
AT_THE_END = {"capacity.memory": "is out of memory", "capacity.disk": "has a full disk"}
"""The same where the check fails rather than warns."""
FEW = 3
"""Trouble on more nodes than this is not one node's trouble."""


@cause(confidence=0.95)
def slow_link(clues: Clues) -> Cause | None:
    """Slow rounds, and a connection between a slow node and another that keeps breaking."""
    slow = clues.by_node(*SLOW)
    link = find_link(clues, set(slow))
    if not link:
        return None
    one, other = sorted({link[0].who, link[0].finding.labels["peer"]})
    ends = [clue for name in (one, other) for clue in slow.get(name, ())]
    far = [clue for clue in clues.bad("peers.latency") if clue.who in (one, other)]
    look = "meshdiag health --only peers.connection-duration --explain"
    return Cause(
        f"Rounds are slow because of the link {one} ↔ {other}: the connection between them does not last",
        references([*link, *ends, *far]),
        on(one, f"ping -c 10 {other}", look) if plain(other) else look,
    )


def find_link(clues: Clues, slow: set[str]) -> list[Clue]:
    """The findings about the one link that flaps and touches a slow node; both of its ends where both report it.
    Empty where there is none, or where several fit and the findings do not tell which."""
    links: dict[frozenset[str], list[Clue]] = {}
    for clue in clues.bad("peers.connection-duration"):
        ends = frozenset((clue.who, clue.finding.labels.get("peer", "")))
        if len(ends) == 2 and "" not in ends and ends & slow:
            links.setdefault(ends, []).append(clue)
    mutual = {ends: found for ends, found in links.items() if len(found) > 1}
    candidates = mutual or links
    return next(iter(candidates.values())) if len(candidates) == 1 else []


@cause(confidence=0.9)
def slow_machine(clues: Clues) -> Cause | None:
    """Slow rounds, and a slow node whose machine is at its limit."""
    slow = clues.by_node(*SLOW)
    limits = clues.by_node(*SATURATION)
    both = [node for node in slow if node in limits]
    if not both or len(both) > FEW:
        return None
    worst = max((clue for node in both for clue in limits[node]), key=lambda clue: clue.finding.verdict.severity)
    others = [node for node in both if node != worst.who]
    more = f" ({listed(others)} too at a limit)" if others else ""
    found = [clue for node in both for clue in (*limits[node], *slow[node])]
    return Cause(
        f"Rounds are slow because {worst.who} {state_of(worst)}{more}",
        references(found),
        remedy(worst),
    )


def state_of(clue: Clue) -> str:
    """What is the matter with a machine, as the end of a sentence."""
    words = SATURATION[clue.check]
    return AT_THE_END.get(clue.check, words) if clue.finding.verdict is Verdict.FAIL else words


def remedy(clue: Clue) -> str:
    """The command that shows what takes the machine's means."""
    command = {
        "capacity.memory": "ps aux --sort=-rss | head",
        "capacity.cpu": "top -b -n 1 | head -20",
        "capacity.disk": "df -h",
        "capacity.network": "ss -tin",
        "nodes.clock": "timedatectl",
    }[clue.check]
    quoted = f"'{command}'" if "|" in command else command
    return on(clue.who, quoted, f"meshdiag health --only {clue.check} --explain")


@cause(confidence=0.7)
def slow_leader(clues: Clues) -> Cause | None:
    """The slow rounds are one leader's, and nothing else is known of it."""
    leaders = clues.bad("consensus.slow-leaders")
    if len(leaders) != 1:
        return None
    (leader,) = leaders
    slow = clues.bad("consensus.round-duration")
    far = [clue for clue in clues.bad("peers.latency") if clue.who == leader.who]
    known = clues.by_node(*SATURATION).get(leader.who, [])
    if known or find_link(clues, {leader.who}):
        return None
    why = ", whose peer port answers slowly or not at all" if far else ""
    return Cause(
        f"Rounds are slow when {leader.who} leads them{why}: the others lead theirs in time",
        references([leader, *far, *slow[:FEW]]),
        on(leader.who, "uptime", "meshdiag consensus --slow --explain"),
    )


@cause(confidence=0.9)
def byzantine_node(clues: Clues) -> Cause | None:
    """Nodes that others take for Byzantine, by name, and the rounds that fail with it."""
    reports = clues.bad("consensus.byzantine")
    accused = [clue for clue in reports if "without naming" not in clue.finding.message]
    if not accused:
        return None
    names = listed(clue.who for clue in accused)
    failing = clues.bad(*FAILING)
    statement = (
        f"Rounds fail because {names} votes against the protocol" if failing else f"{names} votes against the protocol"
    )
    reporters = max((clue.finding.value or 0 for clue in accused), default=0)
    said = f": {reporters:g} node{'s' if reporters != 1 else ''} took note of it" if reporters else ""
    return Cause(
        statement + said,
        references([*accused, *failing[:FEW]]),
        "meshdiag health --only consensus.byzantine --explain shows who took note; then isolate the accused",
    )


@cause(confidence=0.85)
def cut_off(clues: Clues) -> Cause | None:
    """Rounds fail on the few nodes that have lost their peers."""
    lonely = clues.by_node("peers.count")
    failing = clues.by_node(*FAILING)
    both = [node for node in lonely if node in failing]
    if not both or len(failing) > len(both) + FEW or clues.bad("nodes.up"):
        return None
    found = [clue for node in both for clue in (*lonely[node], *failing[node])]
    verb = "is" if len(both) == 1 else "are"
    return Cause(
        f"Rounds fail because {listed(both)} {verb} cut off from the rest of the mesh",
        references(found),
        "meshdiag consensus --slow --only peers.latency shows which peer ports answer from here",
    )


@cause(confidence=0.8)
def churn_stops_rounds(clues: Clues) -> Cause | None:
    """Leaders change all the time, and rounds are slow or fail with it."""
    churn = clues.bad("consensus.leader-elections")
    suffering = clues.bad(*FAILING, *SLOW)
    if not churn or not suffering:
        return None
    what = "fail" if clues.bad(*FAILING) else "are slow"
    return Cause(
        f"Rounds {what} because the leader changes all the time",
        references([*churn, *suffering[:FEW]]),
        "meshdiag query 'increase(consensus_leader_elections_total[5m])' --range 1h shows since when",
    )


@cause(confidence=0.75)
def churn_of_one_node(clues: Clues) -> Cause | None:
    """Leaders change, and one node restarts or keeps the wrong time."""
    churn = clues.bad("consensus.leader-elections")
    suspects = {**clues.by_node("nodes.clock"), **clues.by_node("nodes.restarted")}
    if not churn or len(suspects) != 1:
        return None
    ((node, found),) = suspects.items()
    why = "has restarted" if found[0].check == "nodes.restarted" else "has a wrong clock"
    command = "timedatectl" if found[0].check == "nodes.clock" else "uptime"
    return Cause(
        f"Leaders change too often because {node} {why}",
        references([*churn, *found]),
        on(node, command, "meshdiag nodes"),
    )
