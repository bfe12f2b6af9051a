"""Writes numbered lines to a log and rotates it as logrotate does, as fast as it can: a program of its own.

    python tests/rotating.py PATH rename|copy|compress|copy-compress LINES ROTATIONS

``compress`` renames, creates and packs; ``copy`` copies and truncates, and writes nothing between the two.
"""

from __future__ import annotations

import gzip
import os
import shutil
import sys
from pathlib import Path

LINE = b"2025-06-01T00:00:00.000Z INFO [raft] round committed height=%d\n"
TOGETHER = 100
"""Lines of one write."""


def shift(path: str, rotations: int) -> None:
    """Every rotated file moves on by one, the oldest first."""
    for number in range(rotations, 0, -1):
        for packed in ("", ".gz"):
            if Path(f"{path}.{number}{packed}").exists():
                os.rename(f"{path}.{number}{packed}", f"{path}.{number + 1}{packed}")  # noqa: PTH104


def rotate(path: str, descriptor: int, kind: str) -> int:
    """Rotate once; the descriptor to write to from now on."""
    first = f"{path}.1"
    if kind.startswith("copy"):
        shutil.copyfile(path, first)
        os.truncate(path, 0)
    else:
        os.rename(path, first)  # noqa: PTH104
        os.close(descriptor)
        descriptor = opened(path)
    if kind.endswith("compress"):
        with open(first, "rb") as plain, gzip.open(f"{first}.gz", "wb", 1) as packed:  # noqa: PTH123
            shutil.copyfileobj(plain, packed)
        os.unlink(first)  # noqa: PTH108
    return descriptor


def opened(path: str) -> int:
    """The log, opened to append."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def main(path: str, kind: str, lines: int, rotations: int) -> None:
    """Write all lines, with the rotations at even distances between them."""
    descriptor = opened(path)
    number = 0
    for turn in range(rotations + 1):
        if turn:
            shift(path, rotations)
            descriptor = rotate(path, descriptor, kind)
        end = lines * (turn + 1) // (rotations + 1)
        while number < end:
            last = min(number + TOGETHER, end)
            os.write(descriptor, b"".join([LINE % one for one in range(number, last)]))
            number = last


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
