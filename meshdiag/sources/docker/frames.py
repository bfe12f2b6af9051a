"""The two shapes of a container's log: frames of both streams, and the raw bytes of a terminal; cut into lines.

A frame is a header of eight bytes (the stream, three zeroes, the length in big endian) and one message: a line with
its newline, or a piece of 16 KiB of a longer one. Asked for with stamps, every message begins with one, the pieces of
a line with the same. A terminal's stream has no frames, and the stamps of pieces stand in the middle of the line.
The driver ``local`` of some engines leaves out the newline after a line of several pieces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from meshdiag.sources.streams.lines import LONGEST, Line, LineSplitter, stamped

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = 8
MOST = 4 << 20
"""Bytes of a frame, beyond which the stream cannot be one."""
PIECE = 16 * 1024
"""Bytes at which Docker cuts a line."""
SMALLEST_PIECE = 8 * 1024
"""Bytes at which any engine cuts a line (Podman's monitor)."""
STDOUT, STDERR, SYSTEM = 1, 2, 3
CHANNELS = {0: "stdout", STDOUT: "stdout", STDERR: "stderr"}


class Broken(Exception):
    """The stream is not what it should be. The text continues "its log "."""


class Cutter(Protocol):
    """Cuts a container's log into lines."""

    @property
    def cut(self) -> int:
        """How many lines were longer than what is kept."""

    def feed(self, chunk: bytes) -> list[Line]:
        """The lines that a chunk completes. Raises ``Broken``."""

    def end(self) -> list[Line]:
        """What is left when the log ends. Raises ``Broken`` where it ends within a frame."""


def cutter(tty: bool) -> Cutter:
    """What cuts the log of a container with or without a terminal."""
    return TerminalCutter() if tty else FrameCutter()


class FrameCutter:
    """Cuts the multiplexed stream."""

    def __init__(self) -> None:
        self.cut = 0
        self._rest = b""
        self._broken: Broken | None = None
        self._open: dict[str, _Pieces] = {}

    def feed(self, chunk: bytes) -> list[Line]:
        """The lines that a chunk completes. What is broken behind them is told at the next call."""
        self._fail()
        lines: list[Line] = []
        try:
            self._cut(self._rest + chunk, lines)
        except Broken as error:
            self._broken = error
            if not lines:
                raise
        return lines

    def _fail(self) -> None:
        if self._broken is not None:
            raise self._broken

    def _cut(self, data: bytes, lines: list[Line]) -> None:
        place = 0
        while len(data) - place >= HEADER:
            stream, size = _header(data[place : place + HEADER])
            end = place + HEADER + size
            if len(data) < end:
                break
            message = data[place + HEADER : end]
            if stream == SYSTEM:
                raise Broken(f"ends with an error of the engine: {message[:200].decode('utf-8', 'replace').strip()}")
            channel = CHANNELS[stream]
            if size and channel not in self._open and message.find(b"\n") == size - 1:
                taken_ns, content = stamped(message[:-1])
                lines.append(Line(content, taken_ns, channel))
            else:
                lines += self._lines(channel, message)
            place = end
        self._rest = data[place:]

    def end(self) -> list[Line]:
        """The pieces of lines that never ended."""
        self._fail()
        if self._rest:
            raise Broken("ends within a frame")
        lines = [self._finished(pieces, channel) for channel, pieces in self._open.items()]
        self._open.clear()
        return lines

    def _lines(self, channel: str, message: bytes) -> Iterator[Line]:
        """The lines that a message completes: one, as a rule."""
        *whole, last = message.split(b"\n")
        for part in whole:
            yield from self._piece(channel, part, ended=True)
        if last:
            yield from self._piece(channel, last, ended=False)

    def _piece(self, channel: str, piece: bytes, *, ended: bool) -> Iterator[Line]:
        taken_ns, content = stamped(piece)
        pieces = self._open.pop(channel, None) or _Pieces(taken_ns)
        pieces.add(content)
        if ended or len(content) < SMALLEST_PIECE:
            yield self._finished(pieces, channel)
        else:
            self._open[channel] = pieces

    def _finished(self, pieces: _Pieces, channel: str) -> Line:
        self.cut += pieces.size > LONGEST
        return Line(b"".join(pieces.parts), pieces.taken_ns, channel)


class _Pieces:
    """A line of several messages, so far."""

    def __init__(self, taken_ns: int | None) -> None:
        self.taken_ns = taken_ns
        self.parts: list[bytes] = []
        self.size = 0

    def add(self, content: bytes) -> None:
        """The next piece; what is over the bound is left out."""
        room = LONGEST - self.size
        if room > 0:
            self.parts.append(content[:room])
        self.size += len(content)


def _header(header: bytes) -> tuple[int, int]:
    stream, size = header[0], int.from_bytes(header[4:], "big")
    if stream > SYSTEM or header[1:4] != b"\0\0\0":
        raise Broken(f"is not a stream of frames (a frame begins {header!r})")
    if size > MOST:
        raise Broken(f"is not a stream of frames (one of {size:,} bytes)")
    return stream, size


class TerminalCutter:
    """Cuts the raw stream of a terminal."""

    def __init__(self) -> None:
        self._splitter = LineSplitter()

    @property
    def cut(self) -> int:
        """How many lines were longer than what is kept."""
        return self._splitter.cut

    def feed(self, chunk: bytes) -> list[Line]:
        """The lines that a chunk completes."""
        return [_terminal_line(line) for line in self._splitter.feed(chunk)]

    def end(self) -> list[Line]:
        """A last line without an end."""
        rest = self._splitter.rest()
        return [] if rest is None else [_terminal_line(rest)]


def _terminal_line(line: bytes) -> Line:
    taken_ns, content = stamped(line)
    stamp = line[: len(line) - len(content)]
    if stamp and len(content) > PIECE:
        content = _without_inner(content, stamp)
    return Line(content.removesuffix(b"\r"), taken_ns, "stdout")


def _without_inner(content: bytes, stamp: bytes) -> bytes:
    """A line of several pieces without the stamps between them."""
    parts: list[bytes] = []
    while len(content) > PIECE and content.startswith(stamp, PIECE):
        parts.append(content[:PIECE])
        content = content[PIECE + len(stamp) :]
    return b"".join((*parts, content))
