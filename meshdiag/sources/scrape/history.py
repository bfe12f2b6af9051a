"""Fills a store from exposition text whose samples carry timestamps: a dump, or a history written for backfilling.

``promtool tsdb create-blocks-from openmetrics`` reads the same files. A line that is known but for its value and time
costs little; all others are read as on a page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshdiag.sources.exposition import MAX_PROBLEMS, Reader

if TYPE_CHECKING:
    from meshdiag.promql.store import Store, StoredSeries

MAX_TIME_S = 1e11
"""Latest and earliest time taken, in seconds from 1970: 3,000 years."""


@dataclass(slots=True)
class Loaded:
    """How many samples were added, and what was wrong with other lines (the first few, with their numbers)."""

    samples: int = 0
    problems: list[str] = field(default_factory=list)
    broken: int = 0

    def note(self, problem: str) -> None:
        """Count a line that was left out."""
        self.broken += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)


def load_text(store: Store, text: bytes, *, openmetrics: bool = True, at: float | None = None) -> Loaded:
    """Add the samples of a text to a store. ``openmetrics`` decides whether its timestamps are seconds or
    milliseconds. ``at`` (epoch seconds) is the time of samples that carry none; without it they are problems."""
    result = Loaded()
    reader = Reader()
    known: dict[bytes, StoredSeries] = {}
    scale = 1000.0 if openmetrics else 1.0
    for number, line in enumerate(text.split(b"\n"), 1):
        if not line or line[0] == 35:  # a comment
            continue
        try:
            head, value, stamp = line.rsplit(b" ", 2)
            known[head].append(round(float(stamp) * scale), float(value))
        except (ValueError, KeyError, OverflowError):
            _slowly(store, line, number, openmetrics, at, reader, known, result)
        else:
            result.samples += 1
    if openmetrics and not text.rstrip().endswith(b"# EOF"):
        result.note("the text does not end with # EOF, so it may have been cut short")
    return result


def _slowly(
    store: Store,
    line: bytes,
    number: int,
    openmetrics: bool,
    at: float | None,
    reader: Reader,
    known: dict[bytes, StoredSeries],
    result: Loaded,
) -> None:
    """A line of a series that is new, without a timestamp, with an exemplar, or broken."""
    if not line.strip():
        return
    try:
        head, labels, value, time = reader.parse_line(line, openmetrics=openmetrics)
        moment = at if time is None else time
        if moment is None:
            raise ValueError("no timestamp")
        if abs(moment) > MAX_TIME_S:
            raise ValueError("a timestamp that no calendar has")
    except ValueError as error:
        result.note(f"line {number}: {error}")
        return
    series = known[head] = store.series(labels)
    series.append(round(moment * 1000), value)
    result.samples += 1
