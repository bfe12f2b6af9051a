"""What a lab leaves behind: nothing. Its directory and processes are known to a watchdog that outlives it.

A lab that ends well cleans up itself; one that is killed is cleaned up by the watchdog process, which sees the
pipe between the two end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from meshdiag.lab import watchdog
from meshdiag.lab.network.namespaces import HOST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.lab.network.namespaces import Place

STOP_S = 5.0


class Guard:
    """A temporary directory and the processes that belong to one lab."""

    def __init__(self) -> None:
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", watchdog.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        self._processes: list[asyncio.subprocess.Process] = []
        self._namespaces: set[str] = set()
        self.directory = Path(tempfile.mkdtemp(prefix="meshdiag-lab-"))
        self._tell(f"dir {self.directory}")

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        output: IO[bytes] | None = None,
        env: dict[str, str] | None = None,
        place: Place = HOST,
    ) -> asyncio.subprocess.Process:
        """Start a process that ends with the lab, on the machine of ``place``. With ``output`` it is a server: what
        it writes goes there, and it is out of reach of the terminal's Ctrl-C. Raises ``OSError`` when it cannot be
        started."""
        server = output is not None
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=subprocess.DEVNULL if server else None,
            stdout=output,
            stderr=subprocess.STDOUT if server else None,
            env=env,
            start_new_session=server,
            preexec_fn=None if place is HOST else place.enter,
        )
        self.tell_of(process.pid)
        self._processes.append(process)
        return process

    def tell_of(self, pid: int) -> None:
        """Have a process killed when the lab is; whoever started it ends it otherwise."""
        self._tell(f"pid {pid}")

    def keep_empty(self, namespace: str) -> None:
        """Leave no process in a network namespace (``net:[4026531840]``) after the lab."""
        self._namespaces.add(namespace)
        self._tell(f"net {namespace}")

    async def close(self) -> None:
        """Stop every process with what it started, and remove the directory."""
        running = [process for process in self._processes if process.returncode is None]
        offspring = [pid for process in running for pid in watchdog.descendants(process.pid)]
        opened = [descriptor for pid in offspring if (descriptor := watchdog.open_process(pid)) is not None]
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        watchdog.send(signal.SIGTERM, opened)
        await asyncio.gather(*(self._ended(process) for process in running))
        watchdog.send(signal.SIGKILL, opened)
        for descriptor in opened:
            os.close(descriptor)
        watchdog.evict(self._namespaces)
        shutil.rmtree(self.directory, ignore_errors=True)
        self._tell("done")
        if self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
        self._watchdog.wait()

    async def _ended(self, process: asyncio.subprocess.Process) -> None:
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _tell(self, line: str) -> None:
        if self._watchdog.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._watchdog.stdin.write(line.encode() + b"\n")
                self._watchdog.stdin.flush()
