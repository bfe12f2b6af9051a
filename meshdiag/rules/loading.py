"""Paths and globs to rule files."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from meshdiag.errors import UsageError
from meshdiag.rules.groups import Problem, RuleFileError
from meshdiag.rules.reading import read_rules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshdiag.rules.groups import RuleFile

LARGEST = 32 * 1024 * 1024
"""Bytes of a rule file that are read at most."""
MAX_FILES = 1000
_MAGIC = frozenset("*?[")


def load_rules(patterns: Iterable[str], base: Path | None = None) -> tuple[RuleFile, ...]:
    """The files that paths and globs name, relative to ``base``, each once, in the order of the patterns.

    Raises ``UsageError`` for a pattern that fits nothing, ``RuleFileError`` for a file that cannot be used.
    """
    files: dict[str, None] = {}
    for pattern in patterns:
        files.update(dict.fromkeys(_files(pattern, base)))
        if len(files) > MAX_FILES:
            raise UsageError(f"more than {MAX_FILES:,} rule files", hint="name them by a narrower pattern")
    return tuple(load_file(file) for file in files)


def _files(pattern: str, base: Path | None) -> list[str]:
    if not pattern:
        raise UsageError("the name of a rule file is empty")
    path = Path(pattern).expanduser()
    whole = str((base or Path()) / path)
    if _MAGIC.isdisjoint(pattern) or Path(whole).exists():
        return [whole]
    import glob

    found = sorted(one for one in glob.iglob(whole, recursive=True) if Path(one).is_file())  # noqa: PTH207
    if not found:
        raise UsageError(f"no rule file fits {pattern!r}", hint="quote the pattern, and check the folder in it")
    return found


def load_file(path: str | Path) -> RuleFile:
    """One rule file. Raises ``RuleFileError``."""
    file = str(path)
    return read_rules(_text(file), file)


def _text(file: str) -> str:
    try:
        if stat.S_ISDIR(os.stat(file).st_mode):  # noqa: PTH116 (a path may hold what Path refuses)
            raise _refused(file, "is a directory; name the files in it, say with /*.yml")
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe nobody writes to must not hang
        with open(descriptor, "rb") as stream:  # noqa: PTH123 (a descriptor has no path)
            os.set_blocking(descriptor, True)
            raw = stream.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise _refused(file, f"cannot be read: {(getattr(error, 'strerror', None) or str(error)).lower()}") from None
    if len(raw) > LARGEST:
        raise _refused(file, f"is larger than {LARGEST // 2**20} MiB, which no rule file is")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RuleFileError(file, [Problem(raw[: error.start].count(b"\n") + 1, "not UTF-8 text")]) from None


def _refused(file: str, why: str) -> RuleFileError:
    return RuleFileError(file, [Problem(0, why)])
