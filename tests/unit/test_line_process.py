"""Programs whose lines are read: bounded, told when they fail, and gone when the reader is, with all they started."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from meshdiag.errors import SourceError, Trouble
from meshdiag.sources.streams.process import STDERR_KEPT, LineProcess


def _shell(script: str, **options: int) -> LineProcess:
    return LineProcess(["sh", "-c", script], source="test", **options)


async def test_lines_and_the_end_are_read() -> None:
    """Lines come without their newlines, a last one without a newline too; then the exit code and stderr."""
    async with _shell("printf 'a\\nb\\n\\nc'; echo oops >&2; exit 7") as process:
        lines = [line async for batch in process.batches() for line in batch]
        assert await process.exit_code() == 7
        assert (lines, process.said) == ([b"a", b"b", b"", b"c"], ["oops"])


async def test_endless_stderr_and_endless_lines_are_bounded() -> None:
    """A flood of either fills neither the memory nor the pipe."""
    script = "head -c 5000000 /dev/zero | tr '\\0' e >&2; head -c 3000000 /dev/zero | tr '\\0' o; echo; echo end"
    async with asyncio.timeout(30):
        async with _shell(script, limit=1000) as process:
            lines = [line async for batch in process.batches() for line in batch]
            assert await process.exit_code() == 0
            assert lines == [b"o" * 1000, b"end"] and process.cut == 1
            assert sum(map(len, process.said)) <= STDERR_KEPT


async def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    """The program ignores the request to end, and so does its child, which holds the pipe: both are gone."""
    pids = tmp_path / "pids"
    script = f"trap '' TERM; (trap '' TERM; exec sleep 60) & echo $! $$ > {pids}; echo ready; wait; sleep 60"
    async with asyncio.timeout(20):
        async with _shell(script) as process:
            assert await anext(process.batches()) == [b"ready"]
        for pid in map(int, pids.read_text().split()):
            for _ in range(100):
                if not _alive(pid):
                    break
                await asyncio.sleep(0.02)
            assert not _alive(pid)


def _alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    with contextlib.suppress(OSError):
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


async def test_a_reader_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    """Interrupted in the middle of reading, the program is gone all the same."""
    pids = tmp_path / "pid"

    async def read() -> None:
        async with _shell(f"echo $$ > {pids}; echo ready; exec sleep 60") as process:
            async for _ in process.batches():
                started.set()

    started = asyncio.Event()
    reading = asyncio.create_task(read())
    await asyncio.wait_for(started.wait(), 10)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert not _alive(int(pids.read_text()))


async def test_answers_are_bounded_in_time_and_size() -> None:
    """An answer that does not end, or is too large, is one sentence."""
    async with _shell("echo begun; sleep 60") as process:
        with pytest.raises(SourceError, match=r"no whole answer within 0\.3 s") as slow:
            await process.output(1 << 20, 0.3)
    assert slow.value.trouble is Trouble.TIMEOUT
    async with _shell("head -c 3000000 /dev/zero") as process:
        with pytest.raises(SourceError, match="more than 1 MiB") as large:
            await process.output(1 << 20, 20)
    assert large.value.trouble is Trouble.TOO_LARGE


async def test_it_gets_no_input_and_no_shell(tmp_path: Path) -> None:
    """Arguments are taken as they stand, and a program that asks for input is told that there is none."""
    async with LineProcess(["printf", "%s\n", "$(id); `id`", "a b"], source="test") as process:
        assert [line async for batch in process.batches() for line in batch] == [b"$(id); `id`", b"a b"]
    async with _shell("read answer || echo none") as process:
        assert [line async for batch in process.batches() for line in batch] == [b"none"]


async def test_a_program_that_cannot_start_is_told(tmp_path: Path) -> None:
    """Missing, or no program at all: one sentence with the source's hint."""
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF nonsense")
    broken.chmod(0o755)
    for program in ("no-such-program", str(broken)):
        with pytest.raises(SourceError) as caught:
            async with LineProcess([program], source="test", hint="install it"):
                pass
        assert caught.value.trouble is Trouble.NOT_AVAILABLE and caught.value.hint == "install it"
