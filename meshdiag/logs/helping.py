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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STORES = 4


def possible() -> bool:
    """Whether a second process can be had, and a processor for it. Not beside threads: a fork has none of them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return hasattr(os, "fork") and cores > 1 and threading.active_count() == 1


class Helper:
    """The second process. It calls ``work(store)`` for each of ``works``, which writes to a descriptor and returns
    numbers to be reported; ``next`` gives them in their order."""

    def __init__(self, works: Sequence[Callable[[int], Sequence[int]]], numbers: int) -> None:
        self._report = struct.Struct(f"<{1 + numbers}Q")
        self._stores = [_store() for _ in range(STORES)]
        self._works = len(works)
        self._taken = 0
        self._reports, reporting = os.pipe()
        permitted, self._permits = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            status = 1
            try:
                os.close(self._reports)
                os.close(self._permits)
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                self._help(works, reporting, permitted)
                status = 0
            finally:
                os._exit(status)
        os.close(reporting)
        os.close(permitted)

    def next(self) -> Sequence[int] | None:
        """The numbers of the next piece of work, when it is done; None when the process is gone. ``send`` what it wrote
        before asking again."""
        data = b""
        while len(data) < self._report.size:
            more = os.read(self._reports, self._report.size - len(data))
            if not more:
                return None
            data += more
        self._written, *numbers = self._report.unpack(data)
        return numbers

    def send(self, out_fd: int | None) -> None:
        """Write the output of the piece of work that was last reported to a descriptor, or drop it, and let the process
        use its store again."""
        if out_fd is not None:
            _send(self._stores[self._taken % STORES], self._written, out_fd)
        self._taken += 1
        if self._taken - 1 + STORES < self._works:  # it waits for that one
            with contextlib.suppress(BrokenPipeError):
                os.write(self._permits, b".")

    def stop(self) -> None:
        """End the process, done or not."""
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        for descriptor in (*self._stores, self._reports, self._permits):
            os.close(descriptor)

    def _help(self, works: Sequence[Callable[[int], Sequence[int]]], reporting: int, permitted: int) -> None:
        for number, work in enumerate(works):
            store = self._stores[number % STORES]
            if number >= STORES and not os.read(permitted, 1):
                return
            os.ftruncate(store, 0)
            os.lseek(store, 0, os.SEEK_SET)
            numbers = work(store)
            os.write(reporting, self._report.pack(os.lseek(store, 0, os.SEEK_CUR), *numbers))


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
