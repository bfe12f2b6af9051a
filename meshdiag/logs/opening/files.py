"""Which files a user means: paths, globs, folders, ``-``, and what rotation has left of each."""

from __future__ import annotations

import glob
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from meshdiag.errors import SourceError, Trouble, UsageError
from meshdiag.logs.opening.rotation import COMPRESSED, live_names, siblings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshdiag.logs.tally import Tally

STDIN = "-"
MAX_FILES = 10_000


class LogFile(NamedTuple):
    """A file to read. ``live`` is the name under which its log is being written: files that share it hold one log one
    after another. ``written``: when last (seconds since the epoch), None for a stream. ``size`` in bytes."""

    path: str
    live: str
    size: int = 0
    written: float | None = None
    regular: bool = True

    @property
    def packed(self) -> bool:
        """Whether its name says that it is compressed."""
        return self.path.endswith(COMPRESSED)


def find(paths: Sequence[str], tally: Tally) -> list[LogFile]:
    """The files that paths, globs and folders name, each log's rotated files before it, oldest first, and no file
    twice. What cannot be read is said in ``tally.skipped``.

    Raises ``SourceError`` when nothing is left to read, ``UsageError`` for an empty path.
    """
    found: list[LogFile] = []
    seen: set[tuple[int, int]] = set()
    before = len(tally.skipped)
    for path in paths:
        if not path or "\0" in path:
            raise UsageError("an empty path is no log file", hint="name a file, a folder, or - for standard input")
        for one in _named(path, tally):
            file = _looked_at(one[0], one[1], tally, seen)
            if file is not None:
                found.append(file)
            if len(found) > MAX_FILES:
                raise UsageError(f"{path} and the rest name more than {MAX_FILES} files", hint="name fewer")
    if not found:
        raise _nothing(paths, tally.skipped[before:])
    return found


def _named(path: str, tally: Tally) -> Iterator[tuple[str, str]]:
    """The paths that one word of the command line names, each with the name its log lives under."""
    if path == STDIN:
        yield path, path
        return
    path = os.path.expanduser(path)  # noqa: PTH111
    if os.path.isdir(path):  # noqa: PTH112
        names = _folder(path, tally)
    elif not os.path.lexists(path) and glob.has_magic(path):
        names = sorted(glob.glob(path, recursive=True))  # noqa: PTH207
        if not names:
            tally.skipped.append(f"{path}: no file has such a name")
        names = [name for name in names if not os.path.isdir(name)]  # noqa: PTH112
    else:
        for one in _unpacked(siblings(path), path, tally):
            yield one, path
        yield path, path
        return
    yield from _grouped(names, tally)


def _folder(path: str, tally: Tally) -> list[str]:
    """The files in a folder itself, hidden ones aside."""
    try:
        with os.scandir(path) as entries:
            names = sorted(one.path for one in entries if one.is_file() and not one.name.startswith("."))
    except OSError as error:
        tally.skipped.append(f"{path}: {_reason(error)}")
        return []
    if not names:
        tally.skipped.append(f"{path}: the folder holds no files")
    return names


def _grouped(names: Sequence[str], tally: Tally) -> Iterator[tuple[str, str]]:
    """Files that were named together: each log with what rotation made of it, oldest first."""
    here = set(names)
    lives: dict[str, list[str]] = {}
    for name in names:
        lives.setdefault(_live(name, here), []).append(name)
    for live, members in lives.items():
        if len(members) > 1 or live not in here:
            known = set(members)
            ordered = [one for one in siblings(live) if one in known]
            members = ordered + [one for one in members if one not in ordered]
        for one in _unpacked(members, live, tally):
            yield one, live


def _live(name: str, here: set[str]) -> str:
    """The name a file's log lives under: itself, unless rotation made it of another name that is here, or that
    others here are made of as well."""
    folder, base = os.path.split(name)
    lives = [os.path.join(folder, one) for one in live_names(base)]  # noqa: PTH118
    return next((one for one in lives if one in here), lives[-1] if lives else name)


def _unpacked(names: Sequence[str], live: str, tally: Tally) -> list[str]:
    """Without compressed files whose original is still there: it is being compressed, or was and is kept."""
    here = {*names, live} if os.path.exists(live) else {*names}  # noqa: PTH110
    kept = []
    for name in names:
        if name.endswith(COMPRESSED) and name.rpartition(".")[0] in here:
            tally.notes.append(f"{name}: {name.rpartition('.')[0]} is there as well, and holds the same")
        else:
            kept.append(name)
    return kept


def _looked_at(path: str, live: str, tally: Tally, seen: set[tuple[int, int]]) -> LogFile | None:
    """What a path is, None when it is not to be read."""
    if path == STDIN:
        return None if _known(os.fstat(0), seen) else LogFile(path, live, regular=False)
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError as error:
        tally.skipped.append(f"{path}: {_reason(error)}")
        return None
    if _known(status, seen):
        return None
    if stat.S_ISREG(status.st_mode):
        if not os.access(path, os.R_OK):
            tally.skipped.append(f"{path}: permission denied")
            return None
        return LogFile(path, live, status.st_size, status.st_mtime)
    if stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode):
        return LogFile(path, live, regular=False)
    tally.skipped.append(f"{path}: it is not a file")
    return None


def _known(status: os.stat_result, seen: set[tuple[int, int]]) -> bool:
    """Whether this very file was named before, under whatever name."""
    key = (status.st_dev, status.st_ino)
    known = key in seen
    seen.add(key)
    return known


def _nothing(paths: Sequence[str], reasons: Sequence[str]) -> SourceError:
    if not paths:
        return SourceError("no log file is named", trouble=Trouble.NOT_CONFIGURED, source="log files")
    said = "; ".join(reasons[:5]) + (f"; and {len(reasons) - 5} more" if len(reasons) > 5 else "")
    return SourceError(
        f"no log file can be read: {said or ', '.join(paths)}",
        trouble=Trouble.NOT_FOUND,
        source="log files",
        hint="name a file, a folder, a pattern, or - for standard input",
    )


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
