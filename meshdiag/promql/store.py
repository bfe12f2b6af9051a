"""Samples held in memory: columns of times and values by series, found by metric name and matchers.

Long columns are arrays of machine numbers: 16 bytes a sample, and cut out or summed without a Python object each.
Short ones, of a look or two at many nodes, are tuples, which cost next to nothing to make.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from msgspec import Struct

from meshdiag.metrics import NAME_LABEL
from meshdiag.promql.expressions import MatchKind
from meshdiag.promql.values import without_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshdiag.promql.expressions import Matcher, Selector

STALE_NAN: float = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""The value that marks a series as ended (Prometheus's staleness marker)."""


def is_stale(value: float) -> bool:
    """Whether a value is the staleness marker, and not a NaN that somebody measured."""
    return value != value and struct.pack("<d", value) == _STALE_BYTES


_STALE_BYTES = struct.pack("<Q", 0x7FF0000000000002)


INDEXED = 100
"""From this many series of a metric on, a label's values are indexed when they are asked for."""
FEW = 4
"""Up to so many samples a series has tuples for columns."""
LONGEST_BITS = 63


class StoredSeries(Struct, eq=False):
    """One series: its labels (the name among them, never to be changed), times in milliseconds since the epoch
    (whole, of 64 bits), rising, and values."""

    labels: dict[str, str]
    times: tuple[int, ...] | array[int] = ()
    values: tuple[float, ...] | array[float] = ()
    _bare: dict[str, str] | None = None

    @property
    def bare(self) -> dict[str, str]:
        """The labels without the name, made once; never to be changed."""
        if self._bare is None:
            self._bare = without_name(self.labels)
        return self._bare

    def append(self, time: int, value: float) -> None:
        """Add a sample. One that is not newer than the last is put in its place, or replaces its equal. Raises
        ``OverflowError`` for a time of more than 64 bits."""
        times = self.times
        if isinstance(times, tuple) and len(times) < FEW and (not times or time > times[-1]):
            if time.bit_length() > LONGEST_BITS:
                raise OverflowError("a time that 64 bits do not hold")
            self.times, self.values = (*times, time), (*self.values, float(value))
            return
        times, values = self._arrays()
        if not times or time > times[-1]:
            times.append(time)
            values.append(value)
            return
        place = bisect_right(times, time)
        if times[place - 1] == time and place:
            values[place - 1] = value
        else:
            times.insert(place, time)
            values.insert(place, value)

    def forget(self, before: int) -> None:
        """Let go of the samples older than that; the newest one stays."""
        if self.times[0] < before:
            times, values = self._arrays()
            cut = min(len(times) - 1, bisect_left(times, before))
            del times[:cut], values[:cut]

    def _arrays(self) -> tuple[array[int], array[float]]:
        """The columns as arrays, from now on."""
        times, values = self.times, self.values
        if not isinstance(times, array) or not isinstance(values, array):
            self.times, self.values = times, values = array("q", times), array("d", values)
        return times, values


class Store:
    """Series by metric name. Series without a name stand under the empty one."""

    def __init__(self) -> None:
        self._by_name: dict[str, list[StoredSeries]] = {}
        self._by_labels: dict[frozenset[tuple[str, str]], StoredSeries] = {}
        self._by_value: dict[tuple[str, str], dict[str, list[StoredSeries]]] = {}
        """The series of a large metric by the values of one label: the one that was asked for, or all."""
        self._indexed: set[tuple[str, str]] = set()
        """The metrics and labels of which all values stand there."""

    def series(self, labels: Mapping[str, str]) -> StoredSeries:
        """The series with exactly these labels, made when it is new. Empty label values count as absent."""
        key = frozenset(pair for pair in labels.items() if pair[1])
        found = self._by_labels.get(key)
        if found is None:
            found = self._by_labels[key] = self.put(StoredSeries(dict(key)))
        return found

    def put(self, series: StoredSeries) -> StoredSeries:
        """Add a series that the caller knows to be new; ``series()`` does not find it again."""
        name = series.labels.get(NAME_LABEL, "")
        named = self._by_name.get(name)
        if named is None:
            named = self._by_name[name] = []
        named.append(series)
        if self._by_value:
            for key in [key for key in self._by_value if key[0] == name]:
                del self._by_value[key]
                self._indexed.discard(key)
        return series

    def add(self, labels: Mapping[str, str], time: int, value: float) -> None:
        """Add one sample; ``time`` is in milliseconds."""
        self.series(labels).append(time, value)

    @property
    def names(self) -> Iterable[str]:
        """The metric names held."""
        return self._by_name.keys()

    def named(self, name: str) -> Sequence[StoredSeries]:
        """Every series of a metric."""
        return self._by_name.get(name, ())

    def select(self, selector: Selector) -> list[StoredSeries]:
        """The series that a selector picks, whenever their samples are."""
        matchers = selector.matchers
        candidates: Iterable[StoredSeries]
        if selector.name is not None:
            candidates, matchers = self._named(selector.name, matchers)
        else:
            on_name = [matcher for matcher in matchers if matcher.name == NAME_LABEL]
            candidates = self._of_names(on_name)
            matchers = tuple(matcher for matcher in matchers if matcher.name != NAME_LABEL)
        for matcher in matchers:
            candidates = _matching(candidates, matcher)
        return list(candidates)

    def _named(self, name: str, matchers: tuple[Matcher, ...]) -> tuple[Sequence[StoredSeries], tuple[Matcher, ...]]:
        """The series of a metric, narrowed by the first label that must be equal to something; and the other
        matchers."""
        named = self._by_name.get(name, ())
        if len(named) >= INDEXED:
            for matcher in matchers:
                if matcher.kind is MatchKind.EQUAL and matcher.value:
                    rest = tuple(one for one in matchers if one is not matcher)
                    return self._valued(name, matcher.name, matcher.value), rest
        return named, matchers

    def _valued(self, name: str, label: str, value: str) -> Sequence[StoredSeries]:
        """The series of a metric with this value of a label. They are looked through for the first value, and indexed
        when another is asked for: of most metrics nobody asks for two."""
        key = (name, label)
        by_value = self._by_value.get(key)
        if by_value is None:
            found = [series for series in self._by_name[name] if series.labels.get(label) == value]
            self._by_value[key] = {value: found}
            return found
        if value not in by_value and key not in self._indexed:
            self._indexed.add(key)
            by_value.clear()
            for series in self._by_name[name]:
                by_value.setdefault(series.labels.get(label, ""), []).append(series)
        return by_value.get(value, ())

    def _of_names(self, matchers: Sequence[Matcher]) -> Iterable[StoredSeries]:
        for name, series in self._by_name.items():
            if all(matcher.matches({NAME_LABEL: name}) for matcher in matchers):
                yield from series


def _matching(candidates: Iterable[StoredSeries], matcher: Matcher) -> list[StoredSeries]:
    if matcher.kind is MatchKind.EQUAL and matcher.value:
        name, value = matcher.name, matcher.value
        return [series for series in candidates if series.labels.get(name) == value]
    return [series for series in candidates if matcher.matches(series.labels)]
