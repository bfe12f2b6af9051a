"""The lines that a program prints: started without a shell, read within bounds, ended whatever happens.

The program gets no input and a process group of its own, so that what it started itself ends with it. What it says
on stderr is kept in part, for the sentence that tells why it failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from typing import TYPE_CHECKING

from meshdiag.errors import SourceError, Trouble
from meshdiag.sources.streams.lines import LONGEST, LineSplitter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

CHUNK = 1 << 18
STDERR_KEPT = 16 * 1024
SAID_KEPT = 300
"""Characters of one line of it."""
GRACE_S = 1.0
"""How long a program may take to end when it is asked to; then it is killed."""


class LineProcess:
    """One run of a program. ``source`` is who asks, for messages; ``hint`` says what to do when the program is not
    there. Use it with ``async with``: when the block ends, the program has ended.

    ``environment`` is added to this process's own.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        source: str,
        hint: str = "",
        environment: Mapping[str, str] | None = None,
        limit: int = LONGEST,
    ) -> None:
        self.argv = tuple(argv)
        self._source = source
        self._hint = hint
        self._environment = {**os.environ, **(environment or {})}
        self._splitter = LineSplitter(limit)
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._said = bytearray()

    async def __aenter__(self) -> Self:
        program = shutil.which(self.argv[0], path=self._environment.get("PATH"))
        if program is None:
            raise self._error(Trouble.NOT_AVAILABLE, f"{self.argv[0]} is not installed here (not on PATH)", self._hint)
        try:
            self._process = await asyncio.create_subprocess_exec(
                program,
                *self.argv[1:],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environment,
                limit=CHUNK,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise self._error(Trouble.NOT_AVAILABLE, f"{program} does not start ({reason})", self._hint) from error
        self._listening = asyncio.create_task(self._listen(self._process))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            await asyncio.shield(self._end(self._process))
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    @property
    def said(self) -> list[str]:
        """The lines that it has said on stderr, as far as they were kept, each printable and of bounded length."""
        lines = self._said.decode("utf-8", "replace").splitlines()
        return [printable(line) for line in lines if line.strip()]

    @property
    def cut(self) -> int:
        """How many lines were longer than the limit."""
        return self._splitter.cut

    async def batches(self) -> AsyncIterator[list[bytes]]:
        """The lines, without their newlines, as many at a time as came."""
        process = self._running
        assert process.stdout is not None
        while chunk := await process.stdout.read(CHUNK):
            if lines := self._splitter.feed(chunk):
                yield lines
        rest = self._splitter.rest()
        if rest is not None:
            yield [rest]

    async def output(self, limit: int, timeout_s: float) -> bytes:
        """All that it prints, up to ``limit`` bytes, for a program that answers and ends. Raises ``SourceError`` when
        it does not within ``timeout_s``, or prints more."""
        process = self._running
        assert process.stdout is not None
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(timeout_s):
                while chunk := await process.stdout.read(CHUNK):
                    parts.append(chunk)
                    size += len(chunk)
                    if size > limit:
                        raise self._error(Trouble.TOO_LARGE, f"{self.argv[0]} prints more than {limit >> 20} MiB", "")
                await self.exit_code()
        except TimeoutError as error:
            raise self._error(
                Trouble.TIMEOUT, f"{self.argv[0]} gave no whole answer within {timeout_s:g} s", "try it by hand"
            ) from error
        return b"".join(parts)

    async def exit_code(self) -> int:
        """Wait for its end; negative when a signal ended it. All of stderr has come by then."""
        code = await self._running.wait()
        if self._listening is not None:
            # A child of the program may hold its stderr open for ever.
            await asyncio.wait([self._listening], timeout=GRACE_S)
        return code

    @property
    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "only within async with"
        return self._process

    def _error(self, trouble: Trouble, what: str, hint: str) -> SourceError:
        return SourceError(f"{self._source}: {what}", trouble=trouble, source=self._source, hint=hint)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while chunk := await process.stderr.read(4096):
            self._said += chunk[: STDERR_KEPT - len(self._said)]

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """See to it that it is gone: asked first, killed then; its pipes closed."""
        if process.returncode is not None and process.stdout is not None and process.stdout.at_eof():
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, sign)
            ended = asyncio.gather(self._drain(process), process.wait())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended, GRACE_S)
                break

    async def _drain(self, process: asyncio.subprocess.Process) -> None:
        """Read what is left, so that the pipe reaches its end and closes."""
        if process.stdout is not None:
            while await process.stdout.read(CHUNK):
                pass
        if self._listening is not None:
            await asyncio.wait([self._listening])


def printable(line: str) -> str:
    """Hostile text for a sentence: what cannot be printed is a blank, and it is cut at ``SAID_KEPT``."""
    text = "".join(char if char.isprintable() else " " for char in line[:SAID_KEPT]).strip()
    return text + "..." * (len(line) > SAID_KEPT)
