"""Entries to records: what the line says, and what its stream's labels say of it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from meshdiag.logs.formats import Hints
from meshdiag.sources.loki.fields import DUPLICATE, Lines
from meshdiag.sources.loki.labels import OWN, level_in
from meshdiag.sources.loki.logql import label_name, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshdiag.logs.formats import Format
    from meshdiag.logs.record import Level, Record
    from meshdiag.logs.tally import Tally
    from meshdiag.sources.loki.entries import Entry
    from meshdiag.sources.loki.labels import LabelNames

MOST_STREAMS: Final = 1000
"""Streams whose format is remembered."""
SAMPLED: Final = 50
"""Lines of a stream that are looked at to find their format."""
_GUESSES: Final = ("detected_level", "__error__", "__error_details__")


@dataclass(frozen=True, slots=True)
class _Stream:
    """What is the same for all entries with the same labels: the labels without what a query made, and their text."""

    labels: Mapping[str, str]
    text: str
    key: frozenset[tuple[str, str]]


class Reader:
    """Makes records. It remembers the format of each stream, JSON and other lines apart, because one stream often holds
    both."""

    def __init__(self, names: LabelNames, formats: Sequence[Format] = ()) -> None:
        self._names = names
        self._formats = formats
        self._known: OrderedDict[tuple[bool, frozenset[tuple[str, str]]], Format] = OrderedDict()

    def records(self, entries: Sequence[Entry], tally: Tally, *, parsed: bool = False) -> Iterator[Record]:
        """The records of a page, one by one. ``parsed``: the query had a parser, whose labels may stand among the
        stream's."""
        streams: dict[int, _Stream] = {}
        self._learn(entries, streams, parsed=parsed)
        for entry in entries:
            tally.records += 1
            yield self._record(entry, streams[id(entry.labels)], parsed=parsed)

    def lines_of(self, entries: Sequence[Entry]) -> Lines:
        """What kind of lines these are: what their fields can be asked for with."""
        streams: dict[int, _Stream] = {}
        self._learn(entries, streams)
        kinds = set()
        for entry in entries:
            raw = _raw(entry)
            form = self._known[_kind(streams[id(entry.labels)], raw)]
            fields = form.parse(raw).fields
            if fields:
                kinds.add(_lines(form.name, fields, raw))
        if Lines.UNKEYED in kinds:
            return Lines.UNKEYED
        return kinds.pop() if len(kinds) == 1 else Lines.OTHER

    def _record(self, entry: Entry, stream: _Stream, *, parsed: bool) -> Record:
        raw = _raw(entry)
        form = self._known.get(_kind(stream, raw)) or self._found(stream, raw, [raw])
        record = form.parse(raw)
        labels, text = stream.labels, stream.text
        if parsed and entry.mixed:
            labels = _without_parsed(labels, record.fields)
            text = compact(labels)
        if entry.metadata:
            labels = {**entry.metadata, **labels}
        self._label(record, labels)
        record.raw, record.time_ns, record.file, record.line = raw, entry.time_ns, text, None
        return record

    def _label(self, record: Record, labels: Mapping[str, str]) -> None:
        """Fill in what the labels say."""
        names = self._names
        record.level = _level(record.level, labels, names)
        record.component = labels.get(names.component.first) or record.component or names.component.behind(labels)
        record.node = labels.get(names.node.first) or record.node or names.node.behind(labels)
        record.fields = {**{name: value for name, value in labels.items() if not _made(name)}, **record.fields}

    def _learn(self, entries: Iterable[Entry], streams: dict[int, _Stream], *, parsed: bool = False) -> None:
        """Find the formats of streams that are new, from many of their lines rather than from one. Where a parser's
        labels make a stream of every line, all of them are taken as one."""
        samples: dict[tuple[bool, frozenset[tuple[str, str]]], tuple[_Stream, list[bytes]]] = {}
        for entry in entries:
            stream = streams.get(id(entry.labels))
            if stream is None:
                stream = streams[id(entry.labels)] = _stream(entry.labels, one_of_many=parsed and entry.mixed)
            raw = _raw(entry)
            key = _kind(stream, raw)
            if key not in self._known:
                lines = samples.setdefault(key, (stream, []))[1]
                if len(lines) < SAMPLED:
                    lines.append(raw)
        for stream, lines in samples.values():
            self._found(stream, lines[0], lines)

    def _found(self, stream: _Stream, first: bytes, raws: Sequence[bytes]) -> Format:
        from meshdiag.logs.formats.detecting import detect

        lines = [line for raw in raws for line in raw.split(b"\n")]
        hints = Hints(newest=datetime.now(UTC), zone=UTC)
        form = detect(lines, hints, self._formats)
        if not form.timed:
            form = _without_times(raws, hints) or form
        self._known[_kind(stream, first)] = form
        while len(self._known) > MOST_STREAMS:
            self._known.popitem(last=False)
        return form


def compact(labels: Mapping[str, str]) -> str:
    """A stream's labels as LogQL writes them: ``{component="router", job="agent-mesh"}``."""
    return "{" + ", ".join(f"{name}={quoted(value)}" for name, value in sorted(labels.items())) + "}"


def _without_times(raws: Sequence[bytes], hints: Hints) -> Format | None:
    """The format of lines that bear no time, which agents take away because the store keeps it: JSON or logfmt; None
    where they are neither."""
    from meshdiag.logs.formats.jsonlines import JsonFormat, learn_shape
    from meshdiag.logs.formats.jsonreading import read_object
    from meshdiag.logs.formats.logfmt import LogfmtFormat

    objects = [(raw, found) for raw in raws if (found := read_object(raw)) is not None]
    if objects and len(objects) * 2 >= len(raws):
        return JsonFormat(learn_shape(objects), hints)
    logfmt = LogfmtFormat(hints)
    return logfmt if sum(map(logfmt.owns, raws)) * 2 >= len(raws) else None


def _raw(entry: Entry) -> bytes:
    return entry.line.encode("utf-8", "replace")


def _stream(labels: Mapping[str, str], *, one_of_many: bool = False) -> _Stream:
    kept = {name: value for name, value in labels.items() if not _made(name) or name == "detected_level"}
    shown = {name: value for name, value in kept.items() if not _made(name)}
    return _Stream(kept, compact(shown), frozenset() if one_of_many else frozenset(shown.items()))


def _kind(stream: _Stream, raw: bytes) -> tuple[bool, frozenset[tuple[str, str]]]:
    """What lines share a format: those of one stream that begin alike."""
    return raw.lstrip()[:1] == b"{", stream.key


def _made(label: str) -> bool:
    """Whether a label was made by a query or by Loki, rather than set by who sent the line."""
    return label.startswith(OWN) or label in _GUESSES


def _without_parsed(labels: Mapping[str, str], fields: Mapping[str, Any]) -> Mapping[str, str]:
    """The labels of a stream without those that a parser made of the line's fields. A label that the stream has itself
    has its field's value beside it, under the name with ``_extracted``."""
    made = set(_flat(fields))
    return {
        name: value
        for name, value in labels.items()
        if not name.endswith(DUPLICATE) and (name not in made or name + DUPLICATE in labels)
    }


def _flat(fields: Mapping[str, Any], before: tuple[str, ...] = ()) -> Iterator[str]:
    for key, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(value, (*before, str(key)))
        else:
            yield label_name((*before, str(key)))


def _lines(name: str, fields: Mapping[str, Any], raw: bytes) -> Lines:
    """What the fields of a line can be asked for with."""
    lower = name.lower()
    if "json" in lower and raw.lstrip().startswith(b"{") and all(f'"{key}"'.encode() in raw for key in fields):
        return Lines.JSON
    if "logfmt" in lower:
        return Lines.LOGFMT
    return Lines.OTHER if all(str(key).encode() in raw for key in fields) else Lines.UNKEYED


def _level(said: Level | None, labels: Mapping[str, str], names: LabelNames) -> Level | None:
    """The level: that of the first label, of the line, of the other labels."""
    first = level_in(labels, (names.level.first,))
    if first is not None:
        return first
    return level_in(labels, names.level.after) if said is None else said
