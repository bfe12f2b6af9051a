"""Whether the two witnesses of a node contradict each other, and what that says of the way between them.

Plain functions of what Prometheus has (``Told``) and of the node's page (``Reading``), read in this order unless it
is said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag.catalog import START_TIME, Unit
from meshdiag.checks.readings.witness import CONSTANTS, COUNTERS, KNOWN, page_values
from meshdiag.model import Finding, Verdict
from meshdiag.units import human, rough

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshdiag.checks.readings.witness import Key, Told
    from meshdiag.model import Threshold
    from meshdiag.sources.scrape.reading import Reading

SETTLED_S = 60.0
"""A process that has run for so long when it was scraped was there at that scrape, whatever the clocks say."""
CLOCKS_S = 0.5
"""How far two moments of different clocks must lie apart to be told apart."""
FEW = 2
"""Of so many metrics a contradiction is no accident (one series may be reset by itself)."""
SHOWN = 3
AGREE = "Prometheus and the page agree"
BROKEN = "it is not down: its page is broken, and Prometheus refuses all of it for one line"
SPEAKS_FOR_IT = "its page answers, but "
ANSWERS = f"{SPEAKS_FOR_IT}Prometheus"
"""How every finding begins that speaks for the node and against the way to it."""
UNREAD = f"{ANSWERS} could not read it at its last scrape"


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of one node. ``before``: its page at an earlier look, which proves more once Prometheus has
    scraped since. ``elsewhere``: the instance under which Prometheus knows a node of the same name."""

    told: Told | None
    page: Reading
    before: Reading | None = None
    elsewhere: str = ""

    @property
    def target(self) -> Mapping[str, str]:
        """The labels of its target."""
        return self.told.target if self.told else {}


def judge(instance: str, case: Case, threshold: Threshold, labels: Mapping[str, str]) -> Finding:
    """The finding about one node: the worst contradiction, or that there is none."""
    verdict, message = _judge(case, threshold)
    age = None
    if case.told and case.told.scraped is not None:
        age = max(0.0, case.page.answered - case.told.scraped)
    return Finding(instance, verdict, message, age, Unit.SECONDS if age is not None else None, threshold, labels=labels)


def _judge(case: Case, threshold: Threshold) -> tuple[Verdict, str]:
    told, page = case.told, case.page
    if page.error:
        if told is not None and told.up:
            return Verdict.SKIP, f"Prometheus reads its page, which cannot be read from this machine: {page.error}"
        return Verdict.PASS, "neither Prometheus nor this machine can read its page"
    if told is None:
        known = f", and knows a node of this name as {case.elsewhere}" if case.elsewhere else ""
        return Verdict.FAIL, f"{ANSWERS} has no target for it{known}"
    if not told.up:
        return _unread(case, told)
    verdicts = (_age(told, page, threshold), _others(case), _ahead(case), _behind(case), _still(case), _missing(case))
    return max((one for one in verdicts if one), key=lambda one: one[0].severity, default=(Verdict.PASS, AGREE))


def _unread(case: Case, told: Told) -> tuple[Verdict, str]:
    """Prometheus could not read a page that answers: for sure the way's fault where it answered before that, too."""
    page = case.page
    if page.broken:
        return Verdict.FAIL, f"{BROKEN}: {page.broken}"
    took = page.answered - page.asked
    slow = f"; the page took {human(took, Unit.SECONDS)}" if took >= 1 else ""
    if not _settled(told, page_values(page.samples, told.target)):
        return Verdict.WARN, f"{UNREAD}: it may have come back since{slow}"
    sure = case.before is not None and not case.before.error and _scraped_since(case)
    verdict = Verdict.FAIL if sure else Verdict.WARN
    return verdict, f"{UNREAD}, {'though it answered before and after' if sure else 'though its process ran'}{slow}"


def _settled(told: Told, page: Mapping[Key, float]) -> bool:
    """Whether the process behind the page had been running for a while at Prometheus's last scrape."""
    started = [value for (name, _labels), value in page.items() if name == START_TIME.name]
    return bool(started) and told.scraped is not None and max(started) < told.scraped - SETTLED_S


def _age(told: Told, page: Reading, threshold: Threshold) -> tuple[Verdict, str] | None:
    if told.scraped is None:
        return None
    age = max(0.0, page.answered - told.scraped)
    verdict = threshold.judge(age)
    if verdict is Verdict.PASS:
        return None
    return verdict, f"{ANSWERS} read it last {rough(age)} ago"


def _others(case: Case) -> tuple[Verdict, str] | None:
    """What cannot change while a process lives is different: Prometheus has read another process."""
    told, page = _both(case)
    if not _settled_case(case, page):
        return None
    for name in CONSTANTS:
        theirs, ours = _of(told, name), _of(page, name)
        if theirs and ours and not any(_same(name, one, other) for one in theirs for other in ours):
            said = f"{name} is {theirs[0]:.10g} there and {ours[0]:.10g} on the page"
            return Verdict.FAIL, f"{ANSWERS} reads another one under its name: {said}"
    return None


def _ahead(case: Case) -> tuple[Verdict, str] | None:
    """Counters are higher in Prometheus than on the page, which was read later."""
    told, page = _both(case)
    if not _settled_case(case, page):
        return None
    names = {key[0] for key in _counters(told) if key in page and told[key] > page[key]}
    if len(names) < FEW:
        return None
    return Verdict.FAIL, f"{ANSWERS} reads another one under its name: it is ahead of the page in {_listed(names)}"


def _behind(case: Case) -> tuple[Verdict, str] | None:
    """Counters were higher on the page before Prometheus's last scrape than what that scrape brought."""
    if not _scraped_since(case) or case.before is None:
        return None
    told, page = _both(case)
    before = page_values(case.before.samples, case.target)
    shared = [key for key in _counters(before) if key in told and page.get(key, -1.0) >= before[key]]
    behind = {key[0] for key in shared if told[key] < before[key]}
    if not behind or any(told[key] > before[key] for key in shared):
        return None
    return Verdict.FAIL, f"{ANSWERS} is given an old copy of it: {_listed(behind)} stood higher before its last scrape"


def _still(case: Case) -> tuple[Verdict, str] | None:
    """Nothing moves in Prometheus for several scrapes, and the page is elsewhere by now."""
    told, page = _both(case)
    moved = {key[0] for key in page if key in told and told[key] != page[key]}
    if case.told is None or not case.told.still or len(moved) < FEW:
        return None
    return Verdict.FAIL, f"{ANSWERS} seems to be given an old copy of it: {_listed(moved)} stand still there"


def _missing(case: Case) -> tuple[Verdict, str] | None:
    """Metrics that the page has, that checks and alerts go by, and that Prometheus has not."""
    told = case.told
    assert told is not None
    on_page = _known(case.page.samples)
    lost = on_page - told.names
    if lost and len(lost) == len(on_page) and _settled_case(case, page_values(case.page.samples, told.target)):
        return Verdict.FAIL, f"{ANSWERS} keeps none of its metrics under this instance"
    if case.before is not None and _scraped_since(case):
        lost &= _known(case.before.samples)
    elif not told.dropped:
        return None  # it may be new on the page: only another scrape tells
    does = "drops" if told.dropped else "renames or loses"
    return (Verdict.WARN, f"{ANSWERS} {does} {_listed(lost)}") if lost else None


def _known(samples: Iterable[tuple[str, object, object, object]]) -> set[str]:
    return {name for name, _labels, _value, _time in samples if name in KNOWN}


def _both(case: Case) -> tuple[Mapping[Key, float], dict[Key, float]]:
    """Prometheus's values and the page's."""
    return (case.told.values if case.told else {}), page_values(case.page.samples, case.target)


def _settled_case(case: Case, page: Mapping[Key, float]) -> bool:
    return case.told is not None and _settled(case.told, page)


def _scraped_since(case: Case) -> bool:
    """Whether Prometheus has scraped after the earlier look at the page."""
    scraped = case.told.scraped if case.told else None
    return case.before is not None and scraped is not None and scraped > case.before.answered + CLOCKS_S


def _counters(values: Mapping[Key, float]) -> dict[Key, float]:
    return {key: value for key, value in values.items() if key[0] in COUNTERS}


def _of(values: Mapping[Key, float], name: str) -> list[float]:
    return [value for (own, _labels), value in values.items() if own == name]


def _same(name: str, one: float, other: float) -> bool:
    """Whether a constant is the same; process starts are known to a second or so."""
    return abs(one - other) <= (2.0 if name == START_TIME.name else 0.0)


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return ", ".join(ordered[:SHOWN]) + more
