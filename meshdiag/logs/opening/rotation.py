"""Names that rotation makes: ``app.log.1``, ``app.log.2.gz``, ``app.log-20260101``, ``app-2026-01-01.log.zst``."""

from __future__ import annotations

import os
import re
from functools import lru_cache

from meshdiag.regexes import when_used

COMPRESSED = (".gz", ".zst", ".xz", ".bz2", ".lz4", ".Z")

_DATE = r"(?:\d{4}-?\d{2}-?\d{2}(?:[T_.:-]?\d{2}(?:[.:_-]?\d{2}){0,2}(?:[.,]\d{1,9})?Z?)?|\d{10})"
_END = r"(?P<packed>\.(?:gz|zst|xz|bz2|lz4|Z))?"
_MARK = rf"(?:[.](?P<number>\d{{1,5}})|[._-](?P<date>{_DATE})(?:[._-]\d{{1,5}})?|\.(?:old|bak|orig|prev)|~)"
_AFTER = when_used(rf"(?P<base>.+?){_MARK}{_END}", re.DOTALL)
_WITHIN = when_used(rf"(?P<stem>.+?){_MARK}(?P<extension>\.[A-Za-z]{{1,8}}){_END}", re.DOTALL)


def live_names(name: str) -> tuple[str, ...]:
    """The names whose rotation may have made this one, empty for a name that no rotation makes."""
    found: list[str] = []
    if after := _AFTER.fullmatch(name):
        found.append(after["base"])
    if within := _WITHIN.fullmatch(name):
        found.append(within["stem"] + within["extension"])
    if (unpacked := _unpacked(name)) != name:
        found.append(unpacked)
    return tuple(found)


def siblings(path: str) -> list[str]:
    """What rotation has left of a name in its folder, oldest first: the highest number, the earliest date; what
    has neither by when it was last written."""
    folder, name = os.path.split(path)
    prefix = name.partition(".")[0]
    try:
        with os.scandir(folder or ".") as entries:
            names = [entry.name for entry in entries if entry.name.startswith(prefix) and entry.name != name]
    except OSError:
        return []
    found = [os.path.join(folder, one) for one in names if _unpacked(one) == name or name in live_names(one)]  # noqa: PTH118
    return sorted(found, key=_age) if len(found) > 1 else found


def _unpacked(name: str) -> str:
    """A compressed file's name without the ending that says so."""
    return name.rpartition(".")[0] if name.endswith(COMPRESSED) else name


def _age(path: str) -> tuple[float, str, float, bool]:
    number, date = _marks(os.path.basename(path))  # noqa: PTH119
    try:
        written = os.stat(path).st_mtime  # noqa: PTH116
    except OSError:
        written = 0.0
    # A compressed copy comes after the file it is made of: both are there while it is made.
    return -number, date, written, path.endswith(COMPRESSED)


@lru_cache(maxsize=4096)
def _marks(name: str) -> tuple[float, str]:
    made = _AFTER.fullmatch(name) or _WITHIN.fullmatch(name)
    if made is None:
        return 0, ""
    return int(made["number"] or 0), re.sub(r"\D", "", made["date"] or "")
