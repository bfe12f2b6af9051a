"""What the nodes' views of each other amount to: findings about nodes, parts of the mesh and single links.

Where many links share an end, the finding is about the node at that end. Plain functions of the views.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from meshdiag.catalog import Unit
from meshdiag.checks.readings.per_node import MESH
from meshdiag.checks.readings.reachability import (
    Apart,
    Slowness,
    Way,
    common_trouble,
    reach,
    shared_ends,
    slowness,
    uneven,
)
from meshdiag.model import Finding, Verdict, at_most
from meshdiag.units import human

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from meshdiag.checks.readings.links import Links
    from meshdiag.checks.readings.reachability import Answers, Broken, Cut, End, Pair, Reach, SlowNode, Uneven
    from meshdiag.errors import SourceError
    from meshdiag.model import Threshold
    from meshdiag.sources.blackbox import Row, View

RESENT_AFTER_S = (1.0, 3.0)
"""How long after the first packet of a connect the second and the third are sent (RFC 6298)."""
LATE_S = 0.2
"""How much later than that their answer may come."""


@dataclass(frozen=True, slots=True)
class Margin:
    """What makes a direction stand out from the usual: so many ``times`` it, and so many seconds more (``floor_s``):
    where links take a tenth of a millisecond, a busy machine alone makes five of it."""

    times: float = 5.0
    floor_s: float = 0.010

    @classmethod
    def of(cls, options: Mapping[str, Any], floor_s: float) -> Margin:
        """By the options ``times`` and ``floor_s`` of a check; what is no sensible number there is passed over."""
        times, floor = options.get("times"), options.get("floor_s")
        return cls(
            float(times) if isinstance(times, int | float) and times > 1 else cls().times,
            float(floor) if isinstance(floor, int | float) and floor >= 0 else floor_s,
        )


# who reaches whom ------------------------------------------------------------------------------------------------


def judge_reach(links: Links, found: Reach) -> tuple[Finding, ...]:
    """A finding for every part and node that is cut off, every link broken in both directions, every viewpoint that
    does not tell, and every other node."""
    findings = [_cut_off(links, cut) for cut in found.cuts]
    findings += [_poor(links, end) for end in found.poor]
    findings += [_broken(one) for one in found.broken if not one.one_way]
    named = {name for cut in found.cuts for name in cut.nodes} | {end.name for end in found.poor}
    findings += [_silent(links, row, row.error) for row in links.rows if row.error is not None]
    findings += [
        _about(links, name, Verdict.SKIP, "not probed: its peer address is not known") for name in links.addressless
    ]
    told = named | links.silent.keys() | set(links.addressless)
    return (*findings, *_well(links, told))


_CUT = {
    Apart.UNREACHED: "nobody reaches it, though it reaches others",
    Apart.MUTE: "it reaches nobody, though others reach it",
    Apart.UNREACHED_UNHEARD: "nobody reaches it, and it cannot be asked whom it reaches",
    Apart.MUTE_UNTRIED: "it reaches nobody",
}
_MEANS = {
    "refused": "connection refused: nothing listens on the port",
    "timeout": "no answer in time: packets are dropped",
    "unreachable": "no route to the host",
    "unknown-host": "the name cannot be looked up there",
    "forbidden": "not permitted there: a local firewall, or a module that needs privileges",
    "reset": "the connection is cut",
    "bad-address": "the address is none that the module can probe",
}


def _cut_off(links: Links, cut: Cut) -> Finding:
    if len(cut.nodes) > 1:
        message = f"see each other and nobody else{_why(cut.trouble)}"
        return Finding(_listed(cut.nodes), Verdict.FAIL, message, labels={"nodes": ", ".join(cut.nodes)})
    name = cut.nodes[0]
    words = _CUT.get(cut.how, "it reaches nobody and nobody reaches it")
    down = "" if links.nodes[name].up else "; its metrics page does not answer either"
    return _about(links, name, Verdict.FAIL, f"{words}{_why(cut.trouble)}{down}")


def _silent(links: Links, row: Row, error: SourceError) -> Finding:
    what = "what it reaches is unknown"
    if row.views:
        what = f"it told {len(row.views)} of the {len(row.viewpoint.targets)} views asked of it"
    return _about(links, row.viewpoint.name, Verdict.UNKNOWN, f"{what}: {error.message}")


def reach_hint(found: Reach, links: Links) -> str:
    """The next step where it is another than for a broken path."""
    if found.whole and links.silent:
        return "see to the exporter beside that node, or to its address (blackbox in the context)"
    closed = [cut for cut in found.cuts if cut.how is Apart.UNREACHED and cut.trouble == "refused"]
    if closed and len(closed) == len(found.cuts) and not found.poor:
        return "see whether the node's process runs and listens (ss -ltnp): its machine and network answer"
    return ""


_POOR = {Way.BOTH: "from and to it", Way.TO: "to it", Way.FROM: "from it"}


def _poor(links: Links, end: End) -> Finding:
    works = end.known - len(end.bad)
    heard = _why(common_trouble(links.answers[pair] for pair in end.bad))
    message = f"only {works} of the {end.known} directions {_POOR[end.way]} work{'s' if works == 1 else ''}{heard}"
    return _about(links, end.name, Verdict.FAIL, message)


def _broken(one: Broken) -> Finding:
    way = "the way back is unknown" if one.other_unknown else "nor the other way round"
    message = f"no way through, {way}{_why(one.trouble)}"
    return _link(one.pair, Verdict.FAIL, message, arrow="--")


def _well(links: Links, told: Collection[str]) -> Iterator[Finding]:
    """A finding for each node of which there is nothing to tell."""
    counts: Counter[tuple[str, Way, bool]] = Counter()
    for (one, other), seen in links.answers.items():
        counts.update(((one, Way.FROM, seen.ok), (other, Way.TO, seen.ok)))

    def share(name: str, way: Way) -> str:
        works, fails = counts[name, way, True], counts[name, way, False]
        return f"{works} of {works + fails}"

    for name in links.nodes:
        if name not in told and any(counts[name, way, True] for way in (Way.FROM, Way.TO)):
            message = f"reaches {share(name, Way.FROM)}, is reached by {share(name, Way.TO)}"
            yield _about(links, name, Verdict.PASS, message)


def _why(trouble: str) -> str:
    return f" ({_MEANS.get(trouble, trouble)})" if trouble else ""


# one direction against the other ---------------------------------------------------------------------------------


def judge_symmetry(links: Links, limit_s: float, margin: Margin) -> tuple[tuple[Finding, ...], list[Pair]]:
    """A finding for every link that works one way alone, or much slower one way; the directions to show again."""
    answers = links.answers
    found = reach(tuple(links.nodes), answers)
    both_ways = [pair for pair in answers if pair[::-1] in answers]
    if not any(pair[::-1] in links.chosen for pair in links.chosen):
        return (Finding(MESH, Verdict.SKIP, "not looked at: of each link one direction alone was chosen"),), []
    if not both_ways:
        return (Finding(MESH, Verdict.UNKNOWN, "no link was seen from both of its ends"),), []
    cut = {name for one in found.cuts for name in one.nodes} | {end.name for end in found.poor}
    one_way = [one for one in found.broken if one.one_way]
    slow = {
        one.pair: one
        for one in uneven(timed(links, limit_s), times=margin.times, floor_s=margin.floor_s)
        if not cut & set(one.pair)
    }
    ends, rest = shared_ends(slow, both_ways)
    findings = [_link(one.pair[::-1], Verdict.FAIL, f"works this way alone{_why(one.trouble)}") for one in one_way]
    findings += [_one_sided(links, end) for end in ends]
    findings += [_uneven(slow[pair]) for pair in slow if pair in rest]
    if not findings:
        alone = len(links.nodes) * (len(links.nodes) - 1) // 2 - len(both_ways) // 2
        partly = f"; {alone:,} more were not seen from both ends" if alone else ""
        findings = [Finding(MESH, Verdict.PASS, f"{len(both_ways) // 2:,} links are alike in both directions{partly}")]
    pairs = [*(one.pair for one in one_way), *slow]
    return tuple(findings), [way for pair in pairs for way in (pair, pair[::-1])]


def _one_sided(links: Links, end: End) -> Finding:
    whom = f"{'all' if len(end.bad) == end.known else f'{len(end.bad)} of {end.known}'} others"
    way = f"from {whom} to it" if end.way is Way.TO else f"from it to {whom}" if end.way is Way.FROM else f"with {whom}"
    return _about(links, end.name, Verdict.WARN, f"far slower {way} than the other way round")


def _uneven(one: Uneven) -> Finding:
    back = human(one.back_s, Unit.SECONDS)
    times = one.there_s / max(one.back_s, 1e-6)
    return _link(one.pair, Verdict.WARN, f"takes {times:.0f} times as long as the way back ({back})", one.there_s)


# what gets lost --------------------------------------------------------------------------------------------------


def judge_loss(links: Links, limit_s: float) -> tuple[tuple[Finding, ...], list[Pair]]:
    """A finding for every node at which most of the directions that lose packets end, and every further one; the
    directions to show again. What does not work at all is not judged here."""
    views = {pair: view for pair, view in links.views.items() if view.ok}
    if not views:
        return (Finding(MESH, Verdict.UNKNOWN, "no direction worked, so no packet could get lost"),), []
    if all(view.sent < 2 for view in views.values()):
        return (Finding(MESH, Verdict.SKIP, "not looked at: one probe of each link says nothing (--count)"),), []
    late = {pair for pair, view in views.items() if _sent_again(view.duration_s, limit_s)}
    views |= {pair: replace(views[pair], resent=views[pair].sent - views[pair].failed) for pair in late}
    lossy = [pair for pair, view in views.items() if view.failed or view.resent]
    ends, rest = shared_ends(lossy, views)
    findings = [_lossy_node(links, end, views) for end in ends]
    findings += [_link(pair, Verdict.WARN, _lost([views[pair]])) for pair in rest]
    if not findings:
        sent = sum(view.sent for view in views.values())
        findings = [Finding(MESH, Verdict.PASS, f"{sent:,} probes, and none was lost or had to be sent again")]
    return tuple(findings), [*(end.bad[0] for end in ends), *rest]


def timed(links: Links, limit_s: float) -> Answers:
    """The answers without the times that a lost packet made: they are of the loss, not of the link."""
    return {
        pair: replace(seen, duration_s=None) if _sent_again(seen.duration_s, limit_s) else seen
        for pair, seen in links.answers.items()
    }


def _sent_again(seconds: float | None, limit_s: float) -> bool:
    """Whether even the fastest connect took as long as one whose first packet was sent again, once or twice."""
    return seconds is not None and any(0 <= seconds - wait < max(limit_s, LATE_S) for wait in RESENT_AFTER_S)


def _lossy_node(links: Links, end: End, views: Mapping[Pair, View]) -> Finding:
    what = _lost([views[pair] for pair in end.bad])
    message = f"{len(end.bad)} of the {end.known} directions {_POOR[end.way]} lose packets: {what}"
    return _about(links, end.name, Verdict.WARN, message)


def _lost(views: Sequence[View]) -> str:
    sent = sum(view.sent for view in views)
    failed, resent = sum(view.failed for view in views), sum(view.resent for view in views)
    words = [f"{failed} got no answer"] if failed else []
    words += [f"{resent} took a second longer, as when a packet is sent again"] if resent else []
    return f"of {sent} probes {' and '.join(words)}"


# how fast --------------------------------------------------------------------------------------------------------


def judge_latency(links: Links, threshold: Threshold, margin: Margin) -> tuple[tuple[Finding, ...], list[Pair]]:
    """A finding for every node most of whose links are slow, every further slow link, or the fleet as a whole; the
    directions to show again."""
    usual = slowness(links.answers, limit_s=float("inf"))
    if usual is None:
        return (Finding(MESH, Verdict.UNKNOWN, "no direction worked, so nothing was timed"),), []
    median_s = usual.median_s
    if threshold.judge(median_s) is not Verdict.PASS:
        message = "half of all directions take as long as this or longer"
        return (Finding(MESH, threshold.judge(median_s), message, median_s, Unit.SECONDS, threshold),), []
    limit_s = limit_of(median_s, threshold, margin)
    slow = slowness(timed(links, limit_s), limit_s=limit_s) or Slowness(median_s)
    threshold = replace(threshold, warn=at_most(limit_s))
    findings = [_slow_node(links, one, threshold, median_s) for one in slow.nodes]
    findings += [
        _link(pair, _at_least_warn(threshold, seconds), _usual(seconds, median_s), seconds, threshold)
        for pair, seconds in slow.links.items()
    ]
    pairs = sorted(slow.links, key=lambda pair: -slow.links[pair])
    pairs += [one.end.bad[0] for one in slow.nodes]
    if not findings:
        findings = [Finding(MESH, Verdict.PASS, "the median of all directions", median_s, Unit.SECONDS, threshold)]
    return tuple(findings), pairs


def limit_of(median_s: float, threshold: Threshold, margin: Margin) -> float:
    """Seconds from which on a direction is slow in a mesh of this median."""
    bound = threshold.warn or threshold.fail
    return min(bound.high if bound else float("inf"), max(margin.times * median_s, median_s + margin.floor_s))


_WAYS = {Way.BOTH: "slow from and to", Way.TO: "slow from", Way.FROM: "sees slowly"}


def _slow_node(links: Links, one: SlowNode, threshold: Threshold, median_s: float) -> Finding:
    slow, known = len(one.end.bad), one.end.known
    whom = "everybody" if slow == known else f"most ({slow} of {known} directions)"
    message = f"{_WAYS[one.end.way]} {whom}: {_usual(one.median_s, median_s)}"
    verdict = _at_least_warn(threshold, one.median_s)
    return _about(links, one.end.name, verdict, message, one.median_s, threshold)


def _usual(seconds: float, median_s: float) -> str:
    return f"{seconds / max(median_s, 1e-6):.0f} times the fleet's median ({human(median_s, Unit.SECONDS)})"


def _at_least_warn(threshold: Threshold, seconds: float) -> Verdict:
    return Verdict.FAIL if threshold.judge(seconds) is Verdict.FAIL else Verdict.WARN


# how it is told --------------------------------------------------------------------------------------------------


def summary(findings: Sequence[Finding], fine: str = "") -> str:
    """One line: ``fine`` where all is well, else the first of the worst, by its name, and how many are like it."""
    worst = max(findings, key=lambda one: one.verdict.severity)
    if worst.verdict is Verdict.PASS and fine:
        return fine
    more = sum(one.verdict is worst.verdict for one in findings) - 1
    who = "" if worst.subject == MESH else f"{worst.labels.get('node', worst.subject)}: "
    return f"{who}{worst.message}{f', and {more} more' if more and worst.verdict is not Verdict.PASS else ''}"


def _about(
    links: Links,
    name: str,
    verdict: Verdict,
    message: str,
    value: float | None = None,
    threshold: Threshold | None = None,
) -> Finding:
    """A finding about one node, under its instance as other checks have it."""
    node = links.nodes[name]
    labels = {key: text for key, text in (("node", node.name), ("role", node.role)) if text}
    unit = None if value is None else Unit.SECONDS
    return Finding(node.instance, verdict, message, value, unit, threshold, None, labels)


def _link(
    pair: Pair, verdict: Verdict, message: str, value: float | None = None, threshold: Threshold | None = None,
    *, arrow: str = "->",
) -> Finding:  # fmt: skip
    labels = {"from": pair[0], "to": pair[1]}
    unit = None if value is None else Unit.SECONDS
    return Finding(f"{pair[0]} {arrow} {pair[1]}", verdict, message, value, unit, threshold, None, labels)


def _listed(names: Sequence[str], most: int = 4) -> str:
    """``a and b``; ``a, b, c and 7 more``."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)
