"""Waits until files may have changed: told by the kernel (inotify) where it can, else by looking at intervals.

A change is only a reason to look: what is there is read from the files themselves, so that an event too many, one
that was lost in a full queue or one that never comes (a file server's) costs time at most, never a line.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

POLL_S = 0.1
"""How often files are looked at where nobody tells of changes."""
SAFETY_S = 1.0
"""How often all of them are looked at beside the events: links change far away, and file servers are silent."""
REST_S = 0.0005
"""The shortest time between two looks: a thousand small writes become one read, and a line waits for it no longer."""

_MODIFY, _ATTRIB, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x4, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _OVERFLOW, _IGNORED, _ONLYDIR = 0x400, 0x800, 0x4000, 0x8000, 0x1000000
_OF_A_FILE = _MODIFY | _ATTRIB | _MOVE_SELF | _DELETE_SELF
_OF_A_FOLDER = _CREATE | _MOVED_FROM | _MOVED_TO | _DELETE | _DELETE_SELF | _MOVE_SELF | _ONLYDIR
_EVENT = struct.Struct("iIII")
_QUEUE = 64 * 1024

FOREIGN = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "ceph", "glusterfs", "lustre", "afs"})
"""Kinds of file system on which others write without the kernel here knowing; ``fuse.*`` too."""


class Stop:
    """Ends a wait from another thread or a signal handler: ``set`` may be called anywhere, any number of times."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK) if hasattr(os, "pipe2") else _plain_pipe()
        self.is_set = False

    def set(self) -> None:
        """Ask whoever waits to end."""
        if not self.is_set:
            self.is_set = True
            os.write(self._write, b"x")

    def fileno(self) -> int:
        """Becomes readable when it is set."""
        return self._read

    def __del__(self) -> None:
        os.close(self._read)
        os.close(self._write)


def _plain_pipe() -> tuple[int, int]:
    read, write = os.pipe()
    os.set_blocking(write, False)
    return read, write


@dataclass(slots=True)
class Changes:
    """What may have changed. ``files``: watches (as ``Watch.file`` numbered them) that were written or cut;
    ``names``: base names that came or went; ``all``: anything at all; ``streams``: descriptors with something
    to read."""

    files: set[int] = field(default_factory=set)
    names: set[bytes] = field(default_factory=set)
    streams: set[int] = field(default_factory=set)
    all: bool = False


class Watch:
    """Waits for changes of files, of the names in folders, and for streams to have something to read.

    ``why_polling`` says why the kernel tells nothing, empty where it does.
    """

    def __init__(self, stop: Stop, *, polling: bool = False) -> None:
        self._stop = stop
        self._poll = select.poll()
        self._poll.register(stop.fileno(), select.POLLIN)
        self._libc: ctypes.CDLL | None = None
        self._queue = -1
        self._reader = -1
        self._folders: dict[str, int] = {}
        self._looked = self._looked_at_all = time.monotonic()
        self.why_polling = "asked for" if polling else self._open()

    def _open(self) -> str:
        if not sys.platform.startswith("linux"):
            return "this system has no inotify"
        self._libc = ctypes.CDLL(None, use_errno=True)
        try:
            self._queue = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        except AttributeError:
            return "this C library has no inotify"
        if self._queue < 0:
            return f"inotify refused ({os.strerror(ctypes.get_errno())}): fs.inotify.max_user_instances may be too low"
        self._poll.register(self._queue, select.POLLIN)
        return ""

    def folder(self, path: str) -> None:
        """Watch which names come and go in a folder; one that is not there is left to the looks at intervals."""
        real = os.path.realpath(path)
        if real not in self._folders and (number := self._add(real, _OF_A_FOLDER)) is not None:
            self._folders[real] = number
            if _is_foreign(real):
                self.why_polling = f"{real} is on a file server, which does not tell of changes"

    def file(self, descriptor: int) -> int | None:
        """Watch an open file, whatever its name becomes; None where that is not to be had."""
        return self._add(f"/proc/self/fd/{descriptor}", _OF_A_FILE)

    def forget(self, number: int | None) -> None:
        """Watch a file no longer."""
        if number is not None and self._libc is not None and self._queue >= 0:
            self._libc.inotify_rm_watch(self._queue, number)

    def stream(self, descriptor: int) -> None:
        """Wait for a pipe, a terminal or a socket to have something to read, or to end."""
        self._poll.register(descriptor, select.POLLIN)

    def leave(self, descriptor: int) -> None:
        """Wait for a stream no longer: it has ended."""
        self._poll.unregister(descriptor)

    def reader(self, descriptor: int) -> None:
        """Notice when nobody reads any more what is written to a pipe: ``wait`` then raises ``BrokenPipeError``."""
        self._reader = descriptor
        self._poll.register(descriptor, 0)

    def _add(self, path: str, mask: int) -> int | None:
        if self._queue < 0 or self._libc is None:
            return None
        number = int(self._libc.inotify_add_watch(self._queue, os.fsencode(path), mask))
        if number >= 0:
            return number
        if ctypes.get_errno() == errno.ENOSPC:  # no disk is full: the watches of this user are used up
            self.why_polling = "the watches are used up (fs.inotify.max_user_watches)"
        return None

    def wait(self) -> Changes:
        """Sleep until something may have changed, or it is time to look again anyway. Raises ``BrokenPipeError``."""
        pause = POLL_S if self.why_polling else SAFETY_S
        early = self._looked + REST_S - time.monotonic()
        if early > 0:
            time.sleep(early)
        due = self._looked_at_all + pause - time.monotonic()
        ready = {descriptor for descriptor, _ in self._poll.poll(max(due, 0) * 1000)}
        if self._reader in ready:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        changes = Changes()
        if self._queue in ready:
            self._read_events(changes)
            ready.discard(self._queue)
        ready.discard(self._stop.fileno())
        changes.streams = ready
        self._looked = time.monotonic()
        if changes.all or self._looked >= self._looked_at_all + pause:
            changes.all = True
            self._looked_at_all = self._looked
        return changes

    def _read_events(self, changes: Changes) -> None:
        try:
            queue = os.read(self._queue, _QUEUE)
        except BlockingIOError:
            return
        place = 0
        while place < len(queue):
            number, mask, _, length = _EVENT.unpack_from(queue, place)
            place += _EVENT.size + length
            if mask & (_OVERFLOW | _DELETE_SELF | _MOVE_SELF | _ATTRIB):
                changes.all = True
            elif length:
                changes.names.add(queue[place - length : place].rstrip(b"\0"))
            elif not mask & _IGNORED:
                changes.files.add(number)
            if mask & _IGNORED:
                self._folders = {path: one for path, one in self._folders.items() if one != number}

    def close(self) -> None:
        """Let go of the kernel's queue."""
        if self._queue >= 0:
            os.close(self._queue)
            self._queue = -1


def _is_foreign(path: str) -> bool:
    """Whether a folder is on a file server, by the table of mounts."""
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as table:  # noqa: PTH123
            kinds = {_unescaped(line.split(" ")[1]): line.split(" ")[2] for line in table}
    except (OSError, IndexError):
        return False
    while path not in kinds and path != "/":
        path = os.path.dirname(path)  # noqa: PTH120
    kind = kinds.get(path, "")
    return kind in FOREIGN or kind.startswith("fuse")


def _unescaped(mount: str) -> str:
    return mount.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def folders_of(paths: Iterable[str]) -> set[str]:
    """The folders in which names must be watched for these paths to be noticed: their own, and the ones their links
    lead to."""
    found: set[str] = set()
    for path in paths:
        found.add(os.path.dirname(path) or ".")  # noqa: PTH120
        found.add(os.path.dirname(os.path.realpath(path)))  # noqa: PTH120
    return found
