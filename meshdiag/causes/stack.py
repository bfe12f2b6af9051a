"""When it is the monitoring that is broken, or the way to the mesh, rather than the mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.causes import cause
from meshdiag.causes.clues import listed, plain, references
from meshdiag.model import Cause, Verdict

if TYPE_CHECKING:
    from meshdiag.causes.clues import Clue, Clues

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
    subject = f"{PROMETHEUS} {stack.findings[0].subject if stack.findings else ''}".strip()
    if asked_directly(clues):
        if clues.verdict("nodes.up") is not Verdict.PASS:
            return None  # that they do not answer either is another cause
        statement = "It is the monitoring that is broken, not the nodes: Prometheus does not answer, and they do"
        command = stack.evidence[0].command if stack.evidence else "meshdiag health --only stack.prometheus --explain"
        return Cause(statement, (subject, "nodes.up"), command)
    if not waiting:
        return None
    statement = "Nothing is known of the mesh because Prometheus does not answer; the mesh itself may be well"
    return Cause(statement, (subject, *waiting[:3]), "meshdiag health --direct asks the nodes themselves")


def asked_directly(clues: Clues) -> bool:
    """Whether it was the nodes themselves that said who is up, and not Prometheus."""
    up, stack = clues.results.get("nodes.up"), clues.results.get(PROMETHEUS)
    return up is not None and up.because is None and (stack is None or stack.verdict is not Verdict.PASS)


@cause(confidence=0.98)
def scrape_path(clues: Clues) -> Cause | None:
    """Nodes whose own pages contradict what Prometheus has of them."""
    lied_about = [clue for clue in clues.bad("stack.scrape-truth") if "its page is broken" not in clue.finding.message]
    if not lied_about:
        return None
    nodes = {clue.finding.subject for clue in lied_about}
    believed = [clue for clue in clues.bad("nodes.up") if clue.finding.subject in nodes]
    names = listed(clue.who for clue in lied_about)
    pages = "its own page says" if len(nodes) == 1 else "their own pages say"
    # A node that could not be read once, and answers now, may have hung meanwhile.
    sure = any(one.finding.verdict is Verdict.FAIL or "could not read" not in one.finding.message for one in lied_about)
    fault = "It is the scrape path, not the mesh" if sure else "The scrape path is likelier at fault than the nodes"
    return Cause(
        f"{fault}: Prometheus says of {names} what {pages} otherwise",
        references([*lied_about, *believed]),
        "meshdiag nodes --witness shows for every node what the two say",
    )


@cause(confidence=0.98)
def broken_page(clues: Clues) -> Cause | None:
    """Nodes that are up and taken for down, because Prometheus refuses a page with a broken line."""
    broken = [clue for clue in clues.bad("stack.scrape-truth") if "its page is broken" in clue.finding.message]
    if not broken:
        return None
    nodes = {clue.finding.subject for clue in broken}
    down = [clue for clue in clues.bad("nodes.up") if clue.finding.subject in nodes]
    names = listed(clue.who for clue in broken)
    statement = f"{names} {'is' if len(nodes) == 1 else 'are'} not down: a line of the metrics page is broken"
    return Cause(
        f"{statement}, and Prometheus refuses all of it", references([*broken, *down]), "meshdiag nodes --direct"
    )


@cause(confidence=0.95)
def nobody_there(clues: Clues) -> Cause | None:
    """Neither Prometheus nor a single node's page answers: most often it is the addresses."""
    shut = clues.verdict(PROMETHEUS) in SHUT
    if not shut or not asked_directly(clues) or clues.verdict("nodes.up") is not Verdict.UNKNOWN:
        return None
    return Cause(
        "Neither Prometheus nor any node answers at the addresses in use",
        (PROMETHEUS, "nodes.up"),
        "meshdiag config show says which these are and where they come from; without a mesh, try meshdiag demo",
    )


@cause(confidence=0.9)
def no_way_to_the_mesh(clues: Clues) -> Cause | None:
    """Nearly every node is down at once: that is a network, or the machine that looks, more often than the nodes."""
    up = clues.results.get("nodes.up")
    down = clues.bad("nodes.up")
    if up is None or len(down) < 3 or len(down) < MOST * len(up.findings):
        return None
    if not asked_directly(clues):
        statement = "Nearly all nodes went down together: the network to them, or what scrapes them, is likelier"
        step = "meshdiag nodes --direct asks them from this machine: if they answer, Prometheus cannot reach them"
        return Cause(f"{statement} than their deaths", references(down[:5]), step)
    shut = clues.verdict(PROMETHEUS) in SHUT
    who = "Neither Prometheus nor the nodes answer" if shut else "Hardly any node answers"
    rests = (*((PROMETHEUS,) if shut else ()), *references(down[:5]))
    return Cause(f"{who} this machine: the network between is likelier than their deaths", rests, reach(down[0]))


def reach(clue: Clue) -> str:
    """The command that tells a dead node from a dead network."""
    host = clue.finding.subject.rpartition(":")[0]
    return f"ping -c 3 {host}" if plain(host) else "ping one of them from this machine"


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
