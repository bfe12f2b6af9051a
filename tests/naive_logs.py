"""A naive reader of logs: every line, every record parsed, every record tested. What the engine must agree with."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from meshdiag.logs.formats import Format, Hints
from meshdiag.logs.formats.detecting import detect
from meshdiag.logs.matching import Matcher
from meshdiag.logs.opening.reading import SAMPLE_BYTES
from meshdiag.logs.record import Record
from meshdiag.logs.scan.blocks import RECORD_BYTES
from meshdiag.logs.selection import Selection


def format_of(content: bytes, path: Path, zone: tzinfo = UTC) -> Format:
    """The format that the engine takes for a file."""
    sample = content[:SAMPLE_BYTES]
    lines = sample.split(b"\n")
    if len(sample) == SAMPLE_BYTES and len(lines) > 1:
        lines.pop()
    return detect(lines, Hints(datetime.fromtimestamp(path.stat().st_mtime, UTC), zone))


def records(content: bytes, form: Format, longest: int = RECORD_BYTES) -> Iterator[bytes]:
    """The bytes of each record, without the last newline."""
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    held: list[bytes] = []
    for line in lines:
        if held and form.starts(line):
            yield b"\n".join(held)[:longest]
            held = []
        held.append(line)
    if held:
        yield b"\n".join(held)[:longest]


def read(content: bytes, form: Format, selection: Selection, longest: int = RECORD_BYTES) -> list[tuple[Record, bool]]:
    """What a selection leaves of a log, each record with whether it is only a neighbour."""
    matcher = Matcher(selection)
    earlier: int | None = None
    parsed: list[tuple[Record, bool]] = []
    for raw in records(content, form, longest):
        record = form.parse(raw)
        earlier = earlier if record.time_ns is None else record.time_ns
        parsed.append((record, matcher.wants(record, earlier)))
    wanted = [number for number, (_, fits) in enumerate(parsed) if fits]
    if selection.head is not None:
        wanted = wanted[: selection.head]
    if selection.tail is not None:
        wanted = list(deque(wanted, maxlen=selection.tail))
    shown = {
        number
        for one in wanted
        for number in range(max(0, one - selection.before), min(len(parsed), one + selection.after + 1))
    }
    return [(parsed[number][0], number not in set(wanted)) for number in sorted(shown)]


def raws(found: Sequence[tuple[Record, bool]]) -> bytes:
    """The lines that a copy writes."""
    return b"".join(record.raw + b"\n" for record, _ in found)
