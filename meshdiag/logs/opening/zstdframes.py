"""Whether a Zstandard file ends where its last frame does: the library gives out what a torn one holds, in silence.

Only the headers of frames and blocks are read. Source: RFC 8878, section 3.1.
"""

from __future__ import annotations

import os

MAGIC = 0xFD2FB528
SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_DICTIONARY = (0, 1, 2, 4)
_CONTENT_SIZE = (0, 2, 4, 8)
_RLE = 1


def is_whole(descriptor: int) -> bool:
    """Whether the frames of a regular file are all there. True also for what is no frame: that is another complaint."""
    size, place = os.fstat(descriptor).st_size, 0
    while place < size:
        magic = _number(descriptor, place, 4)
        if magic == MAGIC:
            place = _frame_end(descriptor, place + 4, size)
        elif magic in SKIPPABLE:
            place += 8 + _number(descriptor, place + 4, 4)
        else:
            return size - place >= 4
    return place == size


def _frame_end(descriptor: int, place: int, size: int) -> int:
    """Where a frame ends whose header begins at a place; beyond the file where it is torn."""
    about = _number(descriptor, place, 1)
    single = about >> 5 & 1
    content = about >> 6
    place += 1 + (1 - single) + _DICTIONARY[about & 3] + (_CONTENT_SIZE[content] if content else single)
    while place + 3 <= size:
        block = _number(descriptor, place, 3)
        place += 3 + (1 if block >> 1 & 3 == _RLE else block >> 3)
        if block & 1:
            return place + 4 * (about >> 2 & 1)
    return size + 1


def _number(descriptor: int, place: int, count: int) -> int:
    return int.from_bytes(os.pread(descriptor, count, place), "little")
