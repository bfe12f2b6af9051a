"""Probes of peers judged: numbers out of times, each peer against the thresholds and against the fleet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from meshdiag.catalog import Unit
from meshdiag.checks.readings.middle import median
from meshdiag.checks.readings.probe_words import HEARD, IMPOSSIBLE, failure, thing, whole
from meshdiag.errors import SourceError, Trouble
from meshdiag.model import Finding, Threshold, Verdict, at_most
from meshdiag.sources.probing.answers import Method

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from meshdiag.sources.probing.answers import Probed, ProbeTrouble

FEWEST = 3
"""Below this many peers that answered alike there is no fleet to stand out from."""
ENOUGH = 5
"""Answers of one peer below which jitter is chance."""
MANY = 10
"""Probes of one peer below which lost ones warn and do not fail: one of three is a third."""
NOBODY = "no peer port at all can be reached from this machine"


@dataclass(frozen=True, slots=True)
class Numbers:
    """The times of one peer, in seconds; None where there are none. ``p95_s`` is the nearest rank, a time that was
    measured. ``jitter_s`` is the mean difference between one answer and the next (RFC 3550 smooths the same
    differences, and would need far more than ten of them)."""

    min_s: float | None = None
    median_s: float | None = None
    p95_s: float | None = None
    max_s: float | None = None
    jitter_s: float | None = None


def numbers(times: Sequence[float]) -> Numbers:
    """The numbers of some times, given in the order of sending."""
    if not times:
        return Numbers()
    ordered = sorted(times)
    steps = [abs(later - earlier) for earlier, later in pairwise(times)]
    rank = math.ceil(0.95 * len(ordered)) - 1
    jitter = sum(steps) / len(steps) if steps else None
    return Numbers(ordered[0], median(ordered), ordered[rank], ordered[-1], jitter)


@dataclass(frozen=True, slots=True)
class Standout:
    """When one peer stands out from the fleet: above ``times`` the fleet's median, and above ``floor_s`` seconds, below
    which nobody minds. 0 times: never."""

    times: float = 10.0
    floor_s: float = 0.005

    @classmethod
    def of(cls, options: Mapping[str, object], check: str) -> Standout:
        """By the options ``median_times`` and ``median_floor_s`` of a check. Raises ``SourceError``."""
        usual = cls()
        return cls(
            _number(options, "median_times", usual.times, check),
            _number(options, "median_floor_s", usual.floor_s, check),
        )


def _number(options: Mapping[str, object], name: str, default: float, check: str) -> float:
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise SourceError(
            f"the option {name} of {check} is {value!r}, expected a number, 0 or more", trouble=Trouble.NOT_CONFIGURED
        )
    return float(value)


def subject_of(probed: Probed) -> str:
    """What a finding about this peer is about: the instance of a node, else what was typed."""
    return probed.target.instance or probed.target.url or probed.target.address


def labels_of(probed: Probed) -> dict[str, str]:
    """What else is known of it."""
    target = probed.target
    known = (("node", target.name), ("role", target.role), ("peer", target.address), ("method", probed.method or ""))
    return {key: str(text) for key, text in known if text}


def somebody_heard(probes: Iterable[Probed]) -> bool:
    """Whether any peer gave any sign, so that it is not this machine that is outside."""
    return any(
        probed.times_s or probed.trouble in HEARD or any(word in HEARD for _method, word in probed.tried)
        for probed in probes
    )


def judge(
    id_: str, probes: Sequence[Probed], threshold: Threshold, options: Mapping[str, object], *, fleet: bool
) -> tuple[Finding, ...]:
    """The findings of one of the checks of probes. Raises ``SourceError`` for an option that is wrong."""
    if id_ == "peers.loss":
        return judge_loss(probes, threshold)
    standout = Standout.of(options, id_)
    if id_ == "peers.jitter":
        return judge_jitter(probes, threshold, standout)
    return judge_latency(probes, threshold, standout, fleet=fleet)


def judge_latency(
    probes: Sequence[Probed], threshold: Threshold, standout: Standout, *, fleet: bool
) -> tuple[Finding, ...]:
    """A finding for each peer: whether it answers, how far it is. ``fleet``: the peers of one mesh, of which it is
    UNKNOWN whether they are there when nobody at all gives a sign; what was named is judged by itself."""
    heard = not fleet or somebody_heard(probes)
    usual = _usual(probes, lambda numbers: numbers.median_s)
    return tuple(_latency(probed, threshold, standout, usual, heard) for probed in probes)


def _latency(
    probed: Probed, threshold: Threshold, standout: Standout, usual: Mapping[str, float], heard: bool
) -> Finding:
    subject, labels = subject_of(probed), labels_of(probed)
    took = numbers(probed.times_s).median_s
    if took is None:
        verdict = Verdict.UNKNOWN if probed.trouble in IMPOSSIBLE or not heard else Verdict.FAIL
        message = failure(probed) if heard or probed.trouble in IMPOSSIBLE else NOBODY
        return Finding(subject, verdict, message, None, None, threshold, None, labels)
    if fault := fault_of(probed):
        return Finding(subject, Verdict.FAIL, whole(probed, fault), None, None, threshold, None, labels)
    verdict, held = threshold.judge(took), threshold
    message = f"{thing(probed)} {'answers' if verdict is Verdict.PASS else 'answers slowly'}"
    if stands_out(took, usual.get(_kind(probed)), standout):
        typical = usual[_kind(probed)]
        message = f"{thing(probed)} answers {took / typical:.0f} times as slowly as the fleet's median"
        if verdict is Verdict.PASS:
            verdict, held = Verdict.WARN, Threshold(warn=at_most(max(standout.floor_s, standout.times * typical)))
    return Finding(subject, verdict, message, took, Unit.SECONDS, held, None, labels)


def fault_of(probed: Probed) -> tuple[Method, ProbeTrouble | str] | None:
    """What is wrong with a peer of which something answers: a port that does not accept though the host answers, a
    protocol that is not spoken. A host that does not answer ICMP is in order when its port does."""
    if probed.method is None:
        return None
    if probed.port is not None and not probed.port.times_s and probed.port.trouble:
        return Method.TCP, probed.port.trouble
    return next((one for one in probed.tried if one[0] is not Method.ICMP and one[1] not in IMPOSSIBLE), None)


def judge_loss(probes: Sequence[Probed], threshold: Threshold) -> tuple[Finding, ...]:
    """A finding for each peer that answered at all: the share of probes without an answer."""
    shared = [probed.loss or 0.0 for probed in probes if probed.times_s]
    everywhere = len(shared) >= FEWEST and median(shared) > 0
    return tuple(_loss(probed, threshold, everywhere) for probed in probes)


def _loss(probed: Probed, threshold: Threshold, everywhere: bool) -> Finding:
    subject, labels, loss = subject_of(probed), labels_of(probed), probed.loss
    if not probed.times_s or loss is None:
        return Finding(subject, Verdict.SKIP, "not looked at: nothing answers (peers.latency)", labels=labels)
    verdict, message = threshold.judge(loss), "probes are answered"
    if verdict is Verdict.FAIL and probed.sent < MANY:
        verdict = Verdict.WARN
    if verdict is not Verdict.PASS:
        message = f"{probed.sent - probed.received} of {probed.sent} probes are lost ({probed.method})"
        if everywhere:
            message += "; most peers lose some: it may be this machine's own link"
    return Finding(subject, verdict, message, loss, Unit.RATIO, threshold, None, labels)


def judge_jitter(probes: Sequence[Probed], threshold: Threshold, standout: Standout) -> tuple[Finding, ...]:
    """A finding for each peer with answers enough: how much one answer's time differs from the next."""
    usual = _usual([one for one in probes if one.received >= ENOUGH], lambda numbers: numbers.jitter_s)
    return tuple(_jitter(probed, threshold, standout, usual) for probed in probes)


def _jitter(probed: Probed, threshold: Threshold, standout: Standout, usual: Mapping[str, float]) -> Finding:
    subject, labels = subject_of(probed), labels_of(probed)
    jitter = numbers(probed.times_s).jitter_s
    if jitter is None or probed.received < ENOUGH:
        message = f"not looked at: {probed.received} answers are too few to tell"
        return Finding(subject, Verdict.SKIP, message, labels=labels)
    verdict, held, message = threshold.judge(jitter), threshold, "answers take equally long"
    if verdict is not Verdict.PASS:
        message = "one answer takes far longer than the next"
    elif stands_out(jitter, usual.get(_kind(probed)), standout):
        typical = usual[_kind(probed)]
        verdict, held = Verdict.WARN, Threshold(warn=at_most(max(standout.floor_s, standout.times * typical)))
        message = f"answers vary {jitter / typical:.0f} times as much as the fleet's median"
    return Finding(subject, verdict, message, jitter, Unit.SECONDS, held, None, labels)


def stands_out(value: float, usual: float | None, standout: Standout) -> bool:
    """Whether a value is far above what is usual in the fleet."""
    return bool(usual and standout.times and value > max(standout.floor_s, standout.times * usual))


def _usual(probes: Sequence[Probed], pick: Callable[[Numbers], float | None]) -> dict[str, float]:
    """The fleet's median of a number, by what can be compared; nothing where too few answered."""
    found: dict[str, list[float]] = {}
    for probed in probes:
        value = pick(numbers(probed.times_s))
        if value is not None:
            found.setdefault(_kind(probed), []).append(value)
    return {kind: median(values) for kind, values in found.items() if len(values) >= FEWEST}


def _kind(probed: Probed) -> str:
    """What can be compared: ICMP and TCP take one round trip, TLS and HTTP more and a server's thinking."""
    return "round trip" if probed.method in (Method.ICMP, Method.TCP) else str(probed.method)
