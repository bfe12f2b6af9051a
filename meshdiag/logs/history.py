"""What was in followed logs before: up to the very byte from which on they are followed, so that no line is missing
between the two and none comes twice."""

from __future__ import annotations

import heapq
import os
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING

from meshdiag.logs.compressed import BrokenArchiveError
from meshdiag.logs.files import LogFile
from meshdiag.logs.reading import OpenLog
from meshdiag.logs.rotation import siblings
from meshdiag.logs.scanning import Scanner
from meshdiag.logs.seeking import Seeker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from meshdiag.logs.arriving import Opened
    from meshdiag.logs.formats import Format
    from meshdiag.logs.matching import Matcher
    from meshdiag.logs.record import Record
    from meshdiag.logs.tally import Tally

FIRST_LOOK = 256 * 1024
"""How far before the end the last records are looked for at first; four times as far each time they are not there."""
SAMPLE = 64 * 1024
ENDLESS = 1 << 40


def history(opened: Sequence[Opened], matcher: Matcher, tally: Tally, formats: Sequence[Format]) -> Iterator[Record]:
    """Wanted records from ``since_ns`` on, or the last ``tail`` of all files, oldest first; nothing without either."""
    selection = matcher.selection
    if selection.since_ns is None and selection.tail is None:
        return
    files = [_Past(one, matcher, tally, formats).records() for one in opened]
    merged: Iterable[tuple[int, Record]] = heapq.merge(*files, key=lambda pair: pair[0])
    if selection.tail is not None:
        merged = deque(merged, maxlen=selection.tail)
    for _, record in merged:
        yield record


class _Past:
    """One followed log as it was when following began, its rotated files before it."""

    def __init__(self, opened: Opened, matcher: Matcher, tally: Tally, formats: Sequence[Format]) -> None:
        self._opened = opened
        self._matcher = matcher
        self._tally = tally
        self._formats = formats

    def records(self) -> Iterator[tuple[int, Record]]:
        """Wanted records with their times, which never run backwards."""
        tail, since_ns = self._matcher.selection.tail, self._matcher.selection.since_ns
        # The descriptor, not the name: the name may lead to another file by now.
        now = LogFile(f"/dev/fd/{self._opened.descriptor}", self._opened.file, self._opened.position, None)
        newest = self._read(now, self._opened.file, self._opened.position)
        if tail is None:
            return self._timed(chain(*(self._read(one, one.path) for one in self._rotated(since_ns)), newest))
        kept = deque(newest, maxlen=tail)
        for one in reversed(self._rotated(since_ns)):
            if len(kept) >= tail:
                break
            kept.extendleft(reversed(deque(self._read(one, one.path), maxlen=tail - len(kept))))
        return self._timed(kept)

    def _rotated(self, since_ns: int | None) -> list[LogFile]:
        """The rotated siblings that may hold records of the window, oldest first."""
        now = os.fstat(self._opened.descriptor)
        found = []
        for path in siblings(self._opened.file):
            try:
                status = os.stat(path)  # noqa: PTH116
            except OSError:
                continue
            newer = since_ns is None or status.st_mtime_ns >= since_ns
            if newer and (status.st_dev, status.st_ino) != (now.st_dev, now.st_ino):
                found.append(LogFile(path, self._opened.file, status.st_size, status.st_mtime))
        names = {file.path for file in found}
        return [file for file in found if not (file.packed and file.path.rpartition(".")[0] in names)]

    def _timed(self, records: Iterable[Record]) -> Iterator[tuple[int, Record]]:
        time_ns = 0
        for record in records:
            time_ns = max(time_ns, record.time_ns or 0)
            yield time_ns, record

    def _read(self, file: LogFile, name: str, end: int | None = None) -> Iterator[Record]:
        try:
            with OpenLog(file, self._tally, formats=self._formats) as log:
                if not log.seekable:
                    yield from self._from(log, name, None, None)
                    return
                end = log.size if end is None else min(end, log.size)
                since_ns = self._matcher.selection.since_ns
                seeker = Seeker(log.read_at, log.format, log.begin, end)
                begin = log.begin if since_ns is None else seeker.window(since_ns, None)[0]
                if self._matcher.selection.tail is not None:
                    begin = self._tail_begin(log, begin, end)
                yield from self._from(log, name, begin, end)
        except (OSError, BrokenArchiveError) as error:
            self._tally.skipped.append(f"{name}: {error}")

    def _tail_begin(self, log: OpenLog, begin: int, end: int) -> int:
        """Where to begin so that the last wanted records are behind it, and not many more."""
        look, wanted = FIRST_LOOK, self._matcher.selection.tail or 0
        while end - look > begin:
            place = _record_start(log, end - look, end)
            scanner = self._scanner(log)
            if sum(len(scanner.spans(block)) for block in log.blocks(place, end)) >= wanted:
                return place
            look *= 4
        return begin

    def _from(self, log: OpenLog, name: str, begin: int | None, end: int | None) -> Iterator[Record]:
        scanner, parse = self._scanner(log), log.format.parse
        for block in log.blocks(begin, end):
            for first, last in scanner.spans(block):
                record = parse(bytes(block.view[first : last - 1]))
                record.file = name
                yield record

    def _scanner(self, log: OpenLog) -> Scanner:
        sample = log.read_at(log.begin, SAMPLE) if log.seekable else b""
        return Scanner(log.format, self._matcher, self._tally, sample=sample, size=log.size, record_bytes=ENDLESS)


def _record_start(log: OpenLog, place: int, end: int) -> int:
    """Where the first record begins behind a place; the place where the first line does, if none begins one soon."""
    data = log.read_at(place, min(SAMPLE, end - place))
    line = first = data.find(b"\n") + 1
    while 0 <= line < len(data):
        stop = data.find(b"\n", line)
        if stop < 0 or log.format.starts(data[line:stop]):
            break
        line = stop + 1
    else:
        line = first
    return place + line
