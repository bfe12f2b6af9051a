"""What was observed: the store filled from the pages of one look after the other, as Prometheus would label it.

Only the families that were asked for are read; the pages are kept, so that another family can be read later
without fetching again. Each series carries ``job``, ``instance`` and, where known, node and role; labels of the
page that clash get the prefix ``exported_``. ``up`` and ``scrape_duration_seconds`` are made here, and
``node_time_seconds`` from the Date header where a page has none.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING

from meshdiag.promql.store import STALE_NAN, Store, StoredSeries
from meshdiag.sources.exposition import Reader, sample_names
from meshdiag.sources.scrape.history import MAX_TIME_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshdiag.context import NodeAddress
    from meshdiag.sources.exposition import Head, Page
    from meshdiag.sources.scrape.pages import NodePage

CLOCK = "node_time_seconds"
SYNTHETIC = frozenset({"up", "scrape_duration_seconds"})
KEPT = 2
"""Looks of which the pages themselves are kept: over an hour of looks they would fill the memory."""
DATE_HALF_S = 0.5
"""The Date header has whole seconds, cut off: on the average the clock stood half a second later."""


@dataclass(slots=True)
class _Node:
    """What belongs to one node: the labels of its target, its series by the identity of the page's labels."""

    labels: dict[str, str]
    series: dict[int, StoredSeries] = field(default_factory=dict)
    timed: set[int] = field(default_factory=set)
    """Series whose page gives timestamps: they are not marked stale."""
    own: dict[str, StoredSeries] = field(default_factory=dict)


@dataclass(slots=True)
class Look:
    """The pages of all nodes, fetched once. ``began`` and ``ended``: epoch seconds. ``loaded``: names read from
    them. ``closed``: the pages themselves are gone, so that nothing more can be read from them."""

    pages: Sequence[NodePage]
    began: float
    loaded: set[str] = field(default_factory=set)
    all_loaded: bool = False
    ended: float = 0.0
    closed: bool = False
    names: set[str] | None = None

    def close(self) -> None:
        """Let go of the pages."""
        self.closed, self.pages = True, ()


class Observed:
    """The looks taken so far and the store that they fill. ``problems``: what was wrong with a node's page at
    the last look, by instance; a page with a few broken lines has an entry too, and is up all the same."""

    def __init__(self, nodes: Sequence[NodeAddress], job: str, node_label: str, role_label: str) -> None:
        self.store = Store()
        self.looks: list[Look] = []
        self.problems: dict[str, str] = {}
        self._addresses = nodes
        self._nodes = [_Node(_target_labels(node, job, node_label, role_label)) for node in nodes]
        self._heads: dict[bytes, Head] = {}

    def add(self, look: Look) -> None:
        """Take a new look in: what each node's scrape says of itself."""
        self.looks.append(look)
        self.problems = {}
        for address, node, page in zip(self._addresses, self._nodes, look.pages, strict=True):
            time = round(page.asked * 1000)
            self._own(node, "up", time, 0.0 if page.error else 1.0)
            self._own(node, "scrape_duration_seconds", time, page.answered - page.asked)
            if page.error is not None:
                self.problems[address.instance] = str(page.error)
        loaded = set().union(*(one.loaded for one in self.looks))
        if any(one.all_loaded for one in self.looks):
            self.load_all()
        elif loaded:
            self.load(loaded)
        for earlier in self.looks[:-KEPT]:
            earlier.close()

    @property
    def silent(self) -> list[str]:
        """The nodes without a page at the last look, by instance."""
        pages = self.looks[-1].pages if self.looks else ()
        return [node.instance for node, page in zip(self._addresses, pages, strict=False) if page.error is not None]

    @property
    def broken(self) -> dict[str, str]:
        """What is wrong on pages that came, by instance."""
        silent = set(self.silent)
        return {instance: problem for instance, problem in self.problems.items() if instance not in silent}

    def load(self, names: set[str]) -> None:
        """Read these families from every look, unless they have been read before."""
        for look in self.looks:
            missing = frozenset(names - look.loaded - SYNTHETIC)
            if missing and not look.all_loaded and not look.closed:
                look.loaded |= missing
                self._read(look, Reader(missing, self._heads), missing)

    def load_all(self) -> None:
        """Read everything that stands on the pages."""
        for look in self.looks:
            if not look.all_loaded and not look.closed:
                look.all_loaded = True
                self._read(look, Reader(None, self._heads), None, frozenset(look.loaded))

    def names_on_pages(self) -> set[str]:
        """The names of all samples on the pages of the last look, and those made here."""
        if not self.looks:
            return set(SYNTHETIC)
        look = self.looks[-1]
        if look.names is None:  # looked for once: whoever asks why many questions are empty asks for it each time
            look.names = set(SYNTHETIC).union(*(sample_names(page.body) for page in look.pages))
        return set(look.names)

    def _read(
        self, look: Look, reader: Reader, wanted: frozenset[str] | None, skip: frozenset[str] = frozenset()
    ) -> None:
        clock = wanted is None or CLOCK in wanted
        with _without_collection():
            for address, node, page in zip(self._addresses, self._nodes, look.pages, strict=True):
                before = len(node.series)
                if page.error is None:
                    read = reader.read(page.body, openmetrics=page.openmetrics)
                    self._take(node, page, read, skip)
                    if read.problems and look is self.looks[-1]:
                        self.problems.setdefault(address.instance, _summary(read.problems, read.broken))
                    if clock:
                        self._clock(node, page)
                if before:
                    self._end(node, wanted, round(page.asked * 1000))

    def _take(self, node: _Node, page: NodePage, read: Page, skip: frozenset[str]) -> None:
        """The samples of one page into the series of its node."""
        asked = round(page.asked * 1000)
        once = (asked,)
        known, own, put = node.series, node.labels, self.store.put
        for name, labels, value, stamp in read.samples:
            if name in skip:
                continue
            key = id(labels)
            series = known.get(key)
            if stamp is not None:
                self._take_stamped(node, labels, value, stamp)
            elif series is not None:
                series.append(asked, value)
            else:
                known[key] = put(StoredSeries(_labelled(labels, own), once, (value,)))

    def _take_stamped(self, node: _Node, labels: dict[str, str], value: float, stamp: float) -> None:
        """A sample for which the page gives a time of its own, in seconds."""
        if abs(stamp) > MAX_TIME_S:
            return
        key = id(labels)
        node.timed.add(key)
        series = node.series.get(key)
        if series is None:
            series = node.series[key] = self.store.put(StoredSeries(_labelled(labels, node.labels)))
        series.append(round(stamp * 1000), value)

    @staticmethod
    def _end(node: _Node, wanted: frozenset[str] | None, time: int) -> None:
        """Mark the series that were there at an earlier look and have no sample of this one."""
        for key, series in node.series.items():
            if series.times[-1] >= time or key in node.timed:
                continue
            if wanted is None or series.labels["__name__"] in wanted:
                series.append(time, STALE_NAN)

    def _own(self, node: _Node, name: str, time: int, value: float) -> None:
        series = node.own.get(name)
        if series is None:
            series = node.own[name] = self.store.put(StoredSeries({"__name__": name, **node.labels}))
        series.append(time, value)

    def _clock(self, node: _Node, page: NodePage) -> None:
        """The node's clock from the Date header, where its page does not tell it."""
        if any(series.labels["__name__"] == CLOCK for series in node.series.values()):
            return
        date = _epoch(page.date)
        if date is not None:
            self._own(node, CLOCK, round(page.answered * 1000), date + DATE_HALF_S)


def _labelled(labels: dict[str, str], own: dict[str, str]) -> dict[str, str]:
    """A page's labels with those of its target, which have the right of way."""
    merged = labels | own
    if len(merged) == len(labels) + len(own):
        return merged
    return {**{(f"exported_{name}" if name in own else name): value for name, value in labels.items()}, **own}


@contextmanager
def _without_collection() -> Iterator[None]:
    """No garbage collection meanwhile: all that is read stays, and looking for garbage in it doubles the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _target_labels(node: NodeAddress, job: str, node_label: str, role_label: str) -> dict[str, str]:
    labels = {"job": job, "instance": node.instance}
    if node.name:
        labels[node_label] = node.name
    if node.role:
        labels[role_label] = node.role
    return labels


@lru_cache(maxsize=64)
def _epoch(date: str) -> float | None:
    from email.utils import parsedate_to_datetime  # here, because pages that tell the time themselves do not need it

    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _summary(problems: Sequence[str], broken: int) -> str:
    more = f" (and {broken - 1} more)" if broken > 1 else ""
    return f"the page has broken lines: {problems[0]}{more}"
