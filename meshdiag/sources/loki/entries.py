"""Entries: what a query or the tail sends, read from its JSON. Times are nanoseconds in text.

Loki 3 counts structured metadata and parsed fields among the labels of each entry, so that one stream of the store
comes back as many; asked to (``CATEGORIZE``), it keeps them apart in a third element of each value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

CATEGORIZE: Final = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
"""The header that asks Loki 3 to keep labels, structured metadata and parsed fields apart. Loki 2 ignores it."""
_NOTHING: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a stream. ``labels`` are the stream's, ``metadata`` its own (Loki 3's structured metadata).
    ``mixed``: the server did not keep them apart, and what a parser made stands among the labels."""

    time_ns: int
    line: str
    labels: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    mixed: bool = False


_BY_TIME = attrgetter("time_ns")


def read_streams(result: Any, flags: Any = None, *, newest_first: bool = False) -> list[Entry]:
    """The entries of a result, oldest first; those of one nanosecond in the order of their stream. ``flags`` are the
    answer's ``encodingFlags``. Raises ``TypeError``, ``ValueError``, ``KeyError``, ``IndexError`` or ``AttributeError``
    for another shape."""
    mixed = not (isinstance(flags, list) and "categorize-labels" in flags)
    if not isinstance(result, list):
        raise TypeError("the result is not a list of streams")
    entries: list[Entry] = []
    for one in result:
        labels, values = one["stream"], one["values"]
        "".join(labels.values())  # raises for labels that are not text, at the least cost
        entries += [_entry(labels, value, mixed) for value in (reversed(values) if newest_first else values)]
    entries.sort(key=_BY_TIME)
    return entries


def _entry(labels: Mapping[str, str], value: Any, mixed: bool) -> Entry:
    line = value[1]
    if not isinstance(line, str):
        raise TypeError("a line is not text")
    metadata = _NOTHING
    if len(value) > 2 and value[2]:
        metadata = value[2].get("structuredMetadata") or _NOTHING
        "".join(metadata.values())
    return Entry(int(value[0]), line, labels, metadata, mixed)
