"""Compressed logs read as a stream: what a file holds is told by its first bytes, not by its name.

Memory is bounded whatever a file expands to: each read gives at most what was asked for, and nothing is kept. The
length of the output is not bounded, for a log may well shrink a thousandfold; the reader stops when it has what it
wants. A torn archive gives what can be read of it, and then ``BrokenArchiveError``.
"""

from __future__ import annotations

import io
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

MAGIC = {
    b"\x1f\x8b": "gz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bz2",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "Z",
    b"PK\x03\x04": "zip",
}
MAGIC_BYTES = 6
PIECE_BYTES = 256 * 1024
XZ_MEMORY = 80 * 1024 * 1024
"""What a dictionary may take; ``xz -9`` takes 65 MB."""
THREAD_BYTES = 4 * 1024 * 1024
"""A larger gzip file is inflated by a thread of its own, beside the search."""


class BrokenArchiveError(Exception):
    """An archive cannot be read, or not to its end: a reason for a person, as the rest of a sentence."""


class Unpacker(Protocol):
    """A compressed file as a stream."""

    def readinto(self, view: memoryview, /) -> int:
        """Fill a view as far as possible; 0 at the end. Raises ``BrokenArchiveError``, ``OSError``."""

    def close(self) -> None:
        """Let go of the file and of a helping process."""


def kind_of(start: bytes) -> str | None:
    """The compression that a file's first bytes tell of, None for none."""
    for magic, kind in MAGIC.items():
        # "BZh" may begin a line; the digit behind it and the block's mark hardly do.
        if start.startswith(magic) and (kind != "bz2" or start[3:4].isdigit()):
            return kind
    return None


class Resumed(io.RawIOBase):
    """A descriptor whose first bytes were read already, from its beginning again; closing closes it."""

    def __init__(self, descriptor: int, start: bytes = b"") -> None:
        self._descriptor = descriptor
        self._start = memoryview(start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer as far as one read does."""
        if self._start:
            count = min(len(self._start), len(buffer))
            memoryview(buffer)[:count] = self._start[:count]
            self._start = self._start[count:]
            return count
        return os.readv(self._descriptor, [buffer])

    def fileno(self) -> int:
        """The descriptor, for a process that reads on from it. Raises ``OSError`` when bytes were read already."""
        if self._start:
            raise OSError("its first bytes were read")
        return self._descriptor

    def close(self) -> None:
        """Close the descriptor, except the three that every process has."""
        if not self.closed and self._descriptor > 2:
            os.close(self._descriptor)
        super().close()


def unpacker(file: Resumed, kind: str) -> Unpacker:
    """Read what a file holds, from its position on; closing closes the file.

    Raises ``BrokenArchiveError`` for a kind that cannot be read here.
    """
    if kind == "gz":
        return _Guarded(_gzip(file))
    if kind == "zst":
        return _Guarded(_zstandard(file))
    if kind == "xz":
        import lzma

        return _Guarded(_Pieces(file, lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY)))
    if kind == "bz2":
        import bz2

        return _Guarded(_Pieces(file, bz2.BZ2Decompressor))
    file.close()
    raise BrokenArchiveError(f"is compressed as {kind}, which is not read here: unpack it into `meshdiag logs -`")


class _Guarded:
    """Turns what the libraries raise into ``BrokenArchiveError``."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readinto(self, view: memoryview) -> int:
        try:
            return int(self._stream.readinto(view) or 0)
        except EOFError:
            raise BrokenArchiveError("is torn: its compressed data ends too early") from None
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise BrokenArchiveError(f"is broken: {error}") from error

    def close(self) -> None:
        self._stream.close()


def _gzip(file: Resumed) -> Any:
    large = _size(file) > THREAD_BYTES
    try:
        # Half of its functions are without types.
        isal: Any = import_module("isal.igzip_threaded" if large else "isal.igzip")
        stream = isal.open(file, "rb", threads=1) if large else isal.IGzipFile(fileobj=file, mode="rb")
        return _Closing(stream, file)
    except ImportError:
        import gzip

        return _Closing(gzip.GzipFile(fileobj=file, mode="rb"), file)


def _size(file: Resumed) -> int:
    """The bytes of a regular file, 0 for a stream."""
    try:
        return os.fstat(file.fileno()).st_size
    except OSError:
        return 0


def _zstandard(file: Resumed) -> Any:
    try:
        zstandard: Any = import_module("zstandard")
    except ImportError:
        return _Command(file, "zstd", "-dcq", "--no-check")
    stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True, closefd=False)
    return _Closing(_Zstandard(stream, file) if _size(file) else stream, file)


class _Zstandard:
    """The library's stream of a file, which at its end looks whether the file ended before it should."""

    def __init__(self, stream: Any, file: Resumed) -> None:
        self._stream = stream
        self._file = file
        self.close = stream.close

    def readinto(self, view: memoryview) -> int:
        from meshdiag.logs.opening.zstdframes import is_whole

        count = int(self._stream.readinto(view))
        if not count and not is_whole(self._file.fileno()):
            raise EOFError
        return count


class _Closing:
    """A stream and the file under it, closed together."""

    def __init__(self, stream: Any, file: Any) -> None:
        self._stream = stream
        self._file = file
        self.readinto = stream.readinto

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._file.close()


class _Command:
    """What a command unpacks from its standard input."""

    def __init__(self, file: Resumed, *command: str) -> None:
        import subprocess

        try:
            self._process = subprocess.Popen(
                command, stdin=file.fileno(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
            )
        except FileNotFoundError:
            raise BrokenArchiveError(
                f"is compressed as {command[0]}: install the {command[0]} command, or meshdiag[zstd]"
            ) from None
        finally:
            file.close()

    def readinto(self, view: memoryview) -> int:
        assert self._process.stdout is not None
        count = os.readv(self._process.stdout.fileno(), [view])
        if not count and self._process.wait():
            assert self._process.stderr is not None
            complaint = self._process.stderr.read(300).decode("utf-8", "replace").strip()
            raise ValueError(complaint.rpartition(":")[2].strip() or "it cannot be unpacked")
        return count

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class _Pieces:
    """A stream made of members, each unpacked piece by piece by one decompressor of the standard library."""

    def __init__(self, file: Resumed, make: Callable[[], Any]) -> None:
        self._file = file
        self._make = make
        self._member = make()
        self._begun = False
        self._ended = False

    def readinto(self, view: memoryview) -> int:
        while not self._ended:
            piece = b""
            if self._member.eof:
                piece = self._next_member()
                if self._ended:
                    break
            elif self._member.needs_input:
                piece = self._file.read(PIECE_BYTES) or b""
                if not piece:
                    raise EOFError
            unpacked: bytes = self._member.decompress(piece, len(view))
            if unpacked:
                view[: len(unpacked)] = unpacked
                return len(unpacked)
        return 0

    def _next_member(self) -> bytes:
        """The first bytes of the member behind the one that ended; zeros that pad the end are none."""
        left = (self._member.unused_data or (self._file.read(PIECE_BYTES) or b"")).lstrip(b"\0")
        self._ended = not left
        self._member = self._make()
        return bytes(left)

    def close(self) -> None:
        self._file.close()
