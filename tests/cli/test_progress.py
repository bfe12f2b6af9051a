"""How far a run is: said on a terminal, wiped at the end, and never anywhere else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from tests.faulty import faulty
from tests.program import clean_environment, run

WIPE = b"\r\x1b[2K"
ASK = ("health", "--no-direct", "--timeout", "2s", "--only", "nodes.*")


def test_a_terminal_sees_how_far_the_run_is_and_nothing_stays() -> None:
    """While a server keeps everybody waiting the line is there, before any check has answered; then it is wiped."""
    with faulty("never-answers") as server:
        seen = on_a_terminal(
            "health", "--no-direct", "--prometheus-url", server.url, "--timeout", "2s", "--only", "nodes.*"
        )
    assert b"0 of 5 checks have answered" in seen
    assert seen.endswith(WIPE)


def test_elsewhere_nothing_is_said() -> None:
    """Piped, stderr stays empty however long it takes."""
    with faulty("never-answers") as server:
        ran = run(*ASK, "--prometheus-url", server.url)
    assert (ran.code, ran.stderr) == (2, "")


def on_a_terminal(*arguments: str) -> bytes:
    """What the program writes to a stderr that is a terminal."""
    ours, theirs = pty.openpty()
    try:
        command = [sys.executable, "-m", "meshdiag", *arguments]
        subprocess.run(
            command, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=theirs, timeout=30, check=False
        )
        os.write(theirs, b"\n")
        return os.read(ours, 65536).removesuffix(b"\r\n")
    finally:
        os.close(ours)
        os.close(theirs)
