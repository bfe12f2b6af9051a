"""All the names that a user asked to follow: what arrives in any of them, as whole lines, in order.

Names are literal paths (also of files that are still to come), globs and folders; in these, files that appear later
are followed from their start, and what rotation made of a followed file is not taken for a file of its own.
"""

from __future__ import annotations

import fnmatch
import glob
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag.logs.follow.reels import BLOCK, Lines, Shared, identity_of
from meshdiag.logs.follow.tailing import Tail
from meshdiag.logs.follow.watching import Watch, folders_of
from meshdiag.logs.opening.files import STDIN
from meshdiag.logs.opening.rotation import COMPRESSED, live_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshdiag.logs.follow.watching import Changes, Stop
    from meshdiag.logs.tally import Tally


SAMPLE = 64 * 1024
"""So much of a file's beginning tells its format."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines of one name, each with its newline. ``file`` is the name as it was asked for."""

    file: str
    lines: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that was there from the first: its open descriptor, and where in it the arrivals begin (bytes)."""

    file: str
    descriptor: int
    position: int


class Arrivals:
    """What arrives, round by round: each round holds at most one piece of each name. Use as a context manager.

    Made, it has opened what is there: everything written from then on arrives.
    """

    def __init__(
        self, paths: Sequence[str], tally: Tally, stop: Stop, *, polling: bool = False, reader: int | None = None
    ) -> None:
        self._paths = [os.path.expanduser(path) for path in paths if path != STDIN]  # noqa: PTH111
        self._stop = stop
        self._watch = Watch(stop, polling=polling)
        if reader is not None:
            self._watch.reader(reader)
        self._shared = Shared(self._watch, tally)
        self._tails: dict[str, Tail] = {}
        self._numbers: dict[int, str] = {}
        self._names: set[str] = set()
        self._moved: dict[str, tuple[int, int]] = {}
        self._stdin = Lines(tally) if STDIN in paths else None
        if self._stdin is not None:
            self._watch.stream(0)
        self._find(from_start=False)
        if self._watch.why_polling and not polling:
            tally.notes.append(f"changes are looked for ten times a second: {self._watch.why_polling}")

    def __enter__(self) -> Arrivals:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all files."""
        for tail in self._tails.values():
            tail.close()
        self._tails.clear()
        self._watch.close()

    def opened(self) -> list[Opened]:
        """What was there, before any round was asked for."""
        reels = ((path, tail.reel) for path, tail in self._tails.items())
        return [Opened(path, reel.descriptor, reel.position) for path, reel in reels if reel is not None]

    def missing(self) -> list[str]:
        """The names that lead to no file yet."""
        return [path for path, tail in self._tails.items() if tail.reel is None and not os.path.lexists(path)]

    def head(self, file: str) -> bytes:
        """The first bytes of a followed file as it is now, empty for a stream."""
        tail = self._tails.get(file)
        return os.pread(tail.reel.descriptor, SAMPLE, 0) if tail is not None and tail.reel is not None else b""

    def rounds(self) -> Iterator[list[Piece]]:
        """Pieces as they arrive, until the stop is set, or the standard input has ended and there is nothing else.

        Raises ``BrokenPipeError`` when nobody is left to read what goes to ``reader``."""
        yield from self._look(list(self._tails.values()))
        while not self._stop.is_set and (self._paths or self._stdin is not None):
            changes = self._watch.wait()
            if changes.streams:
                yield from self._streams()
            if changes.all or self._concerns(changes.names):
                self._find(from_start=True)
                yield from self._look(list(self._tails.values()))
            elif changes.files:
                yield from self._drain(changes)

    def _drain(self, changes: Changes) -> Iterator[list[Piece]]:
        touched = {self._numbers[number] for number in changes.files if number in self._numbers}
        yield from _by_rounds({path: self._tails[path].drain() for path in sorted(touched)})

    def _look(self, tails: list[Tail]) -> Iterator[list[Piece]]:
        yield from _by_rounds({tail.path: tail.look() for tail in tails})
        self._numbers = {number: tail.path for tail in self._tails.values() for number in tail.numbers}

    def _streams(self) -> Iterator[list[Piece]]:
        assert self._stdin is not None
        arrived = os.read(0, BLOCK)
        lines = self._stdin.of(arrived, 0, len(arrived)) if arrived else self._stdin.last()
        if not arrived:
            self._watch.leave(0)
            self._stdin = None
        if lines:
            yield [Piece(STDIN, lines)]

    # Names

    def _find(self, *, from_start: bool) -> None:
        """Follow the names that are there now and were not before."""
        for path in self._listed():
            if path not in self._tails and not self._is_moved(path):
                self._tails[path] = Tail(path, self._shared, from_start=from_start)
        self._names = {os.path.basename(one) for path in self._tails for one in (path, os.path.realpath(path))}  # noqa: PTH119
        for folder in folders_of([*self._tails, *(one for one in self._paths if _is_pattern(one))]):
            self._watch.folder(folder)

    def _listed(self) -> list[str]:
        found: dict[str, None] = {}
        for path in self._paths:
            if os.path.isdir(path):  # noqa: PTH112
                found.update(dict.fromkeys(_live(_files_in(path))))
            elif _is_pattern(path):
                found.update(dict.fromkeys(_live(sorted(glob.glob(path, recursive=True)))))  # noqa: PTH207
            else:
                found[path] = None
        return list(found)

    def _is_moved(self, path: str) -> bool:
        """Whether a found name leads to a file that is followed already: renamed, linked, or asked for twice."""
        if path in self._paths:
            return False
        try:
            now = identity_of(os.stat(path))  # noqa: PTH116
        except OSError:
            return True
        if now in self._shared.held:
            self._moved[path] = now
        return self._moved.get(path) == now

    def _concerns(self, names: set[bytes]) -> bool:
        """Whether one of these base names may be a file that is followed, or to be followed."""
        if not names:
            return False
        texts = {os.fsdecode(name) for name in names}
        if not texts.isdisjoint(self._names):
            return True
        patterns = [os.path.basename(path) for path in self._paths if _is_pattern(path)]  # noqa: PTH119
        return any(os.path.isdir(path) for path in self._paths) or any(  # noqa: PTH112
            fnmatch.fnmatch(text, pattern) for text in texts for pattern in patterns
        )


def _by_rounds(looks: dict[str, Iterator[bytes]]) -> Iterator[list[Piece]]:
    """The next piece of each name, round after round, until none has more."""
    while looks:
        found = []
        for path, look in list(looks.items()):
            lines = next(look, None)
            if lines is None:
                del looks[path]
            else:
                found.append(Piece(path, lines))
        if found:
            yield found


def _is_pattern(path: str) -> bool:
    return glob.has_magic(path) and not os.path.lexists(path)


def _files_in(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.path for entry in entries if entry.is_file() and not entry.name.startswith("."))


def _live(paths: list[str]) -> list[str]:
    """Those that grow: neither compressed nor what rotation made of another one among them."""
    names = set(paths)
    return [path for path in paths if not path.endswith(COMPRESSED) and names.isdisjoint(_bases(path))]


def _bases(path: str) -> list[str]:
    folder, name = os.path.split(path)
    return [os.path.join(folder, base) for base in live_names(name)]  # noqa: PTH118
