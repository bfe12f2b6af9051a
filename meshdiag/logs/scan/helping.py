"""A second process that finds things in parts of a file while the first one is at other parts.

It is a fork, so it has the open file and all that was prepared. Its output lies in memory that both share by
descriptor: a few stores, each emptied before it is used again, so that what it is ahead is bounded. Pages that were
sent on from a store stay whole in the pipe they were sent to, for emptying lets go of them instead of overwriting.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import struct
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STORES = 4
AT_ONCE = 2
"""So many parts are given to it at once: the one it does, and the next, so that it never waits."""
_PART = struct.Struct("<I")


def possible() -> bool:
    """Whether a second process can be had, and a processor for it. Not beside threads: a fork has none of them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return hasattr(os, "fork") and cores > 1 and threading.active_count() == 1


class Helper:
    """The second process. It calls ``work(part, store)`` for each part that it is given by its number, which writes to
    a descriptor and returns numbers to be reported; ``next`` gives these in the order of the parts."""

    def __init__(self, work: Callable[[int, int], Sequence[int]], numbers: int) -> None:
        self._report = struct.Struct(f"<{1 + numbers}Q")
        self._stores = [_store() for _ in range(STORES)]
        self._given: deque[int] = deque()
        self._done: deque[tuple[int, ...]] = deque()
        self._taken = 0
        self._gone = False
        self._reports, reporting = os.pipe()
        given, self._gives = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            status = 1
            try:
                os.close(self._reports)
                os.close(self._gives)
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                self._help(work, reporting, given)
                status = 0
            finally:
                os._exit(status)
        os.close(reporting)
        os.close(given)

    @property
    def first(self) -> int | None:
        """The first part that it was given and whose output was not sent on; None when there is none."""
        return self._given[0] if self._given else None

    @property
    def willing(self) -> bool:
        """Whether it should be given another part: it has a store for it, and hardly anything to do."""
        self._look(0)
        return not self._gone and len(self._given) < STORES and len(self._given) - len(self._done) < AT_ONCE

    @property
    def ready(self) -> bool:
        """Whether ``next`` would answer at once."""
        self._look(0)
        return self._gone or bool(self._done)

    def give(self, part: int) -> None:
        """Let it do a part, which must come behind those that it was given before."""
        self._given.append(part)
        with contextlib.suppress(BrokenPipeError):  # it is gone, as ``next`` will say
            os.write(self._gives, _PART.pack(part))

    def next(self) -> Sequence[int] | None:
        """The numbers of the first part, when it is done; None when the process is gone and the part is not done.
        ``send`` what it wrote before asking again."""
        while not self._done and not self._gone:
            self._look(None)
        return self._done[0][1:] if self._done else None

    def send(self, out_fd: int | None) -> None:
        """Write the output of the first part to a descriptor, or drop it, and let the process use its store again."""
        if out_fd is not None and self._done:
            _send(self._stores[self._taken % STORES], self._done[0][0], out_fd)
        if self._done:
            self._done.popleft()
        self._given.popleft()
        self._taken += 1

    def _look(self, timeout: float | None) -> None:
        """Take the reports that are there; with no timeout, wait for one."""
        while not self._gone and select.select([self._reports], [], [], timeout)[0]:
            report = os.read(self._reports, self._report.size)  # written at once, so never a part of one
            self._gone = not report
            if report:
                self._done.append(self._report.unpack(report))
            timeout = 0

    def stop(self) -> None:
        """End the process, done or not."""
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        for descriptor in (*self._stores, self._reports, self._gives):
            os.close(descriptor)

    def _help(self, work: Callable[[int, int], Sequence[int]], reporting: int, given: int) -> None:
        taken = 0
        while part := os.read(given, _PART.size):
            store = self._stores[taken % STORES]
            os.ftruncate(store, 0)
            os.lseek(store, 0, os.SEEK_SET)
            numbers = work(_PART.unpack(part)[0], store)
            os.write(reporting, self._report.pack(os.lseek(store, 0, os.SEEK_CUR), *numbers))
            taken += 1


def _store() -> int:
    """A file in memory, or one without a name where there is none."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("meshdiag")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _send(store: int, size: int, out_fd: int) -> None:
    """Write the first bytes of a store to a descriptor, without a copy where the system can."""
    place = 0
    while place < size:
        try:
            place += os.sendfile(out_fd, store, place, size - place)
        except BlockingIOError:
            select.select([], [out_fd], [])
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSOCK):
                raise
            view = memoryview(os.pread(store, 256 * 1024, place))
            while view:
                written = os.write(out_fd, view)
                place += written
                view = view[written:]
