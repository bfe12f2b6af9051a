"""Opening a log: what it is compressed with, which format it has, and its bytes as blocks of whole records."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from meshdiag.logs.formats import Hints
from meshdiag.logs.formats.changing import Watch
from meshdiag.logs.opening.compressed import MAGIC_BYTES, BrokenArchiveError, Resumed, kind_of, unpacker
from meshdiag.logs.opening.files import STDIN
from meshdiag.logs.scan.blocks import Blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import tzinfo

    from meshdiag.logs.formats import Format
    from meshdiag.logs.opening.compressed import Unpacker
    from meshdiag.logs.opening.files import LogFile
    from meshdiag.logs.scan.blocks import Sizes
    from meshdiag.logs.tally import Tally

SAMPLE_BYTES = 64 * 1024
"""How much of a log's beginning is looked at to find its format."""

PIECE_BYTES = 64 * 1024
"""How much of an archive is unpacked at once."""

LARGE = 1024 * 1024
PLACES = 8
PLACE_BYTES = 8 * 1024
"""Where a log is at least so large, so many other places of it are looked at, of so many bytes each."""

BOM = b"\xef\xbb\xbf"


class OpenLog:
    """A log that was opened: its ``format``, its first bytes as ``sample``, and ``blocks``.

    ``begin`` and ``size`` bound its bytes where it can be read at any place (``seekable``); a stream is read once,
    from its beginning.

    Use it as a context manager. Raises ``OSError`` when it cannot be opened, ``BrokenArchiveError`` for an
    archive that cannot be read at all.
    """

    def __init__(
        self,
        file: LogFile,
        tally: Tally,
        *,
        sizes: Sizes,
        formats: Sequence[Format] = (),
        zone: tzinfo | None = None,
    ) -> None:
        self.file = file
        self.tally = tally
        self.sizes = sizes
        self.begin = 0
        self.size = 0
        self.seekable = False
        self._broken = False
        self._unpacker: Unpacker | None = None
        self._descriptor = _opened(file)
        try:
            self.sample = self._sample()
            self._watch = self._watched(formats, zone or local_zone())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> OpenLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def format(self) -> Format:
        """The format of the lines, as far as it is known by now: what comes later may be of another one too."""
        return self._watch.form

    def _watched(self, formats: Sequence[Format], zone: tzinfo) -> Watch:
        """The format by the log's first lines; where it is large and can be read anywhere, by a few other places too,
        so that the ends of windows are found in all of it."""
        newest = datetime.now(UTC) if self.file.written is None else datetime.fromtimestamp(self.file.written, UTC)
        watch = Watch(_detected(self.sample, newest, formats, zone), Hints(newest, zone), self.sample)
        if self.seekable and self.size >= LARGE:
            for place in range(1, PLACES + 1):
                data = os.pread(self._descriptor, PLACE_BYTES, (self.size - PLACE_BYTES) * place // PLACES)
                watch.look(data, data.find(b"\n") + 1, len(data), closely=True)
        return watch

    def close(self) -> None:
        """Let go of the file."""
        if self._unpacker is not None:
            self._unpacker.close()
        elif self._descriptor > 2:
            os.close(self._descriptor)
        self._unpacker = None
        self._descriptor = -1

    def read_at(self, offset: int, count: int) -> bytes:
        """Bytes at a place of a seekable log, fewer at its end."""
        data = os.pread(self._descriptor, count, offset)
        self.tally.bytes_read += len(data)
        return data

    def blocks(self, begin: int | None = None, end: int | None = None, buffer: bytearray | None = None) -> Blocks:
        """The log's bytes, or those from ``begin`` to ``end`` of a seekable one; both must be where records begin.
        ``buffer`` as ``Blocks`` takes it."""
        if not self.seekable:
            return Blocks(self._ahead(), self.format.starts, self.tally, self.sizes, 0, buffer, self._watch)
        first = self.begin if begin is None else begin
        last = self.size if end is None else end
        return Blocks(
            _region(self._descriptor, first, last),
            self.format.starts,
            self.tally,
            self.sizes,
            first,
            self.sizes.buffer(last - first) if buffer is None else buffer,
            self._watch,
        )

    def _sample(self) -> bytes:
        """The log's first bytes, unpacked; finds out how it is to be read."""
        if self.file.regular:
            self.size = os.fstat(self._descriptor).st_size
            start = os.pread(self._descriptor, SAMPLE_BYTES, 0)
        else:
            start = self._head = os.read(self._descriptor, SAMPLE_BYTES)
        kind = kind_of(start[:MAGIC_BYTES])
        if kind is not None:
            descriptor, self._descriptor = self._descriptor, -1
            self._unpacker = unpacker(Resumed(descriptor, b"" if self.file.regular else start), kind)
            start = self._head = _first(self._unpacker)
        if in_utf16(start):
            raise BrokenArchiveError("is written in UTF-16, which is not read here: iconv -f UTF-16 | meshdiag logs -")
        self.seekable = kind is None and self.file.regular and self.size > 0
        if self.file.regular and not self.seekable and kind is None:
            self._head = b""
        if start.startswith(BOM):
            self.begin = len(BOM)
            self._head = start[len(BOM) :]
        return start[self.begin :]

    def _ahead(self) -> Callable[[memoryview], int]:
        """Reads a stream: first what was looked at, then what follows."""
        head = memoryview(self._head)

        def read(view: memoryview) -> int:
            nonlocal head
            if head:
                count = min(len(head), len(view))
                view[:count] = head[:count]
                head = head[count:]
                return count
            if self._unpacker is None:
                return os.readv(self._descriptor, [view])
            return 0 if self._broken else self._unpack(self._unpacker, view)

        return read

    def _unpack(self, stream: Unpacker, view: memoryview) -> int:
        """What an archive holds, to where it is broken: in small pieces, for the one that breaks is lost."""
        filled = 0
        try:
            while filled < len(view) and (count := stream.readinto(view[filled : filled + PIECE_BYTES])):
                filled += count
        except BrokenArchiveError as error:
            self.tally.skipped.append(f"{self.file.path} {error}; what came before is read")
            self._broken = True
        return filled


def in_utf16(start: bytes) -> bool:
    """Whether text that begins so is UTF-16: by its mark, or because every other byte is NUL and no other is."""
    halves = start[0:256:2], start[1:256:2]
    return start[:2] in (b"\xff\xfe", b"\xfe\xff") or any(
        len(zeros) >= 8 and not zeros.strip(b"\0") and 0 not in letters for zeros, letters in (halves, halves[::-1])
    )


def _opened(file: LogFile) -> int:
    if file.path == STDIN:
        return 0
    return os.open(file.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)


def _region(descriptor: int, begin: int, end: int) -> Callable[[memoryview], int]:
    """Reads a file from one place to another, or to where it ends by now."""
    position = begin

    def read(view: memoryview) -> int:
        nonlocal position
        room = min(len(view), end - position)
        count = os.preadv(descriptor, [view[:room]], position) if room > 0 else 0
        position += count
        return count

    return read


def _first(stream: Unpacker) -> bytes:
    """The first bytes of what an archive holds."""
    buffer = bytearray(SAMPLE_BYTES)
    view = memoryview(buffer)
    held = 0
    while held < SAMPLE_BYTES and (count := stream.readinto(view[held:])):
        held += count
    return bytes(view[:held])


def _detected(sample: bytes, newest: datetime, formats: Sequence[Format], zone: tzinfo) -> Format:
    """The format of a log by its first lines."""
    # A format takes the year from ``newest``, to the minute; a user's own formats are made anew for each question.
    return (
        _detect(sample, newest, zone, formats)
        if formats
        else _remembered(sample, newest.replace(second=0, microsecond=0), zone)
    )


@lru_cache(maxsize=16)
def _remembered(sample: bytes, newest: datetime, zone: tzinfo) -> Format:
    """The format of lines that several questions in a row begin with: finding it takes longer than many an answer."""
    return _detect(sample, newest + timedelta(minutes=1), zone, ())


def _detect(sample: bytes, newest: datetime, zone: tzinfo, formats: Sequence[Format]) -> Format:
    from meshdiag.logs.formats.detecting import detect

    lines = sample.split(b"\n")
    if len(sample) >= SAMPLE_BYTES and len(lines) > 1:
        lines.pop()  # it may go on
    return detect(lines, Hints(newest, zone), formats)


def local_zone() -> tzinfo:
    """This machine's zone, with its changes of the clocks where it can be known by name."""
    name = os.environ.get("TZ", "").lstrip(":")
    if not name:
        place = os.path.realpath("/etc/localtime")
        name = place.partition("/zoneinfo/")[2]
    if name in ("", "UTC", "Etc/UTC"):
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return datetime.now().astimezone().tzinfo or UTC
