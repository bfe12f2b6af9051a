"""Who leads the slow consensus rounds, by the log: one leader's fault looks different from everybody's."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from meshdiag.catalog import Unit
from meshdiag.checks.readings.middle import median
from meshdiag.checks.readings.per_node import MESH
from meshdiag.model import Finding, Verdict
from meshdiag.units import human

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from meshdiag.model import Threshold
    from meshdiag.sources.meshlog import Round

SLOW_S = 10.0
"""A round that takes longer is slow, as the rule HighConsensusLatency says (option ``slow_s``)."""
FEWEST_SLOW = 3
"""Slow rounds below which nothing is said of who led them."""
STANDS_OUT = 2.0
"""How many times slower than the others' a leader's rounds must be."""


def one_of_each(rounds: Iterable[Round]) -> list[tuple[str, float, datetime]]:
    """Leader, duration and time of each round. Every node logs a round it took part in: the median stands."""
    together: dict[tuple[str, object], list[Round]] = {}
    for one in rounds:
        if one.leader:
            key = one.number if one.number is not None else one.time
            together.setdefault((one.leader, key), []).append(one)
    return [
        (leader, median(one.duration_s for one in same), max(one.time for one in same))
        for (leader, _), same in together.items()
    ]


def judge_leaders(rounds: Sequence[Round], slow_s: float, threshold: Threshold) -> tuple[Finding, ...]:
    """A finding for each leader of slow rounds: its share of them, which is a fault when it is both large and
    out of proportion to the rounds it leads. One finding about the mesh where there is nothing to tell apart."""
    each = one_of_each(rounds)
    if not each:
        return (Finding(MESH, Verdict.UNKNOWN, "the log tells of no round with a leader within the window"),)
    led = Counter(leader for leader, _, _ in each)
    slow = Counter(leader for leader, duration, _ in each if duration > slow_s)
    if slow.total() < FEWEST_SLOW:
        return (Finding(MESH, Verdict.PASS, "hardly any round was slow", float(slow.total()), Unit.COUNT),)
    if len(led) == 1:
        message = "the same node led every round, so its part cannot be told"
        return (Finding(MESH, Verdict.PASS, message, float(slow.total()), Unit.COUNT),)
    last = {leader: max(time for who, _, time in each if who == leader) for leader in slow}
    return tuple(
        _judge_leader(leader, slow, led, last[leader], threshold)
        for leader in sorted(slow, key=lambda leader: (-slow[leader], leader))
    )


def _judge_leader(leader: str, slow: Counter[str], led: Counter[str], last: datetime, threshold: Threshold) -> Finding:
    share = slow[leader] / slow.total()
    verdict, message = threshold.judge(share), "the slow rounds are led by others as well"
    if verdict is not Verdict.PASS:
        own = slow[leader] / led[leader]
        others = (slow.total() - slow[leader]) / (led.total() - led[leader])
        if own > STANDS_OUT * others:
            message = "the slow rounds are mostly this leader's"
        else:
            verdict, message = Verdict.PASS, "leads most of the slow rounds, and of the others too"
    return Finding(leader, verdict, message, share, Unit.RATIO, threshold, last, {"node": leader})


def sum_up_rounds(rounds: Sequence[Round], slow_s: float) -> str:
    """``12 of 80 rounds took over 10 s, 10 of them led by trainer-3``."""
    each = one_of_each(rounds)
    if not each:
        return "the log tells of no round with a leader within the window"
    slow = Counter(leader for leader, duration, _ in each if duration > slow_s)
    text = f"{slow.total()} of {len(each)} rounds took over {human(slow_s, Unit.SECONDS)}"
    if not slow:
        return text
    leader, count = slow.most_common(1)[0]
    return f"{text}, {count} of them led by {leader}"
