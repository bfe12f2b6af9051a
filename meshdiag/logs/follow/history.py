"""What was in followed logs before: up to the very byte from which on they are followed, so that no line is missing
between the two and none comes twice."""

from __future__ import annotations

import heapq
import os
from collections import deque
from typing import TYPE_CHECKING

from meshdiag.logs.opening.files import LogFile
from meshdiag.logs.opening.rotation import siblings
from meshdiag.logs.scan.finding import Search

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import tzinfo

    from meshdiag.logs.follow.arriving import Opened
    from meshdiag.logs.formats import Format
    from meshdiag.logs.opening.reading import OpenLog
    from meshdiag.logs.record import Record
    from meshdiag.logs.scan.finding import Found
    from meshdiag.logs.selection import Selection
    from meshdiag.logs.tally import Tally


def history(
    opened: Sequence[Opened],
    selection: Selection,
    tally: Tally,
    formats: Sequence[Format] = (),
    zone: tzinfo | None = None,
) -> Iterator[Record]:
    """Wanted records from ``since_ns`` on, or the last ``tail`` of all files, oldest first, the rotated files before
    them included; nothing without either."""
    tail = selection.tail
    if selection.since_ns is None and tail is None:
        return
    job = _Past(opened, selection, tally, formats, zone)
    logs = [job.all(files) if tail is None else job.last(files, tail) for files in map(_with_rotated, opened)]
    found: Iterable[Found] = heapq.merge(*logs, key=lambda one: one.key)
    for one in found if tail is None else deque(found, maxlen=tail):
        yield one.record()


class _Past(Search):
    """A search of followed files as they were when following began."""

    def __init__(
        self,
        opened: Sequence[Opened],
        selection: Selection,
        tally: Tally,
        formats: Sequence[Format],
        zone: tzinfo | None,
    ) -> None:
        super().__init__(selection._replace(before=0, after=0), tally, formats=formats, zone=zone)
        self._ends = {_path_of(one): one for one in opened}

    def open(self, file: LogFile) -> OpenLog | None:
        """Open a file; one that is followed only up to where following begins."""
        log = super().open(file)
        followed = self._ends.get(file.path)
        if log is not None and followed is not None:
            log.size = min(log.size, followed.position)
            log.file = file._replace(path=followed.file)
            self.tally.files[-1] = followed.file
        return log


def _path_of(opened: Opened) -> str:
    """The file behind a descriptor: its name may lead to another one by now."""
    return f"/dev/fd/{opened.descriptor}"


def _with_rotated(opened: Opened) -> list[LogFile]:
    """A followed file, what rotation has left of it before it."""
    now = os.fstat(opened.descriptor)
    found = []
    for path in siblings(opened.file):
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError:
            continue
        if (status.st_dev, status.st_ino) != (now.st_dev, now.st_ino):
            found.append(LogFile(path, opened.file, status.st_size, status.st_mtime))
    names = {file.path for file in found}
    rotated = [file for file in found if not (file.packed and file.path.rpartition(".")[0] in names)]
    return [*rotated, LogFile(_path_of(opened), opened.file, opened.position)] if opened.position else rotated
