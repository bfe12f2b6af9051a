"""One file name followed through all that happens to it: growth, rename, truncation, deletion, compression.

At each break (the name leads to another file, or the file was cut) the rotated siblings are looked through: what was
not read before the break, and whole files that came and went between two looks, lie there as renamed files, copies
or compressed. Whether a sibling was read is told by what is in it, not by its name: names move on. What a program
writes between rotation's copy and its truncation is in neither file; logrotate's manual warns of it.
"""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from contextlib import closing
from typing import TYPE_CHECKING

from meshdiag.logs.follow.reels import BLOCK, HEAD, TRAIL, CutError, Known, Lines, Reel, after_last_line, identity_of
from meshdiag.logs.opening.compressed import MAGIC_BYTES, BrokenArchiveError, Resumed, kind_of, unpacker
from meshdiag.logs.opening.rotation import COMPRESSED, siblings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from meshdiag.logs.follow.reels import Identity, Shared
    from meshdiag.logs.opening.compressed import Unpacker

OLD_FILES = 4
"""Renamed files per name that are still read: a program may write on until it is told of the rotation."""
QUIET_S = 5.0
"""A deleted file is let go after so much silence; a last line without its end is given out after as much."""
KNOWN_FILES = 64
SIBLINGS = 64
"""Of the rotated files, so many of the newest are looked at."""

Stamp = tuple[int, int, int, int]
"""Device, inode, size, and when it was last written: a rename keeps them, and nothing else does."""


class Tail:
    """One name, followed: ``look`` after anything may have happened to it, ``drain`` after it was only written."""

    def __init__(self, path: str, shared: Shared, *, from_start: bool) -> None:
        self.path = path
        self._shared = shared
        self._old: list[Reel] = []
        self._known: deque[Known] = deque(maxlen=KNOWN_FILES)
        self._seen: set[Stamp] = set()
        self._carried = Lines(shared.tally)
        self._refused = False
        self.reel = self._open()
        if self.reel is not None and not from_start:
            self.reel.start_at(after_last_line(self.reel.descriptor))
        for sibling in siblings(path)[-SIBLINGS:]:
            self._remember(sibling)

    @property
    def numbers(self) -> set[int]:
        """The watches of its files."""
        reels = [*self._old, self.reel] if self.reel else self._old
        return {reel.number for reel in reels if reel.number is not None}

    def drain(self) -> Iterator[bytes]:
        """Whole lines that were appended to its files, in pieces of at most a block."""
        yield from self._late()
        while (reel := self.reel) is not None:
            try:
                lines = reel.read() if reel.position else (yield from self._first(reel))
            except CutError:
                yield from self._cut(reel)
                continue
            if lines is None:
                return
            # Whoever wrote these wrote to the older files before: what is there now comes first.
            yield from self._late()
            yield from _any(lines)

    def look(self) -> Iterator[bytes]:
        """The same, and whatever became of the name: an old file's lines always before those of the new one."""
        while True:
            now = _identity(self.path)
            yield from self.drain()
            if now is None or now in self._shared.held:
                break
            fresh = self._open()
            if fresh is None:
                break
            unseen = self._unseen()
            if _identity(self.path) != fresh.identity:
                _close(unseen)  # it is gone again: a sibling now, among those that are newer
                fresh.close()
                continue
            if self.reel is not None:
                self._old.append(self.reel)
            self.reel = None
            try:
                yield from self._renamed(unseen)
            finally:
                self.reel = fresh
        yield from self._tidied()

    # A renamed file

    def _renamed(self, unseen: list[tuple[str, int]]) -> Iterator[bytes]:
        """Files that had the name between two looks; they are kept, their writer may not be done with them."""
        for path, descriptor in unseen:
            if path.endswith(COMPRESSED):
                rest = Lines(self._shared.tally)
                yield from self._compressed(path, descriptor, rest)
                yield from _any(rest.last())
                continue
            known = self._known_as(os.pread(descriptor, HEAD, 0), descriptor)
            reel = Reel(self._shared, descriptor)
            if known is not None:
                reel.start_at(known.position)
            self._old.append(reel)
            yield from self._late()

    def _late(self) -> Iterator[bytes]:
        """What was still written to renamed files."""
        for reel in tuple(self._old):
            try:
                while (lines := reel.read()) is not None:
                    yield from _any(lines)
            except CutError:
                self._let_go(reel)

    def _tidied(self) -> Iterator[bytes]:
        """Let go of renamed files that will not grow; give out last lines whose end does not come."""
        now = time.monotonic()
        for place, reel in enumerate(reversed(tuple(self._old))):
            quiet = now - reel.read_at > QUIET_S
            gone = place >= OLD_FILES or (quiet and os.fstat(reel.descriptor).st_nlink == 0)
            if quiet or gone:
                yield from _any(reel.lines.last())
            if gone:
                self._let_go(reel)

    def _let_go(self, reel: Reel) -> None:
        self._known.append(reel.known(whole=True))
        self._seen.add(_stamp_of(os.fstat(reel.descriptor)))
        self._old = [one for one in self._old if one is not reel]
        reel.close()

    # A file that was cut

    def _cut(self, reel: Reel) -> Iterator[bytes]:
        """The file was cut: the rest of what it was is in the copy that rotation made, if it made one."""
        former = reel.known(whole=False)
        self._known.append(former)
        self._carried = Lines(self._shared.tally, former.pending)
        reel.rewind()
        yield from _any((yield from self._first(reel)) or b"")
        if not former.whole:
            former.whole = True  # as far as it can be had
            self._shared.tally.notes.append(f"{self.path} was cut: what was written just before may be lost")

    def _first(self, reel: Reel) -> Generator[bytes, None, bytes | None]:
        """Give out what is older than the file's first lines, and return these: None where it is empty.

        Before its first lines are read nothing tells whether it was cut, so the siblings are listed after them.
        """
        lines, unseen = self._first_lines(reel)
        for path, descriptor in unseen:
            if path.endswith(COMPRESSED):
                yield from self._compressed(path, descriptor, self._carried)
            else:
                yield from self._copy(descriptor, self._carried, reel.head)
        if not all(known.whole for known in self._known):
            yield from _any(self._carried.last())
        if lines is None:
            return None
        # A writer that flushes in blocks wrote the start of a line to the old end, and the rest of it here.
        carried, self._carried = bytes(self._carried.pending), Lines(self._shared.tally)
        if lines:
            return carried + lines
        reel.lines.pending[:0] = carried
        return b""

    def _first_lines(self, reel: Reel) -> tuple[bytes | None, list[tuple[str, int]]]:
        """The first lines of what the file is now, and the siblings that are older than these."""
        while True:
            try:
                lines = reel.read()
            except CutError:  # while it was being read
                reel.rewind()
                continue
            unseen = self._unseen()
            if reel.intact() and _identity(self.path) == reel.identity:
                return lines, unseen
            _close(unseen)  # cut or renamed once more: some of these may be newer than the lines
            if reel.intact():
                return lines, []
            reel.rewind()

    def _copy(self, descriptor: int, carried: Lines, live: bytes) -> Iterator[bytes]:
        """Lines of a copy that were not read from the file before it was cut."""
        try:
            head = os.pread(descriptor, HEAD, 0)
            known = self._known_as(head, descriptor)
            if known is None and (not head or live.startswith(head) or head.startswith(live or b"\0\0")):
                return  # a copy being made of what the file is now
            position = known.position if known else 0
            while arrived := os.pread(descriptor, BLOCK, position):
                position += len(arrived)
                yield from _any(carried.of(arrived, 0, len(arrived)))
            if known:
                known.whole = True
            else:
                trail = os.pread(descriptor, TRAIL, max(position - TRAIL, 0))
                self._known.append(Known(head, position, trail, b"", whole=True))
            self._seen.add(_stamp_of(os.fstat(descriptor)))
        finally:
            os.close(descriptor)

    # Siblings

    def _unseen(self) -> list[tuple[str, int]]:
        """Rotated siblings that nobody has read, open, oldest first. While names move on they are listed again:
        an order is only right when it was the same before and after all of them were opened."""
        for _ in range(100):
            listed = self._listed()
            opened = [(path, _opened(path)) for path, _ in listed]
            found = [identity_of(os.fstat(one)) if one is not None else None for _, one in opened]
            held = [(path, one) for path, one in opened if one is not None]
            if found == [stamp[:2] for _, stamp in listed] and self._same(listed, self._listed()):
                return held
            _close(held)
        self._shared.tally.notes.append(f"the rotated files of {self.path} change faster than they can be listed")
        return []

    @staticmethod
    def _same(before: list[tuple[str, Stamp]], after: list[tuple[str, Stamp]]) -> bool:
        """Whether the names lead to the same files; these may be written on."""
        return [(path, stamp[:2]) for path, stamp in before] == [(path, stamp[:2]) for path, stamp in after]

    def _listed(self) -> list[tuple[str, Stamp]]:
        found = []
        paths = siblings(self.path)[-SIBLINGS:]
        for path in paths:
            stamp = _stamp(path)
            if stamp is None or stamp in self._seen or stamp[:2] in self._shared.held:
                continue
            if path.endswith(COMPRESSED) and path.rpartition(".")[0] in paths:
                continue  # being made, of a file that is still there
            found.append((path, stamp))
        return found

    def _compressed(self, path: str, descriptor: int, carried: Lines) -> Iterator[bytes]:
        """Lines of a compressed sibling that were not read before it was compressed. Its start tells which file it
        was; to compare more, it would have to be unpacked at every rotation."""
        kind = kind_of(os.pread(descriptor, MAGIC_BYTES, 0))
        stamp = _stamp_of(os.fstat(descriptor))
        if kind is None:
            os.close(descriptor)  # nothing is in it yet
            return
        self._seen.add(stamp)
        try:
            with closing(unpacker(Resumed(descriptor), kind)) as stream:
                first = _filled(stream, max(HEAD, TRAIL))
                held = [reel.known(whole=True) for reel in self._old]
                known = next((one for one in (*self._known, *held) if one.head and first.startswith(one.head)), None)
                if known is None or not known.whole:
                    yield from _unpacked(stream, first, known.position if known else 0, carried)
                if known is not None:
                    known.whole = True
        except (BrokenArchiveError, OSError) as error:
            self._shared.tally.skipped.append(f"{path}: {error}")

    def _known_as(self, head: bytes, descriptor: int) -> Known | None:
        """The file read before that this one is, or is a copy of."""
        for known in reversed(self._known):
            if known.head and head.startswith(known.head):
                there = os.pread(descriptor, len(known.trail), known.position - len(known.trail))
                if there == known.trail:
                    return known
        return None

    def _remember(self, path: str) -> None:
        """A sibling that was there from the first: it, and what it will be compressed to, is nothing new."""
        descriptor = _opened(path)
        if descriptor is None:
            return
        stamp = _stamp_of(os.fstat(descriptor))
        if stamp[:2] not in self._shared.held:
            self._seen.add(stamp)
        if stamp[:2] not in self._shared.held and not path.endswith(COMPRESSED):
            head = os.pread(descriptor, HEAD, 0)
            trail = os.pread(descriptor, TRAIL, max(stamp[2] - TRAIL, 0))
            self._known.append(Known(head, stamp[2], trail, b"", whole=True))
        os.close(descriptor)

    # The name

    def _open(self) -> Reel | None:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._refuse(f"cannot be read: {error.strerror}")
            return None
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and identity_of(status) not in self._shared.held:
            self._refused = False
            return Reel(self._shared, descriptor)
        os.close(descriptor)
        if not stat.S_ISREG(status.st_mode):
            self._refuse("is no regular file: give it to standard input")
        return None

    def _refuse(self, reason: str) -> None:
        """Say once why the name leads to nothing that can be followed."""
        if not self._refused:
            self._shared.tally.skipped.append(f"{self.path} {reason}")
        self._refused = True

    def close(self) -> None:
        """Let go of all its files."""
        for reel in [*self._old, self.reel] if self.reel else self._old:
            reel.close()
        self._old, self.reel = [], None


def _filled(stream: Unpacker, count: int) -> bytes:
    """So many bytes of a stream, fewer at its end."""
    buffer = bytearray(count)
    view, filled = memoryview(buffer), 0
    while filled < count and (read := stream.readinto(view[filled:])):
        filled += read
    return bytes(view[:filled])


def _unpacked(stream: Unpacker, first: bytes, skip: int, carried: Lines) -> Iterator[bytes]:
    """The whole lines of a stream, whose first bytes were read, after some that are known."""
    arrived = first
    while arrived:
        if skip < len(arrived):
            yield from _any(carried.of(arrived, skip, len(arrived)))
        skip = max(skip - len(arrived), 0)
        arrived = _filled(stream, BLOCK)


def _any(lines: bytes) -> Generator[bytes, None, None]:
    if lines:
        yield lines


def _close(opened: list[tuple[str, int]]) -> None:
    for _, descriptor in opened:
        os.close(descriptor)


def _stamp_of(status: os.stat_result) -> Stamp:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _stamp(path: str) -> Stamp | None:
    try:
        return _stamp_of(os.stat(path))  # noqa: PTH116
    except OSError:
        return None


def _identity(path: str) -> Identity | None:
    try:
        return identity_of(os.stat(path))  # noqa: PTH116
    except OSError:
        return None


def _opened(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
