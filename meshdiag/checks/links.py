"""Links: whether every node can talk to every other, in both directions, and how fast, seen from where they stand.

Asked of the blackbox_exporters beside the nodes, for ``meshdiag peers --matrix``: from this machine only its own end
of each link is seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshdiag.catalog import Unit
from meshdiag.checks import Outcome, check
from meshdiag.checks.readings.links import read_links
from meshdiag.checks.readings.reachability import Apart, Way, common_trouble, durations, reach, slowness, uneven
from meshdiag.context import CheckSettings
from meshdiag.model import Evidence, Finding, Threshold, Verdict, at_most
from meshdiag.units import human

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.links import Links
    from meshdiag.checks.readings.reachability import Broken, Cut, End, Pair, Reach, SlowNode

TIMES = 5.0
"""A direction is slow at so many times the fleet's median (option ``times``), uneven at so many times the way back."""
FLOOR_S = 0.005
"""And by at least so much: in a mesh whose links take a tenth of a millisecond, a busy machine makes five of it."""
COMMANDS = 5
"""Commands that show a finding again, at most."""
PRESENT = "not looked at: a probe shows the present, not the moment that was asked about"


@check(
    "links.reachability",
    title="the mesh is in one piece",
    needs=["metrics", "blackbox"],
    runbook="partition",
    hint="try the broken direction from its own end, and compare routes and firewall rules with a node that works",
)
async def reachability(inputs: Inputs) -> Outcome:
    """Partitions, nodes cut off, links broken in both directions, and views that nobody tells."""
    if inputs.at is not None:
        return Outcome(verdict=Verdict.SKIP, summary=PRESENT)
    links = await read_links(inputs)
    answers = links.answers()
    found = reach(tuple(links.nodes), answers)
    findings = judge_reach(links, found)
    bad = [pair for pair, seen in answers.items() if not seen.ok]
    works = len(answers) - len(bad)
    summary = f"{works} of {len(answers)} directions between {len(links.nodes)} nodes work" if found.whole else ""
    return Outcome(findings, "" if links.silent else summary, evidence(inputs, links, bad))


@check(
    "links.symmetry",
    title="links work alike in both directions",
    needs=["metrics", "blackbox"],
    runbook="partition",
    hint="look for what treats the two directions differently: a firewall rule, a route, a queue that is full",
)
async def symmetry(inputs: Inputs) -> Outcome:
    """Links of which one direction alone works, or takes several times as long as the other."""
    if inputs.at is not None:
        return Outcome(verdict=Verdict.SKIP, summary=PRESENT)
    links = await read_links(inputs)
    findings, pairs = judge_symmetry(links, times=_times(inputs.options))
    return Outcome(findings, "", evidence(inputs, links, pairs))


@check(
    "links.latency",
    title="no link is far slower than the others",
    needs=["metrics", "blackbox"],
    runbook="network-latency",
    hint="look at the machine that the slow links share (ss -ti, ip -s link), or at the path between the two ends",
    threshold=Threshold(warn=at_most(0.25), fail=at_most(1)),
)
async def link_latency(inputs: Inputs) -> Outcome:
    """Directions that take far longer than the fleet's median, by the node that they share where there is one."""
    if inputs.at is not None:
        return Outcome(verdict=Verdict.SKIP, summary=PRESENT)
    links = await read_links(inputs)
    findings, pairs = judge_latency(links, inputs.threshold, times=_times(inputs.options))
    return Outcome(findings, _fine(links, findings), evidence(inputs, links, pairs))


def _times(options: Mapping[str, Any]) -> float:
    times = options.get("times", TIMES)
    return float(times) if isinstance(times, int | float) and times > 1 else TIMES


# who reaches whom ------------------------------------------------------------------------------------------------


def judge_reach(links: Links, found: Reach) -> tuple[Finding, ...]:
    """A finding for every part and node that is cut off, every link broken in both directions, every viewpoint that
    does not tell, and every other node."""
    findings = [_cut_off(links, cut) for cut in found.cuts]
    findings += [_poor(links, end) for end in found.poor]
    findings += [_broken(one) for one in found.broken if not one.one_way]
    named = {finding.subject for finding in findings} | {name for cut in found.cuts for name in cut.nodes}
    for name, error in links.silent.items():
        findings.append(_about(links, name, Verdict.UNKNOWN, f"what it reaches is unknown: {error.message}"))
    findings += [
        _about(links, name, Verdict.SKIP, "not probed: its peer address is not known") for name in links.addressless
    ]
    told = named | links.silent.keys() | set(links.addressless)
    views = links.views()
    looked = {name for pair in views for name in pair}
    findings += [_well(links, name) for name in links.nodes if name not in told and name in looked]
    return tuple(findings)


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
    if len(cut.nodes) == 1:
        words = _CUT.get(cut.how, "it reaches nobody and nobody reaches it")
        return _about(links, cut.nodes[0], Verdict.FAIL, f"{words}{_why(cut.trouble)}")
    message = f"see each other and nobody else{_why(cut.trouble)}"
    return Finding(_listed(cut.nodes), Verdict.FAIL, message, float(len(cut.nodes)), Unit.COUNT)


_POOR = {Way.BOTH: "from and to it", Way.TO: "to it", Way.FROM: "from it"}


def _poor(links: Links, end: End) -> Finding:
    works = end.known - len(end.bad)
    heard = _why(common_trouble(links.answers()[pair] for pair in end.bad))
    message = f"only {works} of the {end.known} directions {_POOR[end.way]} work{'s' if works == 1 else ''}{heard}"
    return _about(links, end.name, Verdict.FAIL, message)


def _broken(one: Broken) -> Finding:
    way = "the way back is unknown" if one.other_unknown else "nor the other way round"
    message = f"no way through, {way}{_why(one.trouble)}"
    return _link(one.pair, Verdict.FAIL, message, arrow="--")


def _well(links: Links, name: str) -> Finding:
    views = links.views()
    away = [view.ok for pair, view in views.items() if pair[0] == name]
    to = [view.ok for pair, view in views.items() if pair[1] == name]
    message = f"reaches {sum(away)} of {len(away)}, is reached by {sum(to)} of {len(to)}"
    return _about(links, name, Verdict.PASS, message)


def _why(trouble: str) -> str:
    return f" ({_MEANS.get(trouble, trouble)})" if trouble else ""


# one direction against the other ---------------------------------------------------------------------------------


def judge_symmetry(links: Links, *, times: float) -> tuple[tuple[Finding, ...], list[Pair]]:
    """A finding for every link that works one way alone, or much slower one way; the directions to show again."""
    answers = links.answers()
    found = reach(tuple(links.nodes), answers)
    both = [pair for pair in answers if pair[::-1] in answers and pair[0] < pair[1]]
    if not both:
        message = "no link was seen from both of its ends"
        return (Finding("mesh", Verdict.UNKNOWN, message),), []
    cut = {name for one in found.cuts for name in one.nodes} | {end.name for end in found.poor}
    one_way = [one for one in found.broken if one.one_way]
    slow = [one for one in uneven(answers, times=times, floor_s=FLOOR_S) if not cut & set(one.pair)]
    findings = [_link(one.pair, Verdict.FAIL, f"works the other way round alone{_why(one.trouble)}") for one in one_way]
    findings += [
        _link(
            one.pair,
            Verdict.WARN,
            f"takes {one.there_s / one.back_s:.0f} times as long as the way back ({human(one.back_s, Unit.SECONDS)})",
            one.there_s,
        )
        for one in slow
    ]
    pairs = [*(one.pair for one in one_way), *(one.pair for one in slow)]
    if not findings:
        alone = len(links.nodes) * (len(links.nodes) - 1) // 2 - len(both)
        partly = f"; {alone} more were not seen from both ends" if alone else ""
        findings = [Finding("mesh", Verdict.PASS, f"{len(both)} links are alike in both directions{partly}")]
    return tuple(findings), [way for pair in pairs for way in (pair, pair[::-1])]


# how fast --------------------------------------------------------------------------------------------------------


def judge_latency(links: Links, threshold: Threshold, *, times: float) -> tuple[tuple[Finding, ...], list[Pair]]:
    """A finding for every node most of whose links are slow, every further slow link, or the fleet as a whole; the
    directions to show again."""
    answers = links.answers()
    usual = slowness(answers, limit_s=float("inf"))
    if usual is None:
        return (Finding("mesh", Verdict.UNKNOWN, "no direction worked, so nothing was timed"),), []
    median_s = usual.median_s
    if threshold.judge(median_s) is not Verdict.PASS:
        message = "half of all directions take as long as this or longer"
        return (Finding("mesh", threshold.judge(median_s), message, median_s, Unit.SECONDS, threshold),), []
    limit_s = _limit(median_s, threshold, times)
    slow = slowness(answers, limit_s=limit_s)
    assert slow is not None
    findings = [_slow_node(links, one, threshold, median_s) for one in slow.nodes]
    findings += [
        _link(pair, _at_least_warn(threshold, seconds), _usual(seconds, median_s), seconds, threshold)
        for pair, seconds in slow.links.items()
    ]
    pairs = sorted(slow.links, key=lambda pair: -slow.links[pair])
    pairs += [one.end.bad[0] for one in slow.nodes]
    if not findings:
        findings = [Finding("mesh", Verdict.PASS, "the median of all directions", median_s, Unit.SECONDS, threshold)]
    return tuple(findings), pairs


def latency_limit(inputs: Inputs, links: Links) -> float:
    """Seconds from which on a direction is slow in this mesh, by the settings of ``links.latency``."""
    settings = inputs.context.checks.get(link_latency.id, CheckSettings())
    usual = slowness(links.answers(), limit_s=float("inf"))
    threshold = settings.over(link_latency.threshold)
    return _limit(usual.median_s, threshold, _times(settings.options)) if usual else float("inf")


def _limit(median_s: float, threshold: Threshold, times: float) -> float:
    bound = threshold.warn or threshold.fail
    return min(bound.high if bound else float("inf"), max(times * median_s, median_s + FLOOR_S))


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


def _fine(links: Links, findings: Sequence[Finding]) -> str:
    """The summary where all is well."""
    (first, *others) = findings
    if others or first.verdict is not Verdict.PASS or first.value is None:
        return ""
    timed = len(durations(links.answers()))
    return f"{timed} directions, half of them within {human(first.value, Unit.SECONDS)}"


# how it is told --------------------------------------------------------------------------------------------------


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


def evidence(inputs: Inputs, links: Links, pairs: Iterable[Pair]) -> tuple[Evidence, ...]:
    """The commands that ask the exporters of these directions again; of any one where there is nothing to show."""
    urls = {row.viewpoint.name: row.viewpoint.url for row in links.rows}
    shown = [pair for pair in pairs if pair[0] in urls and pair[1] in links.targets][:COMMANDS]
    if not shown and (views := links.views()):
        shown = [next(iter(views))]
    views = links.views()
    found = []
    for pair in shown:
        command = inputs.blackbox.command(urls[pair[0]], links.targets[pair[1]], links.module)
        view = views.get(pair)
        told = "" if view is None else f"{pair[0]} -> {pair[1]}: {_excerpt(view.duration_s, view.trouble)}"
        found.append(Evidence("blackbox_exporter", command, told))
    return tuple(found)


def _excerpt(duration_s: float | None, trouble: str) -> str:
    return trouble if duration_s is None else f"{duration_s:.6f} s" + (f", also {trouble}" if trouble else "")
