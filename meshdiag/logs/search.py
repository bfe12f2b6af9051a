"""Searches log files: records for whoever shows them, raw lines for a pipe, a count.

search   the wanted records of several files, by time
copy     their raw lines to a file descriptor, the fastest way
count    how many there are
"""

from __future__ import annotations

import heapq
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from meshdiag.logs.scan.copying import Copier, write_all
from meshdiag.logs.scan.finding import Search, groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import tzinfo

    from meshdiag.logs.formats import Format
    from meshdiag.logs.opening.files import LogFile
    from meshdiag.logs.record import Record
    from meshdiag.logs.scan.blocks import Sizes
    from meshdiag.logs.scan.finding import Found
    from meshdiag.logs.selection import Selection
    from meshdiag.logs.tally import Tally


def search(
    files: Sequence[LogFile],
    selection: Selection,
    tally: Tally,
    *,
    formats: Sequence[Format] = (),
    zone: tzinfo | None = None,
    sizes: Sizes | None = None,
) -> Iterator[Record]:
    """The wanted records of log files, merged by time, with their neighbours where these are asked for.

    ``formats`` are the user's own, ``zone`` the one of times that name none (this machine's when None), ``sizes`` what
    is read at once. A record without a time keeps none and stands after the one before it. Raises
    ``UsageError`` for a pattern that is no regular expression.
    """
    for found in _in_order(Search(selection, tally, formats=formats, zone=zone, sizes=sizes), files):
        yield found.record()


def copy(
    files: Sequence[LogFile],
    selection: Selection,
    out_fd: int,
    tally: Tally,
    *,
    formats: Sequence[Format] = (),
    zone: tzinfo | None = None,
    sizes: Sizes | None = None,
) -> None:
    """Write what ``search`` finds to a file descriptor: each record's bytes as they stand, and a newline.

    Raises ``BrokenPipeError`` when nobody reads any more, and what ``search`` raises.
    """
    job = Search(selection, tally, formats=formats, zone=zone, sizes=sizes)
    together = groups(files)
    if len(together) == 1 and not job.counted_out:
        copier = Copier(job, out_fd)
        for file in together[0]:
            copier.copy(file)
        copier.flush()
        return
    _write(_in_order(job, files), out_fd)


def count(
    files: Sequence[LogFile],
    selection: Selection,
    tally: Tally,
    *,
    formats: Sequence[Format] = (),
    zone: tzinfo | None = None,
    sizes: Sizes | None = None,
) -> int:
    """How many records ``search`` finds, neighbours aside."""
    job = Search(selection, tally, formats=formats, zone=zone, sizes=sizes)
    if job.counted_out:
        return sum(not found.context for found in _in_order(job, files))
    copier = Copier(job, None)
    for file in files:
        copier.copy(file)
    return tally.matched


def _in_order(job: Search, files: Sequence[LogFile]) -> Iterator[Found]:
    """What is found in all files, by time, ``head`` and ``tail`` kept."""
    selection, tail = job.selection, job.selection.tail
    streams = [job.last(one, tail) if tail is not None else job.all(one) for one in groups(files)]
    merged: Iterable[Found] = streams[0] if len(streams) == 1 else heapq.merge(*streams, key=lambda found: found.key)
    if tail is not None:
        merged = _last(merged, tail)
    yield from merged if selection.head is None else _first(merged, selection.head, selection.after)


def _last(merged: Iterable[Found], wanted: int) -> Iterable[Found]:
    """The last wanted records with the neighbours among them."""
    kept: deque[Found] = deque()
    matched = 0
    for found in merged:
        kept.append(found)
        matched += not found.context
        while matched > wanted:
            matched -= not kept.popleft().context
    return kept if wanted else ()


def _first(merged: Iterable[Found], wanted: int, after: int) -> Iterator[Found]:
    """The first wanted records, with the neighbours behind the last."""
    if wanted <= 0:
        return
    matched = 0
    following = iter(merged)
    for found in following:
        yield found
        matched += not found.context
        if matched == wanted:
            break
    for found in islice(following, after):
        if not found.context:
            return
        yield found


def _write(found: Iterable[Found], out_fd: int) -> None:
    """Write records, many at once."""
    pending: list[bytes] = []
    held = 0
    for one in found:
        pending += (one.raw, b"\n")
        held += len(one.raw) + 1
        if held >= 64 * 1024:
            write_all(out_fd, b"".join(pending))
            pending.clear()
            held = 0
    write_all(out_fd, b"".join(pending))
