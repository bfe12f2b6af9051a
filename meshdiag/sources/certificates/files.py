"""Certificates in files, folders and patterns of paths; what a file is, its content says.

Everything is bounded and what was left out is said: how large a file may be, how many a folder, how deep. Pipes,
devices and sockets are not opened.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from glob import has_magic, iglob
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from meshdiag.sources.certificates.certificate import Found
from meshdiag.sources.certificates.containers import MOST_BINARY, looks_binary, read_binary, read_pem
from meshdiag.sources.certificates.manifests import LONGEST_MANIFEST, looks_like_manifest, read_manifest
from meshdiag.sources.certificates.opening import Unreadable, open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_FILES = 5000
"""Files looked at in one folder, or that one pattern matches."""
DEEPEST = 6
"""Folders within folders."""
LONGEST_TEXT = 128 * 1024 * 1024
"""How much of one file is looked through for PEM blocks, in bytes."""
HEAD = 64 * 1024


def read_paths(paths: Sequence[str], password: bytes | None = None) -> Iterator[Found]:
    """What these files, folders and patterns hold, in that order; a file once. ``password`` opens PKCS#12 files.

    Never raises for a path: see ``Found.trouble``. A file that was named and holds no certificate is told; in a folder
    it is passed over.
    """
    reader = _Reader(password)
    for path in paths:
        place = Path(path).expanduser()
        if place.is_dir():
            yield from reader.folder(place)
        elif has_magic(path) and not os.path.lexists(place):
            yield from reader.pattern(str(place))
        else:
            yield from reader.file(place, named=True)


@dataclass(slots=True)
class _Reader:
    """One call of ``read_paths``: which files it has seen, by device and number."""

    password: bytes | None
    seen: set[tuple[int, int]] = field(default_factory=set)

    def pattern(self, pattern: str) -> Iterator[Found]:
        tree = _Tree()
        matches = sorted(islice(_matches(pattern, tree), MOST_FILES + 1))
        if not matches:
            yield Found(pattern, "file", trouble=tree.trouble() or "no file matches this pattern")
        for match in matches[:MOST_FILES]:
            if Path(match).is_dir():
                yield from self.folder(Path(match))
            else:
                yield from self.file(Path(match), named=False)
        if len(matches) > MOST_FILES:
            yield Found(pattern, "file", trouble=f"more than {MOST_FILES:,} files match; the first were looked at")

    def folder(self, folder: Path) -> Iterator[Found]:
        """What a folder holds; one ``Found`` more for what could not be looked at."""
        tree = _Tree()
        for path in tree.files(folder, 0):
            yield from self.file(path, named=False, tree=tree)
        if trouble := tree.trouble():
            yield Found(str(folder), "directory", trouble=trouble)

    def file(self, path: Path, *, named: bool, tree: _Tree | None = None) -> Iterator[Found]:
        try:
            with open_regular(path) as file:
                about = os.fstat(file.fileno())
                if not named and (about.st_dev, about.st_ino) in self.seen:
                    return
                self.seen.add((about.st_dev, about.st_ino))
                for found in self._contents(file, path, about.st_size):
                    if found.chain or named or found.kind not in ("file", "pem", "der") or not _is_empty(found):
                        yield found
        except Unreadable as error:
            if named:
                yield Found(str(path), "file", trouble=str(error))
            elif tree is not None:
                tree.unreadable.append(path.name)

    def _contents(self, file: BinaryIO, path: Path, size: int) -> Iterator[Found]:
        head = file.read(HEAD)
        file.seek(0)
        if looks_binary(head):
            contents = read_binary(file.read(MOST_BINARY + 1), self.password)
        elif looks_like_manifest(head):
            if size > LONGEST_MANIFEST:
                yield Found(
                    str(path), "file", trouble=f"a manifest of more than {LONGEST_MANIFEST // 2**20} MiB: not read"
                )
                return
            text = file.read(LONGEST_MANIFEST)
            founds = list(read_manifest(text, str(path), self.password))
            yield from founds or (Found(str(path), "file", trouble=NOTHING),)
            return
        else:
            contents = read_pem(_Bounded(file).read)
        trouble = contents.trouble or ("" if contents.chain else _nothing(contents.passed_over))
        if size > LONGEST_TEXT and contents.kind == "pem":
            trouble = trouble or f"only its first {LONGEST_TEXT // 2**20} MiB were looked through"
        yield Found(str(path), contents.kind, contents.chain, trouble=trouble)


NOTHING = "it holds no certificate"


def _nothing(labels: frozenset[str]) -> str:
    """What a file without certificates holds instead."""
    held = sorted(label.lower() for label in labels)
    return f"{NOTHING}, but {' and '.join(f'a {label}' for label in held[:3])}" if held else NOTHING


def _is_empty(found: Found) -> bool:
    return not found.chain and found.trouble.startswith(NOTHING)


def _matches(pattern: str, tree: _Tree) -> Iterator[str]:
    """The paths that a pattern matches. ``**`` stands for folders within folders, which are walked here: ``glob``
    would follow links in circles."""
    base, stars, rest = pattern.partition("**")
    if not stars:
        yield from iglob(pattern)  # noqa: PTH207 (pathlib's takes no absolute pattern)
        return
    tail = rest.rpartition("**")[2].strip("/") or "*"
    for folder in iglob(base) if has_magic(base) else (base or ".",):  # noqa: PTH207
        yield from (str(path) for path in tree.files(Path(folder), 0) if path.match(tail))


@dataclass(slots=True)
class _Bounded:
    """Reads no more than ``LONGEST_TEXT`` of a file."""

    file: BinaryIO
    left: int = LONGEST_TEXT

    def read(self, size: int) -> bytes:
        piece = self.file.read(min(size, self.left))
        self.left -= len(piece)
        return piece


@dataclass(slots=True)
class _Tree:
    """A folder being walked, and what was left out of it."""

    count: int = 0
    too_deep: int = 0
    unreadable: list[str] = field(default_factory=list)

    def files(self, folder: Path, depth: int) -> Iterator[Path]:
        """The files, a folder's own before those of the folders within. Folders behind links are not entered, nor
        those whose names begin with two dots: Kubernetes keeps the files of a mounted secret there a second time."""
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: (entry.is_symlink(), entry.name))
        except OSError as error:
            self.unreadable.append(f"{folder.name} ({error.strerror})")
            return
        for entry in entries:
            if not entry.name.startswith("..") and not entry.is_dir():
                self.count += 1
                if self.count <= MOST_FILES:
                    yield Path(entry.path)
        for entry in entries:
            if not entry.name.startswith("..") and entry.is_dir(follow_symlinks=False) and self.count <= MOST_FILES:
                if depth < DEEPEST:
                    yield from self.files(Path(entry.path), depth + 1)
                else:
                    self.too_deep += 1

    def trouble(self) -> str:
        said = []
        if self.count > MOST_FILES:
            said.append(f"it holds more than {MOST_FILES:,} files; the first {MOST_FILES:,} were looked at")
        if self.too_deep:
            said.append(f"{self.too_deep} folders lie more than {DEEPEST} levels deep and were not entered")
        if self.unreadable:
            rest = len(self.unreadable) - 3
            names = ", ".join(self.unreadable[:3]) + (f" and {rest} more" if rest > 0 else "")
            said.append(f"not readable: {names}")
        return "; ".join(said)
