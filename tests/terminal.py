"""Runs the whole program on a terminal of its own, and hands back what it drew there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.program import clean_environment

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Shown:
    """The exit code, and everything that was written to the terminal (stdout and stderr)."""

    code: int
    output: str


def on_terminal(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    size: tuple[int, int] = (24, 100),
    timeout: float = 30,
    interrupt_s: float | None = None,
) -> Shown:
    """Run ``meshdiag ARGUMENTS`` on a terminal of ``size`` (lines, columns); ``interrupt_s``: Ctrl-C so long after."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "meshdiag", *arguments],
        env=clean_environment(TERM="xterm-256color", **(environment or {})),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    output = b""
    began = time.monotonic()
    limit = began + timeout
    try:
        while time.monotonic() < limit:
            if interrupt_s is not None and time.monotonic() - began > interrupt_s:
                process.send_signal(signal.SIGINT)
                interrupt_s = None
            ready, _, _ = select.select([ours], [], [], 0.2)
            if ready:
                with contextlib.suppress(OSError):
                    if part := os.read(ours, 65536):
                        output += part
                        continue
                break
            if process.poll() is not None:
                break
        process.wait(timeout=5)
    finally:
        process.kill()
        os.close(ours)
    text = output.decode("utf-8", "replace").replace("\r\n", "\n")
    assert "Traceback" not in text, text
    return Shown(process.returncode, text)
